// The page's buttons, its theme, and what redraws the charts.
const themeButton = document.getElementById("theme");
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");

function remembered(theme) {
  const key = `stepladder-theme:${location.pathname}`; // each page its own: pages on a disk may share one storage
  try { // or have none
    if (theme) localStorage.setItem(key, theme);
    return localStorage.getItem(key);
  } catch { return null; }
}

function isDark() {
  return (root.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
}

function showTheme() {
  themeButton.setAttribute("aria-pressed", String(isDark()));
  drawAll();
}

const kept = remembered();
if (kept) root.dataset.theme = kept;
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remembered(root.dataset.theme);
  showTheme();
});
systemDark.addEventListener("change", showTheme);

let width = window.innerWidth;
let waiting = 0;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return; // a phone's address bar comes and goes
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 120);
});

// On paper: black on white, and as wide as the sheet.
let before;
window.addEventListener("beforeprint", () => {
  before = root.dataset.theme;
  root.dataset.theme = "light";
  onPaper = true;
  drawAll();
});
window.addEventListener("afterprint", () => {
  if (before) root.dataset.theme = before;
  else delete root.dataset.theme;
  onPaper = false;
  drawAll();
});

const contents = document.getElementById("contents");
if (window.innerWidth < 1100) contents.open = false;
showTheme();
root.dataset.ready = String(Math.round(performance.now())); // milliseconds from the start of loading to the last chart
