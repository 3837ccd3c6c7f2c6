"""What a trained network is measured by; one of them, chosen beforehand, decides everything that is chosen or judged.

Every metric is a function of logits, float (N, classes), and labels, int (N,), so that validation images choose by the
same figure that test images are judged by.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from stepladder.errors import StudyError, unknown
from stepladder.training.calibration import calibration_error, fit_temperature, negative_log_likelihood
from stepladder.training.unit import Unit

#: What each mistake costs: true class, then predicted class; a right answer costs nothing unless it is named.
Costs = Mapping[str, Mapping[str, float]]

#: What a metric is worked out from.
Measure = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class MetricKind:
    """A metric before it is known which classes there are.

    Attributes:
        name: what the command line calls it.
        noun: what tables and sentences call it, after "test" or "validation".
        higher_is_better: whether more of it is good.
        smallest_effect: smallest effect of interest where the user names none: a fraction of 1 or nats; of costs, a
            share of the largest.
        needs: what must be named with it: a class, as ``recall:cat``, or a table of costs.
        about: what it is, for a list.
    """

    name: str
    noun: str
    unit: Unit
    higher_is_better: bool
    smallest_effect: float
    needs: Literal["class", "costs"] | None = None
    about: str = ""


@dataclass(frozen=True)
class Metric:
    """One way to measure a trial, on images of known classes.

    Attributes:
        name: as it is given and recorded: ``accuracy``, ``recall:cat``.
        noun: what tables and sentences call it, after "test" or "validation".
        higher_is_better: whether more of it is good; a difference is always written so that plus is better.
        smallest_effect: smallest effect of interest where the user names none, in the metric's own unit.
        measure: works it out, of logits (N, classes) and labels (N,).
        diverged: what a trial that diverged counts as, of the share of each class in the test images: what naming the
            largest class always has, or the worst there is.
        images: how many images one step of it is a share of, of the images of each class: the coarsest one.
        least, most: what it can be; None where there is no end.
        key: tells it from every other metric, table of costs and all.
    """

    name: str
    noun: str
    unit: Unit
    higher_is_better: bool
    smallest_effect: float
    measure: Measure = field(compare=False)
    diverged: Callable[[Sequence[float]], float] = field(compare=False)
    images: Callable[[Sequence[int]], int] = field(compare=False, default=sum)
    least: float | None = None
    most: float | None = None
    key: str = ""

    @property
    def reach(self) -> float | None:
        """The largest difference of two of its figures; None where there is no end."""
        return None if self.least is None or self.most is None else self.most - self.least

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.higher_is_better else -1

    @property
    def share(self) -> bool:
        """Whether it is a fraction of 1."""
        return self.unit is Unit.SHARE

    @property
    def label(self) -> str:
        """What it is called on test images."""
        return f"test {self.noun}"

    @property
    def validation_label(self) -> str:
        """What it is called on validation images."""
        return f"validation {self.noun}"

    def on_test(self, result: Any) -> float | None:
        """Return a trial's figure on test, of its ``TrialResult``; None before test was read."""
        value = getattr(result, _TEST_FIELDS.get(self.name, "test_score"))
        return None if value is None else float(value)

    def on_validation(self, result: Any) -> float | None:
        """Return a trial's figure on validation after its last epoch, of its ``TrialResult`` or ``EpochRecord``."""
        value = getattr(result, _VALIDATION_FIELDS.get(self.name, "val_score"))
        return None if value is None else float(value)

    @property
    def is_usual(self) -> bool:
        """Whether every trial is measured by it on validation, whatever decides."""
        return self.name in _VALIDATION_FIELDS

    @property
    def is_rare(self) -> bool:
        """Whether no trial is measured by it on test unless it decides."""
        return self.name not in _TEST_FIELDS


@dataclass(frozen=True)
class OwnMetric(Metric):
    """A metric that another program measures, so that nothing is known of it but its figures."""

    @property
    def label(self) -> str:
        """What it is called: as the program that measured it does."""
        return self.noun

    @property
    def validation_label(self) -> str:
        """What it is called on validation images."""
        return f"validation score ({self.noun})"

    def on_test(self, result: Any) -> float | None:
        """Return a trial's figure on test, of its ``TrialResult``; None before it was read."""
        value = result.test_score
        return None if value is None else float(value)

    def on_validation(self, result: Any) -> float | None:
        """Return a trial's figure on validation, of its ``TrialResult``; None where there is none."""
        value = getattr(result, "val_score", None)
        return None if value is None else float(value)


