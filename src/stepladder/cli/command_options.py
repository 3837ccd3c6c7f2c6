"""Options of ``--run``: a user's own command in place of a recipe."""

# Without "from __future__ import annotations", as in training_options: the annotations of a dataclass are read again.
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepladder.cli.groups import COMMAND
from stepladder.errors import StudyError


@Parameter(name="*")
@dataclass(frozen=True)
class ProgramOptions:
    """A program of the user's own, and what it reports."""

    run: Annotated[
        str | None,
        Parameter(
            group=COMMAND,
            help="Run this for every rung and seed, as 'python train.py --seed {seed} --out {out} {options}'; "
            "{options} is what --rung NAME:ARGUMENTS adds; in a sweep, {lr} is the value of --over lr=0.1,0.01; in a "
            "curve, {fraction} is how much of the training images to use. It writes {out}/result.json, or prints it as "
            "its last line: "
            '{"val": 0.91, "test": 0.90}. With {read_test} in it, test is read once all training has ended.',
        ),
    ] = None
    shell: Annotated[
        bool,
        Parameter(
            group=COMMAND, negative="", show_default=False, help="Let /bin/sh read the command; values are quoted."
        ),
    ] = False
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
        Parameter(
            group=COMMAND,
            help="What a run whose score is NaN counts as, and where the law of a curve begins; 0 (of an error, 1) by "
            "default.",
        ),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class CommandOptions(ProgramOptions):
    """A program of the user's own, and how it is run."""

    gpus: Annotated[
        str | None, Parameter(group=COMMAND, help="GPUs to deal runs out to, one each, as 0,1 (CUDA_VISIBLE_DEVICES).")
    ] = None
    trial_memory: Annotated[
        float | None, Parameter(group=COMMAND, help="End a run that uses more GB of memory, with all that it started.")
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
            show_default=False,
            help="With --cluster, a file or folder that each node needs to run the command, as train.py; repeat. "
            "Without any, nodes run it in the same folder, which they must share.",
        ),
    ] = ()


DEFAULT_PROGRAM, DEFAULT_COMMAND = ProgramOptions(), CommandOptions()


def refuse_without_run(options: ProgramOptions) -> None:
    """Refuse options of a command where there is none."""
    for field in fields(options):
        if getattr(options, field.name) != field.default:
            raise StudyError(f"--{field.name.replace('_', '-')} is for a program of your own; name it with --run")
