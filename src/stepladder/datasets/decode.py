"""One encoded image to pixels: what may be read, what is damaged, how every color mode becomes gray or RGB."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import simplejpeg
from PIL import Image, ImageFile, UnidentifiedImageError, features

from stepladder.datasets.dicom import is_dicom, read_scan, scan_shape
from stepladder.datasets.image_set import Fit, Span
from stepladder.errors import DataError

#: The only formats that Pillow may try: each further one is another parser that hostile bytes can reach.
#: PPM is the whole family of portable anymaps: PBM, PGM and PPM, plain or raw. AVIF, HEIC and DICOM are told by their
#: own marks, and no other parser sees them.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")

#: What photographs of telephones are counted under where nothing here reads them.
NEEDS_HEIC = "HEIC needs pillow-heif; install it with: pip install 'stepladder[heic]'"
NEEDS_AVIF = "AVIF needs a Pillow that reads it; install it with: pip install 'pillow>=11.3'"

#: Bytes at the start of a file that tell its format.
HEAD = 256

# Read where they bear their mark, the last two by extras.
_MARKED = ("AVIF", "HEIC", "DICOM")

# ISO/IEC 14496-12, section 4.3: the brands of a file. 23000-22 (MIAF) has those of AV1, 23008-12 those of HEVC.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

#: More pixels than this are refused from the header, before anything is allocated. Pillow's own limit is 179 million.
MAX_PIXELS = 50_000_000

#: A JPEG that is resized afterwards is decoded at the smallest scale that keeps so many times the pixels of each side
#: that counts. Once would do for the size, not for the picture: 200 photographs of 256×341 at 64×64 differed from those
#: decoded in full by 3.9 gray levels on average (at 224×224 by 3.0), with twice the pixels by 1.3 (0.0). Pillow's
#: ``reducing_gap`` of 2 is the same compromise.
ENOUGH = 2

#: A JPEG is decoded at one of these parts of its sides: what every libjpeg can do, so that others read the same.
JPEG_SCALES = (1, 2, 4, 8)

#: Values of a portable anymap that Pillow reads one by one, in Python: those written as text, and those whose largest
#: value is not that of 8 or 16 bits. 4 million take some 2 s.
MOST_SLOW_VALUES = 4_000_000

#: The largest value of 16 bits: white, unless an image's own bits say less.
WHITE = 65_535

#: How a JPEG begins, which has 8 bits a value.
JPEG_START = b"\xff\xd8"
_PNG_END = b"IEND\xaeB`\x82"  # the last chunk, which is always empty, with its checksum
_ORIENTATION_TAG = 0x0112
_BITS_TAG, _PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 258, 262, 0  # TIFF 6.0, section 8
_TURNED = (5, 6, 7, 8)  # its rows are columns
_GRAY_MODES = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
_UNBOUNDED_MODES = ("I", "F")

# How Pillow takes the other byte of two, by how it takes the upper one: from big-endian, little-endian, native order.
_OTHER_BYTES = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}

# What decoding takes at most for each pixel: the pixels and libjpeg's coefficients of a progressive JPEG; Pillow's
# four bytes a color, a copy with another mode, and the pixels.
_JPEG_BYTES, _PILLOW_BYTES = 9, 12


class _Room:
    """Lets threads hold large images up to a number of bytes in all, and one image in any case."""

    def __init__(self, most: int) -> None:
        self._most, self._held, self._changed = most, 0, threading.Condition()

    @contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Wait until there is room for ``size`` bytes, and hold it; small images do not count."""
        if size * 64 < self._most:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + size <= self._most)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()


# A machine with many cores would else decode as many large images at once as it has.
_DECODING = _Room(800_000_000)


#: Told the smallest and the largest value of an image of more than 8 bits, 0 to 65,535.
WideSeen = Callable[[int, int], None]

#: Told what was done to a DICOM image, and a digest of its patient's ID.
ScanSeen = Callable[[tuple[str, ...], str], None]


