"""How fast do images load: first, from the cache, and how fast does training read them from the mapped file?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
from PIL import Image

from stepladder.datasets import Split, load_image_set
from stepladder.datasets.cache import VARIABLE
from stepladder.recipe import Recipe
from stepladder.studies.running.interpreter import python_command
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute
from stepladder.training.loop import train_network

_SIZE, _CLASSES = 32, 10
_STEPS = 20

# In a process of its own, so that nothing is imported, mapped or freed before. The peak is the kernel's VmHWM, which
# counts mapped pages too; getrusage's would begin with the memory of the process that started this one.
_LOAD = """
import json, sys, time
from pathlib import Path
from stepladder.datasets import load_image_set
def kibibytes(name):
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), None)
before = kibibytes("VmRSS")
started = time.perf_counter()
images = load_image_set(sys.argv[1])
seconds = time.perf_counter() - started
peak = None if before is None else 1024 * (kibibytes("VmHWM") - before)
print(json.dumps({"seconds": seconds, "peak": peak, "images": sum(map(len, images.splits.values()))}))
"""


@dataclass(frozen=True)
class Loading:
    """One set of files, loaded ``rounds`` times with an empty cache and then again.

    Attributes:
        layout: ``folder``, ``zip`` or ``parquet``.
        first: seconds, one a round; the cache is empty.
        again: seconds, one a round; the cache holds the set.
        peak_shares: memory that the first load took at most, beside the program itself, in decoded sets; empty where
            the system does not tell (it takes Linux).
    """

    layout: str
    first: list[float]
    again: list[float]
    peak_shares: list[float]


@dataclass(frozen=True)
class LoadingSpeed:
    """Figures of one run.

    Attributes:
        images: how many in all.
        layouts: a folder of JPEG files, a zip of that folder, and parquet with the same images.
        in_memory: training images a second from memory, one a round.
        mapped: the same from the cache's mapped file, in turn.
    """

    images: int
    layouts: list[Loading]
    in_memory: list[float]
    mapped: list[float]

    @property
    def mapped_shares(self) -> list[float]:
        """Speed from the map over speed from memory, round by round."""
        return [mapped / memory for mapped, memory in zip(self.mapped, self.in_memory, strict=True)]


def measure_loading(
    recipe: Recipe,
    compute: Compute,
    *,
    images: int = 60_000,
    rounds: int = 5,
    on_part: Callable[[], None] | None = None,
) -> LoadingSpeed:
    """Write ``images`` smooth 32×32 JPEGs into a temporary folder, and measure loading them and training on them.

    Args:
        recipe: for the training; its network and techniques do not change where images come from.
        images: five of six train, the others test.
        rounds: measurements of each.
        on_part: called ``4 * rounds + 1`` times: after the files are written, each load and each training.
    """
    report = on_part or (lambda: None)
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
        root = Path(folder)
        encoded = list(_encoded(images))
        layouts = {
            "folder": _write_folder(root / "images", encoded),
            "zip": Path(shutil.make_archive(str(root / "packed"), "zip", root / "images")),
            "parquet": _write_parquet(root / "parquet", encoded),
        }
        del encoded
        report()
        loadings = [_measure(layout, path, root, images, rounds, report) for layout, path in layouts.items()]
        in_memory, mapped = _train(root, layouts["parquet"], recipe, compute, rounds, report)
    return LoadingSpeed(images, loadings, in_memory, mapped)


def _encoded(count: int) -> Iterator[tuple[int, bytes]]:
    """Labelled JPEGs of about a kilobyte, as small photographs have; noise would take longer to decode."""
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))
        yield number % _CLASSES, simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=90)


def _splits(encoded: list[tuple[int, bytes]]) -> dict[str, list[tuple[int, bytes]]]:
    return {"train": encoded[: len(encoded) * 5 // 6], "test": encoded[len(encoded) * 5 // 6 :]}


def _write_folder(path: Path, encoded: list[tuple[int, bytes]]) -> Path:
    for name, part in _splits(encoded).items():
        for label in range(_CLASSES):
            (path / name / f"class{label}").mkdir(parents=True)
        for number, (label, content) in enumerate(part):
            (path / name / f"class{label}" / f"{number:06}.jpg").write_bytes(content)
    return path


def _write_parquet(path: Path, encoded: list[tuple[int, bytes]]) -> Path:
    path.mkdir()
    for name, part in _splits(encoded).items():
        columns = {
            "image": [{"bytes": content} for _, content in part],
            "label": [f"class{label}" for label, _ in part],
        }
        pq.write_table(pa.table(columns), path / f"{name}-00000-of-00001.parquet")
    return path


def _measure(layout: str, path: Path, root: Path, images: int, rounds: int, report: Callable[[], None]) -> Loading:
    first: list[float] = []
    again: list[float] = []
    peaks: list[float] = []
    decoded = images * _SIZE * _SIZE * 3
    for number in range(rounds):
        environment = os.environ | {VARIABLE: str(root / f"cache-{layout}-{number}")}
        for seconds in (first, again):
            command = python_command("-c", _LOAD, str(path))
            figures = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
            assert figures["images"] == images, figures
            seconds.append(figures["seconds"])
            if seconds is first and figures["peak"] is not None:
                peaks.append(figures["peak"] / decoded)
        report()
    return Loading(layout, first, again, peaks)


def _train(
    root: Path, path: Path, recipe: Recipe, compute: Compute, rounds: int, report: Callable[[], None]
) -> tuple[list[float], list[float]]:
    """Train a few steps on images from all over the set, from memory and from the map in turn."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(root / "cache-parquet-0")
    try:
        mapped = load_image_set(str(path)).splits["train"]
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
    memory = Split(mapped.images.copy(), mapped.labels)
    short = recipe.model_copy(update={"epochs": 2})
    random = np.random.default_rng(0)
    watched = memory.take(np.arange(_CLASSES))
    rates: dict[str, list[float]] = {"memory": [], "mapped": []}
    for _ in range(rounds):
        positions = random.permutation(len(memory))[: _STEPS * recipe.batch_size]
        for name, split in (("memory", memory), ("mapped", mapped)):
            trained = train_network(short, TrainingData(split.take(positions), watched, _CLASSES), 0, compute)
            rate = trained.history[-1].images_per_second
            assert rate is not None
            rates[name].append(rate)
        report()
    return rates["memory"], rates["mapped"]
