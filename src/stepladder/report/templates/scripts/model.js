// One model's mistakes: the confusion matrix, accuracy by class, and the reliability diagram.
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

builders.classes = (chart, { width, colors, narrow }) => {
  const rows = chart.rows, n = rows.length;
  const letters = narrow ? 14 : 24;
  const side = 20 + 7.2 * Math.max(...rows.map((row) => Math.min(row.name.length, letters)));
  const low = Math.min(...rows.map((row) => row.interval[0]));
  const places = rows.map((_, i) => i);
  return {
    data: [{
      x: rows.map((row) => row.accuracy), y: places, mode: "markers", cliponaxis: false,
      marker: { size: 9, color: colors.equivalent }, hoverinfo: "text",
      error_x: { type: "data", symmetric: false, array: rows.map((row) => row.interval[1] - row.accuracy), arrayminus: rows.map((row) => row.accuracy - row.interval[0]), color: colors.equivalent, thickness: 1.6, width: 4 },
      text: rows.map((row) => `${safe(row.name)}: ${row.accuracy.toFixed(2)} % of ${row.n.toLocaleString("en")}<br>95 % interval ${row.interval[0].toFixed(1)} to ${row.interval[1].toFixed(1)} %`),
    }],
    layout: layout(colors, {
      height: Math.max(160, 24 * n + 76), margin: { l: side, r: 24, t: 24, b: 48 }, hovermode: "closest",
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: chart.overall, x1: chart.overall, y0: 0, y1: 1, line: { color: colors.muted, width: 1.2, dash: "dash" }, layer: "below" }],
      annotations: [{ xref: "x", yref: "paper", x: chart.overall, y: 1, yanchor: "bottom", xanchor: chart.overall > 80 ? "right" : "center", showarrow: false, text: `all classes ${chart.overall.toFixed(2)} %`, font: { color: colors.muted, size: 12 } }],
      xaxis: axis(colors, { range: [Math.max(-1, Math.min(low - 2, 90)), 100.5], title: { text: `accuracy of the class, %${chart.left_out ? `; ${chart.left_out} better classes are left out` : ""}`, font: { color: colors.muted, size: 12.5 }, standoff: 6 }, automargin: false }),
      yaxis: axis(colors, { range: [n - 0.4, -0.6], tickvals: places, ticktext: rows.map((row) => safe(shorten(row.name, letters))), ticks: "", showgrid: false, tickfont: { color: colors.ink, size: n > 30 ? 11 : 12.5 }, automargin: false }),
    }),
  };
};

builders.calibration = (chart, { width, colors }) => {
  const both = [["as trained", chart.plain, colors.hurt, "circle-open"]];
  if (chart.scaled) both.push(["after temperature scaling", chart.scaled, colors.equivalent, "square"]);
  const bins = both.flatMap(([, list]) => list);
  const low = Math.max(-1, Math.min(...bins.map((bin) => Math.min(bin.sure, bin.interval[0]))) - 4);
  const side = Math.min(width, onPaper ? 420 : 560);
  const data = [{ x: [Math.max(low, 0), 100], y: [Math.max(low, 0), 100], mode: "lines", line: { color: colors.muted, width: 1.2, dash: "dash" }, hoverinfo: "skip", showlegend: false }];
  for (const [name, list, color, symbol] of both) {
    data.push({
      x: list.map((bin) => bin.sure), y: list.map((bin) => bin.right), mode: "lines+markers", name, cliponaxis: false,
      line: { color, width: 1.4 }, marker: { symbol, size: 9, color, line: { color, width: 2 } }, hoverinfo: "text",
      error_y: { type: "data", symmetric: false, array: list.map((bin) => bin.interval[1] - bin.right), arrayminus: list.map((bin) => bin.right - bin.interval[0]), color: faded(color, 0.45), thickness: 1.2, width: 3 },
      text: list.map((bin) => `${name}<br>${bin.n.toLocaleString("en")} images, ${bin.sure.toFixed(1)} % sure, ${bin.right.toFixed(1)} % right`),
    });
  }
  const range = [low, 101];
  return {
    data,
    layout: layout(colors, {
      height: side - 30, margin: { l: 62 + (width - side) / 2, r: 14 + (width - side) / 2, t: 40, b: 50 }, hovermode: "closest", showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: colors.ink }, itemclick: false, itemdoubleclick: false },
      xaxis: axis(colors, { range, title: { text: "how sure, %", font: { color: colors.muted, size: 12.5 }, standoff: 6 }, automargin: false }),
      yaxis: axis(colors, { range, title: { text: "right, %", font: { color: colors.muted, size: 12.5 }, standoff: 6 }, automargin: false }),
    }),
  };
};
