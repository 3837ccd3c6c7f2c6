"""Every file of a study is written, synced, renamed, and its folder synced; and files come in the order promised.

The operations of one real study are recorded. Whoever is killed between two of them then finds no file or a whole one,
and a file that says "this has ended" only where all that it speaks of is there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.execution import Execution
from tests.wiring.recorder import Operation, Record, recording

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the names of descriptors are Linux's")

#: A checkpoint at every step.
EVERY_STEP = Execution("cpu", "float32", checkpoint_seconds=1e-9)


@pytest.fixture(scope="module")
def recorded(
    run_made: Callable[..., SavedStudy], state_of_the_module: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SavedStudy, Record]:
    """A study of two trials, with a checkpoint after every step."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    with recording(folder) as record:
        study = run_made(folder, "ladder", 1, techniques=("ema",), epochs=2, execution=EVERY_STEP)
    return study, record


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
def test_every_file_came_by_a_rename_of_a_synced_one(recorded: tuple[SavedStudy, Record]) -> None:
    study, record = recorded
    files = {name for name in files_of(study.folder) if not name.endswith(".lock")}
    assert {"study.json", "results.csv", "test-readings.json", "checksums.txt"} < files
    assert len([name for name in files if name.startswith("trials/")]) > 15
    renamed = {one.path for one in record.done if one.kind == "rename"}
    assert files <= renamed
    places = [place for place, one in enumerate(record.done) if one.kind == "rename" and "checkpoint/" not in one.path]
    assert len(places) > 30
    for place in places:
        check_rename(record.done, place)


def check_rename(done: list[Operation], place: int) -> None:
    """Written beside its place, synced after the last write, renamed, and the folder synced before anything else."""
    one = done[place]
    assert one.source.endswith(".part"), one
    assert Path(one.source).parent == Path(one.path).parent, one
    before = [operation for operation in done[:place] if operation.path == one.source]
    assert [operation.kind for operation in before] == ["write", "sync"], one
    assert done[place + 1] == Operation("sync folder", Path(one.path).parent.as_posix()), one


def test_nothing_is_written_in_place(recorded: tuple[SavedStudy, Record]) -> None:
    _, record = recorded
    written = [one.path for one in record.done if one.kind == "write"]
    assert len(written) > 30
    in_place = [path for path in written if not path.endswith((".part", ".lock")) and ".part/" not in path]
    assert in_place == []


def test_a_checkpoint_is_whole_before_it_has_its_name(recorded: tuple[SavedStudy, Record]) -> None:
    """Its files are synced, then their folder, which is renamed, and then the folder of all checkpoints."""
    _, record = recorded
    places = [place for place, one in enumerate(record.done) if one.kind == "rename" and "checkpoint/" in one.path]
    assert len(places) >= 4
    for place in places:
        temporary, folder = record.done[place].source, Path(record.done[place].path).parent.as_posix()
        assert Path(temporary).parent.as_posix() == folder
        inside = [one for one in record.done[:place] if one.path.startswith(temporary)]
        files = ["tensors.safetensors", "state.json", "complete.json"]
        expected = [Operation(kind, f"{temporary}/{name}") for name in files for kind in ("write", "sync")]
        assert inside == [*expected, Operation("sync folder", temporary)]
        assert record.done[place + 1] == Operation("sync folder", folder)


def test_the_plan_comes_first_and_its_checksums_last(recorded: tuple[SavedStudy, Record]) -> None:
    _, record = recorded
    renames = [one.path for one in record.done if one.kind == "rename"]
    of_trials = [place for place, path in enumerate(renames) if path.startswith("trials/")]
    assert renames.index("study.json") < of_trials[0]
    assert renames.index("images.safetensors") < of_trials[0]
    assert renames[-1] == "checksums.txt"
    assert renames.count("checksums.txt") == 1
    assert renames.index("checksums.txt") > max(place for place, path in enumerate(renames) if path == "results.csv")


def test_a_trial_has_ended_when_all_of_it_is_there(recorded: tuple[SavedStudy, Record]) -> None:
    study, record = recorded
    readings = [place for place, one in enumerate(record.done) if one.path == "test-readings.json"]
    assert len(study.trials) == 2
    for trial in study.trials:
        name = trial.folder.relative_to(study.folder).as_posix()
        trained = [one.path for one in record.done[: readings[0]] if one.kind == "rename" and one.path.startswith(name)]
        ended = [path for path in trained if "checkpoint/" not in path]
        assert ended[0] == f"{name}/recipe.toml"
        assert ended[-2:] == [f"{name}/checksums.txt", f"{name}/result.json"]
        assert {f"{name}/history.csv", f"{name}/model/model.safetensors", f"{name}/model/config.json"} < set(ended[:-2])
        # Until then the newest checkpoint is what a killed trial goes on from.
        removed = [
            place for place, one in enumerate(record.done) if one.kind == "remove" and f"{name}/checkp" in one.path
        ]
        kept = [place for place in removed if place > record.first(f"{name}/result.json")]
        assert kept, "the newest checkpoints go after the result"
        # Reading test rewrites the trial: what it predicts, its model's facts, and again checksums before the result.
        read = [one.path for one in record.done[readings[0] :] if one.kind == "rename" and one.path.startswith(name)]
        results = [place for place, path in enumerate(read) if path == f"{name}/result.json"]
        assert len(results) == 1
        assert read[results[0] - 1] == f"{name}/checksums.txt"
        for changed in ("predictions.safetensors", "validation.safetensors", "model/config.json", "model/limits.json"):
            assert read.index(f"{name}/{changed}") < results[0]


def test_a_reading_is_noted_before_the_first_image_and_ended_after_the_last(
    recorded: tuple[SavedStudy, Record],
) -> None:
    study, record = recorded
    renames = [(place, one.path) for place, one in enumerate(record.done) if one.kind == "rename"]
    notes = [place for place, path in renames if path == "test-readings.json"]
    assert len(notes) == 2
    predictions = [
        place for place, path in renames if path.endswith(("predictions.safetensors", "validation.safetensors"))
    ]
    assert len(predictions) == 4
    assert notes[0] < min(predictions)
    assert notes[1] > max(record.last(f"trials/{trial.folder.name}/result.json") for trial in study.trials)
