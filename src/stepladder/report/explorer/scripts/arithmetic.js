// What each layer puts out, costs and sees, as stepladder/network/{arithmetic,receptive_field,sizes,inspection}.py have it.
// Shapes, weights and multiply-accumulates are BigInts; positions in a map are Numbers.

class LayerError extends Error {
  constructor(sentence, layer = null) {
    super(sentence);
    this.layer = layer; // the name of the layer that it is about
  }
}

const FARTHEST = 4096; // how far the search for sizes that fit goes
const LARGEST_SIDE = 2 ** 16;

const product = (factors) => factors.reduce((all, one) => all * one, 1n);
const larger = (one, other) => (one > other ? one : other);
const smaller = (one, other) => (one < other ? one : other);
const lessPart = (value, step) => (value + step - 1n) / step; // of values above zero: rounded up

function formatShape(shape) {
  return shape.join("×") + (shape.length === 1 ? " values" : "");
}

// Return [C, H, W] of a text such as 3x32x32; throw the sentence of what is wrong with it.
function parseInput(text) {
  const figures = text.split(/[x×X*,]/).map((figure) => figure.trim());
  const wanted = "channels, height and width in this order, as 3x32x32 for color or 1x28x28 for gray";
  const given = `the input is '${text}'`;
  if (!figures.every((figure) => /^[0-9]{1,9}$/.test(figure))) throw new LayerError(`${given}; write ${wanted}`);
  const sizes = figures.map(Number);
  if (sizes.length !== 3) {
    const hint = sizes.length === 2 && sizes[0] > 4
      ? `; for color images of ${sizes[0]}×${sizes[1]} that is 3x${sizes[0]}x${sizes[1]}` : "";
    throw new LayerError(`${given}, ${sizes.length} figure${sizes.length === 1 ? "" : "s"}; write ${wanted}${hint}`);
  }
  const [channels, height, width] = sizes;
  if (channels > 4 && width <= 4) {
    throw new LayerError(`${given}, which has the channels last; write ${wanted}: here ${width}x${channels}x${height}`);
  }
  if (!sizes.every((size) => size >= 1 && size <= LARGEST_SIDE)) {
    throw new LayerError(`${given}; each figure must be 1 to ${LARGEST_SIDE.toLocaleString("en")}`);
  }
  return sizes.map(BigInt);
}

// How a layer reads one axis of its input: taps, steps, and padding before the first pixel and behind the last.
function makeWindow(kernel, stride = 1n, dilation = 1n, before = 0n, after = 0n, ceil = false) {
  return { kernel, stride, dilation, before, after, ceil, extent: dilation * (kernel - 1n) + 1n };
}

// ⌊(size + padding − extent) / stride⌋ + 1; 0 where nothing fits. With `ceil` rounded up, less a window that would start
// beyond the map.
function outputSize(window, size) {
  const room = size + window.before + window.after - window.extent + (window.ceil ? window.stride - 1n : 0n);
  if (room < 0n) return 0n;
  const windows = room / window.stride + 1n;
  return window.ceil && (windows - 1n) * window.stride >= size + window.before ? windows - 1n : windows;
}

// Pixels at the end of an axis that no window reaches.
function unread(window, size) {
  return larger(0n, size - ((outputSize(window, size) - 1n) * window.stride + window.extent - window.before));
}

// How a layer reads rows and columns; null where no window slides.
function windowsOf(layer, sizes) {
  if (["conv", "depthwise_conv", "locally_connected"].includes(layer.kind)) {
    return sizes.map((size, axis) => {
      const window = makeWindow(both(layer.kernel_size)[axis], layer.stride, layer.dilation);
      let before = 0n;
      let after = 0n;
      if (layer.padding === "same") {
        const total = larger(0n, (lessPart(size, layer.stride) - 1n) * layer.stride + window.extent - size);
        [before, after] = [total / 2n, total - total / 2n];
      } else {
        before = after = both(layer.padding)[axis];
      }
      return { ...window, before, after };
    });
  }
  if (layer.kind === "max_pool" || layer.kind === "avg_pool") {
    const window = makeWindow(layer.kernel_size, layer.stride, 1n, layer.padding, layer.padding, layer.ceil_mode);
    return [window, window];
  }
  if (layer.kind === "pad") {
    return sizes.map((size) => {
      const missing = larger(0n, layer.size - size);
      return makeWindow(1n, 1n, 1n, missing / 2n, missing - missing / 2n);
    });
  }
  return null;
}

