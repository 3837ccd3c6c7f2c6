"""No room, no permission, no folder, no file handle: one sentence, and the same command goes on to the same bits."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StepladderError, StorageError
from stepladder.report.write import write_report
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bits import bits
from stepladder.studies.files.records import SavedStudy, TrialResult
from stepladder.studies.files.store import read_result
from stepladder.studies.findings import make_findings
from stepladder.studies.running.callbacks import Callbacks
from stepladder.training.history import EpochRecord

from .small import run_small, small_images, small_recipe


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return small_images()


@pytest.fixture
def run(images: ImageSet, tmp_path: Path) -> Callable[..., SavedStudy]:
    """Two trials of two epochs, and perhaps their report."""
    recipe = small_recipe(techniques=[{"name": "standardize"}], epochs=2)

    def call(out: Path = tmp_path / "study", callbacks: Callbacks | None = None, report: bool = False) -> SavedStudy:
        saved = run_small(out, images, recipe, callbacks, seeds=1, checkpoint_seconds=1e-9)
        if report:
            write_report(make_findings(saved))
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


@pytest.mark.long
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


@pytest.mark.long
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


class Notes(Callbacks):
    """Keeps what it is told, and removes a folder after an epoch or a trial."""

    def __init__(self, remove: Path | None = None, after: str = "") -> None:
        self.sentences: list[str] = []
        self.remove, self.after = remove, after

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        if self.remove and self.after == f"epoch {record.epoch}":
            shutil.rmtree(self.remove)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        if self.remove and self.after == "trial":
            shutil.rmtree(self.remove)


@pytest.mark.long
@needs_proc
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EBUSY])
def test_results_csv_that_cannot_be_written_costs_no_trial(
    run: Callable[..., SavedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    notes = Notes()
    with monkeypatch.context() as patch:
        fail_at(patch, "results.csv", number)
        assert run(callbacks=notes).missing == 0
    assert any("results.csv was not rebuilt" in sentence for sentence in notes.sentences)
    assert all("the report rebuilds it" in sentence for sentence in notes.sentences)
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


@pytest.mark.long
def test_files_that_may_not_grow(run: Callable[..., SavedStudy], tmp_path: Path, whole: dict[str, object]) -> None:
    with (
        limited(resource.RLIMIT_FSIZE, 4096),
        pytest.raises(StorageError, match=r"no room to write .*\(File too large\); what was written before is kept"),
    ):
        run()
    run()
    assert bits(tmp_path / "study") == whole


@pytest.mark.long
@needs_proc
def test_without_file_handles_it_says_so_and_goes_on_when_there_are_some(
    run: Callable[..., SavedStudy], tmp_path: Path, whole: dict[str, object]
) -> None:
    run(tmp_path / "before")  # all is imported by now
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(highest)]  # every number below is taken
    refused = 0
    try:
        with limited(resource.RLIMIT_NOFILE, opened[-1] + 1):
            while True:
                os.close(opened.pop())  # one more in each attempt
                try:
                    run()
                except StepladderError as error:
                    assert "Too many open files" in str(error)  # noqa: PT017  (the run may also end well)
                    refused += 1
                else:
                    break
    finally:
        for descriptor in opened:
            os.close(descriptor)
    assert refused >= 1, "it needs more than one at a time"
    assert bits(tmp_path / "study") == whole


@pytest.mark.long
@needs_proc
def test_files_and_memory_maps_are_closed_run_after_run(
    run: Callable[..., SavedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened() -> tuple[int, int]:
        gc.collect()
        maps = Path("/proc/self/maps").read_text().count(str(tmp_path))
        return len(os.listdir("/proc/self/fd")), maps  # noqa: PTH208

    run(tmp_path / "first", report=True)  # what is loaded once stays open
    before = opened()
    for number in range(3):
        run(tmp_path / str(number), report=number == 2)
        run(tmp_path / str(number))  # nothing to do
    for kind in ("tensors.safetensors", "result.json"):  # and where it goes wrong
        with monkeypatch.context() as patch:
            fail_at(patch, kind)
            with pytest.raises(StorageError):
                run()
    assert opened() == before


def alone_with_few_inodes(run: Callable[..., SavedStudy], folder: Path, whole: dict[str, object]) -> None:
    """In a process of its own, where ``folder`` is a file system with more and more inodes: run until it goes well."""
    libc = ctypes.CDLL(None, use_errno=True)
    few, refused = 3, set()

    def mount(flags: int) -> None:
        options = f"size=64m,nr_inodes={few}".encode()
        if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", flags, options) != 0:
            raise OSError(ctypes.get_errno(), "mount")

    # A view of the mounted folders that is this process's own, and of which nobody else learns.
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise PermissionError(os.strerror(ctypes.get_errno()))
    mount(0)
    while True:
        try:
            run(folder / "study")
            break
        except StorageError as error:
            assert "no room to write" in str(error), error  # noqa: PT017
            assert "No space left on device" in str(error), error  # noqa: PT017
            refused.add(str(error).partition(":")[0].rpartition("/")[2])
        few += 2
        mount(MS_REMOUNT)
    assert len(refused) >= 5, refused  # at as many kinds of files
    assert bits(folder / "study") == whole


CLONE_NEWNS, MS_REMOUNT, MS_REC, MS_PRIVATE = 0x20000, 0x20, 0x4000, 0x40000


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux mounts a file system for one process")
def test_no_inode_is_left(run: Callable[..., SavedStudy], tmp_path: Path, whole: dict[str, object]) -> None:
    (tmp_path / "small").mkdir()
    report = tmp_path / "report"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            alone_with_few_inodes(run, tmp_path / "small", whole)
            status = 0
        except PermissionError as error:
            report.write_text(str(error))
            status = 77
        except BaseException:
            report.write_text(traceback.format_exc())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 77:
        pytest.skip(f"this process may not mount a file system with few inodes: {report.read_text()}")
    assert status == 0, report.read_text()


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "after"),
    [
        *(("study", after) for after in ("epoch 0", "epoch 1", "epoch 2", "trial")),
        *(("study/trials", after) for after in ("epoch 0", "epoch 1", "epoch 2")),
    ],
)
def test_a_folder_that_is_removed_under_the_run_is_not_made_again(
    run: Callable[..., SavedStudy], tmp_path: Path, part: str, after: str
) -> None:
    notes = Notes(tmp_path / part, after)
    with pytest.raises(StepladderError, match="removed"):
        run(callbacks=notes)
    assert not (tmp_path / part).exists()


@pytest.mark.long
def test_trials_that_ended_and_were_removed_run_again(
    run: Callable[..., SavedStudy], tmp_path: Path, whole: dict[str, object]
) -> None:
    # The study is still there, with its plan: that is no folder which was removed under a trial.
    class Once(Callbacks):
        def __init__(self) -> None:
            self.ended: list[str] = []

        def trial_ended(self, trial: Trial, result: TrialResult) -> None:
            self.ended.append(trial.rung)
            if len(self.ended) == 1:
                shutil.rmtree(tmp_path / "study" / "trials")

    callbacks = Once()
    assert run(callbacks=callbacks).missing == 0
    assert len(callbacks.ended) == 3, "the one that was removed ran twice"
    assert bits(tmp_path / "study") == whole


@pytest.mark.long
def test_what_a_killed_writer_left_in_the_folder_is_removed(run: Callable[..., SavedStudy], tmp_path: Path) -> None:
    run(report=True)
    study = tmp_path / "study"
    old = time.time() - 7200
    stale = [".study.json.a1b2c3d4.part", ".test-readings.json.a1b2c3d4.part"]
    aged = [".report.html.a1b2c3d4.part", "figures/.curves.png.a1b2c3d4.part"]
    kept = [".report.md.a1b2c3d4.part", ".mine.part.txt"]  # another process may be writing its report
    for name in stale + aged + kept:
        (study / name).write_text("half")
    for name in aged:
        os.utime(study / name, (old, old))
    run()
    assert sorted(str(path.relative_to(study)) for path in study.rglob(".*.part*")) == sorted(kept)


def test_a_trial_that_is_removed_alone_says_so(run: Callable[..., SavedStudy], tmp_path: Path) -> None:
    class Remover(Callbacks):
        def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
            shutil.rmtree(tmp_path / "study" / "trials" / trial.id)

    with pytest.raises(StepladderError, match="removed"):
        run(callbacks=Remover())
    assert all(read_result(path) is None for path in (tmp_path / "study" / "trials").iterdir())