@dataclass(frozen=True)
class Wide:
    """What becomes of gray images of more than 8 bits; those of 8 bits are not touched.

    Attributes:
        span: the values (0 to 65,535) that become black and white; None for 0 and 65,535.
        seen: told the range of each such image.
        scan_seen: told of each DICOM image.
        color_seen: told the range of each color image of more than 8 bits, of which the upper 8 are taken.
    """

    span: Span | None = None
    seen: WideSeen | None = None
    scan_seen: ScanSeen | None = None
    color_seen: WideSeen | None = None


#: Black is 0 and white 65,535, and nobody is told.
AS_IT_IS = Wide()


def decode_image(content: bytes, at_least: tuple[int, int] = (0, 0), wide: Wide = AS_IT_IS) -> np.ndarray:
    """Decode an image; the format is told by its content, never by a file name.

    Orientation (EXIF) is applied, transparency is laid over white, gray of more than 8 bits is scaled to 8, and of an
    animation the first frame is taken.

    Args:
        content: the encoded image.
        at_least: where one is above 0, large JPEGs may come out reduced (averaged, by libjpeg) as long as they keep
            this many rows and columns: several times as fast where the image is resized afterwards anyway.
        wide: what becomes of gray of more than 8 bits.

    Returns:
        uint8, shape (H, W, C), values 0 to 255; C is 1 for gray modes (with or without transparency), else 3.

    Raises:
        DataError: the image is damaged, truncated, too large, or of a format or mode that is not read; the message is
            the reason alone, without a place.
    """
    with _reasons(content):
        pixels = _decode_jpeg(content, at_least) if content.startswith(JPEG_START) else None
        if pixels is not None:
            return pixels
        return _decode_dicom(content, wide) if is_dicom(content) else _decode_with_pillow(content, wide, at_least)


def is_png_of_8_bits(content: bytes) -> bool:
    """Whether that is a PNG of at most 8 bits a channel, and no DICOM file; PNG (third edition), section 11.2.1."""
    return content.startswith(b"\x89PNG") and len(content) > 24 and content[24] <= 8 and not is_dicom(content)


def image_shape(content: bytes) -> tuple[int, int, int]:
    """Return the (height, width, channels) that :func:`decode_image` would give, from the header alone.

    Raises:
        DataError: as :func:`decode_image`, for what a header can tell.
    """
    with _reasons(content):
        return _shape(content)


def decode_fitted(
    content: bytes,
    height: int,
    width: int,
    channels: int | None = None,
    fit: Fit = "crop",
    wide: Wide = AS_IT_IS,
) -> np.ndarray:
    """Decode an image and bring it to ``height`` × ``width`` pixels and ``channels``, its own where that is None.

    Training and prediction both read images that must be resized through this, so that they see the same pixels.

    Returns:
        uint8, shape (height, width, C).

    Raises:
        DataError: as :func:`decode_image`.
    """
    rows, columns = (max(height, width),) * 2 if fit == "crop" else (height, width)
    if fit == "pad":
        # From the header, because a reduced image has rounded sides, and so other proportions.
        rows, columns = _inner(*image_shape(content)[:2], height, width)
    image = decode_image(content, (ENOUGH * rows, ENOUGH * columns), wide)
    if channels is not None:
        image = with_channels(image, channels)
    if fit == "pad" and image.shape[:2] != (height, width):
        return _pad(image, height, width, (rows, columns))
    return fit_image(image, height, width, fit)


def fit_image(image: np.ndarray, height: int, width: int, fit: Fit = "crop") -> np.ndarray:
    """Bring an image to ``height`` × ``width`` pixels, antialiased (bicubic).

    Args:
        image: uint8, shape (H, W, C), C 1 or 3.
        height: pixels.
        width: pixels.
        fit: see :data:`stepladder.datasets.image_set.FITS`.

    Returns:
        uint8, shape (height, width, C); the image itself where it has that size.
    """
    rows, columns, _ = image.shape
    if (rows, columns) == (height, width):
        return image
    match fit:
        case "crop":
            return _cover(image, height, width)
        case "pad":
            return _pad(image, height, width, _inner(rows, columns, height, width))
        case "stretch":
            return _resize(image, height, width)