// Work out every layer for images of `input` ([C, H, W]): a cost a layer, those within a layer before its own.
function traceNetwork(layers, input, classes) {
  if (input.some((size) => size < 1n)) {
    throw new LayerError(`the images are ${formatShape(input)}; channels, height and width must be at least 1`);
  }
  const costs = traceLayers(layers, input, classes, "");
  const shape = endOf(costs, input);
  if (shape.length !== 1 || shape[0] !== classes) throw wrongOutput(layers, costs, shape, classes);
  return costs;
}

function traceLayers(layers, given, classes, above) {
  const costs = [];
  let shape = given;
  layers.forEach((layer, position) => {
    const number = `${above}${position + 1}`;
    const inner = innerOf(layer).map((list, branch) =>
      traceLayers(list, shape, classes, layer.kind === "concat" ? `${number}.${branch + 1}.` : `${number}.`));
    costs.push(...inner.flat());
    if (layer.kind === "residual") {
      costs.push(join(layer, number, shape, endOf(inner[0], shape), totalStride(layer.body, inner[0])));
    } else if (layer.kind === "concat") costs.push(concatenate(layer, number, shape, inner));
    else costs.push(costOf(layer, number, shape, classes));
    shape = costs[costs.length - 1].output;
  });
  return costs;
}

function costOf(layer, number, shape, classes) {
  const place = `layer ${number} (${layer.name})`;
  const cost = makeCost(layer, number, shape, shape, 0n, 0n);
  const asMap = () => {
    if (shape.length !== 3) {
      throw new LayerError(`${place} works on maps and gets ${formatShape(shape)}; put it before the flatten`, layer.name);
    }
    return shape[0];
  };
  switch (layer.kind) {
    case "batch_norm":
      return { ...cost, weights: 2n * shape[0] };
    case "group_norm":
      checkDivides(layer.groups, shape[0], "channels", place, layer.name);
      return { ...cost, weights: 2n * shape[0] };
    case "layer_norm":
      return { ...cost, weights: 2n * product(shape) };
    case "squeeze_excite": {
      const channels = asMap();
      const hidden = hiddenOf(layer, channels);
      return { ...cost, weights: 2n * channels * hidden + hidden + channels, macs: 2n * channels * hidden };
    }
    case "flatten":
      return { ...cost, output: [product(shape)] };
    case "global_avg_pool": case "global_max_pool":
      return { ...cost, output: [asMap()] };
    case "linear": {
      if (shape.length !== 1) {
        throw new LayerError(`${place} is fully connected and gets maps of ${formatShape(shape)}; put a flatten before it`, layer.name);
      }
      const features = layer.features === "classes" ? classes : layer.features;
      return { ...cost, output: [features], weights: (shape[0] + bias(layer)) * features, macs: shape[0] * features };
    }
    default:
  }
  const windows = windowsOf(layer, shape.length === 3 ? shape.slice(1) : [1n, 1n]);
  if (!windows) return cost;
  const channels = asMap();
  const [rows, columns] = windows.map((window, axis) => fit(place, shape[1 + axis], window, layer.name));
  if (layer.kind.endsWith("_pool") || layer.kind === "pad") return { ...cost, output: [channels, rows, columns], windows };
  const { maps, taps } = kernelsOf(layer, place, channels, classes);
  const positions = layer.kind === "locally_connected" ? rows * columns : 1n;
  return {
    ...cost, output: [maps, rows, columns], weights: positions * maps * (taps + bias(layer)), macs: rows * columns * maps * taps, windows,
  };
}

