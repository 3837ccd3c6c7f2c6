"""How unlike its training images an image is, as the network sees it and by its looks: what no probability says.

Virtual-logit matching (Wang et al., ViM: Out-Of-Distribution with Virtual-logit Matching, CVPR 2022): training images
fill few directions of the features that come into the last layer. What an image has outside of them is a class of its
own, "none of these", whose logit is set against those of the real ones. Where an image's brightness, contrast and
roughness lie farther from those of the training images than that, they count. docs/log.md has what both were chosen
over.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor, nn

from stepladder.errors import StorageError
from stepladder.files import read_plain, replace_bytes
from stepladder.model.limits import FALSE_ALARMS, FEWEST_IMAGES, MISS, chance_of_at_most

#: Training images that directions are taken from at most, evenly among all: more change little.
MOST_TRAINING_IMAGES = 2_000

#: Directions that are kept: of as many features or training images an eighth, and 64 at most. With 160 of 1,280 noise
#: looked like the training images of a pretrained network; docs/log.md has the figures.
_PART, _MOST_DIRECTIONS = 8, 64

#: Columns of features at most: wider ones come from networks that flatten whole maps, and would take much memory.
MOST_FEATURES = 8_192

#: A statistic that varies less, of values from 0 to 1, is taken to vary by so much.
_SMALLEST_SPREAD = 1e-3

#: Quantiles of the training images' scores in which looks and network are made alike.
_MATCHED = (0.5, 0.95)

_NAME = "unlikeness.safetensors"
_MOST_BYTES = 100_000_000


class WithInputs(nn.Module):
    """A linear layer that puts its inputs behind its outputs: (N, D) in, (N, outputs + D) out."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs and inputs side by side."""
        return torch.cat([self.layer(inputs), inputs], dim=1)


def with_features(module: nn.Sequential, example: Tensor) -> nn.Module:
    """Return ``module`` with what comes into its last linear layer as further columns, behind its logits.

    Where it has no such layer, a layer of more than :data:`MOST_FEATURES` inputs, or something behind it that does more
    than scale all numbers alike, it comes as it is: its features have no columns.

    Args:
        module: in evaluation mode; its weights are shared where the layer is a child of it, else copied.
        example: what it reads, of two images: what comes out is compared.
    """
    linear = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        return module
    name, layer = linear[-1]
    if layer.in_features > MOST_FEATURES:
        return module
    if "." not in name:
        parts = OrderedDict(module.named_children())
        parts[name] = WithInputs(layer)
        changed: nn.Module = nn.Sequential(parts)
    else:
        changed = copy.deepcopy(module)
        changed.set_submodule(name, WithInputs(copy.deepcopy(layer)))
    changed.eval()
    with torch.inference_mode():
        expected = module(example)
        try:
            found = changed(example)
        except Exception:  # code of the user's own may do anything with what its layer gives
            return module
    classes = expected.shape[1]
    same = found.shape == (len(example), classes + layer.in_features) and torch.equal(found[:, :classes], expected)
    return changed if same else module


@dataclass(frozen=True, repr=False)
class Looks:
    """What the training images look like, by the numbers of :mod:`stepladder.model.image_statistics`.

    Attributes:
        center: float32 (K,), their mean.
        scaling: float32 (K, K); the length of what differs from the mean, times this, is a Mahalanobis distance in the
            unit of the virtual logit.
        offset: what is added to it, so that on training images both scores are spread alike.
    """

    center: np.ndarray
    scaling: np.ndarray
    offset: float

    def __repr__(self) -> str:
        return f"Looks({len(self.center)} statistics)"

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """Return how far images are from these, float64 (N,), of their statistics (N, K)."""
        distance: np.ndarray = np.linalg.norm((statistics.astype(np.float64) - self.center) @ self.scaling, axis=1)
        return distance + self.offset


