import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from stepladder.studies.files.records import SavedStudy, SavedTrial
from stepladder.studies.judging.curves import draw_up_curves, mean_curve
from stepladder.training.history import EpochRecord

MadeUp = Callable[..., SavedStudy]


def rows(*losses: float, accuracy: float = 0.5, watches: str = "val") -> tuple[EpochRecord, ...]:
    """Training losses of the epochs from 0 on; the watched ones are a tenth higher."""
    return tuple(
        replace(
            EpochRecord(epoch, 0.1, None, loss, accuracy, 1.0, None),
            **{f"{watches}_loss": loss + 0.1, f"{watches}_accuracy": accuracy - 0.1},
        )
        for epoch, loss in enumerate(losses)
    )


def with_rows(study: SavedStudy, **histories: tuple[EpochRecord, ...]) -> SavedStudy:
    """The study with histories by ``rung_seed``."""
    trials = tuple(replace(one, history=histories[f"{one.rung}_{one.seed}"]) for one in study.trials)
    return replace(study, trials=trials)


def test_mean_lowest_and_highest_over_the_seeds(made_up: MadeUp) -> None:
    study = made_up({"a": [0.5, 0.5, None], "b": [0.6, 0.6, 0.6]})
    same = rows(2.0, 1.0)
    study = with_rows(
        study,
        a_0=rows(2.3, 1.0, 0.4, accuracy=0.8),
        a_1=rows(2.3, 2.0, 0.6, accuracy=0.6),
        a_2=rows(2.3, 9.0),
        b_0=same,
        b_1=same,
        b_2=same,
    )
    found = draw_up_curves(study)
    assert (found.watched, found.last_epoch) == ("validation", 2)
    first = found.rungs[0]
    assert (first.rung, first.finished) == ("a", 2)
    curve = first.mean.train["loss"]
    assert (curve.epochs, curve.mean) == ([0, 1, 2], pytest.approx([2.3, 1.5, 0.5]))
    assert (curve.low, curve.high) == ([2.3, 1.0, 0.4], [2.3, 2.0, 0.6])
    assert (curve.at(1), curve.at(3)) == (pytest.approx(1.5), None)
    assert first.mean.watched["loss"].mean == pytest.approx([2.4, 1.6, 0.6])
    assert first.mean.train["accuracy"].mean == pytest.approx([0.7] * 3)
    assert first.mean.watched["accuracy"].mean == pytest.approx([0.6] * 3)
    # A failed trial is drawn alone, and is no part of the mean.
    assert list(first.failed) == [2]
    assert first.failed[2].train["loss"].mean == [2.3, 9.0]
    assert found.rungs[1].failed == {}


def test_only_epochs_that_every_trial_measured_have_a_mean(made_up: MadeUp) -> None:
    one, other = made_up({"a": [0.5, 0.5]}).trials
    trials: list[SavedTrial] = [
        replace(one, history=rows(2.0, 1.0, 0.5)),
        replace(other, history=rows(2.0, 1.2, math.inf)),
    ]
    assert mean_curve(trials, "train_loss").epochs == [0, 1]
    assert mean_curve(trials, "test_loss").epochs == []
    assert mean_curve([], "train_loss").mean == []


def test_without_validation_the_test_curve_is_drawn(made_up: MadeUp) -> None:
    study = with_rows(made_up({"a": [0.5]}, validation=0.0), a_0=rows(2.0, 1.0, watches="test"))
    found = draw_up_curves(study)
    assert found.watched == "test"
    assert found.rungs[0].mean.watched["loss"].mean == pytest.approx([2.1, 1.1])


def test_the_axis_of_losses_ends_where_guessing_or_the_curves_do(made_up: MadeUp) -> None:
    guessing = math.log(10)
    low = draw_up_curves(with_rows(made_up({"a": [0.5]}), a_0=rows(2.3, 0.5)))
    assert (low.loss_ceiling, low.clipped) == (pytest.approx(1.06 * 1.1 * guessing), False)
    higher = draw_up_curves(with_rows(made_up({"a": [0.5]}), a_0=rows(2.3, 4.9)))
    assert (higher.loss_ceiling, higher.clipped) == (pytest.approx(1.06 * 5.0), False)
    highest = draw_up_curves(with_rows(made_up({"a": [0.5]}), a_0=rows(2.3, 50.0)))
    assert (highest.loss_ceiling, highest.clipped) == (pytest.approx(4 * guessing), True)
    # A failed trial does not stretch the axis.
    failed = draw_up_curves(with_rows(made_up({"a": [0.5, None]}), a_0=rows(2.3, 0.5), a_1=rows(2.3, 1e6)))
    assert (failed.loss_ceiling, failed.clipped) == (low.loss_ceiling, True)


def test_a_study_without_trials_has_empty_curves(made_up: MadeUp) -> None:
    found = draw_up_curves(replace(made_up({"a": [0.5]}), trials=()))
    assert (found.last_epoch, found.rungs[0].finished, found.rungs[0].mean.train["loss"].epochs) == (0, 0, [])
    assert not found.clipped