function makeCost(layer, number, input, output, weights, macs, shortcutStride = null, branchStride = null) {
  return { layer, number, input, output, weights, macs, windows: null, shortcutStride, branchStride };
}

function bias(layer) {
  return layer.bias ? 1n : 0n;
}

function hiddenOf(layer, channels) {
  return layer.hidden ?? larger(1n, channels / layer.reduction);
}

// How many maps come out, and the weights of one kernel without its bias.
function kernelsOf(layer, place, channels, classes) {
  const taps = product(both(layer.kernel_size));
  if (layer.kind === "depthwise_conv") return { maps: channels * layer.multiplier, taps };
  if (layer.kind === "locally_connected") return { maps: layer.channels, taps: taps * channels };
  const maps = layer.channels === "classes" ? classes : layer.channels;
  checkDivides(layer.groups, channels, "input channels", place, layer.name);
  checkDivides(layer.groups, maps, "output channels", place, layer.name);
  return { maps, taps: (taps * channels) / layer.groups };
}

function endOf(costs, shape) {
  return costs.length ? costs[costs.length - 1].output : shape;
}

// The sum at the end of a residual, and the shortcut that it needs.
function join(layer, number, shape, inner, stride) {
  const place = `layer ${number} (${layer.name})`;
  if (String(inner) === String(shape)) return makeCost(layer, number, shape, shape, 0n, 0n);
  const fits = inner.length === 3 && shape.length === 3
    && [1, 2].every((axis) => (shape[axis] - 1n) / stride + 1n === inner[axis]);
  if (!fits) {
    throw new LayerError(`${place} cannot add its input of ${formatShape(shape)} to the ${formatShape(inner)} of its body; keep the `
      + "size with padding = (kernel_size − 1)/2, or let the body's strides divide it", layer.name);
  }
  if (layer.shortcut === "pad") {
    if (inner[0] < shape[0]) {
      throw new LayerError(`${place} pads its shortcut with zero channels, and its body makes fewer channels of ${shape[0]}, `
        + `${inner[0]}; use shortcut = "conv"`, layer.name);
    }
    return makeCost(layer, number, shape, inner, 0n, 0n, stride);
  }
  const kernels = shape[0] * inner[0];
  const norm = layer.shortcut === "conv_norm" ? 2n * inner[0] : 0n;
  return makeCost(layer, number, shape, inner, kernels + norm, kernels * inner[1] * inner[2], stride);
}

function concatenate(layer, number, shape, inner) {
  const place = `layer ${number} (${layer.name})`;
  const ends = inner.map((costs) => endOf(costs, shape));
  if (new Set(ends.map((end) => String([end.length, ...end.slice(1)]))).size > 1) {
    throw new LayerError(`${place} cannot put the ${ends.slice(0, -1).map(formatShape).join(", ")} and ${formatShape(ends[ends.length - 1])} `
      + "of its branches behind one another; let all have one height and width, with the same strides and with padding = "
      + "(kernel_size − 1)/2", layer.name);
  }
  const strides = layer.branches.map((list, branch) => totalStride(list, inner[branch]));
  const apart = [...new Set(strides)].sort((one, other) => (one < other ? -1 : 1));
  if (apart.length > 1 && ends[0].slice(1).some((side) => side > 1n)) {
    throw new LayerError(`${place} has branches with strides of ${apart.join(" and ")}, so that their pixels belong to different `
      + "places of the image; give all the same stride", layer.name);
  }
  const output = [ends.reduce((sum, end) => sum + end[0], 0n), ...ends[0].slice(1)];
  return makeCost(layer, number, shape, output, 0n, 0n, null, strides.reduce(larger));
}

