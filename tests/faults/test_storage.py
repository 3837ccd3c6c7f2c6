"""No room, no permission, no folder, no file handle: one sentence, and the same command goes on to the same bits."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepladder.data import ImageSet
from stepladder.errors import StepladderError, StorageError
from stepladder.report import write_report
from stepladder.study.bits import bits
from stepladder.study.plan import Trial
from stepladder.study.records import SavedStudy, TrialResult
from stepladder.study.store import read_result
from stepladder.study.watch import Watch
from stepladder.training.history import EpochRecord

from .small import run_small, small_images, small_recipe


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return small_images()


@pytest.fixture
def run(images: ImageSet, tmp_path: Path) -> Callable[..., SavedStudy]:
    """Two trials of two epochs, and perhaps their report."""
    recipe = small_recipe(techniques=[{"name": "standardize"}], epochs=2)

    def call(out: Path = tmp_path / "study", watch: Watch | None = None, report: bool = False) -> SavedStudy:
        saved = run_small(out, images, recipe, watch, seeds=1, checkpoint_seconds=1e-9)
        if report:
            write_report(saved)
        return saved

    return call


@pytest.fixture(scope="module")
def whole(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    out = tmp_path_factory.mktemp("whole")
    run_small(out, images, small_recipe(techniques=[{"name": "standardize"}], epochs=2), seeds=1)
    return bits(out)


KINDS = (
    "study.json",
    "images.safetensors",
    "recipe.toml",
    "tensors.safetensors",
    "state.json",
    "complete.json",
    "history.csv",
    "model.safetensors",
    "config.json",
    "checksums.txt",
    "result.json",
    "test-readings.json",
    "predictions.safetensors",
    "verdicts.json",
)


def fail_at(monkeypatch: pytest.MonkeyPatch, kind: str, number: int = errno.ENOSPC) -> None:
    """Syncing a file of that name finds no room: a disk may say so only then."""
    sync = os.fsync

    def full(descriptor: int) -> None:
        if kind in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc here to name open files")


@needs_proc
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_at_each_kind_of_write(
    run: Callable[..., SavedStudy], tmp_path: Path, whole: dict[str, object], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, kind)
        with pytest.raises(StorageError, match=r"no room to write .*: it needs [\d.]+ MB, and .* MB are free"):
            run()
    assert not [path for path in tmp_path.rglob("*.part") if path.is_file()], "nothing half written takes room"
    run()
    assert bits(tmp_path / "study") == whole


@needs_proc
@pytest.mark.parametrize("kind", ["report.md", "report.html", ".png"])
def test_a_full_disk_at_the_report_costs_no_trial(
    run: Callable[..., SavedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, kind)
        with pytest.raises(StorageError, match="no room to write"):
            run(report=True)
    trial = next((tmp_path / "study" / "trials").iterdir())
    before = (trial / "result.json").stat().st_mtime_ns
    run(report=True)
    assert (tmp_path / "study" / "report.html").exists()
    assert (trial / "result.json").stat().st_mtime_ns == before


class Notes(Watch):
    """Keeps what it is told, and removes a folder after an epoch or a trial."""

    def __init__(self, remove: Path | None = None, after: str = "") -> None:
        self.sentences: list[str] = []
        self.remove, self.after = remove, after

    def told(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        if self.remove and self.after == f"epoch {record.epoch}":
            shutil.rmtree(self.remove)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        if self.remove and self.after == "trial":
            shutil.rmtree(self.remove)


@needs_proc
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EBUSY])
def test_results_csv_that_cannot_be_written_costs_no_trial(
    run: Callable[..., SavedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    notes = Notes()
    with monkeypatch.context() as patch:
        fail_at(patch, "results.csv", number)
        assert run(watch=notes).missing == 0
    assert any("results.csv was not rebuilt" in sentence for sentence in notes.sentences)
    assert all("stepladder report" in sentence for sentence in notes.sentences)
    run()
    assert (tmp_path / "study" / "results.csv").read_text().count("\n") == 3


@contextmanager
def limited(what: int, value: int) -> Iterator[None]:
    """Allow this process less of something."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


def test_files_that_may_not_grow(run: Callable[..., SavedStudy], tmp_path: Path, whole: dict[str, object]) -> None:
    with (
        limited(resource.RLIMIT_FSIZE, 4096),
        pytest.raises(StorageError, match=r"no room to write .*\(File too large\); what was written before is kept"),
    ):
        run()
    run()
    assert bits(tmp_path / "study") == whole


@pytest.mark.parametrize("spare", [1, 2, 3])
def test_no_file_handle_is_left(
    run: Callable[..., SavedStudy], tmp_path: Path, whole: dict[str, object], spare: int
) -> None:
    run(tmp_path / "before")  # all is imported by now
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(highest)]  # every number below is taken
    for descriptor in opened[-spare:]:
        os.close(descriptor)
    try:
        with limited(resource.RLIMIT_NOFILE, opened[-1] + 1):
            try:
                run()
            except (StepladderError, OSError) as error:
                assert "Too many open files" in str(error)  # noqa: PT017  (the run may also end well)
            else:
                assert spare > 1, "it needs more than one at a time"
    finally:
        for descriptor in opened[:-spare]:
            os.close(descriptor)
    run()
    assert bits(tmp_path / "study") == whole


def test_a_folder_that_may_only_be_read(images: ImageSet, whole: dict[str, object]) -> None:
    # The tests may run as root, whom no mode keeps from writing: then as nobody, in a folder of root's.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(StorageError, match=r"cannot write .*: Permission denied; choose a folder with permission"):
            run_small(folder / "study", images, small_recipe(techniques=[{"name": "standardize"}], epochs=2), seeds=1)
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
    assert not list(folder.iterdir())
    run_small(folder / "study", images, small_recipe(techniques=[{"name": "standardize"}], epochs=2), seeds=1)
    assert bits(folder / "study") == whole
    shutil.rmtree(folder)


@pytest.mark.parametrize("after", ["epoch 0", "epoch 1", "epoch 2", "trial"])
@pytest.mark.parametrize("part", ["study", "study/trials"])
def test_a_folder_that_is_removed_under_the_run_is_not_made_again(
    run: Callable[..., SavedStudy], tmp_path: Path, after: str, part: str
) -> None:
    notes = Notes(tmp_path / part, after)
    if part == "study/trials" and after == "trial":
        return  # all of it has ended: a study without trials, which runs them again
    with pytest.raises(StepladderError, match="removed"):
        run(watch=notes)
    assert not (tmp_path / part).exists()


def test_a_trial_that_is_removed_alone_says_so(run: Callable[..., SavedStudy], tmp_path: Path) -> None:
    class Remover(Watch):
        def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
            shutil.rmtree(tmp_path / "study" / "trials" / trial.id)

    with pytest.raises(StepladderError, match="removed"):
        run(watch=Remover())
    assert all(read_result(path) is None for path in (tmp_path / "study" / "trials").iterdir())
