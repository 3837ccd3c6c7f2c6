"""A recipe that begins from a trained model: its network, its weights, and its outputs for classes of the same name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stepladder.errors import RecipeError, some_of
from stepladder.network.find import FoundNetwork, read_model_network
from stepladder.recipe import Recipe, TechniqueSetting
from stepladder.techniques import TECHNIQUES, find_technique

#: The technique that does it.
_BEGINS = next(name for name, technique in TECHNIQUES.items() if technique.begins_from_weights)

#: An output that no output of the model stands for, as ``pretrained.outputs`` writes it.
_ANEW = -1

#: So many times lower is the learning rate that is suggested for weights that have learned something.
_GENTLER = 10


def find_start(folder: str | Path) -> FoundNetwork:
    """Return the network of the model in ``folder``, or of the trial's folder that holds one, with its classes.

    Raises:
        RecipeError: there is no model.
        StorageError: it is damaged.
    """
    path = Path(folder).expanduser()
    inner = next((one for one in (path, path / "model") if (one / "config.json").is_file()), None)
    if inner is None:
        raise RecipeError(f"`init` is '{folder}', and no model is there; give the folder of one, as trials/…/model")
    return read_model_network(inner)


def start_from(start: FoundNetwork, recipe: Recipe, class_names: Sequence[str], channels: int) -> Recipe:
    """Return ``recipe`` with the model's network, beginning from its weights.

    The network has its layers as techniques have rewritten them, so that those that would do so again are left out. Of
    the output layer the rows of those classes are taken over that bear the same name; all others are drawn.

    Args:
        start: as :func:`find_start` returns it.
        class_names, channels: of the images that are to be learned.

    Raises:
        RecipeError: the model reads gray images and these have colors, or the other way round.
    """
    assert start.model is not None
    if start.image_shape is not None and start.image_shape[-1] != channels:
        kinds = {1: "gray", 3: "color"}
        read = start.image_shape[-1]
        raise RecipeError(
            f"`init` is {start.model}, which reads {kinds.get(read, f'{read}-channel')} images, and these are "
            f"{kinds.get(channels, f'{channels}-channel')}; add `channels={read}`"
        )
    outputs = _outputs(start.class_names, class_names)
    options = {"source": str(start.model)}
    setting = TechniqueSetting.model_validate(
        {"name": _BEGINS, **options, **({"outputs": outputs} if max(outputs) > _ANEW else {})}
    )
    fitting = [one for one in recipe.techniques if one.name == _BEGINS or not _rewrites(one)]
    if any(one.name == setting.name for one in fitting):
        fitting = [
            setting.model_copy(update={"rung": one.rung}) if one.name == setting.name else one for one in fitting
        ]
    else:
        fitting.insert(0, setting)
    name = f"{recipe.name}-from-{re.sub(r'[^A-Za-z0-9_.+-]', '-', start.label)}"
    return recipe.with_techniques(fitting).model_copy(update={"name": name, "network": start.network})


def start_note(start: FoundNetwork, recipe: Recipe, class_names: Sequence[str], *, own_rate: bool = True) -> str:
    """Return what was taken over of the model, and what of the recipe was left out, a sentence or two.

    Args:
        own_rate: whether the learning rate is the recipe's own. One for weights that begin at random can undo in an
            epoch what learned ones know, which is said then.
    """
    known = [name for name in class_names if name in start.class_names]
    new = [name for name in class_names if name not in start.class_names]
    gone = [name for name in start.class_names if name not in class_names]
    layers = "all its layers but the output"
    if not known:
        taken = f"{layers}, as it knows other classes ({some_of(list(start.class_names))})"
    elif not new and not gone:
        taken = "all its layers and outputs, as the classes are the same"
    else:
        taken = f"{layers}, and its outputs for {some_of(known)}"
    drawn = f"; {some_of(new)} {'is' if len(new) == 1 else 'are'} new" if known and new else ""
    left = f"; {some_of(gone)} {'is' if len(gone) == 1 else 'are'} gone" if known and gone else ""
    again = [one.name for one in recipe.techniques if _rewrites(one) and one.name != _BEGINS]
    twice = (
        f" {' and '.join(again)} {'is' if len(again) == 1 else 'are'} left out of the recipe: the model's network has "
        "its layers already."
        if again
        else ""
    )
    from_random = own_rate and all(one.name != _BEGINS for one in recipe.techniques)
    rate = recipe.optimizer.lr
    gently = (
        f" The recipe's rate of {rate:g} is for weights that begin at random, and may undo what these know; "
        f"optimizer.lr={rate / _GENTLER:g} is gentler."
        if from_random
        else ""
    )
    return f"Begins from {start.model}: {taken}{drawn}{left}.{twice}{gently}"


def _outputs(known: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...]:
    positions = {name: position for position, name in enumerate(known)}
    return tuple(positions.get(name, _ANEW) for name in wanted)


def _rewrites(setting: TechniqueSetting) -> bool:
    return find_technique(setting.name).overrides("rewrite")
