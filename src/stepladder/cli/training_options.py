"""Options of the commands that train, grouped as the library's values are, and what these become."""

import re

# Without "from __future__ import annotations": the annotations of a dataclass are read again in the module of one that
# inherits from it, where these names are not.
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from stepladder.api.job import ImagesToLoad
from stepladder.cli.console import AsJson, Quiet, Verbose, make_aside, typed_command
from stepladder.cli.data_options import DataOptions
from stepladder.cli.groups import FIRST, IMAGES, JUDGING, OUTPUT, RECIPE, RUNNING
from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import SMALL_SET, recipe_names
from stepladder.report.screen import Screen
from stepladder.studies.design.costs import read_costs
from stepladder.studies.design.designs import PLANS
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.studies.design.rules import DEFAULT_SEEDS, MOST_AUTO, Protocol, Rules, Seeds
from stepladder.studies.running.execution import Execution
from stepladder.studies.track import TRACKERS
from stepladder.training.metrics import METRICS, find_kind
from stepladder.training.stop import Stop
from stepladder.training.unit import Unit

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}

#: Of commands that train one network at a time.
Threads = Annotated[
    int | None,
    Parameter(
        group=RUNNING,
        help="Threads of one training step on the CPU at most; all cores by default, where a study takes 1. Another "
        "number may change the last bits.",
    ),
]


Device = Annotated[str, Parameter(group=RUNNING, help="auto, cpu, cuda or mps.")]
Precision = Annotated[
    str,
    Parameter(
        group=RUNNING,
        help="auto, float32 or bfloat16; auto takes the one that trains faster on this processor.",
    ),
]

MaxTime = Annotated[
    str | None,
    Parameter(
        group=RUNNING,
        help="Stop by itself after so long, as 90m or 2h, and exit with 75; the same command goes on.",
    ),
]
CheckpointSeconds = Annotated[
    float,
    Parameter(
        group=RUNNING,
        help="Seconds between two checkpoints inside an epoch; after an epoch of a second or more there is one anyway.",
    ),
]
AcceptDifferentBits = Annotated[
    bool,
    Parameter(
        group=RUNNING,
        negative="",
        show_default=False,
        help="Go on from checkpoints of another thread count, version or processor.",
    ),
]
#: Of commands that train one recipe.
OneRung = Annotated[
    str | None,
    Parameter(group=RECIPE, help="Only the techniques up to this rung, as augment; all of the recipe by default."),
]


def _listing(names: Iterable[str]) -> str:
    *all_but_last, last = names
    return f"{', '.join(all_but_last)} or {last}"


