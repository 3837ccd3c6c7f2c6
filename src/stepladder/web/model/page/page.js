// Sends images to the server of this page and shows what it says. No library, and nothing from elsewhere.
"use strict";

const byId = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const MAPS = [
  ["none", "nothing", "The image as the model was given it."],
  ["grad_cam", "Grad-CAM", "Dark red: the last convolution finds there what speaks for the class."],
  ["occlusion", "occlusion", "Red: covering the place makes the class less likely. Blue: more likely."],
];
// Pictures of fewer pixels are drawn with their pixels, not blurred.
const TINY = 64;
const SHOWN = 5;
let about = null;
let running = 0;

async function answered(response) {
  let document_ = null;
  try {
    document_ = await response.json();
  } catch {
    // The sentence below has to do.
  }
  if (response.ok && document_) return document_;
  throw new Error((document_ && document_.error) || `The server answered ${response.status}.`);
}

// What the server says begins small and ends without a dot.
function whole(sentence) {
  return sentence[0].toUpperCase() + sentence.slice(1) + (/[.!?]$/.test(sentence) ? "" : ".");
}

function complain(sentence) {
  const said = document.createElement("p");
  said.textContent = whole(sentence);
  byId("trouble").append(said);
}

function sizeOf(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`;
}

function say() {
  byId("status").textContent = running ? "Asking the model…" : "";
}

async function start() {
  try {
    about = await answered(await fetch("model"));
  } catch (error) {
    complain(error.message);
    return;
  }
  const [height, width] = about.image_shape;
  byId("model").textContent = about.name;
  document.title = `${about.name}: what is on this image?`;
  const names = about.classes.slice(0, 12).join(", ");
  const more = about.classes.length > 12 ? ` and ${about.classes.length - 12} more` : "";
  byId("about").textContent = `It tells ${about.classes.length} classes apart on images of ${width}×${height} pixels: ${names}${more}.`;
  byId("uncalibrated").hidden = about.calibrated;
  byId("limits").textContent = `At most ${about.most_images} images and ${sizeOf(about.most_bytes)} at a time.`;
  byId("curl").textContent = `curl -F images=@photo.jpg ${location.origin}/predict`;
  document.documentElement.dataset.ready = "yes";
}

function askAbout(files) {
  byId("trouble").replaceChildren();
  const chosen = [...files];
  if (!chosen.length) return;
  if (about && chosen.length > about.most_images) {
    complain(`${chosen.length} images are too many: at most ${about.most_images} at a time`);
    return;
  }
  const cards = chosen.map(place);
  byId("results").prepend(...cards.map((card) => card.element));
  // One request an image: one that cannot be read is said beside it, and the others are answered.
  cards.forEach(ask);
}

function place(file) {
  const element = byId("result").content.firstElementChild.cloneNode(true);
  const given = element.querySelector(".given");
  given.src = URL.createObjectURL(file);
  given.alt = file.name ? `The image ${file.name}` : "The image that was sent";
  given.addEventListener("load", () => given.classList.toggle("tiny", given.naturalWidth < TINY));
  // A format that the browser does not show, as TIFF: the model may read it.
  given.addEventListener("error", () => (given.hidden = true));
  element.querySelector("figcaption").textContent = file.name || "";
  element.querySelector("h2").textContent = "…";
  element.querySelector(".why").hidden = true;
  return { element, file };
}

async function ask(card) {
  running += 1;
  say();
  const { element, file } = card;
  try {
    if (about && file.size > about.most_bytes) {
      throw new Error(`the file has ${sizeOf(file.size)}; at most ${sizeOf(about.most_bytes)} are taken`);
    }
    const wanted = new URLSearchParams({ top: String(Math.min(SHOWN, about ? about.classes.length : SHOWN)) });
    const said = (await send(`predict?${wanted}`, file)).images[0];
    show(element, said);
    if (about && about.why_unexplained === null) {
      element.querySelector(".why").hidden = false;
      element.querySelector(".explain").addEventListener("click", () => explain(card, said));
    }
  } catch (error) {
    element.querySelector("h2").textContent = "No answer";
    note(element, error.message);
  }
  running -= 1;
  say();
}

async function send(where, file) {
  for (let attempt = 0; ; attempt += 1) {
    let response;
    try {
      // As bytes of no kind: the server looks at what is in them, and a browser's guess by the name may be wrong.
      response = await fetch(where, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    } catch {
      throw new Error("the server cannot be reached; is it still running?");
    }
    if (response.status !== 429 || attempt === 5) return answered(response);
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

function note(element, sentence) {
  const item = document.createElement("li");
  item.textContent = whole(sentence);
  element.querySelector(".notes").append(item);
}

function show(element, said) {
  const [first] = said.top;
  element.querySelector("h2").textContent = `${first.class}, ${percent(first.probability)}`;
  if (said.unlike) note(element, "This image is unlike those that the model learned from: do not trust the class.");
  const bars = element.querySelector(".bars");
  for (const one of said.top) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = one.class;
    const share = document.createElement("span");
    share.className = "share";
    share.textContent = percent(one.probability);
    const bar = document.createElement("meter");
    bar.value = one.probability;
    bar.setAttribute("aria-hidden", "true"); // the figure beside it says the same
    item.append(name, share, bar);
    bars.append(item);
  }
}

async function explain(card, said) {
  const { element, file } = card;
  const maps = element.querySelector(".maps");
  const choice = maps.querySelector("select");
  element.querySelector(".explain").hidden = true;
  maps.hidden = false;
  for (const name of about.classes) {
    choice.append(new Option(name, name, false, name === said.top[0].class));
  }
  const radios = `over-${Math.random().toString(36).slice(2)}`;
  for (const [value, text] of MAPS) {
    const label = document.createElement("label");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: radios, value, checked: value === "grad_cam" });
    radio.addEventListener("change", () => lay(card, value));
    label.append(radio, ` ${text}`);
    maps.querySelector("fieldset").append(label);
  }
  card.map = "grad_cam";
  choice.addEventListener("change", () => draw(card, choice.value));
  choice.focus();
  await draw(card, choice.value);
}

async function draw(card, name) {
  running += 1;
  say();
  card.element.querySelector(".legend").textContent = "Looking…";
  try {
    card.found = await send(`explain?${new URLSearchParams({ class: name })}`, card.file);
    lay(card, card.map);
  } catch (error) {
    card.element.querySelector(".legend").textContent = error.message;
  }
  running -= 1;
  say();
}

function lay(card, map) {
  card.map = map;
  const { element, found } = card;
  if (!found) return;
  const seen = element.querySelector(".seen");
  const over = element.querySelector(".over");
  element.querySelector(".given").hidden = true;
  seen.hidden = false;
  seen.src = found.image;
  seen.alt = "The image as the model was given it";
  seen.onload = () => seen.classList.toggle("tiny", seen.naturalWidth < TINY);
  over.hidden = map === "none";
  if (map !== "none") over.src = found[map];
  const words = MAPS.find(([value]) => value === map)[2];
  element.querySelector(".legend").textContent = `${found.class}, ${percent(found.probability)}. ${words}`;
}

const drop = byId("drop");
byId("ask").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["files", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    askAbout(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  });
}
// All of the page takes what is dropped: else a browser would open a file that missed the box.
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  askAbout(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) {
    event.preventDefault();
    askAbout(files);
  }
});
byId("paste").addEventListener("click", async () => {
  byId("trouble").replaceChildren();
  try {
    const items = await navigator.clipboard.read();
    const blobs = await Promise.all(
      items.flatMap((item) => item.types.filter((type) => type.startsWith("image/")).map((type) => item.getType(type)))
    );
    if (blobs.length) askAbout(blobs);
    else complain("there is no image in the clipboard");
  } catch {
    complain("this browser does not let a page read the clipboard; press Ctrl-V or Cmd-V in place of the button");
  }
});
start();