function strideOf(cost) {
  return cost.windows ? cost.windows[0].stride : cost.shortcutStride || cost.branchStride || 1n;
}

// How many pixels apart neighbors of the last layer's output are at the input of the first.
function totalStride(layers, costs) {
  return product(costs.filter((cost) => layers.includes(cost.layer)).map(strideOf));
}

function fit(place, size, window, name) {
  const output = outputSize(window, size);
  if (output < 1n) {
    const padding = window.before + window.after;
    const padded = `${size} + ${window.before === window.after ? `2·${window.before}` : padding} = ${size + padding}`;
    const reach = window.dilation > 1n ? ` (dilation ${window.dilation}: ${window.extent} pixels)` : "";
    throw new LayerError(`${place} has a kernel of ${window.kernel}${reach} and gets ${padded} pixels; use larger images, a smaller `
      + "kernel or more padding", name);
  }
  return output;
}

function checkDivides(groups, channels, word, place, name) {
  if (channels % groups === 0n) return;
  const fitting = [];
  for (let count = 1n; count <= smaller(channels, 512n); count += 1n) if (channels % count === 0n) fitting.push(count);
  throw new LayerError(`${place} has groups = ${groups}, which does not divide its ${channels} ${word}; choose `
    + fitting.slice(-4).join(" or "), name);
}

function wrongOutput(layers, costs, shape, classes) {
  const sentence = `the network puts out ${formatShape(shape)} where ${classes} classes need ${classes} values; `;
  const fix = 'let it end in a linear layer with features = "classes"';
  const last = costs.findLast((cost) => cost.macs > 0n);
  if (!last) return new LayerError(sentence + fix);
  const place = (cost) => `layer ${cost.number} (${cost.layer.name})`;
  if (shape.length === 1 && last.layer.kind === "linear" && String(last.output) === String(shape)) {
    return new LayerError(`${sentence}${fix} in place of ${last.layer.features} in ${place(last)}`, last.layer.name);
  }
  return new LayerError(`${sentence}${fix} after ${place(costs[costs.length - 1])}`, layers[layers.length - 1].name);
}

// Receptive fields: along an axis an output i sees pixels start + i·jump to start + i·jump + size − 1; a jump of null
// where one output sees all. Return [before, after] of every layer by its name, each of rows and columns.
function followFields(layers, costs) {
  const byName = new Map(costs.map((cost) => [cost.layer.name, cost]));
  const fields = new Map();
  const pixel = { size: 1n, jump: 1n, start: 0n };
  const follow = (list, entered) => {
    let before = entered;
    for (const layer of list) {
      const cost = byName.get(layer.name);
      const came = before;
      if (layer.kind === "residual") {
        const body = follow(layer.body, before);
        before = [0, 1].map((axis) => unionOf([body[axis], came[axis]]));
      } else if (layer.kind === "concat") {
        const ends = layer.branches.map((branch) => follow(branch, came));
        before = [0, 1].map((axis) => unionOf(ends.map((end) => end[axis])));
      } else if (cost.windows) {
        before = cost.windows.map((window, axis) => ({
          size: came[axis].size + (window.extent - 1n) * came[axis].jump,
          jump: came[axis].jump * window.stride,
          start: came[axis].start - window.before * came[axis].jump,
        }));
      } else if (cost.input.length === 3 && cost.output.length === 1) {
        before = came.map((field, axis) => (field.jump === null ? field
          : { size: field.size + (cost.input[1 + axis] - 1n) * field.jump, jump: null, start: field.start }));
      }
      fields.set(layer.name, [came, before]);
    }
    return before;
  };
  follow(layers, [pixel, pixel]);
  return fields;
}

function unionOf(ways) {
  const start = ways.map((way) => way.start).reduce(smaller);
  const end = ways.map((way) => way.start + way.size).reduce(larger);
  return { size: end - start, jump: ways[0].jump, start };
}

function centerOf(field) {
  return Number(field.start) + (Number(field.size) - 1) / 2;
}

