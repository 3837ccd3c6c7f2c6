// Pooled effects: a row a technique, a dot an image set, the mean with its interval, and the pale band of a new set.
builders.techniques = (chart, { width, colors, narrow }) => {
  const values = chart.items.flatMap((item) => [...item.values, item.mean]).concat([-chart.smallest, chart.smallest]);
  const range = span(values, chart.items.flatMap((item) => [item.interval, item.wider]), 2 * chart.smallest);
  const write = (value) => `${value > 0 ? "+" : ""}${value.toFixed(chart.step === "points" ? 2 : 4)} ${chart.step}`.replace("-", "−");
  return rows(chart.items, { width, colors, narrow, range, write, axisTitle: safe(chart.axis), zone: chart.smallest, upward: false, dots: true, wider: "a new set" });
};
