// What each of the lab report's first questions is shown by: the state of the page, where to look, and what to try.
const REPORT = { preset: "report" };
const POOLED = "conv5-32 pool2 conv5-64 pool2 conv5-64 pool2";
const SHOWS = {
  1: {
    ...REPORT, layer: "conv1", to: "layers",
    hint: "The working of conv1 stands beside the table. Change its kernel, padding or stride in the line, and read the size.",
  },
  2: {
    ...REPORT, layer: "conv1", to: "shared",
    hint: "The bars: weights shared among positions, a kernel a position, and all inputs for all outputs.",
  },
  3: {
    ...REPORT, layer: "pool3", to: "layers",
    hint: "Take one pool2 out of the line: maps and work grow, and the last maps see less.",
  },
  4: {
    ...REPORT, to: "network",
    hint: "The last sentence under the line says which sizes fit. Put gap in place of fc1000: any size does.",
  },
  5: {
    line: `${POOLED} conv4-1000:padding=0 conv1-classes gap`, input: "3x32x32", layer: "conv4", to: "layers",
    hint: "fc1000 and fc are read as convolutions here, the first with a kernel as large as its input: the weights stay 1,191,170.",
  },
  6: {
    ...REPORT, layer: "conv1", to: "shared",
    hint: "Weights times positions. Put local5-32 in place of conv5-32 in the line to build it.",
  },
  7: {
    line: "conv5-8 conv5-8 gap fc", input: "3x32x32", layer: "conv2", to: "seen",
    hint: "conv1 sees 5×5 pixels, conv2 9×9. Choose the layer, and move along its outputs.",
  },
  8: {
    hand: { kind: "conv", size: 7, kernel: 5, stride: 1, padding: 2, dilation: 1, ceil: false }, to: "hand",
    hint: "The underlined padding keeps the size. Change the kernel: it is (k − 1)/2.",
  },
  9: {
    hand: { kind: "max", size: 6, kernel: 2, stride: 2, padding: 0, dilation: 1, ceil: false }, to: "hand",
    hint: "Windows of 2×2 in steps of 2, without padding. With a size of 5, round up or lose the border.",
  },
  10: { ...REPORT, layer: "fc1", to: "layers", hint: "The squares under the slabs are the weights: fc1 has 86 % of them." },
  11: {
    ...REPORT, training: "50000", to: "network",
    hint: "Training images are set to 50,000, as CIFAR-10 has: the sentence under the figures divides.",
  },
};

function showQuestion(number) {
  const shown = SHOWS[number];
  const preset = data.presets.find((one) => one.name === shown.preset);
  if (preset) Object.assign(state, { line: preset.line, input: preset.input, classes: "" });
  if (shown.line) Object.assign(state, { line: shown.line, input: shown.input, classes: "" });
  if (shown.training) state.training = shown.training;
  if (shown.layer) Object.assign(state, { layer: shown.layer, at: null });
  if (shown.hand) setHand(shown.hand);
  show();
  work();
  const heading = $(shown.to);
  heading.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  heading.focus({ preventScroll: true });
}

function listenToQuestions() {
  for (const button of document.querySelectorAll("[data-question]")) {
    button.addEventListener("click", () => showQuestion(button.dataset.question));
  }
  for (const hint of document.querySelectorAll("[data-hint]")) hint.textContent = SHOWS[hint.dataset.hint].hint;
}