def fit_square(image: np.ndarray, side: int) -> np.ndarray:
    """Resize the shorter side to ``side`` pixels and crop the center."""
    return fit_image(image, side, side)


def _cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns, _ = image.shape
    # The largest centered box of the shape that is wanted. Resizing only the box equals resizing everything and
    # cropping, and a 1×10,000 strip cannot fill the memory.
    box_height, box_width = min(rows, columns * height / width), min(columns, rows * width / height)
    left, top = (columns - box_width) / 2, (rows - box_height) / 2
    return _resize(image, height, width, (left, top, left + box_width, top + box_height))


def _pad(image: np.ndarray, height: int, width: int, inner: tuple[int, int]) -> np.ndarray:
    # Black, the fill of torchvision's Pad and TensorFlow's resize_with_pad.
    padded = np.zeros((height, width, image.shape[2]), dtype=np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    padded[top : top + inner[0], left : left + inner[1]] = _resize(image, *inner)
    return padded


def _inner(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """Return the largest size in the proportions of ``rows`` × ``columns`` that ``height`` × ``width`` can hold."""
    scale = min(height / rows, width / columns)
    return min(height, max(1, round(rows * scale))), min(width, max(1, round(columns * scale)))


def _resize(
    image: np.ndarray, height: int, width: int, box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    rows, columns, channels = image.shape
    source = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    if box is None and columns < width and rows > height:
        # Pillow resizes rows first: a strip of one column would be made wide over all of its rows.
        source = source.resize((columns, height), Image.Resampling.BICUBIC)
    resized = source.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized).reshape(height, width, channels)


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Give an image (uint8, shape (H, W, C)) 1 or 3 ``channels``; what has them already is returned as it is.

    Gray is the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, rounded as Pillow does it; color from gray repeats
    it.
    """
    depth = image.shape[2]
    if depth == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]


def upright_pixels(image: Image.Image, wide: Wide = AS_IT_IS) -> np.ndarray:
    """Return the pixels of an open image of any mode that is read: uint8 (H, W, C), C 1 or 3, turned as EXIF says.

    Args:
        wide: what becomes of gray of more than 8 bits.

    Raises:
        DataError: it is damaged, or its mode has no known range.
    """
    with _reasons():
        return _upright_pixels(image, wide)


def _upright_pixels(image: Image.Image, wide: Wide, inverted: bool = False) -> np.ndarray:
    if image.mode in _UNBOUNDED_MODES and not _is_wide(image):
        raise DataError(f"mode {image.mode} (32 bits a pixel, no known range) is not read; save it as 8 or 16 bits")
    # Asked for before load(), which may forget both.
    is_wide, (largest, white_is_zero) = _is_wide(image), _wide_facts(image)
    image.load()
    # After load(), because Pillow turns a TIFF itself while loading and then forgets the tag.
    orientation = _orientation(image)
    if is_wide:
        return _upright(
            _narrowed(np.asarray(image).astype(np.uint32), largest, inverted or white_is_zero, wide), orientation
        )
    return _upright(_pixels(image), orientation)


def _is_wide(image: Image.Image) -> bool:
    """Whether an image is gray of more than 8 bits. Pillow gives portable graymaps of 16 bits as mode I."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


def _wide_facts(image: Image.Image) -> tuple[int, bool]:
    """Return the largest value that such an image can have, and whether that is black.

    Pillow inverts a TIFF whose white is zero where it has 8 bits, and not where it has 16; and one of 12 bits it gives
    in 16 as it is.
    """
    tags = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None:
        return WHITE, False
    bits = tags.get(_BITS_TAG, (16,))
    bits = bits[0] if isinstance(bits, tuple) else bits
    return 2 ** min(16, max(9, int(bits))) - 1, tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO


def _narrowed(values: np.ndarray, largest: int, inverted: bool, wide: Wide) -> np.ndarray:
    """Return an image of more than 8 bits, uint32 (H, W), as uint8 (H, W, 1)."""
    if largest != WHITE:
        values = (np.minimum(values, largest) * WHITE + largest // 2) // largest
    if inverted:
        values = WHITE - values
    if wide.seen is not None:
        wide.seen(int(values.min()), int(values.max()))
    if wide.span is None:
        return ((values + 128) // 257).astype(np.uint8)[:, :, None]  # 65535 = 257 × 255, so this rounds exactly
    low, high = wide.span
    width = max(1, high - low)
    within = np.clip(values, low, high) - np.uint32(low)
    narrow: np.ndarray = ((within * 255 + width // 2) // width).astype(np.uint8)[:, :, None]
    return narrow


@contextmanager
def _reasons(content: bytes | None = None) -> Iterator[None]:
    """Turn whatever goes wrong with an image, or its encoded ``content``, into a DataError with the reason."""
    if content is not None and not content:
        raise DataError("the file is empty (0 bytes)")
    try:
        yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"no image that can be read (formats: {', '.join((*FORMATS, *_MARKED))})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller") from error
    # Damaged bytes make Pillow's parsers raise nearly anything: OSError, SyntaxError, struct.error, IndexError…
    except Exception as error:
        raise DataError(f"damaged: {error or type(error).__name__}") from error


def _decode_jpeg(content: bytes, at_least: tuple[int, int]) -> np.ndarray | None:
    # None: simplejpeg does not read this kind of JPEG (CMYK, rare subsampling, stray bytes that harm nothing).
    header = _jpeg_header(content)
    if header is None:
        return None
    height, width, channels = header
    orientation = _jpeg_orientation(content)
    rows, columns = at_least[::-1] if orientation in _TURNED else at_least
    rows, columns = _reduced(height, width, rows, columns)
    try:
        # strict (the default) turns libjpeg's warnings into errors: without it a truncated file ends in silent gray.
        colorspace = "GRAY" if channels == 1 else "RGB"
        with _DECODING.room_for(_JPEG_BYTES * height * width):
            pixels = simplejpeg.decode_jpeg(content, colorspace, min_height=rows, min_width=columns)
    except ValueError as error:
        if _is_damage(str(error)):
            raise DataError(f"damaged: {error}") from error
        return None
    return _upright(pixels, orientation)


def _reduced(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """Return the sides of the smallest scale that keeps so many rows and columns; as it is where none are asked for."""
    if not rows or not columns:
        return 0, 0
    scale = max((scale for scale in JPEG_SCALES if min(height // rows, width // columns) >= scale), default=1)
    return -(-height // scale), -(-width // scale)


def _is_damage(reason: str) -> bool:
    # libjpeg's words. Pillow would fill in gray for these. "Extraneous bytes" alone are padding that cameras write.
    reason = reason.lower()
    return ("premature end" in reason or "corrupt jpeg data" in reason) and "extraneous" not in reason


def _jpeg_header(content: bytes) -> tuple[int, int, int] | None:
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    _check_pixels(int(height), int(width))
    if colorspace in ("CMYK", "YCCK"):
        return None
    return int(height), int(width), 1 if colorspace == "Gray" else 3


def _decode_with_pillow(content: bytes, wide: Wide, at_least: tuple[int, int] = (0, 0)) -> np.ndarray:
    content, inverted = _black_is_zero(content)
    with Image.open(io.BytesIO(content), formats=formats_of(content[:HEAD])) as image:
        _check_pixels(image.height, image.width)
        # Pillow forgives a PNG without its last bytes, because all pixels may be there. It was cut all the same.
        if image.format == "PNG" and _PNG_END not in content:
            raise DataError("damaged: the PNG is truncated (its end is missing)")
        if image.format == "PPM":
            _check_anymap(image)
        if all(at_least) and image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
            # At the scale of the faster decoder, which this JPEG was none for: the rule from a file to pixels is one.
            rows, columns = at_least[::-1] if _orientation(image) in _TURNED else at_least
            image.draft(None, (columns, rows))
        with _DECODING.room_for(_PILLOW_BYTES * image.height * image.width):
            if _is_wide_with_alpha(image):
                return _wide_with_alpha(image, wide)
            if wide.color_seen is not None and (lower := _lower_bytes(image)) is not None:
                wide.color_seen(*_color_range(content, image, lower))
            return _upright_pixels(image, wide, inverted)


def _black_is_zero(content: bytes) -> tuple[bytes, bool]:
    """Return a TIFF as one whose black is zero, and whether its white was: of 16 bits in big-endian order, which Pillow
    reads only so; all else as it is. TIFF 6.0, section 2."""
    if not content.startswith(b"MM\0*"):
        return content, False
    start = int.from_bytes(content[4:8])
    count = int.from_bytes(content[start : start + 2])
    fields = {
        int.from_bytes(content[at : at + 2]): at + 8
        for at in range(start + 2, min(start + 2 + 12 * count, len(content) - 11), 12)
    }
    values = {tag: int.from_bytes(content[at : at + 2]) for tag, at in fields.items()}
    if values.get(_BITS_TAG) != 16 or values.get(_PHOTOMETRIC_TAG) != _WHITE_IS_ZERO:
        return content, False
    at = fields[_PHOTOMETRIC_TAG]
    return content[:at] + b"\0\1" + content[at + 2 :], True


def _is_wide_with_alpha(image: Image.Image) -> bool:
    """Whether it is a PNG of gray with alpha, 16 bits each, which Pillow gives as RGBA of 8."""
    return image.format == "PNG" and any(tile.args == "LA;16B" for tile in getattr(image, "tile", ()))


def _wide_with_alpha(image: ImageFile.ImageFile, wide: Wide) -> np.ndarray:
    # Four bytes a pixel, as RGBA has: upper and lower of gray, upper and lower of alpha.
    image.tile = [tile._replace(args="RGBA") for tile in image.tile]
    parts = np.asarray(image)
    orientation = _orientation(image)
    if wide.span is not None or wide.seen is not None:
        gray, alpha = (parts[:, :, at].astype(np.uint64) * 256 + parts[:, :, at + 1] for at in (0, 2))
        values = ((gray * alpha + WHITE * (WHITE - alpha) + WHITE // 2) // WHITE).astype(np.uint32)
        narrow = _narrowed(values, WHITE, inverted=False, wide=wide)
        if wide.span is not None:
            return _upright(narrow, orientation)
    upper = Image.merge("LA", [Image.fromarray(np.ascontiguousarray(parts[:, :, at])) for at in (0, 2)])
    return _upright(_pixels(upper), orientation)


def _lower_bytes(image: ImageFile.ImageFile) -> list[ImageFile._Tile] | None:
    """Return how an image of color with 16 bits is opened for the lower bytes, where Pillow takes the upper; None for
    all other images."""
    tiles = []
    for tile in image.tile:
        first, *rest = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        mode, _, order = str(first).partition(";")
        if mode not in ("RGB", "RGBA") or order not in _OTHER_BYTES:
            return None
        swapped = f"{mode};{_OTHER_BYTES[order]}"
        tiles.append(tile._replace(args=(swapped, *rest) if isinstance(tile.args, tuple) else swapped))
    return tiles or None


def _color_range(content: bytes, image: ImageFile.ImageFile, lower: list[ImageFile._Tile]) -> tuple[int, int]:
    """Return the smallest and the largest value of an image of color with 16 bits."""
    with Image.open(io.BytesIO(content), formats=(str(image.format),)) as again:
        again.tile = lower
        values = np.asarray(image)[:, :, :3].astype(np.uint16) * 256 + np.asarray(again)[:, :, :3]
    return int(values.min()), int(values.max())


def _decode_dicom(content: bytes, wide: Wide) -> np.ndarray:
    height, width, _ = scan_shape(content)
    _check_pixels(height, width)
    with _DECODING.room_for(_PILLOW_BYTES * height * width):
        scan = read_scan(content)
    if wide.scan_seen is not None:
        wide.scan_seen(scan.applied, scan.patient)
    values: np.ndarray = scan.values
    return _narrowed(values, scan.largest, scan.inverted, wide) if values.ndim == 2 else values


def formats_of(head: bytes) -> tuple[str, ...]:
    """Return what Pillow may take a file for that begins with ``head``, its first :data:`HEAD` bytes.

    Raises:
        DataError: it bears the mark of a format that nothing here reads; the message says what to install.
    """
    if head[4:8] != b"ftyp":
        return FORMATS
    end = min(len(head), int.from_bytes(head[:4], "big"))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        if not features.check("avif"):
            raise DataError(NEEDS_AVIF)
        return ("AVIF",)
    if brands & _HEIC_BRANDS:
        _read_heic()
        return ("HEIF",)
    return FORMATS


@cache
def _read_heic() -> None:
    """Let Pillow read HEIC, where it is asked to."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise DataError(NEEDS_HEIC) from error
    register_heif_opener(thumbnails=False)


def _check_anymap(image: ImageFile.ImageFile) -> None:
    """Refuse a portable anymap that Pillow would read value by value for minutes."""
    values = image.height * image.width * len(image.getbands())
    if values > MOST_SLOW_VALUES and image.tile and image.tile[0].codec_name != "raw":
        raise DataError(
            f"a portable anymap of {values / 1e6:.0f} million values as text or of an odd range is not read (at most "
            f"{MOST_SLOW_VALUES // 1_000_000} million); save it as PNG"
        )


def _pixels(image: Image.Image) -> np.ndarray:
    mode = "L" if image.mode in _GRAY_MODES else "RGB"
    if image.has_transparency_data:
        layered = image.convert("LA" if mode == "L" else "RGBA")
        white = Image.new(mode, image.size, "white")
        image = Image.composite(layered.convert(mode), white, layered.getchannel("A"))
    pixels = np.asarray(image.convert(mode))
    return pixels[:, :, None] if mode == "L" else pixels


def _shape(content: bytes) -> tuple[int, int, int]:
    if content.startswith(JPEG_START):
        header = _jpeg_header(content)
        if header is not None:
            height, width, channels = header
            return (width, height, channels) if _jpeg_orientation(content) in _TURNED else header
    if is_dicom(content):
        height, width, channels = scan_shape(content)
        _check_pixels(height, width)
        return height, width, channels
    content, _ = _black_is_zero(content)
    with Image.open(io.BytesIO(content), formats=formats_of(content[:HEAD])) as image:
        _check_pixels(image.height, image.width)
        height, width = image.height, image.width
        # Before the orientation is asked for, for which a PNG is loaded.
        gray = image.mode in _GRAY_MODES or _is_wide(image) or _is_wide_with_alpha(image)
        # Pillow reports the size of a TIFF as already turned.
        if image.format != "TIFF" and _orientation(image) in _TURNED:
            height, width = width, height
        return height, width, 1 if gray else 3


def _check_pixels(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise DataError(f"{width}×{height} is more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller")


def _jpeg_orientation(content: bytes) -> int:
    if b"Exif\0\0" not in content and b"tiff:Orientation" not in content:  # which XMP has as well
        return 1
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        return _orientation(image)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # Broken EXIF is common in sound photographs; it is no reason to call the pixels damaged.
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    # EXIF 2.32, section 4.6.4 A, tag 274.
    if orientation in _TURNED:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 6, 3, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
