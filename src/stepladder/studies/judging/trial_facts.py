"""What the trials of a study took, failed at and warned of: the same for every kind of study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from stepladder.studies.files.records import Ending, Machine, SavedStudy, TrialResult


@dataclass(frozen=True)
class FailedTrial:
    """One trial that failed, after so many epochs, with what it says of itself, and of which kind that is."""

    rung: str
    seed: int
    epochs: int
    reason: str
    ending: Ending


@dataclass(frozen=True)
class Costs:
    """What the trials took.

    Attributes:
        seconds: wall time of all trials together.
        epochs: of a finished trial; the most where they differ, None without any.
        joules, watts: what the processors used, and on average, in those trials whose machine told it.
        told: how many trials that are.
        at_a_time: trials that ran at the same time, on average over the time from the first one's start to the last
            one's end; at least 1, whatever pauses there were.
    """

    seconds: float
    epochs: int | None
    joules: float | None
    watts: float | None
    told: int
    at_a_time: float = 1.0


@dataclass(frozen=True)
class NodeFacts:
    """One machine of a cluster: how many trials it trained, and training images a second, their mean, if they tell."""

    name: str
    trials: int
    images_per_second: float | None


@dataclass(frozen=True)
class TrialFacts:
    """What all trials of a study have to tell beside their scores.

    Attributes:
        failed: the trials that failed, in plan order.
        warnings: what trials warn of, with how many do.
        versions, machines: where trials ran on different ones: each, with how many did; else empty.
        nodes: of a cluster: each machine that trained trials; empty where all ran here.
        retries: how often a trial was begun again, or gone on with, because a process or a node was lost.
    """

    failed: tuple[FailedTrial, ...]
    costs: Costs
    warnings: tuple[tuple[str, int], ...]
    versions: tuple[tuple[str, int], ...]
    machines: tuple[tuple[str, int], ...]
    nodes: tuple[NodeFacts, ...] = ()
    retries: int = 0

    def __repr__(self) -> str:
        seconds = f"{self.costs.seconds:.0f} s of training"
        return f"<TrialFacts: {seconds}, {len(self.failed)} failed, {len(self.warnings)} kinds of warnings>"


def gather_trial_facts(study: SavedStudy) -> TrialFacts:
    """Go through the trials of a study, finished or not."""
    results = [trial.result for trial in study.trials]
    return TrialFacts(
        failed=tuple(
            FailedTrial(one.rung, one.seed, one.result.epochs, one.result.failure or "no reason was saved", ending)
            for one in study.trials
            if (ending := one.result.ending) is not None
        ),
        costs=_costs(study),
        warnings=_count(warning for result in results for warning in dict.fromkeys(result.warnings)),
        versions=_unlike(_named({**study.record.versions, **result.versions}) for result in results),
        machines=_unlike(describe_machine(result.machine) for result in results),
        nodes=_nodes(results),
        retries=sum(result.retries for result in results),
    )


def describe_machine(machine: Machine) -> str:
    """Return a machine in a phrase."""
    cores = f"{machine.cores:,} core{'' if machine.cores == 1 else 's'}"
    parts = [machine.processor, cores, f"{machine.memory_gb:g} GB"]
    parts += [machine.accelerator] if machine.accelerator else []
    return ", ".join([*parts, machine.system])


def _costs(study: SavedStudy) -> Costs:
    results = [trial.result for trial in study.trials]
    told = [result for result in results if result.energy_joules is not None]
    joules = math.fsum(result.energy_joules or 0.0 for result in told)
    return Costs(
        seconds=sum(result.seconds for result in results),
        epochs=max((result.epochs for result in results if result.status == "finished"), default=None),
        joules=joules if told else None,
        watts=joules / max(sum(result.seconds for result in told), 1e-9) if told else None,
        told=len(told),
        at_a_time=_at_a_time(results),
    )


def _nodes(results: Sequence[TrialResult]) -> tuple[NodeFacts, ...]:
    found = []
    for name in dict.fromkeys(result.node for result in results if result.node is not None):
        own = [result for result in results if result.node == name]
        rates = [result.images_per_second for result in own if result.images_per_second is not None]
        found.append(NodeFacts(name, len(own), fmean(rates) if rates else None))
    return tuple(found)


def _at_a_time(results: Sequence[TrialResult]) -> float:
    try:
        ends = [datetime.fromisoformat(result.finished).timestamp() for result in results]
    except ValueError:  # a file that somebody wrote
        return 1.0
    if not ends:
        return 1.0
    span = max(ends) - min(end - result.seconds for end, result in zip(ends, results, strict=True))
    return max(1.0, sum(result.seconds for result in results) / span) if span > 0 else 1.0


def _count(values: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(values).items())


def _unlike(values: Iterable[str]) -> tuple[tuple[str, int], ...]:
    counted = _count(values)
    return counted if len(counted) > 1 else ()


def _named(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
