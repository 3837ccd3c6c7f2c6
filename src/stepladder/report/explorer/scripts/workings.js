// Every figure of a layer in words and written out, as stepladder/network/explain.py and `stepladder inspect` have them.

const BYTES = { float32: 4n, bfloat16: 2n };

function describeLayer(cost) {
  const layer = cost.layer;
  const parts = [];
  let words = layer.kind.replaceAll("_", " ");
  const say = (condition, text) => { if (condition) parts.push(text); };
  if (["conv", "depthwise_conv", "locally_connected"].includes(layer.kind)) {
    words += ` ${both(layer.kernel_size).join("×")}`;
    say(layer.stride > 1n, `stride ${layer.stride}`);
    say(Array.isArray(layer.padding) || layer.padding, `padding ${[layer.padding].flat().join("×")}`);
    say(layer.dilation > 1n, `dilation ${layer.dilation}`);
    say(layer.groups > 1n, `groups ${layer.groups}`);
    say(!layer.bias, "no bias");
  } else if (layer.kind === "max_pool" || layer.kind === "avg_pool") {
    words += ` ${layer.kernel_size}×${layer.kernel_size}`;
    say(layer.stride !== layer.kernel_size, `stride ${layer.stride}`);
    say(layer.padding, `padding ${layer.padding}`);
    say(layer.ceil_mode, "rounds up");
  } else if (layer.kind === "linear") say(!layer.bias, "no bias");
  else if (layer.kind === "relu") words += layer.ceiling === null ? "" : `, at most ${layer.ceiling}`;
  else if (layer.kind === "batch_norm") {
    for (const key of ["eps", "momentum"]) say(layer.stated.includes(key), `${key} ${general(layer[key])}`);
  } else if (layer.kind === "residual") {
    const kind = { pad: "zero channels", conv: "1×1 conv", conv_norm: "1×1 conv, batch norm" }[layer.shortcut];
    say(cost.shortcutStride !== null, `shortcut of stride ${cost.shortcutStride} and ${kind}`);
    words = "sum of input and body";
  } else if (layer.kind === "concat") {
    words = `concatenation of ${layer.branches.length} branches${layer.branches.some((branch) => !branch.length) ? ", one the input" : ""}`;
  } else if (layer.kind === "squeeze_excite") {
    words = `squeeze and excite by ${hiddenOf(layer, cost.input[0])} values`;
    say(layer.activation === "silu", "SiLU");
    say(layer.gate === "hard_sigmoid", "hard sigmoid");
  } else {
    parts.push(...["negative_slope", "alpha", "p", "factor"].filter((key) => key in layer).map((key) => general(layer[key])));
    for (const key of ["groups", "size"]) say(key in layer, `${key} ${layer[key]}`);
  }
  return [words, ...parts].join(", ");
}

// The workings of output size, weights, multiply-accumulates and receptive field: [what it is, its working] each.
function explainLayer(cost, [before, after]) {
  return [...outputWorking(cost), ...weightsWorking(cost), ...macsWorking(cost), ...fieldWorking(cost, before, after)];
}

function explainMemory(shape, batch, bytes) {
  const total = product(shape) * batch * bytes;
  return ["memory", `${shape.join("·")} values · ${batch} images · ${bytes} bytes = ${grouped(total)} bytes`];
}

function outputWorking(cost) {
  const [layer, shape, output] = [cost.layer, cost.input, formatShape(cost.output)];
  if (cost.windows) {
    const [rows, columns] = cost.windows.map((window, axis) => sizeWorking(shape[1 + axis], window, cost.output[1 + axis]));
    return [["output", `${rows}${rows === columns ? " rows and columns" : ` rows, ${columns} columns`}; ${output}`]];
  }
  switch (layer.kind) {
    case "flatten":
      return shape.length === 3 ? [["output", `${shape.join("·")} = ${grouped(product(shape))} values in a row`]] : [];
    case "global_avg_pool": case "global_max_pool":
      return [["output", `one value for each of ${shape[0]} maps`]];
    case "linear":
      return [["output", `${grouped(cost.output[0])} values, each from all ${grouped(shape[0])}`]];
    case "residual":
      return [["output", `input + body, ${output}`]];
    case "squeeze_excite":
      return [["output", `each of ${shape[0]} maps times its gate, ${output}`]];
    case "concat": {
      const what = shape.length === 3 && cost.output.length === 3 ? "channels" : "values";
      return [["output", `the ${what} of ${layer.branches.length} branches one behind another, ${output}`]];
    }
    default:
      return [];
  }
}

