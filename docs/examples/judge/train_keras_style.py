"""A script as Keras users write them: fit() with a callback that logs every epoch to a CSV file, seed after seed.

It knows nothing of Stepladder, which reads its folders afterwards. So that it runs without Keras, the few lines of
``Model`` stand for ``keras.Sequential``; the log is as ``keras.callbacks.CSVLogger`` writes it.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


class CSVLogger:
    """Writes what fit() measures, a row an epoch, its names in alphabetical order."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, []

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the file anew with a row more."""
        self.rows.append({"epoch": epoch, **dict(sorted(logs.items()))})
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)


class Model:
    """Softmax regression, trained by steps of gradient descent."""

    def __init__(self, lr: float, seed: int) -> None:
        self.lr, self.random = lr, np.random.default_rng(seed)
        self.weights = self.random.normal(0, 0.5, (64, 10))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, (N, 10), of pixels (N, 64)."""
        scores = np.exp(x @ self.weights - (x @ self.weights).max(1, keepdims=True))
        return scores / scores.sum(1, keepdims=True)

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Return loss and accuracy."""
        likely = self.predict(x)
        return float(-np.log(likely[np.arange(len(y)), y] + 1e-9).mean()), float((likely.argmax(1) == y).mean())

    def fit(self, x: np.ndarray, y: np.ndarray, validation: tuple, epochs: int, callbacks: list) -> None:
        """Train, and tell the callbacks of every epoch."""
        for epoch in range(epochs):
            for batch in np.array_split(self.random.permutation(len(x)), len(x) // 32):
                error = self.predict(x[batch]) - np.eye(10)[y[batch]]
                self.weights -= self.lr * x[batch].T @ error / len(batch)
            loss, accuracy = self.evaluate(x, y)
            val_loss, val_accuracy = self.evaluate(*validation)
            logs = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs)


parser = argparse.ArgumentParser()
parser.add_argument("out", type=Path)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--seeds", type=int, default=5)
options = parser.parse_args()
data = load_digits()
x, y = data.data / 16, data.target
for seed in range(options.seeds):
    folder = options.out / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    Model(options.lr, seed).fit(x[:1200], y[:1200], (x[1200:], y[1200:]), 5, [CSVLogger(folder / "log.csv")])
