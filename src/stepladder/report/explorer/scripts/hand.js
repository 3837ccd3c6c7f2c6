// A window over a small matrix: what it reads, what it makes of that, and what each choice does to the size.
const SIDES_OF_HAND = { size: [2, 9], kernel: [1, 5], stride: [1, 4], padding: [0, 4], dilation: [1, 3] }; // least and most
const hand = { kind: "conv", ceil: false, at: 0, size: 6, kernel: 3, stride: 1, padding: 0, dilation: 1 };
// A bright block on a dark ground, not all alike; and a kernel that answers to vertical edges.
const numbers = Array.from({ length: 9 }, (_, row) => Array.from({ length: 9 }, (_, column) =>
  (row >= 1 && row <= 4 && column >= 2 && column <= 4 ? 7 : 1) + ((row * 7 + column * 3) % 3)));
const weightsByHand = new Map();

function kernelByHand() {
  const size = hand.kernel;
  if (!weightsByHand.has(size)) {
    const middle = (size - 1) / 2;
    const line = () => Array.from({ length: size }, (_, column) => (size === 1 ? 1 : Math.sign(column - middle)));
    weightsByHand.set(size, Array.from({ length: size }, line));
  }
  return weightsByHand.get(size);
}

// As in the language of lines, where a convolution may not pad more than its reach, nor a pooling more than half a window.
function mostPadding() {
  return hand.kind === "conv" ? hand.dilation * (hand.kernel - 1) : Math.floor(hand.kernel / 2);
}

function handWindow(changes = {}) {
  const all = { ...hand, ...changes };
  const whole = (key) => BigInt(all[key]);
  const conv = all.kind === "conv";
  const [padding, dilation] = [whole("padding"), conv ? whole("dilation") : 1n];
  return makeWindow(whole("kernel"), whole("stride"), dilation, padding, padding, !conv && all.ceil);
}

function handOutputs(changes = {}) {
  return Number(outputSize(handWindow(changes), BigInt(hand.size)));
}

// What the output at a row and column reads: [row, column, tap row, tap column] of each tap; beside the input is padding.
function tapsAt(row, column) {
  const window = handWindow();
  const [stride, dilation] = [Number(window.stride), Number(window.dilation)];
  const taps = [];
  for (let u = 0; u < hand.kernel; u += 1) {
    for (let v = 0; v < hand.kernel; v += 1) {
      taps.push([row * stride - hand.padding + u * dilation, column * stride - hand.padding + v * dilation, u, v]);
    }
  }
  return taps;
}

function inside(row, column) {
  return row >= 0 && row < hand.size && column >= 0 && column < hand.size;
}

// The value of an output, and how it comes about.
function valueAt(row, column) {
  const taps = tapsAt(row, column);
  const signed = (value) => (value < 0 ? `(${short(value)})` : short(value)).replace("-", "−");
  if (hand.kind === "max") {
    const seen = taps.filter(([y, x]) => inside(y, x)).map(([y, x]) => numbers[y][x]);
    return [Math.max(...seen), `the largest of ${seen.map(signed).join(", ")}`];
  }
  if (hand.kind === "mean") {
    // Padding counts as zeros; what a rounded-up window reads beyond the padding does not count, as in PyTorch.
    const end = hand.size + hand.padding;
    const read = taps.filter(([y, x]) => y < end && x < end);
    const values = read.map(([y, x]) => (inside(y, x) ? numbers[y][x] : 0));
    return [values.reduce((sum, one) => sum + one, 0) / read.length, `(${values.map(signed).join(" + ")})/${read.length}`];
  }
  const kernel = kernelByHand();
  const terms = taps.map(([y, x, u, v]) => [inside(y, x) ? numbers[y][x] : 0, kernel[u][v]]);
  return [
    terms.reduce((sum, [value, weight]) => sum + value * weight, 0),
    terms.map(([value, weight]) => `${signed(value)}·${signed(weight)}`).join(" + "),
  ];
}

