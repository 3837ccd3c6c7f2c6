"""``study``, ``sweep``, ``curve`` and ``plan`` of a user's own command: what they understand, and what they call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from stepladder.api.command_progress import CommandLines, make_command_progress
from stepladder.api.commands import curve_command, plan_command, study_command, sweep_command
from stepladder.api.results import Curve, Study, Sweep
from stepladder.cli.command_options import DEFAULT_COMMAND, CommandOptions, ProgramOptions
from stepladder.cli.console import at_work, make_aside, make_console, print_json, typed_command
from stepladder.cli.flags import to_flags
from stepladder.cli.training_options import (
    DEFAULT_DECIDING,
    DEFAULT_EXECUTION,
    DEFAULT_RULES,
    DEFAULTS,
    DecidingOptions,
    ExecutionOptions,
    RuleOptions,
    TrainingOptions,
    parse_duration,
)
from stepladder.errors import StudyError
from stepladder.report.command_forecast import describe_command_forecast
from stepladder.report.document import build_document
from stepladder.report.terminal import print_report
from stepladder.studies.curve import SHARES
from stepladder.studies.design.rules import Rules
from stepladder.studies.proposals import Search
from stepladder.studies.running.cluster.commands import OnCluster
from stepladder.studies.running.execution import Execution
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import CommandExecution
from stepladder.studies.sweep import Grid
from stepladder.training.stop import Stop

#: Options of other kinds that ``--run`` understands.
_UNDERSTOOD = {
    "seeds", "plan", "final", "smallest_effect", "alpha", "max_seeds", "max_trials", "metric", "workers", "max_time",
    "trial_timeout", "retry_failed", "as_json", "quiet", "cluster",
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """What was typed beside the command itself.

    Attributes:
        others: whether further options were given, by their names, none of which goes with ``--run``.
    """

    rules: RuleOptions = DEFAULT_RULES
    options: TrainingOptions = DEFAULTS
    deciding: DecidingOptions = DEFAULT_DECIDING
    how: ExecutionOptions = DEFAULT_EXECUTION
    others: Mapping[str, bool] = field(default_factory=dict)

    def check(self) -> None:
        """Raise StudyError where an option is for images that are trained on here."""
        given = [name for name, is_given in self.others.items() if is_given]
        for own, usual in (
            (self.rules, DEFAULT_RULES),
            (self.options, DEFAULTS),
            (self.deciding, DEFAULT_DECIDING),
            (self.how, DEFAULT_EXECUTION),
        ):
            given += [
                each.name
                for each in fields(usual)
                if each.name not in _UNDERSTOOD and getattr(own, each.name) != getattr(usual, each.name)
            ]
        if given:
            name = {"settings": "set"}.get(given[0], given[0]).replace("_", "-")
            what = "DATA" if name == "data" else f"--{name}"
            raise StudyError(f"{what} is for images that are trained on here, and --run brings a program; leave it out")

    def plan(self, command: ProgramOptions, rungs: tuple[str, ...] = ()) -> CommandPlan:
        """Return the command with its rungs, in the library's units."""
        assert command.run is not None
        percent = command.unit == "percent" and command.diverged is not None
        return CommandPlan(
            run=command.run,
            rungs=rungs,
            plan=self.rules.plan,
            metric=self.deciding.metric,
            lower_is_better=command.lower_is_better,
            unit=command.unit,
            diverged=command.diverged / 100 if percent and command.diverged is not None else command.diverged,
            shell=command.shell,
        )

    def library_rules(self, plan: CommandPlan) -> Rules:
        """Return the rules in the library's units."""
        smallest = self.rules.smallest_effect
        return Rules(
            alpha=self.rules.alpha,
            final=self.rules.final,
            max_seeds=self.rules.max_seeds,
            max_trials=self.rules.max_trials,
            smallest_effect=smallest / 100 if smallest is not None and plan.share else smallest,
        )

    def execution(self, command: CommandOptions, typed: str | None = None) -> CommandExecution:
        """Return how the command is run; the clock of ``--max-time`` starts now.

        Args:
            typed: what was typed, where that must not be recorded as it was.
        """
        how = self.how
        return CommandExecution(
            workers=None if how.workers == "auto" else _workers(how.workers),
            gpus=tuple(one.strip() for one in command.gpus.split(",")) if command.gpus else (),
            timeout=None if how.trial_timeout is None else parse_duration("--trial-timeout", how.trial_timeout),
            memory=command.trial_memory,
            retry_failed=how.retry_failed,
            on=_on_cluster(command, how.cluster),
            command=typed or typed_command(),
            stop=Stop(None if how.max_time is None else parse_duration("--max-time", how.max_time)),
        )


