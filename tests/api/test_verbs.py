"""The front door: what it takes, what it returns, what it says, and that it says nothing when told."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import stepladder as sl
from stepladder.api import verbs
from stepladder.datasets import ImageSet
from stepladder.errors import RecipeError, StudyError
from stepladder.studies.design.rungs import Rung
from tests.terminal import Terminal, wait_until

Small = Callable[..., sl.Study]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.long
def test_a_study_answers(small_study: Small) -> None:
    study = small_study()
    assert [effect.name for effect in study.effects] == ["standardize"]
    assert study.effects[0].verdict in ("helped", "hurt", "equivalent", "undecided")
    assert [rung.rung for rung in study.rungs] == ["base", "standardize"]
    assert study.report_path == study.folder / "report.html"
    assert study.report_path.exists()
    assert (study.folder / "verdicts.json").exists()
    assert study.model.predict(np.zeros((8, 8), np.uint8)).names[0] in map(str, range(10))


@pytest.mark.long
def test_its_tables_are_data_frames(small_study: Small) -> None:
    study = small_study()
    trials = study.to_pandas()
    assert list(trials["rung"]) == ["base", "base", "standardize", "standardize"]
    effects = study.to_pandas("effects")
    assert effects["name"].tolist() == ["standardize"]
    assert effects["low"][0] < effects["mean"][0] < effects["high"][0]
    assert study.to_pandas("rungs")["accuracy"].tolist() == [rung.mean for rung in study.rungs]
    with pytest.raises(
        StudyError, match="there is no table 'verdicts'; give one of: effects, rungs, differences, trials"
    ):
        study.to_pandas("verdicts")


@pytest.mark.long
def test_without_pandas_a_data_frame_says_how_to_get_it(small_study: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(StudyError, match=r"pip install 'stepladder\[pandas\]'"):
        study.to_pandas()


@pytest.mark.long
def test_it_is_printed_as_on_a_terminal_and_shown_in_a_notebook(small_study: Small) -> None:
    study = small_study()
    text = str(study)
    assert "standardize" in text
    assert "Report: " in text
    html = study._repr_html_()
    assert "<p>Nothing was learned: " in html  # in one epoch of so few images: a table of verdicts would claim too much
    assert "data:image/svg+xml" in html
    assert 'href="study/report.html"' in html
    assert "<script" not in html


@pytest.mark.long
def test_every_result_has_a_short_repr(
    small_study: Small, few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution
) -> None:
    study = small_study()
    sweep = sl.sweep(few, {"optimizer.lr": [0.3, 0.1]}, tiny, seeds=1, execution=here, progress=False)
    span = sl.RateRange(1e-4, 1.0, 100)
    rates = sl.lr_range(few, sl.RecipeOptions(settings={"batch_size": 16}), seeds=1, span=span, progress=False)
    results = [
        study,
        study.saved,
        study.record,
        study.findings,
        study.model,
        study.model.predict(few.splits["train"].images[:50]),
        study.trials[0],
        study.trials[0].result,
        *study.effects,
        *study.rungs,
        *study.findings.diagnosis,
        study.findings.curves,
        study.findings.answers,
        study.findings.test_set,
        study.findings.gallery,
        study.findings.shown,
        sweep,
        sweep.findings,
        sweep.best,
        *sweep.points,
        rates,
        sl.load_study(study.folder),
        sl.train(few, tiny, out="one", execution=here, progress=False),
        sl.plan(few, tiny, execution=here, progress=False),
        sl.check(study.folder),
        sl.data(few),
        sl.inspect("report", few),
        sl.load_recipe("report"),
        few,
        few.splits["train"],
        sl.Rules(),
        here,
    ]
    long = {type(result).__name__: len(repr(result)) for result in results if len(repr(result)) >= 500}
    assert not long


@pytest.mark.long
@pytest.mark.parametrize("kind", ["pair", "pairs", "dataset"])
def test_images_may_be_held_by_the_program(
    kind: str, few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution
) -> None:
    split = few.splits["train"]
    x, y = split.images, split.labels
    data: object = (x, y)
    if kind == "pairs":
        data = {"train": (x[20:], y[20:]), "test": (x[:20], y[:20])}
    elif kind == "dataset":
        from torch.utils.data import Dataset

        class Digits(Dataset[tuple[np.ndarray, int]]):
            classes = tuple("0123456789")

            def __len__(self) -> int:
                return len(y)

            def __getitem__(self, place: int) -> tuple[np.ndarray, int]:
                if place >= len(y):
                    raise IndexError(place)
                return x[place], int(y[place])

        data = Digits()
    trained = sl.train(data, tiny, out="one", execution=here, progress=False)
    assert trained.result.status == "finished"


@pytest.mark.long
def test_a_recipe_is_a_name_a_recipe_or_options(few: ImageSet, here: sl.Execution) -> None:
    for recipe in ("small", sl.load_recipe("small"), sl.RecipeOptions("small")):
        assert sl.plan(few, recipe, execution=here, progress=False).record.rungs[-1].recipe["name"] == "small"
    with pytest.raises(RecipeError, match="smal"):
        sl.study(few, "smal", progress=False)
    with pytest.raises(RecipeError, match="unknown network"):
        sl.study(few, sl.RecipeOptions(network="resnet0"), progress=False)


def test_rungs_of_ones_own(few: ImageSet, here: sl.Execution, tiny: sl.RecipeOptions) -> None:
    made = tiny.make(few)
    rungs = [Rung("short", (), made.model_copy(update={"epochs": 1})), Rung("long", (), made)]
    assert [rung.name for rung in sl.plan(few, plan=rungs, execution=here, progress=False).record.rungs] == [
        "short",
        "long",
    ]
    with pytest.raises(StudyError, match="`plan` mixes rungs and texts"):
        sl.plan(few, plan=[*rungs, "+mixup:mixup"], progress=False)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda few: sl.study(few, seeds=0, progress=False), "`seeds` is 0; it must be 1 to 1000"),
        (lambda few: sl.study(few, plan="ladders", progress=False), "unknown plan 'ladders'; did you mean 'ladder'"),
        (lambda few: sl.study(few, rules=sl.Rules(alpha=2), progress=False), "`alpha` is 2"),
        (lambda few: sl.study(few, execution=sl.Execution(workers=0), progress=False), "`workers` is 0"),
        (lambda few: sl.study(few, execution=sl.Execution(max_time=0), progress=False), "`max_time` is 0 seconds"),
        (lambda few: sl.sweep(few, [], progress=False), "add `over=optimizer.lr=0.3,0.1,0.03`"),
        (lambda few: sl.curve(few, seeds=-1, progress=False), "`seeds` is -1"),
        (lambda few: sl.plan(few, spread=-1.0, progress=False), "`spread` is -1"),
        (
            lambda few: sl.study(few, seeds=3, rules=sl.Rules(max_seeds=5), progress=False),
            "`max_seeds` ends `seeds=auto`, and `seeds` is 3; leave one of the two out",
        ),
        (
            lambda few: sl.plan(few, execution=sl.Execution(track=("tensorboard",)), progress=False),
            "`track` logs trials as they run, and `plan` runs nothing; leave it out",
        ),
        (
            lambda few: sl.train(few, execution=sl.Execution(trial_timeout=60), progress=False),
            "`trial_timeout` ends one trial of several, and this trains one trial, here; leave it out",
        ),
        (
            lambda few: sl.train(few, execution=sl.Execution(workers=2), progress=False),
            "`workers` is for trials at the same time, and this trains one trial",
        ),
        (
            lambda few: sl.lr_range(few, sl.RecipeOptions(settings={"optimizer.lr": 0.3}), progress=False),
            "optimizer.lr is what this test looks for, from `low` to `high`",
        ),
        (
            lambda few: sl.lr_range(few, protocol=sl.Protocol(select="best-val"), progress=False),
            "`select=best-val` chooses the weights to keep, and this test keeps none",
        ),
        (
            lambda few: sl.bag_of_words(few, protocol=sl.Protocol(select="best-val"), progress=False),
            "`select=best-val` chooses an epoch, and a bag of words has none",
        ),
        (
            lambda few: sl.train(few, sl.RecipeOptions("small", techniques=("mixup",), rung="standardize")),
            "`rung=standardize` ends below mixup, which `techniques` adds on top",
        ),
        (
            lambda few: sl.sweep(few, {"network": ["lenet5", "report"]}, sl.RecipeOptions(network="report")),
            "the network is given twice, with `network` and with `over`",
        ),
        (
            lambda few: sl.study(few, plan=sl.RungPlan(("base:", "other:mixup", "third:ema"), "factorial")),
            "`plan=factorial` takes each rung for a factor, and third does not add techniques to other",
        ),
        (lambda few: sl.plan(few, plan=sl.RungPlan(("base:", "+m:mixup"), "factorail")), "unknown plan 'factorail'"),
        (
            lambda few: sl.study(few, "small", plan=[Rung("a", (), sl.load_recipe("small"))] * 2, progress=False),
            "`plan` gives rungs that have their recipes already, so `recipe` would change nothing",
        ),
        (
            lambda few: sl.curve(few, cluster="auto", execution=sl.Execution(cluster="there:6379")),
            "`cluster` is auto, and the Execution names there:6379; name one of them",
        ),
        (lambda _: sl.study("nowhere", progress=False), "nowhere"),
        (lambda _: sl.load_study("nowhere"), "there is no study in nowhere"),
    ],
)
def test_wrong_input_is_one_sentence_that_names_the_parameter(
    call: Callable[[ImageSet], object], sentence: str, few: ImageSet
) -> None:
    with pytest.raises(sl.StepladderError) as caught:
        call(few)
    assert sentence in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.long
def test_it_is_silent_when_told_and_says_how_far_it_is_otherwise(
    small_study: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small_study(progress=False)
    assert capfd.readouterr() == ("", "")
    small_study(progress=True, out=tmp_path / "other")
    out, err = capfd.readouterr()
    assert out == ""
    assert "[4/4] standardize, seed 1: val" in err


@pytest.mark.long
def test_callbacks_of_ones_own_are_told(small_study: Small) -> None:
    class Counting(sl.Callbacks):
        epochs = 0

        def epoch_ended(self, trial: object, record: object) -> None:
            self.epochs += 1

    counting = Counting()
    small_study(progress=counting)
    assert counting.epochs == 4 * 2  # the untrained network, and one epoch


@pytest.mark.long
def test_the_second_call_trains_nothing(small_study: Small, capfd: pytest.CaptureFixture[str]) -> None:
    first = small_study()
    again = small_study(progress=True)
    assert "epoch" not in capfd.readouterr().err
    assert [trial.result for trial in first.trials] == [trial.result for trial in again.trials]


@pytest.mark.long
def test_a_study_of_the_command_line_keeps_its_precision(
    stepladder: Callable[..., object], few: ImageSet, tiny: sl.RecipeOptions
) -> None:
    """What ``auto`` would take on this machine, or at this moment, has no say in what goes on."""
    rungs = ("--rung", "base:", "--rung", "+standardize:standardize")
    line = ("--network", str(tiny.network), "--epochs", "1", "--batch-size", "16")
    for precision in ("bfloat16", "float32"):
        stepladder(
            "study",
            "digits",
            "--limit",
            "13",
            *line,
            *rungs,
            "--precision",
            precision,
            "--out",
            precision,
            "--seeds",
            "3",
        )
        plan = ["base:", "+standardize:standardize"]
        study = sl.study(few, tiny, plan=plan, seeds=3, out=precision, progress=False)
        assert study.record.precision == precision
        assert len(list((study.folder / "trials").iterdir())) == 6


LONG = """
import stepladder as sl
from stepladder.api import verbs

