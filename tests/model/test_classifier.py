"""What a model says of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stepladder.datasets.splits import make_splits
from stepladder.errors import DataError
from stepladder.model import Prediction, Predictions, classifier, load_model
from stepladder.model.classifier import Doubts
from stepladder.model.limits import Answered, Limits, in_sets, rounded, threshold_for_risk, threshold_for_sets
from stepladder.model.torch_model import Model
from stepladder.training.evaluate import DeviceSplit, evaluate


def test_the_likeliest_classes_come_first():
    predictions = Predictions(("a", "b", "c"), np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], np.float32))
    assert predictions.labels.tolist() == [1, 0]
    assert predictions.names == ["b", "a"]
    assert predictions.top(2) == [
        [("b", pytest.approx(0.5)), ("c", pytest.approx(0.3))],
        [("a", pytest.approx(0.4)), ("b", pytest.approx(0.4))],
    ]
    assert len(predictions.top(9)[0]) == 3
    assert len(predictions) == 2


def test_predictions_are_those_of_the_evaluation_to_the_last_image(saved, trained, digits, compute):
    test = make_splits(digits).test
    model = load_model(saved, "cpu")
    predictions = model.predict(test.images)
    score = evaluate(trained.module, trained.techniques, DeviceSplit.load(test, compute.device), compute)
    assert (predictions.labels == test.labels).mean() == score.accuracy
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-6)
    one_by_one = [model.predict(image).labels[0] for image in test.images[:20]]
    assert one_by_one == predictions.labels[:20].tolist()


def test_a_temperature_changes_how_sure_and_not_what(saved, digits):
    model = load_model(saved, "cpu")
    hot = Model(model.class_names, model.image_shape, model.module, model.techniques, model.compute, temperature=3.0)
    images = digits.splits["train"].images[:50]
    expected = torch.from_numpy(model.logits(images) / np.float32(3)).softmax(1).numpy()
    np.testing.assert_array_equal(hot.probabilities(images), expected)
    assert (hot.predict(images).labels == model.predict(images).labels).all()
    assert hot.probabilities(images).max() < model.probabilities(images).max()


@pytest.fixture
def photos(digits, tmp_path):
    folder = tmp_path / "photos"
    for number, image in enumerate(digits.splits["train"].images[:12]):
        path = folder / f"{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(path)
    return folder


def test_folders_and_patterns_are_taken_as_the_files_in_them(saved, digits, photos):
    model = load_model(saved, "cpu")
    files = sorted(photos.rglob("*.png"))
    expected = model.predict(files)
    for images in (photos, str(photos), str(photos / "*" / "*.png"), [photos / "0", str(photos / "1" / "*")]):
        found = model.predict(images)
        assert found.paths == tuple(files)
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    # An image that is given twice is answered twice, and what came from memory has no path.
    image = digits.splits["train"].images[0]
    assert model.predict([files[0], image, files[0]]).paths == (files[0], None, files[0])
    with pytest.raises(DataError, match=r"no file matches .*\.gif"):
        model.predict(photos / "*.gif")
    with pytest.raises(DataError, match="there are no images to look at; give files, folders"):
        model.predict([])


def test_many_images_are_held_a_part_at_a_time(saved, photos, monkeypatch):
    model = load_model(saved, "cpu")
    whole = model.predict(photos)
    monkeypatch.setattr(classifier, "_HELD_BYTES", 5 * 8 * 8)
    parts = model.predict(photos)
    assert parts.paths == whole.paths
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-6)


def test_predictions_can_be_gone_through_and_are_short_to_print(tmp_path):
    chances = np.tile(np.array([[0.25, 0.75], [0.875, 0.125]], np.float32), (500, 1))
    names = ("cat", "a very long name of a class " * 9)
    far = tuple(tmp_path / ("deep/" * 40) / f"{number}.png" for number in range(1000))
    predictions = Predictions(names, chances, far)
    assert list(predictions)[:2] == [Prediction(names[1], 0.75, far[0]), Prediction("cat", 0.875, far[1])]
    assert len(repr(predictions)) < 500
    assert repr(predictions).splitlines()[-1] == "  and 995 more"
    assert repr(Predictions(("a", "b"), chances[:1])) == "Predictions of 1 image\n  b 75.0 %"
    assert [one.path for one in Predictions(names, chances)] == [None] * 1000


def test_a_model_is_short_to_print(saved):
    model = load_model(saved, "cpu")
    assert repr(model) == f"Model(10 classes, images of 8×8×1, from {saved})"
    assert repr(replace(model, folder=None)) == "Model(10 classes, images of 8×8×1)"
    assert len(repr(replace(model, class_names=("name",) * 5000, folder=Path("deep/" * 500)))) < 500


def test_abstaining_and_sets_go_each_by_its_own_promise(saved, digits):
    """A made-up model's limits: 1,000 validation images, the more confident the more often right."""
    random = np.random.default_rng(0)
    sure = random.uniform(0.1, 1, 1000)
    labels = np.where(random.random(1000) < sure, 0, 1)
    probabilities = np.stack([sure, *[(1 - sure) / 9] * 9], axis=1)
    model = replace(load_model(saved, "cpu"), limits=Limits.of(probabilities, labels))
    images = digits.splits["train"].images[:100]
    above = threshold_for_risk(model.limits.answered, 0.3).above
    inside = threshold_for_sets(model.limits.true_probability, 0.7)
    assert abs(above - inside) > 0.05, "the two can be told apart"
    found = model.predict(images, abstain=0.3, sets=0.7)
    given = rounded(found.probabilities)
    assert found.answered.tolist() == (given.max(axis=1) > above).tolist()
    assert found.inside.tolist() == in_sets(found.probabilities, inside).tolist()
    asked = [(model.predict(images[:3], **one)) for one in ({"abstain": 0.3}, {"sets": 0.7}, {})]
    assert [(one.answered is None, one.inside is None) for one in asked] == [(False, True), (True, False), (True, True)]


def test_what_is_as_sure_as_the_threshold_is_not_answered(saved, digits):
    """The images that a promise counts lie above it."""
    model, images = load_model(saved, "cpu"), digits.splits["train"].images[:30]
    confidence = rounded(model.probabilities(images).max(axis=1))
    at = float(np.sort(confidence)[10])
    found = model.answer(images, Doubts(answered=Answered(at, 30, 0)))
    assert found.answered.tolist() == (confidence > at).tolist()
    assert (confidence == at).any()
