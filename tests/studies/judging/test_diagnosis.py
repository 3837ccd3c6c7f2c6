"""One state a rung, by curves that make it and curves that nearly do, with few images and with many."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.diagnosis import (
    RULES,
    Curves,
    Diagnosis,
    State,
    Step,
    diagnose,
    mean_curves,
    read_curves,
)
from stepladder.studies.judging.learning import Learning, NothingLearned
from stepladder.training.history import EpochRecord

MadeUp = Callable[..., SavedStudy]
Curve = list[float]
LN10 = math.log(10)
REPOSITORY = Path(__file__).parents[3]

# The curves of one run of the reference study (network report, cifar10-jpeg, seed 0, epochs 0 to 20): loss and accuracy
# on training images in evaluation mode, and on the watched ones.
REFERENCE: dict[str, tuple[Curve, float, Curve, float]] = {
    "baseline": (
        [2.303, 2.013, 1.568, 1.313, 1.241, 1.220, 0.892, 0.807, 0.867, 0.589, 0.560, 0.397, 0.308, 0.216, 0.228, 0.233,
         0.210, 0.080, 0.081, 0.146, 0.057],
        0.9802,
        [2.303, 2.010, 1.570, 1.348, 1.299, 1.317, 1.058, 1.016, 1.162, 0.955, 1.048, 0.998, 1.071, 1.040, 1.302, 1.400,
         1.628, 1.681, 1.652, 1.828, 1.770],
        0.6951,
    ),
    "standardize": (
        [2.304, 1.403, 1.163, 0.901, 0.754, 0.692, 0.511, 0.433, 0.337, 0.227, 0.198, 0.130, 0.085, 0.059, 0.047, 0.067,
         0.034, 0.033, 0.048, 0.049, 0.032],
        0.9884,
        [2.303, 1.415, 1.206, 1.020, 0.926, 0.966, 0.872, 0.882, 0.973, 0.916, 1.079, 1.203, 1.271, 1.241, 1.461, 1.521,
         1.500, 1.554, 1.622, 1.685, 1.812],
        0.7259,
    ),
    "schedule": (
        [2.304, 1.616, 1.336, 1.155, 1.011, 0.880, 0.835, 0.809, 0.785, 0.679, 0.684, 0.618, 0.563, 0.574, 0.545, 0.549,
         0.502, 0.456, 0.451, 0.427, 0.408],
        0.863,
        [2.303, 1.610, 1.348, 1.179, 1.056, 0.942, 0.922, 0.893, 0.891, 0.786, 0.792, 0.753, 0.707, 0.730, 0.705, 0.715,
         0.684, 0.645, 0.640, 0.634, 0.639],
        0.7864,
    ),
    "dropout": (
        [2.304, 1.574, 1.327, 1.179, 1.031, 0.984, 0.851, 0.852, 0.857, 0.761, 0.719, 0.692, 0.661, 0.629, 0.624, 0.628,
         0.553, 0.555, 0.541, 0.508, 0.509],
        0.8236,
        [2.303, 1.564, 1.337, 1.196, 1.070, 1.041, 0.917, 0.921, 0.957, 0.850, 0.801, 0.785, 0.764, 0.740, 0.730, 0.744,
         0.665, 0.677, 0.661, 0.636, 0.645],
        0.7836,
    ),
}  # fmt: skip


def falling(start: float, end: float, epochs: int = 20) -> Curve:
    """Quickly at first, then level."""
    return [end + (start - end) * math.exp(-epoch / 2) for epoch in range(epochs + 1)]


def curves(
    train: Curve,
    train_accuracy: float,
    val: Curve,
    val_accuracy: float,
    *,
    images: int = 5000,
    train_images: int = 5000,
    chance: float = 0.1,
    seeds: Curve | None = None,
    accuracies: Curve | None = None,
) -> Curves:
    """Mean curves of loss; accuracy is level at its end unless ``accuracies`` are given."""
    ends = seeds or [val_accuracy]
    return Curves(
        train_loss=train,
        train_accuracy=[train_accuracy] * len(train),
        watched_loss=val,
        watched_accuracy=accuracies or [val_accuracy] * len(val),
        watched="validation",
        guessing=LN10,
        chance=chance,
        train_images=train_images,
        watched_images=images,
        seeds_train=[train_accuracy] * len(ends),
        seeds_watched=ends,
        seeds_loss=[val] * len(ends),
    )


def history(train: Curve, train_accuracy: float, val: Curve, val_accuracy: float) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            epoch=epoch,
            lr=0.1,
            train_loss_running=None,
            train_loss=loss,
            train_accuracy=train_accuracy,
            seconds=1.0,
            images_per_second=None,
            val_loss=val[epoch],
            val_accuracy=val_accuracy,
        )
        for epoch, loss in enumerate(train)
    )


def diagnosed(study: SavedStudy, rows: tuple[EpochRecord, ...]) -> Diagnosis:
    trials = tuple(replace(trial, history=rows) for trial in study.trials)
    (found,) = diagnose(replace(study, trials=trials), Learning({}))
    return found


@pytest.mark.parametrize(
    ("rung", "state"),
    [
        ("baseline", State.MEMORIZING),
        ("standardize", State.MEMORIZING),
        ("schedule", State.UNDER_FITTING),
        ("dropout", State.UNDER_FITTING),
    ],
)
def test_the_reference_study_memorizes_on_its_first_two_rungs_alone(rung: str, state: State) -> None:
    found, sign = read_curves(curves(*REFERENCE[rung]))
    assert found is state
    # Training loss still falls, while that of validation does not do so for certain.
    assert (sign.steps[0] is Step.MORE_EPOCHS) == (state is State.UNDER_FITTING)


def test_memorizing_names_the_turn_and_the_noise() -> None:
    sign = read_curves(curves(*REFERENCE["baseline"]))[1]
    assert sign.evidence == (
        "validation loss turned at epoch 9 (0.955) and rose to 1.770 while training loss went on to 0.057; accuracy is "
        "98.0 % on training and 69.5 % on validation images, a gap of 28.5 ± 1.4 points"
    )
    assert sign.steps == (Step.AUGMENTATION, Step.REGULARIZATION, Step.MORE_IMAGES)


LEVEL = falling(LN10, 0.3)
TURNING = [*falling(LN10, 0.5, 10), *(0.5 + 0.03 * epoch for epoch in range(1, 11))]
TURNED_LESS = [*falling(LN10, 0.5, 10), *(0.5 + 0.003 * epoch for epoch in range(1, 11))]
CREEPING = [2.3 - 0.04 * epoch for epoch in range(21)]
ENDLESS = [2.3 * 0.93**epoch for epoch in range(21)]
JUMPING = [LN10, *(0.6 if epoch % 2 else 0.5 for epoch in range(20))]
ONE_JUMP = [*falling(LN10, 0.3, 19), 0.6]
SWINGING = [0.93 + (0.04 if epoch % 2 else -0.04) for epoch in range(21)]

#: What each state is made by, and what nearly makes it.
CASES: dict[str, tuple[Curves, State]] = {
    "good": (curves(LEVEL, 0.95, falling(LN10, 0.35), 0.93), State.GOOD),
    # An accuracy of 100 % on training images is no fault where the others are right too.
    "learned by heart, and right": (curves(falling(LN10, 0.001), 1.0, falling(LN10, 0.05), 0.99), State.GOOD),
    "good at chance is not good": (curves(LEVEL, 0.95, LEVEL, 0.93, chance=0.95), State.UNCLEAR),
    # A gap of 10 points: no evidence on 20 images, nor on 100; one on 200, and on many.
    "gap of 10 on 20": (curves(LEVEL, 0.95, LEVEL, 0.85, images=20), State.UNCLEAR),
    "gap of 10 on 45": (curves(LEVEL, 0.95, LEVEL, 0.85, images=45), State.UNCLEAR),
    "gap of 11 on 200": (curves(LEVEL, 0.95, LEVEL, 0.84, images=200), State.LIMITED),
    "gap of 9 on 5000": (curves(LEVEL, 0.95, LEVEL, 0.86), State.GOOD),
    "gap of 40 on 20": (curves(LEVEL, 0.99, LEVEL, 0.55, images=20), State.LIMITED),
    "gap of 20, of one seed": (curves(LEVEL, 0.95, LEVEL, 0.75, seeds=[0.75]), State.LIMITED),
    "gap of 20, of unlike seeds": (curves(LEVEL, 0.95, LEVEL, 0.75, seeds=[0.5, 0.9, 0.85]), State.NOISY),
    "turned": (curves(LEVEL, 0.99, TURNING, 0.8), State.MEMORIZING),
    "turned, on 20 images with a gap of 15": (curves(LEVEL, 0.99, TURNING, 0.84, images=20), State.UNCLEAR),
    "turned less": (curves(LEVEL, 0.99, TURNED_LESS, 0.8), State.LIMITED),
    "turned in the last epoch alone": (curves(LEVEL, 0.99, [*falling(LN10, 0.5, 19), 0.9], 0.8), State.LIMITED),
    "turned, but right": (curves(LEVEL, 0.99, TURNING, 0.95), State.GOOD),
    "falling": (curves(LEVEL, 0.95, ENDLESS, 0.93), State.IMPROVING),
    "falling by half a percent": (curves(LEVEL, 0.95, [2.3 * 0.995**epoch for epoch in range(21)], 0.93), State.GOOD),
    "falling, all but one right": (curves(LEVEL, 1.0, ENDLESS, 0.99, images=144), State.GOOD),
    "falling, few right": (curves(LEVEL, 0.95, ENDLESS, 0.90, images=144), State.IMPROVING),
    "under-fitting": (curves(falling(LN10, 0.9), 0.70, falling(LN10, 0.95), 0.68), State.UNDER_FITTING),
    "under-fitting with a gap": (curves(falling(LN10, 0.9), 0.60, falling(LN10, 1.2), 0.45), State.UNDER_FITTING),
    "a gap larger than what is lacking": (curves(LEVEL, 0.85, falling(LN10, 0.8), 0.68), State.LIMITED),
    "89 % on 5000": (curves(LEVEL, 0.89, LEVEL, 0.88), State.UNDER_FITTING),
    "89 % on 500": (curves(LEVEL, 0.89, LEVEL, 0.88, train_images=500), State.GOOD),
    "at chance": (curves([LN10] * 21, 0.1, [LN10] * 21, 0.1), State.UNDER_FITTING),
    "diverging": (
        curves([*falling(LN10, 0.5, 15), 1.0, 2.0, 3.0, 4.0, 5.0], 0.93, falling(LN10, 0.6), 0.91),
        State.DIVERGING,
    ),
    "rising, below guessing": (curves([*falling(LN10, 0.5, 15), *[0.9] * 5], 0.93, LEVEL, 0.91), State.GOOD),
    "jumping": (curves(JUMPING, 0.92, falling(LN10, 0.6), 0.9), State.NOISY),
    "one jump": (curves(ONE_JUMP, 0.92, falling(LN10, 0.6), 0.9), State.GOOD),
    "swinging on 5000": (curves(LEVEL, 0.95, LEVEL, 0.93, accuracies=SWINGING), State.NOISY),
    "swinging by less": (
        curves(LEVEL, 0.95, LEVEL, 0.93, accuracies=[0.93 + (accuracy - 0.93) / 5 for accuracy in SWINGING]),
        State.GOOD,
    ),
    "seeds far apart": (curves(LEVEL, 0.95, LEVEL, 0.903, seeds=[0.93, 0.93, 0.85]), State.NOISY),
    "seeds far apart, explained by 150 images": (
        curves(LEVEL, 0.95, LEVEL, 0.93, images=150, seeds=[0.955, 0.93, 0.905]),
        State.GOOD,
    ),
    "seeds not far apart": (curves(LEVEL, 0.95, LEVEL, 0.93, seeds=[0.93, 0.92, 0.94]), State.GOOD),
}


@pytest.mark.parametrize("case", CASES)
def test_a_synthetic_curve_shows_what_was_put_in(case: str) -> None:
    made, expected = CASES[case]
    state, sign = read_curves(made)
    assert state is expected, sign.evidence
    assert re.search(r"\d", sign.evidence), "figures"


@pytest.mark.parametrize(
    ("made", "steps"),
    [
        (curves(CREEPING, 0.45, CREEPING, 0.44), (Step.HIGHER_RATE, Step.MORE_EPOCHS)),
        (curves(LEVEL, 0.95, ENDLESS, 0.93), (Step.MORE_EPOCHS,)),
        (curves([LN10] * 21, 0.1, [LN10] * 21, 0.1), (Step.HIGHER_RATE, Step.LARGER_NETWORK)),
        (curves(JUMPING, 0.7, LEVEL, 0.69), (Step.LOWER_RATE, Step.LARGER_NETWORK)),
        (curves(ENDLESS, 0.7, LEVEL, 0.69), (Step.MORE_EPOCHS, Step.LARGER_NETWORK)),
        (curves(falling(LN10, 0.9), 0.7, falling(LN10, 0.9), 0.69), (Step.LARGER_NETWORK,)),
        (curves(falling(LN10, 1, 2), 0.7, falling(LN10, 1, 2), 0.69), (Step.MORE_EPOCHS, Step.LARGER_NETWORK)),
        (curves(LEVEL, 0.95, LEVEL, 0.8, images=20), (Step.MORE_WATCHED,)),
        (curves(LEVEL, 0.95, LEVEL, 0.9, seeds=[0.88, 0.92]), (Step.MORE_SEEDS,)),
        (curves(LEVEL, 0.95, LEVEL, 0.93, accuracies=SWINGING), (Step.LOWER_RATE, Step.MORE_SEEDS)),
        (curves(LEVEL, 0.95, LEVEL, 0.93), ()),
    ],
)
def test_the_likeliest_cure_comes_first(made: Curves, steps: tuple[Step, ...]) -> None:
    assert read_curves(made)[1].steps == steps


def test_failed_seeds_come_before_the_curves(made_up: MadeUp) -> None:
    study = made_up({"rung": [0.5, None, None]})
    rows = history(*REFERENCE["baseline"])
    found = diagnosed(study, rows)
    assert (found.state, found.evidence) == (State.DIVERGING, "2 of 3 seeds ended in a loss that is no number")
    trials = list(study.trials)
    raised = trials[1].result.model_copy(update={"failure": "blur.augment raised ValueError: too late"})
    trials[1] = replace(trials[1], result=raised)
    found = diagnosed(replace(study, trials=tuple(trials)), rows)
    assert (found.state, found.steps) == (State.FAILED, (Step.MEND,))
    assert found.evidence == "1 of 3 seeds failed: blur.augment raised ValueError: too late"


def test_nothing_learned_comes_before_the_curves_and_after_a_failure(made_up: MadeUp) -> None:
    nothing = NothingLearned(
        trials=2,
        split="test",
        images=100,
        largest="0",
        share=0.1,
        accuracy=0.1,
        interval=(0.05, 0.18),
        chance=0.1,
        p_value=0.5,
        label_entropy=3.3,
    )
    for scores, state in (([0.1, 0.1], State.NOTHING_LEARNED), ([0.1, None], State.DIVERGING)):
        (found,) = diagnose(made_up({"rung": scores}), Learning({"rung": nothing}))
        assert found.state is state


def test_a_small_real_study_is_diagnosed(study: Callable[..., SavedStudy]) -> None:
    found = diagnose(study(seeds=1), Learning({}))
    assert [one.rung for one in found] == ["baseline", "standardize", "augment"]
    for one in found:
        # One epoch on 216 digits teaches next to nothing, so nothing can be memorized.
        assert one.state in (State.UNDER_FITTING, State.UNCLEAR)
        assert one.evidence


def test_where_test_is_watched_its_curve_is_read(made_up: MadeUp) -> None:
    study = made_up({"rung": [0.5]}, validation=0.0)
    (found,) = diagnose(study, Learning({}))
    assert "on test images" in found.evidence


@pytest.mark.parametrize(("validation", "watched", "images"), [(0.1, "validation", 1_000), (0.0, "test", 10_000)])
def test_the_error_of_a_watched_accuracy_is_of_as_many_images_as_were_watched(
    made_up: MadeUp, validation: float, watched: str, images: int
) -> None:
    study = made_up({"rung": [0.5, 0.6]}, validation=validation)
    found = mean_curves(study, study.record.rungs[0], study.trials, None)
    assert (found.watched, found.watched_images) == (watched, images)
    assert found.end_error == pytest.approx(math.sqrt(found.end * (1 - found.end) / images), rel=0.01)


# Whatever the curves.

SHARES = st.floats(0.0, 1.0)
LOSSES = st.floats(1e-6, 20.0)


@st.composite
def any_curves(draw: st.DrawFn) -> Curves:
    epochs, seeds = draw(st.integers(1, 24)), draw(st.integers(1, 4))

    def several(values: st.SearchStrategy[float], number: int) -> list[float]:
        return draw(st.lists(values, min_size=number, max_size=number))

    ends: dict[str, Any] = {name: several(SHARES, seeds) for name in ("seeds_train", "seeds_watched")}
    return Curves(
        train_loss=several(LOSSES, epochs + 1),
        train_accuracy=[*several(SHARES, epochs), sum(ends["seeds_train"]) / seeds],
        watched_loss=several(LOSSES, epochs + 1),
        watched_accuracy=[*several(SHARES, epochs), sum(ends["seeds_watched"]) / seeds],
        watched="validation",
        guessing=LN10,
        chance=draw(st.floats(0.05, 0.95)),
        train_images=draw(st.integers(1, 5000)),
        watched_images=draw(st.integers(1, 50_000)),
        seeds_loss=[several(LOSSES, epochs + 1) for _ in range(seeds)],
        **ends,
    )


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(any_curves())
def test_any_curves_have_exactly_one_state(made: Curves) -> None:
    holding = [rule.state for rule in RULES if rule.reads and rule.reads(made)]
    state, sign = read_curves(made)
    assert state is holding[0]
    assert holding[-1] is State.GOOD
    assert sign.evidence
    assert len(set(sign.steps)) == len(sign.steps)
    assert (not sign.steps) == (state is State.GOOD)


@settings(max_examples=100, deadline=None)
@given(any_curves())
def test_on_ten_times_the_images_no_gap_is_lost(made: Curves) -> None:
    more = replace(made, watched_images=10 * made.watched_images, train_images=10 * made.train_images)
    assert more.gap_error <= made.gap_error + 1e-12
    assert more.has_gap or not made.has_gap


def test_the_table_has_every_state_once_and_the_page_has_the_table() -> None:
    assert [rule.state for rule in RULES] == list(State)
    page = (REPOSITORY / "docs" / "report.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert f"| {rule.state} | {rule.curve} | {rule.words} | {rule.source} |" in page
