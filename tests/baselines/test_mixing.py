"""What mixing costs: everything where there is nothing to learn, nothing where groups mean nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from stepladder.baselines import mixing as room
from stepladder.baselines.mixing import difference_of, measure_mixing, share_of
from stepladder.datasets import ImageSet, Split
from stepladder.errors import DataError
from tests.datasets.objects import shots_of


def objects(count: int, shots: int, *, classes: np.ndarray | None = None, seed: int = 0) -> ImageSet:
    """So many shots of each object, whose class was drawn at random unless it is said."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count) if classes is None else classes
    images = np.stack([image for _ in range(count) for image in shots_of(rng, shots)])
    split = Split(images, np.repeat(labels, shots), groups=np.repeat(np.arange(count), shots))
    return ImageSet("made", ("a", "b"), {"train": split})


@pytest.mark.long
def test_eighty_objects_of_random_classes_are_known_when_mixed_and_guessed_when_apart():
    found = measure_mixing(objects(80, 10))
    assert (found.images, found.groups, found.splits) == (800, 80, 5)
    assert found.mixed.value > 0.95
    assert 0.35 <= found.apart.value <= 0.65
    assert found.apart.low < 0.5 < found.apart.high
    assert found.difference.low > 0.2
    assert found.misleads
    first, second = found.sentences()
    assert first.startswith("A test that mixes groups promises ")
    assert "n = 800 training images in 80 groups, each tested once in 5 splits" in second
    assert found.model == "16×16 pixels"
    assert found.to_document()["apart"]["value"] == found.apart.value
    # Intervals are of groups: a tenth of the images would do.
    single = share_of(np.arange(800) % 2 == 0, np.arange(800))
    assert found.apart.high - found.apart.low > 2 * (single.high - single.low)


def test_where_groups_mean_nothing_no_difference_is_certain():
    images = objects(40, 4)
    train = images.splits["train"]
    pixels = train.pixels.copy()
    pixels[train.labels == 1, :8] = 0  # what can be learned of any object
    shuffled = np.random.default_rng(1).permutation(train.groups)
    found = measure_mixing(replace(images, splits={"train": Split(pixels, train.labels, groups=shuffled)}))
    assert found.mixed.value > 0.95
    assert found.apart.value > 0.95
    assert not found.misleads
    assert found.sentences()[0].startswith("No difference is certain")


def test_the_same_images_give_the_same_figures_and_a_test_split_changes_none():
    images = objects(20, 4)
    test = Split(np.zeros((2, 16, 16, 3), np.uint8), np.array([0, 1]), groups=np.array([0, 1]))
    assert measure_mixing(images) == measure_mixing(replace(images, splits={**images.splits, "test": test}))


@pytest.mark.long
def test_larger_images_are_seen_through_frozen_layers():
    images = objects(12, 3)
    train = images.splits["train"]
    large = Split(train.images.repeat(3, axis=1).repeat(3, axis=2), train.labels, groups=train.groups)
    steps = []
    found = measure_mixing(replace(images, splits={"train": large}), steps.append)
    assert found.model == "frozen features of efficientnet_lite0"
    assert steps[0] == "Working out features"


def test_without_the_weights_their_pixels_are_made_smaller(monkeypatch):
    monkeypatch.setattr(room, "_preset_for", lambda _: None)
    images = objects(12, 3)
    train = images.splits["train"]
    large = Split(train.images.repeat(3, axis=1).repeat(3, axis=2), train.labels, groups=train.groups)
    assert measure_mixing(replace(images, splits={"train": large})).model == "32×32 pixels"


def test_of_many_images_whole_groups_are_taken(monkeypatch):
    monkeypatch.setattr(room, "MOST_PIXELS", 60)
    found = measure_mixing(objects(40, 4))
    assert 40 <= found.images <= 80
    assert found.images == 4 * found.groups


def test_without_groups_and_with_groups_of_one_there_is_nothing_to_measure():
    images = objects(12, 3)
    train = images.splits["train"]
    without = replace(images, splits={"train": replace(train, groups=None)})
    with pytest.raises(DataError, match="name them with `group_pattern`, `group_column`, `group_bursts` or"):
        measure_mixing(without)
    alone = replace(images, splits={"train": replace(train, groups=np.arange(36))})
    with pytest.raises(DataError, match="every group has one image"):
        measure_mixing(alone)
    classes = replace(images, splits={"train": replace(train, groups=train.labels)})
    with pytest.raises(DataError, match="fewer than two classes have images of several groups"):
        measure_mixing(classes)


def test_a_class_of_one_group_is_left_out_and_named():
    images = objects(21, 3, classes=np.arange(21) % 2)
    train = images.splits["train"]
    labels = train.labels.copy()
    labels[-3:] = 2
    found = measure_mixing(
        replace(images, class_names=("a", "b", "lonely"), splits={"train": replace(train, labels=labels)})
    )
    assert (found.left_out, found.groups) == (("lonely",), 20)
    assert "Left out, as all of their images are of one group: lonely." in found.sentences()[1]


def test_single_images_get_the_interval_of_wilson():
    right = np.arange(200) < 130
    found, known = share_of(right, np.arange(200)), binomtest(130, 200).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.002)
    assert share_of(np.ones(20, bool), np.arange(20)).low == pytest.approx(0.82, abs=0.01)
    # Ten equal images a group are worth one.
    tenfold = share_of(np.repeat(right[::10], 10), np.repeat(np.arange(20), 10))
    single = share_of(right[::10], np.arange(20))
    assert (tenfold.low, tenfold.high) == pytest.approx((single.low, single.high))


def test_the_difference_is_of_the_same_images():
    first, second = np.ones(100, bool), np.arange(100) % 2 == 0
    found = difference_of(first, second, np.arange(100))
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * 1.984 * np.sqrt(0.25 / 99), abs=1e-3)