def study_of_command(command: CommandOptions, rungs: tuple[str, ...], out: Path | None, given: Given) -> int:
    """Run the user's command for every rung and seed, and print what the evidence holds."""
    given.check()
    plan, execution = given.plan(command, rungs), given.execution(command)
    seeds, rules = given.rules.number_of_seeds(), given.library_rules(plan)
    return _carried_out(
        given,
        execution,
        lambda lines: study_command(plan, seeds=seeds, out=out, rules=rules, execution=execution, callbacks=lines),
    )


def sweep_of_command(
    command: CommandOptions, asked: Grid | Search, seeds: int, out: Path | None, given: Given, typed: str
) -> int:
    """Run the user's command at every point, and print where the best is.

    Args:
        typed: what was typed, without a password.
    """
    given.check()
    plan, execution = given.plan(command), given.execution(command, typed)
    return _carried_out(
        given,
        execution,
        lambda lines: sweep_command(plan, asked, seeds=seeds, out=out, execution=execution, callbacks=lines),
    )


def curve_of_command(command: CommandOptions, fractions: str | None, seeds: int, out: Path | None, given: Given) -> int:
    """Run the user's command on fractions of its training images, and print what twice as many would bring.

    Args:
        fractions: as typed; None for the usual ones.
    """
    given.check()
    sizes = SHARES if fractions is None else _fractions(fractions)
    plan, execution = given.plan(command), given.execution(command)
    return _carried_out(
        given,
        execution,
        lambda lines: curve_command(plan, sizes, seeds=seeds, out=out, execution=execution, callbacks=lines),
    )


def _carried_out(
    given: Given, execution: CommandExecution, run: Callable[[CommandLines], Study | Sweep | Curve]
) -> int:
    """Run a command with its progress, print what was found, and return the exit code."""
    console = make_console(given.options.as_json)
    lines = _progress(given)
    with at_work(console, _stopping(execution), given.options.as_json):
        try:
            done = run(lines)
        finally:
            lines.stop()
    print_report(console, done.findings, to_flags)
    if given.options.as_json:
        print_json(build_document(done.findings))
    return 1 if any(trial.result.status == "failed" for trial in done.trials) else 0


def plan_of_command(
    command: ProgramOptions, rungs: tuple[str, ...], sd: float | None, pilot: Path | None, given: Given
) -> None:
    """Print what a study of the user's command would run, and what it could find; run nothing.

    Args:
        sd: as typed: in points of a share, else in the score's unit.
    """
    given.check()
    plan = given.plan(command, rungs)
    spread = sd / 100 if sd is not None and plan.share else sd
    console = make_console(given.options.as_json)
    forecast = plan_command(
        plan,
        seeds=given.rules.number_of_seeds(),
        spread=spread if pilot is None else pilot,
        rules=given.library_rules(plan),
    )
    for sentence in describe_command_forecast(forecast):
        console.print(to_flags(sentence), markup=False, soft_wrap=True)
    if given.options.as_json:
        print_json(forecast.to_document())


def _progress(given: Given) -> CommandLines:
    console = make_console(given.options.as_json)
    return make_command_progress(make_aside(console, quiet=given.options.quiet), to_flags)


def _stopping(execution: CommandExecution) -> Execution:
    return Execution(command=execution.command, stop=execution.stop)


def _on_cluster(command: CommandOptions, address: str | None) -> OnCluster | None:
    if address is not None:
        return OnCluster(address, command.cores, command.gpus_each, command.send)
    for name in ("cores", "gpus_each", "send"):
        if getattr(command, name) != getattr(DEFAULT_COMMAND, name):
            raise StudyError(f"--{name.replace('_', '-')} is for a cluster; name it with --cluster")
    return None


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise StudyError(f"--fractions is {text}; write numbers, as 0.1,0.3,1") from None


def _workers(text: str) -> int:
    if not text.isdecimal():
        raise StudyError(f"--workers is {text}; it must be auto, or a whole number of at least 1")
    return int(text)
