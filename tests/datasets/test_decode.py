"""One image: formats, modes, orientation, limits, damage."""

from __future__ import annotations

import io
import struct
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, features

from stepladder.datasets import decode as room
from stepladder.datasets import load_image_set
from stepladder.datasets.decode import (
    FORMATS,
    MAX_PIXELS,
    Wide,
    decode_fitted,
    decode_image,
    fit_image,
    fit_square,
    image_shape,
    upright_pixels,
)
from stepladder.datasets.image_set import FITS
from stepladder.errors import DataError

LOSSLESS = ("PNG", "BMP", "TIFF")


def saved(image: Image.Image, fmt: str, **options) -> bytes:
    target = io.BytesIO()
    image.save(target, fmt, **options)
    return target.getvalue()


def noise(width=9, height=7, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("fmt", LOSSLESS)
def test_lossless_formats_give_the_pixels_back(fmt):
    pixels = noise()
    np.testing.assert_array_equal(decode_image(saved(Image.fromarray(pixels), fmt)), pixels)


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_agrees_with_pillow(fmt):
    content = saved(Image.fromarray(noise(40, 30)).resize((80, 60)), fmt)
    reference = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    decoded = decode_image(content)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert abs(decoded - reference).max() <= 1  # simplejpeg carries its own libjpeg-turbo
    assert image_shape(content) == decoded.shape == (60, 80, 3)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "BMP", "TIFF"])
def test_gray_stays_one_channel(fmt):
    content = saved(Image.fromarray(noise()).convert("L"), fmt)
    assert decode_image(content).shape == image_shape(content) == (7, 9, 1)


def test_sixteen_bit_gray_is_scaled():
    wide = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    decoded = decode_image(saved(Image.fromarray(wide), "PNG"))
    np.testing.assert_array_equal(decoded[0, :, 0], np.round(wide[0] / 257).astype(np.uint8))


def test_one_bit_and_palette():
    black_white = Image.fromarray(noise()).convert("1")
    np.testing.assert_array_equal(decode_image(saved(black_white, "PNG"))[:, :, 0], np.asarray(black_white) * 255)
    palette = Image.fromarray(noise()).quantize(16)
    np.testing.assert_array_equal(decode_image(saved(palette, "PNG")), np.asarray(palette.convert("RGB")))


