"""Hugging Face's own data sets, the library itself, where a program gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import Labelled, load_image_set

datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "owner": datasets.Value("string"),
        }
    )

    def split(first: int, images: int) -> object:
        pixels = [Image.fromarray(np.full((8, 8), first + number, np.uint8)) for number in range(images)]
        columns = {
            "image": pixels,
            "label": [number % 2 for number in range(images)],
            "owner": [f"owner {number // 2}" for number in range(images)],
        }
        return datasets.Dataset.from_dict(columns, features=features)

    return datasets.DatasetDict({"train": split(0, 12), "test": split(100, 4)})


def test_a_dataset_dict_is_an_image_set_with_its_splits_and_names(pets: object) -> None:
    images = load_image_set(pets)
    assert images.class_names == ("cat", "dog")
    assert {name: len(split) for name, split in images.splits.items()} == {"train": 12, "test": 4}
    assert images.splits["train"].images[:, 0, 0, 0].tolist() == list(range(12))
    assert images.splits["test"].images[:, 0, 0, 0].tolist() == [100, 101, 102, 103]


def test_its_columns_may_name_groups(pets: object) -> None:
    images = load_image_set(Labelled(pets, group_column="owner"))
    assert images.splits["train"].groups is not None
    assert len(set(images.splits["train"].groups.tolist())) == 6


def test_its_parquet_file_is_the_same_images(pets: dict[str, object], tmp_path: Path) -> None:
    for name, split in pets.items():
        split.to_parquet(str(tmp_path / f"{name}-00000-of-00001.parquet"))  # type: ignore[attr-defined]
    assert load_image_set(tmp_path).fingerprint == load_image_set(pets).fingerprint