@Parameter(name="*")
@dataclass(frozen=True)
class DecidingOptions:
    """What decides whatever is chosen or judged."""

    metric: Annotated[
        str,
        Parameter(
            group=JUDGING,
            help="What decides whatever is chosen, judged and shown first: "
            + _listing(f"{name}:CLASS" if kind.needs == "class" else name for name, kind in METRICS.items())
            + ".",
        ),
    ] = "accuracy"
    costs: Annotated[
        Path | None,
        Parameter(
            group=JUDGING,
            help="Of --metric cost: a CSV file of what mistakes cost, a row a true class, a column a predicted one.",
        ),
    ] = None
    select: Annotated[
        str, Parameter(group=JUDGING, help="Weights to keep: last, or best-val for the epoch best on validation.")
    ] = "last"

    def values(self) -> dict[str, Any]:
        """Return them as a protocol has them.

        Raises:
            StudyError: the table of costs cannot be read.
        """
        costs = None if self.costs is None else read_costs(self.costs)
        return {"select": self.select, "metric": self.metric, "costs": costs}


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingOptions(DataOptions):
    """What every command that trains may be told of recipe, splits and device, beside the data."""

    recipe: Annotated[
        str,
        Parameter(
            group=FIRST,
            help=f"{', '.join(recipe_names())}, or a .toml file; auto takes small for fewer than {SMALL_SET:,} "
            "training images, and report otherwise.",
        ),
    ] = "auto"
    settings: Annotated[
        tuple[str, ...],
        Parameter(
            group=RECIPE,
            name="--set",
            negative="",
            show_default=False,
            help="Change a setting of the recipe: epochs=5, optimizer.lr=0.05, dropout.p=0.3.",
        ),
    ] = ()
    network: Annotated[
        str | None,
        Parameter(
            group=RECIPE,
            help="In place of the recipe's own: a name (lenet5, resnet9, …), one line as 'conv5-32 pool2 fc', a "
            ".toml file, or FILE.py:function of your own that returns a module. See: stepladder inspect.",
        ),
    ] = None
    init: Annotated[
        Path | None,
        Parameter(
            group=RECIPE,
            help="Begin from the trained model in this folder: its network and weights, and its outputs for classes of "
            "the same name.",
        ),
    ] = None
    technique: Annotated[
        tuple[str, ...],
        Parameter(
            group=RECIPE,
            negative="",
            show_default=False,
            help="Add a technique on a rung of its own: a name, or FILE.py:Class for one of your own.",
        ),
    ] = ()
    epochs: Annotated[
        int | None,
        Parameter(group=RECIPE, help="Passes over the training images; the recipe's own by default."),
    ] = None
    batch_size: Annotated[int | None, Parameter(group=RECIPE, help="Images a step; the recipe's own by default.")] = (
        None
    )
    validation: Annotated[
        float,
        Parameter(
            group=IMAGES,
            help="Share of the training images held out to choose by; 0 trains on all and draws the test curve.",
        ),
    ] = 0.1
    skip_damaged: Annotated[
        bool,
        Parameter(
            group=IMAGES,
            negative="",
            show_default=False,
            help="Leave images that cannot be read out; the report says so.",
        ),
    ] = False
    drop_leaks: Annotated[
        bool,
        Parameter(
            group=IMAGES,
            negative="",
            show_default=False,
            help="Take training images out that are copies of test or validation images; the report says so.",
        ),
    ] = False
    track: Annotated[
        tuple[str, ...],
        Parameter(
            group=OUTPUT,
            negative="",
            show_default=False,
            help=f"Log every trial as it runs, on this machine: {_listing(TRACKERS)}; for several, repeat the option.",
        ),
    ] = ()
    device: Device = "auto"
    precision: Precision = "auto"
    as_json: AsJson = False
    quiet: Quiet = False
    verbose: Verbose = False

    def aside(self, console: Screen) -> Screen:
        """Return where that goes which is said on the way to the result."""
        return make_aside(console, quiet=self.quiet, verbose=self.verbose)

    def images(self, console: Console, data: str) -> ImagesToLoad:
        """Return what loads the image set, once, with a progress bar where somebody is watching."""
        return ImagesToLoad(
            cache(lambda size: self.load_data(console, data, skip_damaged=self.skip_damaged, default_size=size))
        )

    def recipe_options(self, rung: str | None = None) -> RecipeOptions:
        """Return which recipe was asked for, and what is changed of it."""
        changes: dict[str, str | int] = {}
        for setting in self.settings:
            key, equals, value = setting.partition("=")
            if not equals:
                raise RecipeError(f"--set {setting} has no value; write it as --set {key}=VALUE")
            changes[key.strip()] = value.strip()
        for key, number in (("epochs", self.epochs), ("batch_size", self.batch_size)):
            if number is not None and key in changes:
                raise RecipeError(f"{key} is given twice, as --{key.replace('_', '-')} and with --set; give it once")
            if number is not None:
                changes[key] = number
        return RecipeOptions(self.recipe, self.network, self.technique, changes, rung, self.init)

    def protocol(self, deciding: DecidingOptions | None = None) -> Protocol:
        """Return how the images are used, and what decides."""
        return Protocol(self.validation, self.drop_leaks, **({} if deciding is None else deciding.values()))


