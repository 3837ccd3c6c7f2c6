"""Folders of runs, on files that the frameworks themselves wrote; and those that are damaged.

``data/`` holds what lightning 2.6.6, keras 3.15.1, transformers (the Trainer), tensorboard 2.21.0, mlflow 3.17.2 and
trackio 0.43.0 left of tiny trainings; only paths and user names were changed. ultralytics 8.4.190 and timm 1.0.31 wrote
theirs by ``data/make_ultralytics_and_timm.py``, wandb 0.31.0 by ``data/make_wandb.py``.
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.studies.scores.columns import FoundScores, find_scores
from stepladder.studies.scores.naming import ScoreColumns
from stepladder.studies.scores.runs import read_runs
from stepladder.studies.scores.tables import read_table

DATA = Path(__file__).with_name("data")


def found(pattern: str | Path, **columns: str) -> FoundScores:
    return find_scores(read_runs(str(pattern)).table, ScoreColumns(**{"variant": "variant", **columns}))  # type: ignore[arg-type]


def values(scores: FoundScores) -> dict[tuple[str, str], float | None]:
    return {(one.variant, one.seed): one.value for one in scores.scores}


def test_lightning() -> None:
    scores = found(DATA / "lightning" / "{variant}" / "seed{seed}")
    assert (scores.metric, scores.share, scores.columns["Epoch"]) == ("test_acc", True, "the last of column epoch")
    assert len(scores.scores) == 6
    last = (DATA / "lightning/small/seed0/lightning_logs/version_0/metrics.csv").read_text().splitlines()
    header = last[0].split(",")
    expected = next(
        row.split(",")[header.index("test_acc")]
        for row in last
        if row.split(",")[header.index("test_acc")] not in ("", "test_acc")
    )
    assert values(scores)["small", "0"] == float(expected)
    assert all(one.validation is not None for one in scores.scores)


def test_keras() -> None:
    scores = found(DATA / "keras" / "{variant}" / "seed{seed}")
    assert scores.metric == "val_accuracy"
    lines = (DATA / "keras/large/seed2/log.csv").read_text().splitlines()
    assert values(scores)["large", "2"] == float(lines[-1].split(",")[lines[0].split(",").index("val_accuracy")])


def test_hugging_face_and_the_usual_pattern() -> None:
    runs = read_runs(str(DATA / "hf"))
    assert runs.columns["Runs"].endswith("hf/{variant}/seed{seed}: 6 of Hugging Face")
    scores = found(DATA / "hf")
    assert scores.metric == "eval_accuracy"
    assert len(scores.scores) == 6


def test_tensorboard_reads_both_ways_of_writing_a_scalar() -> None:
    scores = found(DATA / "tensorboard")
    assert scores.metric == "test/accuracy"  # simple_value
    assert scores.columns["Validation score"] == "column val/accuracy"  # a tensor
    for one in scores.scores:
        assert one.value is not None
        assert one.validation == pytest.approx(one.value - 0.01, abs=1e-6)


MLFLOW = {"base": 0.7468, "mixup": 0.7769}


def means(scores: FoundScores) -> dict[str, float]:
    return {
        variant: round(sum(one.value or 0 for one in scores.scores if one.variant == variant) / 3, 4)
        for variant in scores.variants
    }


def test_mlflow_as_files_as_a_database_and_as_an_export(tmp_path: Path) -> None:
    assert means(found(DATA / "mlflow" / "mlruns")) == MLFLOW
    assert means(found(DATA / "mlflow")) == MLFLOW
    (tmp_path / "mlflow.db").write_bytes(gzip.decompress((DATA / "mlflow" / "mlflow.db.gz").read_bytes()))
    assert means(found(tmp_path / "mlflow.db")) == MLFLOW
    assert means(found(tmp_path)) == MLFLOW


def test_trackio(tmp_path: Path) -> None:
    (tmp_path / "digits.db").write_bytes(gzip.decompress((DATA / "trackio.db.gz").read_bytes()))
    assert means(found(tmp_path)) == MLFLOW


def test_names_of_runs_that_end_with_their_seed(tmp_path: Path) -> None:
    path = tmp_path / "digits.db"
    path.write_bytes(gzip.decompress((DATA / "trackio.db.gz").read_bytes()))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE configs SET config = '{}'")
    assert means(found(tmp_path)) == MLFLOW


def test_ultralytics(tmp_path: Path) -> None:
    assert read_runs(str(DATA / "ultralytics")).columns["Runs"].endswith("{variant}/seed{seed}: 6 of Ultralytics")
    scores = found(DATA / "ultralytics")
    assert (scores.metric, scores.share, scores.percent) == ("metrics/accuracy_top1", True, False)
    assert scores.columns["Epoch"] == "the last of column epoch"
    assert scores.notes[0].startswith("metrics/accuracy_top1 is a validation score")
    last = (DATA / "ultralytics/erasing/seed1/results.csv").read_text().splitlines()[-1]
    assert values(scores)["erasing", "1"] == float(last.split(",")[3])
    # Versions before 8.3 filled their columns up with spaces.
    for path in (DATA / "ultralytics").rglob("results.csv"):
        padded = tmp_path / path.relative_to(DATA)
        padded.parent.mkdir(parents=True)
        lines = (",".join(f"{cell:>23}" for cell in line.split(",")) for line in path.read_text().splitlines())
        padded.write_text("\n".join(lines) + "\n")
    assert values(found(tmp_path / "ultralytics")) == values(scores)


def test_timm() -> None:
    assert read_runs(str(DATA / "timm")).columns["Runs"].endswith("{variant}_seed{seed}: 6 of timm")
    scores = found(DATA / "timm")
    assert (scores.metric, scores.percent) == ("eval_top1", True)
    last = (DATA / "timm/fast_seed2/summary.csv").read_text().splitlines()[-1]
    assert values(scores)["fast", "2"] == pytest.approx(float(last.split(",")[3]) / 100)


def test_weights_and_biases_export() -> None:
    scores = find_scores(read_table(DATA / "wandb" / "project.csv"), ScoreColumns())
    assert scores.columns["Variants"].startswith("column config.variant")
    assert scores.columns["Seeds"].startswith("column config.seed")
    assert scores.metric == "summary.test_accuracy"
    assert means(scores) == {"base": 0.747, "mixup": 0.777}


def test_any_result_json(tmp_path: Path) -> None:
    for variant in ("a", "b"):
        for seed in range(2):
            (tmp_path / f"{variant}-{seed}").mkdir()
            (tmp_path / f"{variant}-{seed}" / "result.json").write_text(f'{{"val": 0.{seed}5, "test": 0.{seed}6}}')
    assert found(tmp_path).metric == "test"
    assert [one.validation for one in found(tmp_path).scores] == [0.05, 0.15, 0.05, 0.15]


def test_folders_without_results_are_counted(tmp_path: Path) -> None:
    shutil.copytree(DATA / "keras", tmp_path / "runs")
    (tmp_path / "runs" / "large" / "seed7").mkdir()
    runs = read_runs(str(tmp_path / "runs" / "{variant}" / "seed{seed}"))
    assert runs.notes[0].startswith("1 of 7 folders hold no results and are left out: ")


def test_a_pattern_matches_whole_parts_in_the_order_of_numbers(tmp_path: Path) -> None:
    for name in ("a_seed2", "a_seed10", "b_x_seed2", "b_x_seed10", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text('{"test": 0.5}')
    scores = found(tmp_path / "{variant}_seed{seed}")
    assert list(values(scores)) == [("a", "2"), ("a", "10"), ("b_x", "2"), ("b_x", "10")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("metrics.csv", "epoch,acc\n", "is no Lightning file that can be read .it has no rows below its header"),
        ("metrics.csv", "epoch,acc\n1\n", "row 2 has 1 cells, and the header 2"),
        ("results.csv", "a,a\n1,2\n", "is no Ultralytics file that can be read .it has a column twice"),
        ("trainer_state.json", "{}", "is no Hugging Face file that can be read .it has no log_history"),
        ("trainer_state.json", "{", "is no Hugging Face file"),
        ("result.json", "[]", "it holds no JSON object"),
        ("result.json", '{"a": "b"}', "it holds no number"),
        ("events.out.tfevents.1.x", "x" * 40, "is no TensorBoard file that can be read .its first record is longer"),
    ],
)
def test_a_damaged_file_gets_a_sentence(tmp_path: Path, name: str, content: str, words: str) -> None:
    shutil.copytree(DATA / "keras", tmp_path / "runs")
    for log in (tmp_path / "runs").rglob("log.csv"):
        (log.parent / name).write_text(content)
        log.unlink()
    with pytest.raises(StudyError, match=words):
        found(tmp_path / "runs")


def test_a_damaged_store_and_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database, but as long as its header would be, and then some more of it")
    with pytest.raises(StudyError, match=r"a\.db is no database that can be read"):
        read_runs(str(tmp_path))
    with pytest.raises(StudyError, match="does not tell which folders are runs of what"):
        read_runs(str(DATA))
    with pytest.raises(StudyError, match="does not say which part is"):
        read_runs("runs/seed{seed}")
    with pytest.raises(StudyError, match="no folder fits nowhere"):
        read_runs("nowhere/{variant}")
    with pytest.raises(StudyError, match="there is no folder nowhere"):
        read_runs("nowhere")


def test_two_versions_of_one_run_are_not_mixed(tmp_path: Path) -> None:
    shutil.copytree(DATA / "lightning", tmp_path / "runs")
    logs = tmp_path / "runs" / "small" / "seed0" / "lightning_logs"
    shutil.copytree(logs / "version_0", logs / "version_1")
    with pytest.raises(StudyError, match="holds 2 files of Lightning"):
        found(tmp_path / "runs")
    assert len(found(tmp_path / "runs" / "{variant}" / "seed{seed}" / "lightning_logs" / "version_0").scores) == 6
