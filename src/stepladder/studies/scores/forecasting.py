"""What a study of a command would run, and what it could find: worked out before its first run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from stepladder.studies.design.rules import FEWEST_JUDGED, Look, Rules, Seeds, most_seeds
from stepladder.studies.files.records import StudyRecord
from stepladder.studies.files.store import command_trials, load_study
from stepladder.studies.forecast import Spread
from stepladder.studies.judging.statistics import judged_together, level_of, looks_of, overlap_of
from stepladder.studies.judging.verdicts import POWER, detectable_difference
from stepladder.studies.scores.commands import words_of
from stepladder.training.metrics import Metric


@dataclass(frozen=True)
class CommandForecast:
    """A study of a command that nobody has run.

    Attributes:
        record: its plan.
        looks: when it is judged: once for a number of seeds, several times for auto.
        fewest, most: runs at the first look and at the last.
        lines: what is run with the first seed, a command a rung, its folder as ``OUT``.
        spread: of the paired differences; None where nobody stated it, as nothing is known of a program's scores.
        detectable: smallest true difference that is found with a chance of :data:`~verdicts.POWER`, at each look's
            seeds, in the metric's unit; None where one seed shows no spread. Empty without ``spread``.
        comparisons: that share the error rate.
        seconds: of a run, by the runs of a pilot study; None without one.
        workers: runs at the same time.
    """

    record: StudyRecord
    metric: Metric
    looks: tuple[Look, ...]
    fewest: int
    most: int
    lines: tuple[tuple[str, str], ...]
    spread: Spread | None
    detectable: dict[int, float | None]
    comparisons: int
    seconds: float | None
    workers: int
    power: float = POWER

    def to_document(self) -> dict[str, Any]:
        """Return it as plain values for programs."""
        return {
            "study": self.record.model_dump(mode="json"),
            "runs": {"fewest": self.fewest, "most": self.most},
            "commands": dict(self.lines),
            "seconds_a_run": self.seconds,
            "runs_at_a_time": self.workers,
            "sd": None if self.spread is None else self.spread.sd,
            "detectable": self.detectable,
        }


def forecast_commands(
    record: StudyRecord, seeds: Seeds, rules: Rules, spread: Spread | None, workers: int
) -> CommandForecast:
    """Return what a planned study of a command would run and could find; nothing is run.

    Args:
        record: of :func:`~stepladder.studies.scores.command_record.make_record`.
        spread: of paired differences, stated or of a pilot, whose runs also tell how long one takes.
    """
    level, most = level_of(record), most_seeds(seeds, rules)
    looks = looks_of(record, level, most) if most >= FEWEST_JUDGED else (Look(1, 1.0),)
    overlap = overlap_of(record)
    first = command_trials(record)
    pilot = None if spread is None or spread.pilot is None else load_study(spread.pilot)
    took = [] if pilot is None else [trial.result.seconds for trial in pilot.trials if not trial.result.stopped]
    return CommandForecast(
        record=record,
        metric=record.measured_by,
        looks=looks,
        fewest=len(first),
        most=len(record.rungs) * looks[-1].seeds,
        lines=tuple(
            (rung.name, shlex.join(words_of(rung.recipe, record.seeds[0], Path("OUT"), read_test=False)))
            for rung in record.rungs
        ),
        spread=spread,
        detectable={}
        if spread is None
        else {look.seeds: detectable_difference(spread.sd, look.seeds, level * look.share, overlap) for look in looks},
        comparisons=judged_together(record),
        seconds=fmean(took) if took else None,
        workers=workers,
    )