def test_transparency_is_laid_over_white():
    rgba = np.zeros((1, 3, 4), dtype=np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = [0, 255, 51]
    decoded = decode_image(saved(Image.fromarray(rgba), "PNG"))
    expected = [round((value * alpha + 255 * (255 - alpha)) / 255) for alpha in (0, 255, 51) for value in (200, 0, 0)]
    assert decoded.ravel().tolist() == expected
    gray_alpha = Image.fromarray(np.array([[[10, 0], [10, 255]]], dtype=np.uint8))
    assert decode_image(saved(gray_alpha, "PNG")).tolist() == [[[255], [10]]]


def test_a_transparent_palette_colour_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert decode_image(saved(image, "PNG", transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_cmyk_jpeg_is_read_as_pillow_reads_it():
    content = saved(Image.fromarray(noise(16, 16)).convert("CMYK"), "JPEG")
    reference = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(decode_image(content), reference)
    assert image_shape(content) == (16, 16, 3)


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(content)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_pillow_does(fmt, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    blocks = Image.fromarray(noise(3, 2)).resize((48, 32), Image.Resampling.NEAREST)
    content = saved(blocks, fmt, exif=exif, **({"lossless": True} if fmt == "WEBP" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))).astype(int)
    decoded = decode_image(content)
    assert decoded.shape == expected.shape == image_shape(content)
    assert abs(decoded - expected).max() <= 1


@pytest.mark.parametrize("mode", ["I", "F"])
def test_unbounded_modes_are_refused_with_the_fix(mode):
    with pytest.raises(DataError, match=rf"mode {mode} .*8 or 16 bits"):
        decode_image(saved(Image.new(mode, (4, 4)), "TIFF"))


def test_zero_bytes_and_text():
    with pytest.raises(DataError, match="empty"):
        decode_image(b"")
    with pytest.raises(DataError, match="JPEG, PNG, WEBP, BMP, TIFF, GIF, PPM"):
        decode_image(b"hello, this is no image")


def test_formats_outside_the_list_are_refused():
    with pytest.raises(DataError, match="no image that can be read"):
        decode_image(saved(Image.new("RGB", (4, 4)), "TGA"))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_damaged_wherever_it_is_cut(progressive):
    content = saved(Image.fromarray(noise(40, 40)), "JPEG", progressive=progressive)
    assert len(content) > 500
    for length in range(1, len(content), 7):
        with pytest.raises(DataError):
            decode_image(content[:length])


def test_a_jpeg_cut_and_closed_is_damaged():
    # Pillow alone reads this without a word, the lower half gray.
    content = saved(Image.fromarray(noise(64, 64)), "JPEG")
    cut = content[: len(content) // 2] + b"\xff\xd9"
    Image.open(io.BytesIO(cut)).load()
    with pytest.raises(DataError, match="damaged"):
        decode_image(cut)


def test_padding_in_a_jpeg_is_no_damage():
    content = simplejpeg.encode_jpeg(noise(16, 16))
    padded = content[:-2] + b"\0\0\0" + content[-2:]
    np.testing.assert_array_equal(decode_image(padded), decode_image(content))


@pytest.mark.parametrize("fmt", ["PNG", "WEBP", "TIFF"])
def test_other_truncated_images_are_damaged_wherever_they_are_cut(fmt, recwarn):
    content = saved(Image.fromarray(noise()), fmt)
    assert len(content) > 100
    for length in range(1, len(content)):
        with pytest.raises(DataError):
            decode_image(content[:length])


def test_pixel_limit_is_checked_from_the_header():
    # 20,000 × 20,000 pixels in 67 bytes: only the header can be read, and only the header needs to be.
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    start = b"\x89PNG\r\n\x1a\n"
    for side in (7100, 12_000, 20_000):  # within Pillow's limit, where it warns, where it raises
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        content = start + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        for function in (decode_image, image_shape):
            with pytest.raises(DataError, match=f"more than {MAX_PIXELS // 1_000_000} megapixels"):
                function(content)


def test_pixel_limit_holds_for_jpeg(monkeypatch):
    monkeypatch.setattr("stepladder.datasets.decode.MAX_PIXELS", 1_000_000)
    with pytest.raises(DataError, match="1001×1000 is more than 1 megapixels"):
        decode_image(saved(Image.new("RGB", (1001, 1000)), "JPEG"))


def test_one_pixel():
    assert decode_image(saved(Image.new("RGB", (1, 1), "red"), "PNG")).tolist() == [[[255, 0, 0]]]


def test_fit_square_keeps_the_center_antialiased():
    image = np.zeros((40, 100, 3), dtype=np.uint8)
    image[:, 30:70] = 255  # the center square
    fitted = fit_square(image, 10)
    assert (fitted[:, 1:-1] == 255).all()
    assert (fitted > 200).all()
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))[:, :, None]
    fitted = fit_square(stripes, 8)
    assert fitted.shape == (8, 8, 1)
    assert abs(fitted[:, 1:-1].astype(int) - 127).max() < 8  # without antialiasing: 0 or 255


def test_reduced_decoding_keeps_enough_pixels():
    content = saved(Image.fromarray(noise(50, 40)).resize((1000, 800)), "JPEG")
    reduced = decode_image(content, at_least=(128, 128))
    assert 128 <= min(reduced.shape[:2]) < 800
    whole = fit_square(decode_image(content), 64).astype(int)
    assert abs(fit_square(reduced, 64) - whole).mean() < 2


@pytest.mark.filterwarnings("ignore:::PIL")
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
)
def test_damaged_bytes_give_an_image_or_a_data_error(fmt, flips, share):
    content = bytearray(saved(Image.fromarray(noise()), fmt))
    for position, value in flips:
        content[position % len(content)] = value
    content = bytes(content[: max(1, round(share * len(content)))])
    for function in (decode_image, image_shape):
        try:
            function(content)
        except DataError as error:
            assert str(error)  # noqa: PT017


def photo(width: int, height: int, orientation: int = 1) -> bytes:
    """A JPEG of smooth noise, as photographs are, that is to be turned as ``orientation`` says."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = Image.fromarray(noise(width // 8, height // 8)).resize((width, height), Image.Resampling.BICUBIC)
    return saved(smooth, "JPEG", quality=95, exif=exif)


def smallest_scale(rows: int, columns: int, needed: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns at the smallest of 1/8, 1/4, 1/2 and 1/1 of the size that has the needed ones."""
    fits = (part for part in (8, 4, 2, 1) if rows >= part * needed[0] and columns >= part * needed[1])
    part = next(fits, 1)
    return -(-rows // part), -(-columns // part)


@pytest.mark.long
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("target", [(64, 64), (32, 64), (90, 40), (224, 224)])
@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1000, 125), (100, 90)])
@pytest.mark.parametrize("fit", FITS)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_suffices(monkeypatch, fit, width, height, target, orientation):
    seen = decoded_sizes(monkeypatch)
    content = photo(width, height, orientation)
    fitted = decode_fitted(content, *target, fit=fit)
    whole = decode_image(content)
    rows, columns = whole.shape[:2]
    scales = target[0] / rows, target[1] / columns
    wanted = {
        "crop": [max(target)] * 2,
        "stretch": target,
        "pad": [max(1, round(side * min(scales))) for side in (rows, columns)],
    }[fit]
    # Twice the pixels that are wanted, as ``ENOUGH`` says why.
    assert seen[0] == smallest_scale(rows, columns, (2 * wanted[0], 2 * wanted[1]))
    # Never fewer pixels than are wanted, where the image itself has as many.
    assert seen[0][0] >= min(rows, wanted[0])
    assert seen[0][1] >= min(columns, wanted[1])
    assert abs(fitted - fit_image(whole, *target, fit).astype(int)).mean() < 5


