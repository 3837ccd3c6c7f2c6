// The network to scale, the table of its layers, and the workings of the chosen one.
const TALL = 130; // CSS pixels of the tallest map
const SLANT = 0.32; // of a pixel's height, along the slanted axis, right and up
const THICK = 76; // of the layer with most channels
const SQUARE = 84; // the side of the largest square of weights

// The image and every layer that has weights or changes the shape; the weights of a norm go to its layer.
function slabsOf() {
  const slabs = [{ name: "input", shape: found.input.map(Number), weights: 0n, layer: null }];
  for (const cost of found.costs) {
    const shape = cost.output.map(Number);
    const heavy = ["conv", "depthwise_conv", "locally_connected", "linear"].includes(cost.layer.kind);
    const last = slabs[slabs.length - 1];
    if (heavy || (cost.output.length === 1 && cost.input.length === 3) || String(shape) !== String(last.shape)) {
      slabs.push({ name: cost.layer.name, shape, weights: cost.weights, layer: cost.layer.name });
    } else last.weights += cost.weights;
  }
  return slabs;
}

function drawNetwork() {
  const slabs = slabsOf();
  const maps = slabs.filter((slab) => slab.shape.length === 3);
  const pixel = TALL / Math.max(...maps.flatMap((slab) => slab.shape.slice(1)));
  const channel = THICK / Math.max(...maps.map((slab) => slab.shape[0]));
  const longest = Math.max(1, ...slabs.filter((slab) => slab.shape.length === 1).map((slab) => slab.shape[0]));
  const most = Math.max(1, ...slabs.map((slab) => Number(slab.weights)));
  const floor = 14 + TALL * (1 + SLANT);
  const told = `The network to scale: ${slabs.length - 1} layers, ${grouped(found.weights)} weights`;
  const svg = makeSvg("svg", { role: "img", "aria-label": told, class: "network" });
  let x = 10;
  for (const slab of slabs) {
    const flat = slab.shape.length === 1;
    const [thick, tall, depth] = flat ? [6, Math.max(3, (TALL * slab.shape[0]) / longest), 0]
      : [Math.max(1.5, slab.shape[0] * channel), slab.shape[1] * pixel, slab.shape[2] * pixel * SLANT];
    const side = SQUARE * Math.sqrt(Number(slab.weights) / most);
    const labels = [slab.name, slab.shape.map((one) => grouped(one)).join("×"), slab.weights ? grouped(slab.weights) : ""];
    const width = Math.max(thick + depth, side, ...labels.map((label) => label.length * 7.2), 34);
    const left = x + (width - thick - depth) / 2;
    const kind = slab.layer === null ? "image" : flat ? "row" : "map";
    const points = (corners) => corners.map(([across, up]) => `${(left + across).toFixed(2)},${(floor - up).toFixed(2)}`).join(" ");
    const chosen = slab.layer !== null && slab.layer === state.layer ? " chosen" : "";
    const group = makeSvg("g", { class: `slab ${kind}${chosen}`, "data-layer": slab.layer },
      makeSvg("rect", { x, y: 0, width, height: floor + 64 + SQUARE, class: "back" }),
      makeSvg("polygon", { points: points([[0, 0], [thick, 0], [thick, tall], [0, tall]]), class: "front" }),
      makeSvg("polygon", { points: points([[thick, 0], [thick + depth, depth], [thick + depth, tall + depth], [thick, tall]]), class: "side" }),
      makeSvg("polygon", { points: points([[0, tall], [thick, tall], [thick + depth, tall + depth], [depth, tall + depth]]), class: "top" }));
    labels.forEach((label, at) => {
      const y = at < 2 ? floor + 18 + 15 * at : floor + 56 + side;
      if (label) group.append(makeSvg("text", { x: x + width / 2, y, class: ["name", "shape", "count"][at] }, label));
    });
    if (slab.weights) {
      group.append(makeSvg("rect", { x: x + (width - side) / 2, y: floor + 42, width: side, height: side, class: "weights" }));
    }
    if (slab.layer !== null) group.addEventListener("click", () => choose(slab.layer));
    svg.append(group);
    x += width + 12;
  }
  const height = floor + 64 + SQUARE;
  fill(svg, { viewBox: `0 0 ${x} ${height}`, width: x, height }, []);
  $("drawing").replaceChildren(svg);
}

function fieldTexts([rows, columns]) {
  const text = (value) => general(value).replace("-", "−");
  const center = [centerOf(rows), centerOf(columns)];
  return [
    rows.size === columns.size ? `${rows.size}` : `${rows.size}×${columns.size}`,
    rows.jump === null ? "–" : `${rows.jump}`,
    center[0] === center[1] ? text(center[0]) : `${text(center[0])}, ${text(center[1])}`,
  ];
}

function drawTable() {
  const figure = (text) => make("td", { class: "figure" }, text);
  const image = make("tr", { class: "light" }, make("th", { scope: "row" }, "input"), make("td", {}, "the image"),
    ...[found.input.join("×"), "", "", "1", "1", "0", megabytes(found.inputMemory)].map(figure));
  const rows = found.costs.map((cost, at) => {
    const button = make("button", { type: "button", class: "row", "aria-pressed": String(cost.layer.name === state.layer) }, cost.layer.name);
    button.addEventListener("click", () => {
      choose(cost.layer.name);
      [...document.querySelectorAll("#table button.row")].find((one) => one.textContent === cost.layer.name).focus();
    });
    const memory = found.memories[at];
    const deep = cost.number.split(".").length - 1;
    const head = make("th", { scope: "row" }, button);
    head.style.paddingLeft = `${0.6 + 0.7 * deep}rem`;
    return make("tr", { class: `${cost.weights ? "" : "light"}${cost.layer.name === state.layer ? " chosen" : ""}` },
      head, make("td", {}, describeLayer(cost)),
      ...[cost.output.map(grouped).join("×"), cost.weights ? grouped(cost.weights) : "", cost.macs ? shortMacs(cost.macs) : "",
        ...fieldTexts(found.fields.get(cost.layer.name)[1]), memory ? megabytes(memory) : ""].map(figure));
  });
  document.querySelector("#table tbody").replaceChildren(image, ...rows);
  document.querySelector("#table tfoot").replaceChildren(make("tr", {}, make("th", { scope: "row" }, "total"), make("td"),
    ...["", grouped(found.weights), shortMacs(found.macs), "", "", "", megabytes(found.memory)].map(figure)));
}

function drawWorkings() {
  const cost = costNamed(state.layer);
  const at = found.costs.indexOf(cost);
  const workings = explainLayer(cost, found.fields.get(cost.layer.name));
  if (found.memories[at]) workings.push(explainMemory(cost.output, found.batch, found.bytes));
  $("workings").replaceChildren(
    make("h3", {}, `${cost.layer.name}: ${describeLayer(cost)}`),
    make("dl", {}, ...workings.map(([word, working]) => make("div", {}, make("dt", {}, word), make("dd", {}, working)))),
    ...(workings.length ? [] : [make("p", {}, "It changes no size and has no weights.")]));
}

draws.push(drawNetwork, drawTable, drawWorkings);