// Exactly which rows and columns of the image one output of a layer depends on: unlike a field it knows borders. `trail`
// gets [layer, rows and columns of its input] of every layer of the outermost list on the way back.
function pixelsBehind(layers, costs, name, position, trail = []) {
  const byName = new Map(costs.map((cost) => [cost.layer.name, cost]));
  const behind = (layer, positions) => {
    const cost = byName.get(layer.name);
    if (layer.kind === "residual") {
      const through = back(layer.body, positions, null);
      const stride = Number(cost.shortcutStride || 1n);
      const seen = through.every((axis) => axis.size); // a way that sees no row sees no column either
      return [0, 1].map((axis) => new Set([...(seen ? through[axis] : []), ...[...positions[axis]].map((one) => one * stride)]));
    }
    if (layer.kind === "concat") {
      const ways = layer.branches.map((branch) => back(branch, positions, null)).filter((way) => way.every((axis) => axis.size));
      return [0, 1].map((axis) => new Set(ways.flatMap((way) => [...way[axis]])));
    }
    if (cost.windows) return cost.windows.map((window, axis) => pixelsRead(window, Number(cost.input[1 + axis]), positions[axis]));
    if (cost.input.length === 3 && cost.output.length === 1) {
      return [1, 2].map((axis) => new Set(Array.from({ length: Number(cost.input[axis]) }, (_, pixel) => pixel)));
    }
    return positions;
  };
  // Follow positions at the output of layer `until` (null: the last) to the input; null if it is not in the list.
  const back = (list, given, until) => {
    let started = until === null;
    let positions = given;
    for (const layer of [...list].reverse()) {
      if (!started && layer.name !== until && innerOf(layer).length) {
        for (const inner of innerOf(layer)) {
          const inside = back(inner, positions, until);
          if (inside) {
            [positions, started] = [inside, true];
            if (list === layers) trail.push([layer, positions]);
            break;
          }
        }
        continue;
      }
      started = started || layer.name === until;
      if (started) positions = behind(layer, positions);
      if (started && list === layers) trail.push([layer, positions]);
    }
    return started ? positions : null;
  };
  return back(layers, position.map((one) => new Set([one])), name);
}

function pixelsRead(window, size, positions) {
  const [stride, before, dilation, kernel] = ["stride", "before", "dilation", "kernel"].map((key) => Number(window[key]));
  const read = new Set();
  for (const position of positions) {
    for (let tap = 0; tap < kernel; tap += 1) {
      const pixel = position * stride - before + tap * dilation;
      if (pixel >= 0 && pixel < size) read.add(pixel);
    }
  }
  return read;
}

// A convolution against layers of the same input and output that share nothing, or see everything.
function compareConvolutions(costs) {
  return costs.filter((cost) => ["conv", "depthwise_conv"].includes(cost.layer.kind)).map((cost) => {
    const [inputs, outputs] = [product(cost.input), product(cost.output)];
    return {
      name: cost.layer.name,
      output: cost.output,
      shared: cost.weights,
      local: cost.weights * (outputs / cost.output[0]),
      full: (inputs + bias(cost.layer)) * outputs,
      macs: cost.macs,
      fullMacs: inputs * outputs,
    };
  });
}

// The first layer with a weight a position, which fixes the size of the images, and the maps that it wants.
function bindingOf(costs) {
  let flattened = null;
  for (const cost of costs) {
    const kind = cost.layer.kind;
    if (kind === "locally_connected" || (kind === "layer_norm" && cost.input.length === 3)) return { cost, wants: cost.input };
    if (kind === "flatten" && cost.input.length === 3) flattened = cost.input;
    if (["linear", "layer_norm"].includes(kind) && flattened) return { cost, wants: flattened };
  }
  return null;
}

