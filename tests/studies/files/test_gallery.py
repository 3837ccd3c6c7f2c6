import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import Split, Splits
from stepladder.errors import StorageError
from stepladder.studies.files.gallery import read_gallery, write_gallery


def decode(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


@pytest.fixture
def splits(noise: Split) -> Splits:
    return Splits(noise, None, noise, (), "")


def test_the_worst_and_the_least_certain_are_kept_pixel_for_pixel(splits: Splits, tmp_path: Path) -> None:
    shares = np.full((40, 4), 0.01)
    shares[np.arange(40), splits.test.labels] = 0.97
    shares[5] = (0.9, 0.02, 0.05, 0.03)  # of class 1: wrong and sure
    shares[6] = (0.6, 0.2, 0.1, 0.1)  # of class 2: wrong
    shares[8] = (0.3, 0.25, 0.25, 0.2)  # of class 0: right and not sure
    write_gallery(tmp_path, "x", shares, splits, 4)
    gallery = read_gallery(tmp_path, 4)
    assert gallery is not None
    assert [image.position for image in gallery.mistakes] == [5, 6]
    assert [image.position for image in gallery.uncertain][:3] == [8, 6, 5]
    worst = gallery.mistakes[0]
    assert (worst.label, worst.predicted) == (1, 0)
    assert worst.top == ((0, 0.9), (2, 0.05), (1, 0.02))  # the true class is always among them
    assert (decode(worst.png) == splits.test.images[5]).all()
    assert gallery.train_counts == (10, 10, 10, 10)
    assert len(gallery.samples) == 4


def test_large_images_are_made_small(tmp_path: Path) -> None:
    split = Split(np.zeros((4, 100, 300, 1), np.uint8), np.arange(4, dtype=np.int64) % 2)
    gallery = write_gallery(tmp_path, "x", np.full((4, 2), 0.5), Splits(split, None, split, (), ""), 2)
    assert decode(gallery.uncertain[0].png).shape == (21, 64)


def test_none_and_a_damaged_one(tmp_path: Path) -> None:
    assert read_gallery(tmp_path, 4) is None
    (tmp_path / "gallery.json").write_text('{"schema_version": 9}')
    with pytest.raises(StorageError, match=r"gallery\.json is damaged"):
        read_gallery(tmp_path, 4)
