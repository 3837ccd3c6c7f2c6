// Words, options and values for the place where the line is being typed.
const MOST_PROPOSED = 8;
let proposed = [];
let active = -1;

// What may stand at the end of a token: [what is put in its place, what it is] each.
function proposals(token) {
  const words = data.language.words;
  const colon = token.indexOf(":");
  if (colon < 0) {
    const begun = token.toLowerCase().match(/^[a-z_]*$/);
    if (!begun || !token) return [];
    const [fragment] = begun;
    const plain = Object.keys(words).filter((word) => word.startsWith(fragment) && word !== fragment);
    const others = Object.entries(data.language.aliases)
      .filter(([alias, word]) => alias.startsWith(fragment) && !plain.includes(word)).map(([, word]) => word);
    return [...new Set([...plain, ...others])].map((word) => [words[word].example, words[word].about]);
  }
  const word = words[stemOf(token, data.language)];
  if (!word) return [];
  const before = token.slice(0, token.lastIndexOf(token.lastIndexOf(",") > colon ? "," : ":") + 1);
  const entry = token.slice(before.length);
  const [key, value] = entry.split("=");
  if (value === undefined) {
    const taken = token.slice(colon + 1).split(",").map((one) => one.split("=")[0]);
    return Object.entries(word.fields)
      .filter(([name, field]) => name.startsWith(key.toLowerCase()) && !taken.slice(0, -1).includes(name)
        && !["name", "kind", word.first, word.second].includes(name) && field.type !== "layers")
      .map(([name, field]) => [`${before}${name}=`, takenBy(field)]);
  }
  const field = word.fields[key.toLowerCase()];
  const values = !field ? [] : field.type === "yes or no" ? ["yes", "no"] : field.choices || field.also || [];
  return values.filter((one) => one.startsWith(value) && one !== value).map((one) => [`${before}${key}=${one}`, ""]);
}

function takenBy(field) {
  if (field.choices) return field.choices.join(" or ");
  if (field.type === "yes or no") return "yes or no";
  if (field.type === "sides") return `a number, or two as 3x1${field.also.length ? `, or ${field.also.join(", ")}` : ""}`;
  return field.type === "whole" ? "a whole number" : "a number";
}

function tokenAt() {
  const line = $("line");
  const before = line.value.slice(0, line.selectionStart);
  const start = before.search(/[^\s()|]*$/);
  return { start, end: line.selectionStart, text: before.slice(start) };
}

function propose() {
  const line = $("line");
  const token = tokenAt();
  const behind = line.value.slice(token.end, token.end + 1);
  const typing = line.selectionStart === line.selectionEnd && /^[\s)|]?$/.test(behind);
  proposed = typing ? proposals(token.text).slice(0, MOST_PROPOSED) : [];
  active = -1;
  const list = $("words");
  list.replaceChildren(...proposed.map(([text, about], at) => {
    const item = make("li", { role: "option", id: `word-${at}`, "aria-selected": "false" },
      make("code", {}, text), about ? ` ${about}` : "");
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      take(at);
    });
    return item;
  }));
  list.hidden = !proposed.length;
  line.removeAttribute("aria-activedescendant");
}

function point(at) {
  active = at;
  [...$("words").children].forEach((item, place) => item.setAttribute("aria-selected", String(place === at)));
  if (at < 0) $("line").removeAttribute("aria-activedescendant");
  else $("line").setAttribute("aria-activedescendant", `word-${at}`);
}

function take(at) {
  const line = $("line");
  const token = tokenAt();
  line.setRangeText(proposed[at][0], token.start, token.end, "end");
  line.dispatchEvent(new Event("input"));
  line.focus();
  propose();
}

function listenForWords() {
  const line = $("line");
  line.addEventListener("input", propose);
  line.addEventListener("blur", () => { $("words").hidden = true; });
  line.addEventListener("keydown", (event) => {
    const shown = !$("words").hidden;
    if (shown && event.key === "ArrowDown") point((active + 1) % proposed.length);
    else if (shown && active >= 0 && event.key === "ArrowUp") point(active - 1);
    else if (shown && event.key === "Escape") $("words").hidden = true;
    else if (shown && active >= 0 && (event.key === "Enter" || event.key === "Tab")) take(active);
    else if (event.key !== "Enter") return; // one line has no line break
    event.preventDefault();
  });
}
