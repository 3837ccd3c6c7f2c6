"""What a trial's model gets to know of its limits: from validation images, when test is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from scipy import special
from torch import Tensor

from stepladder.datasets import Split, Splits
from stepladder.model import Model
from stepladder.model.image_statistics import image_statistics
from stepladder.model.limits import FEWEST_IMAGES, Limits
from stepladder.model.unlikeness import MOST_TRAINING_IMAGES, Seen, Unlikeness, fit_unlikeness, with_features
from stepladder.training.evaluate import DeviceSplit, ImageBatches, compute_logits
from stepladder.training.frozen import FrozenLayers, divided

#: Images of noise that a measure is tried on; two of them are black and white.
_NOISE = 64


def find_limits(
    model: Model, splits: Splits, validation: tuple[np.ndarray, np.ndarray], temperature: float, frozen: int = 0
) -> tuple[Limits, Unlikeness | None]:
    """Return what validation images promise of a model, and how it tells what is unlike its training images.

    Args:
        validation: logits (N, classes) of all validation images, and their labels (N,).
        temperature: that the saved model divides its logits by.
        frozen: how many of its first layers never changed.
    """
    logits, labels = validation
    limits = Limits.of(special.softmax(logits.astype(np.float64) / temperature, axis=1), labels)
    if splits.validation is None or len(splits.validation) < FEWEST_IMAGES:
        return limits, None
    seen = _Features(model, frozen)
    found = fit_unlikeness(seen.of(splits.train), seen.of(splits.validation))
    if found is None:
        return limits, None
    scores = {"test": found.score(seen.of(splits.test)), "noise": found.score(seen.of_noise())}
    return replace(limits, unlike={name: (int((of > 0).sum()), len(of)) for name, of in scores.items()}), found


class _Features:
    """What a model makes of some images of a split, evenly among all."""

    def __init__(self, model: Model, frozen: int) -> None:
        self._model, self._frozen = model, None
        self._whole = with_features(model.module, model.example())
        self._module = self._whole
        if frozen:
            below, above = divided(model.module, frozen)
            self._frozen = FrozenLayers(below, model.techniques, model.compute)
            with torch.inference_mode():
                self._module = with_features(above, below(model.example()))

    def of(self, split: Split) -> Seen:
        examples = DeviceSplit.load(split, self._model.compute.device)
        count = min(len(split), MOST_TRAINING_IMAGES)
        chosen = torch.linspace(0, len(split) - 1, count).round().long().to(examples.labels.device)
        images = examples.select(chosen).batches
        if self._frozen is None:
            return self._run(images, images)
        return self._run(self._frozen.split(examples, split.fingerprint).select(chosen).batches, images)

    def of_noise(self) -> Seen:
        """Uniform values of each channel, or the same of all, and a black and a white image."""
        height, width, channels = self._model.image_shape
        random = np.random.default_rng(0)
        color = random.integers(0, 256, (_NOISE // 2 - 1, height, width, channels), dtype=np.uint8)
        gray = random.integers(0, 256, (_NOISE // 2 - 1, height, width, 1), dtype=np.uint8).repeat(channels, axis=3)
        flat = np.stack([np.full_like(color[0], value) for value in (0, 255)])
        pixels = torch.from_numpy(np.concatenate([color, gray, flat])).to(self._model.compute.device)
        return self._run(ImageBatches(pixels), ImageBatches(pixels), whole=True)

    def _run(self, batches: Iterable[Tensor], images: Iterable[Tensor], whole: bool = False) -> Seen:
        model = self._model
        module = self._whole if whole else self._module
        outputs = compute_logits(module, model.techniques, batches, model.compute).cpu().numpy()
        classes = len(model.class_names)
        statistics = torch.cat([image_statistics(part.permute(0, 2, 3, 1)) for part in images]).cpu().numpy()
        return Seen(outputs[:, :classes], outputs[:, classes:], statistics)