function short(value) {
  return general(Math.round(value * 1000) / 1000);
}

function drawHand() {
  const conv = hand.kind === "conv";
  hand.padding = Math.min(hand.padding, mostPadding());
  for (const key of Object.keys(SIDES_OF_HAND)) {
    const slider = $(`hand-${key}`);
    if (key === "padding") slider.max = String(Math.max(mostPadding(), 0));
    slider.value = String(hand[key]);
    slider.disabled = key === "padding" && mostPadding() === 0;
    const square = ["size", "kernel"].includes(key);
    document.querySelector(`output[for="hand-${key}"]`).textContent = square ? `${hand[key]}×${hand[key]}` : String(hand[key]);
  }
  $("hand-kind").value = hand.kind;
  $("hand-ceil").checked = hand.ceil;
  $("hand-dilation-label").hidden = !conv;
  $("hand-ceil-label").hidden = conv;
  $("hand-kernel-figure").hidden = !conv;
  $("hand-matrix").hidden = !conv;
  const outputs = Math.max(0, handOutputs());
  hand.at = Math.max(0, Math.min(outputs * outputs - 1, hand.at));
  drawFormula(outputs);
  drawInput(outputs);
  if (conv) drawKernel();
  drawOutput(outputs);
  drawChoices();
  if (conv && outputs) drawMatrices(outputs);
  if (!outputs) $("hand-matrix").hidden = true;
}

function drawFormula(outputs) {
  const [window, size] = [handWindow(), BigInt(hand.size)];
  if (!outputs) {
    $("hand-formula").textContent = `The window reaches over ${window.extent} pixels, and the padded input has `
      + `${hand.size + 2 * hand.padding}: no place fits it. Use a larger input, a smaller kernel or more padding.`;
    return;
  }
  const effect = outputs === hand.size ? "the size stays" : 2 * outputs === hand.size ? "half the size"
    : outputs < hand.size ? `${hand.size - outputs} fewer than the input` : `${outputs - hand.size} more than the input`;
  const lost = Number(unread(window, size));
  $("hand-formula").textContent = `Output size: ${sizeWorking(size, window, BigInt(outputs))} rows and columns: ${effect}`
    + `${lost ? `; the last ${lost === 1 ? "row and column are" : `${lost} rows and columns are`} never read` : ""}.`;
}

function drawInput(outputs) {
  const [row, column] = [Math.floor(hand.at / Math.max(1, outputs)), hand.at % Math.max(1, outputs)];
  const read = new Set(outputs ? tapsAt(row, column).map(([y, x]) => `${y},${x}`) : []);
  const window = handWindow();
  const reached = outputs ? Number((BigInt(outputs) - 1n) * window.stride + window.extent) - hand.padding : 0;
  const end = Math.max(hand.size + hand.padding, reached);
  const lines = [];
  for (let y = -hand.padding; y < end; y += 1) {
    const cells = [];
    for (let x = -hand.padding; x < end; x += 1) {
      const mark = read.has(`${y},${x}`) ? " read" : "";
      if (!inside(y, x)) {
        const beyond = y >= hand.size + hand.padding || x >= hand.size + hand.padding;
        cells.push(make("td", { class: `padding${mark}` }, beyond || hand.kind === "max" ? "·" : "0"));
        continue;
      }
      cells.push(make("td", { class: mark.trim() }, cellInput(numbers[y], x, `row ${y + 1}, column ${x + 1}`, `n${y}-${x}`)));
    }
    lines.push(make("tr", {}, ...cells));
  }
  keepFocus($("hand-input"), lines);
  $("hand-input-caption").textContent = `Input ${hand.size}×${hand.size}${hand.padding ? `, with ${hand.padding} of padding` : ""}`;
}

