"""Every metric against scikit-learn's, on logits of uneven classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as theirs

from stepladder.errors import StudyError
from stepladder.studies.files.records import TrialResult
from stepladder.training.history import EpochRecord
from stepladder.training.metrics import (
    METRICS,
    USUAL_METRICS,
    Unit,
    accuracy,
    check_metric,
    cost_table,
    default_effect,
    expected_cost,
    find_kind,
    find_metric,
    macro_f1,
)

NAMES = ("cat", "dog", "a: b", "eel", "fox")
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.choice(5, p=[0.55, 0.2, 0.15, 0.06, 0.04], size=3000)
LOGITS = (RANDOM.normal(size=(3000, 5)) * 2 + 2 * np.eye(5)[LABELS]).astype(np.float32)
PREDICTED = LOGITS.argmax(axis=1)
COSTS = {true: {other: float(abs(i - j)) for j, other in enumerate(NAMES)} for i, true in enumerate(NAMES)}


def measured(name: str) -> float:
    return find_metric(name, NAMES, COSTS if name == "cost" else None).measure(LOGITS, LABELS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", theirs.accuracy_score(LABELS, PREDICTED)),
        ("balanced_accuracy", theirs.balanced_accuracy_score(LABELS, PREDICTED)),
        ("macro_f1", theirs.f1_score(LABELS, PREDICTED, average="macro")),
        ("recall:fox", theirs.recall_score(LABELS, PREDICTED, labels=[4], average="macro")),
        ("precision:eel", theirs.precision_score(LABELS, PREDICTED, labels=[3], average="macro")),
        ("f1:a: b", theirs.f1_score(LABELS, PREDICTED, labels=[2], average="macro")),
        ("auc", theirs.roc_auc_score(LABELS, softmax(LOGITS.astype(float), axis=1), multi_class="ovr")),
        ("nll", theirs.log_loss(LABELS, softmax(LOGITS.astype(float), axis=1))),
        ("cost", np.abs(LABELS - PREDICTED).mean()),
    ],
)
def test_each_is_scikit_learns(name: str, expected: float) -> None:
    assert measured(name) == pytest.approx(expected, abs=1e-12)


def test_the_area_counts_draws_half_and_of_two_classes_is_one() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 200)
    logits = np.stack([np.zeros(200), random.integers(-2, 3, 200)], axis=1).astype(np.float32)
    expected = theirs.roc_auc_score(labels, logits[:, 1])
    assert find_metric("auc").measure(logits, labels) == pytest.approx(expected, abs=1e-12)
    assert find_metric("auc").measure(logits, np.ones(200, dtype=int)) == 0.5  # nothing to tell apart


def test_classes_without_images_are_left_out_of_means_over_recalls() -> None:
    labels = np.array([0, 0, 1, 1])
    logits = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert find_metric("balanced_accuracy").measure(logits, labels) == pytest.approx(0.75)
    assert 0.5 < find_metric("auc").measure(logits, labels) < 1
    assert find_metric("recall:c", ("a", "b", "c")).measure(logits, labels) == 0


def test_macro_f1_counts_a_class_that_is_never_predicted() -> None:
    never = np.array([[1.0, 0.0, 0.0]] * 4)
    assert macro_f1(never, np.array([0, 0, 1, 2])) == pytest.approx((2 * 0.5 * 1 / 1.5) / 3)
    assert accuracy(never, np.array([0, 0, 1, 2])) == 0.5


def test_costs_of_0_and_1_are_the_error() -> None:
    table = 1 - np.eye(5)
    assert expected_cost(LOGITS, LABELS, table) == pytest.approx(1 - measured("accuracy"))


def test_every_metric_has_its_place_in_the_result_and_the_history() -> None:
    score = dict.fromkeys(TrialResult.model_fields, None)
    for number, metric in enumerate(USUAL_METRICS):
        given = TrialResult.model_construct(**{**score, "test_score": -1.0, _field(metric.name): float(number)})
        assert metric.on_test(given) == number
        assert not metric.is_rare
    rare = find_metric("recall:cat", NAMES)
    assert rare.is_rare
    assert rare.on_test(TrialResult.model_construct(**{**score, "test_score": 0.25})) == 0.25
    record = EpochRecord(1, None, None, 0.0, 0.0, 0.0, None, val_loss=0.5, val_accuracy=0.75, val_score=0.125)
    assert [find_metric(name).on_validation(record) for name in ("accuracy", "nll", "macro_f1")] == [0.75, 0.5, 0.125]


def _field(name: str) -> str:
    return {"nll": "test_loss"}.get(name, f"test_{name}")


def test_guessing_is_what_naming_the_largest_class_always_has() -> None:
    """Against the metrics themselves, on 60, 30 and 10 images of three classes."""
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    always = np.tile([5.0, 0.0, 0.0], (100, 1))
    shares, names = (0.6, 0.3, 0.1), ("a", "b", "c")
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "auc"):
        metric = find_metric(name)
        assert metric.diverged(shares) == pytest.approx(metric.measure(always, labels)), name
    assert find_metric("nll").diverged(shares) == pytest.approx(np.log(3))
    assert find_metric("ece").diverged(shares) == 1
    assert find_metric("accuracy").diverged([0.1] * 10) == pytest.approx(0.1)
    # Naming the class always would find all of it: the worst there is, so that divergence gains nothing.
    assert find_metric("recall:a", names).diverged(shares) == 0
    # Naming b always costs 2 on a and 1 on c; c costs less in all: 1 on a and b.
    costs = {"a": {"b": 2, "c": 1}, "b": {"a": 9, "c": 1}, "c": {"a": 9, "b": 1}}
    assert find_metric("cost", names, costs).diverged(shares) == pytest.approx(0.9)


def test_a_step_is_as_coarse_as_the_smallest_class_makes_it() -> None:
    counts, names = [60, 30, 10], ("a", "b", "c")
    assert find_metric("accuracy").images(counts) == 100
    assert find_metric("recall:c", names).images(counts) == 10
    assert find_metric("balanced_accuracy").images(counts) == find_metric("macro_f1").images(counts) == 30


def test_bounds_and_units() -> None:
    cost = find_metric("cost", NAMES, COSTS)
    assert (cost.least, cost.most, cost.reach, cost.unit, cost.sign) == (0, 4, 4, Unit.COST, -1)
    share, loss = find_metric("auc"), find_metric("nll")
    assert (share.reach, share.sign, loss.reach, loss.sign) == (1, 1, None, -1)
    assert default_effect("cost", COSTS) == pytest.approx(0.005 * 4)
    assert default_effect("recall:cat") == 0.005


def test_tables_of_costs_have_keys_of_their_own() -> None:
    other = {**COSTS, "cat": {**COSTS["cat"], "dog": 7.0}}
    keys = {find_metric("cost", NAMES, table).key for table in (COSTS, other)}
    assert len(keys) == 2
    assert find_metric("recall:cat", NAMES).key == "recall:cat"
    assert find_metric("accuracy").key == "accuracy"


@pytest.mark.parametrize(
    ("name", "costs", "said"),
    [
        ("acuracy", None, "unknown metric 'acuracy'; did you mean 'accuracy'"),
        ("recall", None, "`metric=recall` is of one class; name it, as in `metric=recall:cat`"),
        ("recall:", None, "is of one class"),
        ("macro_f1:cat", None, "names a class, and macro F1 is of all of them; write `metric=macro_f1`"),
        ("recall:cow", None, "unknown class 'cow'"),
        ("cost", None, "needs a table of what each mistake costs; give it as `costs`"),
        ("accuracy", COSTS, "`costs` is used by `metric=cost` alone, and `metric` is accuracy"),
        ("cost", {"cow": {"cat": 1.0}}, "`costs`: unknown class 'cow'"),
        ("cost", {"cat": {"dog": 1.0}}, "does not say what it costs to take cat for a: b"),
        ("cost", {"cat": {"dog": math.nan}}, "`costs` has nan for cat taken for dog; a cost is a number"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, costs: dict[str, dict[str, float]] | None, said: str) -> None:
    with pytest.raises(StudyError, match=said.replace("(", r"\(")):
        find_metric(name, NAMES, costs)


def test_a_right_answer_costs_nothing_unless_it_is_named() -> None:
    names = ("a", "b")
    assert cost_table({"a": {"b": 3}, "b": {"a": 1}}, names).tolist() == [[0, 3], [1, 0]]
    assert cost_table({"a": {"b": 3, "a": -1}, "b": {"a": 1}}, names).tolist() == [[-1, 3], [1, 0]]


def test_kinds_are_found_by_what_stands_before_the_class() -> None:
    assert find_kind("recall:a: b") is METRICS["recall"]
    check_metric("recall:whatever")  # which classes there are is not known yet
