"use strict";
// The pages of stepladder view. The server tells what changed, by key; what is drawn here is only what that touches.
// Names come from files of anybody: they are text, and nothing is ever made of them but text.
(function () {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const content = byId("content");
  const key = (location.pathname.match(/^\/study\/([0-9a-f]+)$/) || [])[1];
  const WORDS = { running: "Running", finished: "Finished", failed: "Failed", unfinished: "Not finished", damaged: "Damaged", removed: "Removed", reading: "Reading" };
  const STATES = { w: "waiting", r: "running", p: "begun, waits for somebody to go on", f: "finished", x: "failed", d: "damaged" };
  const ROWS = 100; // of trials that are drawn before somebody asks for all
  const CURVES = 6; // rungs whose curves are drawn unasked
  const MEASURES = ["accuracy", "loss"]; // of a command, its own score stands for accuracy
  // Okabe and Ito's colors as the report has them, and what tells them apart in gray.
  const COLORS = {
    light: ["#1a1a1a", "#0066a1", "#b04600", "#00664b", "#96407a", "#7a6000", "#3b6ea5", "#6b3fa0"],
    dark: ["#ececec", "#6cb8e6", "#f0a066", "#4cc9a4", "#e39ac6", "#e8d24f", "#9db7e8", "#c3a6f0"],
  };
  const SHAPES = ["circle", "square", "triangle", "diamond", "cross", "down", "bar", "ring"];

  function element(name, attributes, ...inside) {
    const made = document.createElement(name);
    for (const [attribute, value] of Object.entries(attributes || {})) {
      if (value === true) made.setAttribute(attribute, "");
      else if (value !== false && value !== undefined && value !== null) made.setAttribute(attribute, value);
    }
    made.append(...inside.filter((one) => one !== null && one !== undefined));
    return made;
  }
  function drawn(name, attributes, ...inside) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes || {})) made.setAttribute(attribute, value);
    made.append(...inside);
    return made;
  }
  function say(node, text) { if (node.textContent !== text) node.textContent = text; }
  function show(node, wanted) { if (node.hidden === wanted) node.hidden = !wanted; }

  // The theme, as on a report.
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const themeButton = byId("theme");
  function remembered(theme) {
    try {
      if (theme) localStorage.setItem("stepladder-theme", theme);
      return localStorage.getItem("stepladder-theme");
    } catch { return null; }
  }
  const isDark = () => (root.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
  function showTheme() {
    themeButton.setAttribute("aria-pressed", String(isDark()));
    if (key) drawCurves();
  }
  if (remembered()) root.dataset.theme = remembered();
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered(root.dataset.theme);
    showTheme();
  });
  systemDark.addEventListener("change", showTheme);

  // What the server tells.
  const told = new Map();
  let dirty = new Set(), fresh = true, planned = 0, quiet = 0;
  function listen() {
    const source = new EventSource(key ? `/events/${key}` : "/events");
    source.onopen = () => { fresh = true; show(byId("lost"), false); };
    source.onmessage = (message) => {
      const { changed } = JSON.parse(message.data);
      if (fresh) for (const old of told.keys()) if (!(old in changed)) changed[old] = null;
      fresh = false;
      for (const [name, value] of Object.entries(changed)) {
        if (value === null) told.delete(name); else told.set(name, value);
        dirty.add(name);
      }
      if (!planned) planned = requestAnimationFrame(draw);
    };
    source.onerror = () => {
      // A browser tries again by itself where a connection breaks, and gives up where it is answered by a refusal.
      const refused = source.readyState === EventSource.CLOSED;
      say(byId("lost"), refused
        ? "The server does not know this page any more, or is too busy. This page asks again every few seconds."
        : "The connection was lost; what is shown may be old. This page tries again.");
      show(byId("lost"), true);
      if (refused) setTimeout(listen, 5000);
      finish();
    };
  }
  function draw() {
    planned = 0;
    const names = dirty;
    dirty = new Set();
    if (key) drawStudy(names); else drawList(names);
    finish();
  }
  function finish() { if (!root.dataset.ready) root.dataset.ready = String(Math.round(performance.now())); }
  // Told to who listens in place of looking, but not with every trial.
  function announce(text) {
    const now = Date.now();
    if (now - quiet < 15000) return;
    quiet = now;
    say(byId("status"), text);
  }
  function badge(state) { return element("span", { class: "badge", "data-state": state }, WORDS[state] || state); }
  function setBadge(node, state) { node.dataset.state = state; say(node, WORDS[state] || state); }

  // The list of studies.
  const cards = new Map(), chosen = new Set();
  let list = null, filter = null, compareButton = null, order = "";
  function buildList() {
    filter = element("input", { type: "search", autocomplete: "off" });
    filter.addEventListener("input", sortList);
    compareButton = element("button", { type: "button", disabled: true }, "Compare");
    compareButton.addEventListener("click", () => {
      location.href = "/compare?" + [...chosen].map((one) => `study=${one}`).join("&");
    });
    list = element("ul", { class: "studies" });
    content.replaceChildren(
      element("div", { class: "filter" },
        element("label", {}, "Show only those that have these letters", filter), compareButton,
        element("span", { class: "small", id: "chosen" }, "Choose two studies or more to compare them.")),
      element("p", { class: "notice", id: "note", hidden: true }),
      element("p", { class: "missing", id: "none", hidden: true }), list);
  }
  function card(id) {
    const box = element("input", { type: "checkbox" });
    const link = element("a", { href: `/study/${id}` });
    const one = {
      node: element("li", {}), link, box, place: element("p", { class: "place" }), words: element("ul", { class: "words" }),
      badge: badge("reading"), bar: element("progress", { max: 1, value: 0 }), sentence: element("p", {}),
      choose: element("label", { class: "choose" }, box, element("span", {}, "compare")),
    };
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(id); else chosen.delete(id);
      compareButton.disabled = chosen.size < 2;
      say(compareButton, chosen.size < 2 ? "Compare" : `Compare ${chosen.size} studies`);
    });
    one.node.append(
      element("div", {}, element("h2", {}, link), one.place, one.words),
      element("div", { class: "side" }, one.badge, one.bar, one.sentence, one.choose));
    return one;
  }
  function drawList(names) {
    if (!list) buildList();
    for (const name of names) {
      if (name === "folder") continue;
      const value = told.get(name);
      if (!value) {
        if (cards.has(name)) { cards.get(name).node.remove(); cards.delete(name); chosen.delete(name); }
        continue;
      }
      if (!cards.has(name)) cards.set(name, card(name));
      const one = cards.get(name);
      say(one.link, value.title);
      say(one.place, `${value.place} · ${value.kind}`);
      setBadge(one.badge, value.state);
      one.bar.max = Math.max(1, value.planned);
      one.bar.value = value.ended;
      one.bar.setAttribute("aria-label", `${value.kind === "training" ? "epochs" : "trials"} of ${value.title} that have ended`);
      show(one.bar, value.planned > 0);
      const parts = [value.sentence, value.left && `${value.left[0].toUpperCase()}${value.left.slice(1)}.`, value.failed ? `${value.failed} failed.` : ""];
      say(one.sentence, parts.filter(Boolean).join(" "));
      one.box.setAttribute("aria-label", `compare ${value.title}, ${value.place}`);
      show(one.choose, value.kind === "study" || value.kind === "curve");
      one.words.replaceChildren(...value.marks.map((mark) => element("li", {},
        element("span", { class: mark.kind }, element("span", { "aria-hidden": "true" }, mark.symbol), ` ${mark.word}`), ` ${mark.name}`)));
      show(one.words, value.marks.length > 0);
    }
    const folder = told.get("folder");
    if (folder) {
      say(byId("place"), `Below ${folder.place}`);
      say(byId("note"), folder.note);
      show(byId("note"), Boolean(folder.note));
      say(byId("none"), "There is no study here yet. Start one with: stepladder study digits --recipe first. It will show up by itself.");
      show(byId("none"), cards.size === 0);
    }
    sortList();
  }
  function sortList() {
    const letters = filter.value.trim().toLowerCase();
    const rank = { running: 0, reading: 1, damaged: 2, failed: 3, unfinished: 4, finished: 5 };
    const found = [...cards.entries()].sort(([a], [b]) => {
      const [one, other] = [told.get(a), told.get(b)];
      return rank[one.state] - rank[other.state] || other.created.localeCompare(one.created) || one.place.localeCompare(other.place);
    });
    const running = found.filter(([id]) => told.get(id).state === "running").length;
    announce(`${found.length} studies, ${running} running`);
    for (const [id, one] of found) {
      const value = told.get(id);
      show(one.node, !letters || `${value.title} ${value.place} ${value.kind}`.toLowerCase().includes(letters));
    }
    const now = found.map(([id]) => id).join();
    if (now === order) return; // what has the focus keeps it
    order = now;
    const focused = document.activeElement;
    list.replaceChildren(...found.map(([, one]) => one.node));
    if (focused && list.contains(focused)) focused.focus();
  }

  // One study.
  const rows = [], curves = new Map(), fetched = new Map(), wanted = new Set();
  let parts = null, all = false, epoch = null, drawing = 0;
  function buildStudy() {
    const section = (id, heading, ...inside) => element("section", { "aria-labelledby": id, hidden: true }, element("h2", { id }, heading), ...inside);
    parts = {
      badge: badge("reading"), sentence: element("span", {}), left: element("strong", {}), bar: element("progress", { max: 1, value: 0 }),
      look: element("p", {}), report: element("a", { class: "button", href: `/study/${key}/report`, target: "_blank", rel: "noopener", hidden: true }, "Open the report"),
      stop: element("button", { type: "button", hidden: true }, "Stop"), goOn: element("button", { type: "button", hidden: true }, "Go on"),
      why: element("span", { class: "small" }), said: element("p", { class: "small", role: "status" }),
      verdictTitle: null, marks: element("ul", { class: "verdicts" }), words: element("div", {}), headline: element("div", {}),
      body: element("tbody", {}), more: element("button", { type: "button", hidden: true }), head: null,
      problems: element("ul", { class: "problems" }), warnings: element("ul", { class: "problems" }), facts: element("dl", {}), valuesCaption: element("caption", {}), commandTitle: element("h3", {}, "The command that makes or continues it"), tools: element("div", { class: "tools" }),
      charts: element("div", { class: "charts" }), values: element("tbody", {}), slider: element("input", { type: "range", min: 0, max: 1, value: 1, id: "epoch" }),
      at: element("label", { for: "epoch" }, "Epoch"), watched: element("p", { class: "small" }), heads: [], command: element("pre", { tabindex: 0 }), validation: element("th", { scope: "col", class: "figure" }, "validation"),
    };
    parts.verdict = section("verdict", "Verdict so far", parts.headline, parts.marks, parts.words);
    const table = parts.table = element("table", { class: "trials" },
      element("caption", {}, "A square is a seed. Validation: mean ± sample standard deviation over the finished seeds."),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "rung"), element("th", { scope: "col" }, "seeds"),
        element("th", { scope: "col", class: "figure optional" }, "ended"), parts.validation, element("th", { scope: "col" }, "curve"))), parts.body);
    const legend = element("ul", { class: "key" }, ...["w", "r", "p", "f", "x", "d"].map((state) => element("li", {}, element("span", { class: "seed", "data-state": state }), STATES[state])));
    parts.trials = section("trials", "Trials", element("div", { class: "scroll", role: "region", "aria-label": "Table of the trials", tabindex: 0 }, table), element("div", { class: "tools" }, parts.more), legend);
    parts.curves = section("curves", "Curves", parts.watched, parts.charts, element("div", { class: "at-epoch" }, parts.at, parts.slider),
      element("div", { class: "scroll", role: "region", "aria-label": "Values at one epoch", tabindex: 0 }, element("table", {},
        parts.valuesCaption,
        element("thead", {}, element("tr", {}, ...["rung", "", "", "", ""].map((name, place) => (parts.heads[place] = element("th", { scope: "col", class: place ? "figure" : "" }, name))))), parts.values)));
    parts.trouble = section("trouble", "Failed and damaged", parts.problems);
    parts.warned = section("warned", "Warnings", parts.warnings);
    parts.about = section("about", "What it is", parts.facts, parts.commandTitle, parts.command);
    parts.tools.append(parts.report, parts.stop, parts.goOn, parts.why);
    content.replaceChildren(
      element("p", {}, element("a", { href: "/" }, "All studies")),
      element("div", { class: "now" }, element("p", { class: "line" }, parts.badge, parts.sentence, parts.left), parts.bar, parts.look, parts.tools, parts.said),
      parts.verdict, parts.trouble, parts.trials, parts.curves, parts.warned, parts.about);
    parts.more.addEventListener("click", () => { all = true; for (let number = 0; told.has(`rung.${number}`); number += 1) drawRow(number); show(parts.more, false); });
    parts.slider.addEventListener("input", () => { epoch = Number(parts.slider.value); drawCurves(); });
    parts.stop.addEventListener("click", () => ask("Stop this study?", "It gets the signal of Ctrl-C: it finishes its step, keeps a checkpoint and leaves. The same command goes on with it later.", "", "Stop it", `/stop/${key}`));
    parts.goOn.addEventListener("click", () => ask("Go on with this study?", "This runs the command that its study.json has, on the computer of the server and as its user. Do it only with studies of your own: a command can name code of whoever wrote it.", (told.get("control") || {}).go_on, "Run it", `/go-on/${key}`));
    addEventListener("resize", () => { cancelAnimationFrame(drawing); drawing = requestAnimationFrame(drawCurves); });
  }
  function drawStudy(names) {
    if (!parts) buildStudy();
    const head = told.get("head");
    if (names.has("head") && head) drawHead(head);
    if (names.has("verdict") || names.has("head")) drawVerdict(told.get("verdict"), head);
    if (names.has("failures")) problems(parts.trouble, parts.problems, told.get("failures") || []);
    if (names.has("warnings")) problems(parts.warned, parts.warnings, (told.get("warnings") || []).map(([sentence, number]) => [number > 1 ? `${number} trials` : "1 trial", sentence]));
    if (names.has("control")) drawControl(told.get("control"));
    let rungs = 0;
    while (told.has(`rung.${rungs}`)) rungs += 1;
    while (rows.length > rungs) rows.pop()?.node.remove();
    const touched = new Set();
    for (const name of names) {
      const [what, number] = name.split(".");
      if ((what === "rung" || what === "trial") && Number(number) < rungs) touched.add(Number(number));
    }
    [...touched].sort((a, b) => a - b).forEach(drawRow);
    show(parts.trials, rungs > 0 && !(head && head.alone));
    show(parts.more, !all && rungs > ROWS);
    say(parts.more, `Show all ${rungs.toLocaleString("en")} rungs`);
    if (head && head.watched && !wanted.size && rungs) for (let number = 0; number < Math.min(rungs, CURVES); number += 1) choose(number, true);
    for (const number of wanted) if (touched.has(number)) fetchCurves(number);
  }
  function drawHead(head) {
    document.title = `${head.title} · Stepladder view`;
    say(byId("title"), head.title);
    say(byId("kicker"), `Stepladder ${head.kind || "view"}`);
    say(byId("place"), head.place || "");
    setBadge(parts.badge, head.state);
    say(parts.sentence, head.sentence);
    say(parts.left, head.left ? `${head.left[0].toUpperCase()}${head.left.slice(1)}` : "");
    const known = head.planned !== undefined; // of one that is damaged or gone nothing is
    show(parts.bar, head.planned > 0);
    parts.bar.setAttribute("aria-label", `${head.alone ? "epochs" : "trials"} that have ended`);
    show(parts.report, Boolean(head.report));
    showTools();
    show(parts.look, Boolean(head.look));
    say(parts.look, head.look || "");
    announce([head.title, head.sentence, head.left].filter(Boolean).join(" "));
    if (!known) { for (const name of ["verdict", "trials", "curves", "trouble", "warned", "about"]) show(parts[name], false); return; }
    parts.bar.max = Math.max(1, head.planned);
    parts.bar.value = head.ended;
    parts.table.classList.toggle("no-curves", !head.watched);
    say(parts.validation, `${head.metric}, ${head.unit}`);
    say(parts.command, head.command || "");
    for (const part of [parts.command, parts.commandTitle]) show(part, Boolean(head.command));
    const facts = [...(head.facts || []), ["Images", head.images], ["Machine", head.machine.join("; ")], ["Versions", head.versions], ["Begun", head.created.replace("T", " ").replace(/\+00:00$/, " UTC")]];
    parts.facts.replaceChildren(...facts.filter(([, text]) => text).map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text))));
    show(parts.about, Boolean(head.command) || parts.facts.childElementCount > 0);
    if (head.axes) for (const [place, measure] of MEASURES.entries()) { // what is no study has none
      const title = head.axes[measure].title.replace(/^./, (letter) => letter.toLowerCase());
      say(parts.heads[2 * place + 1], `${head.watched === "test" ? "test" : "validation"} ${title}`);
      say(parts.heads[2 * place + 2], `train ${title}`);
    }
    say(parts.heads[0], head.alone ? "recipe" : "rung");
    say(parts.valuesCaption, head.alone ? "At the epoch of the slider." : "At the epoch of the slider: the mean over finished seeds, in brackets the lowest and the highest. With a seed in brackets: that trial alone, of a rung without a finished one.");
    say(parts.watched, head.drawn ? head.drawn : head.watched === "test"
      ? head.shows_watched ? "No image was left for validation, so the test curve was watched." : "No image was left for validation. The test curve is shown when the study has ended; until then only training."
      : "Solid: validation, with a band from the lowest to the highest seed. Dotted: training images. Thin: a trial that has not finished.");
  }
  function drawVerdict(verdict, head) {
    show(parts.verdict, Boolean(verdict && head && head.planned !== undefined));
    if (!verdict) return;
    const whole = verdict.sentences.length + verdict.headline.length > 0;
    say(byId("verdict"), verdict.title ? verdict.title : whole ? "Verdict" : `Verdict at the look at ${verdict.seeds} seeds`);
    parts.marks.replaceChildren(...verdict.marks.map((mark) => element("li", { class: mark.kind },
      element("span", { class: "sign", "aria-hidden": "true" }, mark.symbol),
      element("span", {}, element("strong", {}, mark.name), " ", element("em", {}, mark.word), mark.figures ? element("span", { class: "needs" }, mark.figures) : null, mark.needs ? element("span", { class: "needs" }, mark.needs) : null))));
    show(parts.marks, verdict.marks.length > 0);
    parts.headline.replaceChildren(...verdict.headline.map((sentence) => element("p", { class: "headline" }, sentence)));
    parts.words.replaceChildren(...verdict.sentences.map((sentence) => element("p", {}, sentence)));
  }
  function problems(section, list, items) {
    show(section, items.length > 0);
    list.replaceChildren(...items.map(([what, sentence]) => element("li", {}, what ? element("strong", {}, `${what}: `) : null, sentence)));
  }
  function drawRow(number) {
    if (number >= ROWS && !all) return;
    const rung = told.get(`rung.${number}`);
    if (!rung) return;
    while (rows.length <= number) rows.push(null);
    if (!rows[number]) {
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => choose(number, box.checked));
      const row = { box, name: element("span", {}), adds: element("span", { class: "adds" }), seeds: element("div", { class: "seeds", role: "img" }), ended: element("td", { class: "figure optional" }), validation: element("td", { class: "figure" }), cells: [] };
      row.node = element("tr", {}, element("th", { scope: "row" }, row.name, row.adds), element("td", {}, row.seeds), row.ended, row.validation, element("td", {}, box));
      rows[number] = row;
      const next = rows.slice(number + 1).find(Boolean);
      parts.body.insertBefore(row.node, next ? next.node : null);
    }
    const row = rows[number];
    say(row.name, rung.name);
    say(row.adds, rung.adds.join(" "));
    say(row.ended, `${rung.ended} of ${rung.planned}`);
    say(row.validation, rung.validation || "–");
    row.box.setAttribute("aria-label", `curve of ${rung.name}`);
    row.box.checked = wanted.has(number);
    row.box.disabled = !(told.get("head") || {}).watched;
    while (row.cells.length > rung.planned) row.cells.pop().remove();
    const counts = {};
    for (let place = 0; place < rung.planned; place += 1) {
      const trial = told.get(`trial.${number}.${place}`);
      if (!trial) continue;
      if (!row.cells[place]) { row.cells[place] = element("span", { class: "seed" }); row.seeds.append(row.cells[place]); }
      const cell = row.cells[place], [state, seed, done, epochs, score, took] = trial;
      counts[state] = (counts[state] || 0) + 1;
      const text = [`seed ${seed}: ${STATES[state]}`, epochs && (state === "r" || state === "p") ? `epoch ${done} of ${epochs}` : "", score && `${score} on validation`, took].filter(Boolean).join(", ");
      if (cell.title !== text) cell.title = text;
      if (cell.dataset.state !== state) cell.dataset.state = state;
      if (state === "r" || state === "p") cell.style.setProperty("--done", `${epochs ? Math.round(100 * done / epochs) : 0}%`);
    }
    const label = Object.entries(counts).map(([state, n]) => `${n} ${STATES[state]}`).join("; ") || "none yet";
    if (row.seeds.getAttribute("aria-label") !== label) row.seeds.setAttribute("aria-label", label);
  }
  function drawControl(control) {
    const may = control || { stop: false, go_on: "", why: "" };
    show(parts.stop, may.stop);
    show(parts.goOn, Boolean(may.go_on));
    say(parts.why, may.why);
    showTools();
  }
  function showTools() { show(parts.tools, [...parts.tools.children].some((one) => !one.hidden && one.textContent)); }
  function ask(title, text, command, yes, address) {
    const dialog = byId("ask");
    say(byId("ask-title"), title);
    say(byId("ask-text"), text);
    say(byId("ask-command"), command || "");
    show(byId("ask-command"), Boolean(command));
    say(byId("ask-yes"), yes);
    byId("ask-no").onclick = () => dialog.close();
    byId("ask-yes").onclick = async () => {
      dialog.close();
      try {
        const answer = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
        const document = await answer.json();
        say(parts.said, document.said || document.error);
      } catch { say(parts.said, "The server did not answer; look at its terminal."); }
    };
    dialog.showModal();
  }

  // Curves.
  function choose(number, on) {
    if (on) wanted.add(number); else { wanted.delete(number); curves.delete(number); }
    if (rows[number]) rows[number].box.checked = on;
    if (on) fetchCurves(number); else drawCurves();
  }
  function fetchCurves(number) {
    const state = fetched.get(number) || { stamp: -1, busy: false };
    fetched.set(number, state);
    const stamp = (told.get(`rung.${number}`) || {}).curve;
    if (stamp === undefined || state.busy || (state.stamp === stamp && curves.has(number))) return;
    state.busy = true;
    fetch(`/curves/${key}/${number}`).then((answer) => (answer.ok ? answer.json() : null)).then((found) => {
      if (found && wanted.has(number)) curves.set(number, found);
      state.stamp = found ? found.curve : stamp;
      cancelAnimationFrame(drawing);
      drawing = requestAnimationFrame(drawCurves);
    }).catch(() => {}).finally(() => {
      // At most once a second, however often epochs end.
      setTimeout(() => { state.busy = false; if ((told.get(`rung.${number}`) || {}).curve !== state.stamp && wanted.has(number)) fetchCurves(number); }, 1000);
    });
  }
  function color(number) {
    const place = [...wanted].sort((a, b) => a - b).indexOf(number);
    return [COLORS[isDark() ? "dark" : "light"][place % 8], SHAPES[place % 8]];
  }
  function mark(shape, x, y, fill) {
    const r = 4.2;
    const at = { fill, stroke: fill, "stroke-width": 1.5 };
    if (shape === "circle") return drawn("circle", { cx: x, cy: y, r: r - 0.4, ...at });
    if (shape === "ring") return drawn("circle", { cx: x, cy: y, r: r - 0.4, ...at, fill: "none" });
    const ways = {
      square: `M${x - 3.5} ${y - 3.5}h7v7h-7z`, triangle: `M${x} ${y - r}l${r} ${1.8 * r}h${-2 * r}z`, down: `M${x} ${y + r}l${r} ${-1.8 * r}h${-2 * r}z`,
      diamond: `M${x} ${y - 5}l5 5l-5 5l-5 -5z`, cross: `M${x - r} ${y}h${2 * r}M${x} ${y - r}v${2 * r}`, bar: `M${x} ${y - 5}v10`,
    };
    return drawn("path", { d: ways[shape], ...at });
  }
  function drawCurves() {
    if (!parts) return;
    const shown = [...curves.entries()].filter(([number]) => wanted.has(number)).sort(([a], [b]) => a - b);
    const epochsOf = (one, measure) => [one, ...(one.alone || [])].flatMap((each) => [...xs(each[`watched_${measure}`]), ...xs(each[`train_${measure}`])]);
    const last = Math.max(0, ...shown.flatMap(([, one]) => MEASURES.flatMap((measure) => epochsOf(one, measure))));
    const any = last > 0;
    show(parts.curves, any);
    if (!any) return;
    // As wide as the recipe is long, so that a curve under way grows into its place.
    const planned = Math.max(last, ...shown.map(([number]) => (told.get(`trial.${number}.0`) || [])[3] || 0));
    const at = epoch === null ? last : Math.min(epoch, last);
    parts.slider.max = last;
    if (epoch === null) parts.slider.value = last;
    say(parts.at, `Epoch ${at} of ${last}`);
    // A command may tell of one measure alone.
    const told_of = MEASURES.filter((measure) => shown.some(([, one]) => epochsOf(one, measure).length));
    parts.charts.replaceChildren(...told_of.map((measure) => chart(measure, told.get("head").axes[measure], shown, planned, at, last)));
    const begun = shown.filter(([, one]) => one.n || one.alone.length);
    parts.values.replaceChildren(...begun.map(([number, one]) => {
      const [hue, shape] = color(number);
      const cells = ["watched_accuracy", "train_accuracy", "watched_loss", "train_loss"].map((name) => element("td", { class: "figure" }, one.n ? valueAt(one[name], at) : aloneAt(one.alone, name, at)));
      return element("tr", {}, element("th", { scope: "row" }, drawn("svg", { viewBox: "0 0 26 14", class: "swatch", "aria-hidden": "true" }, drawn("path", { d: "M0 7h26", stroke: hue, "stroke-width": 2 }), mark(shape, 13, 7, hue)), (told.get(`rung.${number}`) || {}).name || ""), ...cells);
    }));
  }
  function xs(curve) { return curve ? curve.x : []; }
  function valueAt(curve, at) {
    const place = curve ? curve.x.indexOf(at) : -1;
    if (place < 0) return "–";
    const [mean, low, high] = [curve.mean[place], curve.low && curve.low[place], curve.high && curve.high[place]];
    return low === undefined || low === high ? `${mean}` : `${mean} [${low}, ${high}]`;
  }
  // Of a rung without a finished seed: what its first trials have.
  function aloneAt(trials, name, at) {
    const found = trials.map((trial) => [trial.seed, valueAt(trial[name], at)]).filter(([, value]) => value !== "–");
    return found.slice(0, 2).map(([seed, value]) => (seed === null ? value : `${value} (seed ${seed})`)).join(", ") || "–";
  }
  function chart(measure, { title, share }, shown, last, at, reached) {
    const width = Math.max(260, Math.min(620, (parts.charts.clientWidth || 600) / (parts.charts.clientWidth > 860 ? 2 : 1) - 28));
    const height = 260, left = 40, right = 12, top = 8, bottom = 30;
    const series = (one) => [[one[`watched_${measure}`], "watched"], [one[`train_${measure}`], "train"]];
    let low = 0, high = 100;
    if (measure === "accuracy" && !share) {
      const all = shown.flatMap(([, one]) => [one, ...one.alone].flatMap((each) => series(each).flatMap(([curve]) => (curve ? [...(curve.low || curve.mean), ...(curve.high || curve.mean)] : []))));
      const room = 0.05 * (Math.max(...all) - Math.min(...all)) || 0.5;
      [low, high] = [Math.min(...all) - room, Math.max(...all) + room];
    } else if (measure === "loss") {
      // Up to what the untrained networks and all means have; one seed that diverges does not stretch the axis.
      high = Math.max(0.01, ...shown.flatMap(([, one]) => series(one).flatMap(([curve]) => (curve ? curve.mean : []))), ...shown.flatMap(([, one]) => one.alone.flatMap((trial) => series(trial).flatMap(([curve]) => (curve ? curve.mean.slice(0, 1) : [])))));
      high *= 1.06;
    }
    const x = (value) => left + (width - left - right) * value / last;
    const y = (value) => height - bottom - (height - top - bottom) * (Math.min(Math.max(value, low), high) - low) / (high - low);
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title} by epoch${told.get("head").alone ? "" : ` of ${shown.length} ${shown.length === 1 ? "rung" : "rungs"}`}; the table below has the figures.` });
    for (const tick of ticks(low, high, 5)) {
      svg.append(drawn("path", { class: "grid", d: `M${left} ${y(tick)}H${width - right}` }), drawn("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(Number(tick.toPrecision(6)))));
    }
    for (const tick of ticks(0, last, 6).filter(Number.isInteger)) svg.append(drawn("text", { x: x(tick), y: height - 10, "text-anchor": "middle" }, String(tick)));
    const line = (curve, attributes) => {
      if (!curve || !curve.x.length) return;
      svg.append(drawn("path", { d: "M" + curve.x.map((value, place) => `${x(value).toFixed(1)} ${y(curve.mean[place]).toFixed(1)}`).join("L"), fill: "none", ...attributes }));
    };
    for (const [number, one] of shown) {
      const [hue, shape] = color(number);
      const watched = one[`watched_${measure}`], train = one[`train_${measure}`];
      const band = watched || train;
      if (band && band.x.length > 1 && one.n > 1) {
        const up = band.x.map((value, place) => `${x(value).toFixed(1)} ${y(band.high[place]).toFixed(1)}`);
        const down = band.x.map((value, place) => `${x(value).toFixed(1)} ${y(band.low[place]).toFixed(1)}`).reverse();
        svg.append(drawn("path", { d: `M${up.join("L")}L${down.join("L")}Z`, fill: hue, opacity: 0.16 }));
      }
      line(train, { stroke: hue, "stroke-width": 1.3, "stroke-dasharray": "2 3" });
      line(watched, { stroke: hue, "stroke-width": 2 });
      for (const trial of one.alone) {
        const dash = trial.state === "x" ? "6 3" : "none";
        if (one.alone.length === 1 && !one.n && trial[`watched_${measure}`]) line(trial[`train_${measure}`], { stroke: hue, "stroke-width": 1.1, opacity: 0.8, "stroke-dasharray": "2 3" });
        line(trial[`watched_${measure}`] || trial[`train_${measure}`], { stroke: hue, "stroke-width": 1.1, opacity: 0.8, "stroke-dasharray": dash });
      }
      const ends = watched && watched.x.length ? watched : train;
      if (ends && ends.x.length) svg.append(mark(shape, x(ends.x.at(-1)), y(ends.mean.at(-1)), hue));
    }
    svg.append(drawn("path", { class: "at", d: `M${x(at)} ${top}V${height - bottom}` }));
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const near = Math.round(last * ((event.clientX - box.left) * width / box.width - left) / (width - left - right));
      const next = Math.min(reached, Math.max(0, near));
      if (next !== epoch) { epoch = next; parts.slider.value = next; cancelAnimationFrame(drawing); drawing = requestAnimationFrame(drawCurves); }
    });
    return element("figure", {}, element("figcaption", {}, title), svg);
  }
  function ticks(low, high, most) {
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(value);
    return found;
  }

  showTheme();
  listen();
})();
