"""What a model says of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.data.split import make_splits
from stepladder.model import Predictions, load_model
from stepladder.model.folder import Model
from stepladder.training.evaluate import DeviceSplit, evaluate


def test_the_likeliest_classes_come_first():
    predictions = Predictions(("a", "b", "c"), np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], np.float32))
    assert predictions.labels.tolist() == [1, 0]
    assert predictions.names == ["b", "a"]
    assert predictions.top(2) == [
        [("b", pytest.approx(0.5)), ("c", pytest.approx(0.3))],
        [("a", pytest.approx(0.4)), ("b", pytest.approx(0.4))],
    ]
    assert len(predictions.top(9)[0]) == 3
    assert len(predictions) == 2


def test_predictions_are_those_of_the_evaluation_to_the_last_image(saved, trained, digits, compute):
    test = make_splits(digits).test
    model = load_model(saved, "cpu")
    predictions = model.predict(test.images)
    score = evaluate(trained.module, trained.techniques, DeviceSplit.load(test, compute.device), compute)
    assert (predictions.labels == test.labels).mean() == score.accuracy
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-6)
    one_by_one = [model.predict(image).labels[0] for image in test.images[:20]]
    assert one_by_one == predictions.labels[:20].tolist()


def test_a_temperature_changes_how_sure_and_not_what(saved, digits):
    model = load_model(saved, "cpu")
    hot = Model(model.class_names, model.image_shape, model.module, model.techniques, model.compute, temperature=3.0)
    images = digits.splits["train"].images[:50]
    expected = torch.from_numpy(model.logits(images) / np.float32(3)).softmax(1).numpy()
    np.testing.assert_array_equal(hot.probabilities(images), expected)
    assert (hot.predict(images).labels == model.predict(images).labels).all()
    assert hot.probabilities(images).max() < model.probabilities(images).max()
