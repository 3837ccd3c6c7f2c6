"""Options that several commands share, and what they name: data, recipe, device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stepladder.data import ImageSet, load_image_set
from stepladder.errors import RecipeError
from stepladder.recipe import Recipe, change_settings, default_recipe, load_recipe

Data = Annotated[
    str,
    Parameter(
        help="A name (digits, cifar10, mnist …) or a path: folder of images, table of paths, parquet, .npz, .tar, IDX."
    ),
]
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
    size: Annotated[
        int | None,
        Parameter(
            help="Resize every image to N×N pixels; by default equal sizes are kept, and one is chosen otherwise."
        ),
    ] = None
    channels: Annotated[
        Literal["auto", "1", "3"], Parameter(help="1 makes all images grey, 3 color; auto takes grey if all are grey.")
    ] = "auto"
    data_dir: Annotated[
        Path | None, Parameter(help="Where the files of a named image set are: a folder, or for cifar its archive.")
    ] = None
    download: Annotated[
        bool, Parameter(negative="", show_default=False, help="Fetch a named image set that is not on this computer.")
    ] = False
    skip_damaged: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Leave images that cannot be read out; the report says so."),
    ] = False
    drop_leaks: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Take training images out that are copies of test or validation images; the report says so.",
        ),
    ] = False
    device: Device = "auto"
    precision: Precision = "auto"
    as_json: AsJson = False

    def load_data(self, console: Console, data: str) -> ImageSet:
        """Load an image set with a progress bar where somebody is watching."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("Reading images", total=None)

            def show_download(name: str, done: int, total: int) -> None:
                progress.update(task, description=f"Fetching {name}", completed=done, total=total)

            def show_reading(done: int, total: int) -> None:
                progress.update(task, description="Reading images", completed=done, total=total)

            return load_image_set(
                data,
                data_dir=self.data_dir,
                limit=self.limit,
                skip_damaged=self.skip_damaged,
                size=self.size,
                channels=None if self.channels == "auto" else int(self.channels),
                download=self.download,
                on_progress=show_reading,
                on_download=show_download,
            )

    def make_recipe(self, image_set: ImageSet) -> Recipe:
        """Load the recipe that was asked for and change its settings."""
        name = default_recipe(len(image_set.splits["train"])) if self.recipe == "auto" else self.recipe
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
        return change_settings(load_recipe(name), changes)


#: What a command gets that was told nothing.
DEFAULTS = TrainingOptions()


def make_console(as_json: bool) -> Console:
    """Return where messages go: stdout, or stderr where stdout belongs to a JSON document."""
    console = Console(stderr=as_json, highlight=False)
    # Between words where somebody reads; not at all where a program or a log does.
    console.soft_wrap = not console.is_terminal
    return console