function drawKernel() {
  const kernel = kernelByHand();
  keepFocus($("hand-kernel-cells"), kernel.map((line, u) => make("tr", {}, ...line.map((_, v) =>
    make("td", {}, cellInput(line, v, `weight ${u + 1}, ${v + 1}`, `w${u}-${v}`))))));
  $("hand-kernel-caption").textContent = `Kernel ${hand.kernel}×${hand.kernel}${hand.dilation > 1 ? `, taps ${hand.dilation} apart` : ""}`;
}

function cellInput(line, at, label, id) {
  const value = short(line[at]).replace("-", "−");
  const input = make("input", { type: "text", inputmode: "decimal", "aria-label": label, id, value, autocomplete: "off" });
  input.addEventListener("change", () => {
    const typed = Number(input.value.replace("−", "-").replace(",", "."));
    if (input.value.trim() && Number.isFinite(typed) && Math.abs(typed) < 1e6) line[at] = typed;
    drawHand();
  });
  return input;
}

// Put new rows into a table, and the cursor back where it was.
function keepFocus(table, rows) {
  const { activeElement: focused } = document;
  const id = focused && table.contains(focused) ? focused.id : "";
  table.replaceChildren(make("tbody", {}, ...rows));
  if (id && $(id)) $(id).focus();
}

function drawOutput(outputs) {
  const lines = [];
  for (let row = 0; row < outputs; row += 1) {
    const cells = [];
    for (let column = 0; column < outputs; column += 1) {
      const at = row * outputs + column;
      const value = short(valueAt(row, column)[0]).replace("-", "−");
      const button = make("button", {
        type: "button", id: `o${row}-${column}`, "aria-pressed": String(at === hand.at), "aria-label": `output ${row + 1}, ${column + 1}: ${value}`,
      }, value);
      button.addEventListener("click", () => {
        hand.at = at;
        drawHand();
        remember();
      });
      cells.push(make("td", { class: at === hand.at ? "made" : "" }, button));
    }
    lines.push(make("tr", {}, ...cells));
  }
  keepFocus($("hand-output"), lines);
  $("hand-output-caption").textContent = outputs ? `Output ${outputs}×${outputs}` : "No output";
  if (!outputs) {
    $("hand-working").textContent = "";
    return;
  }
  const [row, column] = [Math.floor(hand.at / outputs), hand.at % outputs];
  const [value, working] = valueAt(row, column);
  $("hand-working").textContent = `Output ${row + 1}, ${column + 1}: ${working} = ${short(value).replace("-", "−")}`;
}

// How large the output would be with each padding, each stride.
function drawChoices() {
  const row = (word, key, values) => make("tr", {}, make("th", { scope: "row" }, word), ...values.map((value) => {
    const outputs = handOutputs({ [key]: value });
    const button = make("button", { type: "button", "aria-pressed": String(hand[key] === value), id: `choice-${key}-${value}` },
      `${value}: ${outputs || "none"}`);
    button.addEventListener("click", () => {
      hand[key] = value;
      drawHand();
      remember();
    });
    return make("td", { class: outputs === hand.size ? "same" : "" }, button);
  }));
  const upTo = (least, most) => Array.from({ length: most - least + 1 }, (_, at) => least + at);
  keepFocus($("hand-choices"), [
    row("padding: output", "padding", upTo(0, Math.min(4, mostPadding()))),
    row("stride: output", "stride", upTo(1, 4)),
  ]);
}

