// The accuracy of one model by class.
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
