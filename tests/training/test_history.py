from pathlib import Path

import pytest

from stepladder.errors import StorageError
from stepladder.training.history import EpochRecord, read_history, write_history

UNTRAINED = EpochRecord(0, None, None, 2.302585092994046, 0.1, 0.25, None, val_loss=2.31, val_accuracy=0.09)
TRAINED = EpochRecord(1, 0.1, 1.9, float("inf"), 0.3, 1 / 3, 1234.5, val_loss=1.8, val_accuracy=0.4)


def test_every_digit_survives(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [UNTRAINED, TRAINED])
    assert read_history(tmp_path / "history.csv") == (UNTRAINED, TRAINED)


def test_the_columns_are_the_promised_ones(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [UNTRAINED])
    header, row = (tmp_path / "history.csv").read_text().splitlines()
    assert header == (
        "epoch,lr,train_loss_running,train_loss,train_accuracy,val_loss,val_accuracy,seconds,images_per_second"
    )
    assert row == "0,,,2.302585092994046,0.1,2.31,0.09,0.25,"


def test_without_validation_the_test_curve_has_columns_of_its_own(tmp_path: Path) -> None:
    watched = EpochRecord(1, 0.1, 1.9, 1.8, 0.3, 2.0, 99.0, test_loss=1.7, test_accuracy=0.35)
    write_history(tmp_path / "history.csv", [watched])
    header, row = (tmp_path / "history.csv").read_text().splitlines()
    assert header.endswith(",val_loss,val_accuracy,seconds,images_per_second,test_loss,test_accuracy")
    assert row == "1,0.1,1.9,1.8,0.3,,,2.0,99.0,1.7,0.35"
    assert read_history(tmp_path / "history.csv") == (watched,)


@pytest.mark.parametrize("text", ["epoch,lr\nx,0.1\n", "nonsense,columns\n1,2\n"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(StorageError, match=r"cannot read .*history\.csv"):
        read_history(tmp_path / "history.csv")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*history\.csv"):
        read_history(tmp_path / "history.csv")