function sizeWorking(size, window, result) {
  if (window.kernel === 1n && window.stride === 1n) {
    return window.after ? `${size} + ${window.before} + ${window.after} = ${result}` : `${size}`;
  }
  const padding = window.before === window.after ? `2·${window.before}` : `${window.before} + ${window.after}`;
  const extent = window.dilation > 1n ? `(${window.dilation}·(${window.kernel} − 1) + 1)` : `${window.kernel}`;
  const [left, right] = window.ceil ? "⌈⌉" : "⌊⌋";
  let working = `${left}(${size} + ${padding} − ${extent})/${window.stride}${right} + 1`;
  const down = outputSize({ ...window, ceil: false }, size);
  const up = ceiling(size + 2n * window.before - window.extent, window.stride) + 1n;
  if (window.ceil && result !== down && result !== down + 1n) working += " (less a window that would start beyond the map)";
  else if (window.ceil && up !== result) working += " − 1 (the last window would start beyond the map)";
  return `${working} = ${result}`;
}

function ceiling(value, step) {
  return value >= 0n ? lessPart(value, step) : -(-value / step);
}

function weightsWorking(cost) {
  const [layer, shape, total] = [cost.layer, cost.input, grouped(cost.weights)];
  const maps = cost.output[0];
  switch (layer.kind) {
    case "conv": case "depthwise_conv": case "locally_connected": {
      let working = kernelsWorking(cost) + (layer.bias ? ` + ${maps}` : " (no bias)");
      if (layer.kind === "locally_connected") working = `${cost.output[1]}·${cost.output[2]} positions · (${working})`;
      return [["weights", `${working} = ${total}`]];
    }
    case "linear":
      return [["weights", `${shape[0]}·${maps}${layer.bias ? ` + ${maps}` : " (no bias)"} = ${total}`]];
    case "batch_norm": case "group_norm":
      return [["weights", `a scale and a shift for ${shape[0]} channels, 2·${shape[0]} = ${total}`]];
    case "layer_norm":
      return [["weights", `a scale and a shift for every value, 2·${shape.join("·")} = ${total}`]];
    case "squeeze_excite": {
      const hidden = hiddenOf(layer, shape[0]);
      return [["weights", `${shape[0]}·${hidden} + ${hidden} + ${hidden}·${shape[0]} + ${shape[0]} = ${total}`]];
    }
    default: {
      if (!cost.weights) return [];
      const norm = layer.shortcut === "conv_norm" ? ` + 2·${maps} of its batch norm` : "";
      return [["weights", `shortcut 1·1·${shape[0]}·${maps} (no bias)${norm} = ${total}`]];
    }
  }
}

// The weights of all kernels without their biases.
function kernelsWorking(cost) {
  const [layer, channels, maps] = [cost.layer, cost.input[0], cost.output[0]];
  if (layer.kind === "residual") return `1·1·${channels}·${maps}`;
  const kernel = both(layer.kernel_size).join("·");
  if (layer.kind === "depthwise_conv") return `${kernel}·${maps}`;
  if (layer.groups > 1n) return `${kernel}·(${channels}/${layer.groups})·${maps}`;
  return `${kernel}·${channels}·${maps}`;
}

function macsWorking(cost) {
  const [layer, shape, total] = [cost.layer, cost.input, grouped(cost.macs)];
  if (!cost.macs) return [];
  if (layer.kind === "linear") return [["MACs", `${shape[0]}·${cost.output[0]} = ${total}`]];
  if (layer.kind === "squeeze_excite") return [["MACs", `2·${shape[0]}·${hiddenOf(layer, shape[0])} = ${total}`]];
  return [["MACs", `${kernelsWorking(cost)} at each of ${cost.output[1]}·${cost.output[2]} positions = ${total}`]];
}

