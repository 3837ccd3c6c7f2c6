// The confusion matrix of one model.
builders.confusion = (chart, { width, colors, narrow }) => {
  const n = chart.names.length, longest = Math.max(...chart.names.map((name) => Math.min(name.length, 16)));
  const bare = width / n < 16; // no room for names, which the hover tells
  const side = bare ? 30 : 24 + longest * 6.8, room = Math.min(width - side - 16, onPaper ? 430 : 620);
  const cell = room / n, size = cell * n;
  const names = chart.names.map((name) => safe(shorten(name, 16)));
  const straight = Math.max(...chart.names.map((name) => Math.min(name.length, 16))) * 7 < cell;
  const totals = chart.counts.map((row) => row.reduce((sum, count) => sum + count, 0));
  const share = (row, column) => (totals[row] ? chart.counts[row][column] / totals[row] : 0);
  const places = chart.names.map((_, i) => i);
  const found = places.flatMap((i) => places.filter((j) => chart.counts[i][j]).map((j) => [i, j]));
  // By the root of the share, on one scale for right and wrong: one mistake in forty is pale and still seen.
  const fills = found.map(([i, j]) => mixed(colors.card, i === j ? colors.equivalent : colors.hurt, 0.1 + 0.9 * Math.sqrt(share(i, j))));
  const said = n <= 20 && cell >= 18;
  const trace = {
    x: found.map(([, j]) => j), y: found.map(([i]) => i), mode: said ? "markers+text" : "markers", hoverinfo: "text", cliponaxis: false,
    marker: { symbol: "square", size: Math.max(1, cell - (cell > 12 ? 3 : 1)), color: fills, opacity: 1, line: { width: 0 } },
    text: found.map(([i, j]) => String(chart.counts[i][j])), textposition: "middle center",
    textfont: { size: Math.min(13, cell / 2.2), color: fills.map(readable) },
    hovertext: found.map(([i, j]) => `${chart.counts[i][j].toLocaleString("en")} of ${totals[i].toLocaleString("en")} ${names[i]}<br>${i === j ? "found" : "taken for " + names[j]}: ${(100 * share(i, j)).toFixed(1)} %`),
  };
  const bottom = bare ? 30 : straight ? 46 : 34 + longest * 6.6;
  const ticks = { showticklabels: !bare, tickvals: places, showgrid: false, ticks: "", automargin: false, tickfont: { color: colors.muted, size: Math.max(8, Math.min(12, cell)) } };
  const shapes = [];
  for (let i = 0; i <= n; i += 1) {
    shapes.push({ type: "line", x0: -0.5, x1: n - 0.5, y0: i - 0.5, y1: i - 0.5, line: { color: colors.grid, width: 1 }, layer: "below" });
    shapes.push({ type: "line", y0: -0.5, y1: n - 0.5, x0: i - 0.5, x1: i - 0.5, line: { color: colors.grid, width: 1 }, layer: "below" });
  }
  const spare = Math.max(12, width - side - size);
  return {
    data: [trace],
    layout: layout(colors, {
      height: size + bottom + 12, margin: { l: side + spare / 2, r: spare / 2, t: 12, b: bottom }, hovermode: "closest", shapes,
      xaxis: axis(colors, { ...ticks, ticktext: names, range: [-0.5, n - 0.5], tickangle: straight ? 0 : -60, title: { text: "the model said", font: { color: colors.muted, size: 12.5 }, standoff: 4 } }),
      yaxis: axis(colors, { ...ticks, ticktext: names, range: [n - 0.5, -0.5], title: narrow ? undefined : { text: "true class", font: { color: colors.muted, size: 12.5 }, standoff: 4 } }),
    }),
  };
};
