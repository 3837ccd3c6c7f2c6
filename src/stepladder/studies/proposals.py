"""What a search looks through, and where its points come from: Optuna's samplers, a round at a time, in its storage."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.errors import StudyError, missing_extra, unknown
from stepladder.studies.design.sweeps import AxisRecord, SearchRecord, SweepRecord, Value
from stepladder.studies.files.checksums import forget_files
from stepladder.studies.sweep import refuse_many

#: Where a search without a storage of its own keeps its proposals, in its folder.
DATABASE = "search.db"
#: What proposes the points of a search, and what its record says of it: Parzen estimators, which learn from the points
#: before, or chance (Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, 2012).
SAMPLERS = {"tpe": "TPE", "random": "random"}
#: Points that are drawn at random, and pruned by nothing, before the search learns from them: Optuna's own default.
_FIRST_POINTS = 10
#: Digits of a proposed value: more of them say nothing, and a rate of 0.0478 can be read and typed.
_DIGITS = 3
#: How often a point is drawn again that its round has already, before it is taken nevertheless.
_DRAWS = 10


@dataclass(frozen=True)
class Search:
    """What a search looks through, and how far.

    Attributes:
        over: an axis each: ``optimizer.lr=0.001..0.3``, or values to choose from.
        points: how many to try in all, those of earlier calls among them.
        seed: decides the proposals.
        storage: an Optuna storage URL; by default ``search.db`` in the search's folder.
        settings: of all points, by dotted name.
        many: allow more than 500 trials.
        sampler: what proposes points, one of :data:`SAMPLERS`.
        together: points that are proposed together and trained at the same time, a round; the next round is proposed
            once all of them have ended. 1 learns from every point; as many as there are processes or slots is fastest.
    """

    over: tuple[str, ...]
    points: int = 40
    seed: int = 0
    storage: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    many: bool = False
    sampler: str = "tpe"
    together: int = 1

    def check(self, seeds: int) -> None:
        """Raise StudyError where a value is out of range, or more than 500 trials would come of it unasked."""
        if self.points < 1:
            raise StudyError(f"`points` is {self.points}; it must be at least 1")
        if self.seed < 0:
            raise StudyError(f"`search_seed` is {self.seed}; it must be 0 or more")
        if self.together < 1:
            raise StudyError(f"`together` is {self.together}; it must be at least 1")
        if self.sampler not in SAMPLERS:
            raise StudyError(unknown("sampler", self.sampler, SAMPLERS))
        refuse_many(self.points, seeds, self.many)

    def to_record(self) -> SearchRecord:
        """Return how the search goes on, as its folder keeps it.

        Raises:
            StudyError: Optuna is missing.
        """
        tool = f"optuna {import_optuna().__version__}, {SAMPLERS[self.sampler]}"
        return SearchRecord(tool=tool, points=self.points, seed=self.seed, together=self.together)


class Proposals:
    """The points of one search, in the order in which they are proposed, and what came of each.

    Args:
        optuna: the library.
        search: what is looked through.
        axes: of it.
        direction: ``maximize`` or ``minimize``, the metric.
        kept: Optuna's storage; one can keep many searches.
        name: of this one there.
    """

    def __init__(
        self, optuna: Any, search: Search, axes: Sequence[AxisRecord], direction: str, kept: Any, name: str
    ) -> None:
        self._optuna, self._search, self._axes, self._direction, self._kept = optuna, search, axes, direction, kept
        self._study = optuna.create_study(storage=kept, study_name=name, direction=direction, load_if_exists=True)
        self._round: dict[int, Any] = {}

    def ask(self, numbers: range) -> list[tuple[Value, ...]]:
        """Return the points of a round, a value an axis; those of an earlier call are what they were.

        Args:
            numbers: of the round's points; those before have ended.
        """
        earlier = self._study.get_trials(deepcopy=False)
        if len(earlier) < numbers.stop:
            drawn = self._draw(earlier[: numbers.start], numbers)
            for proposal in drawn[len(earlier) - numbers.start :]:
                self._study.add_trial(proposal)
            earlier = self._study.get_trials(deepcopy=False)
        self._round = {number: earlier[number] for number in numbers}
        opened = map(self._open, self._round.values())
        return [tuple(_suggest(each, axis) for axis in self._axes) for each in opened]

    def _open(self, proposal: Any) -> Any:
        """Return what values are asked of: what was proposed, or what proposes."""
        if proposal.state.is_finished() or len(proposal.params) == len(self._axes):
            return self._optuna.trial.FixedTrial(proposal.params)
        # Of a version before, which was broken off between two of its values.
        self._study.sampler = self._sampler(proposal.number)
        return self._optuna.trial.Trial(self._study, proposal._trial_id)

    def report(self, number: int, seeds_so_far: int, mean: float) -> None:
        """Note the mean of a point of the round after some of its seeds."""
        proposal = self._round[number]
        if not proposal.state.is_finished() and seeds_so_far > len(proposal.intermediate_values):
            self._kept.set_trial_intermediate_value(proposal._trial_id, seeds_so_far, mean)

    def tell(self, number: int, mean: float, pruned: bool) -> None:
        """Note what came of a point of the round: its mean over all seeds, or that it was given up."""
        if self._round[number].state.is_finished():
            return
        if pruned:
            self._study.tell(number, state=self._optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(number, mean)

    def _draw(self, before: Sequence[Any], numbers: range) -> list[Any]:
        """Return the proposals of a round as Optuna's trials, by what is known of the rounds before and nothing else.

        They are drawn in memory: what the storage holds of this round, since a call was broken off or asked for fewer
        points, must not change what the others are.

        Args:
            before: all trials of earlier rounds, ended.
            numbers: of the round's points.
        """
        seen = self._optuna.create_study(direction=self._direction)
        for ended in before:
            seen.add_trial(ended)
        drawn, taken = [], set[tuple[Value, ...]]()
        for number in numbers:
            for draw in range(_DRAWS):
                seen.sampler = self._sampler(number, draw)
                proposed = seen.ask()
                values = tuple(_suggest(proposed, axis) for axis in self._axes)
                if values not in taken:  # rounded they may be alike, and there may be no others
                    break
            taken.add(values)
            drawn.append(seen.get_trials()[proposed.number])
        return drawn

    def _sampler(self, number: int, draw: int = 0) -> Any:
        """Return a sampler for one point, so that one who stops and goes on gets what one who does not stop gets."""
        optuna, search = self._optuna, self._search
        entropy = [search.seed, number, *([draw] if draw else [])]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        if search.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if search.together == 1:
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_FIRST_POINTS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of Optuna before 5
            # Points that run count as bad ones, so that the others of their round keep away from them.
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_FIRST_POINTS, constant_liar=True)


@contextmanager
def open_proposals(
    search: Search, axes: Sequence[AxisRecord], higher_is_better: bool, plan_hash: str, out: Path
) -> Iterator[Proposals]:
    """Open the proposals of a search, to go on with, in its storage or in its folder.

    Args:
        plan_hash: names the search there, so that the same plan is found again.
        out: the search's folder, made where it is not there.

    Raises:
        StudyError: Optuna or the storage is missing.
    """
    optuna = import_optuna()
    out.mkdir(parents=True, exist_ok=True)
    forget_files(out)
    for name in (DATABASE, f"{DATABASE}-journal", f"{DATABASE}-wal", f"{DATABASE}-shm"):
        if (out / name).is_symlink():  # SQLite would write through it
            (out / name).unlink()
    url = search.storage or str(sqlite_url(out / DATABASE))
    direction = "maximize" if higher_is_better else "minimize"
    with open_storage(optuna, url, search.storage) as kept:
        yield Proposals(optuna, search, axes, direction, kept, f"stepladder-{plan_hash[:16]}")


def _suggest(proposed: Any, axis: AxisRecord) -> Value:
    if axis.values:
        chosen: Value = proposed.suggest_categorical(axis.key, list(axis.values))
        return chosen
    assert axis.low is not None
    assert axis.high is not None
    if axis.whole:
        return int(proposed.suggest_int(axis.key, int(axis.low), int(axis.high), log=axis.log))
    value = float(proposed.suggest_float(axis.key, axis.low, axis.high, log=axis.log))
    return min(max(float(f"{value:.{_DIGITS}g}"), axis.low), axis.high)


def sampler_of(sweep: SweepRecord | None) -> str | None:
    """Return what proposed the points of a search, as :class:`Search` has it; None of anything else."""
    tool = "" if sweep is None or sweep.search is None else sweep.search.tool
    return next((name for name, words in SAMPLERS.items() if tool.endswith(f", {words}")), None)


def sqlite_url(path: Path) -> str:
    """Return the storage URL of a SQLite file, whatever signs its path has."""
    from sqlalchemy.engine import URL  # comes with optuna

    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def import_optuna() -> Any:
    """Return Optuna, which then warns only of what matters.

    Raises:
        StudyError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise StudyError(missing_extra("optuna", "search")) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def open_storage(optuna: Any, url: str, asked: str | None) -> Iterator[Any]:
    """Open a storage and close it again; SQLite would keep the file.

    Args:
        url: Optuna's storage URL.
        asked: the one that the user gave, if any, for messages.

    Raises:
        StudyError: it cannot be opened.
    """
    from sqlalchemy.exc import SQLAlchemyError  # comes with optuna

    try:
        kept = optuna.storages.RDBStorage(url)
    except Exception as error:  # whatever the database's driver raises
        raise _cannot_open(url, asked, error) from error
    try:
        yield kept
    except SQLAlchemyError as error:  # a damaged file opens well, and is read later
        raise _cannot_open(url, asked, error) from error
    finally:
        kept.remove_session()
        kept.engine.dispose()


def _cannot_open(url: str, asked: str | None, error: Exception) -> StudyError:
    reason = hide_password(str(error)).strip().partition("\n")[0] or type(error).__name__
    place = f"`storage={hide_password(asked)}`" if asked else f"the search's storage {url}"
    return StudyError(f"cannot open {place}: {reason}; give an Optuna storage URL, as sqlite:///search.db")


def hide_password(text: str) -> str:
    """Return a text without the password of the URL in it: commands are written into files that are passed on."""
    return re.sub(r"(://[^/@\s:]*):[^@/\s]*@", r"\1:***@", text)