def decoded_sizes(monkeypatch) -> list[tuple[int, int]]:
    """Rows and columns of each image that is decoded from now on."""
    seen = []

    def decode(content, at_least=(0, 0), *how):
        image = decode_image(content, at_least, *how)
        seen.append(image.shape[:2])
        return image

    monkeypatch.setattr(room, "decode_image", decode)
    return seen


def test_a_photograph_is_decoded_reduced(monkeypatch):
    seen = decoded_sizes(monkeypatch)
    for fit in FITS:
        decode_fitted(photo(1600, 1200), 64, 64, fit=fit)
    assert seen == [(150, 200), (150, 200), (150, 200)]
    decode_fitted(photo(1600, 400), 64, 64, fit="pad")  # the shorter side may have less than 64 pixels
    assert seen[-1] == (50, 200)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("width", "height"), [(90, 60), (60, 90), (6, 9), (1, 4000), (4000, 1), (33, 32)])
@pytest.mark.parametrize("target", [(32, 32), (20, 48)])
def test_padding_keeps_the_whole_image_in_the_middle_of_black(width, height, target, channels):
    image = 1 + noise(width, height)[:, :, :channels] // 2
    padded = fit_image(image, *target, "pad")
    assert padded.shape == (*target, channels)
    scale = min(target[0] / height, target[1] / width)
    inner = [max(1, min(most, round(side * scale))) for side, most in ((height, target[0]), (width, target[1]))]
    assert inner[0] == target[0] or inner[1] == target[1]
    top, left = (target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2
    middle = padded[top : top + inner[0], left : left + inner[1]]
    expected = Image.fromarray(image.squeeze(2) if channels == 1 else image).resize(
        inner[::-1], Image.Resampling.BICUBIC
    )
    np.testing.assert_array_equal(middle, np.asarray(expected).reshape(middle.shape))
    assert padded.sum() == middle.sum()


@pytest.mark.parametrize(("width", "height"), [(90, 60), (6, 9), (40, 4), (4, 40)])
def test_stretching_resizes_both_sides(width, height):
    stretched = fit_image(noise(width, height), 20, 30, "stretch")
    expected = np.asarray(Image.fromarray(noise(width, height)).resize((30, 20), Image.Resampling.BICUBIC)).astype(int)
    assert abs(stretched - expected).max() <= 1


@pytest.mark.parametrize("fit", FITS)
def test_a_strip_cannot_fill_the_memory(monkeypatch, fit):
    made = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda *given, **more: made.append(given) or resize(*given, **more))
    assert fit_image(np.zeros((100_000, 1, 1), dtype=np.uint8), 1024, 1024, fit).shape == (1024, 1024, 1)
    # Pillow resizes along the rows first, so that 1024 columns of 100,000 rows would be in memory.
    widened = [image for image, (width, _), *_ in made if width > image.width and image.height > 1024]
    assert len(widened) == (1 if fit == "crop" else 0)  # where a box of one pixel is what is resized


@pytest.mark.parametrize("fit", FITS)
def test_an_image_of_the_size_is_left_as_it_is(fit):
    image = noise(9, 7)
    assert fit_image(image, 7, 9, fit) is image


