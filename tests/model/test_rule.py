"""The program on the card reads files as the model does: the same pixels, in a process without Stepladder."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets.image_set import Fit, Span
from stepladder.model import load_model
from stepladder.model.export import Exported
from stepladder.model.images import read_pixels
from stepladder.model.rule import PROGRAM, image_rule

#: Runs the program where nothing of Stepladder's, and no other decoder, can be imported.
ALONE = (
    "import runpy, sys; sys.argv = sys.argv[1:]; "
    "sys.modules |= dict.fromkeys(('stepladder', 'torch', 'simplejpeg', 'scipy', 'pandas')); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def picture(height: int, width: int, seed: int) -> Image.Image:
    """Smooth color, so that JPEG has something to do and resizing matters."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (max(2, height // 9), max(2, width // 9), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def tiff_of_12_bits(values: np.ndarray) -> bytes:
    """A gray TIFF (6.0, section 8) of 12 bits a value, two of which share three bytes; (H, W), W even."""
    height, width = values.shape
    first, second = values.reshape(-1, 2).astype(np.uint32).T
    packed = (first << 12 | second).astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A hundred files and more as people have them: turned, gray, with alpha, of 16 bits, tall, tiny and large."""
    folder = tmp_path_factory.mktemp("files")
    sizes = [(40, 60), (61, 33), (500, 301), (301, 500), (1200, 900), (9, 400), (400, 9), (3, 3), (64, 64)]
    found = []

    def keep(image: Image.Image, name: str, **options: Any) -> None:
        path = folder / f"{len(found):03}-{name}"
        image.save(path, **options)
        found.append(str(path))

    for seed, (height, width) in enumerate(sizes):
        image = picture(height, width, seed)
        keep(image, "plain.jpg", quality=90)
        keep(image, "progressive.jpg", quality=80, progressive=True)
        keep(image.convert("L"), "gray.jpg")
        keep(image.convert("CMYK"), "cmyk.jpg")
        if height * width > 500_000:
            continue  # which the other formats pack slowly, and decode at full size like any other
        keep(image, "plain.png")
        keep(image.convert("P"), "palette.png")
        keep(image.convert("L").convert("1"), "one.png")
        keep(image, "web.webp", lossless=True)
        keep(image, "still.gif")
        keep(image, "plain.tiff")
        alpha = picture(height, width, seed + 50).convert("L")
        layered = image.copy()
        layered.putalpha(alpha)
        keep(layered, "alpha.png")
        gray = image.convert("L")
        gray.putalpha(alpha)
        keep(gray, "gray-alpha.png")
        wide = (np.asarray(image.convert("L")).astype(np.uint16) * 251 + 17).astype(np.uint16)
        keep(Image.fromarray(wide), "wide.png")
        keep(Image.fromarray(wide), "wide.tiff")
        keep(image, "plain.ppm")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for number, (height, width) in enumerate(((500, 301), (40, 60), (1200, 900))):
            keep(picture(height, width, 70 + number), f"turned-{orientation}.jpg", exif=exif)
        keep(picture(50, 80, 80), f"turned-{orientation}.png", exif=exif)
    keep(picture(200, 300, 90).convert("L"), "white-is-zero.tiff", tiffinfo={262: 0})
    keep(picture(403, 301, 91), "two.jpg", format="MPO", save_all=True, append_images=[picture(9, 9, 92)])
    # Turned and not packed: of these Pillow maps the file, where it has one.
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in ("L", "P", "CMYK", "RGB"):
        keep(picture(40, 60, 93).convert(mode), f"turned-{mode}.tiff", exif=exif)
    keep(Image.fromarray(np.asarray(picture(40, 60, 94).convert("L")) * np.uint16(200)), "turned-16.tiff", exif=exif)
    # Turned by XMP alone, and with bytes between segments that cameras leave there.
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    for ending in ("jpg", "png", "webp"):
        keep(picture(500, 301, 96), f"xmp.{ending}", xmp=xmp)
    found.append(str(folder / "stray.jpg"))
    content = io.BytesIO()
    picture(500, 301, 97).save(content, "JPEG")
    Path(found[-1]).write_bytes(content.getvalue()[:-2] + bytes(40) + content.getvalue()[-2:])
    found.append(str(folder / "twelve.tiff"))
    Path(found[-1]).write_bytes(tiff_of_12_bits(np.asarray(picture(30, 40, 95).convert("L")) * np.uint16(16)))
    assert len(found) == 168
    return found


RULES: list[tuple[tuple[int, int, int], Fit, Span | None]] = [
    ((32, 32, 3), "crop", None),
    ((48, 32, 3), "crop", None),
    ((32, 32, 1), "crop", None),
    ((32, 40, 3), "pad", None),
    ((32, 32, 3), "stretch", None),
    ((32, 32, 1), "pad", (1000, 40_000)),
]


@pytest.mark.long
@pytest.mark.parametrize(("shape", "fit", "span"), RULES)
def test_the_program_reads_what_the_model_reads(
    files: list[str], tmp_path: Path, shape: tuple[int, int, int], fit: Fit, span: Span | None
) -> None:
    (tmp_path / "rule.json").write_text(json.dumps(image_rule(shape, fit, span)))
    run = (
        "import json, sys, runpy; "
        "sys.modules |= dict.fromkeys(('stepladder', 'torch', 'simplejpeg', 'scipy')); "
        f"read = runpy.run_path({str(PROGRAM)!r})['read_image']; import numpy as np; "
        "rule = json.load(open(sys.argv[1])); "
        "np.save(sys.argv[2], np.stack([read(path, rule) for path in sys.argv[3:]]))"
    )
    subprocess.run(
        [sys.executable, "-I", "-c", run, str(tmp_path / "rule.json"), str(tmp_path / "pixels.npy"), *files], check=True
    )
    found = np.load(tmp_path / "pixels.npy").astype(int)
    expected = read_pixels(files, shape, fit, span).astype(int)
    apart = np.abs(found - expected).reshape(len(files), -1).max(axis=1)
    named = {Path(path).name: int(most) for path, most in zip(files, apart, strict=True) if most > 0}
    assert not named


@pytest.mark.long
def test_an_exported_file_answers_alike_by_the_program_alone(saved: Path, exported: Exported, files: list[str]) -> None:
    model = load_model(saved, "cpu")
    result = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(PROGRAM), str(exported.path), *files],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert len(lines) == len(files)
    for line, prediction in zip(lines, model.predict(files), strict=True):
        probability, name, path = line.split(" ", 2)
        assert path == str(prediction.path)
        assert float(probability) == pytest.approx(prediction.probability, abs=1.1e-4)
        assert name == prediction.name


def test_the_rule_is_part_of_the_model(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    assert config["image_rule"]["input_size"] == [1, 8, 8]
    assert config["image_rule"]["crop_mode"] == "center"
    assert image_rule((4, 5, 3), "pad", (7, 9)) | {} == {
        **image_rule((4, 5, 3), "crop", None),
        "crop_mode": "border",
        "black": 7,
        "white": 9,
    }


def test_the_rule_of_a_color_and_of_a_gray_model_value_by_value() -> None:
    """Other programs read it, so none of it may change unnoticed."""
    usual = {
        "version": 1,
        "interpolation": "bicubic",
        "antialias": True,
        "crop_pct": 1.0,
        "padding": 0,
        "gray_from_color": "ITU-R BT.601",
        "layout": "NHWC",
        "dtype": "uint8",
        "exif_orientation": True,
        "transparency": "over white",
        "frame": 0,
        "jpeg_scales": [1, 2, 4, 8],
        "jpeg_pixels_left": 2,
    }
    color = {"input_size": [3, 32, 48], "color_order": "RGB", "crop_mode": "center", "black": 0, "white": 65535}
    gray = {"input_size": [1, 8, 8], "color_order": "L", "crop_mode": "border", "black": 100, "white": 4095}
    assert image_rule((32, 48, 3), "crop", None) == usual | color
    assert image_rule((8, 8, 1), "pad", (100, 4095)) == usual | gray
