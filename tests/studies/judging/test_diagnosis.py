import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.diagnosis import diagnose
from stepladder.training.history import EpochRecord

MadeUp = Callable[..., SavedStudy]
Curve = list[float]
LN10 = math.log(10)

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


def history(train: Curve, train_accuracy: float, val: Curve, val_accuracy: float) -> tuple[EpochRecord, ...]:
    """Curves of loss; accuracy is only looked at where they end."""
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


def findings(made_up: MadeUp, *seeds: tuple[EpochRecord, ...]) -> dict[str, str]:
    study = made_up({"rung": [0.5] * len(seeds)})
    trials = tuple(replace(trial, history=rows) for trial, rows in zip(study.trials, seeds, strict=True))
    (diagnosis,) = diagnose(replace(study, trials=trials))
    return {finding.name: f"{finding.evidence}: {finding.experiment}" for finding in diagnosis.findings}


@pytest.mark.parametrize("rung", REFERENCE)
def test_the_reference_study_over_fits_on_its_first_two_rungs_alone(made_up: MadeUp, rung: str) -> None:
    found = findings(made_up, history(*REFERENCE[rung]))
    assert ("over-fitting" in found) == (rung in ("baseline", "standardize"))


def test_over_fitting_names_the_turn_and_the_next_experiment(made_up: MadeUp) -> None:
    found = findings(made_up, history(*REFERENCE["baseline"]))
    assert found == {
        "over-fitting": "validation loss turned at epoch 9 (0.955) and rose to 1.770 while training loss went on to "
        "0.057; accuracy is 98.0 % on training and 69.5 % on validation images: try more augmentation, dropout or "
        "weight decay, or more images"
    }


def falling(start: float, end: float, epochs: int = 20) -> Curve:
    """Quickly at first, then level."""
    return [end + (start - end) * math.exp(-epoch / 2) for epoch in range(epochs + 1)]


FLAT_END = falling(LN10, 0.3)
CASES: dict[str, tuple[tuple[EpochRecord, ...], set[str]]] = {
    "healthy": (history(FLAT_END, 0.95, falling(LN10, 0.35), 0.93), {"healthy"}),
    "memorized": (history(falling(LN10, 0.001), 1.0, falling(LN10, 0.05), 0.99), {"memorized"}),
    "under-fitting": (history(falling(LN10, 0.9), 0.70, falling(LN10, 0.95), 0.68), {"under-fitting"}),
    "still improving": (
        history(FLAT_END, 0.95, [2.3 * 0.93**epoch for epoch in range(21)], 0.93),
        {"still improving"},
    ),
    "dead start": (history([LN10] * 21, 0.1, [LN10] * 21, 0.1), {"dead start", "under-fitting"}),
    "late start": (history([LN10] * 6 + falling(LN10, 0.3, 14), 0.95, falling(LN10, 0.35), 0.93), {"dead start"}),
    "diverging": (
        history([*falling(LN10, 0.5, 15), 1.0, 2.0, 3.0, 4.0, 5.0], 0.93, falling(LN10, 0.6), 0.91),
        {"diverging"},
    ),
    "learning rate too high": (
        history([LN10, *(0.6 if epoch % 2 else 0.5 for epoch in range(20))], 0.92, falling(LN10, 0.6), 0.9),
        {"learning rate too high"},
    ),
    "learning rate too low": (
        history([2.3 - 0.04 * epoch for epoch in range(21)], 0.45, [2.3 - 0.02 * epoch for epoch in range(21)], 0.44),
        {"learning rate too low", "under-fitting", "still improving"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_synthetic_curve_shows_what_was_put_in(made_up: MadeUp, case: str) -> None:
    rows, expected = CASES[case]
    found = findings(made_up, rows)
    assert set(found) == expected
    assert all(found.values())


def test_seeds_that_end_far_apart_are_unstable(made_up: MadeUp) -> None:
    far = [history(FLAT_END, 0.95, falling(LN10, 0.35), end) for end in (0.93, 0.93, 0.85)]
    assert "unstable between seeds" in findings(made_up, *far)
    near = [history(FLAT_END, 0.95, falling(LN10, 0.35), end) for end in (0.93, 0.92, 0.94)]
    assert set(findings(made_up, *near)) == {"healthy"}


def test_failed_seeds_are_a_finding(made_up: MadeUp) -> None:
    study = made_up({"rung": [0.5, None, None]})
    rows = history(FLAT_END, 0.95, falling(LN10, 0.35), 0.93)
    (diagnosis,) = diagnose(replace(study, trials=tuple(replace(trial, history=rows) for trial in study.trials)))
    assert diagnosis.names() == ("diverging",)
    assert diagnosis.findings[0].evidence == "2 of 3 seeds ended in a loss that is no number"


def test_a_seed_that_failed_for_another_reason_is_no_divergence(made_up: MadeUp) -> None:
    study = made_up({"rung": [0.5, None, None]})
    rows = history(FLAT_END, 0.95, falling(LN10, 0.35), 0.93)
    trials = [replace(trial, history=rows) for trial in study.trials]
    failed = [position for position, trial in enumerate(trials) if trial.result.status == "failed"]
    raised = trials[failed[0]].result.model_copy(update={"failure": "blur.augment raised ValueError: too late"})
    trials[failed[0]] = replace(trials[failed[0]], result=raised)
    (diagnosis,) = diagnose(replace(study, trials=tuple(trials)))
    assert diagnosis.names() == ("diverging", "failed")
    assert [finding.evidence for finding in diagnosis.findings] == [
        "1 of 3 seeds ended in a loss that is no number",
        "1 of 3 seeds failed: blur.augment raised ValueError: too late",
    ]


def test_a_small_real_study_is_diagnosed(study: Callable[..., SavedStudy]) -> None:
    diagnoses = diagnose(study(seeds=1))
    assert [diagnosis.rung for diagnosis in diagnoses] == ["baseline", "standardize", "augment"]
    for diagnosis in diagnoses:
        # One epoch on 216 digits teaches next to nothing, so nothing can be memorized or over-fitted.
        assert not {"memorized", "over-fitting", "learning rate too high"} & set(diagnosis.names())
        assert all(finding.evidence for finding in diagnosis.findings)
