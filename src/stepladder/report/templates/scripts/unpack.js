// plotly.js lies in the page as gzip in base64. It is unpacked here and now, in 0.1 s: the browser's own way is
// asynchronous, and a print could come before the charts. The page's policy lets no other script than the pinned one run.

// Inflate (RFC 1951), of a gzip file whose header has no extra fields.
function inflate(bytes) {
  const view = new DataView(bytes.buffer);
  const out = new Uint8Array(view.getUint32(bytes.length - 4, true));
  let at = 10, to = 0, held = 0, count = 0;

  function bits(number) {
    while (count < number) { held |= bytes[at++] << count; count += 8; }
    const value = held & ((1 << number) - 1);
    held >>>= number; count -= number;
    return value;
  }

  // How many codes there are of each length, and the symbols in the order of their codes.
  function codes(lengths) {
    const counts = new Uint16Array(16), offsets = new Uint16Array(16), symbols = new Uint16Array(lengths.length);
    for (const length of lengths) counts[length] += 1;
    counts[0] = 0;
    for (let length = 1; length < 16; length += 1) offsets[length] = offsets[length - 1] + counts[length - 1];
    lengths.forEach((length, symbol) => { if (length) symbols[offsets[length]++] = symbol; });
    return { counts, symbols };
  }

  function symbol({ counts, symbols }) {
    let code = 0, first = 0, index = 0;
    for (let length = 1; length < 16; length += 1) {
      code |= bits(1);
      if (code - first < counts[length]) return symbols[index + code - first];
      index += counts[length];
      first = (first + counts[length]) << 1;
      code <<= 1;
    }
    throw new Error("damaged");
  }

  function tables() {
    const literals = bits(5) + 257, distances = bits(5) + 1, written = bits(4) + 4, order = new Array(19).fill(0);
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].slice(0, written).forEach((place) => { order[place] = bits(3); });
    const coded = codes(order), lengths = [];
    while (lengths.length < literals + distances) {
      const next = symbol(coded);
      if (next < 16) lengths.push(next);
      else {
        const value = next === 16 ? lengths[lengths.length - 1] : 0;
        const times = next === 16 ? 3 + bits(2) : next === 17 ? 3 + bits(3) : 11 + bits(7);
        for (let i = 0; i < times; i += 1) lengths.push(value);
      }
    }
    return [codes(lengths.slice(0, literals)), codes(lengths.slice(literals))];
  }

  const fixed = [codes([...new Array(144).fill(8), ...new Array(112).fill(9), ...new Array(24).fill(7), ...new Array(8).fill(8)]), codes(new Array(30).fill(5))];
  const extra = (symbol, step, base) => (symbol < 2 * step ? [symbol + base, 0] : [(((symbol % step) + step) << (Math.floor(symbol / step) - 1)) + base, Math.floor(symbol / step) - 1]);
  let last = 0;
  while (!last) {
    last = bits(1);
    const kind = bits(2);
    if (kind === 0) {
      held = 0; count = 0;
      const length = view.getUint16(at, true);
      out.set(bytes.subarray(at + 4, at + 4 + length), to);
      at += 4 + length; to += length;
      continue;
    }
    const [literals, distances] = kind === 1 ? fixed : tables();
    for (;;) {
      const next = symbol(literals);
      if (next < 256) out[to++] = next;
      else if (next === 256) break;
      else {
        const [length, more] = next === 285 ? [258, 0] : extra(next - 257, 4, 3);
        const end = to + length + bits(more);
        const [distance, further] = extra(symbol(distances), 2, 1);
        const back = distance + bits(further);
        for (; to < end; to += 1) out[to] = out[to - back];
      }
    }
  }
  return out;
}

function unpack() {
  const text = atob(document.getElementById("plotly").textContent.trim());
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(inflate(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  document.head.append(script);
}

unpack();
