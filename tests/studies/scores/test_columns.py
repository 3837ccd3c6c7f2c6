"""Columns are found by name and content, and what is odd about them gets a sentence."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.studies.scores.columns import FoundScores, find_scores
from stepladder.studies.scores.naming import ScoreColumns
from stepladder.studies.scores.tables import read_table


def table(**columns: Any) -> Any:
    return read_table(columns)


def find(asked: ScoreColumns | None = None, **columns: Any) -> FoundScores:
    return find_scores(table(**columns), asked or ScoreColumns())


VARIANTS = ["a", "a", "b", "b"]
SEEDS = [0, 1, 0, 1]


def scores_of(found: FoundScores) -> list[tuple[str, str, float | None]]:
    return [(one.variant, one.seed, one.value) for one in found.scores]


@pytest.mark.parametrize("variant", ["method", "Variant", "config.model", "params.rung", "whatever"])
@pytest.mark.parametrize("seed", ["seed", "Random Seed", "hparams/seed", "fold"])
def test_columns_are_found_whatever_they_are_called(variant: str, seed: str) -> None:
    found = find(**{variant: VARIANTS, seed: SEEDS, "lr": [0.1] * 4, "test_acc": [0.5, 0.6, 0.7, 0.8]})
    assert scores_of(found) == [("a", "0", 0.5), ("a", "1", 0.6), ("b", "0", 0.7), ("b", "1", 0.8)]
    assert found.paired
    assert found.columns["Variants"] == f"column {variant}: a, b"
    assert found.columns["Seeds"] == f"column {seed}: 0, 1"


@pytest.mark.parametrize(
    ("columns", "metric", "share", "higher"),
    [
        (("train_acc", "val_acc", "test_acc"), "test_acc", True, True),
        (("loss", "accuracy"), "accuracy", True, True),
        (("test_loss", "val_acc"), "test_loss", False, False),
        (("val_loss", "lr"), "val_loss", False, False),
        (("mIoU", "seconds"), "mIoU", True, True),
        (("metrics/mAP50(B)", "train/box_loss"), "metrics/mAP50(B)", True, True),
        (("reward", "batch_size"), "reward", False, True),
        (("perplexity",), "perplexity", False, False),
        (("quux",), "quux", False, True),
        (("test_quux", "bar"), "test_quux", False, True),
    ],
)
def test_the_score_is_found_with_its_unit_and_direction(
    columns: tuple[str, ...], metric: str, share: bool, higher: bool
) -> None:
    found = find(method=VARIANTS, seed=SEEDS, **{name: [0.5, 0.6, 0.7, 0.8] for name in columns})
    assert (found.metric, found.share, found.higher_is_better) == (metric, share, higher)
    assert f"column {metric}" in found.columns["Score"]


def test_what_was_named_goes_before_what_is_found() -> None:
    asked = ScoreColumns(variant="who", seed="n", metric="loss", lower_is_better=False)
    found = find(asked, who=VARIANTS, method=["x"] * 4, n=SEEDS, loss=[1, 2, 3, 4], acc=[0.1] * 4)
    assert (found.metric, found.higher_is_better, found.variants) == ("loss", True, ("a", "b"))
    several = find(ScoreColumns(variant="lr, wd"), lr=[1, 1, 2, 2], wd=[0, 0, 0, 0], seed=SEEDS, acc=[0.5] * 4)
    assert several.variants == ("lr=1, wd=0", "lr=2, wd=0")


def test_percent_becomes_fractions_and_keeps_its_last_digit() -> None:
    found = find(method=VARIANTS, seed=SEEDS, acc=["91.2", "90.85", "92.1", "93"])
    assert found.share
    assert found.percent
    assert [one.value for one in found.scores] == pytest.approx([0.912, 0.9085, 0.921, 0.93])
    assert found.resolution == pytest.approx(1e-4)
    fractions = find(method=VARIANTS, seed=SEEDS, acc=["0.9", "0.91", "0.92", "0.93"])
    assert not fractions.percent
    assert fractions.resolution == pytest.approx(0.01)


def test_percent_and_fractions_mixed_get_a_sentence() -> None:
    with pytest.raises(StudyError, match=r"acc is 0\.91 in one row and 92 in another: fractions and percent are mixed"):
        find(method=VARIANTS, seed=SEEDS, acc=[0.91, 0.92, 91, 92])
    with pytest.raises(StudyError, match="which is no fraction of 1"):
        find(ScoreColumns(unit="fraction"), method=VARIANTS, seed=SEEDS, acc=[0.91, 0.92, 91, 92])
    assert find(ScoreColumns(unit="number"), method=VARIANTS, seed=SEEDS, acc=[0.9, 0.9, 91, 92]).share is False


def test_an_empty_score_is_none_and_no_row_is_lost() -> None:
    found = find(method=VARIANTS, seed=SEEDS, acc=[0.5, "nan", None, 0.8])
    assert [one.value for one in found.scores] == [0.5, None, None, 0.8]


def test_copies_are_counted_once_and_said_and_contradictions_refused() -> None:
    found = find(method=["a", "a", "b"], seed=[0, 0, 0], acc=[0.5, 0.5, 0.6])
    assert len(found.scores) == 2
    assert found.notes[0].startswith("1 row is a copy of another")
    with pytest.raises(
        StudyError, match=r"seed 0 of a stands 2 times in frame, with acc 0\.5, 0\.6; a run has one score"
    ):
        find(method=["a", "a", "b"], seed=[0, 0, 0], acc=[0.5, 0.6, 0.6])


LOG: dict[str, Any] = {
    "method": ["a"] * 6 + ["b"] * 6,
    "seed": [0, 0, 0, 1, 1, 1] * 2,
    "epoch": [1, 2, 3] * 4,
    "val_acc": [0.1, 0.3, 0.2, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.5, 0.4],
    "test_acc": [0.11, 0.31, 0.21, 0.12, 0.22, 0.32, 0.41, 0.51, 0.61, 0.62, 0.52, 0.42],
}


def test_of_several_epochs_the_last_or_the_one_that_validation_chose() -> None:
    assert [one.value for one in find(**LOG).scores] == [0.21, 0.32, 0.61, 0.42]
    best = find(ScoreColumns(select="best-val"), **LOG)
    assert [one.value for one in best.scores] == [0.31, 0.32, 0.61, 0.62]
    assert "best by val_acc" in best.columns["Epoch"]
    assert not any("chosen by" in note for note in best.notes)


def test_choosing_by_the_score_that_is_judged_is_named_and_marked() -> None:
    found = find(ScoreColumns(select="best-val", metric="val_acc"), **LOG)
    assert [one.value for one in found.scores] == [0.3, 0.3, 0.6, 0.6]
    assert any("was chosen by val_acc, the score that is judged" in note for note in found.notes)
    assert any("val_acc is a validation score" in note for note in find(ScoreColumns(metric="val_acc"), **LOG).notes)


def test_lines_of_a_log_that_tell_of_one_epoch_are_one() -> None:
    # As Lightning writes it: training and validation on lines of their own, test behind all.
    found = find(
        method=["a", "a", "a", "b", "b", "b"],
        seed=[0] * 6,
        epoch=[0, 0, 1, 0, 0, 1],
        train_loss=[1, None, None, 1, None, None],
        val_acc=[None, 0.5, None, None, 0.6, None],
        test_acc=[None, None, 0.7, None, None, 0.8],
    )
    assert [(one.value, one.validation) for one in found.scores] == [(0.7, 0.5), (0.8, 0.6)]


def test_a_log_without_seeds_is_one_run_a_variant() -> None:
    found = find(method=["a", "a", "b", "b"], epoch=[1, 2, 1, 2], test_acc=[0.1, 0.2, 0.3, 0.4])
    assert scores_of(found) == [("a", "0", 0.2), ("b", "0", 0.4)]
    assert not found.paired


def test_a_score_without_one_of_validation_beside_it_is_not_that_of_training() -> None:
    found = find(method=["a", "b"], seed=[0, 0], epoch=[1, 1], auc=[0.9, 0.8], val_loss=[0.7, 0.8])
    assert found.metric == "auc"
    assert not any("measured on training images" in note for note in found.notes)


def test_accuracy_beside_val_accuracy_in_a_log_is_that_of_training() -> None:
    found = find(method=["a", "b"], seed=[0, 0], epoch=[1, 1], accuracy=[0.9, 0.9], val_accuracy=[0.7, 0.8])
    assert found.metric == "val_accuracy"
    named = find(
        ScoreColumns(metric="accuracy"),
        method=["a", "b"],
        seed=[0, 0],
        epoch=[1, 1],
        accuracy=[0.9, 0.9],
        val_accuracy=[0.7, 0.8],
    )
    assert any("seems to be measured on training images" in note for note in named.notes)


def test_wide_tables_of_both_kinds() -> None:
    seeds = find(ScoreColumns(metric="acc", unit="fraction"), method=["a", "b"], seed0=[0.5, 0.7], seed1=[0.6, 0.8])
    assert scores_of(seeds) == [("a", "0", 0.5), ("a", "1", 0.6), ("b", "0", 0.7), ("b", "1", 0.8)]
    variants = find(seed=[0, 1], plain=[0.5, 0.6], mixup=[0.7, 0.8])
    assert sorted(scores_of(variants)) == [
        ("mixup", "0", 0.7),
        ("mixup", "1", 0.8),
        ("plain", "0", 0.5),
        ("plain", "1", 0.6),
    ]
    assert variants.notes == ("A wide table: its columns plain, mixup are variants.",)
    unpaired = find(plain=[0.5, 0.6], mixup=[0.7, 0.8])
    assert not unpaired.paired


def test_data_sets_are_blocks() -> None:
    rows = list(itertools.product(["a", "b"], ["cifar", "mnist"], [0, 1]))
    found = find(
        method=[row[0] for row in rows], dataset=[row[1] for row in rows], seed=[row[2] for row in rows], acc=[0.5] * 8
    )
    assert found.blocks == ("cifar", "mnist")
    assert len(found.scores) == 8


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"seed": SEEDS, "acc": [0.5] * 4, "x": [1, 2, 3, 4]}, "does not tell which column says what is compared"),
        (
            {"method": VARIANTS, "seed": SEEDS, "x": [1, 2, 3, 4], "y": [1, 2, 3, 4]},
            r"\(it may be x, y\); name it with `metric`",
        ),
        ({"method": VARIANTS, "seed": SEEDS, "x": ["a"] * 4}, r"no column holds numbers"),
        (
            {"method": ["a", None, "b"], "seed": [0, 1, 0], "acc": [0.5] * 3},
            "row 2 of frame has nothing in the column method",
        ),
        ({"method": ["a", "a", "b"], "seed": [0, None, 0], "acc": [0.5] * 3}, "row 2 of frame has no seed"),
    ],
)
def test_what_cannot_be_told_gets_a_sentence_with_the_option(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        find(**columns)


def test_a_column_that_is_not_there_is_named_with_its_neighbors() -> None:
    with pytest.raises(StudyError, match="unknown column 'acuracy'; did you mean 'accuracy'"):
        find(ScoreColumns(metric="acuracy"), method=VARIANTS, seed=SEEDS, accuracy=[0.5] * 4)


def test_a_name_of_its_own_for_every_run_is_no_variant() -> None:
    # As W&B exports runs.
    found = find(Name=["fluffy-1", "lake-2", "sun-3", "dew-4"], model=VARIANTS, seed=SEEDS, **{"test/acc": [0.5] * 4})
    assert found.variants == ("a", "b")
