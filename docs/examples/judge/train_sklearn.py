"""A perceptron of scikit-learn on digits. A study runs this file once for every seed and every setting."""

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from stepladder import trial

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--hidden", type=int, default=8)
parser.add_argument("--fraction", type=float, default=1.0)
parser.add_argument("--read-test", action="store_true")
options = parser.parse_args()

images, labels = load_digits(return_X_y=True)
# The splits are the same for every seed, so that seeds differ in the training alone.
images, test_images, labels, test_labels = train_test_split(images / 16, labels, test_size=360, random_state=0)
images, val_images, labels, val_labels = train_test_split(images, labels, test_size=360, random_state=0)
# A smaller part lies within every larger one, so that sizes differ in their images' number alone.
part = round(options.fraction * len(images))
images, labels = images[:part], labels[:part]


def accuracy(layers: list[np.ndarray], images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images that are classified rightly, by the saved layers."""
    hidden = np.maximum(images @ layers[0] + layers[2], 0)
    return float(((hidden @ layers[1] + layers[3]).argmax(1) == labels).mean())


run = trial.start()
saved = run.out / "network.npz"
if not options.read_test:
    network = MLPClassifier((options.hidden,), solver="lbfgs", max_iter=30, tol=0, random_state=options.seed)
    with warnings.catch_warnings(action="ignore"):  # thirty steps are what we want, converged or not
        network.fit(images, labels)
    np.savez(saved, *network.coefs_, *network.intercepts_)
layers = list(np.load(saved).values())
test = accuracy(layers, test_images, test_labels) if options.read_test else None
run.finish(val=accuracy(layers, val_images, val_labels), test=test)
