"""Options of ``study --run``: a user's own command in place of a recipe."""

# Without "from __future__ import annotations", as in training_options: the annotations of a dataclass are read again.
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from stepladder.api.commands import study_command
from stepladder.cli.console import at_work, make_console, print_json, typed_command
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import COMMAND
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
from stepladder.report.document import build_document
from stepladder.report.terminal import print_report
from stepladder.report.units import count
from stepladder.studies.design.rules import DEFAULT_SEEDS, Rules
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import StudyRecord, TrialResult
from stepladder.studies.running.cluster.commands import OnCluster
from stepladder.studies.running.execution import Execution
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import CommandCallbacks, CommandExecution
from stepladder.training.stop import Stop


@Parameter(name="*")
@dataclass(frozen=True)
class CommandOptions:
    """A program of the user's own, and how it is run."""

    run: Annotated[
        str | None,
        Parameter(
            group=COMMAND,
            help="Run this for every rung and seed, as 'python train.py --seed {seed} --out {out} {options}'; "
            "{options} is what --rung NAME:ARGUMENTS adds. It writes {out}/result.json, or prints it as its last line: "
            '{"val": 0.91, "test": 0.90}. With {read_test} in it, test is read once all training has ended.',
        ),
    ] = None
    shell: Annotated[
        bool,
        Parameter(
            group=COMMAND, negative="", show_default=False, help="Let /bin/sh read the command; values are quoted."
        ),
    ] = False
    gpus: Annotated[
        str | None, Parameter(group=COMMAND, help="GPUs to deal runs out to, one each, as 0,1 (CUDA_VISIBLE_DEVICES).")
    ] = None
    trial_memory: Annotated[
        float | None, Parameter(group=COMMAND, help="End a run that uses more GB of memory, with all that it started.")
    ] = None
    lower_is_better: Annotated[
        bool | None,
        Parameter(group=COMMAND, help="Whether less of the score is good; by --metric where nothing is said."),
    ] = None
    unit: Annotated[
        Literal["percent", "fraction", "number"] | None,
        Parameter(
            group=COMMAND, help="What scores are reported in; fraction for accuracy and other shares by default."
        ),
    ] = None
    diverged: Annotated[
        float | None,
        Parameter(group=COMMAND, help="What a run whose score is NaN counts as; 0 (of an error, 1) by default."),
    ] = None
    fractions: Annotated[
        str | None,
        Parameter(
            group=COMMAND, help="Fractions of the training images, a rung each, as 0.1,0.3,1; {fraction} in --run."
        ),
    ] = None
    cores: Annotated[float, Parameter(group=COMMAND, help="With --cluster, cores that each run takes.")] = 1.0
    gpus_each: Annotated[
        float, Parameter(group=COMMAND, help="With --cluster, GPUs that each run takes; 0.5 lets two share one.")
    ] = 0.0
    send: Annotated[
        tuple[Path, ...],
        Parameter(
            group=COMMAND,
            negative="",
            help="With --cluster, a file or folder that each node needs to run the command, as train.py; repeat. "
            "Without any, nodes run it in the same folder, which they must share.",
        ),
    ] = ()


DEFAULT_COMMAND = CommandOptions()

#: Options of other kinds that ``--run`` understands.
_UNDERSTOOD = {
    "seeds", "plan", "final", "smallest_effect", "alpha", "metric", "workers", "max_time", "trial_timeout",
    "retry_failed", "as_json", "cluster",
}  # fmt: skip


def refuse_without_run(options: CommandOptions) -> None:
    """Refuse options of a command where there is none."""
    for field in fields(options):
        if getattr(options, field.name) != field.default:
            raise StudyError(f"--{field.name.replace('_', '-')} is for a program of your own; name it with --run")