@dataclass(frozen=True, repr=False)
class Unlikeness:
    """A measure of one network, and from where on an image is unlike what it learned from.

    Attributes:
        center: float32 (D,), the mean feature of the training images.
        directions: float32 (D, d), orthonormal, in which these vary most.
        scale: what the length outside of these is multiplied by to be compared with logits.
        threshold: the score that so few of the validation images exceed as :data:`FALSE_ALARMS` needs.
        looks: of the training images; None in files from before they counted.
    """

    center: np.ndarray
    directions: np.ndarray
    scale: float
    threshold: float = 0.0
    looks: Looks | None = None

    def __repr__(self) -> str:
        return f"Unlikeness({self.directions.shape[1]} directions of {len(self.center):,} features)"

    def score(self, seen: Seen) -> np.ndarray:
        """Return how far each image is above the threshold, float32 (N,), in nats: above 0 it is unlike.

        The larger of two: the virtual logit less the log of the sum of the real logits' exponentials, without features
        the latter alone (the energy of Liu et al., NeurIPS 2020); and the distance of the image's looks.
        """
        scores = self._by_network(seen)
        if self.looks is not None:
            scores = np.maximum(scores, self.looks.score(seen.statistics))
        return np.asarray(scores - self.threshold, dtype=np.float32)

    def _by_network(self, seen: Seen) -> np.ndarray:
        logits, features = seen.logits.astype(np.float64), seen.features.astype(np.float64)
        largest = logits.max(axis=1)
        energy = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
        moved = features - self.center
        outside = moved - (moved @ self.directions) @ self.directions.T
        scores: np.ndarray = self.scale * np.linalg.norm(outside, axis=1) - energy
        return scores


class Seen(NamedTuple):
    """What is known of some images.

    Attributes:
        logits: float (N, classes), not divided by a temperature.
        features: float (N, D), what comes into the last layer; of no columns where that cannot be had.
        statistics: float (N, K), of the images as they are.
    """

    logits: np.ndarray
    features: np.ndarray
    statistics: np.ndarray


