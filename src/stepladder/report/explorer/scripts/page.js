// The page's state and what is typed: everything else is drawn from `found`, the figures of the last line that fits.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const $ = (id) => document.getElementById(id);
const draws = []; // what draws a part of the page from the state, in order

const state = {
  ...data.start, // line, input, classes, batch, precision, training: texts, as they are typed
  layer: null, // name of the chosen layer
  at: null, // row and column of the chosen output; null: the middle one
  picture: 0,
};
let found = null;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  return fill(element, attributes, children);
}

function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// A color of the page's theme, as a canvas takes it.
const probe = make("span", { hidden: "" });
document.body.append(probe);
function color(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function isDark() {
  return (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

// A canvas of so many CSS pixels, as sharp as the screen.
function prepare(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  canvas.style.aspectRatio = `${width} / ${height}`;
  canvas.style.width = `${width}px`;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return pen;
}

function wholeOf(text, name, least = 1) {
  if (!/^\d{1,9}$/.test(text.trim()) || Number(text) < least) {
    throw new LayerError(`${name} is '${text}'; it must be a whole number of at least ${least}`);
  }
  return BigInt(text.trim());
}

// Read what is typed; keep the figures of the last line that fits where it does not. While somebody is `typing`, what is
// wrong waits until they stop: half a word is no mistake.
let complaining = 0;
function work(typing = false) {
  clearTimeout(complaining);
  $("wrong").replaceChildren();
  for (const id of ["line", "input", "classes", "batch", "training"]) $(id).removeAttribute("aria-invalid");
  let field = "input";
  try {
    const input = parseInput(state.input);
    field = "classes";
    const classes = state.classes.trim() ? wholeOf(state.classes, "the number of classes") : null;
    field = "batch";
    const batch = wholeOf(state.batch, "the number of images a batch");
    field = "training";
    const training = state.training.trim() ? wholeOf(state.training, "the number of training images") : null;
    field = "line";
    found = { ...inspectLine(state.line, input, classes, data.language, batch, BYTES[state.precision]), training };
    root.removeAttribute("data-stale");
  } catch (error) {
    if (!(error instanceof LineError || error instanceof LayerError)) throw error;
    root.setAttribute("data-stale", "");
    if (typing) complaining = setTimeout(() => complain(error, field), 500);
    else complain(error, field);
  }
  if (found) {
    if (!found.costs.some((cost) => cost.layer.name === state.layer)) {
      state.layer = firstWindow();
      state.at = null;
    }
    draw(typing);
  }
}

function complain(error, field) {
  const wrong = $("wrong");
  $(field).setAttribute("aria-invalid", "true");
  wrong.append(make("p", {}, `${error.message[0].toUpperCase()}${error.message.slice(1)}.`));
  if (error.start !== undefined && error.start !== null) {
    const from = Math.max(0, error.start - 40);
    wrong.append(make("code", {},
      (from ? "…" : "") + state.line.slice(from, error.start), make("mark", {}, state.line.slice(error.start, error.end)),
      state.line.slice(error.end, error.end + 40) + (error.end + 40 < state.line.length ? "…" : "")));
  }
  if (found) wrong.append(make("p", { class: "small" }, "The figures below are those of the last line that fitted."));
}

function firstWindow() {
  return (found.costs.find((cost) => cost.windows) || found.costs[0]).layer.name;
}

// Of a network of a hundred layers a browser draws for longer than keys are apart. While somebody types one, the figures
// at the top follow each key, and all the rest follows when the keys stop.
const MANY = 40, PAUSE = 120; // layers; milliseconds
let waiting = 0;
function draw(typing = false) {
  clearTimeout(waiting);
  if (typing && found.costs.length > MANY) {
    drawFigures();
    waiting = setTimeout(draw, PAUSE);
    return;
  }
  for (const one of draws) one();
  remember();
}

function costNamed(name) {
  return found.costs.find((cost) => cost.layer.name === name);
}

function choose(layer) {
  state.layer = layer;
  state.at = null;
  draw();
}

// What is typed, into its fields; `begin` at the start and where a question or a preset sets it.
function show() {
  for (const id of ["line", "input", "classes", "batch", "precision", "training"]) $(id).value = state[id];
  const preset = data.presets.find((one) => one.line === state.line);
  $("preset").value = preset ? preset.name : "";
  fitLine();
}

function fitLine() {
  const line = $("line");
  line.style.height = "auto";
  line.style.height = `${Math.min(line.scrollHeight + 2, 260)}px`;
}

// The address holds the state, so that a link shows the same page to somebody else.
let later = 0;
function remember() {
  clearTimeout(later);
  later = setTimeout(() => {
    try {
      history.replaceState(null, "", `#${address()}`);
    } catch { /* a page that may not: the button still copies the link */ }
  }, 300);
}

function address() {
  const kept = new URLSearchParams();
  for (const key of ["line", "input", "classes", "batch", "precision", "training"]) {
    if (key === "line" || state[key] !== data.start[key]) kept.set(key, state[key]);
  }
  kept.set("layer", state.layer || "");
  if (state.at) kept.set("at", state.at.map((one) => one + 1).join(","));
  kept.set("hand", handAddress());
  return kept.toString();
}

function readAddress() {
  const kept = new URLSearchParams(location.hash.slice(1));
  if (!kept.has("line")) return;
  for (const key of ["line", "input", "classes", "batch", "precision", "training"]) if (kept.has(key)) state[key] = kept.get(key);
  if (!Object.hasOwn(BYTES, state.precision)) state.precision = "float32";
  state.layer = kept.get("layer");
  const at = (kept.get("at") || "").match(/^(\d{1,6}),(\d{1,6})$/);
  state.at = at ? [Number(at[1]) - 1, Number(at[2]) - 1] : null;
  readHand(kept.get("hand") || "");
}

function listen() {
  $("preset").append(make("option", { value: "" }, "your own line"),
    ...data.presets.map((one) => make("option", { value: one.name, title: one.paper }, one.name)));
  for (const id of ["line", "input", "classes", "batch", "precision", "training"]) {
    $(id).addEventListener("input", () => {
      state[id] = id === "line" ? $(id).value.replace(/\s*\n\s*/g, " ") : $(id).value;
      if (id === "line") {
        $("preset").value = "";
        fitLine();
      }
      work(true);
    });
  }
  $("preset").addEventListener("change", () => {
    const preset = data.presets.find((one) => one.name === $("preset").value);
    if (!preset) return;
    const classes = preset.classes === "10" ? "" : preset.classes;
    Object.assign(state, { line: preset.line, input: preset.input, classes, layer: null, at: null });
    show();
    work();
  });
  $("share").addEventListener("click", async () => {
    const link = `${location.href.split("#")[0]}#${address()}`;
    try {
      await navigator.clipboard.writeText(link);
      say("Copied");
    } catch {
      location.hash = address();
      say("The link is in the address bar");
    }
  });
  $("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  window.addEventListener("hashchange", () => {
    if (!new URLSearchParams(location.hash.slice(1)).has("line")) return; // a link within the page
    readAddress();
    show();
    work();
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // a phone's address bar comes and goes
    width = window.innerWidth;
    fitLine();
    draw();
  });
  let before;
  window.addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    draw();
  });
  window.addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    draw();
  });
}

