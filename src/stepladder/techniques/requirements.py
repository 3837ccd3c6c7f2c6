"""What is asked of the techniques of a recipe before anything trains.

Do they fit the trial and one another, and, tried on one batch, do they keep to the rules of their hooks, and does each
change anything?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.techniques.base import Context, Frozen, Progress, Technique
from stepladder.techniques.catalogue import TECHNIQUES
from stepladder.techniques.guard import (
    check_augmented,
    check_factor,
    check_frozen,
    check_in_place,
    check_loss,
    check_network,
    check_prepared,
    check_scales,
    check_shape,
    check_size,
    check_weights,
    guarded,
)

#: Epochs at most that the learning rate and the weights are looked at over.
_EPOCHS_TRIED = 1000


def begin_techniques(techniques: Sequence[Technique], context: Context) -> tuple[Network, tuple[int, int, int]]:
    """Tell the techniques of the trial; return the network as all rewrite it, and the (C, H, W) of what it reads.

    Raises:
        RecipeError: two of them exclude one another, one needs a list of layers where the network is a module of the
            user's own, or one breaks the rules of its hook.
    """
    _check_clashes(techniques)
    network = context.network
    if network.own is not None:
        _refuse_layer_work(techniques, network.own.reference)
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


def techniques_without_effect(
    techniques: Sequence[Technique], network: Network, images: Tensor, targets: Tensor, progress: Progress
) -> list[str]:
    """Return the names of the techniques that change nothing at any hook, tried on one batch.

    A technique that draws the initial weights counts as one with effect.

    Args:
        techniques: fitted, in recipe order. They are tried as copies, so that they remember nothing of it.
        network: before any rewriting.
        images: uint8 (B, C, H, W), one training batch.
        targets: int64 (B,).
        progress: the first step of the trial; the learning rate is looked at over the whole budget.

    Raises:
        RecipeError: a hook raised, returned what it may not, or drew from a global random generator.
    """
    idle = []
    frozen = Frozen()
    prepared = images.float() / 255
    for technique in techniques:
        probe = technique.model_copy(deep=True)
        rewritten = probe.rewrite(network)
        # What one technique makes of the batch is the next one's, so that a shape that does not fit shows here.
        augmented, mixed = _augment(probe, images, targets, progress)
        with guarded(technique, "prepare", images=prepared):
            after = probe.prepare(prepared)
        after = check_prepared(technique, prepared, after)
        with guarded(technique, "frozen"):
            kept = probe.frozen(frozen, rewritten)
        kept = check_frozen(technique, kept)
        if not (
            rewritten != network
            or kept != frozen
            or any(factor != 1 for factor in _rates(probe, rewritten))
            or not _same(augmented, images)
            or not _same(mixed, targets)
            or not _same(after, prepared)
            or technique.overrides("initialize")
            or _changes_order(probe, targets)
            or _changes_rate(probe, progress)
            or _changes_loss(probe, targets)
            or _changes_step(probe, progress)
            or _changes_weights(probe, progress)
        ):
            idle.append(technique.name)
        network, prepared, frozen = rewritten, after, kept
    return idle


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


def _refuse_layer_work(techniques: Sequence[Technique], reference: str) -> None:
    """Refuse what works on a list of layers where ``reference`` builds a module, which has none."""
    refused = next((technique for technique in techniques if technique.needs_layers()), None)
    if refused is None:
        return
    what = "rewrites" if refused.overrides("rewrite") else "goes by"
    group = [name for name, kind in TECHNIQUES.items() if kind.group == refused.group and not kind.needs_layers()]
    others = f"; of the group {refused.group} these work there: {', '.join(group)}" if group else ""
    raise RecipeError(
        f"{refused.name} {what} the layers of a list, and {reference} builds a module; leave {refused.name} out, or do "
        f"the same in that file{others}"
    )


def _augment(probe: Technique, images: Tensor, targets: Tensor, progress: Progress) -> tuple[Tensor, Tensor]:
    # A stream of its own, so that looking moves no random number of the trial.
    rng = torch.Generator(images.device).manual_seed(0)
    positions = torch.arange(len(images), device=images.device)
    with guarded(probe, "batch_started", positions=positions):
        probe.batch_started(positions, progress)
    with guarded(probe, "augment", images=images, targets=targets):
        after = probe.augment(images, targets, rng)
    augmented, mixed = check_augmented(probe, (images, targets), after, _num_classes(probe))
    if augmented.shape != images.shape and probe._context is not None:
        check_size(probe, augmented)
    return augmented, mixed


def _changes_order(probe: Technique, targets: Tensor) -> bool:
    if not probe.overrides("image_weights"):
        return False
    counts = probe.context.class_counts
    # All labels of the trial, since one batch does not tell how rare a class is.
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)) if sum(counts) else targets.cpu()
    with guarded(probe, "image_weights", labels=labels):
        weights = probe.image_weights(labels)
    return check_weights(probe, weights, len(labels)) is not None


def _changes_rate(probe: Technique, progress: Progress) -> bool:
    if not (probe.overrides("lr_factor") or probe.overrides("epoch_ended")):
        return False
    changed = False
    for epoch in range(min(progress.epochs, _EPOCHS_TRIED)):
        for step in (0, progress.steps_per_epoch - 1):
            at = Progress(epoch * progress.steps_per_epoch + step, progress.steps_per_epoch, progress.epochs)
            with guarded(probe, "lr_factor"):
                factor = probe.lr_factor(at)
            changed |= check_factor(probe, factor) != 1
        with guarded(probe, "epoch_ended"):
            probe.epoch_ended(1.0)  # a loss that never falls
    return changed


def _changes_loss(probe: Technique, targets: Tensor) -> bool:
    if not probe.overrides("loss"):
        return False
    classes = _num_classes(probe) or int(targets.max()) + 1
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(len(targets), classes, generator=rng).to(targets.device).requires_grad_()
    with guarded(probe, "loss", logits=logits, targets=targets):
        loss = probe.loss(logits, targets)
    changed = not _same(check_loss(probe, loss), F.cross_entropy(logits, targets))
    if probe.takes_soft_targets:
        shares = F.one_hot(targets, classes).float()
        with guarded(probe, "loss", logits=logits, targets=shares):
            soft = probe.loss(logits, shares)
        check_loss(probe, soft)
    return changed


def _changes_step(probe: Technique, progress: Progress) -> bool:
    """Whether gradients or weights change around steps that each add one to every weight."""
    if not (probe.overrides("before_step") or probe.overrides("after_step")):
        return False
    weight = torch.arange(1.0, 13.0).view(4, 3).requires_grad_()
    with torch.no_grad():
        for step in range(1, 21):
            # Of a length that any threshold in use cuts.
            weight.grad = torch.full_like(weight, 1e3)
            before = weight.clone()
            with guarded(probe, "before_step"):
                probe.before_step([weight], 0.1)
            check_in_place(probe, "before_step", before, weight)
            check_in_place(probe, "before_step", before, weight.grad)
            if not _same(weight.grad, torch.full_like(weight, 1e3)) or not _same(weight, before):
                return True
            weight += 1
            before = weight.clone()
            with guarded(probe, "after_step"):
                probe.after_step([weight], Progress(step, progress.steps_per_epoch, progress.epochs))
            check_in_place(probe, "after_step", before, weight)
            if not _same(weight, before):
                return True
    return False


def _changes_weights(probe: Technique, progress: Progress) -> bool:
    """Whether averaged weights ever differ from those that train at an epoch's end, where evaluation looks."""
    if not probe.overrides("weights"):
        return False
    averaged = {"weight": torch.zeros(3)}
    ends = {epoch * progress.steps_per_epoch for epoch in range(1, min(progress.epochs, _EPOCHS_TRIED) + 1)}
    for step in sorted({*range(1, min(5, progress.steps) + 1), *ends}):
        current = {"weight": torch.full((3,), float(step))}
        shape = averaged["weight"]
        with guarded(probe, "weights", current=current["weight"]):
            probe.weights(current, averaged, Progress(step, progress.steps_per_epoch, progress.epochs))
        check_in_place(probe, "weights", shape.detach().clone(), averaged.get("weight"))
        if step in ends and not _same(averaged["weight"], current["weight"]):
            return True
    return False


def _rates(probe: Technique, network: Network) -> list[float]:
    with guarded(probe, "lr_scales"):
        scales = probe.lr_scales(network)
    return list(check_scales(probe, scales).values())


def _num_classes(probe: Technique) -> int | None:
    return probe._context.num_classes if probe._context is not None else None


def _same(one: Tensor | None, other: Tensor) -> bool:
    if one is None:
        return False
    return one is other or (one.shape == other.shape and one.dtype == other.dtype and bool(torch.equal(one, other)))
