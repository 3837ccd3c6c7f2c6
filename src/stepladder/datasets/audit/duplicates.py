"""Copies of images, exact and near, inside a split and across splits.

Exact copies have the same pixels. Near copies are the same photograph encoded again, shifted by up to two pixels, made
brighter or of more contrast, or mirrored. They are found in three steps, of which each only drops pairs:

1. All pairs of thumbnails (:func:`find_candidates`): a cosine of at least :data:`CANDIDATE`.
2. The best shift by the textures, the images without their blurred copies (:func:`measure_likeness`).
3. At that shift, the correlation of all pixels must be at least :data:`COLOR` and that of the textures at least
   :data:`TEXTURE`.

Where the thresholds come from: 1,500 images of `cifar10-jpeg` were shifted by up to a pixel each way, changed in
contrast by up to 15 % and in brightness by up to 15 of 255, and encoded as JPEG at quality 50 to 90, together. Of
these copies 98 % keep the thumbnail's cosine, and 99.5 % have a color correlation over 0.95 and a texture correlation
over 0.86. Of the pairs between the real train and test, those with a texture correlation under 0.5 are mostly other
pictures (two ships on a horizon, two birds before the sky, with color correlations up to 0.97); from 0.5 to 0.65 other
pictures and copies (crops, other scales) mix; from 0.7 nearly all are copies to the eye: 410 pairs with 248 test
images. The published list (Barz and Denzler, "Do We Train on Test Data?", Journal of Imaging, 2020) has 286 test
images, found with a trained network and by hand. The thresholds were chosen by looking at pairs, never by an accuracy.

Where many images are alike by nature (trousers, the digit 1), so are their textures, and the threshold rises: Fisher's
z of the texture correlation must be :data:`RARITY` times that of an ordinary neighbor, the 90th percentile over a
sample of images of each one's fourth best (second best in a small set). That leaves 0.70 on photographs (ordinary:
0.26), and becomes 0.974 on fashion-mnist (0.88) and 0.985, the :data:`HIGHEST`, on digits (0.93). The threshold of
thumbnails rises there too, so that time stays bounded. The price: a copy that a shift or a strong compression makes
less like its original than another image of the class is, is missed. Of 500 planted copies each are found, on
photographs, fashion-mnist and the 8×8 digits: JPEG at quality 75: 100, 95 and 97 %; brighter by a tenth and ten: 100,
99 and 99 %; mirrored: 100 % each; shifted by one pixel: 99, 12 and 16 %. Images under eight pixels a side are compared
exactly and no further: their windows hold too few pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stepladder.datasets.image_set import Split
from stepladder.datasets.threads import in_threads

#: The least cosine of two thumbnails whose images are compared, plain or mirrored.
CANDIDATE = 0.92
#: The least correlation of all pixels of two near copies.
COLOR = 0.90
#: The least correlation of the textures of two near copies, where images are not alike by nature.
TEXTURE = 0.70
#: How far above an ordinary neighbor a copy's texture correlation lies, as a ratio of Fisher's z.
RARITY = 1.6
#: No set is so alike that more than this is asked for; half of the copies planted in photographs have 0.97.
HIGHEST = 0.985

#: Where thumbnails tell little, the threshold for candidates rises until about so many are left for each image, or in
#: all: 100,000 pairs take three seconds.
_CANDIDATES_AN_IMAGE, _CANDIDATES = 4, 200_000
_SMALLEST = 8
# The sample that shows how alike images are by nature; more changed the threshold by less than 0.01.
_SAMPLED = 256
_NEIGHBORS, _ORDINARY_RANK, _ORDINARY_SHARE = 16, 4, 0.9

#: Boxes a side of the thumbnail. Of 4, 5, 6 and 8, five let the fewest pairs of `cifar10-jpeg` through when 98 of 100
#: planted copies had to pass (1.4 an image of 50,000; six 1.3 with 44 % more numbers, eight 1.9).
_BOXES = 5

#: Rows and columns of a block: two float32 blocks of 2 MB stay in a second-level cache.
_ROWS, _COLUMNS = 256, 2048

#: Images are compared at no more than this many pixels a side; larger ones are averaged down first.
_SIDE = 32

#: Pairs compared at a time.
_BLOCK = 1024

#: Below this correlation of textures a pair is given up before its pixels are compared: no true copy comes near it.
HOPELESS = 0.5


@dataclass(frozen=True)
class Copies:
    """The copies between two splits, or inside one where both names are the same.

    Attributes:
        first: name of a split.
        second: name of a split.
        exact: int64, (E, 2): for each image of ``second`` with an identical one in ``first``, the position of the first
            such and its own.
        near: int64, (P, 2), positions of near copies in ``first`` and ``second``, closest first. Of identical images
            only the first of a split is listed.
        mirrored: bool, (P,), whether one is the other's mirror image.
        color: float32, (P,), correlation of all pixels.
        texture: float32, (P,), correlation of the textures.
        in_first: int64, all positions in ``first`` with a copy in ``second``, ascending.
        in_second: int64, all positions in ``second`` with a copy in ``first``, ascending.
        compared: how many images of ``second`` were compared for near copies; fewer than all where time was bounded.
    """

    first: str
    second: str
    exact: np.ndarray
    near: np.ndarray
    mirrored: np.ndarray
    color: np.ndarray
    texture: np.ndarray
    in_first: np.ndarray
    in_second: np.ndarray
    compared: int

    def __repr__(self) -> str:
        return f"Copies({self.first!r}, {self.second!r}: {len(self.exact):,} exact, {len(self.near):,} near)"


@dataclass(frozen=True)
class Threshold:
    """What was asked of a near copy in a set.

    Attributes:
        candidate: the least cosine of thumbnails.
        texture: the least texture correlation.
        ordinary: the texture correlation of an ordinary neighbor.
    """

    candidate: float
    texture: float
    ordinary: float


def find_copies(
    splits: Mapping[str, Split], relations: Sequence[tuple[str, str]], most_pairs: float = float("inf")
) -> tuple[tuple[Copies, ...], Threshold]:
    """Find the copies between splits, and inside one where both names of a relation are the same.

    Args:
        splits: by name; images of one shape.
        relations: the pairs of names to compare.
        most_pairs: bounds the time: where a relation has more pairs of images, evenly spaced images of its second split
            stand for all in the search for near copies. Exact copies are always found.

    Returns:
        the copies of each relation, and the threshold that held for the set.
    """
    numbers = _number_pixels(splits)
    unique = {}
    for name, numbered in numbers.items():
        first_seen = np.unique(numbered, return_index=True)[1]
        # A constant image resembles nothing but its like, and those are exact copies.
        small = min(splits[name].image_shape[:2]) < _SMALLEST
        unique[name] = np.sort(first_seen[~constant_images(splits[name])[first_seen]])[: 0 if small else None]
    thumbnails = {name: make_thumbnails(split).take(unique[name]) for name, split in splits.items()}
    threshold = _choose_threshold(splits, unique, thumbnails)
    found = [
        _compare_splits(splits, numbers, unique, thumbnails, relation, threshold, most_pairs) for relation in relations
    ]
    return tuple(found), threshold


def constant_images(split: Split) -> np.ndarray:
    """Return which images have one color everywhere, as bool, (N,)."""
    found = []
    for images in split.chunks():
        # The middle row first: it rules out nearly all at a fraction of the bytes.
        constant = (images[:, images.shape[1] // 2] == images[:, 0, :1]).all(axis=(1, 2))
        for position in np.flatnonzero(constant):
            constant[position] = (images[position] == images[position, 0, 0]).all()
        found.append(constant)
    return np.concatenate(found) if found else np.empty(0, bool)


def _number_pixels(splits: Mapping[str, Split]) -> dict[str, np.ndarray]:
    """Return a number for each image by split (int64, (N,)); identical images have the same."""
    seen: dict[bytes, int] = {}

    def number(image: np.ndarray) -> int:
        return seen.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), len(seen))

    return {
        name: np.fromiter((number(image) for images in split.chunks() for image in images), np.int64, len(split))
        for name, split in splits.items()
    }


def _choose_threshold(
    splits: Mapping[str, Split], unique: Mapping[str, np.ndarray], thumbnails: Mapping[str, Thumbnails]
) -> Threshold:
    """Look at a sample's neighbors in the largest split, to see how alike the images are by nature."""
    name = max(unique, key=lambda split: len(unique[split]))
    positions, thumbs = unique[name], thumbnails[name]
    count = len(positions)
    neighbors = min(_NEIGHBORS, count - 1)
    # In a small set even the second best neighbor is of the same kind more rarely than in a large one.
    rank = int(np.clip(count // 100, 2, _ORDINARY_RANK))
    if neighbors < rank:
        return Threshold(CANDIDATE, TEXTURE, 0.0)
    sample = np.linspace(0, count - 1, min(count, _SAMPLED)).astype(np.int64)
    some = thumbs.take(sample)
    even, odd = some.even @ thumbs.even.T, some.odd @ thumbs.odd.T
    cosines = even + odd
    cosines[np.arange(len(sample)), sample] = -1
    closest = np.argpartition(cosines, -neighbors, axis=1)[:, -neighbors:].ravel()
    ours = np.repeat(sample, neighbors)
    split, plain = splits[name], np.zeros(len(ours), bool)
    likeness = measure_likeness(split, split, positions[ours], positions[closest], plain, hopeless=-1.0)
    ranked = np.sort(likeness.texture.reshape(len(sample), neighbors), axis=1)[:, ::-1]
    ordinary = float(np.clip(np.quantile(ranked[:, rank - 1], _ORDINARY_SHARE), 0, 0.999))
    texture = min(HIGHEST, max(TEXTURE, float(np.tanh(RARITY * np.arctanh(ordinary)))))
    most = min(cosines.size - 1, len(sample) * max(_CANDIDATES_AN_IMAGE, _CANDIDATES // count))
    np.maximum(cosines, even - odd, out=cosines)
    cosines[np.arange(len(sample)), sample] = -1
    candidate = max(CANDIDATE, float(np.partition(cosines.ravel(), -most)[-most]))
    return Threshold(candidate, texture, ordinary)


def _compare_splits(
    splits: Mapping[str, Split],
    numbers: Mapping[str, np.ndarray],
    unique: Mapping[str, np.ndarray],
    thumbnails: Mapping[str, Thumbnails],
    relation: tuple[str, str],
    threshold: Threshold,
    most_pairs: float,
) -> Copies:
    first, second = relation
    inside = first == second
    ours, theirs = unique[first], unique[second]
    kept = np.arange(len(theirs))
    pairs = len(ours) * len(theirs) / (2 if inside else 1)
    if pairs > most_pairs and len(theirs):
        share = most_pairs / pairs
        kept = np.unique(np.linspace(0, len(theirs) - 1, max(1, int(share * len(theirs)))).astype(np.int64))
    sampled = len(kept) < len(theirs)
    columns = None if inside and not sampled else thumbnails[first]
    # Rows are the smaller side, whose blocks the threads share.
    j, i, mirrored = find_candidates(thumbnails[second].take(kept), columns, threshold.candidate)
    near = np.column_stack([ours[i], theirs[kept[j]]])
    # Identical images were counted as exact, and a mirrored image may well resemble itself.
    other = numbers[first][near[:, 0]] != numbers[second][near[:, 1]]
    near, mirrored = near[other], mirrored[other]
    if inside:
        near.sort(axis=1)
    likeness = measure_likeness(splits[first], splits[second], near[:, 0], near[:, 1], mirrored)
    close = np.flatnonzero((likeness.color >= COLOR) & (likeness.texture >= threshold.texture))
    close = close[np.argsort(-likeness.texture[close], kind="stable")]
    # A pair that fits both plain and mirrored is listed once, as it fits better.
    close = close[np.sort(np.unique(near[close], axis=0, return_index=True)[1])]
    near = near[close]
    exact = _exact_copies(numbers[first], numbers[second], inside)
    identical = numbers[second][exact[:, 1]]
    shared = [np.concatenate([numbers[name][near[:, side]], identical]) for side, name in enumerate(relation)]
    if inside:
        shared = [np.concatenate(shared)] * 2
    return Copies(
        first,
        second,
        exact,
        near,
        mirrored[close],
        likeness.color[close],
        likeness.texture[close],
        np.flatnonzero(np.isin(numbers[first], shared[0])),
        np.flatnonzero(np.isin(numbers[second], shared[1])),
        len(numbers[second]) if not sampled else len(kept),
    )


def _exact_copies(ours: np.ndarray, theirs: np.ndarray, inside: bool) -> np.ndarray:
    values, first_seen = np.unique(ours, return_index=True)
    if not len(values):
        return np.empty((0, 2), np.int64)
    place = np.minimum(np.searchsorted(values, theirs), len(values) - 1)
    same = values[place] == theirs
    if inside:  # the first of several is no copy of itself
        same &= first_seen[place] != np.arange(len(theirs))
    return np.column_stack([first_seen[place][same], np.flatnonzero(same)])


@dataclass(frozen=True)
class Thumbnails:
    """What is compared of each image: box means of 5×5, without their mean, scaled to length 1.

    Split by left-right symmetry, so that one pass finds plain and mirrored copies: the cosine of two thumbnails is
    even·even' + odd·odd', and that of one and the other's mirror image even·even' − odd·odd'.

    Attributes:
        even: float32, shape (N, 15 C), the part that a mirror leaves as it is.
        odd: float32, shape (N, 10 C), the part whose sign it turns.
    """

    even: np.ndarray
    odd: np.ndarray

    def __len__(self) -> int:
        return len(self.even)

    def take(self, positions: np.ndarray) -> Thumbnails:
        """Return those at ``positions``."""
        return Thumbnails(self.even[positions], self.odd[positions])


def make_thumbnails(split: Split) -> Thumbnails:
    """Return the thumbnails of a split's images; a constant image gets zeros, which match nothing."""
    channels = split.image_shape[2]
    half, middle = _BOXES // 2, _BOXES // 2 + 1
    even = np.empty((len(split), _BOXES * middle * channels), np.float32)
    odd = np.empty((len(split), _BOXES * half * channels), np.float32)
    done = 0
    for images in split.chunks():
        part = slice(done, done := done + len(images))
        boxes = box_means(images, _BOXES, _BOXES)
        boxes -= boxes.mean(axis=(1, 2, 3), keepdims=True)
        length = np.sqrt(np.einsum("nhwc,nhwc->n", boxes, boxes))
        boxes /= np.maximum(length, 1e-3)[:, None, None, None]
        left, right = boxes[:, :, :half], boxes[:, :, :half:-1]
        center = boxes[:, :, half:middle]
        sums = np.concatenate([(left + right) * np.float32(np.sqrt(0.5)), center], axis=2)
        even[part] = sums.reshape(len(sums), -1)
        odd[part] = ((left - right) * np.float32(np.sqrt(0.5))).reshape(len(sums), -1)
    return Thumbnails(even, odd)


def find_candidates(
    first: Thumbnails, second: Thumbnails | None, at_least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs whose thumbnails, plain or mirrored, have a cosine of ``at_least``.

    Args:
        first: rows.
        second: columns; None compares ``first`` with itself, each pair once.
        at_least: cosine, 0 to 1.

    Returns:
        positions in ``first`` and in ``second`` (int64, (P,)) and whether the mirror image matches (bool, (P,)); a pair
        may be there both ways.
    """
    inside = second is None
    other = first if second is None else second

    def compare(row: int) -> list[tuple[np.ndarray, np.ndarray]]:
        rows = slice(row, row + _ROWS)
        found = []
        for column in range(row if inside else 0, len(other), _COLUMNS):
            columns = slice(column, column + _COLUMNS)
            best = first.odd[rows] @ other.odd[columns].T
            np.abs(best, out=best)
            best += first.even[rows] @ other.even[columns].T
            hits = np.flatnonzero(best >= at_least)
            if len(hits):
                i, j = np.divmod(hits, best.shape[1])
                found.append((i + row, j + column))
        return found

    pairs = [pair for block in in_threads(compare, range(0, len(first), _ROWS)) for pair in block]
    if not pairs:
        empty = np.empty(0, np.int64)
        return empty, empty, np.empty(0, bool)
    i, j = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if inside:
        i, j = i[i < j], j[i < j]
    even = np.einsum("pd,pd->p", first.even[i], other.even[j])
    odd = np.einsum("pd,pd->p", first.odd[i], other.odd[j])
    plain, mirrored = np.flatnonzero(even + odd >= at_least), np.flatnonzero(even - odd >= at_least)
    turned = np.repeat([False, True], [len(plain), len(mirrored)])
    either = np.concatenate([plain, mirrored])
    return i[either], j[either], turned


@dataclass(frozen=True)
class Likeness:
    """How alike the images of each pair are, at the best shift.

    Attributes:
        color: float32, (P,), correlation of all pixels and channels: one brightness and one contrast are free.
        texture: float32, (P,), correlation of the gray images without their blurred copies; -1 where given up.
    """

    color: np.ndarray
    texture: np.ndarray


def measure_likeness(
    first: Split,
    second: Split,
    i: np.ndarray,
    j: np.ndarray,
    mirrored: np.ndarray,
    hopeless: float = HOPELESS,
) -> Likeness:
    """Compare image ``i[p]`` of ``first`` with image ``j[p]`` of ``second``, mirrored where so, for every pair p.

    Args:
        first: N images.
        second: M images of the same shape.
        i: int64, (P,), positions in ``first``.
        j: int64, (P,), positions in ``second``.
        mirrored: bool, (P,).
        hopeless: pairs whose textures agree less than this at the best shift are given up.
    """
    color = np.zeros(len(i), np.float32)
    texture = np.full(len(i), -1, np.float32)

    def compare(start: int) -> None:
        part = slice(start, start + _BLOCK)
        ours, theirs = _reduced(first, i[part]), _reduced(second, j[part])
        theirs = np.where(mirrored[part, None, None, None], theirs[:, :, ::-1], theirs)
        color[part], texture[part] = _compare(ours, theirs, hopeless)

    for _ in in_threads(compare, range(0, len(i), _BLOCK)):
        pass
    return Likeness(color, texture)


def _reduced(split: Split, positions: np.ndarray) -> np.ndarray:
    """Return the images with at most ``_SIDE`` pixels a side, in float32 where they were larger."""
    height, width = (min(side, _SIDE) for side in split.image_shape[:2])
    if (height, width) == split.image_shape[:2]:
        return split.take(positions).images
    # Each image once: a photograph of 224×224 is 49 times its reduction.
    unique, back = np.unique(positions, return_inverse=True)
    return box_means(split.take(unique).images, height, width)[back]


def _compare(ours: np.ndarray, theirs: np.ndarray, hopeless: float) -> tuple[np.ndarray, np.ndarray]:
    height, width = ours.shape[1:3]
    reach = 2 if min(height, width) >= 16 else 1
    down, right, peak = _best_shift(_texture(ours), _texture(theirs), reach)
    color, texture = np.zeros(len(ours), np.float32), np.full(len(ours), -1, np.float32)
    near = np.flatnonzero(peak >= hopeless)
    if not len(near):
        return color, texture
    # Where the window of the second image lies that fits the inside of the first.
    rows = (down[near] + reach)[:, None] + np.arange(height - 2 * reach)
    columns = (right[near] + reach)[:, None] + np.arange(width - 2 * reach)
    window = (near[:, None, None], rows[:, :, None], columns[:, None, :])
    inside = (near, slice(reach, height - reach), slice(reach, width - reach))
    ours, theirs = ours[inside], theirs[window]
    color[near] = _correlation(ours, theirs)
    # From the windows themselves: near a border of the whole image the blur knows less than it does after a shift.
    texture[near] = _correlation(_texture(ours), _texture(theirs))
    return color, texture


def _texture(images: np.ndarray) -> np.ndarray:
    """Return the gray images (P, H, W) without their means over 5×5 pixels (3×3 on images under 16)."""
    count, height, width, channels = images.shape
    # A product with ones: numpy's mean over the last, short axis takes eight times as long.
    gray = images.reshape(-1, channels).astype(np.float32) @ np.full(channels, 1 / channels, np.float32)
    gray = gray.reshape(count, height, width)
    down, right = _blur(height), _blur(width)
    textures: np.ndarray = gray - down @ gray @ right.T
    return textures


def _blur(side: int) -> np.ndarray:
    near = np.abs(np.arange(side)[:, None] - np.arange(side)) <= (2 if side >= 16 else 1)
    weights: np.ndarray = near / near.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def _best_shift(ours: np.ndarray, theirs: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the shift (down, right) of at most ``reach`` pixels at which the textures agree best, and how well."""
    from scipy import fft  # what only names a study's pictures does not wait for it

    # A correlation by Fourier transform is circular: zeros at the border of one image keep it from going around.
    inner = np.zeros_like(ours)
    inside = (slice(None), slice(reach, -reach), slice(reach, -reach))
    inner[inside] = ours[inside]
    sums = fft.irfft2(np.conj(fft.rfft2(inner)) * fft.rfft2(theirs), s=ours.shape[1:])
    steps = np.arange(-reach, reach + 1)
    window = sums[:, steps[:, None], steps].reshape(len(sums), -1)
    best = window.argmax(axis=1)
    energy = np.einsum("phw,phw->p", inner, inner) * np.einsum("phw,phw->p", theirs, theirs)
    peak = window[np.arange(len(best)), best] / np.sqrt(np.maximum(energy, 1e-6))
    return steps[best // len(steps)], steps[best % len(steps)], peak


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    a, b = _centered(ours), _centered(theirs)
    energy = np.einsum("pv,pv->p", a, a) * np.einsum("pv,pv->p", b, b)
    correlation: np.ndarray = np.einsum("pv,pv->p", a, b) / np.sqrt(np.maximum(energy, 1e-6))
    return correlation


def _centered(images: np.ndarray) -> np.ndarray:
    values = images.reshape(len(images), -1).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values


def box_means(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return ``images`` (N, H, W, C) as means over ``height`` × ``width`` boxes, fractional boxes included.

    Returns:
        float32, shape (N, height, width, C), in the values of the input.
    """
    if images.shape[1:3] == (height, width):
        return images.astype(np.float32)
    rows, columns = _averaging(images.shape[1], height), _averaging(images.shape[2], width)
    count, _, old_width, channels = images.shape
    narrow = np.matmul(rows, images.reshape(count, images.shape[1], -1).astype(np.float32))
    means: np.ndarray = np.matmul(columns, narrow.reshape(count, height, old_width, channels))
    return means


@lru_cache(maxsize=16)
def _averaging(old: int, new: int) -> np.ndarray:
    """Return the (new, old) matrix whose row i averages the i-th of ``new`` equal parts of ``old`` pixels."""
    edges = np.linspace(0, old, new + 1)
    pixel = np.arange(old)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: np.ndarray = np.clip(covered, 0, None)
    averaging: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return averaging.astype(np.float32)
