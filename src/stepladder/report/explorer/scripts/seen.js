// The receptive field of one output, on a picture; exactly the pixels that it depends on, borders known.
const pictures = []; // {label, source}: what a canvas draws, or null for the pattern
const measured = new Map(); // effective fields of the network that the page began with, a picture each

function pattern(pen, width, height) {
  // A drawing in place of an image: rings and a slope, so that each place is told from its neighbors.
  const image = pen.createImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [u, v] = [x / Math.max(1, width - 1), y / Math.max(1, height - 1)];
      const ring = 0.5 + 0.5 * Math.cos(14 * Math.hypot(u - 0.4, v - 0.45));
      image.data.set([70 + 150 * u * ring, 90 + 110 * (1 - v) * ring, 110 + 120 * v, 255], 4 * (y * width + x));
    }
  }
  pen.putImageData(image, 0, 0);
}

function addPicture(label, source) {
  pictures.push({ label, source });
  $("picture").replaceChildren(...pictures.map((one, at) => make("option", { value: at }, one.label)));
  $("picture").value = String(state.picture);
}

const FINEST = 512; // pixels of a side that are drawn one by one; more would be finer than the screen

// So many rows and columns of maps or images as are drawn.
function drawable(sizes) {
  const share = Math.min(1, FINEST / Math.max(...sizes));
  return sizes.map((size) => Math.max(1, Math.round(size * share)));
}

// The picture at the size that the network reads: a small canvas, a pixel a pixel; gray where it reads one channel.
function pictureAt(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const { source } = pictures[state.picture] || pictures[0];
  if (source === null) pattern(pen, width, height);
  else {
    pen.imageSmoothingEnabled = source.width > width;
    pen.drawImage(source, 0, 0, width, height);
  }
  if (found.input[0] === 1n) {
    const image = pen.getImageData(0, 0, width, height);
    for (let at = 0; at < image.data.length; at += 4) {
      const gray = 0.299 * image.data[at] + 0.587 * image.data[at + 1] + 0.114 * image.data[at + 2];
      image.data.fill(gray, at, at + 3);
    }
    pen.putImageData(image, 0, 0);
  }
  return canvas;
}

function placeOf(cost) {
  const sizes = cost.output.length === 3 ? cost.output.slice(1).map(Number) : [1, 1];
  const at = state.at || sizes.map((size) => Math.floor(size / 2));
  return { sizes, at: at.map((one, axis) => Math.max(0, Math.min(sizes[axis] - 1, one))) };
}

function drawSeen() {
  const cost = costNamed(state.layer);
  const { sizes, at } = placeOf(cost);
  const [height, width] = found.input.slice(1).map(Number);
  const fields = found.fields.get(cost.layer.name)[1];
  const trail = [];
  const exact = pixelsBehind(found.layers, found.costs, cost.layer.name, at, trail);
  const spans = fields.map((field, axis) => {
    const first = Number(field.start) + at[axis] * Number(field.jump ?? 0n);
    return [first, first + Number(field.size) - 1];
  });
  const [rowsDrawn, columnsDrawn] = drawable([height, width]);
  const picture = pictureAt(columnsDrawn, rowsDrawn);
  drawMap(picture, cost, sizes, at);
  const effective = effectiveOf(cost, sizes, at);
  drawField(picture, [height, width], spans, exact, effective);
  drawTrail(cost, at, trail);
  const [rows, columns] = exact.map((axis) => [...axis].sort((one, other) => one - other));
  $("map-caption").textContent = cost.output.length === 3 ? `Output of ${cost.layer.name}: ${sizes[0]}×${sizes[1]} positions`
    : `Output of ${cost.layer.name}: ${formatShape(cost.output)}, all alike`;
  $("field-caption").textContent = `The image, ${height}×${width}`;
  for (const [axis, id] of ["row", "column"].entries()) {
    Object.assign($(id), { max: sizes[axis], disabled: sizes[axis] === 1 });
    $(id).value = String(at[axis] + 1);
    $(`${id}-shown`).textContent = `${at[axis] + 1} of ${sizes[axis]}`;
  }
  const goes = effective ? ` By gradients it goes by about ${effective.size}×${effective.size} of them; the clearer a pixel, the more. `
    + data.effective.note : "";
  $("seen-words").textContent = seenWords(cost, at, spans, rows, columns, [height, width]) + goes;
  const wanted = found.costs.map((one) => one.layer.name);
  if (wanted.join() !== [...$("seen-layer").options].map((one) => one.value).join()) {
    $("seen-layer").replaceChildren(...wanted.map((name) => make("option", { value: name }, name)));
  }
  $("seen-layer").value = state.layer;
}

