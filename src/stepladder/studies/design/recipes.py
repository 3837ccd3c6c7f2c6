"""Which recipe a job trains: a name, a file or a recipe, with network, techniques and settings of the user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stepladder.datasets import DefaultSize, ImageSet
from stepladder.errors import RecipeError, StudyError, unknown
from stepladder.network import find_network, load_preset, trace_network
from stepladder.network.advice import GAP_NETWORK, LARGEST_FLATTENED
from stepladder.network.find import FoundNetwork
from stepladder.network.own import is_reference, register_network
from stepladder.network.presets import preset_of
from stepladder.recipe import (
    TRANSFER,
    Recipe,
    change_settings,
    default_recipe,
    load_recipe,
    recipe_names,
    transfer_preset,
)
from stepladder.studies.design.designs import PLANS, Design, design_of_rungs, make_design
from stepladder.studies.design.rules import Rules, Seeds, most_seeds
from stepladder.studies.design.rungs import Rung, add_techniques, find_rung, make_rungs, parse_rung, read_study_file
from stepladder.studies.design.start_from import find_start, start_from, start_note
from stepladder.techniques import find_technique, register


@dataclass(frozen=True)
class RecipeOptions:
    """A recipe and what is changed of it.

    Attributes:
        recipe: a name, a ``.toml`` file or a recipe; ``auto`` takes ``transfer`` for photographs where its weights are
            on this computer, ``small`` for fewer than 5,000 training images, and ``report`` otherwise.
        network: in place of the recipe's own: a name, one line as ``conv5-32 pool2 fc``, a ``.toml`` file, or
            ``FILE.py:function`` of the user's own, which gets (C, H, W) and the number of classes and returns a module.
            None for the recipe's own; large images get :func:`default_network` in place of the report's.
        techniques: added on top, each on a rung of its own: names, or ``FILE.py:Class`` for those of the user's own.
        settings: changed, by dotted name: ``{"epochs": 5, "optimizer.lr": 0.05, "dropout.p": 0.3}``.
        rung: only the techniques up to this rung; None for all.
        init: the folder of a trained model to begin from: its network and weights, and its outputs for classes of the
            same name.
    """

    recipe: str | Path | Recipe = "auto"
    network: str | None = None
    techniques: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    rung: str | None = None
    init: str | Path | None = None

    def make(self, image_set: ImageSet) -> Recipe:
        """Return the recipe for these images.

        Raises:
            RecipeError: there is no such recipe, network, technique or setting, or they do not fit the images.
            StudyError: there is no such rung.
        """
        recipe = change_settings(add_techniques(self.load(image_set), self.register()), self.changes())
        return recipe if self.rung is None else self._up_to(recipe, self.rung)

    def _up_to(self, recipe: Recipe, rung: str) -> Recipe:
        """Return the recipe up to a rung, unless that leaves out what was asked for."""
        found = find_rung(recipe, rung).recipe
        left_out = {setting.name for setting in recipe.techniques} - {setting.name for setting in found.techniques}
        if above := [name for name in self.register() if name in left_out]:
            raise RecipeError(
                f"`rung={rung}` ends below {' and '.join(above)}, which `techniques` adds on top, so it would "
                f"train without; leave one of the two out, or give `rung={above[-1]}`"
            )
        if unused := [key for key in self.settings if key.partition(".")[0] in left_out]:
            raise RecipeError(
                f"`rung={rung}` ends below {unused[0].partition('.')[0]}, so {unused[0]} would change nothing; leave "
                "one of the two out"
            )
        return found

    def check(self) -> None:
        """Refuse what no image is needed to refuse: names that do not exist, and numbers out of range.

        Settings of techniques have to wait where ``auto`` or a study's rungs decide which techniques there are.

        Raises:
            RecipeError, StudyError: see :meth:`make`.
        """
        names, automatic = self.register(), self.recipe == "auto"
        if self.init is not None:
            if self.network is not None or "network" in self.settings:
                raise RecipeError("`init` brings its model's network, so `network` would be lost; give one of them")
            find_start(self.init)
        if self.network is not None:
            find_network(self.network)
        if isinstance(self.recipe, Recipe):
            recipe = self.recipe
        else:
            recipe = load_recipe(default_recipe(0) if automatic else str(self.recipe))
        of_all = [key for key in self.settings if "." not in key or (key.startswith("optimizer.") and not automatic)]
        changes = self.changes()
        change_settings(recipe, {key: changes[key] for key in of_all})
        if self.rung is not None and not automatic:
            self._up_to(change_settings(add_techniques(recipe, names), changes), self.rung)

    def load(self, image_set: ImageSet, otherwise: str | None = None) -> Recipe:
        """Return the recipe with its network, before techniques and settings; ``otherwise`` stands for ``auto``."""
        if self.init is not None:
            start = find_start(self.init)
            channels = image_set.image_shape[-1]
            return start_from(start, self._around(start, image_set), image_set.class_names, channels)
        own = self.network is not None and is_reference(self.network)
        if isinstance(self.recipe, Recipe):
            recipe = self.recipe
        else:
            automatic = otherwise or (default_recipe(_count(image_set)) if own else automatic_recipe(image_set))
            recipe = load_recipe(automatic if self.recipe == "auto" else str(self.recipe))
            if (
                own and self.recipe == "auto" and otherwise is None
            ):  # nobody asked for what cannot be had; see with_note
                fitting = (one for one in recipe.techniques if not find_technique(one.name).needs_layers())
                recipe = recipe.with_techniques(fitting)
        network = self.network or self._default_network(image_set, otherwise)
        return recipe if network is None else self._with_network(recipe, network, image_set)

    def _around(self, start: FoundNetwork, image_set: ImageSet) -> Recipe:
        """Return the recipe by which a model that is begun from is trained on."""
        if isinstance(self.recipe, Recipe):
            return self.recipe
        if self.recipe != "auto":
            return load_recipe(str(self.recipe))
        preset = preset_of(start.network)
        return load_recipe(TRANSFER if preset is not None and preset.weights else default_recipe(_count(image_set)))

    def default_size(self) -> DefaultSize | None:
        """Return the size to bring images to where the user asked for none; None leaves it to the images.

        A network that has published weights gets images of the size that these were trained at. Where the recipe cuts
        the center out of them, they come as large as its authors resized them before doing the same. ``auto`` takes
        that size for photographs, where the weights are on this computer.
        """
        if self.init is not None:
            start = find_start(self.init)
            height, width, _ = start.image_shape or (0, 1, 0)
            return DefaultSize(height, fit=start.fit) if height == width else None
        network = self.network or self.settings.get("network")
        if self.recipe == "auto" and network is None:
            preset = transfer_preset()
            return None if preset is None else DefaultSize(preset.input_shape[1], photographs_only=True)
        named = default_recipe(0) if self.recipe == "auto" else str(self.recipe)
        recipe = self.recipe if isinstance(self.recipe, Recipe) else load_recipe(named)
        preset = preset_of(recipe.network if network is None else find_network(str(network)).network)
        if preset is None or not preset.weights:
            return None
        resized = next(iter(preset.weights.values())).resize
        shape = (preset.input_shape[0], resized, resized)
        for technique in add_techniques(recipe, self.register()).make_techniques():
            shape = technique.prepared_shape(shape)
        return DefaultSize(resized if shape == preset.input_shape else preset.input_shape[1])

    def with_note(self, image_set: ImageSet, recipe: Recipe) -> ImageSet:
        """Return the images with a note of what was chosen for them, where nobody asked for it."""
        if self.init is not None:
            start = find_start(self.init)
            own_rate = "optimizer.lr" not in self.settings
            note = start_note(start, self._around(start, image_set), image_set.class_names, own_rate=own_rate)
            return replace(image_set, notes=(*image_set.notes, note))
        if self.network is not None and (model := find_network(self.network, run_code=False).model) is not None:
            note = f"Network: the layers of {model}, without what they have learned; `init='{model}'` begins from that."
            return replace(image_set, notes=(*image_set.notes, note))
        if self.recipe == "auto" and self.network is None and recipe.name == TRANSFER:
            note = (
                f"Recipe: {TRANSFER}, as these are photographs and weights for them are on this computer. "
                'Use `recipe="small"` with `size=64` to train from scratch.'
            )
            return replace(image_set, notes=(*image_set.notes, note))
        if self.recipe == "auto" and self.network is not None and is_reference(self.network):
            whole = load_recipe(default_recipe(_count(image_set)))
            left = [one.name for one in whole.techniques if find_technique(one.name).needs_layers()]
            note = (
                f"Recipe: {whole.name} without {' and '.join(left)}, as your network is a module and these rewrite a "
                "list of layers."
            )
            return replace(image_set, notes=(*image_set.notes, note))
        name = self._default_network(image_set)
        if name is None or recipe.network != load_preset(name):
            return image_set
        height, width, channels = image_set.image_shape
        costs = trace_network(load_preset(name), (channels, height, width), image_set.num_classes)
        note = (
            f"Network: {name} ({sum(cost.weights for cost in costs):,} weights), as the images are {height}×{width}. "
            'Use `network="report"` to take the report\'s, whose weights grow with the image.'
        )
        return replace(image_set, notes=(*image_set.notes, note))

    def register(self) -> list[str]:
        """Make networks and techniques of files known, and return the names of all techniques that were asked for."""
        for network in (self.network, self.settings.get("network")):
            if isinstance(network, str) and is_reference(network):
                register_network(network)
        return [register(reference).name for reference in self.techniques]

    def changes(self) -> dict[str, str]:
        """Return the settings as a recipe file would write them."""
        return {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in self.settings.items()
        }

    def label(self) -> str:
        """Return what names the network in a folder's name, with a hyphen; empty for the recipe's own."""
        return "" if self.network is None else f"-{find_network(self.network).label}"

    def _default_network(self, image_set: ImageSet, otherwise: str | None = None) -> str | None:
        """Return the network that large images get; None where one was named, with the recipe or without."""
        if self.network is not None or "network" in self.settings or isinstance(self.recipe, Recipe):
            return None
        asked = (otherwise or "auto") if self.recipe == "auto" else str(self.recipe)
        if asked == "auto" and automatic_recipe(image_set) == TRANSFER:
            return None
        if asked != "auto" and (asked not in recipe_names() or load_recipe(asked).network != load_preset("report")):
            return None
        return default_network(image_set.image_shape)

    def _with_network(self, recipe: Recipe, text: str, image_set: ImageSet) -> Recipe:
        """Return the recipe with another network, once that fits the images; its name says so."""
        if "network" in self.settings:
            raise RecipeError("the network is given twice, with `network` and among `settings`; give it once")
        found = find_network(text)
        height, width, channels = image_set.image_shape
        found.trace((channels, height, width), image_set.num_classes)
        label = re.sub(r"[^\w .+-]", "-", found.label)
        return recipe.model_copy(update={"name": f"{recipe.name}-{label}", "network": found.network})


def automatic_recipe(image_set: ImageSet) -> str:
    """Return the recipe for users who name none.

    ``transfer`` for images at least as large as its network was trained on, where the weights are on this computer;
    else by the number of training images, see :func:`stepladder.recipe.default_recipe`.
    """
    preset = transfer_preset()
    if preset is not None and min(image_set.image_shape[:2]) >= preset.input_shape[1]:
        return TRANSFER
    return default_recipe(_count(image_set))


def _count(image_set: ImageSet) -> int:
    return len(image_set.splits["train"])


def default_network(image_shape: tuple[int, int, int]) -> str | None:
    """Return the network for images of (height, width, channels) where the user names none; None for the recipe's own.

    The report's network flattens its last maps, and so has 57 million weights at 224×224, where it has one at 32×32.
    """
    return GAP_NETWORK if max(image_shape[:2]) > LARGEST_FLATTENED else None


def as_options(recipe: str | Path | Recipe | RecipeOptions) -> RecipeOptions:
    """Return whatever names a recipe as options."""
    return recipe if isinstance(recipe, RecipeOptions) else RecipeOptions(recipe)


@dataclass(frozen=True)
class RungPlan:
    """Rungs of the user's own, and the plan that is made of them.

    >>> RungPlan(("base:standardize", "+mixup:mixup", "+cutmix:cutmix"), "factorial").plan
    'factorial'

    Attributes:
        rungs: from below, as texts or made by the user; or the path of a study file in TOML.
        plan: ``ladder`` compares each rung with the one below it. In every other plan of ``designs.PLANS`` the first
            rung is the base and each of the others a factor, which must add techniques and change nothing else.
    """

    rungs: Path | tuple[str | Rung, ...]
    plan: str = "ladder"


#: Whatever says which rungs are trained and compared.
AnyPlan = str | Path | Sequence[str | Rung] | RungPlan


def as_plan(plan: AnyPlan) -> str | RungPlan:
    """Return the name of a plan, or rungs with theirs, whichever way they were given."""
    if isinstance(plan, RungPlan) or (isinstance(plan, str) and not plan.endswith(".toml")):
        return plan
    return RungPlan(Path(plan) if isinstance(plan, str | Path) else tuple(plan))


@dataclass(frozen=True)
class ChosenStudy:
    """What a study trains, as it was asked for.

    Attributes:
        recipe: that of its last rung, with all techniques.
        name: what its folder is called after the image set's name.
    """

    design: Design
    recipe: Recipe
    name: str


def check_plan(plan: AnyPlan) -> None:
    """Refuse the name of a plan that does not exist, or a study file that cannot be read.

    Raises:
        StudyError, RecipeError: see :func:`choose_study`.
    """
    asked = as_plan(plan)
    name = asked if isinstance(asked, str) else asked.plan
    if name not in PLANS:
        raise StudyError(unknown("plan", name, PLANS))
    if isinstance(asked, RungPlan) and isinstance(asked.rungs, Path):
        read_study_file(asked.rungs)


def choose_study(plan: AnyPlan, recipe: RecipeOptions, image_set: ImageSet, seeds: Seeds, rules: Rules) -> ChosenStudy:
    """Return the design that a user asked for.

    Args:
        plan: the name of a plan; rungs from below, as ``["base:", "+mixup:mixup"]`` or made by the user; the path of a
            study file in TOML; or a :class:`RungPlan`, to make another plan of rungs than a ladder.

    Raises:
        StudyError: there is no such plan, or the rungs cannot be compared.
        RecipeError: see :meth:`RecipeOptions.make`.
    """
    recipe.register()  # before the rungs, which may name them
    check_plan(plan)
    asked, most = as_plan(plan), most_seeds(seeds, rules)
    if isinstance(asked, str):
        made = recipe.make(image_set)
        return ChosenStudy(make_design(asked, made, most, rules.max_trials), made, f"{recipe.label()}-{asked}")
    if recipe.rung is not None:
        raise StudyError("`rung` is for one recipe, and `plan` lists rungs of your own; leave `rung` out")
    rungs = _own_rungs(asked.rungs, recipe, image_set)
    design = design_of_rungs(asked.plan, rungs, most, rules.max_trials)
    kind = "" if asked.plan == "ladder" else f"-{asked.plan}"
    return ChosenStudy(design, rungs[-1].recipe, f"{recipe.label()}{kind}-{_short_name(rungs)}")


def _own_rungs(given: Path | Sequence[str | Rung], recipe: RecipeOptions, image_set: ImageSet) -> tuple[Rung, ...]:
    """Return the rungs that a user wrote, with the techniques asked for beside them on rungs of their own on top."""
    made_ones = tuple(rung for rung in given if isinstance(rung, Rung)) if not isinstance(given, Path) else ()
    if not isinstance(given, Path) and made_ones and len(made_ones) == len(given):
        if recipe != RecipeOptions():
            raise StudyError(
                "`plan` gives rungs that have their recipes already, so `recipe` would change nothing; leave it out"
            )
        return made_ones
    if made_ones:
        raise StudyError("`plan` mixes rungs and texts; give rungs alone, or texts as base: and +mixup:mixup alone")
    if isinstance(given, Path):
        study_file = read_study_file(given)
        if recipe.init is not None and "network" in study_file.settings:
            raise StudyError(f"`init` brings its model's network, and {given} names another; give one of them")
        if recipe.network is not None and "network" in study_file.settings:
            raise StudyError(f"the network is given twice, with `network` and in {given}; give it once")
        base = recipe.load(image_set, otherwise=study_file.recipe)
        specs, changes = list(study_file.rungs), {**study_file.settings, **recipe.changes()}
    else:
        base = recipe.load(image_set)
        specs, changes = [parse_rung(str(text), base) for text in given], recipe.changes()
    listed = {setting.name for spec in specs for setting in spec.techniques}
    specs += [parse_rung(f"+{name}:{name}", base) for name in recipe.register() if name not in listed]
    return make_rungs(specs, base, changes)


def _short_name(rungs: Sequence[Rung]) -> str:
    """What such a study's folder is called: its rungs, as far as 60 letters go."""
    return "-".join(rung.name.replace(" ", "_") for rung in rungs)[:60].rstrip("-.")
