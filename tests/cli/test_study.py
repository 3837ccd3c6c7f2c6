import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.cli import run
from stepladder.studies.files.store import load_study
from tests.terminal import Terminal, wait_until

Call = Callable[..., Any]
SMALL = ("--seeds", "1", "--epochs", "1", "--limit", "20")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest study in a folder of its own, trained once for all that only go on from it."""
    folder = tmp_path_factory.mktemp("ended")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["stepladder", "study", "digits", *SMALL])
        assert run(["study", "digits", *SMALL]) == 0
    return folder


@pytest.fixture
def ended_here(stepladder: Call, ended: Path) -> Path:
    """A copy of that study in the current folder."""
    shutil.copytree(ended, ".", dirs_exist_ok=True)
    return Path("studies/digits-ladder")


@pytest.mark.usefixtures("pictures_rendered")
def test_the_smallest_real_study(stepladder: Call, tmp_path: Path) -> None:
    outcome = stepladder("study", "digits", *SMALL)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("Leak check: ") == 1
    assert "Ladder of 6 rungs × 1 seed = 6 trials of 1 epoch" in outcome.out
    assert "[6/6] batchnorm, seed 0: val " in outcome.out
    # Five steps teach nothing, which comes before the table, and there are no effects to draw.
    assert outcome.out.index("Nothing was learned: ") < outcome.out.index("a trial\n")
    assert "Train longer, 200 epochs or more: 1 epoch of these images are 5 steps." in outcome.out
    folder = tmp_path / "studies" / "digits-ladder"
    assert f"Report: {folder.relative_to(tmp_path) / 'report.html'}" in outcome.out
    files = {path.name for path in folder.iterdir()} | {path.name for path in (folder / "figures").iterdir()}
    assert files == {
        "study.json",
        "checksums.txt",
        "trials",
        "results.csv",
        "report.md",
        "report.html",
        "figures",
        "gallery.json",
        "images.safetensors",
        ".lock",
        "curves.png",
        "curves.svg",
        "ladder.png",
        "ladder.svg",
        "test-readings.json",
        "verdicts.json",
    }


@pytest.mark.long
def test_again_it_trains_nothing_and_rebuilds_the_report(stepladder: Call, ended_here: Path) -> None:
    page = ended_here / "report.html"
    written = page.read_bytes()
    page.unlink()
    second = stepladder("study", "digits", *SMALL)
    assert second.code == 0
    assert ", seed 0: val " not in second.out
    assert "All of it was trained before" in second.out
    assert page.read_bytes() == written
    assert second.out.splitlines()[-1] == "Report: studies/digits-ladder/report.html"


@pytest.mark.long
def test_fewer_seeds_than_planned_are_announced_as_asked(stepladder: Call) -> None:
    stepladder("study", "digits", "--seeds", "2", *SMALL[2:], "--out", "out")
    for result in sorted(Path("out/trials").glob("*/result.json")):
        result.unlink()
    outcome = stepladder("study", "digits", *SMALL, "--out", "out")
    assert "Ladder of 6 rungs × 1 seed = 6 trials of 1 epoch; " in outcome.out
    assert "The study is unfinished: 6 of 12 trials have not ended" in outcome.out


@pytest.mark.long
def test_json_is_the_only_thing_on_stdout(stepladder: Call) -> None:
    outcome = stepladder("study", "digits", *SMALL, "--json")
    document = json.loads(outcome.out)
    assert "[1/6] baseline, seed 0" in outcome.err
    assert [rung["rung"] for rung in document["rungs"]][-1] == "batchnorm"
    assert len(document["trials"]) == 6
    assert document["study"]["plan"] == "ladder"
    assert document["effects"][0]["interval"] is None
    assert document["effects"][0]["verdict"] is None
    assert document["readings"][0]["kind"] == "planned"
    assert all(one["state"] and one["evidence"] for one in document["diagnosis"])
    assert 0 <= document["trials"][0]["test_accuracy"] <= 1


def test_names_of_rungs_are_printed_as_they_are_or_refused(stepladder: Call, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('base = "small"\ntechniques = [{ name = "dropout", rung = "[/x]" }]\n')
    outcome = stepladder("study", "digits", *SMALL, "--recipe", str(recipe))
    assert outcome.code == 2
    assert "recipe.toml: techniques.dropout.rung is '[/x]'; it must be a name of letters" in outcome.err


@pytest.mark.long
def test_a_folder_of_images_with_a_damaged_one(stepladder: Call, folder_of_images: Path) -> None:
    damaged = folder_of_images / "one" / "damaged.png"
    damaged.write_bytes((folder_of_images / "one" / "0.png").read_bytes()[:60])
    refused = stepladder("study", str(folder_of_images), *SMALL, "--out", "out")
    assert refused.code == 2
    assert "1 damaged image; mend or remove it, or leave it out with --skip-damaged:" in refused.err
    assert str(damaged) in refused.err
    assert not Path("out").exists()

    outcome = stepladder("study", str(folder_of_images), *SMALL, "--out", "out", "--skip-damaged")
    assert outcome.code == 0, outcome.err
    assert "1 damaged image was left out: " in outcome.out
    assert "1 damaged image was left out: " in Path("out/report.md").read_text()
    assert "damaged" in Path("out/report.html").read_text()


def test_a_class_too_small_to_split_is_named(stepladder: Call, folder_of_images: Path) -> None:
    for path in sorted((folder_of_images / "two").iterdir())[1:]:
        path.unlink()
    outcome = stepladder("study", str(folder_of_images), "--out", "out")
    assert outcome.code == 2
    assert "the class 'two' has 1 training image, fewer than the splits need" in outcome.err


def test_another_study_in_the_folder_is_refused(stepladder: Call, ended_here: Path) -> None:
    outcome = stepladder("study", "digits", *SMALL, "--set", "optimizer.lr=0.05")
    assert outcome.code == 2
    assert "studies/digits-ladder holds another study: optimizer.lr is 0.1 there and 0.05 here" in outcome.err


@pytest.mark.long
def test_failed_trials_give_exit_code_1_and_stand_in_the_report(stepladder: Call) -> None:
    outcome = stepladder("study", "digits", *SMALL, "--set", "optimizer.lr=1e20", "--out", "out")
    assert outcome.code == 1
    assert "the training loss was not finite in epoch 1" in outcome.out
    assert "not finite in epoch 1" in Path("out/report.md").read_text()


#: Stands still where a trial begins: all of them, or those of one rung.
STANDING_STILL = """
import sys, time
from stepladder.studies.running import jobs
from stepladder.cli import run
real = jobs.run_trial
def run_trial(job, *rest):
    if {rung!r} in ("", job.trial.rung):
        print("now", file=sys.stderr, flush=True)
        time.sleep(60)
    return real(job, *rest)