// The field along rows, and along columns too where a kernel is not square or was not before.
function fieldWorking(cost, before, after) {
  const same = (one, other) => one.size === other.size && one.jump === other.jump && one.start === other.start;
  const alike = !cost.windows || cost.windows[0].kernel === cost.windows[1].kernel;
  if (alike && same(...before) && same(...after)) return alongWorking(cost, before[0], after[0], 0).map((one) => ["field", one]);
  const unlike = !alike || before[0].size !== before[1].size || after[0].size !== after[1].size;
  return (unlike ? ["field", "columns"] : ["field"]).flatMap((word, axis) =>
    alongWorking(cost, before[axis], after[axis], axis).map((one) => [word, one]));
}

function alongWorking(cost, before, after, axis) {
  if (cost.windows && before.jump !== null) {
    const window = cost.windows[axis];
    if (window.kernel === 1n && window.stride === 1n && !window.before) return [];
    const taps = `(${window.kernel} − 1)${window.dilation > 1n ? `·${window.dilation}` : ""}`;
    return [`r = ${before.size} + ${taps}·${before.jump} = ${after.size}, j = ${before.jump}·${window.stride} = ${after.jump}, `
      + `center ${general(centerOf(after))}`];
  }
  if (cost.layer.kind === "residual" || cost.layer.kind === "concat") {
    const words = cost.layer.kind === "residual" ? "the larger of body and input" : "what the branches together see";
    return [`${words}: r = ${after.size}, j = ${after.jump === null ? "None" : after.jump}, center ${general(centerOf(after))}`];
  }
  if (before.jump !== null && after.jump === null) {
    const count = cost.input[1 + axis];
    return [`all ${count} ${axis === 0 ? "rows" : "columns"}: r = ${before.size} + (${count} − 1)·${before.jump} = ${after.size}`];
  }
  return [];
}

// What the number of weights for each training image means.
function weightsForEachImage(weights, images) {
  const ratio = Number(weights) / Number(images);
  const figure = ratio >= 10 ? groupedText(halfEven(ratio, 0)) : general(ratio, 2);
  const sentence = `${figure} weights for each of the ${grouped(images)} training images`;
  if (ratio < 1) return `${sentence}: fewer than one.`;
  if (ratio < 10) return `${sentence}: enough to learn many of them by heart, so trust the validation accuracy alone.`;
  return `${sentence}: far more than it takes to learn them all by heart. A training accuracy near 100 % will say nothing about new `
    + "images; only validation does, and augmentation, dropout or fewer weights are worth trying.";
}

// Bytes and multiply-accumulates as `inspect` prints them.
function megabytes(count) {
  const bytes = Number(count);
  if (bytes < 1000) return `${count} B`;
  if (bytes < 1e6) return `${halfEven(bytes / 1e3, 1)} kB`;
  if (bytes < 1e9) return `${halfEven(bytes / 1e6, 1)} MB`;
  return `${groupedText(halfEven(bytes / 1e9, 2))} GB`;
}

function shortMacs(macs) {
  const count = Number(macs);
  if (count < 10_000) return grouped(macs);
  if (count >= 1e9) return `${groupedText(halfEven(count / 1e9, 2))} G`;
  return `${halfEven(count / 1e6, count < 1e7 ? 2 : 1)} M`;
}

function percent(share) {
  return share > 0 && share < 0.01 ? "under 1 %" : `${halfEven(100 * share, 0)} %`;
}

// Thousands marked in a number that is already rounded.
function groupedText(text) {
  const [whole, part] = text.split(".");
  return grouped(BigInt(whole)) + (part ? `.${part}` : "");
}

// A number rounded to digits, a tie to the even neighbor as in Python; toFixed would round it up.
function halfEven(value, digits) {
  if (Math.abs(value) >= 1e21) return BigInt(value) + (digits ? `.${"0".repeat(digits)}` : ""); // which toFixed does not write out
  const exact = value.toFixed(Math.min(100, digits + 60));
  const cutAt = exact.length - 60;
  if (/^50*$/.test(exact.slice(cutAt))) {
    const kept = exact.slice(0, cutAt).replace(/\.$/, "");
    if (Number(kept[kept.length - 1]) % 2 === 0) return kept;
  }
  return value.toFixed(digits);
}

// Python's :g: up to six digits that count, and no zeros at the end.
function general(value, digits = 6) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || Number(size.toPrecision(digits)) >= 10 ** digits)) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const power = exponent.slice(1).padStart(2, "0");
    return `${mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa}e${exponent[0]}${power}`;
  }
  return Object.is(value, -0) ? "-0" : String(Number(value.toPrecision(digits)));
}