@Parameter(name="*")
@dataclass(frozen=True)
class RuleOptions:
    """The plan and its rules, settled and hashed before the first trial."""

    seeds: Annotated[
        str | None,
        Parameter(
            group=FIRST,
            help="Trials a rung: 1 gives no verdict, 2 a first interval, 5 a better one; more may be added at any "
            f"time. auto adds them to what is undecided. {DEFAULT_SEEDS} by default, and auto with --max-time.",
        ),
    ] = None
    plan: Annotated[
        str,
        Parameter(
            group=FIRST,
            help="; ".join(f"{name}: {plan.words}" for name, plan in PLANS.items())
            + ". With --rung or --file, of your own rungs.",
        ),
    ] = "ladder"
    max_seeds: Annotated[
        int | None, Parameter(group=JUDGING, help=f"The most seeds that --seeds auto may take; {MOST_AUTO} by default.")
    ] = None
    final: Annotated[
        bool,
        Parameter(
            group=JUDGING,
            negative="",
            show_default=False,
            help="Look once, with all of alpha; seeds that are added later are marked as a breach of the plan.",
        ),
    ] = False
    resplit: Annotated[
        bool,
        Parameter(
            group=JUDGING,
            negative="",
            show_default=False,
            help="Each seed draws its own training, validation and test images: for small sets without a test split.",
        ),
    ] = False
    max_trials: Annotated[
        int | None,
        Parameter(
            group=JUDGING,
            help="Run no more trials: a factorial is thinned out to a balanced fraction, any other plan refused.",
        ),
    ] = None
    smallest_effect: Annotated[
        float | None,
        Parameter(
            group=JUDGING,
            help="Smallest effect of interest, in points (nats for nll, costs for cost); 0.5 points, 0.01 nats or a "
            "200th of the largest cost by default.",
        ),
    ] = None
    alpha: Annotated[
        float, Parameter(group=JUDGING, help='Chance of any wrong "helped" or "hurt" in the whole study.')
    ] = 0.05

    def rules(self, options: TrainingOptions, deciding: DecidingOptions) -> Rules:
        """Return the rules in the library's units."""
        smallest = self.smallest_effect
        if smallest is not None and find_kind(deciding.metric).unit is Unit.SHARE:
            smallest /= 100
        return Rules(
            validation=options.validation,
            drop_leaks=options.drop_leaks,
            **deciding.values(),
            alpha=self.alpha,
            smallest_effect=smallest,
            max_seeds=self.max_seeds,
            max_trials=self.max_trials,
            final=self.final,
            resplit=self.resplit,
        )

    def number_of_seeds(self) -> Seeds | None:
        """Return how many seeds, or ``auto``; None where nothing was said."""
        if self.seeds is None or self.seeds == "auto":
            return "auto" if self.seeds else None
        try:
            return int(self.seeds)
        except ValueError:
            raise StudyError(f"--seeds is {self.seeds}; it must be a whole number, such as 3, or auto") from None


@Parameter(name="*")
@dataclass(frozen=True)
class PauseOptions:
    """When a training stops by itself, what it keeps, and from what it goes on."""

    max_time: MaxTime = None
    checkpoint_seconds: CheckpointSeconds = 60.0
    accept_different_bits: AcceptDifferentBits = False

    def execution(self, options: TrainingOptions, threads: int | None) -> Execution:
        """Return how a training is carried out; the clock of ``--max-time`` starts now.

        Raises:
            StudyError: a value cannot be read.
        """
        return Execution(
            device=options.device,
            precision=options.precision,
            download=options.download,
            threads=threads,
            checkpoint_seconds=self.checkpoint_seconds,
            accept_different_bits=self.accept_different_bits,
            track=options.track,
            command=typed_command(),
            stop=Stop(_seconds("--max-time", self.max_time)),
        )


