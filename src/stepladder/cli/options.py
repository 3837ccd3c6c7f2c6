"""Options that several commands share, and how the data that they name is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stepladder.data import ImageSet, load_image_set
from stepladder.errors import RecipeError
from stepladder.recipe import Recipe, change_settings, default_recipe, load_recipe

Data = Annotated[str, Parameter(help="A name (digits, fashion-mnist) or the path of a folder of images or of parquet.")]
DataDir = Annotated[Path | None, Parameter(help="Where the files of a named image set are.")]
RecipeName = Annotated[
    str, Parameter(help="report, small, or a .toml file; auto takes small for fewer than 5,000 training images.")
]
Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set", negative="", help="Change a setting of the recipe: epochs=5, optimizer.lr=0.05, dropout.p=0.3."
    ),
]
Epochs = Annotated[int | None, Parameter(help="Passes over the training images; the recipe's own by default.")]
BatchSize = Annotated[int | None, Parameter(help="Images a step; the recipe's own by default.")]
Validation = Annotated[
    float,
    Parameter(help="Share of the training images held out for the curves; 0 trains on all and draws the test curve."),
]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, Parameter(help="auto, float32 or bfloat16; auto takes bfloat16 where the hardware has it.")]
Limit = Annotated[int | None, Parameter(help="Use only the first N images a class of each split, for a quick look.")]
SkipDamaged = Annotated[
    bool,
    Parameter(negative="", show_default=False, help="Leave images that cannot be read out, and say so in the report."),
]
AsJson = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        show_default=False,
        help="Print the result as one JSON document; all else goes to stderr.",
    ),
]


def make_console(as_json: bool) -> Console:
    """Return where messages go: stdout, or stderr where stdout belongs to a JSON document."""
    return Console(stderr=as_json, highlight=False, soft_wrap=True)


def load_data(console: Console, data: str, data_dir: Path | None, limit: int | None, skip_damaged: bool) -> ImageSet:
    """Load an image set with a progress bar where somebody is watching."""
    columns = (TextColumn("Reading images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        return load_image_set(data, data_dir=data_dir, limit=limit, skip_damaged=skip_damaged, on_progress=show)


def make_recipe(
    name: str, image_set: ImageSet, settings: Iterable[str], epochs: int | None, batch_size: int | None
) -> Recipe:
    """Load the recipe that was asked for and change its settings."""
    recipe = load_recipe(default_recipe(len(image_set.splits["train"])) if name == "auto" else name)
    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set {setting} has no value; write it as --set {key}=VALUE")
        changes[key.strip()] = value.strip()
    if epochs is not None:
        changes["epochs"] = str(epochs)
    if batch_size is not None:
        changes["batch_size"] = str(batch_size)
    return change_settings(recipe, changes)
