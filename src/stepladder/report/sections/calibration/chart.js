// The reliability diagram of one model.
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
