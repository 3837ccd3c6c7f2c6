"""A study that somebody else made, and may have made to harm: nothing outside it is read, written or commanded."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.report.write import write_report
from stepladder.studies.check import check_study
from stepladder.studies.files.bits import bits
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import make_findings
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.track import make_trackers

from .small import run_small, small_images, small_recipe

RECIPE = {"techniques": [{"name": "standardize"}], "epochs": 1}

#: What no terminal may get from a name: controls, and overrides of direction.
COMMANDS = {*map(chr, range(8)), *map(chr, range(11, 32)), *map(chr, range(127, 160)), *"\u202a\u202e\u2066\u2069"}


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return small_images()


@pytest.fixture(scope="module")
def made(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that has ended, with its report."""
    out = tmp_path_factory.mktemp("made") / "study"
    write_report(make_findings(run_small(out, images, small_recipe(**RECIPE), seeds=1)))
    return out


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the study, with a file of every name that the study has; none of it may change."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("theirs")
    return tmp_path / "outside"


def a_trial(study: Path) -> Path:
    return min((study / "trials").iterdir())


class Told(Callbacks):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)


def again(study: Path, images: ImageSet) -> list[str]:
    """Run the study's command again, and return what it said."""
    told = Told()
    write_report(make_findings(run_small(study, images, small_recipe(**RECIPE), told, seeds=1)))
    return told.sentences


def trained(study: Path) -> dict[str, object]:
    """The bits of a study, but for its verdicts, which say that test was read again, and what was set aside."""
    return {key: value for key, value in bits(study).items() if key != "verdicts.json" and ".broken" not in key}


@pytest.mark.long
@pytest.mark.parametrize("target", ["/dev/zero", "../outside/kept", "pipe"])
@pytest.mark.parametrize("where", ["", "trial"])
def test_check_reads_nothing_outside_and_ends(stepladder, study: Path, outside: Path, target: str, where: str) -> None:
    folder = a_trial(study) if where else study
    if target == "pipe":
        os.mkfifo(folder / "pipe")
    with (folder / "checksums.txt").open("a") as file:
        file.write(f"{'0' * 64}  {target}\n")
    started = time.process_time()
    done = stepladder("check", str(study))
    assert time.process_time() - started < 60
    assert done.code == 1
    assert ("is no plain file" if target == "pipe" else "which is no file of this folder") in done.out


@pytest.mark.long
@pytest.mark.parametrize("name", ["history.csv", "result.json", "model", "model/model.safetensors", "recipe.toml"])
def test_a_link_in_a_trial_is_named_and_set_aside_and_never_followed(
    stepladder, study: Path, images: ImageSet, outside: Path, name: str
) -> None:
    whole = bits(study)
    trial = a_trial(study)
    moved = outside / Path(name).name
    (trial / name).rename(moved)
    (trial / name).symlink_to(moved)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    (fault,) = [one for one in check_study(study) if one.kind == "trial"]
    assert fault.what.endswith(f"trials/{trial.name}/{name} is a link, and none is followed")
    (sentence,) = [one for one in again(study, images) if "set aside" in one]
    assert f"is a link, and none is followed. It was set aside as trials/{trial.name}.broken-1" in sentence
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
    assert not any(path.is_symlink() for path in a_trial(study).rglob("*"))
    assert trained(study) == {key: value for key, value in whole.items() if key != "verdicts.json"}


@pytest.mark.long
@pytest.mark.parametrize("name", ["figures", "report.html", "report.md", "verdicts.json", "results.csv", ".lock"])
def test_a_report_replaces_links(stepladder, study: Path, outside: Path, name: str) -> None:
    if (study / name).is_dir():
        shutil.rmtree(study / name)
        (study / name).symlink_to(outside)
    else:
        (study / name).unlink(missing_ok=True)
        (study / name).symlink_to(outside / "kept")
    assert stepladder("report", str(study)).code == 0
    assert stepladder("check", str(study), "--repair").code == 0
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "theirs"
    assert name == ".lock" or not (study / name).is_symlink()
    assert name != "figures" or (study / "figures" / "ladder.png").is_file()


def test_a_link_in_place_of_all_trials_is_refused(stepladder, study: Path, images: ImageSet, outside: Path) -> None:
    (study / "trials").rename(outside / "trials")
    (study / "trials").symlink_to(outside / "trials")
    with pytest.raises(StudyError, match="trials is a link, and results are written through none"):
        again(study, images)
    done = stepladder("check", str(study))
    assert done.code == 1
    assert "trials is a link, and none is followed" in done.out


@pytest.mark.long
def test_a_checkpoint_is_not_written_through_a_link(study: Path, images: ImageSet, outside: Path) -> None:
    trial = a_trial(study)
    (trial / "result.json").unlink()
    (trial / "checkpoint").symlink_to(outside)
    (sentence,) = [one for one in again(study, images) if "set aside" in one]
    assert "checkpoint is a link" in sentence
    assert [path.name for path in outside.iterdir()] == ["kept"]


