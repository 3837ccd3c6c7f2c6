import multiprocessing
from pathlib import Path

import pytest

from stepladder.errors import StorageError
from stepladder.studies.running.locks import locked, try_lock


def hold(folder: str, ready, go) -> None:
    with locked(Path(folder)):
        ready.set()
        go.wait(30)


def test_one_owner_at_a_time_until_its_process_dies(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    process = context.Process(target=hold, args=(str(tmp_path), ready, go))
    process.start()
    assert ready.wait(30)
    with try_lock(tmp_path) as owned:
        assert not owned
    process.kill()
    process.join()
    with try_lock(tmp_path) as owned:
        assert owned


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*/file/trial/\.lock"), locked(tmp_path / "file" / "trial"):
        pass
    with pytest.raises(StorageError, match="cannot write"), try_lock(tmp_path / "file" / "trial"):
        pass
