from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stepladder.baselines import bag_of_words
from stepladder.baselines.bag_of_words import FittedBag, fit_bag, load_bag, map_images, save_bag
from stepladder.baselines.descriptors import cut_patches, normalize_contrast
from stepladder.baselines.settings import settle
from stepladder.datasets import ImageSet, Split, Splits, make_splits
from stepladder.errors import DataError, StorageError

WORDS = 30
SETTINGS = settle("patches", 8, 8, WORDS)


@pytest.fixture(scope="module")
def splits(digits: ImageSet) -> Splits:
    return make_splits(digits)


@pytest.fixture(scope="module")
def fitted(splits: Splits) -> FittedBag:
    return fit_bag(SETTINGS, splits.train, splits.validation, 10, seed=0)


def test_it_tells_digits_apart(fitted: FittedBag, splits: Splits) -> None:
    assert fitted.val_accuracy == fitted.chosen.accuracy > 0.7
    assert fitted.train_accuracy > 0.9
    assert (fitted.bag.predict(splits.test) == splits.test.labels).mean() > 0.7


def test_features_are_those_of_image_by_image(fitted: FittedBag, splits: Splits) -> None:
    bag, image = fitted.bag, splits.test.images[3:4]
    features = np.zeros((4, WORDS))
    places = [(row, column) for row in range(5) for column in range(5)]
    patches = normalize_contrast(cut_patches(image, 4, 1))[0]
    for (row, column), patch in zip(places, patches, strict=True):
        white = (patch - bag.learned["mean"]) @ bag.learned["matrix"]
        distances = np.array([np.linalg.norm(white - word) for word in bag.vocabulary])
        cell = 2 * ((row + 2) * 2 // 8) + (column + 2) * 2 // 8
        features[cell] += np.maximum(0, distances.mean() - distances)
    scaled = (features.ravel() - bag.mean) / bag.deviation
    sides = scaled @ bag.svm.weights + bag.svm.intercepts
    one = splits.test.take(np.array([3]))
    assert bag.predict(one)[0] == sides.argmax()
    counter = bag_of_words._Counter(SETTINGS, (8, 8, 1), bag.learned, bag.vocabulary)
    counted = counter.count(one, "", lambda *_: None)[0]
    np.testing.assert_allclose(counted, features.ravel(), atol=1e-3)


def arrays(bag: bag_of_words.BagOfWords) -> list[np.ndarray]:
    learned = [bag.learned[name] for name in sorted(bag.learned)]
    return [*learned, bag.vocabulary, bag.mean, bag.deviation, bag.svm.weights, bag.svm.intercepts]


def test_the_same_seed_gives_the_same_bits_on_any_number_of_cores(
    fitted: FittedBag, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    again = fit_bag(SETTINGS, splits.train, splits.validation, 10, seed=0)
    for one, other in zip(arrays(fitted.bag), arrays(again.bag), strict=True):
        np.testing.assert_array_equal(one, other)
    other = fit_bag(SETTINGS, splits.train, splits.validation, 10, seed=1)
    assert not np.array_equal(fitted.bag.vocabulary, other.bag.vocabulary)


def scrambled(split: Split) -> Split:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, split.images.shape, dtype=np.uint8)
    return Split(images, random.permutation(split.labels))


def test_all_but_c_is_fitted_on_training_images_alone(fitted: FittedBag, splits: Splits) -> None:
    assert splits.validation is not None
    other = fit_bag(SETTINGS, splits.train, scrambled(splits.validation), 10, seed=0)
    for one, another in zip(arrays(fitted.bag)[:-2], arrays(other.bag)[:-2], strict=True):
        np.testing.assert_array_equal(one, another)
    trained = fit_bag(SETTINGS, scrambled(splits.train), splits.validation, 10, seed=0)
    assert not np.array_equal(fitted.bag.vocabulary, trained.bag.vocabulary)


def test_without_validation_c_is_chosen_on_a_tenth_and_all_are_fitted(splits: Splits) -> None:
    found = fit_bag(SETTINGS, splits.train, None, 10, seed=0)
    assert found.val_accuracy is None
    assert found.notes == ("C was chosen on 20 of the training images, and the SVM then fitted on all of them.",)
    assert found.train_accuracy > 0.9


def test_each_class_lends_a_tenth_and_never_its_last_image() -> None:
    def of(labels: list[int]) -> Split:
        return Split(np.zeros((len(labels), 2, 2, 1), np.uint8), np.array(labels))

    aside = bag_of_words._set_aside(of([0] * 30 + [1] * 2 + [2]))
    assert [int(aside[:30].sum()), int(aside[30:32].sum()), int(aside[32])] == [3, 1, 0]
    with pytest.raises(DataError, match="every class has one training image"):
        bag_of_words._set_aside(of([0, 1]))
    grouped = replace(of([0] * 30 + [1] * 30), groups=np.arange(60) // 3)
    aside = bag_of_words._set_aside(grouped)
    assert aside.reshape(-1, 3).sum(axis=1).tolist().count(3) == aside.sum() / 3 == 2


def test_few_images_get_a_smaller_vocabulary_or_a_sentence(splits: Splits) -> None:
    few = splits.train.take(np.arange(20))
    found = fit_bag(settle("patches", 8, 8), few, splits.validation, 10, seed=0)
    assert len(found.bag.vocabulary) < 60
    assert f"The vocabulary has {len(found.bag.vocabulary)} words instead of 800, as the 20 training" in found.notes[0]
    with pytest.raises(DataError, match=r"too few for 5,000 words; take fewer with `words`, or more images"):
        fit_bag(settle("patches", 8, 8, 5000), few, splits.validation, 10, seed=0)
    same = Split(np.full((20, 8, 8, 1), 9, np.uint8), few.labels)
    with pytest.raises(DataError, match="have 1 different descriptor, so all look the same to patches: check"):
        fit_bag(settle("patches", 8, 8), same, None, 10, seed=0)


def test_features_beyond_the_memory_are_refused(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bag_of_words, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="take fewer words with `words`, or fewer images with `limit`"):
        fit_bag(SETTINGS, splits.train, splits.validation, 10, seed=0)


@pytest.mark.long
@pytest.mark.parametrize("shape", [(40, 24, 3), (70, 90, 1), (16, 16, 3)])
@pytest.mark.parametrize("descriptor", ["patches", "sift"])
def test_images_of_any_shape(descriptor: str, shape: tuple[int, int, int]) -> None:
    if descriptor == "sift":
        pytest.importorskip("cv2", reason="the extra 'sift' is not installed")
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = random.integers(0, 100, (40, *shape), dtype=np.uint8)
    images[labels == 1, : shape[0] // 2] //= 4  # smooth above
    split = Split(images, labels)
    settings = settle(descriptor, *shape[:2], 10)
    found = fit_bag(settings, split.take(np.arange(30)), split.take(np.arange(30, 40)), 2, seed=0)
    assert found.val_accuracy == 1


def test_the_parameters_are_all_that_was_learned(fitted: FittedBag) -> None:
    assert fitted.bag.parameters() == {
        "whitening": 16 * 16 + 16,
        "vocabulary": WORDS * 16,
        "scaling": 2 * 4 * WORDS,
        "svm": (4 * WORDS + 1) * 10,
    }


def test_a_saved_bag_predicts_the_same(fitted: FittedBag, splits: Splits, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_bag(path, fitted.bag)
    loaded = load_bag(path)
    assert loaded.settings == SETTINGS
    for one, other in zip(arrays(fitted.bag), arrays(loaded), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(loaded.predict(splits.test), fitted.bag.predict(splits.test))
    without = replace(fitted.bag, learned={})
    save_bag(path, without)
    assert load_bag(path).learned == {}


@pytest.mark.parametrize("content", [None, b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_file_is_a_sentence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged or missing"):
        load_bag(path)


def test_blocks_come_in_the_order_of_the_split() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 1), dtype=np.uint8)
    rows = np.arange(20)[::-1].copy()
    split = Split(pixels, np.zeros(20, np.int64), rows)
    blocks = list(map_images(split, lambda images: images + 0, block=6))
    assert [len(block) for block in blocks] == [6, 6, 6, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), pixels[rows])
