"""How unlike its training images an image is, as the network sees it: what no probability says.

Virtual-logit matching (Wang et al., ViM: Out-Of-Distribution with Virtual-logit Matching, CVPR 2022): training images
fill few directions of the features that come into the last layer. What an image has outside of them is a class of its
own, "none of these", whose logit is set against those of the real ones. docs/log.md has what it was chosen over.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor, nn

from stepladder.errors import StorageError
from stepladder.files import read_plain, replace_bytes

#: Share of images like the training images that may be called unlike them.
FALSE_ALARMS = 0.05

#: Validation images below which there is no measure: of 40, the two most unlike set the threshold.
FEWEST_IMAGES = 40

#: Training images that directions are taken from at most, evenly among all: more change little.
MOST_TRAINING_IMAGES = 2_000

#: Directions that are kept: of as many features or training images an eighth, and 64 at most. With 160 of 1,280 noise
#: looked like the training images of a pretrained network; docs/log.md has the figures.
_PART, _MOST_DIRECTIONS = 8, 64

#: Columns of features at most: wider ones come from networks that flatten whole maps, and would take much memory.
MOST_FEATURES = 8_192

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
class Unlikeness:
    """A measure of one network, and from where on an image is unlike what it learned from.

    Attributes:
        center: float32 (D,), the mean feature of the training images.
        directions: float32 (D, d), orthonormal, in which these vary most.
        scale: what the length outside of these is multiplied by to be compared with logits.
        threshold: the score that so many of the validation images exceed as :data:`FALSE_ALARMS` says.
    """

    center: np.ndarray
    directions: np.ndarray
    scale: float
    threshold: float = 0.0

    def __repr__(self) -> str:
        return f"Unlikeness({self.directions.shape[1]} directions of {len(self.center):,} features)"

    def score(self, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return how far each image is above the threshold, float32 (N,), in nats: above 0 it is unlike.

        The virtual logit less the log of the sum of the real logits' exponentials; without features the latter alone
        (the energy of Liu et al., NeurIPS 2020).

        Args:
            logits: float (N, classes), not divided by a temperature.
            features: float (N, D), what comes into the last layer.
        """
        logits, features = logits.astype(np.float64), features.astype(np.float64)
        largest = logits.max(axis=1)
        energy = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
        moved = features - self.center
        outside = moved - (moved @ self.directions) @ self.directions.T
        scores = self.scale * np.linalg.norm(outside, axis=1) - energy - self.threshold
        return np.asarray(scores, dtype=np.float32)


def fit_unlikeness(
    train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray]
) -> Unlikeness | None:
    """Return the measure of a network; None where there are fewer than :data:`FEWEST_IMAGES` validation images.

    Directions are taken from the training images, the threshold from the validation images.

    Args:
        train, validation: logits (N, classes) and features (N, D) of plain images; features of no columns where the
            network has none that can be had.
    """
    if len(validation[0]) < FEWEST_IMAGES:
        return None
    logits, features = (values.astype(np.float64) for values in train)
    center = features.mean(axis=0) if features.size else np.zeros(0)
    moved = features - center
    count = min(max(1, min(moved.shape) // _PART), _MOST_DIRECTIONS) if features.size else 0
    directions = _main_directions(moved, count)
    outside = np.linalg.norm(moved - (moved @ directions) @ directions.T, axis=1)
    # As large on average as what sets the first class apart; a constant that is added to all logits changes nothing.
    apart = float((logits.max(axis=1) - logits.mean(axis=1)).mean())
    scale = apart / float(outside.mean()) if outside.mean() > 0 else 0.0
    found = Unlikeness(center.astype(np.float32), directions.astype(np.float32), scale)
    scores = np.sort(found.score(*validation))
    # Split conformal: a new image like these exceeds it with a chance of at most FALSE_ALARMS.
    place = math.ceil(round((len(scores) + 1) * (1 - FALSE_ALARMS), 9))
    return Unlikeness(found.center, found.directions, scale, float(scores[place - 1]))


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
    arrays = {"center": found.center, "directions": np.ascontiguousarray(found.directions), "scale_threshold": numbers}
    replace_bytes(folder / _NAME, save(arrays))


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
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is damaged ({error}); train the model again, or remove the file") from error
    whole = center.ndim == 1 and directions.ndim == 2 and len(directions) == len(center)
    finite = np.isfinite([scale, threshold]).all() and np.isfinite(center).all() and np.isfinite(directions).all()
    if not whole or not finite or {center.dtype, directions.dtype} != {np.dtype(np.float32)}:
        raise StorageError(f"{path} is damaged (its numbers fit no network); train the model again, or remove the file")
    return Unlikeness(center, directions, scale, threshold)