function drawMatrices(outputs) {
  const inputs = hand.size * hand.size;
  const count = outputs * outputs;
  const taps = hand.kernel * hand.kernel;
  const read = (at) => tapsAt(Math.floor(at / outputs), at % outputs).filter(([y, x]) => inside(y, x));
  const positions = Array.from({ length: count }, (_, at) => read(at));
  // Shared weights have few colors, and one color is one weight; others have one each, as far as colors go.
  const light = isDark() ? 62 : 45;
  const shared = (u, v) => `hsl(${(360 * (u * hand.kernel + v)) / taps} 70% ${light}%)`;
  const own = (number, row) => `hsl(${(number * 137.5) % 360} ${40 + ((row * 29) % 45)}% ${light - 12 + ((number * 17) % 24)}%)`;
  const pictured = (id, paint) => {
    const canvas = $(id);
    const width = Math.max(140, Math.min(300, canvas.parentElement.clientWidth - 24));
    const cell = width / Math.max(inputs, count);
    const side = Math.max(0.7, cell > 4 ? cell - 0.5 : cell);
    const pen = prepare(canvas, cell * inputs, cell * count);
    pen.fillStyle = color("soft");
    pen.fillRect(0, 0, cell * inputs, cell * count);
    paint((row, column, style) => {
      pen.fillStyle = style;
      pen.fillRect(column * cell, row * cell, side, side);
    });
  };
  const each = (paint) => positions.forEach((taken, row) => taken.forEach(([y, x, u, v]) => paint(row, y * hand.size + x, u, v)));
  pictured("matrix-shared", (cell) => each((row, column, u, v) => cell(row, column, shared(u, v))));
  pictured("matrix-local", (cell) => each((row, column, u, v) => cell(row, column, own(row * taps + u * hand.kernel + v, row))));
  pictured("matrix-full", (cell) => {
    for (let row = 0; row < count; row += 1) {
      for (let column = 0; column < inputs; column += 1) cell(row, column, own(row * inputs + column, row));
    }
  });
  $("matrix-shared-caption").textContent = `Convolution: ${taps} weights, each used at up to ${count} positions`;
  $("matrix-local-caption").textContent = `Locally connected: ${taps} · ${count} = ${grouped(taps * count)} weights, none shared`;
  $("matrix-full-caption").textContent = `Fully connected: ${inputs} · ${count} = ${grouped(inputs * count)} weights, none zero`;
}

function handAddress() {
  return [hand.kind, hand.size, hand.kernel, hand.stride, hand.padding, hand.dilation, hand.ceil ? 1 : 0].join(",");
}

function readHand(text) {
  const found = text.match(/^(conv|max|mean),(\d),(\d),(\d),(\d),(\d),([01])$/);
  if (!found) return;
  hand.kind = found[1];
  Object.entries(SIDES_OF_HAND).forEach(([key, [least, most]], at) => {
    hand[key] = Math.max(least, Math.min(most, Number(found[2 + at])));
  });
  hand.ceil = found[7] === "1";
}

function setHand(changes) {
  Object.assign(hand, { at: 0 }, changes);
  drawHand();
  remember();
}

let playing = 0;
function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => moveBy(1), 900) : 0;
  $("hand-play").setAttribute("aria-pressed", String(on));
  $("hand-play").textContent = on ? "Pause" : "Play";
}

function moveBy(step) {
  const count = Math.max(1, handOutputs() ** 2);
  hand.at = (hand.at + step + count) % count;
  drawHand();
}

function listenToHand() {
  for (const key of Object.keys(SIDES_OF_HAND)) {
    $(`hand-${key}`).addEventListener("input", () => setHand({ [key]: Number($(`hand-${key}`).value), at: hand.at }));
  }
  $("hand-kind").addEventListener("change", () => setHand({ kind: $("hand-kind").value }));
  $("hand-ceil").addEventListener("change", () => setHand({ ceil: $("hand-ceil").checked }));
  $("hand-back").addEventListener("click", () => moveBy(-1));
  $("hand-next").addEventListener("click", () => moveBy(1));
  $("hand-play").addEventListener("click", () => play(!playing));
  $("hand-keep").addEventListener("click", () => {
    const odd = hand.kernel % 2 ? hand.kernel : Math.max(1, hand.kernel - 1); // an even kernel needs half a pixel of padding
    setHand({ kernel: odd, stride: 1, ceil: false, padding: ((odd - 1) / 2) * (hand.kind === "conv" ? hand.dilation : 1) });
  });
  $("hand-halve").addEventListener("click", () => {
    setHand({ kernel: 2, stride: 2, padding: 0, dilation: 1, ceil: false, size: hand.size % 2 ? hand.size - 1 : hand.size });
  });
}
