"""What a technique is told: of the trial before it starts, and in every step how far it has come."""

from __future__ import annotations

from dataclasses import dataclass

from stepladder.network import Network


@dataclass(frozen=True)
class Progress:
    """How far a trial has come, before the step at hand.

    Attributes:
        step: steps taken so far, from 0.
        steps_per_epoch: steps in one pass over the training images.
        epochs: the budget.
    """

    step: int
    steps_per_epoch: int
    epochs: int

    @property
    def epoch(self) -> int:
        """Full epochs behind, from 0."""
        return self.step // self.steps_per_epoch

    @property
    def fraction(self) -> float:
        """Share of the budget behind, from 0 to 1."""
        return self.step / (self.steps_per_epoch * self.epochs)

    @property
    def steps(self) -> int:
        """Steps of the whole budget."""
        return self.steps_per_epoch * self.epochs


@dataclass(frozen=True)
class Context:
    """What a trial is, known before it starts.

    Attributes:
        image_shape: (C, H, W) of the images before any technique.
        class_counts: training images of each class.
        network: before any rewriting.
        epochs: the budget.
        steps_per_epoch: steps in one pass over the training images.
        has_validation: False where the watched curve is the test's, which no technique may read.
        rewritten: the network after all techniques' rewriting; None until then.
        input_shape: (C, H, W) of what the network reads, as all techniques prepare it; None until then.
    """

    image_shape: tuple[int, int, int]
    class_counts: tuple[int, ...]
    network: Network
    epochs: int
    steps_per_epoch: int
    has_validation: bool = True
    rewritten: Network | None = None
    input_shape: tuple[int, int, int] | None = None

    @property
    def num_classes(self) -> int:
        """Labels run from 0 to this - 1."""
        return len(self.class_counts)

    @property
    def num_images(self) -> int:
        """Training images."""
        return sum(self.class_counts)
