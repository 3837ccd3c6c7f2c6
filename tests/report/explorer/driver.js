// Answers the cases that the tests give it on standard input, with the page's own arithmetic, which stands before this.
const { language, cases } = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
const plain = (document) => JSON.stringify(document, (_, value) => (typeof value === "bigint" ? `${value}n` : value));

function answer({ line, input, classes, batch, precision, sizes, probes }) {
  const shape = input.map(BigInt);
  let found;
  try {
    found = inspectLine(line, shape, classes === null ? null : BigInt(classes), language, BigInt(batch), BYTES[precision]);
  } catch (error) {
    if (!(error instanceof LineError || error instanceof LayerError)) throw error;
    return { error: error.message, start: error.start ?? null, end: error.end ?? null };
  }
  const field = ({ size, jump, start }) => ({ size, jump, start, center: centerOf({ size, start }) });
  const layers = found.costs.map((cost, at) => {
    const [, after] = found.fields.get(cost.layer.name);
    return {
      number: cost.number, name: cost.layer.name, kind: cost.layer.kind, description: describeLayer(cost),
      input_shape: cost.input, output_shape: cost.output, weights: cost.weights, macs: cost.macs,
      receptive_field: { height: field(after[0]), width: field(after[1]) },
      activation_bytes: found.memories[at],
      explanation: Object.fromEntries([
        ...explainLayer(cost, found.fields.get(cost.layer.name)), explainMemory(cost.output, found.batch, found.bytes),
      ]),
    };
  });
  const compared = compareConvolutions(found.costs).map((one) => [one.name, one.local, one.full, one.fullMacs]);
  return {
    layers, compared, num_classes: found.classes, weights: found.weights, macs: found.macs, share: found.connectedShare,
    activation_bytes: found.memory, input_bytes: found.inputMemory,
    sizes: sizes ? describeSizes(findSizes(found.layers, found.costs, found.classes), shape) : null,
    probes: probes.map(([name, row, column]) =>
      pixelsBehind(found.layers, found.costs, name, [row, column]).map((axis) => [...axis].sort((one, other) => one - other))),
    written: [megabytes(found.memory), megabytes(found.weights), shortMacs(found.macs), percent(found.connectedShare)],
    images: weightsForEachImage(found.weights, 1437n),
  };
}
process.stdout.write(plain(cases.map(answer)));
