"""The history of a run of a command, to and from its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.errors import DamagedError
from stepladder.studies.files.run_history import RUN_HISTORY, RunEpoch, read_run_history, write_run_history

EPOCHS = (RunEpoch(1, 0.1, None, 2.25, 1e-7), RunEpoch(2, None, 1 / 3))


def test_what_was_written_is_read_to_the_digit(tmp_path: Path) -> None:
    assert read_run_history(tmp_path) == ()
    write_run_history(tmp_path, EPOCHS)
    assert read_run_history(tmp_path) == EPOCHS
    write_run_history(tmp_path, ())
    assert not (tmp_path / RUN_HISTORY).exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch,val_loss\n1,2\n",
        "epoch,train_score,val_score,train_loss,val_loss\n1,2\n",
        "epoch,train_score,val_score,train_loss,val_loss\n1,,,,x\n",
        "epoch,train_score,val_score,train_loss,val_loss\n1,,,,nan\n",
        "epoch,train_score,val_score,train_loss,val_loss\n1.5,,,,\n",
    ],
)
def test_what_was_not_written_so_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / RUN_HISTORY).write_text(text, encoding="utf-8")
    with pytest.raises(DamagedError, match=r"history\.csv is damaged"):
        read_run_history(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    write_run_history(tmp_path, EPOCHS)
    (tmp_path / RUN_HISTORY).rename(tmp_path / "elsewhere.csv")
    (tmp_path / RUN_HISTORY).symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(DamagedError):
        read_run_history(tmp_path)
