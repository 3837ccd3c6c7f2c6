"""Whether the trials of a study learned anything at all: what is said first where none did.

A trial that names one class for every image, or whose answers do not depend on the class of the image, can still differ
from another such trial in every seed, end with a loss near zero, or be 97 % right on uneven classes. Nothing that is
said of it helps anybody, so this is looked at before anything else.

The test: the mean recall over the classes (balanced accuracy) is 1/K in expectation for answers that do not depend on
the class, whatever they are and however uneven the classes. It is tested one-sided at 5 % by permuting the labels, of
all seeds of a rung together, since they answer to the same images. Of several rungs the smallest p-value counts,
times their number (Bonferroni). Where few images could not show what the training images promise, nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from scipy import special

from stepladder.errors import printable
from stepladder.studies.files.images import read_labels
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import SavedStudy, SavedTrial, StudyRecord, TrialResult
from stepladder.studies.judging.distributions import chance_of_at_least, exact_interval
from stepladder.training.history import TRAIN_SAMPLE, EpochRecord
from stepladder.training.metrics import macro_f1

#: Level of the tests: answers that do depend on the class are shown to, where less than this would come by chance.
ALPHA = 0.05
#: By Cantelli's inequality, P(Z ≥ z) ≤ 1 / (1 + z²), whatever the distribution: beyond this z no permutation is drawn.
_PLAIN = math.sqrt(1 / ALPHA - 1)
#: Permutations that are drawn, and fewer of many answers, so that a report is not kept waiting.
_PERMUTATIONS, _FEW_PERMUTATIONS, _MANY_ANSWERS = 999, 199, 50_000
#: Images that are not of the largest class, at least: fewer show nothing of whoever always names that class.
_OTHERS = 3
#: Standard errors between chance and what the training images promise, so that the test would find it with 95 %.
_TOLD = 2 * float(special.ndtri(1 - ALPHA))
#: Fewer steps than this are few: the reference networks are still near chance on digits after a hundred.
FEW_STEPS, ENOUGH_STEPS = 300, 1000
#: Images of a step where a record does not say.
_USUAL_BATCH = 128
#: The training loss that fell by this share in the last epoch is still falling.
_FALLING = 0.01
#: Classes are uneven where the largest has so many times the images of the smallest.
UNEVEN = 3


@dataclass(frozen=True)
class NothingLearned:
    """Trials whose answers do not depend on what is on the image; shares are fractions of 1.

    Attributes:
        trials: how many.
        split: of the images, ``test`` or ``validation``.
        images: how many each trial answers to.
        largest, share: the class with the most of these images, and its share: what naming it always is right on.
        accuracy: mean over the trials, with its exact binomial 95 % interval for as many images.
        single: trials that name one class for every image; None where the answers were not saved.
        named: the classes that those name.
        top, top_share: the class that is named most, and how often; None where the answers were not saved.
        recall: mean recall over the classes, over all trials; chance is ``chance``.
        macro_f1: mean over the trials.
        entropy, label_entropy: of the answers and of the labels, in bits.
        p_value: one-sided, of the permutation test, or of the binomial one where the answers were not saved.
        advice: what to try, a sentence each.
    """

    trials: int
    split: str
    images: int
    largest: str
    share: float
    accuracy: float
    interval: tuple[float, float]
    chance: float
    p_value: float
    label_entropy: float
    single: int | None = None
    named: tuple[str, ...] = ()
    top: str | None = None
    top_share: float | None = None
    recall: float | None = None
    macro_f1: float | None = None
    entropy: float | None = None
    advice: tuple[str, ...] = ()

    @property
    def evidence(self) -> str:
        """The figures, a sentence without its end."""
        split, right = f"{self.images:,} {self.split} images", _percent(self.accuracy)
        subject = "the trial names" if self.trials == 1 else f"each of the {self.trials} trials names"
        if self.single == self.trials and len(self.named) == 1:
            return f"{subject} the class {self.named[0]} for all {split}, {right} of which are of it"
        if self.single == self.trials:
            return (
                f"{subject} a single class for all {split}, and {right} of these are right; naming {self.largest} "
                f"always gives {_percent(self.share)}"
            )
        low, high = (100 * end for end in self.interval)
        mean = "" if self.trials == 1 else "mean "
        sentence = f"{mean}accuracy on the {split} is {right} [{low:.1f}, {high:.1f}], and naming {self.largest} always"
        sentence += f" gives {_percent(self.share)}"
        if self.recall is None:
            return sentence
        return (
            f"{sentence}; the mean recall over the classes is {_percent(self.recall)}, and chance "
            f"{_percent(self.chance)} (permutation test, p = {self.p_value:.2g})"
        )

    @property
    def experiment(self) -> str:
        """What to try, after a finding."""
        return "; ".join(sentence[0].lower() + sentence[1:].rstrip(".") for sentence in self.advice)

    def __repr__(self) -> str:
        return printable(f"<NothingLearned: {self.evidence}>")


@dataclass(frozen=True)
class Learning:
    """What did not learn in a study.

    Attributes:
        rungs: by name, those of which no trial learned anything.
        study: of all trials, where none of any rung did; None elsewhere.
        largest: share of the training images that are of the largest class: what naming it always is right on; None
            where their labels are not kept.
    """

    rungs: Mapping[str, NothingLearned]
    study: NothingLearned | None = None
    largest: float | None = None

    def __repr__(self) -> str:
        return f"<Learning: nothing in {', '.join(self.rungs) or 'no rung'}{', nothing at all' if self.study else ''}>"


@dataclass(frozen=True)
class Training:
    """What is known of how trials were trained, for the advice.

    Attributes:
        epochs: of the recipe.
        steps: optimizer steps in all.
        counts: training images by class; empty where that is not known.
        accuracy: mean on plain training images, after the last epoch, on ``sample`` of them.
        losses: mean training loss by epoch, from the untrained network on.
    """

    epochs: int
    steps: int
    counts: Mapping[str, int]
    accuracy: float | None
    sample: int
    losses: tuple[float, ...]

    def __repr__(self) -> str:
        return f"<Training of {self.epochs} epochs, {self.steps} steps>"


@dataclass(frozen=True)
class Answers:
    """What trials answer to the same images.

    Attributes:
        labels: (N,), positions among the class names.
        predicted: of each trial, (N,); None where only the accuracies are known.
        accuracies: of each trial.
    """

    split: str
    labels: np.ndarray
    predicted: tuple[np.ndarray, ...] | None
    accuracies: tuple[float, ...]

    def __repr__(self) -> str:
        return f"<Answers of {len(self.accuracies)} trials to {len(self.labels):,} {self.split} images>"


def judge_learning(study: SavedStudy) -> Learning:
    """Return which rungs learned nothing, and whether all did, of the trials that have finished.

    By the test images once they are read; before, by the validation images, where their labels are known.

    Raises:
        StorageError: a file of predictions is damaged.
    """
    rungs: dict[str, NothingLearned] = {}
    judged: list[tuple[Answers, NothingLearned | None, float, Training]] = []
    labels = read_labels(study.folder, study.record.data)
    largest = float(np.bincount(labels["train"]).max() / len(labels["train"])) if "train" in labels else None
    for rung in study.record.rungs:
        finished = [trial for trial in study.of_rung(rung.name) if trial.result.status == "finished"]
        answers = _answers(study, finished, labels.get("validation"))
        if answers is None:
            if finished:
                return Learning({}, largest=largest)  # nobody knows of this rung
            continue
        training = _training(study.record, rung.recipe, rung.images, finished, labels.get("train"))
        found, p_value = judge_answers(answers, study.record.data.class_names, training)
        if found is not None:
            rungs[rung.name] = found
        judged.append((answers, found, p_value, training))
    if not judged:
        return Learning({}, largest=largest)
    smallest = min(1.0, len(judged) * min(p_value for *_, p_value, _ in judged))
    whole = None
    if smallest > ALPHA and len({len(answers.labels) for answers, *_ in judged}) == 1:
        whole = _whole([(answers, training) for answers, _, _, training in judged], study.record.data.class_names)
    if whole is None:
        return Learning(rungs, largest=largest)
    everywhere = {rung.name: rungs.get(rung.name, whole) for rung in study.record.rungs if study.of_rung(rung.name)}
    return Learning(everywhere, replace(whole, p_value=smallest), largest)


def judge_trial(
    folder: Path,
    result: TrialResult,
    history: Sequence[EpochRecord],
    labels: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    batch_size: int,
) -> NothingLearned | None:
    """Return that one training learned nothing; None where it did, failed, or cannot be told.

    Args:
        labels: of the splits ``train`` and ``validation``, as far as there are such images.

    Raises:
        StorageError: the file of predictions is damaged.
    """
    if result.status != "finished":
        return None
    trial = SavedTrial("", result.seed, folder, result, tuple(history))
    answers = _saved_answers([trial]) or _by_accuracy([trial], labels.get("validation"))
    if answers is None:
        return None
    train = labels["train"]
    steps = result.epochs * math.ceil(len(train) / batch_size)
    training = _training_of([trial], result.epochs, steps, len(train), _counts(train, class_names))
    return judge_answers(answers, class_names, training)[0]


def judge_answers(
    answers: Answers, class_names: Sequence[str], training: Training
) -> tuple[NothingLearned | None, float]:
    """Return that trials of one rung learned nothing, or None; and the p-value, 0 where nothing can be told.

    They learned nothing where the p-value is above :data:`ALPHA`, and it is told: either the training accuracy is no
    better than naming the largest class always (one-sided exact binomial test at the same level), or as good an answer
    to these images would be found with a chance of 95 %.
    """
    count = np.bincount(answers.labels, minlength=len(class_names))
    images, largest, present = len(answers.labels), int(count.argmax()), int((count > 0).sum())
    share, accuracy = count[largest] / images, fmean(answers.accuracies)
    if present < 2 or images - count[largest] < _OTHERS:
        return None, 0.0
    # How far above naming one class always the training images are answered, from 0 to 1.
    promised = 0.0
    if training.accuracy is not None and _above(training.accuracy, training.sample, share) <= ALPHA:
        promised = max(0.0, (training.accuracy - share) / (1 - share))
    if answers.predicted is None:
        p_value = min(1.0, len(answers.accuracies) * _above(max(answers.accuracies), images, share))
        if p_value <= ALPHA or promised or training.accuracy is None:
            return None, p_value if p_value <= ALPHA else 0.0
        recall, spread = None, 0.0
    else:
        recall, spread, p_value = recall_test(answers.predicted, answers.labels)
        if p_value <= ALPHA:
            return None, p_value
        hoped = 1 / present + promised / 2 * (1 - 1 / present)
        if promised and spread == 0 and (1 - hoped) ** int(images - count[largest]) > ALPHA:
            return None, 0.0
        if promised and spread > 0 and hoped - 1 / present < _TOLD * spread:
            return None, 0.0
    found = NothingLearned(
        trials=len(answers.accuracies),
        split=answers.split,
        images=images,
        largest=class_names[largest],
        share=float(share),
        accuracy=accuracy,
        interval=_interval(accuracy, images),
        chance=1 / present,
        p_value=p_value,
        label_entropy=_entropy(count),
        recall=recall,
        **_spread_of(answers.predicted, answers.labels, class_names),
    )
    if not training.counts:
        training = replace(training, counts=dict(zip(class_names, count.tolist(), strict=True)))
    return replace(found, advice=advise_training(training, promised > 0)), p_value


def recall_test(predicted: Sequence[np.ndarray], labels: np.ndarray) -> tuple[float, float, float]:
    """Return the mean recall over the classes, its standard deviation under chance, and its one-sided p-value.

    Under the hypothesis that answers do not depend on the class every permutation of the labels is as likely, the same
    one for all trials. The statistic is a sum over images of what their label makes of their answers, so its first two
    moments are known exactly (Hoeffding, A Combinatorial Central Limit Theorem, 1951). The p-value is of that many
    random permutations, the one at hand included; far beyond them Cantelli's inequality says enough.

    Args:
        predicted: of each trial, (N,), as ``labels``; classes without an image here are never right.
    """
    predicted = [answer.astype(np.int64) for answer in predicted]
    labels = labels.astype(np.int64)
    trials, images = len(predicted), len(labels)
    count = np.bincount(labels)
    present = np.flatnonzero(count)
    # Of an image: what a label of class k would be worth, its share of the classes' mean recall, over all trials.
    named = {int(label): np.sum([answer == label for answer in predicted], axis=0) for label in present}
    scale = 1 / (trials * len(present))
    row = sum(named.values()) * scale / images  # mean over the labels, of each image
    column = {label: scale * times.mean() / count[label] for label, times in named.items()}
    mean = float(np.sum(row) / images)
    squares = sum(
        count[label] * float(np.square(scale * times / count[label] - row - column[label] + mean).sum())
        for label, times in named.items()
    )
    spread = math.sqrt(squares / max(images - 1, 1))
    value = scale * sum(float(named[int(label)][labels == label].sum()) / count[label] for label in present)
    chance = images * mean
    if spread < 1e-12:
        return value, 0.0, 1.0
    if value > chance + _PLAIN * spread:
        return value, spread, 1 / (1 + ((value - chance) / spread) ** 2)
    random = np.random.default_rng(0)
    number = _PERMUTATIONS if trials * images <= _MANY_ANSWERS else _FEW_PERMUTATIONS
    worth = np.zeros(len(count))
    worth[present] = scale / count[present]
    as_high = 1
    for _ in range(number):
        other = random.permutation(labels)
        weights = worth[other]
        drawn = sum(float(weights[answer == other].sum()) for answer in predicted)
        as_high += drawn >= value - 1e-12
    return value, spread, as_high / (number + 1)


def advise_study(study: SavedStudy) -> tuple[str, ...]:
    """Return what to try where no trial of a study learned anything, by the rung with the most steps."""
    trainings = []
    for rung in study.record.rungs:
        finished = [trial for trial in study.of_rung(rung.name) if trial.result.status == "finished"]
        if finished:
            labels = read_labels(study.folder, study.record.data)
            trainings.append(_training(study.record, rung.recipe, rung.images, finished, labels.get("train")))
    if not trainings:
        return ("Try a third of the learning rate, or a warm-up: every loss diverged.",)
    return advise_training(max(trainings, key=lambda training: training.steps), promised=False)


def advise_training(training: Training, promised: bool) -> tuple[str, ...]:
    """Return what to try where nothing was learned, a sentence each, the likeliest cure first.

    Args:
        promised: whether the training images are answered better than by chance.
    """
    advice = []
    losses = training.losses
    if losses and losses[-1] > 1.5 * min(losses) and losses[-1] > losses[0]:
        advice.append("Try a third of the learning rate, or a warm-up: the training loss rose.")
    if training.steps < FEW_STEPS:
        epochs = max(20, math.ceil(ENOUGH_STEPS * training.epochs / max(training.steps, 1)))
        steps = f"{training.epochs:,} epoch{'' if training.epochs == 1 else 's'} of these images"
        advice.append(f"Train longer, {epochs:,} epochs or more: {steps} are {training.steps:,} steps.")
    counts = [number for number in training.counts.values() if number]
    if len(counts) > 1 and max(counts) >= UNEVEN * min(counts):
        advice.append(
            f"The classes are uneven ({max(counts):,} to {min(counts):,} images): weight them in the loss, judge by "
            "macro F1, and add images of the small ones."
        )
    if promised:
        advice.append(
            "The training images were learned, but nothing that holds for others: check the labels, and that all "
            "images show the same things; then more images, or augmentation."
        )
    elif not advice and len(losses) > 1 and losses[-1] < (1 - _FALLING) * losses[-2]:
        advice.append("Train longer: the training loss is still falling.")
    elif not advice:
        advice.append(
            "Try another learning rate, ten times as high and a tenth, and standardized inputs; and check that the "
            "labels belong to the images."
        )
    return tuple(advice)


def _whole(parts: Sequence[tuple[Answers, Training]], class_names: Sequence[str]) -> NothingLearned | None:
    """Describe the trials of all rungs together."""
    first, trainings = parts[0][0], [training for _, training in parts]
    if any((answers.predicted is None) != (first.predicted is None) for answers, _ in parts):
        return None
    predicted = None
    if first.predicted is not None:
        predicted = tuple(one for answers, _ in parts for one in answers.predicted or ())
    together = Answers(
        first.split, first.labels, predicted, tuple(one for answers, _ in parts for one in answers.accuracies)
    )
    known = [training.accuracy for training in trainings if training.accuracy is not None]
    longest = max(trainings, key=lambda training: training.steps)
    training = replace(longest, accuracy=max(known) if known else None)
    return judge_answers(together, class_names, training)[0]


def _answers(study: SavedStudy, trials: Sequence[SavedTrial], labels: np.ndarray | None) -> Answers | None:
    if not trials:
        return None
    return _saved_answers(trials) if not study.unread else _by_accuracy(trials, labels)


def _saved_answers(trials: Sequence[SavedTrial]) -> Answers | None:
    found = [read_predictions(trial.folder) for trial in trials if trial.result.test_accuracy is not None]
    if not found or any(one is None for one in found):
        return None
    pairs = [(answer.astype(np.int64), labels.astype(np.int64)) for answer, labels in (one for one in found if one)]
    accuracies = tuple(float((answer == labels).mean()) for answer, labels in pairs)
    labels = pairs[0][1]
    if any(not np.array_equal(other, labels) for _, other in pairs):
        # Each seed has drawn its own images: all of them in one row.
        answer, labels = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return Answers("test", labels, (answer,), (float((answer == labels).mean()),))
    return Answers("test", labels, tuple(answer for answer, _ in pairs), accuracies)


def _by_accuracy(trials: Sequence[SavedTrial], labels: np.ndarray | None) -> Answers | None:
    accuracies = [trial.result.val_accuracy for trial in trials if trial.result.val_accuracy is not None]
    if labels is None or not len(labels) or len(accuracies) < len(trials):
        return None
    return Answers("validation", labels.astype(np.int64), None, tuple(accuracies))


def _training(
    record: StudyRecord,
    recipe: Mapping[str, object],
    images: int | None,
    trials: Sequence[SavedTrial],
    labels: np.ndarray | None,
) -> Training:
    used = images or record.data.counts["train"]
    epochs = max(trial.result.epochs for trial in trials)
    batch_size = recipe.get("batch_size")
    steps = epochs * math.ceil(used / (batch_size if isinstance(batch_size, int) else _USUAL_BATCH))
    counts = {} if labels is None else _counts(labels, record.data.class_names)
    return _training_of(trials, epochs, steps, used, counts)


def _training_of(
    trials: Sequence[SavedTrial], epochs: int, steps: int, images: int, counts: Mapping[str, int]
) -> Training:
    known = [trial.result.train_accuracy for trial in trials if trial.result.train_accuracy is not None]
    rows = zip(*(trial.history for trial in trials), strict=False)
    losses = tuple(fmean(record.train_loss for record in row) for row in rows)
    return Training(epochs, steps, counts, fmean(known) if known else None, min(images, TRAIN_SAMPLE), losses)


def _counts(labels: np.ndarray, class_names: Sequence[str]) -> dict[str, int]:
    return dict(zip(class_names, np.bincount(labels, minlength=len(class_names)).tolist(), strict=False))


def _spread_of(
    predicted: Sequence[np.ndarray] | None, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return over which classes the answers spread; nothing where they were not saved."""
    if predicted is None:
        return {}
    times = np.sum([np.bincount(answer, minlength=len(class_names)) for answer in predicted], axis=0)
    single = [int(answer[0]) for answer in predicted if (answer == answer[0]).all()]
    scores = [macro_f1(np.eye(len(class_names))[answer], labels) for answer in predicted]
    return {
        "single": len(single),
        "named": tuple(class_names[label] for label in sorted(set(single))),
        "top": class_names[int(times.argmax())],
        "top_share": float(times.max() / times.sum()),
        "macro_f1": fmean(scores),
        "entropy": _entropy(times),
    }


def _above(accuracy: float, images: int, share: float) -> float:
    """One-sided exact binomial p-value of as many right as naming a class of this share always gives."""
    return chance_of_at_least(round(accuracy * images), images, share)


def _interval(accuracy: float, images: int) -> tuple[float, float]:
    return exact_interval(round(accuracy * images), images, 0.95)


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