def own_metric(name: str, *, share: bool, higher_is_better: bool, diverged: float | None = None) -> OwnMetric:
    """Return a metric of another program.

    Args:
        name: what that program calls it.
        share: whether it is a fraction of 1, which is written in percent.
        diverged: what a trial that diverged counts as; None takes the worst share there is.
    """
    worst = 0.0 if higher_is_better else 1.0

    def counts_as(_: Sequence[float]) -> float:
        return worst if diverged is None else diverged

    return OwnMetric(
        name=name,
        noun=name,
        unit=Unit.SHARE if share else Unit.NUMBER,
        higher_is_better=higher_is_better,
        smallest_effect=OWN_SMALLEST_EFFECT if share else 0.0,
        measure=_cannot_measure,
        diverged=counts_as,
        least=0.0 if share else None,
        most=1.0 if share else None,
        key=f"own:{name}",
    )


#: Smallest effect of interest of a share that another program measures; of any other figure nobody can say.
OWN_SMALLEST_EFFECT = 0.005


def _cannot_measure(_: np.ndarray, __: np.ndarray) -> float:
    raise AssertionError("a metric of another program is measured there")


#: Where ``result.json`` has what every trial is measured by on test, whatever decides.
_TEST_FIELDS = {
    "accuracy": "test_accuracy",
    "macro_f1": "test_macro_f1",
    "nll": "test_loss",
    "ece": "test_ece",
    "nll_calibrated": "test_nll_calibrated",
    "ece_calibrated": "test_ece_calibrated",
}
#: Likewise on validation.
_VALIDATION_FIELDS = {"accuracy": "val_accuracy", "nll": "val_loss"}

METRICS: dict[str, MetricKind] = {
    kind.name: kind
    for kind in (
        MetricKind("accuracy", "accuracy", Unit.SHARE, True, 0.005, about="share of images classified rightly"),
        MetricKind(
            "balanced_accuracy", "balanced accuracy", Unit.SHARE, True, 0.005, about="mean over classes of the recall"
        ),
        MetricKind("macro_f1", "macro F1", Unit.SHARE, True, 0.005, about="mean over classes of the F1 score"),
        MetricKind("recall", "recall", Unit.SHARE, True, 0.005, "class", "share of a class's images that are found"),
        MetricKind(
            "precision", "precision", Unit.SHARE, True, 0.005, "class", "share of the answers for a class that hold"
        ),
        MetricKind("f1", "F1", Unit.SHARE, True, 0.005, "class", "harmonic mean of a class's recall and precision"),
        MetricKind(
            "auc", "AUC", Unit.SHARE, True, 0.005, about="area under the ROC curve, mean of each class against the rest"
        ),
        MetricKind("nll", "negative log-likelihood", Unit.NATS, False, 0.01, about="log loss, in nats an image"),
        MetricKind("ece", "calibration error", Unit.SHARE, False, 0.005, about="how far confidence is from accuracy"),
        MetricKind(
            "nll_calibrated",
            "negative log-likelihood after temperature scaling",
            Unit.NATS,
            False,
            0.01,
            about="log loss after a temperature is fitted on validation",
        ),
        MetricKind(
            "ece_calibrated",
            "calibration error after temperature scaling",
            Unit.SHARE,
            False,
            0.005,
            about="calibration error after a temperature is fitted on validation",
        ),
        MetricKind(
            "cost", "expected cost", Unit.COST, False, 0.005, "costs", "mean cost of an answer, by a table of costs"
        ),
    )
}


def find_kind(name: str) -> MetricKind:
    """Return the kind of the metric called ``name``, which may name a class: ``recall:cat``.

    Raises:
        StudyError: there is none of that name, or a class is missing or too many.
    """
    kind, colon, of = name.partition(":")
    if kind not in METRICS:
        raise StudyError(unknown("metric", kind, METRICS))
    found = METRICS[kind]
    if found.needs == "class" and not of:
        raise StudyError(f"`metric={kind}` is of one class; name it, as in `metric={kind}:cat`")
    if found.needs != "class" and colon:
        raise StudyError(f"`metric={name}` names a class, and {found.noun} is of all of them; write `metric={kind}`")
    return found