class Telling(sl.Callbacks):
    def epoch_ended(self, trial, record):
        print(record.epoch, flush=True)

sl.study(
    sl.load_image_set("digits", limit=40),
    sl.RecipeOptions("small", settings={"epochs": 500}),
    plan=["base:", "+standardize:standardize"],
    seeds=1,
    out="study",
    execution=sl.Execution(workers=1, checkpoint_seconds=0.05),
    progress=Telling(),
)
"""


@pytest.mark.long
def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(terminal: Terminal, tmp_path: Path) -> None:
    printed = tmp_path / "printed"
    pid = terminal.start(tmp_path, program=LONG)
    wait_until(lambda: "2" in printed.read_text().split(), printed)
    os.kill(pid, signal.SIGINT)
    assert terminal.wait(pid) != 0
    said = printed.read_text()
    assert "0 of 2 trials are finished and those under way have a checkpoint" in said
    assert "the same call goes on" in said
    assert any((tmp_path / "study/trials").glob("*/checkpoint/*"))
    assert (tmp_path / "study/report.html").exists()


@pytest.mark.long
def test_a_time_limit_stops_by_itself(small_study: Small, here: sl.Execution, tiny: sl.RecipeOptions) -> None:
    with pytest.raises(sl.Stopped) as caught:
        small_study(execution=replace(here, max_time=1e-6))
    assert caught.value.reason == "time"
    small_study(execution=replace(here, max_time=600))


@pytest.mark.long
def test_a_bag_of_words_beside_the_rungs(small_study: Small, few: ImageSet) -> None:
    study = sl.add_bag(small_study(), few, progress=False)
    assert study.findings.bag is not None
    assert "bag of words" in str(study)
    assert (study.folder / "bag-of-words/bag-of-words.json").exists()


@pytest.mark.parametrize("verb", [sl.study, sl.plan, sl.curve, partial(sl.sweep, over={"optimizer.lr": [0.1, 0.3]})])
def test_a_cluster_is_named_as_itself_or_in_the_execution(
    verb: Callable[..., object], few: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):  # noqa: N818 (no error)
        pass

    def begin(_progress: object, execution: sl.Execution) -> None:
        raise Begun(execution.cluster, execution.device)

    monkeypatch.setattr(verbs, "running", begin)
    on_cpu = sl.Execution(device="cpu")
    for more in ({"cluster": "auto", "execution": on_cpu}, {"execution": replace(on_cpu, cluster="auto")}):
        with pytest.raises(Begun) as begun:
            verb(few, **more)
        assert begun.value.args == ("auto", "cpu")
    with pytest.raises(StudyError, match="`cluster` is 'nowhere'; write auto, HOST:PORT"):
        verb(few, cluster="nowhere")
