"""Which images a study is of, one by one, to say what has changed where they differ: ``images.safetensors``."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stepladder.datasets import Split, Splits
from stepladder.files import read_plain, replace_bytes
from stepladder.studies.files.records import DataRecord

_NAME = "images.safetensors"

#: Bytes that the file may have: those of 30 million images.
_MOST_BYTES = 512_000_000


def write_images(study: Path, splits: Splits) -> None:
    """Write a digest (8 bytes) and the label of every image of a study."""
    digests, labels = _digest(splits)
    replace_bytes(study / _NAME, save({"digests": digests, "labels": labels}))


def read_images(study: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return digests, uint64 (N,), and labels, int64 (N,); None where they are not there or damaged.

    They are for a sentence only: the plan's hash is what decides.
    """
    try:
        arrays = load(read_plain(study / _NAME, _MOST_BYTES, follow=False))
        digests, labels = arrays["digests"], arrays["labels"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError):  # of types that NumPy lacks
        return None
    whole = digests.ndim == 1 and digests.shape == labels.shape
    whole = whole and digests.dtype == np.uint64 and labels.dtype == np.int64
    return (digests, labels) if whole and not (labels < 0).any() else None


def read_labels(study: Path, data: DataRecord) -> dict[str, np.ndarray]:
    """Return the labels of the splits, int64 (N,) each; empty where the folder does not keep those of ``data``."""
    found, counts = read_images(study), data.counts
    names = [name for name in ("train", "validation", "test") if counts.get(name)]
    if found is None or sum(counts[name] for name in names) != len(found[1]) or not len(found[1]):
        return {}
    if found[1].max() >= len(data.class_names):
        return {}
    ends = np.cumsum([counts[name] for name in names])
    return dict(zip(names, np.split(found[1].astype(np.int64), ends[:-1]), strict=True))


def describe_changes(before: tuple[np.ndarray, np.ndarray], splits: Splits, class_names: Sequence[str]) -> list[str]:
    """Return how the images differ from those ``before``, a phrase each, by class."""
    there, here = _counted(*before), _counted(*_digest(splits))
    gone, new = _by_class(there - here, class_names), _by_class(here - there, class_names)
    phrases = []
    if gone:
        phrases.append(f"images that are gone or changed: {gone}")
    if new:
        phrases.append(f"images that are new or changed: {new}")
    return phrases or ["the same images come in another order or split"]


def _counted(digests: np.ndarray, labels: np.ndarray) -> Counter[tuple[int, int]]:
    return Counter(zip(digests.tolist(), labels.tolist(), strict=True))


def _by_class(images: Counter[tuple[int, int]], class_names: Sequence[str]) -> str:
    counts: Counter[int] = Counter()
    for (_, label), count in images.items():
        counts[label] += count
    named = [
        f"{count:,} of {class_names[label] if label < len(class_names) else f'class {label}'}"
        for label, count in counts.most_common()
    ]
    more = f" and {len(named) - 5} more classes" if len(named) > 5 else ""
    return ", ".join(named[:5]) + more


def _digest(splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    parts = [part for part in (splits.train, splits.validation, splits.test) if part is not None]
    digests = np.array([digest for part in parts for digest in _digests(part)], dtype=np.uint64)
    return digests, np.concatenate([part.labels for part in parts])


def _digests(split: Split) -> Iterator[int]:
    for chunk in split.chunks():
        for image in chunk:
            yield int.from_bytes(hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest(), "little")
