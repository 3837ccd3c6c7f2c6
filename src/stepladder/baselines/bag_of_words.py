"""A bag of visual words and a linear SVM: what the same images give without a network.

Csurka, Dance, Fan, Willamowski and Bray, "Visual Categorization with Bags of Keypoints", ECCV workshop 2004, with the
spatial pyramid of Lazebnik, Schmid and Ponce, CVPR 2006, and with the patches of Coates, Lee and Ng, AISTATS 2011:
descriptors all over an image, in the words of a vocabulary, counted by place, and a linear machine on the counts. One
file, ``model.safetensors``, holds a fitted one: arrays, and the settings as text; no pickle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stepladder.baselines.descriptors import Descriptor, make_descriptor
from stepladder.baselines.features import (
    count_different,
    fit_scaling,
    fit_vocabulary,
    pool,
    pooling_matrix,
    scale,
    triangle,
)
from stepladder.baselines.settings import BagSettings
from stepladder.baselines.svm import ChosenSvm, LinearSvm, choose_svm, fit_svm
from stepladder.datasets import Split
from stepladder.datasets.groups import draw_groups
from stepladder.datasets.splits import SPLIT_SEED
from stepladder.datasets.threads import in_threads
from stepladder.errors import DataError, StorageError
from stepladder.files import replace_bytes
from stepladder.training.rng import Streams

_LEARNED = "learned."  # starts the names of the descriptor's arrays in a file

#: Images that one core takes at a time: fixed, so that the bits of a result do not hang on how many cores there are.
BLOCK = 256

#: Called with (what is done, how much of it is done, of how much).
Progress = Callable[[str, int, int], None]

#: Training images that the vocabulary's descriptors are drawn from, at most.
_SAMPLED_IMAGES = 10_000

#: A default vocabulary has at most a word for so many different descriptors.
_DESCRIPTORS_A_WORD = 10

#: Words of all descriptors of a few images that are in memory at a time: 4 MB, which a core's cache holds.
_MOST_SCORES = 1_000_000

#: The most that the features of training images may take.
MOST_BYTES = 6e9

#: Share of the training images on which C is chosen where there are no validation images.
_HELD_OUT = 0.1


@dataclass(frozen=True)
class BagOfWords:
    """A fitted bag of words.

    Attributes:
        image_shape: (height, width, channels) of the images that it takes.
        learned: of the descriptor, by name: the whitening of patches, nothing of SIFT.
        vocabulary: float32, shape (words, D).
        mean, deviation: of every feature, float32, shape (F,).
        svm: one linear machine a class.
    """

    settings: BagSettings
    image_shape: tuple[int, int, int]
    learned: dict[str, np.ndarray]
    vocabulary: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    svm: LinearSvm

    def predict(self, split: Split, on_progress: Progress = lambda *_: None) -> np.ndarray:
        """Return the class of every image, int64 (N,)."""
        counter = _Counter(self.settings, self.image_shape, self.learned, self.vocabulary)
        features = counter.count(split, "reading test images", on_progress)
        return self.svm.predict(scale(features, self.mean, self.deviation))

    def parameters(self) -> dict[str, int]:
        """Return how many numbers were learned from the training images, by what they are for."""
        sizes = {
            "whitening": sum(array.size for array in self.learned.values()),
            "vocabulary": self.vocabulary.size,
            "scaling": self.mean.size + self.deviation.size,
            "svm": self.svm.weights.size + self.svm.intercepts.size,
        }
        return {name: size for name, size in sizes.items() if size}


@dataclass(frozen=True)
class FittedBag:
    """A bag of words, and how it came about.

    Attributes:
        chosen: C, and the validation accuracy of every C that was tried.
        train_accuracy: on the training images.
        val_accuracy: on the validation images; None where there are none.
        notes: what a reader should know.
    """

    bag: BagOfWords
    chosen: ChosenSvm
    train_accuracy: float
    val_accuracy: float | None
    notes: tuple[str, ...]


def fit_bag(
    settings: BagSettings,
    train: Split,
    validation: Split | None,
    num_classes: int,
    seed: int,
    on_progress: Progress = lambda *_: None,
) -> FittedBag:
    """Fit everything on training images, and choose the SVM's C on validation images.

    The same seed, images and versions give the same bits, with any number of cores.

    Args:
        train: what the vocabulary, the scaling and the SVM are fitted on.
        validation: what C is chosen on; without it, a tenth of the training images of each class, and the SVM is then
            fitted again on all of them.
        seed: decides which descriptors the vocabulary is made of, and where its centers start.

    Raises:
        DataError: the images have too few different descriptors for the vocabulary, or the features would take more
            than :data:`MOST_BYTES`.
        StepladderError: the descriptor needs an extra that is not installed.
    """
    counter, notes = _fit_counter(settings, train, seed, on_progress)
    size = 4 * len(train) * counter.width
    if size > MOST_BYTES:
        raise DataError(
            f"{counter.width:,} features of {len(train):,} images take {size / 1e9:.1f} GB, more than "
            f"{MOST_BYTES / 1e9:g}; take fewer words with `words`, or fewer images with `limit`"
        )
    features = counter.count(train, "words of training images", on_progress)
    mean, deviation = fit_scaling(features)
    scale(features, mean, deviation)

    def show(cost: float) -> None:
        on_progress(f"SVM with C = {cost:g}", 0, 1)

    if validation is not None:
        held = scale(counter.count(validation, "words of validation images", on_progress), mean, deviation)
        labels = validation.labels
        chosen = choose_svm(features, train.labels, num_classes, lambda svm: _share(svm, held, labels), on_cost=show)
        svm, val_accuracy = chosen.svm, chosen.accuracy
    else:
        aside = _set_aside(train)
        held, labels = features[aside], train.labels[aside]
        used = ~aside
        chosen = choose_svm(
            features, train.labels, num_classes, lambda svm: _share(svm, held, labels), used=used, on_cost=show
        )
        svm = fit_svm(features, train.labels, num_classes, chosen.cost, start=chosen.svm)
        val_accuracy = None
        notes += (f"C was chosen on {aside.sum():,} of the training images, and the SVM then fitted on all of them.",)
    bag = BagOfWords(settings, train.image_shape, counter.learned, counter.vocabulary, mean, deviation, svm)
    return FittedBag(bag, chosen, _share(svm, features, train.labels), val_accuracy, notes)


class _Counter:
    """From images to how much of each word is in each place: everything before the scaling."""

    def __init__(
        self,
        settings: BagSettings,
        image_shape: tuple[int, int, int],
        learned: dict[str, np.ndarray],
        vocabulary: np.ndarray,
    ) -> None:
        self._descriptor: Descriptor = make_descriptor(settings, *image_shape[:2])
        self._cells = pooling_matrix(self._descriptor.centers, settings.divisions)
        self.learned, self.vocabulary = learned, vocabulary
        self.width = len(self._cells) * len(vocabulary)

    def count(self, split: Split, what: str, on_progress: Progress) -> np.ndarray:
        """Return the features of all images of ``split``, float32 (N, F)."""
        features = np.empty((len(split), self.width), np.float32)
        for number, block in enumerate(map_images(split, self._of_block)):
            features[number * BLOCK : number * BLOCK + len(block)] = block
            on_progress(what, number * BLOCK + len(block), len(split))
        return features

    def _of_block(self, images: np.ndarray) -> np.ndarray:
        positions, words = len(self._descriptor.centers), len(self.vocabulary)
        few = max(1, _MOST_SCORES // (positions * words))
        parts = []
        for start in range(0, len(images), few):
            raw = self._descriptor.raw(images[start : start + few])
            descriptors = self._descriptor.finish(raw.reshape(-1, raw.shape[-1]), self.learned)
            told = triangle(descriptors, self.vocabulary).reshape(len(raw), positions, words)
            parts.append(pool(told, self._cells))
        return np.concatenate(parts)


def map_images(split: Split, work: Callable[[np.ndarray], np.ndarray], block: int = BLOCK) -> Iterator[np.ndarray]:
    """Yield ``work(images)`` for uint8 images (n, H, W, C), n = ``block`` but in the last, in order, on all cores."""

    def on_block(start: int) -> np.ndarray:
        stop = min(start + block, len(split))
        return work(split.take(np.arange(start, stop)).images)

    yield from in_threads(on_block, range(0, len(split), block))


def _fit_counter(
    settings: BagSettings, train: Split, seed: int, on_progress: Progress
) -> tuple[_Counter, tuple[str, ...]]:
    """Fit what the descriptor learns, and the vocabulary."""
    generator = Streams(seed)("vocabulary")
    draws, starts = torch.randint(2**31 - 1, (2,), generator=generator).tolist()
    descriptor = make_descriptor(settings, *train.image_shape[:2])
    raw = _draw(descriptor, settings, train, draws, on_progress)
    different = count_different(raw)
    words, notes = _words(settings, different, len(train))
    learned = descriptor.learn(raw)
    on_progress(f"vocabulary of {words:,} words", 0, 1)
    vocabulary = fit_vocabulary(descriptor.finish(raw, learned), words, starts)
    return _Counter(settings, train.image_shape, learned, vocabulary), notes


def _draw(descriptor: Descriptor, settings: BagSettings, train: Split, seed: int, on_progress: Progress) -> np.ndarray:
    """Return descriptors of training images drawn at random, float32 (M, D), as many of one image as of another."""
    random = np.random.default_rng(seed)
    count, positions = min(len(train), _SAMPLED_IMAGES), len(descriptor.centers)
    some = train.take(np.sort(random.permutation(len(train))[:count]))
    each = min(positions, max(1, settings.samples // count))
    drawn: list[np.ndarray] = []
    done = 0
    for block in map_images(some, descriptor.raw):
        places = random.permuted(np.tile(np.arange(positions), (len(block), 1)), axis=1)[:, :each]
        drawn.append(np.take_along_axis(block, places[..., None], axis=1).reshape(-1, block.shape[-1]))
        done += len(block)
        on_progress("descriptors of training images", done, count)
    return np.concatenate(drawn)


def _words(settings: BagSettings, different: int, images: int) -> tuple[int, tuple[str, ...]]:
    """Return how many words the vocabulary has, with a note where those are fewer than by default."""
    of = f"the {images:,} training images have {different:,} different descriptor{'s' if different != 1 else ''}"
    if different < 2:
        raise DataError(f"{of}, so all look the same to {settings.descriptor}: check the image files")
    if not settings.fewer and different < settings.words:
        raise DataError(f"{of}, too few for {settings.words:,} words; take fewer with `words`, or more images")
    enough = max(2, different // _DESCRIPTORS_A_WORD)
    if not settings.fewer or enough >= settings.words:
        return settings.words, ()
    return enough, (f"The vocabulary has {enough:,} words instead of {settings.words:,}, as {of}.",)


def _set_aside(train: Split) -> np.ndarray:
    """Return which training images C is chosen on, bool (N,): a tenth of each class, one of two, none of one.

    Groups stay whole where that is possible with each class on both sides.
    """
    labels = train.labels
    if train.groups is not None:
        drawn = draw_groups(labels, train.groups, _HELD_OUT, SPLIT_SEED)
        if drawn is not None:
            return drawn
    aside = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        order = np.random.default_rng([SPLIT_SEED, int(label)]).permutation(places)
        aside[order[: min(len(places) - 1, max(1, round(_HELD_OUT * len(places))))]] = True
    if not aside.any():
        raise DataError("every class has one training image, too few to choose the SVM's C; add images")
    return aside


def _share(svm: LinearSvm, features: np.ndarray, labels: np.ndarray) -> float:
    return float((svm.predict(features) == labels).mean())


def save_bag(path: Path, bag: BagOfWords) -> None:
    """Replace the file at ``path`` by ``bag``."""
    arrays = {
        **{f"{_LEARNED}{name}": array for name, array in bag.learned.items()},
        "vocabulary": bag.vocabulary,
        "mean": bag.mean,
        "deviation": bag.deviation,
        "weights": bag.svm.weights,
        "intercepts": bag.svm.intercepts,
    }
    about = {"settings": bag.settings.model_dump_json(), "image_shape": json.dumps(bag.image_shape)}
    # safetensors writes memory as it lies, so every array must lie in its own order.
    replace_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, about))


def load_bag(path: Path) -> BagOfWords:
    """Return the bag of words in the file at ``path``.

    Raises:
        StorageError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        height, width, channels = json.loads(about["image_shape"])
        return BagOfWords(
            settings=BagSettings.model_validate_json(about["settings"]),
            image_shape=(int(height), int(width), int(channels)),
            learned={name.removeprefix(_LEARNED): arrays[name] for name in arrays if name.startswith(_LEARNED)},
            vocabulary=arrays["vocabulary"],
            mean=arrays["mean"],
            deviation=arrays["deviation"],
            svm=LinearSvm(arrays["weights"], arrays["intercepts"]),
        )
    except (OSError, SafetensorError, KeyError, ValueError, ValidationError) as error:
        raise StorageError(f"{path} is damaged or missing ({error}); remove {path.parent} to fit it again") from error
