// Rungs or effects: a row each, every seed a dot, the interval, and the verdict's shape and color. With `dots`, items name
// their dots, as the sets of a pool; `wider` says what the pale band is.
function rows(items, options) {
  const { width, colors, narrow, axisTitle, range, zone } = options;
  const right = 28 + 7.1 * Math.max(...items.map((item) => Math.max(item.text.length, item.word.length + 2)));
  const noted = items.some((item) => item.notes.length);
  const row = narrow ? (noted ? 100 : 84) : onPaper ? 46 : 58;
  const top = narrow ? 26 : 10;
  const height = top + row * items.length + 58;
  const names = items.map((item) => Math.max(item.name.length * 7.6, ...item.lines.map((line) => Math.min(line.length, 34) * 6.5)));
  const left = narrow ? 14 : Math.min(260, 24 + Math.max(...names));
  const pixels = width - left - (narrow ? 14 : right);
  const data = [], annotations = [], shapes = [];
  const note = (x, y, text, more) => annotations.push(Object.assign({
    xref: "paper", x, y, text, showarrow: false, align: "left", xanchor: "left", yanchor: "middle",
  }, more));
  if (zone) {
    shapes.push({ type: "rect", xref: "x", yref: "paper", x0: -zone, x1: zone, y0: 0, y1: 1, fillcolor: colors.zone, line: { width: 0 }, layer: "below" });
    shapes.push({ type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { color: colors.muted, width: 1 }, layer: "below" });
  }
  items.forEach((item, place) => {
    const level = options.upward ? place : items.length - 1 - place;
    const color = item.kind === "none" ? colors.ink : colors[item.kind];
    shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level, line: { color: colors.grid, width: 1 }, layer: "below" });
    if (item.wider) data.push({
      x: [Math.max(item.wider[0], range[0]), Math.min(item.wider[1], range[1])], y: [level, level], mode: "lines",
      hoverinfo: "skip", line: { color, width: 9 }, opacity: 0.25,
    });
    if (item.interval) data.push(...intervalTraces(item.interval, level, range, color));
    data.push({
      x: item.values, y: swarm(item.values, range, pixels, row).map((lift) => level + lift), mode: "markers",
      marker: { size: 8, color: colors.equivalent, opacity: 0.75 }, cliponaxis: false,
      hoverinfo: "text", text: item.seeds.map((seed, i) => `${safe(item.name)}, ${options.dots ? safe(seed) : "seed " + seed}: ${options.write(item.values[i])}`),
    });
    if (item.mean !== null) {
      data.push({
        x: [item.mean], y: [level], mode: "markers", cliponaxis: false, hoverinfo: "text",
        marker: { symbol: SHAPES[item.kind], size: 13, color, line: { color: item.kind === "undecided" || item.kind === "none" ? color : colors.card, width: item.kind === "undecided" || item.kind === "none" ? 2 : 1 } },
        text: [[safe(item.name), item.word, `mean ${options.write(item.mean)}`, item.interval ? `interval ${options.write(item.interval[0])} to ${options.write(item.interval[1])}` : "", item.wider ? `${options.wider || "on new images"} ${options.write(item.wider[0])} to ${options.write(item.wider[1])}` : ""].filter(Boolean).join("<br>")],
      });
    } else {
      note(0.5, level, "no result yet", { font: { color: colors.muted }, xanchor: "center", bgcolor: colors.card });
    }
    const alarm = item.notes.length ? ` <span style="color:${colors.hurt}">${safe(item.notes.join(", "))}</span>` : "";
    const verdict = item.word ? `<span style="color:${color}">${item.symbol} ${item.word}</span>` : "";
    if (narrow) {
      note(0, level, `<b>${safe(shorten(item.name, 22))}</b>  ${item.text} ${verdict}${alarm ? "<br>" + alarm.trim() : ""}`, { yshift: noted ? 54 : 47, font: { size: 12 } });
    } else {
      const lines = item.lines.map((line) => `<br><span style="color:${colors.muted};font-size:11.5px">${safe(shorten(line, 38))}</span>`).join("");
      note(0, level, `<b>${safe(shorten(item.name, 28))}</b>${lines}${alarm ? "<br>" + alarm : ""}`, { xshift: 6 - left });
      if (item.text || verdict) note(1, level, `${item.text}${verdict ? (item.text ? "<br>" : "") + verdict : ""}`, { xshift: 16 });
    }
  });
  return {
    data,
    layout: layout(colors, {
      height, annotations, shapes, hovermode: "closest",
      margin: { l: left, r: narrow ? 14 : right, t: top, b: 48 },
      xaxis: axis(colors, { range, title: { text: axisTitle, font: { color: colors.muted, size: 12.5 }, standoff: 6 }, automargin: false }),
      // Room above the last line for its dots, up to three over one another, and for its name where that stands there.
      yaxis: axis(colors, { range: [-0.6, items.length - 1 + Math.max(narrow ? 0.75 : 0.6, 44 / row)], showticklabels: false, showgrid: false, ticks: "", automargin: false }),
    }),
  };
}

function wrap(text, letters) {
  const lines = [""];
  for (const word of text.split("  ")) {
    const last = lines[lines.length - 1];
    if (last && (last + "  " + word).length > letters) lines.push(word);
    else lines[lines.length - 1] = last ? last + "  " + word : word;
  }
  return lines.length > 2 ? [lines[0], lines.slice(1).join("  ")] : lines;
}
