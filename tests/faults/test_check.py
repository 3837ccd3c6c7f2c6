"""Files that change under a study: what goes on refuses, and ``stepladder check`` names them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.report.write import write_report
from stepladder.studies.check import check_study
from stepladder.studies.design.trials import Trial
from stepladder.studies.files import machine
from stepladder.studies.files.bits import bits
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import make_findings
from stepladder.studies.running.callbacks import Callbacks
from stepladder.training.stop import Stop, Stopped

from .small import run_small, small_images, small_recipe

RECIPE = {"techniques": [{"name": "standardize"}], "epochs": 1}


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
    """A copy of it: a study that was moved."""
    return Path(shutil.copytree(made, tmp_path / "study"))


def a_trial(study: Path) -> Path:
    return min((study / "trials").iterdir())


def append(path: Path) -> None:
    path.write_text(path.read_text() + " ")


def change(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "history": (lambda study: append(a_trial(study) / "history.csv"), "trial", "history.csv was changed"),
    "model": (
        lambda study: (a_trial(study) / "model/model.safetensors").unlink(),
        "trial",
        "model.safetensors is gone",
    ),
    "stranger in a trial": (lambda study: (a_trial(study) / "new").write_text(""), "trial", "new was added"),
    "result": (lambda study: (a_trial(study) / "result.json").write_text("{"), "trial", "is not valid JSON"),
    "results.csv": (lambda study: append(study / "results.csv"), "derived", "does not follow from the trials"),
    "verdicts": (
        lambda study: change(study / "verdicts.json", "alpha", 0.5),
        "derived",
        "does not follow from the trials",
    ),
    "report": (lambda study: (study / "report.html").unlink(), "derived", "is not there"),
}


@pytest.mark.long
def test_a_sound_study_has_no_fault(stepladder, study: Path) -> None:
    done = stepladder("check", str(study))
    assert done.code == 0
    assert "All checksums and hashes hold" in done.out


@pytest.mark.long
@pytest.mark.parametrize("case", DAMAGE)
def test_a_fault_is_named_and_repaired(stepladder, study: Path, images: ImageSet, case: str) -> None:
    whole = bits(study)
    damage, kind, said = DAMAGE[case]
    damage(study)
    done = stepladder("check", str(study), "--json")
    assert done.code == 1
    faults = [one for one in json.loads(done.out)["faults"] if one["kind"] != "note"]
    assert [one["kind"] for one in faults] == [kind]
    assert said in faults[0]["what"]
    assert "mend what can be mended with --repair" in stepladder("check", str(study)).out
    repaired = stepladder("check", str(study), "--repair")
    assert repaired.code == 0
    assert ("was set aside as trials/" in repaired.out) == (kind == "trial")
    if kind == "trial":
        assert len(list(study.glob("trials/*.broken-1"))) == 1
        write_report(make_findings(run_small(study, images, small_recipe(**RECIPE), seeds=1)))
        shutil.rmtree(next(study.glob("trials/*.broken-1")))
    assert stepladder("check", str(study)).code == 0
    again = bits(study)
    if kind == "trial":  # its test images were read once more, and the verdicts say so
        for found, read_again in ((whole, False), (again, True)):
            document = json.loads(found["verdicts.json"])
            assert document["limits"].pop("read_again") is read_again
            found["verdicts.json"] = document
    assert again == whole


def test_an_edited_plan_cannot_be_repaired(stepladder, study: Path) -> None:
    text = (study / "study.json").read_text()
    (study / "study.json").write_text(text.replace('"alpha": 0.05', '"alpha": 0.5'))
    done = stepladder("check", str(study))
    assert done.code == 1
    assert "restore study.json from a copy" in done.out
    assert stepladder("check", str(study), "--repair").code == 2


def test_a_folder_without_a_study(stepladder, tmp_path: Path) -> None:
    done = stepladder("check", str(tmp_path))
    assert done.code == 2
    assert "there is no study in" in done.err


def test_a_study_of_another_schema_is_refused_by_its_version(stepladder, study: Path) -> None:
    document = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps({**document, "schema_version": 1}))
    done = stepladder("report", str(study))
    assert done.code == 2
    assert "has schema version 1; this Stepladder reads versions 2 to 4" in done.err


@pytest.mark.long
@pytest.mark.parametrize("name", ["two words", "naïve 画像", "x" * 200])
def test_odd_paths_and_a_study_that_was_moved_report(stepladder, made: Path, tmp_path: Path, name: str) -> None:
    moved = Path(shutil.copytree(made, tmp_path / name / "study"))
    (moved / "report.html").unlink()
    assert stepladder("report", str(moved)).code == 0
    assert (moved / "report.html").exists()


def test_images_that_changed_are_refused_and_counted(images: ImageSet, study: Path) -> None:
    train = images.splits["train"]
    pixels = train.pixels.copy()
    pixels[:3] = 255 - pixels[:3]
    changed = replace(images, splits={**images.splits, "train": replace(train, pixels=pixels)})
    with pytest.raises(
        StudyError, match=r"images that are gone or changed: \d of .*images that are new or changed: \d"
    ):
        run_small(study, changed, small_recipe(**RECIPE), seeds=1)


@pytest.mark.long
def test_another_number_of_threads_is_refused_or_accepted(images: ImageSet, tmp_path: Path) -> None:
    recipe = small_recipe(**RECIPE)
    run_small(tmp_path, images, recipe, seeds=1)  # a study takes one thread a trial
    with pytest.raises(
        StudyError,
        match=r"begun with `threads=1`, and this would be 2, so bits may differ; .* `accept_different_bits=True`",
    ):
        run_small(tmp_path, images, recipe, seeds=1, threads=2)
    assert run_small(tmp_path, images, recipe, seeds=1, threads=2, accept_different_bits=True).missing == 0


class Steps(Callbacks):
    """Counts the steps of all trials."""

    count = 0

    def batch_ended(self, trial: Trial, images: int) -> None:
        self.count += 1


class Once(Stop):
    """Wants to stop at its twelfth look, in the second epoch."""

    looks = 0

    def wanted(self) -> bool:
        self.looks += 1
        if self.looks == 12:
            self.request("interrupt")
        return super().wanted()


@pytest.mark.long
def test_a_clock_that_goes_back_changes_nothing(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(techniques=[{"name": "standardize"}], epochs=2)
    undisturbed, steps = Steps(), Steps()
    run_small(tmp_path / "forth", images, recipe, undisturbed, seeds=1)
    # Everything that tells the time of day, and that of every file; the clock that only goes on cannot be set.
    moments = iter(range(2_000_000_000, 0, -1000))
    sync = os.fsync

    def synced(descriptor: int) -> None:
        sync(descriptor)
        os.utime(descriptor, (moment := next(moments), moment))

    class Backwards(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(next(moments), tz)

    monkeypatch.setattr(time, "time", lambda: float(next(moments)))
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(machine, "datetime", Backwards)
    with pytest.raises(Stopped):
        # A checkpoint each step, so that there are two however fast the steps are.
        run_small(tmp_path / "back", images, recipe, steps, seeds=1, stop=Once(), checkpoint_seconds=1e-9)
    kept = sorted(tmp_path.glob("back/trials/*/checkpoint/0*"))
    assert len(kept) == 2
    assert kept[0].stat().st_mtime > kept[1].stat().st_mtime, "the newest is the older one by its file times"
    run_small(tmp_path / "back", images, recipe, steps, seeds=1)
    assert steps.count == undisturbed.count, "it goes on from the last step, not from the newest file"
    assert bits(tmp_path / "back") == bits(tmp_path / "forth")
    study = load_study(tmp_path / "back")
    assert all(trial.result.seconds >= 0 for trial in study.trials)
    assert all(trial.result.finished < study.record.created for trial in study.trials)
    assert not [fault for fault in check_study(tmp_path / "back") if fault.is_fault]
