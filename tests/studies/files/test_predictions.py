from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from stepladder.studies.files import predictions
from stepladder.studies.files.predictions import read_confidence, read_predictions, write_predictions


def test_confidence_is_that_of_the_logits_over_the_temperature(tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (50, 5))
    labels = np.arange(50) % 5
    write_predictions(tmp_path, logits.argmax(axis=1), labels, 5, softmax(logits, axis=1))
    for temperature in (1.0, 1.7, 0.6):
        wanted = softmax(logits / temperature, axis=1).max(axis=1)
        found = read_confidence(tmp_path, temperature)
        assert found is not None
        assert found == pytest.approx(wanted, abs=2e-3)  # float16
    saved = read_predictions(tmp_path)
    assert saved is not None
    assert (saved[0] == logits.argmax(axis=1)).all()


@pytest.mark.parametrize(("classes", "bytes_each"), [(256, 1), (257, 2), (1000, 2)])
def test_a_class_is_saved_in_as_many_bytes_as_it_takes(tmp_path: Path, classes: int, bytes_each: int) -> None:
    last = np.array([0, 255, classes - 1])
    write_predictions(tmp_path, last, last[::-1], classes)
    saved = read_predictions(tmp_path)
    assert saved is not None
    assert [part.tolist() for part in saved] == [last.tolist(), last[::-1].tolist()]
    assert saved[0].dtype.itemsize == bytes_each


def test_too_many_probabilities_leave_the_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MOST_PROBABILITIES", 5)
    write_predictions(tmp_path, np.array([0, 1]), np.array([0, 0]), 3, np.array([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1]]))
    assert read_confidence(tmp_path) == pytest.approx([0.5, 0.7], abs=1e-3)
    assert read_confidence(tmp_path, 2.0) is None


def test_files_of_an_older_stepladder_have_no_probabilities(tmp_path: Path) -> None:
    write_predictions(tmp_path, np.array([0, 1]), np.array([0, 0]), 3)
    assert read_confidence(tmp_path) is None
    assert read_confidence(tmp_path / "missing") is None
