// What all charts share: the numbers, the colors of the page's theme, and drawing again when theme, width or paper change.
const charts = JSON.parse(document.getElementById("charts").textContent);
const root = document.documentElement;
const FONT = getComputedStyle(document.body).fontFamily;
// The same shapes as the signs in the text, so that no verdict is told by color alone.
const SHAPES = {
  helped: "triangle-up", hurt: "triangle-down", equivalent: "square", undecided: "diamond-open", none: "circle-open",
};
const PAPER_WIDTH = 680; // CSS pixels between the margins of A4
const PAPER_HEIGHT = 900;
const builders = {};
let onPaper = false;

// plotly.js reads a small part of HTML in every text; names come from the user's data and are text and nothing more.
function safe(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// Names that differ only in their end are common, so the end is kept.
function shorten(text, letters) {
  const tail = Math.floor((letters - 1) / 3);
  return text.length > letters ? text.slice(0, letters - 1 - tail) + "…" + text.slice(text.length - tail) : text;
}

function palette() {
  const style = getComputedStyle(root);
  const colors = {};
  for (const name of ["page", "card", "ink", "muted", "line", "accent", "helped", "hurt", "equivalent", "undecided",
    "zone", "grid", "soft", "train", "step"]) {
    colors[name] = style.getPropertyValue("--" + name).trim();
  }
  colors.none = colors.muted;
  return colors;
}

function faded(color, opacity) {
  return `rgba(${channels(color).join(", ")}, ${opacity})`;
}

function channels(color) {
  const value = parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

// A color on the way from one to another.
function mixed(from, to, share) {
  const [one, other] = [channels(from), channels(to)];
  return "#" + one.map((value, i) => Math.round(value + share * (other[i] - value)).toString(16).padStart(2, "0")).join("");
}

// Black or white, whichever is read better on a color: one of them always has a contrast above 4.5 (WCAG 2.2, 1.4.3).
function readable(color) {
  const [r, g, b] = channels(color).map((value) => (value / 255 <= 0.04045 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

function axis(colors, more) {
  return Object.assign({
    gridcolor: colors.grid, linecolor: colors.line, zeroline: false, fixedrange: true, automargin: true,
    tickfont: { color: colors.muted, size: 12 }, title: { font: { color: colors.muted, size: 12.5 }, standoff: 8 },
    ticks: "outside", tickcolor: colors.line, ticklen: 4,
  }, more);
}

function layout(colors, more) {
  return Object.assign({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false,
    font: { family: FONT, size: 12.5, color: colors.ink },
    hoverlabel: { bgcolor: colors.card, bordercolor: colors.muted, font: { color: colors.ink, family: FONT, size: 13 } },
    margin: { l: 12, r: 12, t: 10, b: 44 },
  }, more);
}

function draw(name) {
  const place = document.getElementById("chart-" + name);
  if (!place || !charts[name]) return;
  const width = onPaper ? PAPER_WIDTH : Math.floor(place.clientWidth);
  const figure = builders[name](charts[name], { width, colors: palette(), narrow: width < 600 });
  figure.layout.width = width;
  if (onPaper) figure.layout.height = Math.min(figure.layout.height, PAPER_HEIGHT);
  Plotly.react(place, figure.data, figure.layout, { displayModeBar: false, doubleClick: "reset", responsive: false });
  place.dataset.drawn = "yes";
}

function drawAll() {
  for (const name of Object.keys(builders)) draw(name);
}

// Where an axis of values should end: all dots, and of the intervals no more than half as much again on either side,
// since the interval of two seeds may be a hundred times as wide as anything seen.
function span(values, intervals, least) {
  let low = Math.min(...values), high = Math.max(...values);
  const slack = Math.max(high - low, least) / 2;
  const [first, last] = [low - slack, high + slack];
  for (const ends of intervals) {
    if (!ends) continue;
    low = Math.min(low, Math.max(ends[0], first));
    high = Math.max(high, Math.min(ends[1], last));
  }
  const margin = Math.max(0.06 * (high - low), least / 8);
  return [low - margin, high + margin];
}

// An interval as a line with ends; where it goes on beyond the frame, an arrow.
function intervalTraces(ends, level, range, color) {
  const cut = [Math.max(ends[0], range[0]), Math.min(ends[1], range[1])];
  const shape = [ends[0] < range[0] ? "triangle-left" : "line-ns", ends[1] > range[1] ? "triangle-right" : "line-ns"];
  return [{
    x: cut, y: [level, level], mode: "lines+markers", hoverinfo: "skip", cliponaxis: false,
    line: { color, width: 2 }, marker: { symbol: shape, size: 9, color, line: { color, width: 2 } },
  }];
}

// Dots just above their line, and higher where they would touch.
function swarm(values, range, pixels, row) {
  const reach = 9 * (range[1] - range[0]) / pixels;
  const rows = [[], [], []];
  return values.map((value) => {
    let place = rows.findIndex((others) => others.every((other) => Math.abs(other - value) >= reach));
    if (place < 0) place = 2;
    rows[place].push(value);
    return (14 + 9 * place) / row;
  });
}