def study_of_command(
    command: CommandOptions,
    rungs: tuple[str, ...],
    out: Path | None,
    *,
    rules: RuleOptions,
    options: TrainingOptions,
    deciding: DecidingOptions,
    how: ExecutionOptions,
    others: dict[str, bool],
) -> int:
    """Run the user's command for every rung and seed, and print what the evidence holds.

    Args:
        others: what else was given, by the name of its option.
    """
    assert command.run is not None
    given = [name for name, is_given in others.items() if is_given]
    for own, usual in (
        (rules, DEFAULT_RULES),
        (options, DEFAULTS),
        (deciding, DEFAULT_DECIDING),
        (how, DEFAULT_EXECUTION),
    ):
        given += [
            field.name
            for field in fields(usual)
            if field.name not in _UNDERSTOOD and getattr(own, field.name) != getattr(usual, field.name)
        ]
    if given:
        name = {"settings": "set"}.get(given[0], given[0]).replace("_", "-")
        what = "DATA" if name == "data" else f"--{name}"
        raise StudyError(f"{what} is for images that are trained on here, and --run brings a program; leave it out")
    plan = CommandPlan(
        run=command.run,
        rungs=rungs,
        plan=rules.plan,
        metric=deciding.metric,
        lower_is_better=command.lower_is_better,
        unit=command.unit,
        diverged=command.diverged if command.unit != "percent" or command.diverged is None else command.diverged / 100,
        shell=command.shell,
        fractions=_fractions(command.fractions),
    )
    seeds = rules.number_of_seeds()
    if seeds == "auto":
        raise StudyError("--seeds auto needs an estimate of time, which a command has none of; give a number")
    console = make_console(options.as_json)
    stop = Stop(None if how.max_time is None else parse_duration("--max-time", how.max_time))
    execution = CommandExecution(
        workers=None if how.workers == "auto" else _workers(how.workers),
        gpus=tuple(one.strip() for one in command.gpus.split(",")) if command.gpus else (),
        timeout=None if how.trial_timeout is None else parse_duration("--trial-timeout", how.trial_timeout),
        memory=command.trial_memory,
        retry_failed=how.retry_failed,
        on=_on_cluster(command, how.cluster),
        command=typed_command(),
        stop=stop,
    )
    smallest = rules.smallest_effect
    lines = _Lines(console.print)
    with at_work(console, Execution(command=typed_command(), stop=stop), options.as_json):
        done = study_command(
            plan,
            seeds=DEFAULT_SEEDS if seeds is None else seeds,
            out=out,
            rules=Rules(
                alpha=rules.alpha,
                final=rules.final,
                smallest_effect=smallest / 100 if smallest is not None and plan.share else smallest,
            ),
            execution=execution,
            callbacks=lines,
        )
    print_report(console, done.findings, to_flags)
    if options.as_json:
        print_json(build_document(done.findings))
    return 1 if any(trial.result.status == "failed" for trial in done.trials) else 0


class _Lines(CommandCallbacks):
    """A line a run."""

    def __init__(self, say: Any) -> None:
        self._say, self._number, self._trials = say, 0, 0

    def planned(self, record: StudyRecord, trials: int, done: int) -> None:
        self._trials = trials
        before = f", {done} ended before" if done else ""
        self._say(
            f"{count(len(record.rungs), 'rung')}, {count(len(record.seeds), 'seed')}: "
            f"{count(trials, 'run')} to do{before}."
        )

    def message(self, sentence: str) -> None:
        self._say(to_flags(sentence), markup=False, soft_wrap=True)

    def reading(self, trials: int) -> None:
        self._number, self._trials = 0, trials
        self._say(f"All training has ended; test is read now, for {count(trials, 'run')}.")

    def ended(self, trial: CommandTrial, result: TrialResult) -> None:
        self._number += 1
        scores = [
            f"{name} {value:.4g}"
            for name, value in (("val", result.val_score), ("test", result.test_score))
            if value is not None
        ]
        what = ", ".join(scores) if result.failure is None else f"failed: {result.failure}"
        self._say(
            f"[{self._number}/{self._trials}] {trial.rung}, seed {trial.seed}: {what} ({result.seconds:.1f} s)",
            markup=False,
            soft_wrap=True,
        )


def _on_cluster(command: CommandOptions, address: str | None) -> OnCluster | None:
    if address is not None:
        return OnCluster(address, command.cores, command.gpus_each, command.send)
    for name in ("cores", "gpus_each", "send"):
        if getattr(command, name) != getattr(DEFAULT_COMMAND, name):
            raise StudyError(f"--{name.replace('_', '-')} is for a cluster; name it with --cluster")
    return None


def _fractions(text: str | None) -> tuple[float, ...]:
    try:
        return () if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise StudyError(f"--fractions is {text}; write numbers, as 0.1,0.3,1") from None


def _workers(text: str) -> int:
    if not text.isdecimal():
        raise StudyError(f"--workers is {text}; it must be auto, or a whole number of at least 1")
    return int(text)
