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
  const cells = (diagonal) => chart.counts.map((row, i) => row.map((count, j) => ((i === j) === diagonal && count ? share(i, j) : null)));
  const worst = Math.max(0.02, ...cells(false).flat().map((value) => value || 0));
  const hover = chart.counts.map((row, i) => row.map((count, j) => `${count.toLocaleString("en")} of ${totals[i].toLocaleString("en")} ${names[i]}<br>${i === j ? "found" : "taken for " + names[j]}: ${(100 * share(i, j)).toFixed(1)} %`));
  const places = chart.names.map((_, i) => i);
  const trace = (diagonal, color, most) => ({
    type: "heatmap", x: places, y: places, z: cells(diagonal), zmin: 0, zmax: most, showscale: false, xgap: 2, ygap: 2, hoverongaps: false,
    colorscale: [[0, diagonal ? colors.card : colors.soft], [1, color]], hoverinfo: "text", hovertext: hover,
    text: n <= 20 && cell >= 22 ? chart.counts.map((row, i) => row.map((count, j) => (count && (i === j) === diagonal ? String(count) : ""))) : undefined,
    texttemplate: n <= 20 && cell >= 22 ? "%{text}" : undefined, textfont: { size: Math.min(13, cell / 2.4) },
  });
  const bottom = bare ? 30 : straight ? 46 : 34 + longest * 6.6;
  const ticks = { showticklabels: !bare, tickvals: places, showgrid: false, ticks: "", automargin: false, tickfont: { color: colors.muted, size: Math.max(8, Math.min(12, cell)) } };
  const shapes = [];
  for (let i = 0; i <= n; i += 1) {
    shapes.push({ type: "line", x0: -0.5, x1: n - 0.5, y0: i - 0.5, y1: i - 0.5, line: { color: colors.grid, width: 1 }, layer: "below" });
    shapes.push({ type: "line", y0: -0.5, y1: n - 0.5, x0: i - 0.5, x1: i - 0.5, line: { color: colors.grid, width: 1 }, layer: "below" });
  }
  const spare = Math.max(12, width - side - size);
  return {
    data: [trace(true, colors.equivalent, 1), trace(false, colors.hurt, worst)],
    layout: layout(colors, {
      height: size + bottom + 12, margin: { l: side + spare / 2, r: spare / 2, t: 12, b: bottom }, hovermode: "closest", shapes,
      xaxis: axis(colors, { ...ticks, ticktext: names, range: [-0.5, n - 0.5], tickangle: straight ? 0 : -60, title: { text: "the model said", font: { color: colors.muted, size: 12.5 }, standoff: 4 } }),
      yaxis: axis(colors, { ...ticks, ticktext: names, range: [n - 0.5, -0.5], title: narrow ? undefined : { text: "true class", font: { color: colors.muted, size: 12.5 }, standoff: 4 } }),
    }),
  };
};