function seenWords(cost, at, spans, rows, columns, [height, width]) {
  const who = cost.output.length === 3
    ? `Row ${at[0] + 1}, column ${at[1] + 1} of ${cost.layer.name}` : `Each value of ${cost.layer.name}`;
  if (!rows.length || !columns.length) return `${who} depends on no pixel: it sees nothing but padding.`;
  const range = (list, word) => (list.length === 1 ? `${word} ${list[0] + 1}` : `${word}s ${list[0] + 1} to ${list[list.length - 1] + 1}`);
  const [tall, wide] = spans.map(([first, last]) => last - first + 1);
  const inside = [rows, columns].map((list) => list[list.length - 1] - list[0] + 1);
  const gaps = rows.length < inside[0] || columns.length < inside[1];
  const share = percent((rows.length * columns.length) / (height * width));
  let words = `${who} sees ${tall}×${wide} pixels: ${range(rows, "row")}, ${range(columns, "column")} of the image, counted from 1`;
  words += gaps ? `, of which it reads ${rows.length}×${columns.length}` : "";
  words += `; ${share} of it.`;
  if (tall > inside[0] || wide > inside[1]) {
    words += ` ${inside[0]}×${inside[1]} of its field lie in the image; the rest is padding, or a row that nothing reads.`;
  }
  return words;
}

// The measured field, where it is asked for, and the network is still the one that it was measured of.
function effectiveOf(cost, sizes, at) {
  const same = state.line === data.start.line && state.input === data.start.input;
  const field = same ? measured.get(cost.layer.name) : undefined;
  $("effective-label").hidden = !field;
  const central = at.every((one, axis) => one === Math.floor(sizes[axis] / 2));
  if (!field || !central) $("effective").checked = false;
  return field && $("effective").checked ? field : null;
}

// The way back from the chosen output to the image: at the input of each layer, what the output depends on.
const MOST_STEPS = 14;
function drawTrail(cost, at, trail) {
  const steps = [{ name: cost.layer.name, shape: cost.output, seen: at.map((one) => new Set([one])) }];
  for (const [layer, seen] of trail) {
    const shape = costNamed(layer.name).input;
    const before = steps[steps.length - 1];
    const name = layer === found.layers[0] ? "image" : found.layers[found.layers.indexOf(layer) - 1].name;
    if (shape.length !== 3) continue;
    if (String(shape) === String(before.shape) && seen.every((axis, way) => axis.size === before.seen[way].size)) {
      if (name === "image") before.name = `${before.name}, image`;
      continue; // an activation or a norm
    }
    steps.push({ name, shape, seen });
  }
  const kept = steps.length <= MOST_STEPS ? steps : [...steps.slice(0, MOST_STEPS - 1), steps[steps.length - 1]];
  const most = Math.max(...kept.filter((step) => step.shape.length === 3).flatMap((step) => step.shape.slice(1).map(Number)));
  $("trail").replaceChildren(...kept.map(({ name, shape, seen }) => {
    const flat = shape.length !== 3;
    const [rows, columns] = flat ? [1, 1] : shape.slice(1).map(Number);
    const [tall, wide] = seen.map((axis) => axis.size);
    const scale = 84 / most;
    const range = (axis) => (axis.size ? [Math.min(...axis), Math.max(...axis)] : [0, -1]);
    const [[top, bottom], [left, right]] = seen.map(range);
    const box = makeSvg("svg", { viewBox: "0 0 90 90", width: 90, height: 90, "aria-hidden": "true" });
    const [height, width] = [Math.max(4, rows * scale), Math.max(4, columns * scale)];
    const [x, y] = [(90 - width) / 2, (90 - height) / 2];
    box.append(makeSvg("rect", { x, y, width, height, class: "whole" }), makeSvg("rect", {
      x: x + (left * width) / columns,
      y: y + (top * height) / rows,
      width: Math.max(1.5, ((right - left + 1) * width) / columns),
      height: Math.max(1.5, ((bottom - top + 1) * height) / rows),
      class: "part",
    }));
    return make("li", {}, box, make("strong", {}, name),
      make("span", {}, flat ? "one value" : `${tall}×${wide} of ${rows}×${columns}`));
  }));
}

function canvasWidth(canvas) {
  return Math.max(200, Math.min(420, canvas.parentElement.clientWidth - 24));
}

function drawMap(picture, cost, sizes, at) {
  const canvas = $("map");
  const width = canvasWidth(canvas);
  const cell = width / Math.max(...sizes);
  const pen = prepare(canvas, cell * sizes[1], cell * sizes[0]);
  const small = document.createElement("canvas");
  [small.height, small.width] = drawable(sizes);
  small.getContext("2d").drawImage(picture, 0, 0, small.width, small.height);
  pen.imageSmoothingEnabled = false;
  pen.globalAlpha = 0.45; // only where on the image each output stands; it holds no such values
  pen.drawImage(small, 0, 0, cell * sizes[1], cell * sizes[0]);
  pen.globalAlpha = 1;
  drawLines(pen, sizes, cell, 0, 0);
  pen.lineWidth = 3;
  pen.strokeStyle = color("train");
  pen.fillStyle = color("train");
  const side = Math.max(cell, 5);
  pen.fillRect((at[1] + 0.5) * cell - side / 2, (at[0] + 0.5) * cell - side / 2, side, side);
  canvas.dataset.rows = sizes[0];
  canvas.dataset.columns = sizes[1];
}