@pytest.mark.long
def test_trackers_and_trainings_write_through_no_link(stepladder, study: Path, outside: Path, tmp_path: Path) -> None:
    (study / "tracking").symlink_to(outside)
    make_trackers(("tensorboard",), study, print)
    assert not (study / "tracking").is_symlink()
    (tmp_path / "one").mkdir()
    for name in ("model", "checkpoint"):
        (tmp_path / "one" / name).symlink_to(outside)
    assert stepladder("train", "digits", "--limit", "20", *SMALL, "--out", "one").code == 0
    assert (tmp_path / "one" / "model" / "model.safetensors").is_file()
    (tmp_path / "range").mkdir()
    (tmp_path / "range" / "figures").symlink_to(outside)
    assert stepladder("lr-range", "digits", "--limit", "20", *SMALL[2:], "--out", "range").code == 0
    assert (tmp_path / "range" / "figures" / "lr-range.png").is_file()
    assert [path.name for path in outside.iterdir()] == ["kept"]


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:-1])


def fewer(path: Path) -> None:
    arrays = {name: values[:-1].copy() for name, values in load_file(path).items()}
    save_file(arrays, path)


def change(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "the end of a history": (lambda trial: cut(trial / "history.csv"), "its last line is cut"),
    "a history": (lambda trial: (trial / "history.csv").unlink(), "it is gone"),
    "a result that is no number": (lambda trial: change(trial / "result.json", "val_loss", float("nan")), "NaN"),
    "a result that is cut": (lambda trial: cut(trial / "result.json"), "is not valid JSON"),
    "another result": (lambda trial: change(trial / "result.json", "epochs", 7), "tells of 7 epochs"),
    "predictions of fewer images": (lambda trial: fewer(trial / "predictions.safetensors"), "and the study"),
    "predictions": (lambda trial: (trial / "predictions.safetensors").write_bytes(b"x"), "predictions.safetensors"),
}


@pytest.mark.long
@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_trial_is_named_by_report_and_trained_again_by_study(
    stepladder, study: Path, images: ImageSet, case: str
) -> None:
    whole = bits(study)
    damage, said = DAMAGE[case]
    trial = a_trial(study)
    if case == "a result that is cut":
        (trial / "result.json").write_text((trial / "result.json").read_text()[:-3])
    else:
        damage(trial)
    done = stepladder("report", str(study))
    assert done.code == 2
    assert "Traceback" not in done.err
    assert said in done.err
    assert trial.name in done.err
    (sentence,) = [one for one in again(study, images) if "set aside" in one]
    assert said in sentence
    assert f"It was set aside as trials/{trial.name}.broken-1, and is trained again." in sentence
    assert (study / "trials" / f"{trial.name}.broken-1").is_dir()
    assert len(load_study(study).trials) == 2
    assert trained(study) == {key: value for key, value in whole.items() if key != "verdicts.json"}
    assert stepladder("report", str(study)).code == 0


SMALL = ("--epochs", "1", "--network", "conv3-2 pool2 fc8 fc", "--device", "cpu")

#: A name that is no UTF-8, one that clears the screen, one that turns the reading, one with the C1 controls.
NAMES = (os.fsdecode(b"caf\xe9"), "red\x1b[31m\x1b[2J", "rtl\u202egod", "c1\x9b2J")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of each class, in a folder whose name sets the title of a terminal."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("odd") / "images\x1b]0;owned\x07"
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.long
def test_names_command_no_terminal_no_page_and_no_card(stepladder, odd: Path, tmp_path: Path) -> None:
    said: list[str] = []

    def run(*command: str, code: int = 0) -> str:
        done = stepladder(*command)
        assert done.code == code, done.err
        said.extend((done.out, done.err))
        return str(done.out)

    rungs = ("--rung", "base:", "--rung", "+standardize:standardize", "--seeds", "1", "--workers", "1")
    run("study", str(odd), *rungs, *SMALL, "--out", "study")
    document = json.loads(run("report", "study", "--json"))
    assert document["study"]["data"]["class_names"] == sorted(NAMES, key=document["study"]["data"]["class_names"].index)
    assert set(document["study"]["data"]["class_names"]) == set(NAMES)
    model = str(min(Path("study").glob("trials/*/model")))
    photo = str(odd / NAMES[1] / "0.png")
    run("report", "study")
    run("check", "study")
    assert r"rtl\u202egod" in run("predict", model, str(odd))
    assert {one["top"][0]["class"] for one in json.loads(run("predict", model, str(odd), "--json"))["images"]} <= set(
        NAMES
    )
    assert r"red\x1b[31m\x1b[2J/0.png" in run("predict", model, str(odd), "--csv")
    run("explain", model, photo, "--out", "explained.png")
    run("data", str(odd), "--html", "data.html")
    run("readings")
    run("lr-range", str(odd), "--out", "range", "--network", "conv3-2 pool2 fc8 fc", "--device", "cpu")
    run("data", f"{odd}/nothing", code=2)
    run("inspect", "conv3\x1b[2J fc", code=2)
    run("study", "digits", "--recipe", "no\x1b[2J", code=2)
    for text in said:
        assert not COMMANDS & set(text), [
            text[max(0, i - 60) : i + 20] for i, one in enumerate(text) if one in COMMANDS
        ]
    texts = [path for path in Path().rglob("*") if path.suffix in (".md", ".csv", ".json", ".html", ".svg", ".toml")]
    assert len(texts) > 20
    for path in texts:
        text = path.read_bytes().decode()
        if path.name == "report.html":  # plotly's own script draws with signs of all kinds
            text = text[: text.index("<script>")]
        assert not COMMANDS & set(text), path