def check_metric(name: str, costs: Costs | None = None) -> None:
    """Refuse a metric that there is not, or one without what it needs, before any image is read.

    Raises:
        StudyError: it is so, or costs are given that nothing uses.
    """
    kind = find_kind(name)
    if kind.needs == "costs" and not costs:
        raise StudyError(f"`metric={name}` needs a table of what each mistake costs; give it as `costs`")
    if kind.needs != "costs" and costs is not None:
        raise StudyError(f"`costs` is used by `metric=cost` alone, and `metric` is {name}; leave one of the two out")
    for true, row in (costs or {}).items():
        for predicted, cost in row.items():
            if not math.isfinite(cost):
                raise StudyError(f"`costs` has {cost} for {true} taken for {predicted}; a cost is a number")


def default_effect(name: str, costs: Costs | None = None) -> float:
    """Return the smallest effect of interest where nobody names one, in the metric's unit."""
    kind = find_kind(name)
    if kind.needs != "costs":
        return kind.smallest_effect
    return kind.smallest_effect * max((abs(cost) for row in (costs or {}).values() for cost in row.values()), default=1)


def find_metric(name: str, class_names: Sequence[str] = (), costs: Costs | None = None) -> Metric:
    """Return the metric called ``name`` for images of such classes.

    Args:
        class_names: by label; only a metric that names a class or has costs needs them.
        costs: of ``cost``.

    Raises:
        StudyError: there is none of that name, it names a class that there is not, or a cost is missing.
    """
    check_metric(name, costs)
    kind, of = find_kind(name), name.partition(":")[2]
    noun, key = kind.noun, name
    images: Callable[[Sequence[int]], int] = sum
    least, most = (0.0, 1.0) if kind.unit is Unit.SHARE else (None, None)
    if kind.needs == "class":
        if of not in class_names:
            raise StudyError(unknown("class", of, class_names))
        noun = f"{kind.noun} of {of}"
        label = list(class_names).index(of)
        measure: Measure = partial({"recall": recall, "precision": precision, "f1": f1}[kind.name], of=label)
        diverged: Callable[[Sequence[float]], float] = _nothing
        images = itemgetter(label)
    elif kind.needs == "costs":
        table = cost_table(costs or {}, class_names)
        measure, diverged = partial(expected_cost, table=table), partial(_cheapest, table=table)
        least, most = float(table.min()), float(table.max())
        key = f"cost:{hashlib.sha256(json.dumps(table.tolist()).encode()).hexdigest()[:16]}"
    else:
        measure, diverged = _PLAIN[kind.name]
        images = _each_class_alike if kind.name in ("balanced_accuracy", "macro_f1") else sum
    effect = default_effect(name, costs)
    return Metric(name, noun, kind.unit, kind.higher_is_better, effect, measure, diverged, images, least, most, key)


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose largest logit is their label's; logits (N, classes), labels int (N,)."""
    return int((logits.argmax(axis=1) == labels).sum()) / len(labels)


