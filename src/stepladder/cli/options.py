"""Options that several commands share, and what they name: data, recipe, device."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import AsJson
from stepladder.cli.data_options import Data, DataOptions
from stepladder.data import ImageSet
from stepladder.errors import RecipeError
from stepladder.network import find_network
from stepladder.recipe import Recipe, change_settings, default_recipe, load_recipe
from stepladder.study.design.rungs import add_techniques
from stepladder.study.running.watch import Watch, Watchers
from stepladder.techniques import register
from stepladder.training.device import Compute

__all__ = ["DEFAULTS", "Data", "Device", "Precision", "TrainingOptions", "say_what_was_loaded"]

Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps.")]
Precision = Annotated[
    str,
    Parameter(help="auto, float32 or bfloat16; auto takes bfloat16 unless it is measured to be clearly slower here."),
]


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingOptions(DataOptions):
    """What every command that trains may be told, beside the data."""

    recipe: Annotated[
        str,
        Parameter(
            help="report, small, strong, express, fast94, or a .toml file; auto takes small for fewer than 5,000 "
            "training images, and report otherwise."
        ),
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
    track: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Log every trial as it runs, on this machine: tensorboard or trackio (or both, the option twice).",
        ),
    ] = ()
    device: Device = "auto"
    precision: Precision = "auto"
    as_json: AsJson = False

    def make_recipe(self, image_set: ImageSet) -> Recipe:
        """Load the recipe that was asked for, with the techniques added, and change its settings."""
        return change_settings(add_techniques(self.load_recipe(image_set), self.register()), self.changes())

    def register(self) -> list[str]:
        """Make the techniques of files known, and return the names of all that were asked for."""
        return [register(reference).name for reference in self.technique]

    def load_recipe(self, image_set: ImageSet, otherwise: str | None = None) -> Recipe:
        """Load the recipe that was asked for; ``otherwise`` is the one where nobody asked."""
        chosen = (otherwise or default_recipe(len(image_set.splits["train"]))) if self.recipe == "auto" else self.recipe
        recipe = load_recipe(chosen)
        return recipe if self.network is None else self._with_network(recipe, self.network, image_set)

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

    def watchers(self, console: Console, shown: Watch, folder: Path) -> Watch:
        """Return what tells ``shown`` and every tracker that was asked for; theirs is <folder>/tracking."""
        if not self.track:
            return shown
        from stepladder.study.track import make_trackers

        trackers = make_trackers(self.track, folder, lambda sentence: console.print(sentence, markup=False))
        return Watchers([shown, *trackers])

    def settle_precision(self, console: Console, compute: Compute, recipe: Recipe, images: ImageSet) -> Compute:
        """Return ``compute`` in float32 where that was not ruled out and bfloat16 is measured to be slower; say so."""
        if self.precision != "auto" or compute.precision != "bfloat16" or compute.device.type != "cpu":
            return compute
        from stepladder.training.context import trained_network
        from stepladder.training.precision import remembered_times

        network, shape = trained_network(recipe, images.splits["train"], images.num_classes)
        times = remembered_times(network, shape, images.num_classes, recipe.batch_size, compute)
        if not times.bfloat16_is_slower:
            return compute
        console.print(
            f"This network trains in float32: forward and backward, some images took {1000 * times.float32:.1f} ms, "
            f"and {1000 * times.bfloat16:.1f} in bfloat16. With --precision bfloat16 it is taken all the same.",
            markup=False,
        )
        return replace(compute, precision="float32")

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


def say_what_was_loaded(console: Console, images: ImageSet, recipe: Recipe) -> None:
    """Print how many images there are, of what size and channels, and what was decided about them."""
    height, width, channels = images.image_shape
    console.print(
        f"{images.name}: {sum(map(len, images.splits.values())):,} images of {height}×{width} pixels, "
        f"{'gray' if channels == 1 else 'color'}, {images.num_classes} classes. Recipe {recipe.name}.",
        markup=False,
    )
    for note in images.notes:
        console.print(f"  {note}", style="dim", markup=False)
