import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from stepladder.datasets import ImageSet, Split
from stepladder.datasets.audit import LeakCheck
from stepladder.errors import StorageError, StudyError
from stepladder.recipe import Recipe, change_settings, load_recipe
from stepladder.studies.check import check_study
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.rules import Look, Rules, seeds_or_default
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bits import trial_bits
from stepladder.studies.files.integrity import find_edit, hash_plan
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import LookRecord, SavedStudy, TrialResult
from stepladder.studies.files.store import planned_trials
from stepladder.studies.findings import make_findings
from stepladder.studies.judging.statistics import summarize_rungs, weigh_effects
from stepladder.studies.judging.trial_facts import gather_trial_facts
from stepladder.studies.judging.verdicts import VERDICTS, rounding_sd, settle, weigh
from stepladder.studies.running.callbacks import CallbackList, Callbacks, Schedule
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import next_look, plan_study, thin_out
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.stop import Stop

RunStudy = Callable[..., SavedStudy]
MadeUp = Callable[..., SavedStudy]
CPU = Execution("cpu", "float32")


class Interrupt(Callbacks):
    """Presses Ctrl-C when the given trial starts."""

    def __init__(self, number: int) -> None:
        self.left = number

    def trial_started(self, trial: Trial) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def weights(study: SavedStudy) -> dict[str, bytes]:
    return {trial.folder.name: (trial.folder / "model" / "model.safetensors").read_bytes() for trial in study.trials}


@pytest.mark.long
def test_the_folder_holds_what_is_promised(study: RunStudy) -> None:
    saved = study()
    assert (saved.folder / "study.json").exists()
    assert (saved.folder / "results.csv").exists()
    assert (saved.folder / "test-readings.json").exists()
    for trial in saved.trials:
        names = {str(path.relative_to(trial.folder)) for path in trial.folder.rglob("*") if path.is_file()}
        assert names == {
            "recipe.toml",
            "history.csv",
            "result.json",
            "model/model.safetensors",
            "model/config.json",
            "model/README.md",
            "model/limits.json",
            "model/trained-on.json",
            "predictions.safetensors",
            "validation.safetensors",
            "checksums.txt",
            ".lock",
        }
        assert trial.folder.parent == saved.folder / "trials"


@pytest.mark.long
def test_the_same_study_twice_runs_nothing(study: RunStudy, counter: Any) -> None:
    first = study()
    assert study(callbacks=counter) == first
    assert counter.started == []


@pytest.mark.long
def test_more_seeds_run_only_what_is_missing_and_change_nothing(study: RunStudy, counter: Any) -> None:
    before = weights(study(seeds=1))
    after = study(seeds=2, callbacks=counter)
    assert counter.started == [("baseline", 1), ("standardize", 1), ("augment", 1)]
    assert before.items() <= weights(after).items()
    assert after.record.seeds == (0, 1)


@pytest.mark.long
def test_fewer_seeds_keep_what_is_there(study: RunStudy) -> None:
    study(seeds=2)
    assert study(seeds=1).record.seeds == (0, 1)


@pytest.mark.long
def test_fewer_seeds_than_the_folder_has_are_said(study: RunStudy) -> None:
    class Told(Callbacks):
        def __init__(self) -> None:
            self.said: list[str] = []

        def message(self, sentence: str) -> None:
            self.said.append(sentence)

    first, again, same = Told(), Told(), Told()
    out = study(seeds=2, callbacks=first).folder
    study(seeds=1, callbacks=again)
    study(seeds=2, callbacks=same)
    words = f"{out} has 2 seeds by an earlier call, and `seeds` is 1: nothing is taken away, so the report is of all 2."
    assert (words in first.said, words in again.said, any("seeds by an" in one for one in same.said)) == (
        False,
        True,
        False,
    )


