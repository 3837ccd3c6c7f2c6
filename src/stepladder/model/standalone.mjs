// From image files to classes, in Node.js: a file of `stepladder export --with-resize`, onnxruntime-web and sharp.
// npm install onnxruntime-web sharp; node standalone.mjs MODEL.onnx IMAGE ...
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import * as ort from "onnxruntime-web";
import sharp from "sharp";

/** What the file says of itself: class names, the rule from a file to pixels. It is ONNX's metadata, which
 * onnxruntime-web does not show: field 14 of the protobuf, pairs of a key (1) and a value (2). */
export function factsOf(content) {
  const fields = function* (bytes) {
    let at = 0;
    const varint = () => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    while (at < bytes.length) {
      const tag = varint();
      if ((tag & 7) === 0) varint();
      else if ((tag & 7) === 2) {
        const length = varint();
        yield [tag >> 3, bytes.subarray(at, (at += length))];
      } else throw new Error("this is no ONNX file");
    }
  };
  const text = (bytes) => new TextDecoder().decode(bytes);
  for (const [field, entry] of fields(content)) {
    if (field !== 14) continue;
    const pair = Object.fromEntries(fields(entry));
    if (text(pair[1]) === "stepladder") return JSON.parse(text(pair[2]));
  }
  throw new Error("this file was not exported by Stepladder");
}

/** The pixels of a file, uint8 (1, height, width, channels): upright by its EXIF tag, transparency over white, 8 bits. */
export async function readImage(path, channels) {
  const printed = (await sharp(path).metadata()).space === "cmyk";
  let image = sharp(path, { failOn: "error" }).rotate();
  // Ink to light by the plain formula, where sharp alone would go by a color profile.
  if (printed) image = image.pipelineColourspace("cmyk").toColourspace("cmyk");
  else image = image.flatten({ background: "white" }).toColourspace("srgb");
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const colorOf = (pixel) => {
    const at = pixel * info.channels;
    if (printed) return [0, 1, 2].map((ink) => Math.round(((255 - data[at + ink]) * (255 - data[at + 3])) / 255));
    return info.channels < 3 ? Array(3).fill(data[at]) : data.subarray(at, at + 3);
  };
  const pixels = new Uint8Array(info.width * info.height * channels);
  for (let pixel = 0; pixel < info.width * info.height; pixel++) {
    const [red, green, blue] = colorOf(pixel);
    if (channels === 3) pixels.set([red, green, blue], 3 * pixel);
    else pixels[pixel] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16; // luma of ITU-R BT.601
  }
  return new ort.Tensor("uint8", pixels, [1, info.height, info.width, channels]);
}

/** The class of each file with its probability. */
export async function answer(model, paths) {
  const content = new Uint8Array(await readFile(model));
  const facts = factsOf(content);
  if (!facts.any_size) throw new Error("export the model with --with-resize");
  const session = await ort.InferenceSession.create(content);
  const answers = [];
  for (const path of paths) {
    const images = await readImage(path, facts.image_shape[2]);
    const { probabilities } = await session.run({ images }, ["probabilities"]);
    const best = probabilities.data.indexOf(Math.max(...probabilities.data));
    answers.push({ path, class: facts.class_names[best], probability: probabilities.data[best] });
  }
  return answers;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const one of await answer(process.argv[2], process.argv.slice(3))) console.log(JSON.stringify(one));
}
