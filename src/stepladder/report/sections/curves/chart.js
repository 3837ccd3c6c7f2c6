// The curves: a panel a rung, accuracy above loss, all zoomed together; or all rungs over one another.
const MANY = 12; // rungs from which the page begins with the overlay: so many panels are slow and small
let overlaid = charts.curves ? charts.curves.rungs.length > MANY : false;
// Okabe and Ito's colors, darkened or lightened to a contrast of 4.5 on the page; the shapes tell them apart in gray.
const RUNG_COLORS = {
  light: ["#1a1a1a", "#0066a1", "#b04600", "#00664b", "#96407a", "#7a6000", "#3b6ea5", "#6b3fa0"],
  dark: ["#ececec", "#6cb8e6", "#f0a066", "#4cc9a4", "#e39ac6", "#e8d24f", "#9db7e8", "#c3a6f0"],
};
const RUNG_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "star", "x"];

function zoomable() {
  // On a touch screen a finger that drags means to scroll.
  return !window.matchMedia("(pointer: coarse)").matches;
}

function figureOf(axis) {
  return axis.share ? "%{y:.2f} %" : "%{y:.4f}";
}

builders.curves = (chart, options) => (overlaid ? overlayCurves(chart, options) : panelCurves(chart, options));

function panelCurves(chart, { width, colors, narrow }) {
  const n = chart.rungs.length;
  const columns = width < 620 ? Math.min(n, 2) : n <= 3 ? n : n === 4 ? 2 : 3;
  const down = Math.ceil(n / columns);
  const margin = { l: 58, r: 14, t: 34, b: 8 };
  const noted = chart.rungs.some((rung) => rung.note);
  const head = noted ? 60 : 44, foot = 46, between = 14, gap = narrow ? 18 : 30;
  const uprights = chart.axes, some = uprights.length;
  let tall = 150, low = some > 1 ? 112 : 0;
  const apart = some > 1 ? between : 0;
  const whole = () => down * (head + tall + apart + low + foot);
  if (onPaper && whole() + 50 > PAPER_HEIGHT) {
    const shrink = (PAPER_HEIGHT - 50 - down * (head + apart + foot)) / (down * (tall + low));
    tall *= shrink; low *= shrink;
  }
  const inner = width - margin.l - margin.r, panel = (inner - gap * (columns - 1)) / columns;
  const data = [], annotations = [];
  const all = layout(colors, { height: whole() + margin.t + margin.b, margin, annotations, hovermode: "x", dragmode: zoomable() ? "zoom" : false });
  const series = [["train", "train", colors.train, "dash"], ["other", chart.other, chart.other === "test" ? colors.helped : colors.equivalent, "solid"]];
  chart.rungs.forEach((rung, place) => {
    const column = place % columns, level = Math.floor(place / columns);
    const x0 = column * (panel + gap) / inner, x1 = x0 + panel / inner;
    const top = level * (head + tall + apart + low + foot) + head;
    const up = (pixels) => 1 - pixels / whole();
    uprights.forEach((upright, second) => {
      const measure = upright.measure, id = some * place + second + 1, key = id === 1 ? "" : String(id);
      const [y0, y1] = second ? [up(top + tall + apart + low), up(top + tall + apart)] : [up(top + tall), up(top)];
      all["xaxis" + key] = axis(colors, {
        domain: [x0, x1], anchor: "y" + key, range: [0, chart.epochs], matches: id === 1 ? undefined : "x", fixedrange: !zoomable(),
        showticklabels: second === some - 1, nticks: 6, automargin: false,
        title: second === some - 1 && level === Math.floor((n - 1 - column) / columns) ? { text: "epoch", font: { color: colors.muted, size: 12 }, standoff: 4 } : undefined,
      });
      all["yaxis" + key] = axis(colors, {
        domain: [y0, y1], anchor: "x" + key, range: reach(upright), fixedrange: !zoomable(),
        matches: place === 0 ? undefined : second ? "y2" : "y", showticklabels: column === 0, automargin: false,
        tickvals: upright.share ? [0, 25, 50, 75, 100] : undefined, nticks: 5,
        title: column === 0 ? { text: safe(upright.title), font: { color: colors.muted, size: 12 }, standoff: 6 } : undefined,
      });
      for (const [split, name, color, dash] of series) {
        const curve = rung[split][measure], axes = { xaxis: "x" + key, yaxis: "y" + key };
        if (rung.n > 1) {
          data.push({ ...axes, x: [...curve.x, ...[...curve.x].reverse()], y: [...curve.high, ...[...curve.low].reverse()], fill: "toself", fillcolor: faded(color, 0.2), line: { width: 0 }, mode: "lines", hoverinfo: "skip", showlegend: false });
        }
        if (curve.x.length) {
          data.push({ ...axes, x: curve.x, y: curve.mean, mode: "lines", name, line: { color, width: 2, dash }, showlegend: place === 0 && second === 0, hovertemplate: `${name} ${figureOf(upright)}<extra></extra>` });
        }
        for (const failed of rung.failed) {
          const broken = failed[split][measure];
          if (!broken.x.length) continue;
          data.push({ ...axes, x: broken.x, y: broken.mean, mode: "lines+markers", showlegend: false, line: { color, width: 1, dash }, marker: { symbol: "x", color, size: broken.x.map((_, i) => (i === broken.x.length - 1 ? 8 : 0)) }, hovertemplate: `seed ${failed.seed} failed, ${name} ${figureOf(upright)}<extra></extra>` });
        }
      }
    });
    const last = lastFigures(rung, chart, narrow);
    annotations.push({
      xref: "paper", yref: "paper", x: x0, y: up(top - 2), xanchor: "left", yanchor: "bottom", align: "left", showarrow: false,
      text: `<b>${safe(shorten(rung.name, narrow ? 16 : 24))}</b><br><span style="color:${colors.muted};font-size:11.5px">${last}${rung.note ? `<br><span style="color:${colors.hurt}">${rung.note}</span>` : noted ? "<br> " : ""}</span>`,
    });
  });
  all.showlegend = true;
  all.legend = { orientation: "h", x: 0, xanchor: "left", y: 1 + 6 / whole(), yanchor: "bottom", font: { color: colors.ink }, itemclick: false, itemdoubleclick: false };
  return { data, layout: all };
}

