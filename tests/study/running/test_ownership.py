import multiprocessing
from pathlib import Path

import pytest

from stepladder.errors import StorageError
from stepladder.study.running.ownership import own, own_if_free


def hold(folder: str, ready, go) -> None:
    with own(Path(folder)):
        ready.set()
        go.wait(30)


def test_one_owner_at_a_time_until_its_process_dies(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    process = context.Process(target=hold, args=(str(tmp_path), ready, go))
    process.start()
    assert ready.wait(30)
    with own_if_free(tmp_path) as owned:
        assert not owned
    process.kill()
    process.join()
    with own_if_free(tmp_path) as owned:
        assert owned


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*/file/trial/\.lock"), own(tmp_path / "file" / "trial"):
        pass
    with pytest.raises(StorageError, match="cannot write"), own_if_free(tmp_path / "file" / "trial"):
        pass
