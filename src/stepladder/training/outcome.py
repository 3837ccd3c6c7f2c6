"""What a trial leaves, and what may have gone wrong, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

from stepladder.errors import for_want_of_memory
from stepladder.network import Network
from stepladder.techniques import Technique
from stepladder.techniques.guard import described, raised_in_hook
from stepladder.training.history import EpochRecord


@dataclass
class TrainedNetwork:
    """What a trial leaves: the network with all that prediction needs, and the record of its training.

    Attributes:
        network: the layer list after the techniques' rewriting.
        input_shape: (C, H, W) of what the network reads, after the techniques' ``prepare``.
        module: its trained form, from float32 (N, C, H, W) to logits (N, classes).
        techniques: fitted, in recipe order.
        history: epoch 0 (untrained) and every epoch finished.
        warnings: what a reader of the result should know, a sentence each.
        failure: why training stopped early; None when it did not.
        error: the traceback of what was raised, where that was why.
        ran_out_of_memory: whether that was for want of memory, which other trials may have taken.
        selected_epoch: whose weights ``module`` has: the last one's, or those of the epoch that validation chose.
        seconds: wall time of the training with its evaluations, over all the times that it was stopped and went on.
    """

    network: Network
    input_shape: tuple[int, int, int]
    module: nn.Sequential
    techniques: list[Technique]
    history: list[EpochRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None
    error: str = ""
    ran_out_of_memory: bool = False
    selected_epoch: int = 0
    seconds: float = 0.0


def describe_failure(error: Exception, epoch: int) -> str:
    """Return why a trial ended early in ``epoch``, one sentence with a fix where there is one."""
    if for_want_of_memory(error):
        return (
            f"out of memory in epoch {epoch}; the batch size was not changed, since that would be another recipe: try "
            "a smaller --batch-size or network"
        )
    return f"{raised_in_hook(error) or described(error)} in epoch {epoch}"


def odd_start(untrained: EpochRecord, num_classes: int, labels: Tensor) -> list[str]:
    """Warn where an untrained network does not behave like one: loss ln(classes), accuracy no better than one class."""
    warnings = []
    expected = math.log(num_classes)
    if not abs(untrained.train_loss - expected) <= 0.25 * expected:
        warnings.append(
            f"the untrained loss is {untrained.train_loss:.2f} nats where ln({num_classes}) = {expected:.2f} is "
            f"expected; look at the scale of the images and of the initial weights"
        )
    majority = int(labels.bincount().max()) / len(labels)
    if untrained.train_accuracy > majority + 0.25:
        warnings.append(
            f"the untrained network is right on {untrained.train_accuracy:.0%} of the training images, far more than "
            f"the {majority:.0%} of the largest class; look at the labels"
        )
    return warnings
