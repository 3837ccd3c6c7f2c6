"""Peer: Keras 3, its images in memory and its batches made in NumPy by a PyDataset. Called as notebook.py is.

ORDER also has ``backend``, jax or tensorflow. Keras' own RandomCrop cuts a whole batch at one place, so it would be
another augmentation; here each image has its own, as everywhere else. Initial weights are drawn as PyTorch draws them,
but that biases start at zero.
"""

import json
import math
import os
import platform
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

ORDER = json.loads(sys.argv[2])
os.environ["KERAS_BACKEND"] = ORDER["backend"]  # read when Keras is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
from keras import layers  # noqa: E402

_PADDING = 4


class Batches(keras.utils.PyDataset):
    """Shuffled, cropped, flipped and standardized batches of uint8 (N, H, W, 3) images."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, order: dict[str, Any]) -> None:
        super().__init__()
        self.images, self.labels = images, labels
        self.size: int = order["batch_size"]
        self.mean, self.std = (np.array(order[name], np.float32) for name in ("mean", "std"))
        self.random = np.random.default_rng(order["seed"])
        self.shuffled = self.random.permutation(len(labels))

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        positions = self.shuffled[index * self.size : (index + 1) * self.size]
        count, (height, width) = len(positions), self.images.shape[1:3]
        padded = np.pad(self.images[positions], ((0, 0), (_PADDING,) * 2, (_PADDING,) * 2, (0, 0)))
        top, left = self.random.integers(0, 2 * _PADDING + 1, (2, count))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
        cropped = windows[np.arange(count), top, left].transpose(0, 2, 3, 1)
        mirrored = self.random.random(count) < 0.5
        cropped[mirrored] = cropped[mirrored, :, ::-1]
        return (cropped.astype(np.float32) / 255 - self.mean) / self.std, self.labels[positions]

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.shuffled = self.random.permutation(len(self.labels))


class Times(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.started = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """The clock starts."""
        self.started = perf_counter()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """The clock stops."""
        self.seconds.append(perf_counter() - self.started)


def make_network(classes: int) -> Any:
    """Three convolutions of 5×5 and a hidden layer, for 32×32 color images."""

    def drawn() -> Any:
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")

    model = keras.Sequential([layers.Input((32, 32, 3))])
    for channels in (32, 64, 64):
        model.add(layers.Conv2D(channels, 5, padding="same", activation="relu", kernel_initializer=drawn()))
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(1000, activation="relu", kernel_initializer=drawn()))
    model.add(layers.Dense(classes, kernel_initializer=drawn()))
    return model


def _peak_memory() -> int | None:
    """Bytes that this process had at most."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Warm up, train, evaluate, and print."""
    folder, order = Path(sys.argv[1]), ORDER
    keras.utils.set_random_seed(order["seed"])
    images, labels, val_images, val_labels = (
        np.load(folder / f"{split}_{what}.npy") for split in ("train", "val") for what in ("images", "labels")
    )
    model = make_network(order["classes"])
    model.compile(
        optimizer=keras.optimizers.SGD(order["lr"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    # The warm-up ends in a batch as small as the last of an epoch, since each size is compiled; then it is forgotten.
    size = order["batch_size"]
    first = min(len(labels), order["warmup_steps"] * size + len(labels) % size)
    initial = model.get_weights()
    model.fit(Batches(images[:first], labels[:first], order), epochs=1, verbose=0)
    model.set_weights(initial)

    times = Times()
    print("ready", flush=True)
    sys.stdin.readline()
    model.fit(Batches(images, labels, order), epochs=order["epochs"], callbacks=[times], verbose=0)
    peak = _peak_memory()
    mean, std = (np.array(order[name], np.float32) for name in ("mean", "std"))
    guesses = model.predict((val_images.astype(np.float32) / 255 - mean) / std, batch_size=250, verbose=0).argmax(1)
    backend = sys.modules[order["backend"]].__version__
    answer = {
        "images_per_second": [len(labels) / seconds for seconds in times.seconds],
        "accuracy": float((guesses == val_labels).mean()),
        "peak_memory_bytes": peak,
        "weights": model.count_params(),
        "versions": {"python": platform.python_version(), "keras": keras.__version__, order["backend"]: backend},
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
