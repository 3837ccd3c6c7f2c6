// A network's one-line form, read as stepladder/network/line.py reads it: the same layers, the same sentences.
// `language` is what language.py writes. Whole numbers are BigInts, so that none is too large to be exact; numbers with
// a point are Numbers. tests/report/explorer/test_arithmetic.py holds this file to the library on thousands of lines.

class LineError extends Error {
  constructor(sentence, start = null, end = null) {
    super(sentence);
    this.start = start; // letters of the line that it is about; null where it is about no one place
    this.end = end;
  }
}

// What Python takes for white space, and for a digit.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const TOKEN = new RegExp(`[()|]|[^${SPACE}()|]+`, "gu");
const WORD = /^([A-Za-z_]*)(-?[\p{Nd}.][^:]*?)?(?:-([^-:]*))?(?::(.*))?$/su;
const WHOLE = /^[+-]?[0-9]{1,18}$/;
const NUMBER = /^[+-]?(?:(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?|inf(?:inity)?|nan)$/;
const SIDES = /^([0-9]{1,9})[x×]([0-9]{1,9})$/;
const NAME = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+$/u;
const ALONE = ["flatten", "gap", "gmp", "pad", "scale"];
const DEEPEST = 8;

// Return {layers, spans}: layers are {kind, word, name, …fields}; spans the place of each in the line, by name.
function readLine(given, language) {
  const text = given.replace(new RegExp(`[${SPACE}]`, "gu"), " ");
  const words = language.words;
  const spans = new Map();
  const outputs = [];
  let tokens = [...text.matchAll(TOKEN)].map((found) => ({ text: found[0], start: found.index, end: found.index + found[0].length }));
  const plain = tokens.length > 0 && tokens[0].text.toLowerCase() === "plain";
  if (plain) tokens = tokens.slice(1);
  if (!tokens.length) throw new LineError("the network is an empty line; write layers, as: conv5-32 pool2 fc");
  const stems = tokens.map((token) => stemOf(token.text, language));
  const impliesRelu = !plain && !stems.some((stem) => language.activations.includes(stem));
  const impliesFlatten = !plain && !stems.includes("flatten");
  const isOne = (layer, list) => list.includes(layer.word);
  const wrong = (token, sentence) => new LineError(sentence, token.start, token.end);
  const note = (layer, token) => { spans.set(layer.name, token); return layer; };
  let at = 0;

  let layers = read(makeNames("", words), "", null, 0).layers;
  if (outputs.length > 1) {
    throw wrong(outputs[1], "the network has two outputs: only the last layer gives one value a class; write how many "
      + "features this one has, as fc1000, or remove it");
  }
  if (!plain) layers = withOutput(layers);
  const doubled = namedTwice(layers);
  if (doubled) {
    const named = [...spans.keys()].reverse().find((name) => doubled.includes(`'${name}'`));
    throw wrong(named === undefined ? tokens[tokens.length - 1] : spans.get(named), doubled);
  }
  return { layers, spans };

  // Read up to the parenthesis that closes `opened`, to a bar, or to the end of the line; say which it was.
  function read(names, above, opened, depth) {
    const list = [];
    let pending = null; // a res or cat that waits for its parenthesis
    let owed = null; // a layer whose implied ReLU waits for the normalization behind it
    const payRelu = () => { list.push(note({ word: "relu", kind: "relu", name: names("relu"), ceiling: null }, owed)); owed = null; };
    while (at < tokens.length) {
      const token = tokens[at++];
      const stem = stemOf(token.text, language);
      const known = Object.hasOwn(words, stem);
      if (owed && !language.normalizations.includes(stem)) payRelu();
      const number = `${above}${list.length + 1}`;
      if (token.text === "(") {
        if (!pending) {
          throw wrong(token, "a parenthesis holds the body of a residual, or the branches of a concatenation; write res(…) "
            + "or cat(… | …)");
        }
        if (depth === DEEPEST) throw wrong(token, `residuals stand at most ${DEEPEST} deep; put them one after another`);
        list.push(holder(pending, token, names, number, depth + 1));
        pending = null;
        continue;
      }
      if (pending) break;
      if (token.text === ")") {
        if (!opened) throw wrong(token, "this parenthesis closes nothing; remove it");
        return { layers: list, end: ")" };
      }
      if (token.text === "|") {
        if (!opened) throw wrong(token, "a bar parts the branches of a concatenation; write cat(… | …)");
        return { layers: list, end: "|" };
      }
      if (stem === "res" || stem === "cat") {
        pending = token;
        continue;
      }
      if (!known) {
        const shown = token.text.replace(/[-\p{Nd}.:].*/su, "") || token.text;
        throw wrong(token, `layer ${number}: ${unknown("layer", shown, Object.keys(words))}`);
      }
      const layer = plainLayer(token, stem, names, number);
      if (layer.kind === "linear" && !above && flattensBefore(list)) {
        list.push(note({ word: "flatten", kind: "flatten", name: names("flatten") }, token));
      }
      list.push(layer);
      if (impliesRelu && isOne(layer, language.activated)) owed = token;
    }
    if (owed) payRelu();
    if (pending) {
      const stem = stemOf(pending.text, language);
      throw wrong(pending, `${stem === "res" ? "a residual needs a body" : "a concatenation needs branches"}; write ${words[stem].example}`);
    }
    if (opened) throw wrong(opened, "this parenthesis is not closed; add ) after the body");
    return { layers: list, end: "" };
  }

  function holder(token, opened, names, number, depth) {
    const stem = stemOf(token.text, language);
    const table = optionsOf(token, words[stem]);
    const automatic = names(stem); // counts on even where the line gives a name
    if (!Object.hasOwn(table, "name")) table.name = automatic;
    const within = makeNames(`${table.name}_`, words);
    if (stem === "res") {
      const { layers: body, end } = read(within, `${number}.`, opened, depth);
      if (end === "|") {
        throw wrong(token, "a residual has one body, and a bar parts branches; write cat(… | …) to put channels together");
      }
      return checked(stem, { ...table, body }, token, number);
    }
    let branches = [];
    for (let end = "|"; end === "|";) {
      const branch = read(within, `${number}.${branches.length + 1}.`, opened, depth);
      branches.push(branch.layers);
      end = branch.end;
    }
    if (branches.length === 1) branches = [[], ...branches]; // one alone stands beside the input
    return checked(stem, { ...table, branches }, token, number);
  }

  function plainLayer(token, stem, names, number) {
    const table = optionsOf(token, words[stem]);
    const option = (key) => (Object.hasOwn(table, key) ? table[key] : 1n);
    if (stem === "fc" && !Object.hasOwn(table, "features")) table.features = "classes";
    if (["conv", "local", "dw"].includes(stem) && !Object.hasOwn(table, "padding")) {
      const [size, stride, dilation] = ["kernel_size", "stride", "dilation"].map(option);
      const sized = typeof size === "bigint" || Array.isArray(size);
      if (sized && typeof stride === "bigint" && typeof dilation === "bigint") {
        table.padding = impliedPadding(size, stride, dilation);
      }
    }
    const automatic = names(stem);
    if (!Object.hasOwn(table, "name")) table.name = automatic;
    const layer = checked(stem, table, token, number);
    if (layer.features === "classes" || layer.channels === "classes") outputs.push(token);
    return layer;
  }

  // Return the options of a token as a table.
  function optionsOf(token, word) {
    const found = withoutAxes(token.text).match(WORD);
    if (!found) throw wrong(token, `'${token.text}' is no layer; write it as ${word.example}`);
    const table = Object.create(null); // an option may have any name
    for (const [option, figure] of [[word.first, found[2]], [word.second, found[3]]]) {
      if (figure === undefined) continue;
      if (option === null) throw wrong(token, `'${token.text}' has a figure too many; write it as ${word.example}`);
      table[option] = valueOf(figure.toLowerCase());
    }
    for (const entry of found[4] === undefined ? [] : found[4].split(",")) {
      const equals = entry.indexOf("=");
      const key = entry.slice(0, Math.max(0, equals)).toLowerCase();
      const value = entry.slice(equals + 1);
      if (equals < 1 || !value) {
        throw wrong(token, `'${token.text}' has an option without a value; write it as ${word.example}:option=value`);
      }
      if (Object.hasOwn(table, key)) throw wrong(token, `'${token.text}' gives ${key} twice; give it once`);
      table[key] = key === "name" ? value : valueOf(value.toLowerCase());
    }
    return table;
  }

  function checked(stem, table, token, number) {
    const told = checkedLayer(stem, words[stem], table, token.text);
    if (typeof told === "string") throw wrong(token, `layer ${number} (${table.name}): ${told}`);
    return note(told, token);
  }

  // Whether a fully connected layer behind these gets maps, and the line leaves the flatten to us.
  function flattensBefore(list) {
    return impliesFlatten && !list.some((layer) => ["fc", "flatten", "gap", "gmp"].includes(layer.word));
  }

  // Add the layer that puts out the classes where there is none, and take an implied ReLU from behind it.
  function withOutput(list) {
    const passing = [...language.activations, ...language.normalizations, "scale", "drop"];
    let output = list.findIndex((layer) => layer.features === "classes" || layer.channels === "classes");
    if (output < 0 && !outputs.length) {
      const last = list.findLastIndex((layer) => !passing.includes(layer.word));
      output = last >= 0 && list[last].kind === "linear" ? last : -1;
      if (output < 0) {
        const taken = new Set(list.map((layer) => layer.name));
        const flatten = flattensBefore(list) ? [{ word: "flatten", kind: "flatten", name: "flatten" }] : [];
        let free = 1;
        while (taken.has(`fc${free}`)) free += 1;
        return [...list, ...flatten, { word: "fc", kind: "linear", name: `fc${free}`, features: "classes", bias: true }];
      }
    }
    const behind = output >= 0 ? list[output + 1] : undefined;
    return impliesRelu && behind && behind.kind === "relu" ? list.toSpliced(output + 1, 1) : list;
  }
}

// Automatic names: conv1, conv2, …; in the body of res1: res1_conv1, …; the branches of cat1 count on together.
function makeNames(above, words) {
  const counts = {};
  return (word) => {
    const stem = words[word].stem;
    counts[stem] = (counts[stem] || 0) + 1;
    return `${above}${stem}${counts[stem] === 1 && ALONE.includes(stem) ? "" : counts[stem]}`;
  };
}

// Return a table as a layer, or the sentence of what is wrong with it; the fields are looked at in the library's order.
function checkedLayer(stem, word, given, token) {
  const layer = { word: stem };
  const table = { ...given };
  if (["pool", "avgpool"].includes(stem) && !Object.hasOwn(table, "stride") && Object.hasOwn(table, "kernel_size")) {
    table.stride = table.kernel_size;
  }
  for (const [name, field] of Object.entries(word.fields)) {
    if (!Object.hasOwn(table, name)) {
      if (field.required) return `${name} is missing; add it to '${token}'`;
      layer[name] = usual(field);
      continue;
    }
    const value = table[name];
    const allowed = refusal(field, value);
    if (allowed) return `${name} is ${cut(written(value))}; it must be ${allowed}`;
    layer[name] = Array.isArray(value) && field.type === "sides" && value[0] === value[1] ? value[0]
      : field.type === "number" ? Number(value) : value;
  }
  // What a short description of the layer names: rarely set, and another than usual.
  layer.stated = word.quiet.filter((name) => layer[name] !== usual(word.fields[name]));
  const strange = Object.keys(table).find((name) => !Object.hasOwn(word.fields, name));
  if (strange !== undefined) return unknown("setting", strange, Object.keys(word.fields));
  if (["conv", "local", "dw"].includes(stem) && layer.padding !== "same") {
    const paddings = both(layer.padding);
    for (const [axis, size] of both(layer.kernel_size).entries()) {
      const most = layer.dilation * (size - 1n);
      if (paddings[axis] > most) {
        return `padding is ${paddings[axis]} around kernels that reach over ${most + 1n} pixel${most > 0n ? "s" : ""}; it must `
          + `be at most ${most}, or some outputs would see nothing but padding`;
      }
    }
  }
  if (["pool", "avgpool"].includes(stem) && 2n * layer.padding > layer.kernel_size) {
    return `padding is ${layer.padding} around windows of ${layer.kernel_size}; it must be at most half of a window, `
      + `${layer.kernel_size / 2n}, or some windows would hold nothing but padding`;
  }
  if (stem === "se" && layer.hidden !== null && layer.reduction !== BigInt(word.fields.reduction.default)) {
    return `hidden is ${layer.hidden} and reduction is ${layer.reduction}, and each says how many values the gates are made `
      + "of; keep one";
  }
  return layer;
}

function usual(field) {
  return typeof field.default === "number" && field.type !== "number" ? BigInt(field.default) : field.default;
}

// Return what a field may be, where a value is not; else the empty text.
function refusal(field, value) {
  const listed = (choices) => {
    const shown = choices.map((one) => `'${one}'`);
    return shown.length < 2 ? shown[0] : `${shown.slice(0, -1).join(", ")} or ${shown[shown.length - 1]}`;
  };
  if ((field.also || []).includes(value)) return "";
  if (field.type === "sides") {
    const fits = (side) => typeof side === "bigint" && side >= BigInt(field.least) && side < 2n ** 31n;
    if (fits(value) || (Array.isArray(value) && value.every(fits))) return "";
    const words = field.also.map((one) => `, or '${one}'`).join("");
    return `at least ${field.least}, or two such numbers, of rows and columns${words}`;
  }
  if (field.type === "choice") return field.choices.includes(value) ? "" : listed(field.choices);
  if (field.type === "name") return NAME.test(value) ? "" : "a word of letters, digits and _";
  if (field.type === "yes or no") return typeof value === "boolean" ? "" : "true or false";
  if (field.type === "whole" || field.type === "number") {
    const also = (field.also || []).map((one) => ` or '${one}'`).join("");
    const whole = field.type === "whole";
    const taken = typeof value === "bigint" || (!whole && (typeof value === "number" || (field.yes_is_one && typeof value === "boolean")));
    if (!taken) return (whole ? "a whole number" : "a number") + also;
    const number = Number(value);
    if (field.finite && !Number.isFinite(number)) return "a finite number";
    for (const [bound, limit] of Object.entries(field.bounds)) {
      const kept = bound === "at most" ? number <= limit : bound === "less than" ? number < limit
        : bound === "at least" ? number >= limit : number > limit;
      if (!kept) return `${bound} ${limit}${also}`;
    }
  }
  return "";
}

// Two layers of one name, or a layer named as a part of another is: the sentence, or the empty text.
function namedTwice(layers) {
  const every = everyLayer(layers);
  const counts = new Map();
  for (const layer of every) counts.set(layer.name, (counts.get(layer.name) || 0) + 1);
  for (const [name, count] of counts) {
    if (count > 1) return `the network has two layers called '${name}'; give each a name of its own`;
  }
  for (const layer of every) {
    const parts = layer.kind === "residual" ? [`${layer.name}_shortcut`, `${layer.name}_shortcut_norm`]
      : layer.kind === "squeeze_excite" ? [`${layer.name}_reduce`, `${layer.name}_expand`] : [];
    for (const taken of parts) {
      if (counts.has(taken)) {
        const whose = layer.kind === "residual" ? "the shortcut" : "a part";
        return `the network has a layer called '${taken}', as ${whose} of '${layer.name}' is; give it another name`;
      }
    }
  }
  return "";
}

// The lists of layers within one: a body, branches; mostly none.
function innerOf(layer) {
  return layer.kind === "residual" ? [layer.body] : layer.kind === "concat" ? layer.branches : [];
}

function everyLayer(layers) {
  return layers.flatMap((layer) => [...innerOf(layer).flatMap(everyLayer), layer]);
}

function both(sides) {
  return Array.isArray(sides) ? sides : [sides, sides];
}

// (kernel_size − 1)/2 zeros on each side, times the dilation; an odd sum needs "same", which is taken at stride 1.
function impliedPadding(size, stride, dilation) {
  if (!Array.isArray(size)) {
    const total = dilation * (size - 1n);
    return total % 2n && stride === 1n ? "same" : floorHalf(total);
  }
  const [rows, columns] = size.map((side) => impliedPadding(side, stride, dilation));
  if (rows === "same" || columns === "same") return "same";
  return rows === columns ? rows : [rows, columns];
}

function floorHalf(value) {
  return (value - (((value % 2n) + 2n) % 2n)) / 2n;
}

// The word of a token without its figures and options, as the language has it where it knows it.
function stemOf(text, language) {
  const found = text.match(/^[A-Za-z_]*/)[0];
  const plain = found.toLowerCase().replaceAll("_", "");
  if (Object.hasOwn(language.aliases, plain)) return language.aliases[plain];
  return Object.hasOwn(language.words, plain) ? plain : found;
}

// MaxPool2d:stride=1 is MaxPool:stride=1: the 2d of other libraries is not the size of a window.
function withoutAxes(text) {
  return text.replace(new RegExp(`^([A-Za-z_]*)[123][dD](?![^${SPACE}:-])`, "u"), "$1");
}

function valueOf(text) {
  if (["yes", "true", "no", "false"].includes(text)) return text === "yes" || text === "true";
  if (WHOLE.test(text)) return BigInt(text.replace(/^\+/, ""));
  const sides = text.match(SIDES);
  if (sides) return [BigInt(sides[1]), BigInt(sides[2])];
  if (!NUMBER.test(text)) return text;
  const plain = text.replaceAll("_", "").replace(/^([+-]?)inf(inity)?$/, "$1Infinity");
  return plain.endsWith("nan") ? NaN : Number(plain);
}

// A value as Python writes it.
function written(value) {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `(${value.map(written).join(", ")})`;
  if (typeof value === "string") {
    const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
    return quote + value.replaceAll("\\", "\\\\").replaceAll(quote, `\\${quote}`) + quote;
  }
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function cut(text) {
  const letters = [...text];
  return letters.length <= 80 ? text : `${letters.slice(0, 77).join("")}...`;
}

// The sentence for a name that does not exist, with the nearest one that does, as Python's difflib has it.
function unknown(kind, value, known) {
  const names = [...known].sort();
  let near = null;
  for (const name of names) {
    const likeness = ratio(name, value);
    if (likeness >= 0.6 && (near === null || likeness >= near.likeness)) near = { name, likeness };
  }
  return `unknown ${kind} '${value}'${near ? `; did you mean '${near.name}'?` : "."} Known: ${names.join(", ")}`;
}

function ratio(one, other) {
  const [left, right] = [[...one], [...other]];
  const matches = (a, b) => {
    let best = [0, 0, 0];
    for (let i = 0; i < a.length; i += 1) {
      for (let j = 0; j < b.length; j += 1) {
        let length = 0;
        while (i + length < a.length && j + length < b.length && a[i + length] === b[j + length]) length += 1;
        if (length > best[2]) best = [i, j, length];
      }
    }
    const [i, j, length] = best;
    return length === 0 ? 0 : length + matches(a.slice(0, i), b.slice(0, j)) + matches(a.slice(i + length), b.slice(j + length));
  };
  return left.length + right.length ? (2 * matches(left, right)) / (left.length + right.length) : 1;
}
