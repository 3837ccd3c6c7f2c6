"""Whether anything was learned: the test, whom it accuses and whom it does not, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.learning import (
    ALPHA,
    Answers,
    NothingLearned,
    Training,
    advise_training,
    judge_answers,
    judge_learning,
    recall_test,
)

NAMES = ("big", "small")
SAVED = Training(25, 1000, {}, None, 0, ())


def trained(accuracy: float, sample: int = 1000) -> Training:
    """Trained so well on so many images."""
    return replace(SAVED, accuracy=accuracy, sample=sample, losses=(0.7, 0.3, 0.2))


def judged(
    predicted: list[np.ndarray], labels: np.ndarray, training: Training, names: tuple[str, ...] = NAMES
) -> NothingLearned | None:
    accuracies = tuple(float((one == labels).mean()) for one in predicted)
    return judge_answers(Answers("test", labels, tuple(predicted), accuracies), names, training)[0]


def mean_recall(predicted: list[np.ndarray], labels: np.ndarray) -> float:
    return float(np.mean([np.mean([(one[labels == k] == k).mean() for k in np.unique(labels)]) for one in predicted]))


def test_the_statistic_and_its_moments_are_those_of_permuted_labels() -> None:
    draw = np.random.default_rng(3)
    labels = draw.choice(4, 60, p=[0.5, 0.3, 0.1, 0.1])
    predicted = [draw.choice(5, 60) for _ in range(2)]  # one class more than there are images of
    predicted.append(predicted[0].copy())  # seeds that agree count no twice
    value, spread, p_value = recall_test(predicted, labels)
    assert value == pytest.approx(mean_recall(predicted, labels))
    drawn = [mean_recall(predicted, draw.permutation(labels)) for _ in range(4000)]
    assert spread == pytest.approx(np.std(drawn), rel=0.05)
    assert p_value == pytest.approx(np.mean(np.array(drawn) >= value - 1e-12), abs=0.05)


@pytest.mark.long
def test_chance_is_called_learned_in_no_more_than_its_level() -> None:
    draw = np.random.default_rng(0)
    rejected = 0
    for _ in range(200):  # uneven classes, and seeds that look alike
        labels = draw.choice(3, 40, p=[0.8, 0.15, 0.05])
        common = draw.choice(3, 40, p=[0.7, 0.2, 0.1])
        predicted = [np.where(draw.random(40) < 0.7, common, draw.choice(3, 40)) for _ in range(2)]
        rejected += recall_test(predicted, labels)[2] <= ALPHA
    assert rejected <= 20  # binomial: more with a chance of 0.1 % at the level of 5 %


def test_far_from_chance_no_permutation_is_needed_and_constant_answers_are_chance() -> None:
    labels = np.arange(1000) % 10
    value, spread, p_value = recall_test([labels], labels)
    assert (value, p_value < 1e-3) == (1.0, True)
    assert p_value == pytest.approx(1 / (1 + (0.9 / spread) ** 2))
    assert recall_test([np.zeros(1000, int)] * 3, labels) == (pytest.approx(0.1), 0.0, 1.0)


def test_naming_the_large_class_only_is_found_however_right_it_is() -> None:
    labels = np.repeat([0, 1], [80, 3])
    nothing = judged([np.zeros(83, int)] * 3, labels, replace(trained(0.97), counts={"big": 288, "small": 9}))
    assert nothing is not None
    assert (
        nothing.evidence == "each of the 3 trials names the class big for all 83 test images, 96.4 % of which are of it"
    )
    assert (nothing.single, nothing.named, nothing.top_share, nothing.entropy) == (3, ("big",), 1.0, 0.0)
    assert (nothing.recall, nothing.chance) == (0.5, 0.5)
    assert nothing.macro_f1 == pytest.approx((2 * 80 / 163) / 2)
    assert nothing.advice[0].startswith("The classes are uneven (288 to 9 images): weight them in the loss")
    # Even where the training images were learned by heart, the three rare ones all being wrong by chance is unlikely.
    assert judged([np.zeros(83, int)], labels, trained(1.0)) is not None
    # One of them found, by a network that was sure of the large class: that is learned.
    found = np.zeros(83, int)
    found[80] = 1
    assert judged([found] * 3, labels, trained(1.0)) is None


def test_a_network_that_barely_learns_is_not_accused() -> None:
    draw = np.random.default_rng(1)
    names = tuple("0123456789")
    labels = np.arange(360) % 10
    barely = [np.where(draw.random(360) < 0.12, labels, draw.integers(0, 10, 360)) for _ in range(3)]
    assert judged(barely, labels, trained(0.2), names) is None
    # Few test images cannot show what the training images do.
    few = np.arange(20) % 10
    chance = [np.roll(few, 1)]
    assert judged(chance, few, trained(0.25, sample=80), names) is None
    # But where these show nothing either, nothing was learned.
    assert judged(chance, few, trained(0.11, sample=80), names) is not None
    # And where they promise much, twenty are enough: it learned by heart, and nothing that holds for others.
    nothing = judged(chance, few, trained(1.0, sample=80), names)
    assert nothing is not None
    assert nothing.advice == (
        "The training images were learned, but nothing that holds for others: check the labels, and that all images "
        "show the same things; then more images, or augmentation.",
    )
    # Two images are no test at all.
    assert judged([np.zeros(2, int)], np.array([0, 1]), trained(0.1), names) is None


def test_before_test_is_read_validation_accuracies_must_do() -> None:
    labels = np.arange(100) % 10
    names = tuple("0123456789")

    def by_accuracy(*accuracies: float, train: float) -> NothingLearned | None:
        return judge_answers(Answers("validation", labels, None, accuracies), names, trained(train))[0]

    nothing = by_accuracy(0.1, 0.12, train=0.1)
    assert nothing is not None
    assert nothing.evidence == (
        "mean accuracy on the 100 validation images is 11.0 % [5.6, 18.8], and naming 0 always gives 10.0 %"
    )
    assert by_accuracy(0.1, 0.3, train=0.1) is None
    assert by_accuracy(0.1, 0.12, train=0.3) is None


@pytest.mark.parametrize(
    ("training", "words"),
    [
        (
            Training(1, 3, {}, 0.1, 93, (2.3, 2.29)),
            "Train longer, 334 epochs or more: 1 epoch of these images are 3 steps.",
        ),
        (Training(25, 1000, {}, 0.1, 93, (2.3, 2.2, 2.1)), "Train longer: the training loss is still falling."),
        (Training(25, 1000, {}, 0.1, 93, (2.3, 2.3, 2.3)), "Try another learning rate, ten times as high and a tenth"),
        (Training(25, 1000, {}, 0.1, 93, (2.3, 2.3, 90.0)), "Try a third of the learning rate, or a warm-up"),
    ],
)
def test_the_advice_goes_by_the_training(training: Training, words: str) -> None:
    assert advise_training(training, promised=False)[0].startswith(words)


@pytest.fixture
def answering(made_up: Callable[..., SavedStudy]) -> Callable[..., SavedStudy]:
    """A study whose trials answer as they are told to, on 200 images of ten classes."""
    labels = np.arange(200) % 10

    def make(**rungs: list[np.ndarray]) -> SavedStudy:
        scores = {name: [float((one == labels).mean()) for one in answers] for name, answers in rungs.items()}
        study = made_up(scores)
        trials = []
        for trial in study.trials:
            write_predictions(trial.folder, rungs[trial.rung][trial.seed], labels, 10)
            result = trial.result.model_copy(update={"train_accuracy": trial.result.test_accuracy})
            trials.append(replace(trial, result=result))
        return replace(study, trials=tuple(trials))

    return make


def test_the_study_learned_nothing_only_where_no_rung_did(answering: Callable[..., SavedStudy]) -> None:
    labels, constant = np.arange(200) % 10, np.full(200, 3)
    shifted = np.roll(labels, 1)
    learning = judge_learning(answering(base=[constant, shifted], more=[constant, constant]))
    assert set(learning.rungs) == {"base", "more"}
    assert learning.study is not None
    assert (learning.study.trials, learning.study.single, learning.study.images) == (4, 3, 200)
    partly = judge_learning(answering(base=[constant, constant], more=[labels, labels]))
    assert (set(partly.rungs), partly.study) == ({"base"}, None)
    assert partly.rungs["base"].evidence.startswith("each of the 2 trials names the class 3 for all 200 test images")
    one_seed = judge_learning(answering(base=[constant, constant], more=[constant, labels]))
    assert (set(one_seed.rungs), one_seed.study) == ({"base"}, None)
    assert judge_learning(answering(base=[labels, labels])).rungs == {}


def test_studies_without_predictions_say_nothing(made_up: Callable[..., SavedStudy], tmp_path: Path) -> None:
    assert not list(tmp_path.rglob("predictions.safetensors"))
    learning = judge_learning(made_up({"base": [0.1, 0.1], "more": [0.1, 0.1]}))
    assert (dict(learning.rungs), learning.study) == ({}, None)


def test_seeds_with_images_of_their_own_are_judged_in_one_row(made_up: Callable[..., SavedStudy]) -> None:
    study = made_up({"low": [0.5, 0.5]})
    random = np.random.default_rng(0)
    for trial in study.trials:
        labels = random.permutation(np.arange(400) % 2)
        right = random.random(400) < (0.9 if trial.seed else 0.5)
        write_predictions(trial.folder, np.where(right, labels, 1 - labels), labels, 10)
    assert judge_learning(study).study is None
    for trial in study.trials:
        labels = random.permutation(np.arange(400) % 2)
        write_predictions(trial.folder, random.integers(0, 2, 400), labels, 10)
    found = judge_learning(study).study
    assert found is not None
    assert found.images == 800