function drawLines(pen, [rows, columns], cell, left, top) {
  if (cell < 5) return;
  pen.strokeStyle = color("line");
  pen.lineWidth = 1;
  pen.beginPath();
  for (let row = 0; row <= rows; row += 1) {
    pen.moveTo(left, top + row * cell);
    pen.lineTo(left + columns * cell, top + row * cell);
  }
  for (let column = 0; column <= columns; column += 1) {
    pen.moveTo(left + column * cell, top);
    pen.lineTo(left + column * cell, top + rows * cell);
  }
  pen.stroke();
}

function drawField(picture, sizes, spans, exact, effective) {
  const canvas = $("field");
  const total = canvasWidth(canvas);
  const reach = sizes.map((size, axis) => [Math.max(0, -spans[axis][0]), Math.max(0, spans[axis][1] - size + 1)]);
  const whole = sizes.map((size, axis) => size + reach[axis][0] + reach[axis][1]);
  const cell = (total - 8) / Math.max(...whole);
  const pen = prepare(canvas, cell * whole[1] + 8, cell * whole[0] + 8);
  const [top, left] = reach.map(([before]) => 4 + before * cell);
  pen.fillStyle = color("soft");
  pen.fillRect(0, 0, cell * whole[1] + 8, cell * whole[0] + 8);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(picture, left, top, cell * sizes[1], cell * sizes[0]);
  const drawn = drawable(sizes);
  const seen = exact.map((pixels, axis) =>
    Array.from({ length: drawn[axis] }, (_, at) => pixels.has(Math.floor(((at + 0.5) * sizes[axis]) / drawn[axis]))));
  const thickness = effective ? effectiveVeil(effective.image, drawn) : (row, column) => (seen[0][row] && seen[1][column] ? 0 : 184);
  drawVeil(pen, thickness, drawn, [left, top, cell * sizes[1], cell * sizes[0]]);
  if (cell >= 8) drawLines(pen, sizes, cell, left, top);
  pen.strokeStyle = color("muted");
  pen.lineWidth = 1;
  pen.strokeRect(left, top, sizes[1] * cell, sizes[0] * cell);
  pen.strokeStyle = color("train");
  pen.lineWidth = 3;
  const [tall, wide] = spans.map(([first, last]) => (last - first + 1) * cell);
  pen.strokeRect(left + spans[1][0] * cell, top + spans[0][0] * cell, wide, tall);
}

// What an output does not see lies under a veil in the color of the page, a pixel as thick as it is told: 0 to 255.
function drawVeil(pen, thickness, [rows, columns], place) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  const small = canvas.getContext("2d", { willReadFrequently: true });
  small.fillStyle = color("page");
  small.fillRect(0, 0, columns, rows);
  const veil = small.getImageData(0, 0, columns, rows);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) veil.data[4 * (row * columns + column) + 3] = thickness(row, column);
  }
  small.putImageData(veil, 0, 0);
  pen.drawImage(canvas, ...place);
}

// Of a measured field: the larger the gradient, the thinner.
function effectiveVeil(image, [rows, columns]) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0, columns, rows);
  const levels = pen.getImageData(0, 0, columns, rows).data;
  return (row, column) => 0.92 * (255 - levels[4 * (row * columns + column)]);
}

function listenForPlaces() {
  const map = $("map");
  const follow = (event) => {
    if (event.type === "pointermove" && event.pointerType !== "mouse" && !event.buttons) return;
    const box = map.getBoundingClientRect();
    const { sizes } = placeOf(costNamed(state.layer));
    const at = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width]
      .map((share, axis) => Math.max(0, Math.min(sizes[axis] - 1, Math.floor(share * sizes[axis]))));
    if (state.at && at.join() === state.at.join()) return;
    state.at = at;
    drawSeen();
    remember();
  };
  map.addEventListener("pointermove", follow);
  map.addEventListener("pointerdown", follow);
  for (const [axis, id] of ["row", "column"].entries()) {
    $(id).addEventListener("input", () => {
      const { at } = placeOf(costNamed(state.layer));
      at[axis] = Number($(id).value) - 1;
      state.at = at;
      drawSeen();
      remember();
    });
  }
  $("effective").addEventListener("change", () => {
    if ($("effective").checked) state.at = null; // it was measured of the middle output
    drawSeen();
  });
  $("seen-layer").addEventListener("change", () => choose($("seen-layer").value));
  $("picture").addEventListener("change", () => {
    state.picture = Number($("picture").value);
    drawSeen();
  });
  $("own-picture").addEventListener("change", async () => {
    const [file] = $("own-picture").files;
    if (!file) return;
    try {
      const source = await createImageBitmap(file);
      state.picture = pictures.length;
      addPicture(file.name, source);
      drawSeen();
    } catch {
      $("seen-words").textContent = `${file.name} is no picture that this browser reads; choose a PNG or JPEG file.`;
    }
  });
}

async function loadPictures() {
  for (const { label, uri } of data.images) {
    const image = new Image();
    image.src = uri;
    await image.decode();
    addPicture(label, image);
  }
  addPicture("a drawn pattern", null);
  for (const [name, { uri, size }] of Object.entries(data.effective ? data.effective.fields : {})) {
    const image = new Image();
    image.src = uri;
    await image.decode();
    measured.set(name, { image, size });
  }
}

draws.push(drawSeen);
