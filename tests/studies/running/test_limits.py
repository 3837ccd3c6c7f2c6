"""What a model knows of its limits, and what its card says, is what its own answers come to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from stepladder.datasets import ImageSet, make_splits
from stepladder.model import Model, load_model
from stepladder.model.image_statistics import statistics_of
from stepladder.model.unlikeness import Seen, with_features
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.limits import find_limits

RunStudy = Callable[..., SavedStudy]


@pytest.mark.long
def test_limits_and_card_are_what_the_saved_model_answers(study: RunStudy, digits: ImageSet) -> None:
    trial = study(seeds=1, validation=0.3).trials[-1]
    splits = make_splits(digits, 0.3)
    assert splits.validation is not None
    assert len(splits.validation) == 72
    model = load_model(trial.folder / "model", "cpu")
    assert model.limits is not None
    assert model.tells_unlikeness
    said = model.predict(splits.validation.images, unlike=True)
    wrong = int((said.labels != splits.validation.labels).sum())
    assert (model.limits.answered[-1].images, model.limits.answered[-1].wrong) == (72, wrong)
    true = np.sort(said.probabilities[np.arange(72), splits.validation.labels])
    np.testing.assert_allclose(model.limits.true_probability, true, atol=1e-6)
    # Of 72, the largest sets the threshold: the second would promise 5 % with less than 90 % confidence.
    assert said.unlikeness is not None
    assert said.unlikeness.max() == pytest.approx(0, abs=1e-3)
    tested = model.predict(splits.test.images, unlike=True)
    assert tested.unlike is not None
    assert model.limits.unlike["test"] == (tested.unlike.sum(), 60)
    assert model.limits.unlike["noise"][1] == 64
    card = (trial.folder / "model" / "README.md").read_text(encoding="utf-8")
    assert f"it called so {tested.unlike.sum()} of 60 test images" in card
    mistakes = int((tested.labels != splits.test.labels).sum())
    assert mistakes > 1
    assert f"{mistakes} of the 60 test images are classified wrongly." in card
    for label, name in enumerate(digits.class_names):
        trained, own = int((splits.train.labels == label).sum()), splits.test.labels == label
        right = 100 * (tested.labels[own] == label).mean()
        assert f"| {name} | {trained} | {own.sum()} | {right:.1f} % |" in card
    assert f"fingerprint {digits.fingerprint[:16]}" in card


def test_without_validation_images_a_model_knows_of_no_limits(study: RunStudy) -> None:
    trial = study(seeds=1, validation=0).trials[-1]
    model = load_model(trial.folder / "model", "cpu")
    assert model.limits is None
    assert not model.tells_unlikeness
    assert "no images were held out for validation" in (trial.folder / "model" / "README.md").read_text()


@pytest.mark.long
def test_of_few_validation_images_there_is_no_measure_and_the_card_says_so(study: RunStudy) -> None:
    trial = study(seeds=1).trials[-1]
    model = load_model(trial.folder / "model", "cpu")
    assert model.limits is not None
    assert not model.tells_unlikeness
    card = (trial.folder / "model" / "README.md").read_text()
    assert "no measure of what is unlike its training images: 24 validation images set none." in card


@pytest.fixture
def model(study: RunStudy) -> Model:
    return load_model(study(seeds=1, validation=0.3).trials[-1].folder / "model", "cpu", "float32")


@pytest.mark.long
def test_frozen_layers_give_the_same_measure(
    model: Model, digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    splits = make_splits(digits, 0.3)
    assert splits.validation is not None
    held = model.logits(splits.validation.images), splits.validation.labels
    plain, frozen = (find_limits(model, splits, held, 1.0, layers)[1] for layers in (0, 2))
    assert plain is not None
    assert frozen is not None
    module = with_features(model.module, model.example())
    outputs = model._outputs(module, splits.test.images)
    seen = Seen(outputs[:, :10], outputs[:, 10:], statistics_of(splits.test.images))
    scores = [found.score(seen) for found in (plain, frozen)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-3, atol=1e-3)


@pytest.mark.long
def test_of_very_many_images_some_are_taken_from_end_to_end(
    model: Model, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.studies.running.limits.MOST_TRAINING_IMAGES", 50)
    splits = make_splits(digits, 0.3)
    assert splits.validation is not None
    held = model.logits(splits.validation.images), splits.validation.labels
    found = find_limits(model, splits, held, 1.0)[0]
    assert found.unlike["test"][1] == 50
    assert found.answered[-1].images == 72


@pytest.mark.long
def test_limits_are_of_the_probabilities_that_a_calibrated_model_gives(model: Model, digits: ImageSet) -> None:
    splits = make_splits(digits, 0.3)
    assert splits.validation is not None
    logits, labels = model.logits(splits.validation.images), splits.validation.labels
    found = find_limits(model, splits, (logits, labels), 2.0)[0]
    calibrated = special.softmax(logits.astype(np.float64) / 2, axis=1)
    true = np.sort(calibrated[np.arange(72), labels])
    np.testing.assert_allclose(found.true_probability, true, atol=1e-6)
    confidence = np.sort(calibrated.max(axis=1))[::-1]
    np.testing.assert_allclose(found.answered[0].above, confidence[7], atol=1e-6)  # a tenth of 72