Cluster = Annotated[
    str | None,
    Parameter(
        group=RUNNING,
        help="Run the trials on a Ray cluster: HOST:PORT of its head, or auto for that of RAY_ADDRESS, else one of "
        "this machine alone. The folder stays here.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class ExecutionOptions:
    """In how many processes a study runs, when it stops by itself, and what to do when something goes wrong."""

    workers: Annotated[
        str,
        Parameter(
            group=RUNNING,
            help="Processes that train at the same time; auto takes one a core where the study takes more than half a "
            "minute. The results are the same, to the bit.",
        ),
    ] = "auto"
    threads: Annotated[
        int,
        Parameter(
            group=RUNNING, help="Threads of one training step on the CPU; another number may change the last bits."
        ),
    ] = 1
    streams: Annotated[
        int,
        Parameter(
            group=RUNNING,
            help="On a CUDA GPU, trials at the same time in each process: one small network does not fill it. See: "
            "stepladder bench gpu.",
        ),
    ] = 1
    cluster: Cluster = None
    images_on_nodes: Annotated[
        str | None,
        Parameter(
            group=RUNNING,
            help="With --cluster, where every node finds the images: a path, or s3://bucket/images. Without it they "
            "travel to each node once.",
        ),
    ] = None
    max_time: MaxTime = None
    trial_timeout: Annotated[
        str | None,
        Parameter(group=RUNNING, help="End a trial that takes longer, as 30m, and leave it out; the others go on."),
    ] = None
    retry_failed: Annotated[
        bool,
        Parameter(group=RUNNING, negative="", show_default=False, help="Run trials again that had failed."),
    ] = False
    reuse: Annotated[
        tuple[Path, ...],
        Parameter(
            group=RUNNING,
            negative="",
            show_default=False,
            help="Take finished trials over from this folder of another study, sweep, curve or training, where they "
            "are the same; for several folders, repeat the option.",
        ),
    ] = ()
    checkpoint_seconds: CheckpointSeconds = 60.0
    accept_different_bits: AcceptDifferentBits = False

    def execution(self, options: TrainingOptions, command: str | None = None) -> Execution:
        """Return how a study is carried out; the clock of ``--max-time`` starts now.

        Args:
            command: what was typed, where that must not be recorded as it was.

        Raises:
            StudyError: a value cannot be read.
        """
        return Execution(
            device=options.device,
            precision=options.precision,
            download=options.download,
            threads=self.threads,
            workers=self._number_of_workers(),
            cluster=self.cluster,
            images_on_nodes=self.images_on_nodes,
            streams=self.streams,
            checkpoint_seconds=self.checkpoint_seconds,
            trial_timeout=_seconds("--trial-timeout", self.trial_timeout),
            retry_failed=self.retry_failed,
            reuse=self.reuse,
            accept_different_bits=self.accept_different_bits,
            track=options.track,
            command=command or typed_command(),
            stop=Stop(_seconds("--max-time", self.max_time)),
        )

    def _number_of_workers(self) -> int | Literal["auto"]:
        if self.workers == "auto":
            return "auto"
        if not self.workers.isdecimal() or int(self.workers) < 1:
            raise StudyError(f"--workers is {self.workers}; it must be auto, or a whole number of at least 1")
        return int(self.workers)


#: What a command gets that was told nothing.
DEFAULTS, DEFAULT_DECIDING, DEFAULT_RULES = TrainingOptions(), DecidingOptions(), RuleOptions()
DEFAULT_PAUSES, DEFAULT_EXECUTION = PauseOptions(), ExecutionOptions()


def parse_duration(option: str, text: str) -> float:
    """Return seconds of ``text``: 90, 90s, 45m, 2h, 1d, 1h30m.

    Raises:
        StudyError: it is no duration, or none that passes.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s|)", text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower().replace(" ", ""):
        raise StudyError(f"{option} is {text}; write it as 90s, 45m, 2h or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise StudyError(f"{option} is {text}; it must be more than 0")
    return seconds


def _seconds(option: str, text: str | None) -> float | None:
    return None if text is None else parse_duration(option, text)
