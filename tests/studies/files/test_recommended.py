from collections.abc import Callable
from dataclasses import replace

from stepladder.studies.files.recommended import find_shown_model
from stepladder.studies.files.records import SavedStudy

MakeUp = Callable[..., SavedStudy]


def validated(study: SavedStudy, scores: dict[str, list[float]]) -> SavedStudy:
    trials = tuple(
        replace(trial, result=trial.result.model_copy(update={"val_accuracy": scores[trial.rung][trial.seed]}))
        for trial in study.trials
    )
    return replace(study, trials=trials)


def test_validation_chooses_rung_and_seed_and_test_does_not(made_up: MakeUp) -> None:
    study = validated(made_up({"a": [0.9, 0.9], "b": [0.1, 0.2]}), {"a": [0.5, 0.6], "b": [0.8, 0.7]})
    shown = find_shown_model(study)
    assert shown is not None
    assert (shown.label, shown.recommended) == ("b, seed 0", True)
    assert shown.why.startswith("Its rung has the highest validation accuracy; of its 2 seeds")


def test_a_tie_goes_to_the_lower_rung_and_is_said(made_up: MakeUp) -> None:
    study = validated(made_up({"a": [0.1], "b": [0.9], "c": [0.9]}), {"a": [0.7], "b": [0.7], "c": [0.6]})
    shown = find_shown_model(study)
    assert shown is not None
    assert shown.trial.rung == "a"
    assert "b has as much; of equals the lowest rung is taken" in shown.why


def test_a_rung_with_a_failed_seed_is_not_recommended(made_up: MakeUp) -> None:
    study = validated(made_up({"a": [0.5, 0.5], "b": [0.9, None]}), {"a": [0.5, 0.5], "b": [0.9, 0.9]})
    shown = find_shown_model(study)
    assert shown is not None
    assert (shown.trial.rung, shown.recommended) == ("a", True)


def test_without_validation_nothing_is_recommended(made_up: MakeUp) -> None:
    shown = find_shown_model(made_up({"a": [0.5, 0.5], "b": [0.9, 0.8]}, validation=0.0))
    assert shown is not None
    assert (shown.label, shown.recommended) == ("b, seed 0", False)
    assert "nothing may choose" in shown.why
    assert find_shown_model(made_up({"a": [None]})) is None
