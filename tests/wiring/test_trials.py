"""Each figure of a real trial comes from the split, the weights, the epoch and the seed that it should come from.

Every test first shows that the right source and the wrong one differ on these images.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special

from stepladder.datasets import ImageSet, Split, Splits, make_splits
from stepladder.model.folder import load_folder
from stepladder.model.limits import Limits, read_limits
from stepladder.model.torch_model import Model
from stepladder.recipe import parse_recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.predictions import read_probabilities
from stepladder.studies.files.records import SavedStudy, SavedTrial, TrialResult
from stepladder.studies.running.callbacks import Callbacks
from stepladder.training.assembly import TrainingData
from stepladder.training.calibration import fit_temperature, negative_log_likelihood
from stepladder.training.device import Compute
from stepladder.training.evaluate import DeviceSplit
from stepladder.training.loop import TrainedNetwork, train_network
from stepladder.training.metrics import accuracy
from tests.wiring.conftest import RULES

CPU = Compute(torch.device("cpu"), "float32", 1)


@pytest.fixture(scope="module")
def splits(made_images: ImageSet) -> Splits:
    return make_splits(made_images, RULES.validation)


@pytest.fixture(scope="module")
def validation(splits: Splits) -> Split:
    assert splits.validation is not None
    return splits.validation


@pytest.fixture(scope="module")
def top(ladder: SavedStudy) -> list[SavedTrial]:
    """The trials with all techniques, by seed."""
    trials = sorted(ladder.of_rung("ema"), key=lambda trial: trial.seed)
    assert [trial.seed for trial in trials] == [0, 1, 2]
    return trials


@pytest.fixture(scope="module")
def again(ladder: SavedStudy, splits: Splits) -> Callable[[SavedTrial], TrainedNetwork]:
    """Train a trial anew, wired by hand."""

    def train(trial: SavedTrial) -> TrainedNetwork:
        table = next(rung.recipe for rung in ladder.record.rungs if rung.name == trial.rung)
        data = TrainingData(splits.train, splits.validation, 3)
        return train_network(parse_recipe(table), data, trial.seed, CPU, select_best=True)

    return train


def model_of(trial: SavedTrial) -> Model:
    return load_folder(trial.folder / "model", "cpu", "float32")


@pytest.mark.long
def test_a_trial_has_the_bits_of_one_that_was_wired_by_hand(
    top: list[SavedTrial], again: Callable[[SavedTrial], TrainedNetwork]
) -> None:
    trained = again(top[2])
    saved = model_of(top[2]).module.state_dict()
    expected = trained.module.state_dict()
    assert saved.keys() == expected.keys()
    assert all(torch.equal(saved[name], expected[name]) for name in saved)
    figures = [(record.train_loss, record.val_loss, record.val_accuracy) for record in trained.history]
    assert [(record.train_loss, record.val_loss, record.val_accuracy) for record in top[2].history] == figures
    assert [record.train_loss for record in top[1].history] != [record.train_loss for record in top[2].history]


def test_statistics_are_those_of_the_images_that_train(
    top: list[SavedTrial], splits: Splits, validation: Split
) -> None:
    mean = {name: split.images.mean() / 255 for name, split in vars(splits).items() if isinstance(split, Split)}
    assert len({round(value, 4) for value in mean.values()}) == 3, "the splits can be told apart"
    for trial in top:
        (standardize,) = [technique for technique in model_of(trial).techniques if technique.name == "standardize"]
        assert float(standardize.learned["mean"]) == pytest.approx(mean["train"], abs=1e-6)
        assert float(standardize.learned["std"]) == pytest.approx(splits.train.images.std() / 255, abs=1e-5)


def test_the_saved_weights_are_those_of_the_best_epoch_on_validation(
    ladder: SavedStudy, splits: Splits, validation: Split
) -> None:
    assert len(ladder.trials) == 12
    chosen, apart, apart_from_last = set(), 0, 0
    for trial in ladder.trials:
        scores = [record.val_accuracy or 0.0 for record in trial.history]
        best = 1 + int(np.argmax(scores[1:]))  # the earliest of several; the untrained network is none of them
        chosen.add(best)
        assert trial.result.selected_epoch == best
        logits = model_of(trial).logits(validation.images)
        assert accuracy(logits, validation.labels) == pytest.approx(scores[best], abs=1e-9)
        loss = negative_log_likelihood(logits, validation.labels)
        assert loss == pytest.approx(trial.history[best].val_loss, abs=1e-5)
        apart += (
            abs(loss - negative_log_likelihood(model_of(trial).logits(splits.test.images), splits.test.labels)) > 0.1
        )
        apart_from_last += abs(loss - trial.history[-1].val_loss) > 0.01
    assert len(chosen) > 2, "the best epoch is not always the last"
    assert min(apart, apart_from_last) > 6, "test images and the last epoch would give other figures"


def test_figures_of_test_are_those_of_the_test_images(ladder: SavedStudy, splits: Splits, validation: Split) -> None:
    differ = 0
    assert len(ladder.trials) == 12
    for trial in ladder.trials:
        model, result = model_of(trial), trial.result
        logits = model.logits(splits.test.images)
        assert result.test_accuracy == pytest.approx(accuracy(logits, splits.test.labels), abs=1e-9)
        assert result.test_loss == pytest.approx(negative_log_likelihood(logits, splits.test.labels), abs=1e-5)
        for of, split in (("test", splits.test), ("validation", validation)):
            found = read_probabilities(trial.folder, of)
            assert found is not None
            expected = special.softmax(model.logits(split.images).astype(np.float64), axis=1)
            assert found[0] == pytest.approx(expected, abs=1e-3)
            assert found[1].tolist() == split.labels.tolist()
        differ += abs(model.logits(validation.images)[:10] - logits[:10]).max() > 0.1
    assert differ > 9, "validation images give other probabilities"


def test_the_temperature_and_what_a_model_promises_are_learned_from_validation(
    ladder: SavedStudy, splits: Splits, validation: Split
) -> None:
    apart, told = 0, 0
    for trial in ladder.trials:
        model, result = model_of(trial), trial.result
        fitted = {
            name: fit_temperature(model.logits(split.images), split.labels)
            for name, split in (("validation", validation), ("test", splits.test), ("train", splits.train))
        }
        assert result.temperature == pytest.approx(fitted["validation"], rel=1e-3)
        apart += all(abs(fitted[name] / fitted["validation"] - 1) > 0.05 for name in ("test", "train"))
        logits = model.logits(splits.test.images)
        assert result.test_nll_calibrated == pytest.approx(
            negative_log_likelihood(logits, splits.test.labels, fitted["validation"]), rel=1e-3
        )
        divided = result.model_temperature or 1.0
        told += result.model_temperature is not None
        assert model.temperature == divided
        promised = Limits.of(
            special.softmax(model.logits(validation.images).astype(np.float64) / divided, axis=1), validation.labels
        )
        limits = read_limits(trial.folder / "model")
        assert limits is not None
        assert limits.true_probability.tolist() == pytest.approx(promised.true_probability.tolist(), abs=1e-3)
    assert apart > 6, "validation gives another temperature than test and training images"
    assert 0 < told < len(ladder.trials), "some models are divided by one and some are not"


class Interrupted(Callbacks):
    """Ends the program when the fourth trial starts."""

    def __init__(self) -> None:
        self.started = 0

    def trial_started(self, trial: Trial) -> None:
        self.started += 1
        if self.started == 4:
            raise KeyboardInterrupt

    def test_read(self, trial: Trial, result: TrialResult) -> None:
        raise AssertionError("test was read")


@pytest.mark.long
def test_of_three_seeds_that_were_planned_one_that_is_asked_for_reads_no_test(
    run_made: Callable[..., SavedStudy], splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan has three seeds; the first has ended, and its test images would say which rung to keep."""
    loaded: list[str] = []
    load = DeviceSplit.load

    def noted(split: Split, device: torch.device) -> DeviceSplit:
        loaded.append(split.fingerprint)
        return load(split, device)

    monkeypatch.setattr(DeviceSplit, "load", noted)
    options = {"techniques": ("standardize",)}
    with pytest.raises(KeyboardInterrupt):
        run_made(tmp_path / "study", "ladder", 3, callbacks=Interrupted(), **options)
    study = run_made(tmp_path / "study", "ladder", 1, callbacks=Interrupted(), **options)
    assert (len(study.trials), study.missing) == (3, 3)
    assert splits.train.fingerprint in loaded
    assert splits.test.fingerprint not in loaded
    assert not (tmp_path / "study" / "test-readings.json").exists()
    assert not (tmp_path / "study" / "checksums.txt").exists(), "which says that the study is whole"
    results = [json.loads(path.read_text()) for path in (tmp_path / "study").glob("trials/*/result.json")]
    assert len(results) == 3
    assert all(value is None for result in results for name, value in result.items() if name.startswith("test_"))
    assert not list((tmp_path / "study").glob("trials/*/predictions.safetensors"))
    whole = run_made(tmp_path / "study", "ladder", 3, **options)
    assert splits.test.fingerprint in loaded
    assert whole.missing == 0
    assert (tmp_path / "study" / "checksums.txt").exists()
