// The ladder: every rung with its seeds, the first at the bottom.
builders.ladder = (chart, { width, colors, narrow }) => {
  const values = chart.rungs.flatMap((rung) => rung.values);
  let range = values.length ? span(values, chart.rungs.map((rung) => rung.interval), chart.share ? 2 : 0.02) : [0, chart.share ? 100 : 1];
  if (chart.share) range = [Math.max(range[0], -1), Math.min(range[1], 100 + 0.04 * (100 - range[0]))];
  const write = (value) => `${value.toFixed(chart.share ? 2 : 4)} ${chart.unit}`;
  const items = chart.rungs.map((rung) => Object.assign({}, rung, {
    lines: wrap(rung.adds.join("  ") || "no technique", 34),
    text: rung.mean === null ? "" : `${rung.text} ${chart.unit}`,
  }));
  return rows(items, { width, colors, narrow, range, write, axisTitle: safe(chart.axis), upward: true });
};
