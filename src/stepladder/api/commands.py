"""Studies, sweeps and curves whose trials are runs of the user's own program, and what such a study would run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import cast

import torch

from stepladder.api.results import Curve, Study, Sweep, as_result
from stepladder.errors import StepladderError, StudyError
from stepladder.report.write import write_page, write_report
from stepladder.studies.curve import SHARES
from stepladder.studies.design.rules import Rules, Seeds, check_seeds, most_seeds, seeds_or_default
from stepladder.studies.design.sweeps import parse_axes
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.machine import describe_machine, describe_versions, now
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import work_out
from stepladder.studies.forecast import choose_spread
from stepladder.studies.proposals import Search
from stepladder.studies.running.cluster.session import ending
from stepladder.studies.scores.command_record import Origin, make_curve_record, make_record
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.environment import describe_code, describe_python
from stepladder.studies.scores.forecasting import CommandForecast, forecast_commands
from stepladder.studies.scores.running import (
    CommandCallbackList,
    CommandCallbacks,
    CommandExecution,
    run_commands,
)
from stepladder.studies.scores.sweeping import sweep_commands
from stepladder.studies.sweep import Grid, write_over

#: Seconds between two pages at least, and of the whole time the share that pages may take: runs of a moment would
#: otherwise wait for them.
_PAGE_SECONDS, _PAGE_SHARE = 2.0, 0.05


def study_command(
    plan: CommandPlan,
    *,
    seeds: Seeds | None = None,
    out: Path | str | None = None,
    rules: Rules | None = None,
    execution: CommandExecution | None = None,
    callbacks: CommandCallbacks | None = None,
) -> Study:
    """Run a command for every rung and seed, and say what the evidence holds.

    The same call again runs only what is missing, and more seeds add to what is there. The report's page is written
    anew as runs end.

    >>> plan = sl.CommandPlan("python train.py {seed} {options}", ("base:", "+mixup:--mixup 0.2"))  # doctest: +SKIP
    >>> sl.study_command(plan, seeds=5, out="studies/mixup")  # doctest: +SKIP

    Args:
        plan: the command and its rungs.
        seeds: runs a rung, with seeds 0 to ``seeds`` - 1; ``"auto"`` begins with three and adds seeds to what is
            undecided, look by look. Five by default, and ``"auto"`` with a time limit.
        out: the study's folder; ``studies/command-<last rung>`` by default.
        rules: ``alpha``, ``smallest_effect``, ``final``, ``max_seeds`` and ``max_trials``; the others are of images.
        execution: how many at a time, on which GPUs, within which limits.
        callbacks: told as runs end.

    Raises:
        StudyError: the command cannot be run, or the folder holds another study.
        Stopped: it was asked to stop; the same call goes on.
    """
    rules, execution = rules or Rules(), execution or CommandExecution()
    seeds = _checked(seeds, rules, execution)
    folder = _folder(plan, out)
    record = make_record(plan, seeds, rules, _origin(folder, execution, plan))
    most = most_seeds(seeds, rules) if seeds == "auto" else None
    with _reported(folder, callbacks) as watching:
        run_commands(record, folder, rules, execution, watching, most=most)
    return cast("Study", as_result(work_out(load_study(folder))))


def plan_command(
    plan: CommandPlan,
    *,
    seeds: Seeds | None = None,
    spread: float | Path | str | None = None,
    rules: Rules | None = None,
    execution: CommandExecution | None = None,
) -> CommandForecast:
    """Say what a study of a command would run, and the smallest difference that it could find; run nothing.

    Args:
        plan, seeds, rules, execution: see :func:`study_command`.
        spread: standard deviation of the differences between two rungs over seeds, in the score's unit (a fraction of
            1 for a share); or the folder of a study to take it from.

    Raises:
        StudyError: see :func:`study_command`.
    """
    rules, execution = rules or Rules(), execution or CommandExecution()
    seeds = _checked(seeds, rules, execution)
    record = make_record(plan, seeds, rules, _origin(_folder(plan, None), execution))
    return forecast_commands(record, seeds, rules, choose_spread(spread, plan.metric), execution.slots)


def sweep_command(
    plan: CommandPlan,
    over: Mapping[str, Sequence[object] | str] | Sequence[str] | Grid | Search,
    *,
    seeds: int = 2,
    out: Path | str | None = None,
    execution: CommandExecution | None = None,
    callbacks: CommandCallbacks | None = None,
) -> Sweep:
    """Run a command over a grid of values, or search a range, and say by what it reports as ``val`` where the best is.

    No test score is kept. The same call again runs only what is missing.

    >>> plan = sl.CommandPlan("python train.py {seed} {lr}")  # doctest: +SKIP
    >>> sl.sweep_command(plan, {"lr": [0.3, 0.1, 0.03]})  # doctest: +SKIP

    Args:
        plan: the command, with a place in braces for every key; it has no rungs.
        over: keys with their values; several make a grid. A :class:`Search` looks through ranges.
        seeds: runs a point; with one no two points can be told apart.
        out: the sweep's folder; ``studies/command-sweep-<keys>`` by default.
        execution, callbacks: see :func:`study_command`.

    Raises:
        StudyError, Stopped: see :func:`study_command`.
    """
    execution = execution or CommandExecution()
    check_seeds(seeds)
    asked = over if isinstance(over, Grid | Search) else Grid(write_over(over))
    searches = isinstance(asked, Search)
    keys = [axis.key for axis in parse_axes(asked.over, ranges=searches)]
    usual = "-".join(["command", "search" if searches else "sweep", *keys])
    folder = Path(out) if out is not None else Path("studies") / usual
    with _reported(folder, callbacks) as watching:
        sweep_commands(
            plan,
            asked,
            folder,
            seeds=seeds,
            origin=_origin(folder, execution, plan),
            execution=execution,
            callbacks=watching,
        )
    return cast("Sweep", as_result(work_out(load_study(folder))))


def curve_command(
    plan: CommandPlan,
    fractions: Sequence[float] = SHARES,
    *,
    seeds: int = 3,
    out: Path | str | None = None,
    execution: CommandExecution | None = None,
    callbacks: CommandCallbacks | None = None,
) -> Curve:
    """Run a command on fractions of its training images, and say what twice as many would bring.

    The same call again runs only what is missing, and more seeds add to what is there.

    >>> plan = sl.CommandPlan("python train.py {seed} --fraction {fraction}", diverged=0.1)  # doctest: +SKIP
    >>> sl.curve_command(plan, seeds=3)  # doctest: +SKIP

    Args:
        plan: the command, with ``{fraction}`` in it; it has no rungs. The power law begins at its ``diverged``: name
            there what guessing has, as 0.1 of ten classes.
        fractions: of the training images, each above 0 and at most 1. Each smaller part should lie within the larger.
        seeds: runs a size.
        out: the curve's folder; ``studies/command-curve`` by default.
        execution, callbacks: see :func:`study_command`.

    Raises:
        StudyError, Stopped: see :func:`study_command`.
    """
    execution = execution or CommandExecution()
    check_seeds(seeds)
    folder = Path(out) if out is not None else Path("studies") / "command-curve"
    record = make_curve_record(plan, fractions, seeds, _origin(folder, execution, plan))
    with _reported(folder, callbacks) as watching:
        run_commands(record, folder, Rules(), execution, watching)
    return cast("Curve", as_result(work_out(load_study(folder))))


class LivePage(CommandCallbacks):
    """Writes ``report.html`` anew as runs end, but not so often that they wait for it.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._next = 0.0

    def ended(self, trial: CommandTrial, result: TrialResult) -> None:  # noqa: ARG002
        """Write the page, where the last one is some time ago."""
        began = self._clock()
        if began < self._next:
            return
        with suppress(StepladderError):  # stops no study: the report at its end says it
            write_page(work_out(load_study(self._folder)))
        took = self._clock() - began
        self._next = began + took + max(_PAGE_SECONDS, took / _PAGE_SHARE)


