"""How fast is a trained model asked: one file, many images, and a whole process for one image?"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from stepladder.datasets import Split
from stepladder.model.classifier import Classifier
from stepladder.model.export import export_model
from stepladder.model.find import load_model
from stepladder.model.folder import load_folder, save_model
from stepladder.recipe import Recipe
from stepladder.studies.running.interpreter import python_command
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute
from stepladder.training.loop import train_network

_SIZE, _CLASSES = 32, 10
_MANY = 4_000
#: Single files asked about in one measurement.
_FILES = 50


@dataclass(frozen=True)
class PredictionSpeed:
    """Figures of one form of a model, one entry a round.

    Attributes:
        form: ``torch`` or ``onnx``.
        file_ms: milliseconds from one image file to its label, after loading the model; the median of some files.
        images_per_second: of 32×32 images in memory, in batches.
        process_seconds: a whole ``stepladder predict`` of one image, start included.
    """

    form: str
    file_ms: list[float]
    images_per_second: list[float]
    process_seconds: list[float]


def measure_prediction(
    recipe: Recipe, compute: Compute, *, rounds: int = 5, on_round: Callable[[], None] | None = None
) -> list[PredictionSpeed]:
    """Train ``recipe`` for a step, save and export it, and ask both forms in turn.

    Args:
        rounds: measurements kept, after one that warms up.
        on_round: called after each, the warm-up too.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (_MANY, _SIZE, _SIZE, 3), dtype=np.uint8)
    labels = np.arange(_MANY, dtype=np.int64) % _CLASSES
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as name:
        folder = Path(name)
        files = []
        for number in range(_FILES):
            files.append(folder / f"{number}.png")
            Image.fromarray(images[number]).save(files[-1])
        forms = _models(folder, recipe.model_copy(update={"epochs": 1}), Split(images, labels), compute)
        speeds = [PredictionSpeed(form, [], [], []) for form in forms]
        for number in range(rounds + 1):
            for speed, (path, classifier) in zip(speeds, forms.values(), strict=True):
                figures = (_file_ms(classifier, files), _rate(classifier, images), _process_seconds(path, files[0]))
                if number > 0:
                    for values, value in zip(
                        (speed.file_ms, speed.images_per_second, speed.process_seconds), figures, strict=True
                    ):
                        values.append(value)
            if on_round:
                on_round()
    return speeds


def _models(folder: Path, recipe: Recipe, train: Split, compute: Compute) -> dict[str, tuple[Path, Classifier]]:
    few = train.take(np.arange(recipe.batch_size))
    trained = train_network(recipe, TrainingData(few, few, _CLASSES), seed=0, compute=compute)
    class_names = tuple(f"class{number}" for number in range(_CLASSES))
    save_model(folder / "model", trained, class_names, (_SIZE, _SIZE, 3), compute, "")
    exported = folder / "model.onnx"
    export_model(load_folder(folder / "model", "cpu"), exported, few.images)
    return {
        "torch": (folder / "model", load_folder(folder / "model", compute.device.type, compute.precision)),
        "onnx": (exported, load_model(exported)),
    }


def _file_ms(classifier: Classifier, files: list[Path]) -> float:
    times = []
    for file in files:
        started = perf_counter()
        classifier.predict(file)
        times.append(perf_counter() - started)
    return 1000 * float(np.median(times))


def _rate(classifier: Classifier, images: np.ndarray) -> float:
    started = perf_counter()
    classifier.probabilities(images)
    return len(images) / (perf_counter() - started)


def _process_seconds(path: Path, file: Path) -> float:
    started = perf_counter()
    program = "from stepladder.cli import main; main()"
    subprocess.run(python_command("-c", program, "predict", str(path), str(file)), check=True, capture_output=True)
    return perf_counter() - started