jobs.run_trial = run_trial
sys.exit(run(sys.argv[1:]))
"""


def stopped_by(
    number: signal.Signals, terminal: Terminal, folder: Path, *arguments: str, rung: str = ""
) -> tuple[int, str, str]:
    """Stop a study where the first trial of ``rung`` begins; return the exit code and what both streams were told."""
    out, err = folder / "printed", folder / "complaints"
    err.touch()
    command = ("study", "digits", "--seeds", "1", "--limit", "20", "--workers", "1", *arguments)
    program = STANDING_STILL.format(rung=rung)
    pid = terminal.start(folder, *command, errors=str(err), program=program)
    wait_until(lambda: "now\n" in err.read_text(), err)
    os.kill(pid, number)
    return terminal.wait(pid), out.read_text(), err.read_text()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_continue(terminal: Terminal, tmp_path: Path) -> None:
    code, out, err = stopped_by(signal.SIGINT, terminal, tmp_path, "--epochs", "2", "--out", "a study", rung="augment")
    assert code == 130, out + err
    assert (
        "Stopped. 2 of 6 trials are finished and those under way have a checkpoint, in a study; continue with:" in out
    )
    assert "Traceback" not in out + err
    assert len(load_study(tmp_path / "a study").trials) == 2
    assert "unfinished" in (tmp_path / "a study" / "report.md").read_text()


@pytest.mark.long
def test_the_line_that_continues_is_the_command_itself(stepladder: Call) -> None:
    stepladder("study", "digits", *SMALL, "--out", "a study")
    assert load_study(Path("a study")).record.command == (
        "stepladder study digits --seeds 1 --epochs 1 --limit 20 --out 'a study'"
    )


@pytest.mark.long
def test_rungs_of_one_s_own(stepladder: Call) -> None:
    fast = ("--limit", "12", "--epochs", "1", "--seeds", "1")
    outcome = stepladder("study", "digits", "--rung", "base:", "--rung", "+mixup:mixup", "--technique", "ema", *fast)
    assert outcome.code == 0, outcome.err
    record = json.loads(Path("studies/digits-base-mixup-ema/study.json").read_text())
    assert [(rung["name"], rung["adds"]) for rung in record["rungs"]] == [
        ("base", []),
        ("mixup", ["mixup"]),
        ("ema", ["ema"]),
    ]


@pytest.mark.long
def test_a_study_file(stepladder: Call) -> None:
    rungs = '[[rungs]]\nname = "base"\ntechniques = []\n[[rungs]]\nname = "soft"\nadds = ["label_smoothing"]\n'
    Path("mine.toml").write_text(f"set = {{ epochs = 1 }}\n{rungs}")
    outcome = stepladder("study", "digits", "--file", "mine.toml", "--limit", "12", "--seeds", "1", "--out", "mine")
    assert outcome.code == 0, outcome.err
    assert json.loads(Path("mine/study.json").read_text())["rungs"][1]["recipe"]["epochs"] == 1
    twice = stepladder("study", "digits", "--file", "mine.toml", "--rung", "base:")
    assert twice.code == 2
    assert "rungs are given twice" in twice.err


def test_what_does_not_fit_is_said_before_anything_trains(stepladder: Call) -> None:
    outcome = stepladder("study", "digits", "--limit", "12", "--rung", "base:", "--rung", "+color:color_jitter")
    assert outcome.code == 2
    assert "rung color: color_jitter changes saturation and hue, and the images are gray" in outcome.err
    assert not Path("studies").exists()


@pytest.mark.long
def test_an_edited_plan_is_said_first_and_not_continued(stepladder: Call, ended_here: Path) -> None:
    path = ended_here / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"smallest_effect": 0.2}))
    assert "Do not trust these verdicts: study.json was edited" in stepladder("report", str(ended_here)).out
    again = stepladder("study", "digits", *SMALL)
    assert again.code == 2
    assert "digits-ladder: study.json was edited: its plan no longer has the hash" in again.err


@pytest.mark.soak
def test_a_factorial_in_one_command(stepladder: Call, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('base = "small"\ntechniques = [{ name = "standardize" }, { name = "dropout" }]\n')
    outcome = stepladder(
        *("study", "digits", "--plan", "factorial", "--seeds", "2", "--epochs", "6", "--limit", "20"),
        *(
            "--batch-size",
            "8",
            "--recipe",
            str(recipe),
            "--metric",
            "nll",
            "--smallest-effect",
            "0.5",
            "--select",
            "best-val",
        ),
    )
    assert outcome.code == 0, outcome.err
    assert "Factorial of 4 rungs × 2 seeds = 8 trials of 6 epochs" in outcome.out
    assert "The shares (Shapley values) add up to " in outcome.out
    assert "standardize × dropout" in outcome.out
    folder = tmp_path / "studies" / "digits-factorial"
    assert (folder / "figures" / "shapley.png").exists()
    assert (folder / "figures" / "interactions.svg").exists()
    record = load_study(folder).record
    assert (record.metric, record.smallest_effect, record.select) == ("nll", 0.5, "best-val")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals for another process")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_who_stops_it_decides_the_exit_code(number: str, code: int, terminal: Terminal, tmp_path: Path) -> None:
    returned, out, err = stopped_by(getattr(signal, number), terminal, tmp_path, "--epochs", "1", "--out", "out")
    assert returned == code
    assert "Stopped. 0 of 6 trials are finished and those under way have a checkpoint, in out; continue with:\n" in out
    assert "Stopped" not in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals for another process")
def test_with_json_only_the_document_may_be_on_stdout(terminal: Terminal, tmp_path: Path) -> None:
    command = ("--epochs", "1", "--out", "out", "--json")
    returned, out, err = stopped_by(signal.SIGTERM, terminal, tmp_path, *command)
    assert returned == 143
    assert out == ""
    assert "in out; continue with:\n  stepladder study digits --seeds 1" in err


def test_stopped_before_the_first_trial_nothing_is_written(
    stepladder: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("stepladder.studies.prepare.split_cleanly", stop)
    outcome = stepladder("study", "digits", *SMALL)
    assert outcome.code == 130
    assert outcome.out.endswith("\nStopped before the first trial; nothing was written.\n")
    assert outcome.err == ""
    assert list(tmp_path.iterdir()) == []


def test_stopped_while_images_are_read_nothing_is_written(
    stepladder: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "stepladder.cli.data_options.load_image_set", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
    )
    outcome = stepladder("study", "digits", *SMALL)
    assert (outcome.code, outcome.out, outcome.err) == (143, "\nStopped; nothing was written.\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_quiet_study_prints_its_result_alone(stepladder: Call, ended_here: Path) -> None:
    usual, quiet = stepladder("study", "digits", *SMALL), stepladder("study", "digits", *SMALL, "--quiet")
    assert usual.code == quiet.code == 0
    aside, _, result = usual.out.partition("All of it was trained before; nothing to do but the report.\n")
    assert "Leak check: " in aside
    assert result
    assert quiet.out == result
