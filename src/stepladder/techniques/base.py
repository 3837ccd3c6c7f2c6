"""What a technique is: one thing about training that can be switched on or off, and the hooks where it may act."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, PrivateAttr
from torch import Tensor

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


class Technique(BaseModel):
    """Base class: every hook is "no change" until a technique overrides it.

    The fields of a technique are its settings: checked, frozen, part of the recipe. What :meth:`fit` learns goes into
    ``learned``, which is saved with the model.

    Class attributes:
        name: what recipes call it.
        group: where the list shows it: inputs, augmentation, learning rate, network, loss and weights.
        summary: one line for the list: what it does.
        paper: where it comes from, with section.
        caveat: when it hurts or clashes, one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    group: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    caveat: ClassVar[str]

    _learned: dict[str, Tensor] = PrivateAttr(default_factory=dict)

    @property
    def learned(self) -> dict[str, Tensor]:
        """What :meth:`fit` found, by name; float32 tensors on the trial's device."""
        return self._learned

    def restore(self, learned: dict[str, Tensor], device: torch.device) -> None:
        """Put back what an earlier :meth:`fit` found, on ``device``."""
        self._learned = {name: value.to(device) for name, value in learned.items()}

    @classmethod
    def overrides(cls, hook: str) -> bool:
        """Whether this technique does anything at ``hook``."""
        return getattr(cls, hook) is not getattr(Technique, hook)

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
        """Learn statistics from the training images; the only place that may. Called once.

        Args:
            batches: all training images, uint8 (B, C, H, W) at a time and in a fixed order, since they may be larger
                than the memory; can be gone through more than once.

        Returns:
            float32 tensors by name; they become ``learned``.
        """
        return {}

    def rewrite(self, network: Network) -> Network:
        """Insert or replace layers, before the network is built."""
        return network

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Change a whole training batch at once, on its device.

        Args:
            images: uint8 (B, C, H, W).
            targets: int64 (B,) labels, or float32 (B, classes) shares once a technique has mixed them.
            rng: the technique's own stream, on the images' device; use no other source of randomness.

        Returns:
            images and targets of the same dtypes; the same tensors where nothing changes.
        """
        return images, targets

    def prepare(self, images: Tensor) -> Tensor:
        """Change every batch, in training and evaluation alike, without randomness.

        Args:
            images: float32 (B, C, H, W), 0 to 1 before the first technique.
        """
        return images

    def lr_factor(self, progress: Progress) -> float:  # noqa: ARG002
        """Scale the learning rate of the step at hand; the factors of all techniques multiply."""
        return 1.0

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Replace the training loss, in one technique at most: float logits (B, classes) and targets to their mean."""
        raise NotImplementedError

    def weights(self, current: dict[str, Tensor], averaged: dict[str, Tensor], progress: Progress) -> None:
        """After every step, move ``averaged`` (in place) towards ``current``; evaluation and the saved model use it."""
