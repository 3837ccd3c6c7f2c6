// Each convolution beside layers of the same input and output that share nothing, or see everything.
function drawComparison() {
  const compared = compareConvolutions(found.costs);
  const figure = (text) => make("td", { class: "figure" }, text);
  const times = (one) => (one.shared ? `${groupedText(halfEven(Number(one.full) / Number(one.shared), 0))}×` : "");
  document.querySelector("#compare tbody").replaceChildren(...compared.map((one) => make(
    "tr", { class: one.name === state.layer ? "chosen" : "" },
    make("th", { scope: "row" }, one.name),
    ...[one.output.join("×"), grouped(one.shared), grouped(one.local), grouped(one.full), times(one)].map(figure))));
  $("compare").parentElement.hidden = !compared.length;
  const chosen = compared.find((one) => one.name === state.layer) || compared[0];
  if (!chosen) {
    $("bars").replaceChildren(make("p", {}, "This network has no convolution to compare."));
    return;
  }
  const cost = costNamed(chosen.name);
  const most = Number(larger(chosen.full, chosen.local));
  const bar = (word, count, note) => {
    const line = make("div", { class: "length" });
    line.style.width = `${Math.max(0.15, (100 * Number(count)) / most)}%`;
    return make("div", { class: "bar" },
      make("span", { class: "word" }, word), make("span", { class: "count" }, grouped(count)),
      make("div", { class: "track" }, line), make("span", { class: "small" }, note));
  };
  const positions = product(cost.output.slice(1));
  const [inputs, outputs] = [product(cost.input), product(cost.output)];
  $("bars").replaceChildren(
    make("h3", {}, `${chosen.name}: ${formatShape(cost.input)} to ${formatShape(cost.output)}`),
    bar("shared", chosen.shared, `one kernel a filter, at all ${grouped(positions)} positions`),
    bar("locally connected", chosen.local, `a kernel at each position: ${grouped(chosen.shared)} · ${grouped(positions)}`),
    bar("fully connected", chosen.full, `each of ${grouped(outputs)} outputs reads all ${grouped(inputs)} inputs`));
}
draws.push(drawComparison);