def test_large_images_wait_for_room():
    together, most, lock = 0, 0, threading.Lock()
    place = room._Room(100)

    def hold(size: int) -> None:
        nonlocal together, most
        with place.room_for(size):
            with lock:
                together += size
                most = max(most, together)
            time.sleep(0.002)
            with lock:
                together -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, [40, 60, 30, 70, 250, 10] * 4))
    assert most == 250  # one that is larger than the room has it alone
    most = 0
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, [40, 60, 30, 70, 10] * 4))
    assert most <= 100


def tiff(values: np.ndarray, bits: int, photometric: int) -> bytes:
    """A little-endian TIFF of one strip: gray of 8, 12 (packed) or 16 bits, as scanners and microscopes write them."""
    rows, columns = values.shape
    if bits in (8, 16):
        strip = values.astype(f"<u{bits // 8}").tobytes()
    else:
        pairs = values.reshape(-1, 2).astype(np.uint32)
        joined = (pairs[:, 0] << 12) | pairs[:, 1]
        strip = b"".join(int(three).to_bytes(3, "big") for three in joined)
    tags = [
        (256, 4, columns), (257, 4, rows), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
        (277, 3, 1), (278, 4, rows), (279, 4, len(strip)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag[:2], 1, tag[2]) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory + bytes(4)


WIDE = np.array([[0, 128, 129, 257], [32_768, 65_278, 65_407, 65_535]], dtype=np.uint16)


def test_white_is_zero_is_inverted_with_16_bits_as_with_8():
    expected = np.round(WIDE / 257).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(tiff(WIDE, 16, 1))[:, :, 0], expected)
    np.testing.assert_array_equal(decode_image(tiff(WIDE, 16, 0))[:, :, 0], 255 - expected)
    np.testing.assert_array_equal(decode_image(tiff(expected, 8, 0))[:, :, 0], 255 - expected)
    assert image_shape(tiff(WIDE, 16, 0)) == (2, 4, 1)


def test_a_held_image_of_pillow_is_inverted_too():
    with Image.open(io.BytesIO(tiff(WIDE, 16, 0))) as image:
        np.testing.assert_array_equal(upright_pixels(image)[:, :, 0], 255 - np.round(WIDE / 257).astype(np.uint8))


def test_twelve_bits_are_scaled_by_their_own_white():
    values = np.array([[0, 1000, 2048, 4095]], dtype=np.uint16)
    found = decode_image(tiff(values, 12, 1))[0, :, 0]
    assert abs(found.astype(int) - np.round(values[0] / 4095 * 255).astype(int)).max() <= 1
    assert (found[0], found[-1]) == (0, 255)


def test_what_is_used_of_16_bits_is_told_and_can_be_spread():
    seen = []
    values = np.array([[100, 600, 1100]], dtype=np.uint16)
    content = saved(Image.fromarray(values), "PNG")
    assert decode_image(content, wide=Wide(seen=lambda low, high: seen.append((low, high)))).max() == 4
    assert seen == [(100, 1100)]
    assert decode_image(content, wide=Wide((100, 1100)))[0, :, 0].tolist() == [0, 128, 255]
    assert decode_image(content, wide=Wide((600, 1100)))[0, :, 0].tolist() == [0, 0, 255]  # clipped, not wrapped
    inverted = tiff(65_535 - values, 16, 0)  # stored white first, and the same image
    assert decode_image(inverted, wide=Wide((100, 1100)))[0, :, 0].tolist() == [0, 128, 255]
    eight = saved(Image.fromarray(noise()), "PNG")
    np.testing.assert_array_equal(decode_image(eight, wide=Wide((100, 1100))), noise())  # 8 bits are not touched


PIXELS = noise(3, 2)
GRAY = PIXELS[:, :, 0]


def plain(magic: str, values: np.ndarray, largest: int) -> bytes:
    return f"{magic} 3 2 # a comment\n{largest}\n{' '.join(map(str, values.ravel()))}\n".encode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (saved(Image.fromarray(PIXELS), "PPM"), PIXELS),
        (saved(Image.fromarray(GRAY), "PPM"), GRAY[:, :, None]),
        (saved(Image.fromarray(GRAY > 127), "PPM"), 255 * (GRAY > 127)[:, :, None]),
        (plain("P3", PIXELS, 255), PIXELS),
        (plain("P2", GRAY, 255), GRAY[:, :, None]),
        (plain("P2", GRAY // 17, 15), (GRAY // 17 * 17)[:, :, None]),
        (b"P5 3 2 65535\n" + (GRAY.astype(">u2") * 257).tobytes(), GRAY[:, :, None]),
        (b"P5 3 2 1020\n" + (GRAY.astype(np.uint16) * 4).astype(">u2").tobytes(), GRAY[:, :, None]),
    ],
    ids=["PPM", "PGM", "PBM", "plain PPM", "plain PGM", "4 bits", "16 bits", "10 bits"],
)
def test_portable_anymaps_are_read(content, expected):
    decoded = decode_image(content)
    np.testing.assert_array_equal(decoded, expected)
    assert image_shape(content) == decoded.shape