function reach(upright) {
  return upright.share ? [0, 102] : upright.range; // a curve along the frame would be halved
}

// The first measure of both splits at their last epochs; a command may have told of one alone.
function lastFigures(rung, chart, narrow) {
  const { measure, share, unit } = chart.axes[0];
  const behind = unit ? ` ${unit}` : "";
  const ends = [["train", "train"], ["other", chart.other]]
    .map(([split, name]) => [name, rung[split][measure].mean.at(-1)]).filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, value.toFixed(share ? 1 : 3)]);
  if (!ends.length) return "no curve yet";
  return narrow ? ends.map(([, value]) => value).join(" / ") + behind : ends.map(([name, value]) => `${name} ${value}${behind}`).join(", ");
}

function overlayCurves(chart, { width, colors, narrow }) {
  const dark = parseInt(colors.page.slice(1, 3), 16) < 128;
  const hues = RUNG_COLORS[dark ? "dark" : "light"];
  const data = [], [first, second] = chart.axes;
  chart.rungs.forEach((rung, place) => {
    const color = hues[place % hues.length], symbol = RUNG_SHAPES[place % RUNG_SHAPES.length];
    let named = false; // in the legend, by the first of its curves that there is
    chart.axes.forEach((upright, second) => {
      const measure = upright.measure, axes = { xaxis: second ? "x2" : "x", yaxis: second ? "y2" : "y", legendgroup: String(place) };
      for (const split of ["other", "train"]) {
        const curve = rung[split][measure];
        if (!curve.x.length) continue;
        data.push({
          ...axes, x: curve.x, y: curve.mean, name: safe(shorten(rung.name, 30)), mode: split === "other" ? "lines+markers" : "lines",
          line: { color, width: split === "other" ? 2 : 1.2, dash: split === "other" ? "solid" : "dot" },
          marker: { symbol, size: 8, color, maxdisplayed: 5 }, showlegend: !named,
          hoverinfo: split === "other" ? undefined : "skip",
          hovertemplate: split === "other" ? `${safe(shorten(rung.name, 30))} ${figureOf(upright)}<extra></extra>` : undefined,
        });
        named = true;
      }
    });
  });
  const wide = { title: { text: "epoch", font: { color: colors.muted, size: 12 }, standoff: 4 }, range: [0, chart.epochs], fixedrange: !zoomable(), automargin: false };
  const shared = { fixedrange: !zoomable(), automargin: false };
  const title = (text) => ({ text, font: { color: colors.muted, size: 12 }, standoff: 6 });
  const all = layout(colors, {
    height: narrow ? 760 : 470, margin: { l: 58, r: 14, t: 30, b: narrow ? 130 : 96 }, hovermode: "closest", dragmode: zoomable() ? "zoom" : false, showlegend: true,
    legend: { orientation: "h", x: 0, y: narrow ? -0.1 : -0.2, yanchor: "top", font: { color: colors.ink } },
    xaxis: axis(colors, { ...wide, domain: narrow || !second ? [0, 1] : [0, 0.46], anchor: "y" }),
    yaxis: axis(colors, { ...shared, domain: narrow && second ? [0.55, 1] : [0, 1], range: reach(first), anchor: "x", title: title(`${safe(first.title)}: ${chart.other} solid, train dotted`) }),
  });
  if (second) {
    all.xaxis2 = axis(colors, { ...wide, domain: narrow ? [0, 1] : [0.54, 1], anchor: "y2", matches: "x" });
    all.yaxis2 = axis(colors, { ...shared, domain: narrow ? [0, 0.43] : [0, 1], range: reach(second), anchor: "x2", title: title(safe(second.title)) });
  }
  return { data, layout: all };
}

const overlayButton = document.getElementById("overlay");
if (overlayButton) {
  overlayButton.setAttribute("aria-pressed", String(overlaid));
  overlayButton.addEventListener("click", () => {
    overlaid = !overlaid;
    overlayButton.setAttribute("aria-pressed", String(overlaid));
    draw("curves");
  });
  document.getElementById("unzoom").addEventListener("click", () => draw("curves"));
}