function say(text) {
  const button = $("share");
  button.textContent = text;
  setTimeout(() => { button.textContent = "Copy link"; }, 2500);
}

function showTheme() {
  $("theme").setAttribute("aria-pressed", String(isDark()));
  if (found) draw();
}

// The figures at the top.
let measuring = 0;
function drawFigures() {
  $("total-weights").textContent = grouped(found.weights);
  $("total-macs").textContent = grouped(found.macs);
  $("memory-label").textContent = `memory of a batch of ${found.batch}`;
  $("total-memory").textContent = megabytes(found.memory);
  const last = found.costs.findLast((cost) => cost.output.length === 3);
  $("total-sees").textContent = last ? `${seesText(found.fields.get(last.layer.name)[1])} pixels` : "the whole image";
  $("summary").textContent = `On ${formatShape(found.input)}, ${found.classes} classes: ${grouped(found.weights)} weights `
    + `(${megabytes(found.weights * 4n)} in float32), ${percent(found.connectedShare)} of them in fully connected layers; `
    + `${grouped(found.macs)} multiply-accumulates an image.`;
  $("each-image").textContent = found.training === null ? "" : weightsForEachImage(found.weights, found.training);
  const now = found;
  clearTimeout(measuring);
  measuring = setTimeout(() => { // hundreds of sizes may have to be tried
    if (now === found) $("sizes").textContent = describeSizes(findSizes(now.layers, now.costs, now.classes), now.input);
  }, 120);
}
draws.push(drawFigures);

function seesText([rows, columns]) {
  return rows.size === columns.size ? `${rows.size}×${rows.size}` : `${rows.size}×${columns.size}`;
}
