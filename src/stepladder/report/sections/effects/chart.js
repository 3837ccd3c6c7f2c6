// The effects: what each technique does, seed by seed, around zero.
builders.effects = (chart, { width, colors, narrow }) => {
  const known = chart.effects.filter((effect) => effect.mean !== null);
  const values = known.flatMap((effect) => [...effect.values, effect.mean]).concat([-chart.smallest, chart.smallest]);
  const range = span(values, known.flatMap((effect) => [effect.interval, effect.wider]), 2 * chart.smallest);
  const write = (value) => `${value > 0 ? "+" : ""}${value.toFixed(chart.step === "points" ? 2 : 4)} ${chart.step}`.replace("-", "−");
  const items = known.map((effect) => Object.assign({}, effect, { lines: effect.how ? [effect.how] : [], notes: [], text: narrow ? effect.figures.split(" [")[0] : effect.figures }));
  return rows(items, { width, colors, narrow, range, write, axisTitle: safe(chart.axis), zone: chart.smallest, upward: false });
};