def fit_unlikeness(train: Seen, validation: Seen) -> Unlikeness | None:
    """Return the measure of a network; None where there are fewer than :data:`FEWEST_IMAGES` validation images.

    Directions and looks are taken from the training images, the threshold from the validation images alone.
    """
    if len(validation.logits) < FEWEST_IMAGES:
        return None
    logits, features = (values.astype(np.float64) for values in (train.logits, train.features))
    center = features.mean(axis=0) if features.size else np.zeros(0)
    moved = features - center
    count = min(max(1, min(moved.shape) // _PART), _MOST_DIRECTIONS) if features.size else 0
    directions = _main_directions(moved, count)
    outside = np.linalg.norm(moved - (moved @ directions) @ directions.T, axis=1)
    # As large on average as what sets the first class apart; a constant that is added to all logits changes nothing.
    apart = float((logits.max(axis=1) - logits.mean(axis=1)).mean())
    scale = apart / float(outside.mean()) if outside.mean() > 0 else 0.0
    found = Unlikeness(center.astype(np.float32), directions.astype(np.float32), scale)
    found = replace(found, looks=_fit_looks(train.statistics.astype(np.float64), found.score(train)))
    scores = np.sort(found.score(validation))
    return replace(found, threshold=float(scores[-_most_alarms(len(scores))]))


def _most_alarms(images: int) -> int:
    """Return which of the validation scores, from the largest on, is the threshold.

    The share of new images above the m-th largest of N is a Beta(m, N + 1 - m), whatever the scores (Wilks,
    Determination of Sample Sizes for Setting Tolerance Limits, 1941). The largest m is taken with which it is at most
    :data:`FALSE_ALARMS` with confidence 1 - MISS. The average alone, m = (N + 1) 5 %, let a model of 118 validation
    images flag 8 % of its test images.
    """
    most = 1
    while chance_of_at_most(most, images, FALSE_ALARMS) <= MISS:
        most += 1
    return most


def _fit_looks(statistics: np.ndarray, by_network: np.ndarray) -> Looks:
    """Return what images with these statistics (N, K) look like, spread as their scores (N,) by the network are."""
    images, numbers = statistics.shape
    center = statistics.mean(axis=0)
    spread = statistics.std(axis=0)
    spread[spread < _SMALLEST_SPREAD] = _SMALLEST_SPREAD  # of black borders: every other border is far away
    scaled = (statistics - center) / spread
    # Shrunk to the diagonal, the more the fewer images there are; without it, few images make all others look odd.
    share = numbers / (numbers + images)
    covariance = (1 - share) * (scaled.T @ scaled) / images + share * np.eye(numbers)
    values, vectors = np.linalg.eigh(covariance)
    scaling = (vectors / np.sqrt(values)) / spread[:, None]
    (middle, high), (ours, our_high) = (
        np.quantile(scores, _MATCHED)
        for scores in (np.linalg.norm((statistics - center) @ scaling, axis=1), by_network)
    )
    stretch = (our_high - ours) / (high - middle) if high > middle and our_high > ours else 1.0
    return Looks(center.astype(np.float32), (stretch * scaling).astype(np.float32), float(ours - stretch * middle))


def _main_directions(moved: np.ndarray, count: int) -> np.ndarray:
    """Return the directions (D, count) in which centered rows vary most; by the smaller of the two products."""
    rows, columns = moved.shape
    if count == 0:
        return np.zeros((columns, 0))
    if columns <= rows:
        return np.linalg.eigh(moved.T @ moved)[1][:, ::-1][:, :count]
    vectors = np.linalg.eigh(moved @ moved.T)[1][:, ::-1][:, :count]
    return np.linalg.qr(moved.T @ vectors)[0]


def write_unlikeness(folder: Path, found: Unlikeness | None) -> None:
    """Write the measure of a model into its folder; None takes it out.

    Raises:
        StorageError: it cannot be written.
    """
    if found is None:
        (folder / _NAME).unlink(missing_ok=True)
        return
    numbers = np.array([found.scale, found.threshold])
    arrays = {"center": found.center, "directions": found.directions, "scale_threshold": numbers}
    if found.looks is not None:
        looks = found.looks
        arrays |= {
            "looks.center": looks.center,
            "looks.scaling": looks.scaling,
            "looks.offset": np.array([looks.offset]),
        }
    replace_bytes(folder / _NAME, save({name: np.ascontiguousarray(values) for name, values in arrays.items()}))


def read_unlikeness(folder: Path) -> Unlikeness | None:
    """Return the measure that a model folder holds; None where it holds none.

    Raises:
        StorageError: the file is damaged.
    """
    path = folder / _NAME
    try:
        arrays = load(read_plain(path, _MOST_BYTES))
        center, directions, numbers = (arrays[name] for name in ("center", "directions", "scale_threshold"))
        scale, threshold = map(float, numbers)
        looks = None
        if "looks.center" in arrays:
            looks = Looks(arrays["looks.center"], arrays["looks.scaling"], float(arrays["looks.offset"].item()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is damaged ({error}); train the model again, or remove the file") from error
    fits = center.ndim == 1 and directions.ndim == 2 and len(directions) == len(center)
    values = [center, directions]
    if looks is not None:
        fits = fits and looks.center.ndim == 1 and looks.scaling.shape == (len(looks.center), len(looks.center))
        values += [looks.center, looks.scaling]
    finite = all(map(math.isfinite, (scale, threshold, 0.0 if looks is None else looks.offset)))
    finite = finite and all(one.dtype == np.float32 and bool(np.isfinite(one).all()) for one in values)
    if not fits or not finite:
        raise StorageError(f"{path} is damaged (its numbers fit no network); train the model again, or remove the file")
    return Unlikeness(center, directions, scale, threshold, looks)
