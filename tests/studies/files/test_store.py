import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.errors import StorageError, StudyError
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.files.store import load_study, planned_trials, write_results
from stepladder.studies.judging.statistics import summarize_rungs

RunStudy = Callable[..., SavedStudy]


@pytest.mark.long
def test_a_study_reads_back_as_it_was_returned(study: RunStudy) -> None:
    saved = study()
    assert load_study(saved.folder) == saved
    assert [(trial.rung, trial.seed) for trial in saved.trials] == [
        (rung, seed) for rung in ("baseline", "standardize", "augment") for seed in (0, 1)
    ]


@pytest.mark.long
def test_trials_are_planned_seed_by_seed(study: RunStudy) -> None:
    planned = planned_trials(study().record)
    assert [(trial.seed, trial.rung) for trial in planned[:4]] == [
        (0, "baseline"),
        (0, "standardize"),
        (0, "augment"),
        (1, "baseline"),
    ]


@pytest.mark.long
def test_results_csv_follows_from_the_trials(study: RunStudy) -> None:
    saved = study()
    path = saved.folder / "results.csv"
    written = path.read_bytes()
    path.unlink()
    write_results(load_study(saved.folder))
    assert path.read_bytes() == written
    rows = list(csv.DictReader(written.decode().splitlines()))
    assert [row["rung"] for row in rows] == ["baseline"] * 2 + ["standardize"] * 2 + ["augment"] * 2
    assert rows[-1]["techniques"] == "standardize random_crop horizontal_flip"
    assert {row["status"] for row in rows} == {"finished"}
    summary = summarize_rungs(saved)[0]
    assert [float(row["test_accuracy"]) for row in rows[:2]] == list(summary.scores.values())


def test_a_folder_without_a_study_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"there is no study in .*; start one there with study\(data, out="):
        load_study(tmp_path)


@pytest.mark.long
def test_a_newer_schema_is_refused_and_not_misread(study: RunStudy) -> None:
    folder = study(seeds=1).folder
    document = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**document, "schema_version": 99}))
    with pytest.raises(StorageError, match=r"has schema version 99; this Stepladder reads versions 2 to 4"):
        load_study(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema_version": 2}', '{"schema_version": 3}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StorageError, match=r"study\.json"):
        load_study(tmp_path)


@pytest.mark.long
def test_a_damaged_result_is_named_with_the_way_out(study: RunStudy) -> None:
    saved = study(seeds=1)
    path = saved.trials[0].folder / "result.json"
    document = json.loads(path.read_text())
    for change in ({"test_accuracy": 7}, {"test_loss": None}, {"status": "unknown"}):
        path.write_text(json.dumps({**document, **change}))
        with pytest.raises(StorageError, match=r"baseline, seed 0: .*result\.json is damaged .*; run the study again"):
            load_study(saved.folder)
    path.write_text(json.dumps({**document, "schema_version": 99}))
    with pytest.raises(StorageError, match=r"result\.json has schema version 99"):
        load_study(saved.folder)
    path.write_text(json.dumps({**document, "seed": 77}))
    with pytest.raises(StorageError, match=r"result\.json is damaged \(it is that of another trial\)"):
        load_study(saved.folder)


@pytest.mark.long
def test_a_history_without_all_its_epochs_is_named(study: RunStudy) -> None:
    saved = study(seeds=1)
    path = saved.trials[0].folder / "history.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(StorageError, match=r"history\.csv is damaged \(it lacks epochs: it has 1 rows"):
        load_study(saved.folder)
