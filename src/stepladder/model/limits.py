"""What a model knows of its limits, from images that it did not train on: when to answer, with how many classes.

A share of wrong answers is promised by a threshold on confidence (selective prediction), and a set of classes that
holds the right one by a threshold on probability (conformal prediction). Both hold for new images like the ones that
the thresholds are from. Plain Python and NumPy: an exported model is asked without scipy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.errors import RecipeError, StorageError
from stepladder.files import parse_json, read_plain, replace_json

#: Chance that the images a threshold is from promise more than holds.
MISS = 0.1

#: Share of images like the training images that may be called unlike them, at most, with confidence 1 - MISS.
FALSE_ALARMS = 0.05

#: Validation images below which unlikeness has no threshold: fewer than 45 cannot promise so few false alarms.
FEWEST_IMAGES = 45

#: Shares of the images that are tried as answered, the most confident first: fixed before any image is seen.
_SHARES = tuple(tenth / 10 for tenth in range(1, 11))

#: Digits of a probability that count: PyTorch and an exported file differ behind them.
_DIGITS = 6

#: Images whose probabilities are kept at most, evenly among all: coverage then varies by a point (1 sd) at most.
MOST_IMAGES = 1_000

# Images that answers may be counted over: chances are summed over as many.
_MOST_COUNTED = 10_000_000

_NAME = "limits.json"
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Answered:
    """What happens where only images are answered whose confidence is above a threshold.

    Attributes:
        above: the threshold, a probability; below 0 where every image is answered.
        images: so many of those that the threshold is from lie above it.
        wrong: so many of them are classified wrongly.
    """

    above: float
    images: int
    wrong: int


@dataclass(frozen=True, repr=False)
class Limits:
    """A model's answers to its validation images, as far as thresholds need them, and what it calls unlike.

    Attributes:
        answered: what happens where the most confident tenth of the images is answered, two tenths, up to all.
        true_probability: float64 (M,), what the true class of each image was given, of :data:`MOST_IMAGES` at most.
        unlike: of which images how many were called unlike the training images: ``test`` and ``noise``, each (unlike,
            of so many); empty where there is no measure.
    """

    answered: tuple[Answered, ...]
    true_probability: np.ndarray
    unlike: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Limits({self.answered[-1].images:,} images, {self.answered[-1].wrong:,} wrong)"

    @classmethod
    def of(cls, probabilities: np.ndarray, labels: np.ndarray) -> Limits:
        """Return what is kept of a model's probabilities (N, classes), calibrated as it gives them, and labels (N,)."""
        right = probabilities.argmax(axis=1) == labels
        true = probabilities[np.arange(len(labels)), labels]
        every = np.linspace(0, len(true) - 1, min(len(true), MOST_IMAGES)).round().astype(np.int64)
        return cls(answered_shares(probabilities.max(axis=1), right), np.sort(rounded(true[every])))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, for a file or for the metadata of an exported one."""
        return {
            "version": 1,
            "answered": [[one.above, one.images, one.wrong] for one in self.answered],
            "true_probability": self.true_probability.tolist(),
            "unlike": {name: list(counts) for name, counts in self.unlike.items()},
        }

    @classmethod
    def from_json(cls, document: Any) -> Limits:
        """Return what :meth:`to_json` gave.

        Raises:
            ValueError: it gave something else.
        """
        try:
            if document["version"] != 1:
                raise ValueError(f"version {document['version']}")
            answered = tuple(Answered(float(a), int(n), int(wrong)) for a, n, wrong in document["answered"])
            true = np.array(document["true_probability"], dtype=np.float64)
            unlike = {str(name): (int(count), int(of)) for name, (count, of) in document["unlike"].items()}
        except (AttributeError, KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"no {error}" if isinstance(error, KeyError) else str(error)) from error
        if not answered or not all(0 <= one.wrong <= one.images and math.isfinite(one.above) for one in answered):
            raise ValueError("more mistakes than images")
        if any(one.images > _MOST_COUNTED for one in answered):
            raise ValueError(f"more than {_MOST_COUNTED:,} images")
        if not all(0 <= count <= of for count, of in unlike.values()):
            raise ValueError("more images that are unlike than images")
        if true.ndim != 1 or not len(true) or not (true.min() >= 0 and true.max() <= 1):
            raise ValueError("probabilities that are not between 0 and 1")
        return cls(answered, true, unlike)


def write_limits(folder: Path, found: Limits | None) -> None:
    """Write what a model knows of its limits into its folder; None takes it out.

    Raises:
        StorageError: it cannot be written.
    """
    if found is None:
        (folder / _NAME).unlink(missing_ok=True)
    else:
        replace_json(folder / _NAME, found.to_json())


def read_limits(folder: Path) -> Limits | None:
    """Return what a model folder knows of the model's limits; None where it knows nothing.

    Raises:
        StorageError: the file is damaged.
    """
    path = folder / _NAME
    try:
        return Limits.from_json(parse_json(read_plain(path, _MOST_BYTES)))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise StorageError(f"{path} is damaged ({error}); train the model again, or remove the file") from error


def answered_shares(confidence: np.ndarray, right: np.ndarray) -> tuple[Answered, ...]:
    """Return what happens where the most confident tenth is answered, two tenths, up to all.

    Args:
        confidence: float (N,), the probability of each image's predicted class.
        right: bool (N,), whether that is the true one.
    """
    confidence = rounded(confidence)
    falling = np.sort(confidence)[::-1]
    found = []
    for share in _SHARES:
        count = math.floor(share * len(falling))
        # Of equal confidences none is answered: those above a value are drawn alike, given the value.
        above = -1.0 if count >= len(falling) else float(falling[count])
        inside = confidence > above
        found.append(Answered(above, int(inside.sum()), int((inside & ~right).sum())))
    return tuple(found)


def threshold_for_risk(shares: Sequence[Answered], risk: float) -> Answered:
    """Return the lowest threshold above which at most a share ``risk`` of the answers is wrong, as is promised.

    With confidence 1 - :data:`MISS` over the images that the threshold is from. Each share is tested by its binomial
    tail, at :data:`MISS` divided by their number (Geifman and El-Yaniv, Selective Classification for Deep Neural
    Networks, NeurIPS 2017, algorithm 1; with shares that are fixed beforehand in place of their search by halves, which
    would let the mistakes choose what is tested).

    Raises:
        RecipeError: ``risk`` is no share, or these images cannot promise it.
    """
    if not 0 < risk < 1:
        raise RecipeError(f"`abstain` is {risk:g}; it must be the share of answers that may be wrong, as 0.05")
    kept = [one for one in shares if holds(one, risk, len(shares))]
    if kept:
        return max(kept, key=lambda one: one.images)
    images = max(one.images for one in shares)
    least = least_risk(shares)
    instead = f"; give `abstain={least:g}` or more" if least < 1 else ""
    raise RecipeError(
        f"`abstain` is {risk:g}, and {images:,} validation images with {shares[-1].wrong:,} mistakes cannot promise so "
        f"few wrong answers{instead}"
    )


def holds(answered: Answered, risk: float, tests: int) -> bool:
    """Whether so few mistakes would be this rare if a share ``risk`` of such answers, or more, were wrong."""
    return answered.images > 0 and chance_of_at_most(answered.wrong, answered.images, risk) <= MISS / tests


def least_risk(shares: Sequence[Answered]) -> float:
    """Return the smallest risk that can be promised, rounded up to whole percent; 1 where none can."""
    percents = range(1, 100)
    return next((p / 100 for p in percents if any(holds(one, p / 100, len(shares)) for one in shares)), 1.0)


def chance_of_at_most(count: int, trials: int, share: float) -> float:
    """Return the binomial chance of ``count`` or fewer in ``trials`` where each succeeds with chance ``share``."""
    if count >= trials:
        return 1.0
    yes, no = math.log(share), math.log1p(-share)
    whole = math.lgamma(trials + 1)
    terms = [
        whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * yes + (trials - k) * no for k in range(count + 1)
    ]
    largest = max(terms)
    return min(1.0, math.exp(largest) * math.fsum(math.exp(term - largest) for term in terms))


def threshold_for_sets(true_probability: np.ndarray, coverage: float) -> float:
    """Return the probability from which on a class is in the set, so that the true one is in ``coverage`` of the sets.

    Split conformal prediction: of N images the ⌈(N + 1) coverage⌉-th largest probability of the true class. The chance
    that the set of a new image holds the true class is at least ``coverage``, over that image and these N (Angelopoulos
    and Bates, A Gentle Introduction to Conformal Prediction, 2021, section 1.1; the score of Sadinle et al., JASA 2019:
    the smallest sets on average).

    Args:
        true_probability: float (N,), what each image's true class was given.

    Raises:
        RecipeError: ``coverage`` is no share, or N images are too few for it.
    """
    if not 0 < coverage < 1:
        raise RecipeError(f"`sets` is {coverage:g}; it must be the share of sets that hold the right class, as 0.9")
    images = len(true_probability)
    # Rounded first: 0.95 times 20 is a hair above 19 as floating point has it.
    place = math.ceil(round((images + 1) * coverage, 9))
    if place > images:
        most = math.floor(100 * images / (images + 1)) / 100
        instead = f"; give `sets={most:g}` or less" if most > 0 else ""
        raise RecipeError(f"`sets` is {coverage:g}, and {images:,} validation images are too few for it{instead}")
    return float(np.sort(rounded(true_probability))[::-1][place - 1])


def in_sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Return which classes are in each image's set, bool (N, classes): from ``threshold`` on, and always the likeliest.

    The likeliest is there so that no set is empty, which can only raise the coverage.
    """
    inside: np.ndarray = rounded(probabilities) >= threshold
    inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
    return inside


def rounded(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities, float64, to the digits that PyTorch and an exported file agree on."""
    return np.round(probabilities.astype(np.float64), _DIGITS)
