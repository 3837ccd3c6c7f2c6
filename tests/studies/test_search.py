import builtins
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import optuna
import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.files import replace_json
from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Protocol
from stepladder.studies.design.sweeps import AxisRecord, parse_axes
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bits import trial_bits
from stepladder.studies.files.machine import describe_machine
from stepladder.studies.files.records import SavedStudy, TrialResult
from stepladder.studies.files.store import load_study
from stepladder.studies.judging.points import summarize_points
from stepladder.studies.proposals import Proposals, Search, hide_password, sampler_of, sqlite_url
from stepladder.studies.running import dispatch
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.search import run_search, steps_of
from stepladder.training.history import EpochRecord, write_history

RunSearch = Callable[..., SavedStudy]
CPU = Execution("cpu", "float32")


def in_memory(search: Search, axes: Sequence[AxisRecord]) -> Proposals:
    """What a search is proposed where nothing is kept."""
    return Proposals(optuna, search, axes, "maximize", optuna.storages.InMemoryStorage(), "memory")


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


@pytest.mark.long
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


@pytest.mark.long
def test_one_at_a_time_is_what_it_was_before_there_were_rounds(
    search: RunSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Optuna proposes to whoever asks it point by point, and a record without a word of rounds."""
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    study = search(seeds=1, points=14)
    asked = optuna.create_study(direction="maximize")
    points = []
    for number in range(14):
        seed = int(np.random.SeedSequence([0, number]).generate_state(1)[0])
        asked.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=10)
        trial = asked.ask()
        rate = float(f"{trial.suggest_float('optimizer.lr', 0.001, 1, log=True):.3g}")
        points.append((rate, trial.suggest_int("batch_size", 16, 64)))
        asked.tell(trial, 0.9 - 0.2 * abs(math.log10(rate) + 1))
    assert study.record.sweep is not None
    assert list(study.record.sweep.points) == points
    record = json.loads((study.folder / "study.json").read_text())
    assert list(record["sweep"]["search"]) == ["tool", "points", "seed", "tried", "pruned"]


def in_another_order(monkeypatch: pytest.MonkeyPatch, seed: int) -> list[int]:
    """Have the trials that run at the same time end in any order; return how many those are, as they are begun."""
    begun: list[int] = []

    def carry_out(workers: int, jobs: Sequence[Job], *rest: Any) -> None:
        begun.append(len(jobs))
        dispatch.carry_out(workers, random.Random(seed).sample(list(jobs), len(jobs)), *rest)

    monkeypatch.setattr("stepladder.studies.search.carry_out", carry_out)
    return begun


def kept_by_optuna(folder: Path) -> list[Any]:
    """All that the storage has of a search, but the times."""
    storage = optuna.storages.RDBStorage(sqlite_url(folder / "search.db"))
    (summary,) = optuna.get_all_study_summaries(storage)
    found = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    return [(one.number, one.state, one.values, one.params, one.intermediate_values) for one in found]


@pytest.mark.long
def test_a_round_has_other_points_whichever_of_them_ends_first(
    search: RunSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    studies = []
    for order in range(2):
        begun = in_another_order(monkeypatch, order)
        studies.append(search(folder=f"order{order}", together=3))
        # Two rounds before five points have ended, in which none can be given up: all seeds at once. Then seed by seed.
        assert begun[:4] == [6, 6, 3, begun[3]]
        assert begun[3] < 3
    sweep = studies[0].record.sweep
    assert sweep is not None
    assert sweep.search is not None
    assert (sweep.search.together, sweep.search.tried) == (3, 20)
    assert all(len(set(sweep.points[first : first + 3])) == 3 for first in range(0, 18, 3))
    assert studies[1].record.sweep == sweep
    assert kept_by_optuna(studies[0].folder) == kept_by_optuna(studies[1].folder)
    # A point is held against those of the rounds before, and not against the others of its own.
    points = summarize_points(studies[0])
    first_seeds = [point.scores[0] for point in points]
    assert any(point.pruned for point in points)
    assert [point.pruned for point in points[6:]] == [
        first_seeds[i] < median(first_seeds[: i // 3 * 3]) for i in range(6, 20)
    ]
    # The first ten points, to the end of their round, are drawn by chance; then it learns.
    drawn = search(folder="drawn", together=3, sampler="random").record.sweep
    assert drawn is not None
    assert drawn.points[:12] == sweep.points[:12]
    assert not set(drawn.points[12:]) & set(sweep.points[12:])


def files_of(folder: Path) -> dict[str, object]:
    """What a search leaves, file by file, but times, the storage, and the checksums of both."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or path.name in ("search.db", ".lock") or name == "checksums.txt":
            continue
        if path.suffix == ".json":
            table = json.loads(path.read_text())
            found[name] = {key: value for key, value in table.items() if key not in ("created", "command")}
        else:
            found[name] = path.read_bytes()
    return found


@pytest.mark.long
def test_a_round_that_was_broken_off_is_gone_on_with(search: RunSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    whole = search(together=4, seed=2)
    # Within the first two rounds; then fewer points, the last of them within a round; and once more.
    for points, after in ((20, 2), (20, 9), (14, None), (20, 3)):
        in_another_order(monkeypatch, points)
        if after is None:
            search(folder="again", together=4, seed=2, points=points)
            continue
        with pytest.raises(KeyboardInterrupt):
            search(folder="again", together=4, seed=2, points=points, callbacks=Stop(after))
    again = search(folder="again", together=4, seed=2)
    assert again.record.sweep == whole.record.sweep
    assert files_of(again.folder) == files_of(whole.folder)
    assert kept_by_optuna(again.folder) == kept_by_optuna(whole.folder)


@pytest.mark.long
def test_a_search_goes_on_with_as_many_together_as_it_was_begun_with(
    search: RunSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    search(points=4, seeds=1, together=2)
    with pytest.raises(StudyError, match="holds another study: together is 2 there and 3 here"):
        search(points=4, seeds=1, together=3)
    with pytest.raises(StudyError, match="together is 2 there and 1 here"):
        search(points=4, seeds=1)
    with pytest.raises(StudyError, match="search_seed is 0 there and 1 here"):
        search(points=4, seeds=1, together=2, seed=1)


@pytest.mark.long
def test_a_round_of_more_points_than_there_are_trains_each_once(search: RunSearch, counter: Any) -> None:
    drawn = in_memory(Search((), seed=2, sampler="random", together=2), parse_axes(["a=1,2"], ranges=True)).ask(
        range(2)
    )
    assert sorted(drawn) == [(1,), (2,)], "one that the round has is drawn again"
    study = search("batch_size=16,32", points=4, seeds=1, together=2, callbacks=counter)
    assert sorted(study.record.sweep.points) == [(16,), (32,)]  # type: ignore[union-attr]
    more = search("batch_size=16,32", folder="three", points=3, seeds=1, together=3, callbacks=counter)
    assert len(more.record.rungs) == 2
    assert len(counter.started) == 4


@pytest.mark.long
def test_a_round_trains_in_as_many_processes_as_are_asked_for(
    search: RunSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def carry_out(workers: int, *rest: Any) -> None:
        asked.append(workers)
        dispatch.carry_out(workers, *rest)

    monkeypatch.setattr("stepladder.studies.search.carry_out", carry_out)
    here = {"points": 2, "seeds": 1, "together": 2}
    two = search(folder="two", execution=replace(CPU, workers=2), **here)
    one = search(folder="one", **here)
    assert asked == [2, 1]
    assert trial_bits(two.folder) == trial_bits(one.folder)
    assert len(trial_bits(one.folder)) >= 6


@pytest.mark.long
def test_processes_that_no_round_fills_are_told_of(search: RunSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.studies.running.jobs.run_trial", made_up_trial)
    monkeypatch.setattr("stepladder.studies.search.carry_out", lambda _, *rest: dispatch.carry_out(1, *rest))
    heard: list[str] = []
    callbacks = Callbacks()
    callbacks.message = heard.append  # type: ignore[method-assign]
    three = replace(CPU, workers=3)
    search(points=2, seeds=1, together=2, execution=three, callbacks=callbacks)
    assert heard == [], "of two points no three train at the same time"
    search(points=4, seeds=1, together=2, execution=three, callbacks=callbacks)
    assert heard == [
        "There is room for 3 trials at a time, and a round has 2: in another folder, `together=3` would use it."
    ]


@pytest.mark.soak
def test_rounds_find_what_is_found_one_by_one() -> None:
    """The figures of docs/sweeps.md, in points: how far the best of 40 points lies below the optimum, 30 searches."""
    axes = parse_axes(("optimizer.lr=0.001..1", "dropout.p=0..0.9"), ranges=True)

    def lost(values: Any) -> float:
        return 20 * abs(math.log10(values[0]) + 1) + 30 * float((values[1] - 0.3) ** 2)

    def best(seed: int, together: int, sampler: str) -> float:
        proposals = in_memory(Search((), 40, seed, sampler=sampler, together=together), axes)
        noise, measured = np.random.default_rng(seed), []
        for first in range(0, 40, together):
            numbers = range(first, min(first + together, 40))
            measured += [(90 - lost(values) + noise.normal(0, 0.5), values) for values in proposals.ask(numbers)]
            for number in numbers:
                proposals.tell(number, measured[number][0], pruned=False)
        return lost(max(measured)[1])

    kinds = {"one": (1, "tpe"), "four": (4, "tpe"), "eight": (8, "tpe"), "chance": (1, "random")}
    found = {name: fmean(best(seed, *kind) for seed in range(30)) for name, kind in kinds.items()}
    assert found == pytest.approx({"one": 0.8, "four": 0.7, "eight": 0.9, "chance": 2.2}, abs=0.3)
    assert max(found["four"], found["eight"]) < found["chance"] / 2


def test_what_a_search_asks_for_at_a_time() -> None:
    assert steps_of(Search(("a=1..9",), 7), 2) == [1] * 14
    # Four, then eight points that have ended: from five on a point may be given up between two seeds.
    assert steps_of(Search(("a=1..9",), 10, together=4), 2) == [8, 8, 2, 2]


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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
        ({"together": 0}, "`together` is 0; it must be at least 1"),
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


@pytest.mark.long
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


@pytest.mark.long
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
