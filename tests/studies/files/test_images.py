from dataclasses import replace
from pathlib import Path

import numpy as np

from stepladder.datasets import ImageSet, Split, make_splits
from stepladder.studies.files.images import describe_changes, read_images, read_labels, write_images
from stepladder.studies.prepare import describe_data


def changed(digits: ImageSet, pixels: np.ndarray, labels: np.ndarray) -> list[str]:
    others = replace(digits, splits={**digits.splits, "train": Split(pixels, labels)})
    before = read_images_of(digits)
    return describe_changes(before, make_splits(others, 0.1), digits.class_names)


def read_images_of(digits: ImageSet, folder: Path = Path()) -> tuple[np.ndarray, np.ndarray]:
    write_images(folder, make_splits(digits, 0.1))
    found = read_images(folder)
    assert found is not None
    return found


def test_gone_new_and_changed_images_are_counted_by_class(digits: ImageSet, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    train = digits.splits["train"]
    pixels, labels = train.images.copy(), train.labels.copy()
    assert changed(digits, pixels, labels) == ["the same images come in another order or split"]
    fives = np.flatnonzero(labels == 5)
    kept = np.setdiff1d(np.arange(len(labels)), fives[:2])
    assert changed(digits, pixels[kept], labels[kept]) == ["images that are gone or changed: 2 of 5"]
    pixels[fives[0], 0, 0] ^= 255
    assert changed(digits, pixels, labels) == [
        "images that are gone or changed: 1 of 5",
        "images that are new or changed: 1 of 5",
    ]


def test_without_the_file_nothing_is_said(tmp_path: Path) -> None:
    assert read_images(tmp_path) is None
    (tmp_path / "images.safetensors").write_bytes(b"damaged")
    assert read_images(tmp_path) is None


def test_the_labels_of_each_split_come_back(digits: ImageSet, tmp_path: Path) -> None:
    for validation in (0.0, 0.1):
        splits = make_splits(digits, validation)
        data = describe_data(digits, splits)
        write_images(tmp_path, splits)
        found = read_labels(tmp_path, data)
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        assert found.keys() == {name for name, part in parts.items() if part is not None}
        for name, labels in found.items():
            part = parts[name]
            assert part is not None
            assert np.array_equal(labels, part.labels), name
        assert read_labels(tmp_path, data.model_copy(update={"counts": {**data.counts, "test": 1}})) == {}
