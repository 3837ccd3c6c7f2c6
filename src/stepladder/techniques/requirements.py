"""Do the techniques of a recipe fit the trial and one another? Settled before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.techniques.base import Technique
from stepladder.techniques.facts import Context
from stepladder.techniques.guard import check_network, check_shape, guarded


def begin_techniques(techniques: Sequence[Technique], context: Context) -> tuple[Network, tuple[int, int, int]]:
    """Tell the techniques of the trial; return the network as all rewrite it, and the (C, H, W) of what it reads.

    Raises:
        RecipeError: two of them exclude one another, or one breaks the rules of its hook.
    """
    _check_clashes(techniques)
    network = context.network
    for position, technique in enumerate(techniques):
        technique.begin(context, techniques[:position])
        with guarded(technique, "rewrite"):
            rewritten = technique.rewrite(network)
        network = check_network(technique, rewritten)

    # A function, which a technique that is copied to be tried does not copy as well, the other techniques with it.
    def reshape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
        for technique in techniques:
            with guarded(technique, "prepared_shape"):
                told = technique.prepared_shape(shape)
            shape = check_shape(technique, told)
        return shape

    input_shape = reshape(context.image_shape)
    settled = replace(context, rewritten=network, input_shape=input_shape)
    for technique in techniques:
        technique.settle(settled, reshape)
    return network, input_shape


def check_techniques(techniques: Sequence[Technique]) -> list[str]:
    """Refuse techniques that need what the trial has not.

    Args:
        techniques: in recipe order, told of the trial by :func:`begin_techniques`.

    Returns:
        warnings, a sentence each.

    Raises:
        RecipeError: one sentence with the name and the reason.
    """
    warnings = []
    for technique in techniques:
        with guarded(technique, "check"):
            warnings += technique.check(technique.context)
    return warnings


def _check_clashes(techniques: Sequence[Technique]) -> None:
    for one, other in combinations(techniques, 2):
        if one.slot is not None and one.slot == other.slot:
            raise RecipeError(f"{one.name} and {other.name} both {one.slot}; keep one")
    replacing = [technique for technique in techniques if technique.overrides("loss")]
    if len(replacing) > 1:
        names = " and ".join(technique.name for technique in replacing)
        raise RecipeError(f"{names} both replace the training loss; keep one")
    mixing = [technique for technique in techniques if technique.mixes_targets]
    if mixing and replacing and not replacing[0].takes_soft_targets:
        raise RecipeError(
            f"{mixing[0].name} gives each image shares of several classes, and the loss of {replacing[0].name} takes "
            f"one label an image; leave one of them out"
        )