@pytest.mark.long
def test_fewer_seeds_train_only_those_asked_for(study: RunStudy, counter: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        study(seeds=3, callbacks=Interrupt(2))
    saved = study(seeds=1, callbacks=counter)
    assert counter.started == [("standardize", 0), ("augment", 0)]
    assert saved.missing == 6
    # Test stays unread until the plan has been run.
    assert saved.readings == ()
    assert all(trial.result.test_accuracy is None for trial in saved.trials)
    whole = study(seeds=3)
    assert [(reading.kind, len(reading.trials)) for reading in whole.readings] == [("planned", 9)]


#: What Stepladder 0.1 called these trials: whoever goes on with its studies must find them.
LADDER_IDS = {
    "baseline": ["a12c4b4fb943cb4b", "c0e10c088db3ef94"],
    "standardize": ["bef1d52215bb4085", "5fc1d4088b5a6a37"],
    "augment": ["5b941e0cc97c0b37", "24a91f3ef0eecf64"],
}


def ids(digits: ImageSet, recipe: Recipe, plan: str, seeds: int, rules: Rules) -> tuple[str, dict[str, list[str]]]:
    planned = plan_study(digits, make_design(plan, recipe), seeds=seeds, rules=rules, execution=CPU)
    found: dict[str, list[str]] = {}
    for trial in planned_trials(planned.record):
        found.setdefault(trial.rung, []).append(trial.id)
    # As plans were before looks were open: all of α at the seeds that were asked for.
    declared = {"looks": (LookRecord(seeds=seeds, share=1.0),), "spending": "declared"}
    return hash_plan(planned.record.model_copy(update=declared))[:16], found


def test_trials_and_plan_are_those_of_stepladder_0_1(digits: ImageSet, two_rungs: Recipe) -> None:
    assert ids(digits, two_rungs, "ladder", 2, Rules()) == ("fa9959c76697a346", LADDER_IDS)
    watched = {
        "baseline": ["696f6bd5572da9c0"],
        "standardize": ["d4ea31d3030bdee6"],
        "augment": ["388fb33c7b8cc3af"],
    }
    assert ids(digits, two_rungs, "ladder", 1, Rules(validation=0)) == ("a8f9ef6873ad8bb7", watched)
    best = {
        "all": ["e64e5da8bd1cbac5"],
        "without standardize": ["5437a1a9c098b1b9"],
        "without augment": ["7d4b31857ab5db5f"],
    }
    assert ids(digits, two_rungs, "leave-one-out", 1, Rules(select="best-val")) == (
        "5d09f703431cc69e",
        best,
    )


def test_a_file_is_no_folder_for_a_study(study: RunStudy, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="which is a file; choose a folder"):
        study(out=tmp_path / "file")


def test_a_name_too_long_for_the_system_is_refused(study: RunStudy, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long; choose another folder with `out`"):
        study(out=tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bag-of-words.json", "holds a bag of words; choose another folder with `out`"),
        ("baseline.json", "holds a bag of words; choose another folder with `out`"),
        ("result.json", "holds a trained model; choose another folder with `out`"),
        ("curve.json", r"holds a curve that Stepladder 0\.1 wrote; that version reads it .* makes it anew"),
    ],
)
def test_a_folder_of_another_result_is_refused(study: RunStudy, tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / name).write_text("{}")
    with pytest.raises(StudyError, match=words):
        study()
    assert [path.name for path in (tmp_path / "study").iterdir()] == [name]


def test_an_interrupted_study_continues_to_the_same_bits(study: RunStudy, tmp_path: Path, counter: Any) -> None:
    whole = study(out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        study(callbacks=Interrupt(4))
    continued = study(callbacks=counter)
    assert len(counter.started) == 3
    assert weights(continued) == weights(whole)


@pytest.mark.long
def test_another_plan_in_the_same_folder_is_refused_and_the_difference_named(
    study: RunStudy, two_rungs: Recipe, digits: ImageSet
) -> None:
    study(seeds=1)
    with pytest.raises(
        StudyError, match=r"holds another study: epochs is 1 there and 3 here\. .* were made for 1 epoch\."
    ):
        study(recipe=change_settings(two_rungs, {"epochs": "3"}))
    with pytest.raises(StudyError, match=r"padding is absent there and 1 here"):
        study(recipe=change_settings(two_rungs, {"random_crop.padding": "1"}))
    with pytest.raises(StudyError, match=r"validation is 0\.1 there and 0\.2 here"):
        study(validation=0.2)
    with pytest.raises(
        StudyError, match="data is digits there and others here; images that are gone or changed: 10 of 0, "
    ):
        study(image_set=replace(digits.limited(20), name="others"))
    # As by another default than there was when it began.
    with pytest.raises(
        StudyError, match=r"its images became squares by crop, and these by pad\. .* say `fit='crop'` to continue$"
    ):
        study(image_set=replace(digits, fit="pad"))


def test_no_seed_is_refused(study: RunStudy) -> None:
    with pytest.raises(StudyError, match="`seeds` is 0; it must be 1 to 1000 or auto"):
        study(seeds=0)


def test_a_folder_that_cannot_be_written_is_named(study: RunStudy, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*study/\.lock"):
        study(out=tmp_path / "file" / "study", seeds=1)


def test_a_failed_trial_is_counted_and_the_others_go_on(study: RunStudy, two_rungs: Recipe, counter: Any) -> None:
    saved = study(recipe=change_settings(two_rungs, {"optimizer.lr": "1e20"}), seeds=1)
    assert [trial.result.status for trial in saved.trials] == ["failed"] * 3
    assert all("not finite in epoch 1" in (trial.result.failure or "") for trial in saved.trials)
    assert all(trial.result.test_accuracy is None for trial in saved.trials)
    assert not (saved.trials[0].folder / "model").exists()
    study(recipe=change_settings(two_rungs, {"optimizer.lr": "1e20"}), seeds=1, callbacks=counter)
    assert counter.started == []


@pytest.mark.long
def test_the_plan_is_written_and_announced_before_the_first_trial(study: RunStudy, tmp_path: Path) -> None:
    class Order(Callbacks):
        schedule: Schedule | None = None

        def planned(self, schedule: Schedule) -> None:
            assert (tmp_path / "study" / "study.json").exists()
            assert not (tmp_path / "study" / "trials").exists()
            self.schedule = schedule

        def trial_ended(self, trial: Trial, result: TrialResult) -> None:
            assert self.schedule is not None

    callbacks = Order()
    study(callbacks=callbacks)
    assert callbacks.schedule is not None
    assert len(callbacks.schedule.trials) == 6
    assert all(seconds > 0 for seconds in callbacks.schedule.estimate.seconds.values())


@pytest.mark.long
def test_without_validation_all_images_train_and_the_test_curve_is_drawn(study: RunStudy, digits: ImageSet) -> None:
    saved = study(validation=0, seeds=1)
    assert "validation" not in saved.record.data.counts
    assert sum(saved.record.data.counts.values()) == len(digits.splits["train"])
    trial = saved.trials[0]
    assert trial.history[-1].test_accuracy == trial.result.test_accuracy
    assert trial.result.val_accuracy is None


def test_a_part_of_the_images_keeps_the_classes_and_is_within_a_larger_one(digits: ImageSet) -> None:
    whole = plan_study(digits, make_design("ladder", load_recipe("small")), execution=CPU).splits
    tenth, half = thin_out(whole, 0.1), thin_out(whole, 0.5)
    counts = np.bincount(whole.train.labels)
    assert (np.bincount(tenth.train.labels) == [max(1, round(0.1 * count)) for count in counts]).all()
    assert (np.bincount(half.train.labels) == [round(0.5 * count) for count in counts]).all()
    assert {image.tobytes() for image in tenth.train.images} <= {image.tobytes() for image in half.train.images}
    assert tenth.validation is half.validation is whole.validation
    assert len({tenth.fingerprint, half.fingerprint, whole.fingerprint}) == 3
    assert thin_out(whole, 1.0) is whole
    # Each class has a draw of its own: where one draw served all, classes of one size would keep the same places.
    kept = {image.tobytes() for image in half.train.images}
    images = whole.train.images
    assert len(set(counts.tolist())) < len(counts), "some classes have as many images as others"
    places = {
        tuple(place for place, image in enumerate(images[whole.train.labels == label]) if image.tobytes() in kept)
        for label in range(len(counts))
    }
    assert len(places) == len(counts)


@pytest.mark.long
def test_several_trials_take_a_core_each_and_the_precision_is_kept(
    study: RunStudy, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other one is the faster, whatever this machine is.
    monkeypatch.setattr("stepladder.studies.prepare.choose_arithmetic", lambda *_: Arithmetic("bfloat16", "measured"))
    saved = study(seeds=1)
    assert saved.record.threads == 1
    begun = {"out": saved.folder, "execution": Execution("cpu", "auto")}
    design = make_design("ladder", load_recipe("small"))
    assert plan_study(digits, design, execution=begun["execution"]).compute.precision == "bfloat16"
    assert plan_study(digits, design, **begun).compute.precision == "float32"
    assert plan_study(digits, design, execution=Execution("cpu", "float32", threads=3)).compute.threads == 3


# Studies whose truth is known: seeds that are added where nothing is decided, and studies of nothing.


def test_auto_adds_seeds_to_undecided_rungs_alone(made_up: MadeUp) -> None:
    scores: dict[str, list[float | None]] = {
        "low": [0.500, 0.501, 0.5005],
        "high": [0.900, 0.901, 0.9006],
        "open": [0.88, 0.93, 0.90],
    }
    study = made_up(scores, looks=(3, 5, 8))
    assert [effect.verdict for effect in weigh_effects(study, summarize_rungs(study))] == ["helped", "undecided"]
    following = next_look(study)
    assert following is not None
    assert following.seeds == (0, 1, 2, 3, 4)
    assert {name: len(following.seeds_of(name)) for name in scores} == {"low": 3, "high": 5, "open": 5}
    assert following.plan_hash == study.record.plan_hash
    decided = made_up({"low": scores["low"], "high": scores["high"]}, looks=(3, 5, 8))
    assert next_look(decided) is None
    assert next_look(made_up(scores, looks=(3,))) is None


class Said(Callbacks):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.mark.long
def test_auto_adds_seeds_look_by_look_and_keeps_what_is_there(study: RunStudy) -> None:
    # One epoch on few digits: everything is undecided, so that every look is taken.
    saved = study(seeds="auto", max_seeds=6)
    assert [look.seeds for look in saved.record.looks] == [3]
    assert [(reading.kind, reading.look) for reading in saved.readings] == [("planned", 1), ("look", 2)]
    assert [added.seeds for added in saved.record.added] == [(3, 4)]
    assert (saved.missing, saved.edited) == (0, None)
    assert len(saved.trials) in (13, 15)
    assert study(seeds="auto", max_seeds=6) == saved


@pytest.mark.long
def test_seeds_are_added_as_often_as_somebody_likes(study: RunStudy) -> None:
    """A fixed number, then more, then as many as it takes: one plan, whose error covers all of its looks."""
    told = Said()
    first = study(seeds=2)
    assert first.record.spending == "open"
    second = study(seeds=4, callbacks=told)
    assert told.sentences == ["This study was begun with 2 seeds and looks next at 5, so 5 are trained."]
    assert [len(second.of_rung(rung.name)) for rung in second.record.rungs] == [5, 5, 5]
    third = study(seeds="auto", max_seeds=7)
    assert [(reading.kind, reading.look) for reading in third.readings] == [("planned", 1), ("look", 2), ("look", 3)]
    assert [added.seeds for added in third.record.added] == [(2, 3, 4), (5, 6)]
    assert (third.edited, third.missing) == (None, 0)
    effects = weigh_effects(third, summarize_rungs(third))
    assert all(effect.level < 0.05 / 2 for effect in effects)
    limits = make_findings(third).limits
    assert (limits.added_before, limits.added_after, limits.read_again) == ((), (), False)
    assert study(seeds=2) == third, "fewer seeds train nothing and take nothing away"


class _AlmostOver(Stop):
    """Has a second left, always."""

    def left(self) -> float:
        return 1.0


@pytest.mark.long
def test_a_look_that_would_not_end_in_time_is_not_begun(
    study: RunStudy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Said()
    costly = gather_trial_facts(study(seeds=3))
    costly = replace(costly, costs=replace(costly.costs, seconds=900.0, at_a_time=1.0))
    monkeypatch.setattr("stepladder.studies.study.gather_trial_facts", lambda _: costly)
    first = study(seeds="auto", max_seeds=6, stop=_AlmostOver(), callbacks=told)
    assert (len(first.record.seeds), first.missing) == (3, 0)
    # 900 s for 9 trials; the look at 5 seeds adds 2 a rung that is undecided.
    assert told.sentences[-1].startswith("The next look, at 5 seeds, would take about ")
    assert told.sentences[-1].endswith(" min, and 0.0 min are left of `max_time`; the same command goes on with it.")
    assert len(study(seeds="auto", max_seeds=6).record.seeds) > 3


def test_seeds_nobody_asked_for_are_five_or_as_many_as_a_time_limit_allows() -> None:
    assert seeds_or_default(None, Rules(), bounded=False) == 5
    assert seeds_or_default(None, Rules(), bounded=True) == "auto"
    assert seeds_or_default(None, Rules(final=True), bounded=True) == 5
    assert seeds_or_default(2, Rules(), bounded=True) == 2
    assert not Execution().is_bounded
    assert Execution(max_time=3.0).is_bounded
    assert Execution(stop=Stop(3.0)).is_bounded


@pytest.mark.long
def test_one_look_with_all_of_alpha_notes_every_seed_that_comes_later(study: RunStudy) -> None:
    final = study(seeds=3, final=True)
    assert [(look.seeds, look.share) for look in final.record.looks] == [(3, 1)]
    more = study(seeds=4, final=True)
    assert [added.after_reading for added in more.record.added] == [True]
    assert make_findings(more).limits.added_after == (3,)


@pytest.mark.long
def test_each_seed_can_draw_its_own_images(study: RunStudy, digits: ImageSet, tmp_path: Path) -> None:
    saved = study(resplit=True, out=tmp_path / "resplit")
    assert saved.record.resplit
    assert (saved.edited, saved.missing) == (None, 0)
    labels = {
        (trial.rung, trial.seed): read_predictions(trial.folder)[1].tolist()  # type: ignore[index]
        for trial in saved.trials
    }
    one, other = (labels["baseline", seed] for seed in (0, 1))
    assert len(one) == len(other) == saved.record.data.counts["test"]
    assert one != other, "another seed, other test images"
    assert labels["augment", 0] == one, "the rungs of a seed share theirs"
    assert {trial.result.trial for trial in saved.trials}.isdisjoint(trial.result.trial for trial in study().trials)
    assert study(resplit=True, out=tmp_path / "resplit") == saved
    effects = weigh_effects(saved, summarize_rungs(saved))
    counts = saved.record.data.counts
    for effect in effects:
        values = np.array(list(effect.differences.values()))
        if values.std() and effect.interval and abs(effect.interval[1]) < 1:
            evidence = weigh(values, effect.level, rounding_sd(counts["test"]), counts["test"] / counts["train"])
            assert effect.interval == pytest.approx((evidence.low, evidence.high))
    assert not [fault for fault in check_study(saved.folder) if fault.is_fault]


@pytest.mark.soak
def test_processes_draw_the_same_images_for_a_seed(study: RunStudy, tmp_path: Path) -> None:
    one, other = (study(resplit=True, out=tmp_path / str(workers), workers=workers) for workers in (1, 2))
    assert trial_bits(one.folder) == trial_bits(other.folder)


def test_images_with_a_split_of_their_own_are_not_drawn_anew(
    study: RunStudy, three_splits: ImageSet, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=r"`resplit` draws .* has a test split of its own"):
        study(resplit=True, image_set=three_splits)
    assert not (tmp_path / "study").exists()


@pytest.mark.long
def test_a_study_whose_seeds_draw_their_own_images_is_another_plan(study: RunStudy) -> None:
    study()
    with pytest.raises(StudyError, match="resplit is False there and True here"):
        study(resplit=True)


@pytest.mark.long
def test_an_a_a_study_has_no_verdict_and_the_same_bits(
    study: RunStudy, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    # Rungs whose techniques have no strength, added and taken away: one and the same recipe, trained eight times with
    # each of five seeds.
    idle: list[dict[str, object]] = [
        {"name": "random_crop", "padding": 0},
        {"name": "horizontal_flip", "p": 0.0},
        {"name": "exponential_lr", "gamma": 1.0},
        {"name": "dropout", "p": 0.0},
    ]
    recipe = tiny_recipe(*idle, epochs=2)
    saved = study(recipe=recipe, plan="ladder+leave-one-out", seeds=5, out=tmp_path / "aa")
    assert len(saved.record.rungs) == 8
    for seed in range(5):
        weights = {
            (trial.folder / "model" / "model.safetensors").read_bytes() for trial in saved.trials if trial.seed == seed
        }
        assert len(weights) == 1
        assert len({trial.result.test_accuracy for trial in saved.trials if trial.seed == seed}) == 1
    assert {effect.verdict for effect in weigh_effects(saved, summarize_rungs(saved))} <= {"undecided", "equivalent"}


@pytest.mark.long
def test_real_luck_keeps_the_error_rate(study: RunStudy, tiny_recipe: Callable[..., Recipe]) -> None:
    # 15 seeds of one recipe, dealt out again and again to six rungs of five: all that differs is real luck.
    saved = study(recipe=tiny_recipe("standardize", epochs=2), seeds=15)
    random = np.random.default_rng(0)
    for rung in ("baseline", "standardize"):
        luck = [trial.result.test_accuracy or 0.0 for trial in saved.of_rung(rung)]
        assert len(set(luck)) > 5
        dealt = np.diff(random.choice(luck, (10_000, 6, 5)), axis=1)
        floor = rounding_sd(saved.record.data.counts["test"])
        verdicts, _ = settle(dealt, (Look(5, 1.0),), 0.05 / 5, 0.005, floor)
        wrong = (verdicts == VERDICTS.index("helped")) | (verdicts == VERDICTS.index("hurt"))
        assert 0.001 < wrong.any(axis=1).mean() < 0.06


# What training may not see.


@pytest.fixture
def three_splits(digits: ImageSet) -> ImageSet:
    """Digits with a test split of their own, so that it can be changed without touching the training images."""
    split = digits.splits["train"]
    positions = np.arange(len(split))
    splits = {"train": split.take(positions[positions % 4 != 0]), "test": split.take(positions[positions % 4 == 0])}
    return ImageSet("digits", digits.class_names, splits)


def training_files(study: SavedStudy) -> dict[str, bytes]:
    """Every file of training, by rung, seed and name; result.json and the card hold the test's own figures."""
    names = ("recipe.toml", "history.csv", "model/model.safetensors", "model/config.json")
    return {
        f"{trial.rung}/{trial.seed}/{name}": (trial.folder / name).read_bytes()
        for trial in study.trials
        for name in names
    }


@pytest.mark.long
def test_scrambled_test_labels_change_no_file_of_training(
    study: RunStudy, three_splits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that ticks once a look, so that history.csv can be compared to the byte, times and all.
    monkeypatch.setattr("stepladder.training.loop.perf_counter", count().__next__)
    true = three_splits.splits["test"]
    scrambled = replace(
        three_splits, splits={**three_splits.splits, "test": Split(true.images, (true.labels + 1) % 10)}
    )
    one = study(image_set=three_splits, out=tmp_path / "one", seeds=1)
    monkeypatch.setattr("stepladder.training.loop.perf_counter", count().__next__)
    other = study(image_set=scrambled, out=tmp_path / "other", seeds=1)
    assert training_files(one) == training_files(other)
    assert [trial.result.test_accuracy for trial in one.trials] != [
        trial.result.test_accuracy for trial in other.trials
    ]


def learned(study: SavedStudy) -> Mapping[str, Any]:
    tensors = load_file(study.of_rung("standardize")[0].folder / "model" / "model.safetensors")
    return {name: value.tolist() for name, value in tensors.items() if name.startswith("technique.")}


@pytest.mark.long
def test_statistics_do_not_depend_on_validation_or_test_pixels(
    study: RunStudy, three_splits: ImageSet, tmp_path: Path
) -> None:
    splits = dict(three_splits.splits)
    splits["validation"] = splits["test"].take(np.arange(0, len(splits["test"]), 2))
    inverted = {
        name: split if name == "train" else Split(255 - split.images, split.labels) for name, split in splits.items()
    }
    one = learned(study(image_set=replace(three_splits, splits=splits), out=tmp_path / "one", seeds=1))
    other = learned(study(image_set=replace(three_splits, splits=inverted), out=tmp_path / "other", seeds=1))
    assert one.keys() == {"technique.standardize.mean", "technique.standardize.std"}
    assert one == other


# What was looked at first.


class Looks(Callbacks):
    def __init__(self) -> None:
        self.looks: list[LeakCheck] = []

    def leaks_checked(self, look: LeakCheck) -> None:
        self.looks.append(look)


@pytest.fixture
def leaky(three_splits: ImageSet) -> ImageSet:
    """Ten test images stand in train as well."""
    train, test = three_splits.splits["train"], three_splits.splits["test"]
    images, labels = train.images.copy(), train.labels.copy()
    for number in range(10):
        images[number * 5], labels[number * 5] = test.images[number], test.labels[number]
    return replace(three_splits, splits={"train": Split(images, labels), "test": test})


def test_a_leaky_test_is_never_called_clean(study: RunStudy, leaky: ImageSet) -> None:
    callbacks = Looks()
    saved = study(image_set=leaky, validation=0, seeds=1, callbacks=callbacks)
    assert [look.clean for look in callbacks.looks] == [False]
    (note,) = [note for note in saved.record.data.notes if "not clean" in note]
    assert note.startswith(
        "The test is not clean: 10 of 75 test images have copies among the training images (10 exact"
    )
    assert note in json.loads((saved.folder / "study.json").read_text())["data"]["notes"]


@pytest.mark.long
def test_dropped_leaks_are_said_and_make_another_study(study: RunStudy, leaky: ImageSet, tmp_path: Path) -> None:
    kept = study(image_set=leaky, validation=0, seeds=1, out=tmp_path / "kept")
    dropped = study(image_set=leaky, validation=0, seeds=1, out=tmp_path / "dropped", drop_leaks=True)
    assert dropped.record.data.counts["train"] == kept.record.data.counts["train"] - 10
    assert dropped.record.data.counts["test"] == kept.record.data.counts["test"]
    assert dropped.record.data.split != kept.record.data.split
    assert dropped.record.plan_hash != kept.record.plan_hash
    assert not {trial.folder.name for trial in kept.trials} & {trial.folder.name for trial in dropped.trials}
    assert any(note.startswith("10 images were taken out of training") for note in dropped.record.data.notes)
    with pytest.raises(StudyError, match="the split differs"):
        study(image_set=leaky, validation=0, seeds=1, out=tmp_path / "kept", drop_leaks=True)


@pytest.mark.long
def test_a_renamed_folder_is_the_same_study(study: RunStudy, digits: ImageSet, counter: Any) -> None:
    first = study(seeds=1)

    class Told(Callbacks):
        sentences: list[str] = []  # noqa: RUF012

        def message(self, sentence: str) -> None:
            self.sentences.append(sentence)

    renamed = replace(digits, name="digits2")
    again = study(seeds=1, image_set=renamed, callbacks=CallbackList([counter, Told()]))
    assert counter.started == []
    assert again == first
    (told,) = (sentence for sentence in Told.sentences if "digits2" in sentence)
    assert "The images are called digits2 here and digits in" in told
    more = study(seeds=2, image_set=renamed, callbacks=counter)
    assert {seed for _, seed in counter.started} == {1}
    assert more.record.data.name == "digits"
    assert find_edit(more.record, more.readings, (trial.result for trial in more.trials)) is None
    assert not any("digits2" in (trial.folder / "model" / "README.md").read_text() for trial in more.trials)