// Which image sizes a network takes once it is built: {binding, rows, columns}, each [smallest, largest or null].
function findSizes(layers, costs, classes) {
  const input = costs[0].input;
  const bound = bindingOf(costs);
  const traced = (axis, size) => {
    const shape = [...input];
    shape[axis] = size;
    try {
      return traceNetwork(layers, shape, classes);
    } catch (error) {
      if (error instanceof LayerError) return null;
      throw error;
    }
  };
  const ranges = [1, 2].map((axis) => {
    if (!bound) {
      let size = 1n;
      while (size < input[axis] && !traced(axis, size)) size += 1n;
      return [size, null];
    }
    const fits = (size) => {
      const other = traced(axis, size);
      const found = other && bindingOf(other);
      return Boolean(found) && String(found.wants) === String(bound.wants);
    };
    let [smallest, largest] = [input[axis], input[axis]];
    while (smallest > 1n && fits(smallest - 1n)) smallest -= 1n;
    while (largest < FARTHEST && fits(largest + 1n)) largest += 1n;
    return [smallest, largest];
  });
  return { binding: bound, rows: ranges[0], columns: ranges[1] };
}

function describeSizes(sizes, input) {
  const { binding, rows, columns } = sizes;
  if (!binding) {
    return `Built once, it reads images of any size from ${rows[0]}×${columns[0]} pixels: no layer has a weight a position.`;
  }
  const [channels, height, width] = binding.wants;
  const counted = `${channels}×${height}×${width} = ${grouped(channels * height * width)} values`;
  const words = [rows, columns].map(([low, high]) => (low === high ? `${low}` : `${low} to ${high}`));
  const span = String(rows) !== String(columns) ? `images ${words[0]} high and ${words[1]} wide`
    : `images of ${rows[0]}×${rows[0]}${rows[1] === rows[0] ? "" : ` to ${rows[1]}×${rows[1]}`}`;
  const name = binding.cost.layer.name;
  return binding.cost.layer.kind === "linear"
    ? `Built for ${formatShape(input)}, it reads ${span} only: convolutions and pooling take any size, but ${name} has weights `
      + `for ${counted}. Global average pooling (gap) in place of the flatten would free it.`
    : `Built for ${formatShape(input)}, it reads ${span} only: ${name} has weights for every position of ${counted}.`;
}

// Every figure of a line's network on images of `input` ([C, H, W]); `classes` null: those that it states, or 10.
// Throws a LineError with the place in the line, where there is one.
function inspectLine(text, input, classes, language, batch = 128n, bytes = 4n) {
  const { layers, spans } = readLine(text, language);
  const told = classes ?? statedClasses(layers) ?? 10n;
  let costs;
  try {
    costs = traceNetwork(layers, input, told);
  } catch (error) {
    const token = error instanceof LayerError && spans.get(error.layer);
    throw token ? new LineError(error.message, token.start, token.end) : error;
  }
  const sum = (list) => list.reduce((all, one) => all + one, 0n);
  const weights = sum(costs.map((cost) => cost.weights));
  const connected = sum(costs.filter((cost) => cost.layer.kind === "linear").map((cost) => cost.weights));
  const memoryOf = (shape) => product(shape) * batch * bytes;
  const memories = costs.map((cost) => (cost.layer.kind === "flatten" ? 0n : memoryOf(cost.output)));
  return {
    layers, spans, costs, input, classes: told, weights, batch, bytes, memories,
    macs: sum(costs.map((cost) => cost.macs)),
    connectedShare: weights ? Number(connected) / Number(weights) : 0,
    inputMemory: memoryOf(input),
    memory: memoryOf(input) + sum(memories),
    fields: followFields(layers, costs),
  };
}

// How many values the last layer with weights puts out, where that is a figure.
function statedClasses(layers) {
  const last = layers.findLast((layer) => layer.kind === "linear" || layer.kind === "conv");
  const features = last && (last.kind === "linear" ? last.features : last.channels);
  return typeof features === "bigint" ? features : null;
}

function grouped(number) {
  return number.toLocaleString("en-US");
}
