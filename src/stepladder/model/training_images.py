"""What a model was trained on, kept beside it: how many images of each class, and a check of each, but no image."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepladder.datasets.image_set import Split
from stepladder.errors import StorageError, printable
from stepladder.files import parse_json, read_plain, replace_json

#: Images whose checks are kept at most: four bytes each.
MOST_IMAGES = 1_000_000

_NAME = "trained-on.json"
_MOST_BYTES = 8_000_000


@dataclass(frozen=True, repr=False)
class TrainingImages:
    """The training images of a model.

    Attributes:
        data: name of the image set.
        fingerprint: SHA-256, hex, of the image set with all of its splits.
        counts: images of each class, by label.
        groups: how many groups they are of; None where nobody named any.
        checks: uint32, ascending, the CRC-32 of each image's pixels; none of more than :data:`MOST_IMAGES`.
    """

    data: str
    fingerprint: str
    counts: tuple[int, ...]
    groups: int | None
    checks: np.ndarray

    def __repr__(self) -> str:
        return f"TrainingImages({sum(self.counts):,} of {printable(self.data[:100])})"

    @classmethod
    def of(cls, split: Split, data: str, fingerprint: str, classes: int) -> TrainingImages:
        """Return what is kept of a training split."""
        counts = tuple(np.bincount(split.labels, minlength=classes).tolist())
        groups = None if split.groups is None else len(np.unique(split.groups))
        few = len(split) <= MOST_IMAGES
        checks = np.concatenate([_checks(chunk) for chunk in split.chunks()]) if few else np.zeros(0, np.uint32)
        return cls(data, fingerprint, counts, groups, np.sort(checks))

    def among(self, pixels: np.ndarray) -> np.ndarray | None:
        """Return which of some images trained the model, bool (N,); None where no checks were kept.

        An image that did not is taken for one that did with a chance of 1 in 4 billion for each that did.

        Args:
            pixels: uint8 (N, H, W, C), brought to the model's shape.
        """
        return np.isin(_checks(pixels), self.checks) if self.checks.size else None

    def count_in(self, split: Split) -> int:
        """Return how many images of a split trained the model; 0 where that cannot be told.

        It can where images are brought to the model's shape in the way that its own were.
        """
        if not self.checks.size:
            return 0
        return sum(int(np.isin(_checks(chunk), self.checks).sum()) for chunk in split.chunks())


def _checks(pixels: np.ndarray) -> np.ndarray:
    return np.array([zlib.crc32(np.ascontiguousarray(image).data) for image in pixels], dtype=np.uint32)


def write_training_images(folder: Path, found: TrainingImages) -> None:
    """Write into a model folder what the model was trained on.

    Raises:
        StorageError: it cannot be written.
    """
    document = {
        "version": 1,
        "data": found.data,
        "fingerprint": found.fingerprint,
        "class_counts": list(found.counts),
        "groups": found.groups,
        "crc32": base64.b64encode(found.checks.astype("<u4").tobytes()).decode(),
    }
    replace_json(folder / _NAME, document)


def read_training_images(folder: Path) -> TrainingImages | None:
    """Return what a model folder says that the model was trained on; None where it does not say.

    Raises:
        StorageError: the file is damaged.
    """
    path = folder / _NAME
    try:
        document = parse_json(read_plain(path, _MOST_BYTES))
        if document["version"] != 1:
            raise ValueError(f"version {document['version']}")
        counts = tuple(int(count) for count in document["class_counts"])
        groups = None if document["groups"] is None else int(document["groups"])
        checks = np.frombuffer(base64.b64decode(document["crc32"], validate=True), "<u4").astype(np.uint32)
        return TrainingImages(str(document["data"]), str(document["fingerprint"]), counts, groups, checks)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is damaged ({error}); train the model again, or remove the file") from error
