"""Options that several commands share, and what they name: data, recipe, device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stepladder.data import ImageSet, load_image_set
from stepladder.errors import RecipeError
from stepladder.recipe import Recipe, change_settings, default_recipe, load_recipe
from stepladder.study.rungs import add_techniques
from stepladder.techniques import register

Data = Annotated[str, Parameter(help="A name (digits, fashion-mnist) or the path of a folder of images or of parquet.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, Parameter(help="auto, float32 or bfloat16; auto takes bfloat16 where the hardware has it.")]
AsJson = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        show_default=False,
        help="Print the result as one JSON document; all else goes to stderr.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingOptions:
    """What every command that trains may be told, beside the data."""

    recipe: Annotated[
        str, Parameter(help="report, small, or a .toml file; auto takes small for fewer than 5,000 training images.")
    ] = "auto"
    settings: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            negative="",
            show_default=False,
            help="Change a setting of the recipe: epochs=5, optimizer.lr=0.05, dropout.p=0.3.",
        ),
    ] = ()
    technique: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Add a technique on a rung of its own: a name, or FILE.py:Class for one of your own.",
        ),
    ] = ()
    epochs: Annotated[int | None, Parameter(help="Passes over the training images; the recipe's own by default.")] = (
        None
    )
    batch_size: Annotated[int | None, Parameter(help="Images a step; the recipe's own by default.")] = None
    validation: Annotated[
        float,
        Parameter(
            help="Share of the training images held out for the curves; 0 trains on all and draws the test curve."
        ),
    ] = 0.1
    limit: Annotated[
        int | None, Parameter(help="Use only the first N images a class of each split, for a quick look.")
    ] = None
    data_dir: Annotated[Path | None, Parameter(help="Where the files of a named image set are.")] = None
    skip_damaged: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Leave images that cannot be read out; the report says so."),
    ] = False
    device: Device = "auto"
    precision: Precision = "auto"
    as_json: AsJson = False

    def load_data(self, console: Console, data: str) -> ImageSet:
        """Load an image set with a progress bar where somebody is watching."""
        columns = (TextColumn("Reading images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=None)
            return load_image_set(
                data,
                data_dir=self.data_dir,
                limit=self.limit,
                skip_damaged=self.skip_damaged,
                on_progress=lambda done, total: progress.update(task, completed=done, total=total),
            )

    def make_recipe(self, image_set: ImageSet) -> Recipe:
        """Load the recipe that was asked for, with the techniques added, and change its settings."""
        return change_settings(add_techniques(self.load_recipe(image_set), self.register()), self.changes())

    def register(self) -> list[str]:
        """Make the techniques of files known, and return the names of all that were asked for."""
        return [register(reference).name for reference in self.technique]

    def load_recipe(self, image_set: ImageSet, otherwise: str | None = None) -> Recipe:
        """Load the recipe that was asked for; ``otherwise`` is the one where nobody asked."""
        if self.recipe != "auto":
            return load_recipe(self.recipe)
        return load_recipe(otherwise or default_recipe(len(image_set.splits["train"])))

    def changes(self) -> dict[str, str]:
        """Return the settings to change, by dotted name."""
        changes = {}
        for setting in self.settings:
            key, equals, value = setting.partition("=")
            if not equals:
                raise RecipeError(f"--set {setting} has no value; write it as --set {key}=VALUE")
            changes[key.strip()] = value.strip()
        for key, number in (("epochs", self.epochs), ("batch_size", self.batch_size)):
            if number is None:
                continue
            if key in changes:
                raise RecipeError(f"{key} is given twice, as --{key.replace('_', '-')} and with --set; give it once")
            changes[key] = str(number)
        return changes


#: What a command gets that was told nothing.
DEFAULTS = TrainingOptions()


def make_console(as_json: bool) -> Console:
    """Return where messages go: stdout, or stderr where stdout belongs to a JSON document."""
    console = Console(stderr=as_json, highlight=False)
    # Between words where somebody reads; not at all where a program or a log does.
    console.soft_wrap = not console.is_terminal
    return console
