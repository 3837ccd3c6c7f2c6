"""An exported file in 8 bits says what it costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stepladder.errors import RecipeError
from stepladder.model import OnnxModel
from stepladder.model import quantize as room
from stepladder.model.classifier import Predictions
from stepladder.model.quantize import quantize_file

pytest.importorskip("onnx", reason="the extra 'export' is not installed")


def test_what_8_bits_cost_is_told_from_before_to_after():
    """The file before is right on three of four labelled images and calls one of five unlike; after, one and four."""

    class File:
        tells_unlikeness = True

        def __init__(self, names, unlike):
            self.names, self.unlikeness = names, np.array(unlike)

        def answer(self, pixels, doubts):
            assert doubts.unlike
            return Predictions(("a", "b"), np.eye(2)[self.names], (), None, None, self.unlikeness)

    before = File([0, 1, 0, 0, 0], [1.0, -1.0, -1.0, -1.0, -1.0])
    after = File([0, 0, 1, 0, 0], [1.0, 1.0, 1.0, 1.0, -1.0])
    labels = np.array([0, 1, 0, 1, -1])
    told = room._compare_files(before, after, np.zeros((5, 8, 8, 1), np.uint8), labels)
    assert (told.accuracy, told.unlike, told.agreement, told.checked) == ((0.75, 0.25), (0.2, 0.8), 0.6, 5)
    assert "accuracy 75.00 % before and 25.00 % after; called unlike 20.00 % before and 80.00 % after" in told.cost


def test_eight_bits_without_labels_promise_nothing_and_tell_no_accuracy(exported, digits, tmp_path):
    path, images = tmp_path / "small.onnx", digits.splits["train"].images
    path.write_bytes(exported.path.read_bytes())
    trained = np.arange(60) < 40
    told = quantize_file(path, images[:60], trained=trained)
    assert (told.calibrated, told.checked, told.accuracy, told.unlike) == (40, 20, None, None)
    assert told.bytes_written == path.stat().st_size < told.bytes_before == exported.bytes_written
    assert 0.8 < told.agreement <= 1
    assert told.cost == f"the same class on {100 * told.agreement:.2f} % of 20 images that did not"
    assert OnnxModel.load(path).limits is None
    with pytest.raises(
        RecipeError, match="`sets` goes by what validation images promise, and this model knows of none"
    ):
        OnnxModel.load(path).predict(images[0], sets=0.9)
    assert replace(told, agreement=None).cost == "give images that did not train it, too, to see what that costs"
    with pytest.raises(RecipeError, match="8 bits are set by images that trained the model, and none of these 60 did"):
        quantize_file(path, images[:60], trained=np.zeros(60, dtype=bool))
