"""From an image file to a class: Pillow, NumPy and ONNX Runtime, nothing else. Usage: MODEL.onnx IMAGE ..."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read_image(path: str, rule: dict[str, Any]) -> np.ndarray:
    """Return the pixels that the model reads of a file, uint8 (height, width, channels)."""
    channels, height, width = rule["input_size"]
    # From memory: of a file on the disk Pillow maps some TIFFs, and leaves these unturned.
    image: Any = Image.open(io.BytesIO(Path(path).read_bytes()))
    gray = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
    if image.mode in ("I", "F") and image.format != "PPM":
        raise ValueError(f"{path} has 32 bits a pixel, of no known range; save it as 8 or 16 bits")
    tags = image.tag_v2 if image.format == "TIFF" else {}
    inverted = tags.get(262) == 0  # white is zero
    largest = 2 ** min(16, max(9, tags.get(258, (16,))[0])) - 1  # of its bits
    turned = image.format != "TIFF" and image.getexif().get(274, 1) in (5, 6, 7, 8)
    columns, rows = image.size[::-1] if turned else image.size
    if rule["crop_mode"] == "border":  # as large as fits into the square, the rest stays black
        scale = min(height / rows, width / columns)
        inner = min(height, max(1, round(rows * scale))), min(width, max(1, round(columns * scale)))
    else:
        inner = (max(height, width),) * 2 if rule["crop_mode"] == "center" else (height, width)
    if image.format in ("JPEG", "MPO") and image.mode in (
        "L",
        "RGB",
    ):  # read at 1/2, 1/4 or 1/8, as long as twice is left
        need = (2 * inner[1], 2 * inner[0])
        image.draft(None, need[::-1] if turned else need)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # more than 8 bits
        values = np.asarray(image).astype(np.int64)
        values = (np.minimum(values, largest) * 65535 + largest // 2) // largest
        values = 65535 - values if inverted else values
        low, high = rule["black"], rule["white"]
        values = np.clip(values, low, high) - low
        image = Image.fromarray(((values * 255 + (high - low) // 2) // (high - low)).astype(np.uint8))
    mode = "L" if gray else "RGB"
    if image.has_transparency_data:  # over white
        layered = image.convert("LA" if gray else "RGBA")
        image = Image.composite(layered.convert(mode), Image.new(mode, image.size, "white"), layered.getchannel("A"))
    image = image.convert(mode).convert("L" if channels == 1 else "RGB")
    columns, rows = image.size
    if rule["crop_mode"] == "center":  # the largest box of the model's proportions
        box_rows, box_columns = min(rows, columns * height / width), min(columns, rows * width / height)
        left, top = (columns - box_columns) / 2, (rows - box_rows) / 2
        box = (left, top, left + box_columns, top + box_rows)
        image = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    elif image.size != (width, height):
        goal = (width, height) if rule["crop_mode"] == "squash" else inner[::-1]
        if columns < goal[0] and rows > goal[1]:
            image = image.resize((columns, goal[1]), Image.Resampling.BICUBIC)
        image = image.resize(goal, Image.Resampling.BICUBIC)
    pixels = np.zeros((height, width, channels), np.uint8)
    top, left = (height - image.height) // 2, (width - image.width) // 2
    pixels[top : top + image.height, left : left + image.width] = np.asarray(image).reshape(
        image.height, image.width, channels
    )
    return pixels


def answer(session: onnxruntime.InferenceSession, paths: list[str]) -> list[tuple[str, np.ndarray]]:
    """Return the class and the probabilities of each file."""
    facts = json.loads(session.get_modelmeta().custom_metadata_map["stepladder"])
    images = np.stack([read_image(path, facts["image_rule"]) for path in paths])
    (probabilities,) = session.run(["probabilities"], {"images": images})
    return [(facts["class_names"][row.argmax()], row) for row in probabilities]


if __name__ == "__main__":
    found = answer(onnxruntime.InferenceSession(sys.argv[1]), sys.argv[2:])
    for path, (name, row) in zip(sys.argv[2:], found, strict=True):
        print(f"{row.max():.4f} {name} {path}")
