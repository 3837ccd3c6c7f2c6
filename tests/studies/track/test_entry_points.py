"""Trackers of other packages, and when a tracker is refused: before anything else begins."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.studies.track import find_tracker, known_trackers, make_trackers

#: A package as pip would have installed it: a module, and the metadata that names its trackers.
MODULE = '''
from pathlib import Path
from stepladder.studies.track.base import Tracker

class Diary(Tracker):
    """Writes a line an event."""

    requires = ("json",)

    def __init__(self, folder, project):
        self.file = Path(folder) / "diary.txt"
        self.file.parent.mkdir(parents=True)
        self.write("project", project)

    def write(self, *words):
        with self.file.open("a") as file:
            print(*words, file=file)

    def start(self, run, settings, first_epoch):
        self.write("start", run, settings["rung"])

    def log(self, epoch, figures):
        self.write("log", epoch)

    def end(self, finished):
        self.write("end", finished)

    def add(self, run, settings, epoch, figures):
        self.write("add", run)

    def summarize(self, figures):
        self.write("summary", figures["mixup/verdict"] if "mixup/verdict" in figures else sorted(figures))

class Wanting(Diary):
    requires = ("a_library_that_is_not_there",)
    extra = "diary"

class Ailing(Diary):
    def __init__(self, folder, project):
        raise OSError("the pen is dry")

no_tracker = dict
'''
ENTRIES = """[stepladder.trackers]
diary = made_up_diary:Diary
wanting = made_up_diary:Wanting
ailing = made_up_diary:Ailing
broken = made_up_diary:NoSuchClass
wrong = made_up_diary:no_tracker
"""


@pytest.fixture
def package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("site")
    (folder / "made_up_diary.py").write_text(MODULE, encoding="utf-8")
    metadata = folder / "made_up_diary-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up-diary\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "made_up_diary", raising=False)


@pytest.mark.long
@pytest.mark.usefixtures("package")
def test_a_tracker_of_another_package_is_told_everything(stepladder: Callable[..., Any]) -> None:
    outcome = stepladder(
        *("study", "digits", "--limit", "20", "--epochs", "1", "--seeds", "1", "--out", "out", "--track", "diary"),
        *("--rung", "base:", "--rung", "+mixup:mixup"),
    )
    assert outcome.code == 0, outcome.err
    lines = Path("out/tracking/diary/diary.txt").read_text(encoding="utf-8").splitlines()
    trial = ["log 0", "log 1", "log 1", "end True"]
    assert lines == [
        "project out",
        "start base-seed0 base",
        *trial,
        "start mixup-seed0 mixup",
        *trial,
        "add base-seed0",
        "add mixup-seed0",
        "summary no verdict",
    ]


@pytest.mark.usefixtures("package")
def test_what_another_package_got_wrong_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"the tracker ailing cannot begin \(.*the pen is dry"):
        make_trackers(["ailing"], tmp_path, print)
    assert known_trackers()[:4] == ("tensorboard", "trackio", "wandb", "mlflow")
    assert {"diary", "broken", "wrong"} <= set(known_trackers())
    for name, words in (
        ("broken", "the tracker broken of made-up-diary cannot be loaded"),
        ("wrong", "the tracker wrong of made-up-diary is no class that inherits from Tracker"),
        ("dairy", "unknown tracker 'dairy'; did you mean 'diary'"),
    ):
        with pytest.raises(StudyError, match=words):
            find_tracker(name)


@pytest.mark.long
@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("tracker", ["comet", "wanting"])
@pytest.mark.parametrize(
    "command",
    [
        ("study", "nowhere"),
        ("sweep", "nowhere", "--over", "optimizer.lr=0.1,0.2"),
        ("sweep", "nowhere", "--over", "optimizer.lr=0.1..0.2", "--search", "optuna"),
        ("curve", "nowhere"),
        ("train", "nowhere"),
    ],
    ids=["study", "sweep", "search", "curve", "train"],
)
def test_a_tracker_that_cannot_be_is_refused_before_images_are_looked_for(
    stepladder: Callable[..., Any], command: tuple[str, ...], tracker: str
) -> None:
    outcome = stepladder(*command, "--track", tracker, "--out", "out")
    assert outcome.code == 2
    expected = "unknown tracker 'comet'" if tracker == "comet" else "needs a_library_that_is_not_there"
    assert expected in outcome.err
    assert "nowhere" not in outcome.err  # there is no such image set, and nobody has looked
    assert not Path("out").exists()


@pytest.mark.parametrize("command", ["lr-range", "plan"])
def test_what_trains_no_trial_takes_no_tracker(stepladder: Callable[..., Any], command: str) -> None:
    outcome = stepladder(command, "nowhere", "--track", "tensorboard")
    assert outcome.code == 2
    assert "--track " in outcome.err
    assert "nowhere" not in outcome.err