def confusion(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many images of each class (rows) are taken for each class (columns), int64 (classes, classes)."""
    classes = logits.shape[1]
    counts = np.bincount(labels * classes + logits.argmax(axis=1), minlength=classes * classes)
    return counts.reshape(classes, classes)


def balanced_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean recall over the classes that have images (Brodersen et al., ICPR 2010)."""
    table = confusion(logits, labels)
    there = table.sum(axis=1) > 0
    return float((np.diag(table)[there] / table.sum(axis=1)[there]).mean())


def macro_f1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over all classes of the harmonic mean of precision and recall; one never predicted has 0."""
    return float(_f1_scores(confusion(logits, labels)).mean())


def f1(logits: np.ndarray, labels: np.ndarray, of: int) -> float:
    """Return the harmonic mean of precision and recall of one class; 0 where it is never named."""
    return float(_f1_scores(confusion(logits, labels))[of])


def recall(logits: np.ndarray, labels: np.ndarray, of: int) -> float:
    """Return the share of a class's images that are found; 0 where it has none."""
    table = confusion(logits, labels)
    return float(table[of, of] / max(table[of].sum(), 1))


def precision(logits: np.ndarray, labels: np.ndarray, of: int) -> float:
    """Return the share of the answers for a class that are right; 0 where it is never named."""
    table = confusion(logits, labels)
    return float(table[of, of] / max(table[:, of].sum(), 1))


def _f1_scores(table: np.ndarray) -> np.ndarray:
    named = table.sum(axis=0) + table.sum(axis=1)
    return np.asarray(2 * np.diag(table) / np.maximum(named, 1))


def auc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the area under the ROC curve: the mean over classes, each against the rest; of two, the one there is.

    The chance that an image of the class has more of its probability than one of another class, a draw counting half
    (Hanley and McNeil, Radiology 1982). Classes without images, or with nothing else, are left out; 0.5 without any.
    """
    from scipy import special

    probabilities = special.softmax(logits.astype(np.float64), axis=1)
    areas = []
    for label in range(logits.shape[1]):
        own = labels == label
        n, others = int(own.sum()), int((~own).sum())
        if not n or not others:
            continue
        _, places, counts = np.unique(probabilities[:, label], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # of equal values, the middle one
        areas.append((ranks[own].sum() - n * (n + 1) / 2) / (n * others))
    return float(np.mean(areas)) if areas else 0.5


def expected_cost(logits: np.ndarray, labels: np.ndarray, table: np.ndarray) -> float:
    """Return the mean cost of the answers; ``table`` float64 (true class, predicted class)."""
    return float(table[labels, logits.argmax(axis=1)].mean())


def cost_table(costs: Costs, class_names: Sequence[str]) -> np.ndarray:
    """Return costs as float64 (true class, predicted class).

    Raises:
        StudyError: a class is not one of the images', or the cost of a mistake is missing.
    """
    for name in [*costs, *(name for row in costs.values() for name in row)]:
        if name not in class_names:
            raise StudyError(f"`costs`: {unknown('class', name, class_names)}")
    table = np.zeros((len(class_names), len(class_names)))
    for i, true in enumerate(class_names):
        for j, predicted in enumerate(class_names):
            cost = costs.get(true, {}).get(predicted)
            if cost is None and i != j:
                raise StudyError(f"`costs` does not say what it costs to take {true} for {predicted}; add that cost")
            table[i, j] = cost or 0.0
    return table


def _after_scaling(measure: Callable[[np.ndarray, np.ndarray, float], float]) -> Measure:
    """Return a metric after temperature scaling, as far as the images it is measured on tell the temperature."""

    def scaled(logits: np.ndarray, labels: np.ndarray) -> float:
        return measure(logits, labels, fit_temperature(logits, labels))

    return scaled


def _majority(shares: Sequence[float]) -> float:
    return max(shares)


def _each_class_alike(counts: Sequence[int]) -> int:
    return len(counts) * max(1, min((count for count in counts if count), default=1))


def _even(shares: Sequence[float]) -> float:
    # The class that is always named has a recall of 1, the others 0.
    return 1 / sum(share > 0 for share in shares)


def _majority_f1(shares: Sequence[float]) -> float:
    # The class that is always named has a recall of 1 and its share as precision; the others have 0.
    return 2 * max(shares) / (1 + max(shares)) / len(shares)


def _untrained(shares: Sequence[float]) -> float:
    # Not the lower loss of knowing the shares: whoever diverges shall gain nothing by uneven classes.
    return math.log(len(shares))


def _half(shares: Sequence[float]) -> float:  # noqa: ARG001
    return 0.5


def _worst(shares: Sequence[float]) -> float:  # noqa: ARG001
    # A guess is well calibrated; a network that failed shall gain nothing by that.
    return 1.0


def _nothing(shares: Sequence[float]) -> float:  # noqa: ARG001
    # Whoever always names the class finds all of it; a network that failed shall gain nothing by that.
    return 0.0


def _cheapest(shares: Sequence[float], table: np.ndarray) -> float:
    """What naming one class always costs, whichever is the cheapest."""
    return float((np.array(shares) @ table).min())


#: What needs neither a class nor costs, and what a trial that diverged counts as.
_PLAIN: dict[str, tuple[Measure, Callable[[Sequence[float]], float]]] = {
    "accuracy": (accuracy, _majority),
    "balanced_accuracy": (balanced_accuracy, _even),
    "macro_f1": (macro_f1, _majority_f1),
    "auc": (auc, _half),
    "nll": (negative_log_likelihood, _untrained),
    "ece": (calibration_error, _worst),
    "nll_calibrated": (_after_scaling(negative_log_likelihood), _untrained),
    "ece_calibrated": (_after_scaling(calibration_error), _worst),
}

#: What every trial is measured by on test, whatever decides.
USUAL_METRICS = tuple(find_metric(name) for name in _TEST_FIELDS)
