"""Files of 16 bits a channel that Pillow gives in 8 or not at all: color, gray with alpha, white-is-zero."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import load_image_set
from stepladder.datasets.decode import Wide, decode_image, image_shape
from stepladder.errors import DataError
from stepladder.model.images import read_pixels

GRAY, GRAY_ALPHA, COLOR, COLOR_ALPHA = 0, 4, 2, 6  # PNG's types


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(values: np.ndarray, kind: int) -> bytes:
    """A PNG of 16 bits a channel; each row is filtered in another way, as the format allows."""
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8).reshape(height, -1).astype(int)
    step = 2 * values[0, 0].size
    above = np.vstack([0 * rows[:1], rows[:-1]])
    left = np.hstack([np.zeros((height, step), int), rows[:, :-step]])
    filtered = [rows, rows - left, rows - above]
    raw = b"".join(
        bytes([row % 3]) + (filtered[row % 3][row] % 256).astype(np.uint8).tobytes() for row in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(values: np.ndarray, order: str, photometric: int) -> bytes:
    """A TIFF of 16 bits, with one strip: ``II`` little-endian or ``MM`` big-endian."""
    height, width = values.shape[:2]
    channels = values[0, 0].size
    sign = {"II": "<", "MM": ">"}[order]
    data = values.astype(f"{sign}u2").tobytes()
    end = 8 + len(data)
    bits = struct.pack(f"{sign}3H", 16, 16, 16)
    fields = [(256, 3, width), (257, 3, height), (258, 3, 16), (259, 3, 1), (262, 3, photometric), (273, 4, 8)]
    fields += [(277, 3, channels), (278, 3, height), (279, 4, len(data))]
    directory = struct.pack(f"{sign}H", len(fields))
    for tag, kind, value in fields:
        count = channels if tag == 258 else 1
        held = struct.pack(f"{sign}HH", value, 0) if kind == 3 else struct.pack(f"{sign}I", value)
        held = struct.pack(f"{sign}I", end) if count > 1 else held
        directory += struct.pack(f"{sign}HHI", tag, kind, count) + held
    start = end + (len(bits) if channels > 1 else 0)
    head = order.encode() + struct.pack(f"{sign}HI", 42, start)
    return head + data + (bits if channels > 1 else b"") + directory + bytes(4)


def values(*shape: int, high: int = 65_536, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_white_is_zero_is_read_in_both_orders_of_bytes(order):
    gray = values(6, 7)
    ours = decode_image(tiff(65_535 - gray, order, photometric=0))
    np.testing.assert_array_equal(ours, decode_image(tiff(gray, "II", photometric=1)))
    np.testing.assert_array_equal(ours[..., 0], (gray + 128) // 257)
    assert image_shape(tiff(gray, order, photometric=0)) == (6, 7, 1)


@pytest.mark.parametrize("cut", [8, 12, 60, 90, 96])
def test_a_cut_directory_is_damage_and_no_traceback(cut):
    content = tiff(values(6, 7), "MM", photometric=0)
    with pytest.raises(DataError):
        decode_image(content[:cut])
    with pytest.raises(DataError):
        decode_image(content[:4] + b"\xff\xff\xff\xf0" + content[8:])


def test_gray_with_alpha_of_16_bits_is_gray_as_it_was_in_color():
    pixels = values(6, 7, 2)
    content = png(pixels, GRAY_ALPHA)
    assert image_shape(content) == (6, 7, 1)
    found = decode_image(content)
    assert found.shape == (6, 7, 1)
    with Image.open(io.BytesIO(content)) as image:  # as every version before read it
        layered = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        before = np.asarray(Image.composite(layered.convert("RGB"), white, layered.getchannel("A")))
    np.testing.assert_array_equal(np.repeat(found, 3, axis=2), before)


def test_gray_with_alpha_is_stretched_as_gray_is():
    gray = values(6, 7, high=4096)
    opaque = np.dstack([gray, np.full_like(gray, 65_535)])
    seen: list[tuple[int, int]] = []
    wide = Wide((0, 4095), lambda low, high: seen.append((low, high)))
    np.testing.assert_array_equal(
        decode_image(png(opaque, GRAY_ALPHA), wide=wide), decode_image(png(gray, GRAY), wide=wide)
    )
    assert seen[0] == seen[1] == (gray.min(), gray.max())
    clear = np.dstack([gray, np.zeros_like(gray)])
    assert (decode_image(png(clear, GRAY_ALPHA), wide=Wide((0, 4095))) == 255).all(), "over white"


@pytest.mark.parametrize(
    ("content", "high"),
    [
        (lambda seed: png(values(6, 7, 3, high=4096, seed=seed), COLOR), 4096),
        (lambda seed: png(values(6, 7, 4, high=4096, seed=seed), COLOR_ALPHA), 4096),
        (lambda seed: tiff(values(6, 7, 3, high=4096, seed=seed), "II", photometric=2), 4096),
        (lambda seed: tiff(values(6, 7, 3, high=4096, seed=seed), "MM", photometric=2), 4096),
        (lambda seed: png(values(6, 7, 3, seed=seed), COLOR), 65_536),
    ],
    ids=["png", "png with alpha", "tiff", "big-endian tiff", "all values"],
)
def test_color_of_16_bits_says_which_values_it_uses(tmp_path, content, high):
    everything = []
    for number in range(10):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.img"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(number))
        with_alpha = b"\x10\x06" in path.read_bytes()[:30]
        everything.append(values(6, 7, 4 if with_alpha else 3, high=high, seed=number)[..., :3])
    images = load_image_set(tmp_path / "set")
    said = [note for note in images.notes if "color images have 16 bits" in note]
    low, most = np.min(everything), np.max(everything)
    expected = (
        f"10 color images have 16 bits a channel, and the training images use {low:,} to {most:,} of 0 to 65,535: of "
        "256 levels 16 are left. `stretch` is for gray; spread the values when you save the images as 8 bits."
    )
    assert said == ([expected] if high == 4096 else [])
    assert load_image_set(tmp_path / "set").notes == images.notes, "from the cache"
    files = sorted((tmp_path / "set").glob("*/*"))
    np.testing.assert_array_equal(read_pixels(files, images.image_shape), images.splits["train"].images)
    with pytest.raises(DataError, match="`stretch` spreads gray images of more than 8 bits, and no training image is"):
        load_image_set(tmp_path / "set", stretch=True)


def test_training_stretches_gray_with_alpha_and_prediction_does_so_too(tmp_path):
    for number in range(10):
        path = Path(tmp_path / "set" / "ab"[number % 2] / f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        gray = values(6, 7, high=4096, seed=number)
        path.write_bytes(png(np.dstack([gray, np.full_like(gray, 65_535)]), GRAY_ALPHA))
    plain = load_image_set(tmp_path / "set")
    assert plain.image_shape == (6, 7, 1)
    assert any("10 images have 16 bits a pixel" in note and "`stretch=True`" in note for note in plain.notes)
    images = load_image_set(tmp_path / "set", stretch=True)
    assert images.splits["train"].images.max() == 255
    files = sorted((tmp_path / "set").glob("*/*"))
    found = read_pixels(files, images.image_shape, images.fit, images.span)
    np.testing.assert_array_equal(found, images.splits["train"].images)
