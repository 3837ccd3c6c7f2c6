"""The history that a command names: columns found by their names, several rows an epoch, and what cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepladder.studies.files.run_history import RunEpoch
from stepladder.studies.scores.histories import read_history

LIGHTNING = Path(__file__).with_name("data") / "lightning" / "small" / "seed0" / "lightning_logs" / "version_0"
KERAS = Path(__file__).with_name("data") / "keras" / "small" / "seed0"


def read(folder: Path, text: str, metric: str = "accuracy", **how: Any) -> tuple[RunEpoch, ...] | str:
    (folder / "h.csv").write_text(text, encoding="utf-8")
    return read_history(folder, "h.csv", metric, **{"share": True, "percent": False, **how})


@pytest.mark.parametrize(
    ("header", "metric", "expected"),
    [
        ("epoch,train_accuracy,val_accuracy,train_loss,val_loss", "accuracy", RunEpoch(3, 0.1, 0.2, 0.3, 0.4)),
        ("epoch,accuracy,val_accuracy,loss,val_loss", "accuracy", RunEpoch(3, 0.1, 0.2, 0.3, 0.4)),
        ("epoch,train/acc,valid.acc,train/loss,valid.loss", "accuracy", RunEpoch(3, 0.1, 0.2, 0.3, 0.4)),
        ("epoch,train,val,lr,note", "macro F1", RunEpoch(3, 0.1, 0.2)),
        ("epoch,train_f1,val_macro_f1,lr,val_loss", "macro_f1", RunEpoch(3, None, 0.2, None, 0.4)),
        ("epoch,train_loss,val_loss,a,b", "loss", RunEpoch(3, 0.1, 0.2)),
        ("epoch,test_accuracy,val_accuracy,test_loss,b", "accuracy", RunEpoch(3, None, 0.2)),
    ],
)
def test_columns_are_found_by_their_names(tmp_path: Path, header: str, metric: str, expected: RunEpoch) -> None:
    assert read(tmp_path, f"{header}\n3,0.1,0.2,0.3,0.4\n", metric) == (expected,)


def test_percent_is_of_scores_alone(tmp_path: Path) -> None:
    text = "epoch,val_accuracy,val_loss\n1,91.5,30\n"
    assert read(tmp_path, text, percent=True) == (RunEpoch(1, None, 0.915, None, 30.0),)
    assert read(tmp_path, text, share=False) == (RunEpoch(1, None, 91.5, None, 30.0),)


def test_rows_are_counted_without_a_column_of_epochs_and_merged_within_one(tmp_path: Path) -> None:
    assert read(tmp_path, "val_loss\n2\n1\n") == (RunEpoch(1, val_loss=2.0), RunEpoch(2, val_loss=1.0))
    merged = read(tmp_path, "epoch,train_loss,val_loss\n0,3,\n0,2,\n0,,1\n1,nan,0.5\n")
    assert merged == (RunEpoch(0, train_loss=2.0, val_loss=1.0), RunEpoch(1, val_loss=0.5))


def test_what_frameworks_write_is_read() -> None:
    lightning = read_history(LIGHTNING, "metrics.csv", "acc", share=True, percent=False)
    keras = read_history(KERAS, "log.csv", "accuracy", share=True, percent=False)
    assert not isinstance(lightning, str)
    assert not isinstance(keras, str)
    assert all(epoch.val_score is not None for epoch in lightning)
    assert all(None not in (epoch.train_score, epoch.val_score, epoch.train_loss, epoch.val_loss) for epoch in keras)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch,val_accuracy\n", "has not a header and as many cells in every row"),
        ("epoch,val_accuracy\n1\n", "has not a header and as many cells in every row"),
        (
            "epoch,lr\n1,0.1\n",
            "has none of the columns val_accuracy, train_accuracy, val_loss and train_loss, but",
        ),
        ("epoch,val_accuracy\n1,91\n", "has val_accuracy 91, which is no fraction of 1"),
        ("val_loss\n" + "1\n" * 10_001, "has 10,001 rows, and at most 10,000 are drawn"),
        ('val_loss\n"1', "cannot be read"),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    told = read(tmp_path, text)
    assert isinstance(told, str)
    assert told.startswith("its history h.csv ")
    assert words in told


@pytest.mark.parametrize("name", ["../h.csv", "/etc/passwd", 5, "", "gone.csv", "link.csv"])
def test_nothing_but_a_plain_file_of_the_run_is_read(tmp_path: Path, name: object) -> None:
    (tmp_path / "h.csv").write_text("val_loss\n1\n", encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    (out / "link.csv").symlink_to(tmp_path / "h.csv")
    told = read_history(out, name, "accuracy", share=True, percent=False)
    assert isinstance(told, str)
    assert "no file below" in told or "cannot be read" in told
