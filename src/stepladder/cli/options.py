"""Options that several commands share, and what they name: data, recipe, device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stepladder.cli.console import AsJson as AsJson
from stepladder.cli.console import make_console as make_console
from stepladder.data import ImageSet, load_image_set
from stepladder.errors import RecipeError
from stepladder.network import find_network
from stepladder.recipe import Recipe, change_settings, default_recipe, load_recipe

Data = Annotated[str, Parameter(help="A name (digits, fashion-mnist) or the path of a folder of images or of parquet.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, Parameter(help="auto, float32 or bfloat16; auto takes bfloat16 where the hardware has it.")]


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
    network: Annotated[
        str | None,
        Parameter(
            help="The recipe's own by default; or a name (lenet5, resnet9, ...), one line as 'conv5-32 pool2 fc', or a "
            ".toml file. See: stepladder inspect."
        ),
    ] = None
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
        recipe = change_settings(load_recipe(name), changes)
        return recipe if self.network is None else self._with_network(recipe, self.network, image_set)

    def network_label(self) -> str:
        """Return what names the network in a folder's name, with a hyphen; empty for the recipe's own."""
        return f"-{find_network(self.network).label}" if self.network is not None else ""

    def _with_network(self, recipe: Recipe, text: str, image_set: ImageSet) -> Recipe:
        """Return the recipe with another network, once that fits the images; its name says so."""
        if any(setting.partition("=")[0].strip() == "network" for setting in self.settings):
            raise RecipeError("network is given twice, as --network and with --set; give it once")
        found = find_network(text)
        height, width, channels = image_set.image_shape
        found.trace((channels, height, width), image_set.num_classes)
        label = re.sub(r"[^\w .+-]", "-", found.label)
        return recipe.model_copy(update={"name": f"{recipe.name}-{label}", "network": found.network})


#: What a command gets that was told nothing.
DEFAULTS = TrainingOptions()