def test_anymaps_that_pillow_would_read_for_minutes_are_refused():
    for head in (b"P3 2000 2000 255\n", b"P2 3000 3000 255\n", b"P6 2000 2000 254\n"):
        with pytest.raises(DataError, match=r"anymap of \d+ million values .*at most 4 million\); save it as PNG"):
            decode_image(head + b"1 " * 100)
    with pytest.raises(DataError, match="mode F"):
        decode_image(b"Pf 3 2 -1.0\n" + bytes(24))


@pytest.mark.parametrize("fmt", ["PPM", "BMP", "GIF"])
def test_more_truncated_images_are_damaged_wherever_they_are_cut(fmt):
    content = saved(Image.fromarray(noise()), fmt)
    damaged = 0
    for length in range(1, len(content) - (2 if fmt == "GIF" else 0)):
        try:
            whole = decode_image(content[:length])
        except DataError:
            damaged += 1
            continue
        np.testing.assert_array_equal(whole, decode_image(content))
    assert damaged > len(content) / 2


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_and_turned():
    image = np.zeros((32, 48, 3), np.uint8)
    image[:, :24] = (250, 10, 10)
    written = io.BytesIO()
    Image.fromarray(image).save(written, "AVIF", quality=95)
    assert image_shape(written.getvalue()) == (32, 48, 3)
    assert abs(decode_image(written.getvalue()).astype(int) - image).mean() < 3
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    turned = io.BytesIO()
    Image.fromarray(image).save(turned, "AVIF", quality=95, exif=exif)
    assert image_shape(turned.getvalue()) == (48, 32, 3)
    assert abs(decode_image(turned.getvalue()).astype(int) - np.rot90(image, -1)).mean() < 3
    with pytest.raises(DataError):
        decode_image(written.getvalue()[:200])


def test_avif_that_this_pillow_does_not_read_says_what_to_install(monkeypatch):
    monkeypatch.setattr(room.features, "check", lambda name: False)
    with pytest.raises(
        DataError, match=r"AVIF needs a Pillow that reads it; install it with: pip install 'pillow>=11\.3'"
    ):
        decode_image(b"\0\0\0\x1cftypavif" + b"\0" * 99)


def heic(image: np.ndarray, exif: bytes = b"") -> bytes:
    """An image as telephones write it; an orientation in EXIF becomes one of the format's own."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    pillow_heif.register_heif_opener(thumbnails=False)
    written = io.BytesIO()
    try:
        picture = Image.fromarray(image)
        picture.info |= {"exif": exif} if exif else {}
        picture.save(written, "HEIF", quality=95)
    except Exception as error:  # its library comes with an encoder or without
        pytest.skip(f"pillow-heif writes none here: {error}")
    return written.getvalue()


def test_heic_is_read_and_turned_once():
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48] = (250, 10, 10)
    content = heic(image)
    assert image_shape(content) == (64, 96, 3)
    assert abs(decode_image(content).astype(int) - image).mean() < 3
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = heic(image, exif.tobytes())
    assert image_shape(turned) == (96, 64, 3)
    assert abs(decode_image(turned).astype(int) - np.rot90(image, -1)).mean() < 3
    assert decode_fitted(turned, 16, 16, fit="pad").shape == (16, 16, 3)


def test_without_pillow_heif_one_sentence_counts_the_files(tmp_path, encode, monkeypatch):
    mark = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "set" / name / f"{number}.heic").write_bytes(mark)
            (tmp_path / "set" / name / f"{number}.png").write_bytes(encode(seed=number))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(room, "_read_heic", room._read_heic.__wrapped__)
    with pytest.raises(
        DataError, match=r"^6 of 12 images cannot be read: HEIC needs pillow-heif; install it with: pip inst"
    ):
        load_image_set(str(tmp_path / "set"))
    assert len(load_image_set(str(tmp_path / "set"), skip_damaged=True).splits["train"]) == 6


def test_a_mark_that_is_none_of_these_is_no_image():
    with pytest.raises(DataError, match="no image that can be read"):
        decode_image(b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + b"\0" * 99)
