import builtins
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.files import replace_json
from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Protocol
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.machine import describe_machine
from stepladder.studies.files.records import SavedStudy, TrialResult
from stepladder.studies.files.store import load_study
from stepladder.studies.judging.points import summarize_points
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.search import Search, hide_password, run_search, sampler_of, sqlite_url
from stepladder.training.history import EpochRecord, write_history

RunSearch = Callable[..., SavedStudy]
CPU = Execution("cpu", "float32")


@pytest.fixture
def search(digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> RunSearch:
    def run(
        *over: str,
        folder: str = "search",
        seeds: int = 2,
        protocol: Protocol | None = None,
        execution: Execution | None = None,
        callbacks: Callbacks | None = None,
        **options: Any,
    ) -> SavedStudy:
        over = over or ("optimizer.lr=0.001..1", "batch_size=16..64")
        return run_search(
            digits,
            tiny_recipe(epochs=1),
            Search(over, **{"points": 20, **options}),
            tmp_path / folder,
            seeds=seeds,
            protocol=protocol,
            execution=execution or CPU,
            callbacks=callbacks,
        )

    return run


class Stop(Callbacks):
    """Interrupts after some trials have ended."""

    def __init__(self, after: int) -> None:
        self.after = after

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        self.after -= 1
        if self.after < 0:
            raise KeyboardInterrupt


def made_up_trial(job: Job, compute: Any, callbacks: Callbacks, _: Any) -> TrialResult:
    """A trial that takes no time and is best at a rate of 0.1."""
    trial, folder = job.trial, job.folder
    callbacks.trial_started(trial)
    accuracy = 0.9 - 0.2 * abs(math.log10(trial.recipe.optimizer.lr) + 1) + 0.01 * trial.seed
    result = TrialResult(
        trial=trial.id,
        seed=trial.seed,
        techniques=(),
        status="finished",
        epochs=0,
        val_accuracy=accuracy,
        seconds=1.0,
        images_per_second=None,
        versions={},
        machine=describe_machine(compute.device),
        finished="2026-01-31T13:00:00+00:00",
    )
    write_history(
        folder / "history.csv", [EpochRecord(0, None, None, 2.3, 0.1, 1.0, None, val_loss=2.3, val_accuracy=accuracy)]
    )
    replace_json(folder / "result.json", result.model_dump(mode="json"))
    callbacks.trial_ended(trial, result)
    return result


def test_a_search_is_reproducible_and_goes_on_where_it_stopped(
    search: RunSearch, counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    whole = search(callbacks=counter)
    sweep = whole.record.sweep
    assert sweep is not None
    assert sweep.search is not None
    assert sweep.search.tried == len(sweep.points) == 20
    assert all(0.001 <= rate <= 1 and 16 <= batch <= 64 for rate, batch in sweep.points)
    assert all(isinstance(batch, int) for _, batch in sweep.points)
    # Pruned by the median of the earlier points, after five of them.
    points = summarize_points(whole)
    assert sweep.search.pruned
    assert all(point.n == 1 for point in points if point.pruned)
    assert not any(point.pruned for point in points[:5])
    first = [point.scores[0] for point in points]
    assert [point.pruned for point in points[5:]] == [first[i] < median(first[:i]) for i in range(5, 20)]

    for after in (3, 14):
        with pytest.raises(KeyboardInterrupt):
            search(folder="again", callbacks=Stop(after))
    again = search(folder="again")
    assert again.record.sweep == sweep
    assert again.record.reached == whole.record.reached
    assert [trial.result.val_accuracy for trial in again.trials] == [
        trial.result.val_accuracy for trial in whole.trials
    ]

    counter.started.clear()
    assert search(callbacks=counter) == whole
    assert counter.started == []
    longer = search(points=21, callbacks=counter)
    assert counter.started
    assert longer.record.sweep is not None
    assert longer.record.sweep.points[:20] == sweep.points
    assert load_study(longer.folder) == longer
    assert search(folder="other", points=3, seed=1).record.sweep.points != sweep.points[:3]  # type: ignore[union-attr]


def test_points_drawn_by_chance(search: RunSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    drawn = search(sampler="random", seeds=1)
    assert drawn.record.sweep is not None
    assert drawn.record.sweep.search is not None
    assert drawn.record.sweep.search.tool.endswith(", random")
    rates = [float(rate) for rate, _ in drawn.record.sweep.points]
    assert len(set(rates)) >= 18  # of three digits, so that two may be alike
    # Even in the logarithm from first to last, where the other sampler gathers around the best, 0.1.
    assert sum(rate < 0.03 for rate in rates[10:]) >= 3
    assert search(sampler="random", seeds=1, folder="again").record.sweep == drawn.record.sweep
    other = search(seeds=1, folder="other").record.sweep
    assert other is not None
    assert other.points[10:] != drawn.record.sweep.points[10:]
    with pytest.raises(StudyError, match="holds a search by `sampler=random`, and this one is by tpe; choose another"):
        search(seeds=1)
    assert [sampler_of(study) for study in (drawn.record.sweep, other, None)] == ["random", "tpe", None]


def test_any_storage_will_do_and_optuna_can_read_it(search: RunSearch, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "some where.db")
    study = search("optimizer.lr=0.1,0.01", "dropout.p=0..0.5", storage=url, points=3, seeds=1)
    assert not (tmp_path / "search" / "search.db").exists()
    storage = optuna.storages.RDBStorage(url)
    (summary,) = optuna.get_all_study_summaries(storage)
    assert summary.study_name == f"stepladder-{study.record.plan_hash[:16]}"
    found = optuna.load_study(study_name=summary.study_name, storage=storage)
    assert found.best_value == max(trial.result.val_accuracy or 0 for trial in study.trials)
    assert {trial.params["optimizer.lr"] for trial in found.trials} <= {0.1, 0.01}
    storage.remove_session()
    storage.engine.dispose()


def test_a_point_that_is_proposed_twice_is_trained_once(search: RunSearch, counter: Any) -> None:
    study = search("batch_size=16,32", points=5, seeds=1, callbacks=counter)
    assert len(counter.started) == len(study.record.rungs) <= 2


def test_a_storage_that_cannot_be_opened_is_one_sentence(search: RunSearch, tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match=r"cannot open `storage=nowhere://me:\*\*\*@host/x`: .*give an Optuna storage URL"
    ):
        search(storage="nowhere://me:secret@host/x")
    assert hide_password("postgresql://me:secret@host:5432/db") == "postgresql://me:***@host:5432/db"
    assert hide_password("optimizer.lr=0.1") == "optimizer.lr=0.1"


def test_other_seeds_are_another_search(search: RunSearch) -> None:
    search(points=1, seeds=1)
    with pytest.raises(StudyError, match="holds another study: seeds is 1 there and 2 here"):
        search(points=1, seeds=2)


def test_without_the_extra_it_says_how_to_get_it(search: RunSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "optuna":
            raise ImportError(name="optuna")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StudyError, match=r"pip install 'stepladder\[search\]'"):
        search()


def test_trials_of_a_search_have_their_time_limit_too(search: RunSearch) -> None:
    saved = search("optimizer.lr=0.01..0.3", points=1, seeds=1, execution=replace(CPU, trial_timeout=0.001))
    assert saved.trials
    for trial in saved.trials:
        assert trial.result.failure == "it took longer than the 0.001 seconds of `trial_timeout`"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": 0}, "`points` is 0; it must be at least 1"),
        ({"sampler": "rnadom"}, "unknown sampler 'rnadom'; did you mean 'random'\\? Known: random, tpe"),
        ({"seed": -1}, "`search_seed` is -1; it must be 0 or more"),
        ({"seeds": 0}, "`seeds` is 0; it must be 1 to 1000"),
        ({"points": 251}, "251 points × 2 seeds are 502 trials, more than 500; take fewer, or add `many=True`"),
        ({"protocol": Protocol(validation=0)}, "`validation` is 0, and a sweep chooses by validation images"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    search: RunSearch, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        search(**options)
    assert list(tmp_path.iterdir()) == []


def test_a_renamed_folder_is_the_same_search(
    search: RunSearch, digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    first = search(points=2, seeds=1)
    asked = Search(("optimizer.lr=0.001..1", "batch_size=16..64"), 2)
    renamed = replace(digits, name="digits2")
    again = run_search(renamed, tiny_recipe(epochs=1), asked, tmp_path / "search", seeds=1, execution=CPU)
    assert again.record.data.name == "digits"
    assert again.record.plan_hash == first.record.plan_hash
    assert again.trials == first.trials


def test_nothing_is_written_through_a_link_and_a_damaged_storage_is_a_sentence(
    search: RunSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    (tmp_path / "search").mkdir()
    (tmp_path / "theirs").write_bytes(b"")
    database = tmp_path / "search" / "search.db"
    database.symlink_to(tmp_path / "theirs")
    search(points=2, seeds=1)
    assert not database.is_symlink()
    assert (tmp_path / "theirs").read_bytes() == b""
    content = bytearray(database.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)  # the head of the file is whole
    database.write_bytes(content)
    with pytest.raises(StudyError, match=r"cannot open the search's storage .*search\.db"):
        search(points=3, seeds=1)
