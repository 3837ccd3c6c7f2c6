"""Every technique tried on one batch: does it keep to the rules of its hooks, and does it change anything?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stepladder.network import Network
from stepladder.techniques.base import Technique
from stepladder.techniques.facts import Progress
from stepladder.techniques.guard import check_augmented, check_factor, check_loss, check_prepared, guarded

#: Epochs at most that the learning rate and the weights are looked at over.
_EPOCHS_TRIED = 1000


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
    prepared = images.float() / 255
    for technique in techniques:
        probe = technique.model_copy(deep=True)
        rewritten = probe.rewrite(network)
        # What one technique makes of the batch is the next one's, so that a shape that does not fit shows here.
        augmented, mixed = _augment(probe, images, targets, progress)
        with guarded(technique, "prepare"):
            after = probe.prepare(prepared)
        after = check_prepared(technique, prepared, after)
        if not (
            rewritten != network
            or not _same(augmented, images)
            or not _same(mixed, targets)
            or not _same(after, prepared)
            or technique.overrides("initialize")
            or _changes_rate(probe, progress)
            or _changes_loss(probe, targets)
            or _changes_step(probe, progress)
            or _changes_weights(probe, progress)
        ):
            idle.append(technique.name)
        network, prepared = rewritten, after
    return idle


def _augment(probe: Technique, images: Tensor, targets: Tensor, progress: Progress) -> tuple[Tensor, Tensor]:
    # A stream of its own, so that looking moves no random number of the trial.
    rng = torch.Generator(images.device).manual_seed(0)
    with guarded(probe, "batch_started"):
        probe.batch_started(torch.arange(len(images), device=images.device), progress)
    with guarded(probe, "augment"):
        after = probe.augment(images, targets, rng)
    return check_augmented(probe, (images, targets), after, _num_classes(probe))


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
    with guarded(probe, "loss"):
        loss = probe.loss(logits, targets)
    changed = not _same(check_loss(probe, loss), F.cross_entropy(logits, targets))
    if probe.takes_soft_targets:
        with guarded(probe, "loss"):
            soft = probe.loss(logits, F.one_hot(targets, classes).float())
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
            if not _same(weight.grad, torch.full_like(weight, 1e3)) or not _same(weight, before):
                return True
            weight += 1
            before = weight.clone()
            with guarded(probe, "after_step"):
                probe.after_step([weight], Progress(step, progress.steps_per_epoch, progress.epochs))
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
        with guarded(probe, "weights"):
            probe.weights(current, averaged, Progress(step, progress.steps_per_epoch, progress.epochs))
        if step in ends and not _same(averaged["weight"], current["weight"]):
            return True
    return False


def _num_classes(probe: Technique) -> int | None:
    return probe._context.num_classes if probe._context is not None else None


def _same(one: Tensor | None, other: Tensor) -> bool:
    if one is None:
        return False
    return one is other or (one.shape == other.shape and one.dtype == other.dtype and bool(torch.equal(one, other)))