@contextmanager
def _reported(folder: Path, callbacks: CommandCallbacks | None) -> Iterator[CommandCallbacks]:
    """Keep a page up to date while runs go on inside, and write the whole report at their end, however that comes."""
    try:
        with ending():
            yield CommandCallbackList([*([] if callbacks is None else [callbacks]), LivePage(folder)])
    finally:
        if (folder / "study.json").is_file():
            write_report(work_out(load_study(folder)))


def _checked(seeds: Seeds | None, rules: Rules, execution: CommandExecution) -> Seeds:
    seeds = seeds_or_default(seeds, rules, bounded=execution.stop.left() is not None)
    check_seeds(seeds, auto=True)
    if seeds == "auto" and rules.final:
        raise StudyError("`final` looks once and `seeds=auto` as often as it takes; leave one of them out")
    rules.check_use(seeds)
    _check_rules(rules)
    return seeds


def _folder(plan: CommandPlan, out: Path | str | None) -> Path:
    if out is not None:
        return Path(out)
    last = plan.rungs[-1].partition(":")[0].lstrip("+") if plan.rungs else "study"
    return Path("studies") / f"command-{last}".replace(" ", "-")


def _origin(folder: Path, execution: CommandExecution, plan: CommandPlan | None = None) -> Origin:
    """Return where a record comes from; without a ``plan`` nothing is run to find out."""
    versions = {name: value for name, value in describe_versions().items() if name in ("python", "stepladder")}
    return Origin(
        name=folder.name,
        machine=describe_machine(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        command=execution.command,
        created=now(),
        versions=versions | describe_code(Path.cwd()) | (describe_python(plan.run, Path.cwd()) if plan else {}),
    )


#: The rules that a study of a command has.
_RULES = ("alpha", "smallest_effect", "final", "max_seeds", "max_trials")


def _check_rules(rules: Rules) -> None:
    plain = Rules()
    for name in vars(rules):
        if name not in ("metric", *_RULES) and getattr(rules, name) != getattr(plain, name):
            raise StudyError(f"`{name}` is for images that are trained on here, and `run` is a program; leave it out")
    Rules(**{name: getattr(rules, name) for name in _RULES}).check()
