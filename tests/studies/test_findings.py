"""Everything that may be said of a study is worked out once, and chosen by validation alone."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe
from stepladder.studies import findings as module
from stepladder.studies.bag_of_words import add_bag_of_words
from stepladder.studies.files.gallery import read_gallery
from stepladder.studies.files.records import AddedSeeds, ContrastRecord, Reading, SavedStudy
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import (
    VERDICTS_VERSION,
    Findings,
    Order,
    ShownReason,
    Uneven,
    find_shown_model,
    make_findings,
    to_document,
    work_out,
)
from stepladder.studies.judging.choice import Choice, ChoiceReason
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.statistics import cut_interval, welch_interval

MadeUp = Callable[..., SavedStudy]
RunStudy = Callable[..., SavedStudy]


def validated(study: SavedStudy, scores: dict[str, list[float]]) -> SavedStudy:
    """The study with these validation accuracies, a value a seed."""
    trials = tuple(
        replace(trial, result=trial.result.model_copy(update={"val_accuracy": scores[trial.rung][trial.seed]}))
        for trial in study.trials
    )
    return replace(study, trials=trials)


def change(study: SavedStudy, **settings: Any) -> SavedStudy:
    return replace(study, record=study.record.model_copy(update=settings))


# Worked out once.


@pytest.mark.long
def test_rungs_and_effects_are_worked_out_once(study: RunStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counting(name: str) -> Callable[..., Any]:
        real = getattr(module, name)

        def count(*values: Any) -> Any:
            calls.append(name)
            return real(*values)

        return count

    names = ["weigh_effects", "summarize_rungs", "diagnose", "advise", "choose_recipe", "gather_trial_facts"]
    names += ["judge_test_set", "read_answers"]
    saved = study()
    for name in names:
        monkeypatch.setattr(module, name, counting(name))
    made = make_findings(saved)
    assert sorted(calls) == sorted(names)
    # Neither the document nor anything that is looked up later works them out again.
    to_document(made)
    assert made.rung("augment") is made.rungs[2]
    assert made.techniques == made.effects
    assert made.kinds == ("ladder",)
    assert made.network is made.network
    assert sorted(calls) == sorted(names)


@pytest.mark.long
def test_the_kind_of_the_plan_decides_what_is_said(study: RunStudy, made_up_sweep: MadeUp) -> None:
    assert isinstance(work_out(study(seeds=1)), Findings)
    assert isinstance(work_out(made_up_sweep(["optimizer.lr=0.1,1"], [[0.9], [0.8]])), SweepFindings)


@pytest.mark.long
def test_a_real_study_has_everything(study: RunStudy, digits: ImageSet) -> None:
    saved = study()
    add_bag_of_words(saved, digits)
    made = make_findings(saved)
    assert (made.together, made.interactions) == (2, 0)
    assert made.limits.read
    assert made.limits.finished
    assert [one.rung for one in made.diagnosis] == [one.rung for one in made.curves.rungs] == list(made.test_set.rungs)  # type: ignore[union-attr]
    assert made.shown is not None
    assert made.answers is not None
    assert made.answers.accuracy == pytest.approx(made.shown.trial.result.test_accuracy)
    assert made.gallery == read_gallery(saved.folder, 10)
    assert made.network is not None
    assert made.network.rung == made.shown.trial.rung
    # The bag of words against the first rung: nothing is paired.
    assert made.bag is not None
    theirs = list(made.rungs[0].scores.values())
    assert made.bag.rung == "baseline"
    assert made.bag.difference == pytest.approx(np.mean(theirs) - np.mean(made.bag.scores))
    assert made.bag.bounds == cut_interval(welch_interval(theirs, made.bag.scores), 1.0)
    # A study is shown in notebooks and error messages: no value is pages long.
    assert len(repr(made)) < 500
    for field in fields(made):
        value = getattr(made, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            assert len(repr(each)) < 500, field.name


@pytest.mark.long
def test_the_images_of_a_model_that_more_seeds_replaced_are_not_shown(study: RunStudy) -> None:
    saved = study(seeds=1)
    gallery = json.loads((saved.folder / "gallery.json").read_text())
    (saved.folder / "gallery.json").write_text(json.dumps({**gallery, "trial": "another"}))
    made = make_findings(saved)
    assert made.answers is not None
    assert made.gallery is None


def test_before_anything_has_ended_there_is_little_to_say(made_up: MadeUp) -> None:
    study = replace(made_up({"low": [0.7, 0.7], "high": [0.8, 0.8]}), trials=())
    made = make_findings(study)
    assert (made.limits.planned, made.limits.missing, made.limits.finished, made.limits.read) == (4, 4, False, False)
    assert (made.shown, made.answers, made.test_set, made.highest) == (None, None, None, ())
    assert made.choice == Choice(ChoiceReason.TOO_FEW)
    assert [effect.verdict for effect in made.effects] == [None]
    json.dumps(to_document(made), allow_nan=False)


# The model whose mistakes are shown.


def test_validation_chooses_rung_and_seed_and_test_does_not(made_up: MadeUp) -> None:
    study = validated(made_up({"a": [0.9, 0.9], "b": [0.1, 0.2]}), {"a": [0.5, 0.6], "b": [0.8, 0.7]})
    shown = find_shown_model(study)
    assert shown is not None
    assert (shown.trial.rung, shown.trial.seed, shown.reason, shown.seeds) == ("b", 0, ShownReason.CHOSEN, 2)
    assert (shown.recommended, shown.best) == (True, None)


def test_the_model_shown_is_of_the_recommended_rung(made_up: MadeUp) -> None:
    # 1,000 validation images: one more of them is noise, 100 are none.
    study = validated(made_up({"a": [0.1], "b": [0.9], "c": [0.9]}), {"a": [0.7], "b": [0.701], "c": [0.6]})
    made = make_findings(study)
    assert made.shown is not None
    assert (made.shown.trial.rung, made.shown.best) == (made.choice.rung, made.choice.best) == ("a", "b")
    told = make_findings(validated(study, {"a": [0.7], "b": [0.8], "c": [0.6]}))
    assert told.shown is not None
    assert (told.shown.trial.rung, told.shown.best, told.choice.rung) == ("b", None, "b")


def test_a_rung_with_a_failed_seed_is_not_recommended(made_up: MadeUp) -> None:
    study = validated(made_up({"a": [0.5, 0.5], "b": [0.9, None]}), {"a": [0.5, 0.5], "b": [0.9, 0.9]})
    shown = find_shown_model(study)
    assert shown is not None
    assert (shown.trial.rung, shown.recommended) == ("a", True)
    all_failed = validated(made_up({"a": [None, 0.5], "b": [0.9, None]}), {"a": [0.5, 0.5], "b": [0.9, 0.9]})
    shown = find_shown_model(all_failed)
    assert shown is not None
    assert (shown.trial.rung, shown.trial.seed, shown.reason) == ("b", 0, ShownReason.ALL_FAILED)


def test_without_validation_nothing_is_recommended(made_up: MadeUp) -> None:
    shown = find_shown_model(made_up({"a": [0.5, 0.5], "b": [0.9, 0.8]}, validation=0.0))
    assert shown is not None
    assert (shown.trial.rung, shown.trial.seed, shown.recommended) == ("b", 0, False)
    assert shown.reason is ShownReason.NO_VALIDATION
    assert find_shown_model(made_up({"a": [None]})) is None


# The recipe to use now.


def test_the_simplest_within_noise_of_the_best_is_chosen_by_validation(made_up: MadeUp) -> None:
    scores = {"a": [0.9, 0.9], "b": [0.1, 0.2], "c": [0.5, 0.5]}
    study = validated(made_up(scores), {"a": [0.5, 0.6], "b": [0.745, 0.755], "c": [0.75, 0.76]})
    choice = make_findings(study).choice
    assert (choice.reason, choice.rung, choice.seeds, choice.best) == (ChoiceReason.SIMPLEST, "b", 2, "c")
    assert choice.validation == pytest.approx(0.75)
    assert choice.best_validation == pytest.approx(0.755)
    assert choice.behind == pytest.approx(0.005)
    assert not choice.without_failed


def test_means_that_differ_by_rounding_alone_are_equal(made_up: MadeUp) -> None:
    shares = {"a": [1 / 36, 2 / 36, 8 / 36], "b": [1 / 36, 1 / 36, 9 / 36]}  # eleven images of 108 each
    assert fmean(shares["a"]) < fmean(shares["b"])
    made = make_findings(validated(made_up({"a": [0.5] * 3, "b": [0.5] * 3}), shares))
    assert (made.choice.reason, made.choice.rung, made.choice.best) == (ChoiceReason.LOWEST, "a", "a")


def test_rungs_with_a_failed_trial_are_passed_over_and_that_is_said(made_up: MadeUp) -> None:
    values = {"a": [0.5, 0.5], "b": [0.6, 0.6], "c": [0.9, 0.9]}
    study = validated(made_up({"a": [0.5, 0.5], "b": [0.6, 0.6], "c": [0.9, None]}), values)
    choice = make_findings(study).choice
    assert (choice.rung, choice.without_failed) == ("b", True)
    one_left = validated(made_up({"a": [0.5, 0.5], "b": [0.6, None], "c": [0.9, None]}), values)
    assert make_findings(one_left).choice.reason is ChoiceReason.TOO_FEW
    watched = validated(made_up({"a": [0.5, 0.5], "b": [0.6, 0.6]}), values)
    assert make_findings(change(watched, validation=0.0)).choice == Choice(ChoiceReason.NO_VALIDATION)


def test_the_highest_on_test_is_a_description(made_up: MadeUp) -> None:
    scores: dict[str, list[float | None]] = {"a": [0.7, 0.9], "b": [0.8, 0.8], "c": [0.6, None]}
    assert make_findings(made_up(scores)).highest == ("a", "b")
    # The made-up losses are 1 - accuracy, and less of them is better.
    by_loss = make_findings(made_up({"a": [0.7], "b": [0.8]}, metric="nll"))
    assert by_loss.highest == ("b",)


# What the effects say together.


def contrast(name: str, design: str, rung: str, below: str) -> ContrastRecord:
    return ContrastRecord.model_validate({"name": name, "design": design, "weights": {rung: 1.0, below: -1.0}})


def test_a_technique_whose_two_intervals_do_not_meet_depends_on_the_order(made_up: MadeUp) -> None:
    # x brings much on the baseline and nothing to all, z little on top and much to all; y the same in both places.
    noise = np.array([0.0, 0.0004, -0.0004])
    levels = {
        "baseline": 0.5,
        "x": 0.6,
        "y": 0.65,
        "z": 0.66,
        "all": 0.66,
        "without x": 0.65,
        "without y": 0.61,
        "without z": 0.5,
    }
    scores = {name: list(level + (i + 1) * noise) for i, (name, level) in enumerate(levels.items())}
    contrasts = (
        contrast("x", "ladder", "x", "baseline"),
        contrast("y", "ladder", "y", "x"),
        contrast("z", "ladder", "z", "y"),
        contrast("x", "leave-one-out", "all", "without x"),
        contrast("y", "leave-one-out", "all", "without y"),
        contrast("z", "leave-one-out", "all", "without z"),
    )
    made = make_findings(made_up(scores, contrasts=contrasts))
    assert made.order == Order(apart=("x", "z"), alike=("y",))
    assert made.kinds == ("ladder", "leave-one-out")
    assert make_findings(made_up(scores)).order is None
    one_seed = {name: values[:1] for name, values in scores.items()}
    assert make_findings(made_up(one_seed, contrasts=contrasts)).order == Order((), ())


def test_the_shares_of_a_factorial_add_up_to_the_gain(made_up: MadeUp) -> None:
    scores = {"baseline": [0.5, 0.51], "a": [0.6, 0.61], "b": [0.56, 0.58], "a+b": [0.68, 0.7]}
    half = {
        "a": {"baseline": -0.5, "a": 0.5, "b": -0.5, "a+b": 0.5},
        "b": {"baseline": -0.5, "a": -0.5, "b": 0.5, "a+b": 0.5},
    }
    cross = {"baseline": 1.0, "a": -1.0, "b": -1.0, "a+b": 1.0}
    contrasts = (
        *(ContrastRecord.model_validate({"name": n, "design": "shapley", "weights": w}) for n, w in half.items()),
        ContrastRecord.model_validate({"name": "a × b", "design": "interaction", "weights": cross}),
    )
    made = make_findings(made_up(scores, contrasts=contrasts))
    assert made.gain == pytest.approx(np.mean([0.68 - 0.5, 0.7 - 0.51]))
    assert [effect.name for effect in made.techniques] == ["a", "b"]
    assert (made.together, made.interactions) == (2, 1)
    assert make_findings(made_up({"a": [0.5], "b": [0.6]})).gain is None
    # One is decided at the first look, the other at the last: shares of different seeds add up to nothing.
    noise = [0.0, 0.002, -0.002, 0.001, -0.001]
    levels = {"baseline": (0.5, 1), "a": (0.7, 2), "b": (0.501, 20), "a+b": (0.701, 30)}
    scores = {name: [level + k * one for one in noise] for name, (level, k) in levels.items()}
    auto = make_findings(made_up(scores, looks=(3, 5), contrasts=contrasts[:2]))
    assert [effect.n for effect in auto.techniques] == [3, 5]
    assert auto.gain is None


# What a reader must know first.


def test_limits_name_what_bounds_the_figures(made_up: MadeUp) -> None:
    study = made_up({"low": [0.7, 0.71, 0.72], "high": [0.8, None, 0.82]})
    failed = study.trials[4].result.model_copy(update={"failure": "out of memory"})
    trials = (*study.trials[:4], replace(study.trials[4], result=failed))
    time = "2026-01-31T12:00:00+00:00"
    added = (
        AddedSeeds(seeds=(1,), time=time, after_reading=False),
        AddedSeeds(seeds=(2,), time=time, after_reading=True),
    )
    again = Reading(time=time, kind="again", look=1, plan_hash="", trials=("low-0",), ended=True)
    study = replace(change(study, added=added), trials=trials, readings=(again,), edited="study.json was edited")
    limits = make_findings(study).limits
    assert limits.edited == "study.json was edited"
    assert (limits.added_before, limits.added_after, limits.read_again) == ((1,), (2,), True)
    assert [(one.rung, one.seed, one.reason) for one in limits.failed] == [("high", 1, "out of memory")]
    assert limits.failed_counts_as == 0.1
    assert (limits.planned, limits.missing, limits.finished, limits.read) == (6, 1, True, True)
    assert not limits.watched_test
    watched = make_findings(change(study, validation=0.0, metric="nll")).limits
    assert watched.watched_test
    assert watched.failed_counts_as == pytest.approx(math.log(10))


def test_uneven_classes_are_found_by_the_labels_that_the_folder_keeps(made_up: MadeUp, tmp_path: Path) -> None:
    study = made_up({"low": [0.7, 0.71], "high": [0.8, 0.81]})
    assert make_findings(study).uneven is None, "no labels, no word"
    counts = {"train": 900, "validation": 0, "test": 100}
    data = study.record.data.model_copy(update={"counts": counts, "class_names": ("cat", "dog", "lynx")})
    study = change(study, data=data)
    for of_lynx, expected in ((40, Uneven(1000, "cat", 600, "lynx", 40)), (300, None)):
        labels = np.repeat([0, 1, 2], [600 if of_lynx == 40 else 400, 360 if of_lynx == 40 else 300, of_lynx])
        save_file({"digests": np.zeros(1000, np.uint64), "labels": labels}, str(tmp_path / "images.safetensors"))
        made = make_findings(study)
        assert made.uneven == expected
        assert to_document(made)["uneven"] == (None if expected is None else asdict(expected))


def test_what_was_not_read_is_not_called_read(made_up: MadeUp) -> None:
    study = made_up({"low": [0.7], "high": [0.8]})
    nothing = {"test_accuracy": None, "test_loss": None}
    unread = tuple(replace(one, result=one.result.model_copy(update=nothing)) for one in study.trials)
    made = make_findings(replace(study, trials=unread))
    assert (made.limits.finished, made.limits.read) == (True, False)
    assert (made.test_set, made.answers) == (None, None)
    everything_failed = make_findings(made_up({"low": [None], "high": [None]}))
    assert (everything_failed.limits.finished, everything_failed.limits.read) == (False, False)


# verdicts.json.


@pytest.mark.soak
def test_the_document_is_the_same_in_any_folder_and_has_no_times_and_no_paths(
    study: RunStudy, tmp_path: Path, digits: ImageSet, two_rungs: Recipe
) -> None:
    first, second = (study(out=tmp_path / name, recipe=two_rungs) for name in ("first", "second"))
    for saved in (first, second):
        add_bag_of_words(saved, digits)
    documents = [to_document(make_findings(load_study(saved.folder))) for saved in (first, second)]
    texts = [json.dumps(document, allow_nan=False) for document in documents]
    assert texts[0] == texts[1]
    assert first.trials[0].result.seconds != second.trials[0].result.seconds
    assert documents[0]["version"] == VERDICTS_VERSION
    assert len(documents[0]["effects"]) == 2
    assert documents[0]["shown"]["trial"] == make_findings(first).shown.trial.result.trial  # type: ignore[union-attr]
    assert documents[0]["bag_of_words"]["missing"] == 0
    keys: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            keys.update(value)
            value = list(value.values())
        for each in value if isinstance(value, list | tuple) else ():
            walk(each)

    walk(json.loads(texts[0]))
    assert not keys & {"seconds", "cpu_seconds", "time", "created", "finished_at", "folder", "machine", "command"}
    times = {first.record.created, *(trial.result.finished for trial in first.trials)}
    assert not [moment for moment in times if moment in texts[0]]
    assert str(tmp_path) not in texts[0]


def test_every_figure_is_in_the_document(made_up: MadeUp) -> None:
    made = make_findings(
        validated(made_up({"low": [0.7, 0.72], "high": [0.8, 0.81]}), {"low": [0.7, 0.7], "high": [0.8, 0.8]})
    )
    document = json.loads(json.dumps(to_document(made)))
    (effect,) = document["effects"]
    assert (effect["name"], effect["design"], effect["verdict"]) == ("high", "ladder", made.effects[0].verdict)
    assert effect["mean"] == pytest.approx(0.095)
    assert document["rungs"][1]["mean"] == pytest.approx(0.805)
    assert (document["choice"]["reason"], document["choice"]["rung"]) == ("best", "high")
    assert [one["state"] for one in document["diagnosis"]] == [one.state for one in made.diagnosis]
    assert [one["advice"] for one in document["diagnosis"]] == [one.advice for one in made.diagnosis]
    assert document["advice"] == made.advice is not None
    assert document["judged_together"] == {"techniques": 1, "interactions": 0}
    assert document["limits"]["failed_counts_as"] == 0.1
    assert (document["metric"], document["alpha"], document["smallest_effect"]) == ("accuracy", 0.05, 0.005)
