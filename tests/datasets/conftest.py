"""Real bytes for the data tests: small images in every format, and folders of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import ImageSet, Split, mapped


def encoded(
    fmt: str = "PNG", *, size: tuple[int, int] = (8, 8), seed: int = 0, mode: str = "RGB", **options: object
) -> bytes:
    """A noisy image of ``size`` (width, height), encoded."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(target, fmt, **options)
    return target.getvalue()


def folder_of(root: Path, counts: dict[str, int], *, fmt: str = "PNG", **options: object) -> Path:
    """Write ``counts[class]`` images to ``root/class/``; all images differ."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / name / f"{i:04d}.{fmt.lower()}").write_bytes(encoded(fmt, seed=1000 * number + i, **options))
    return root


def set_of(counts: dict[str, list[int]], seed: int = 0) -> ImageSet:
    """An image set whose splits have ``counts[split][class]`` images, in shuffled order."""
    rng = np.random.default_rng(seed)
    splits = {}
    for name, of_class in counts.items():
        labels = rng.permutation(np.repeat(np.arange(len(of_class)), of_class)).astype(np.int64)
        splits[name] = Split(rng.integers(0, 256, (len(labels), 4, 4, 1), dtype=np.uint8), labels)
    names = tuple(f"class{i}" for i in range(len(counts["train"])))
    return ImageSet("made", names, splits)


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    return encoded


@pytest.fixture(scope="session")
def write_folder() -> Callable[..., Path]:
    return folder_of


@pytest.fixture(scope="session")
def make_set() -> Callable[..., ImageSet]:
    return set_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    """A cache of its own for each test, so that none finds what the user has or leaves anything there."""
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "own cache"))
    return tmp_path / "own cache"


@pytest.fixture
def memory(tmp_path, monkeypatch) -> Callable[[int], None]:
    """Gives this process so many bytes of memory, as a container's limit would."""

    def give(size: int) -> None:
        (tmp_path / "memory.max").write_text(str(size))
        monkeypatch.setattr(mapped, "_GROUP_LIMIT", tmp_path / "memory.max")

    return give
