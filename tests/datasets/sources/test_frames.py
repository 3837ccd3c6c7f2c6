"""Data frames of paths, of pandas and of whatever gives its columns by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import stepladder as sl
from stepladder.datasets import Labelled, as_image_set, load_image_set
from stepladder.errors import DataError


class Column(list):
    def to_list(self) -> list[object]:
        return list(self)


class Frame:
    """What polars has of a frame, without pandas' index."""

    def __init__(self, **columns: list[object]) -> None:
        self._columns = columns
        self.columns = list(columns)
        self.dtypes = [object] * len(columns)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), len(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, name: str) -> Column:
        return Column(self._columns[name])


@pytest.fixture
def pets(tmp_path, write_folder, monkeypatch):
    write_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    monkeypatch.chdir(tmp_path)
    return {
        "file": [f"{kind}/{n:04}.png" for n in range(4) for kind in ("cat", "dog")],
        "kind": ["cat", "dog"] * 4,
        "patient": [n // 2 for n in range(8)],
        "age": list(range(8)),
    }


def of(found, split: str = "train") -> dict[str, int]:
    return dict(zip(found.class_names, np.bincount(found.splits[split].labels).tolist(), strict=True))


@pytest.mark.parametrize("make", [lambda columns: pd.DataFrame(columns), lambda columns: Frame(**columns)])
def test_a_frame_is_a_table(pets, make):
    frame = make({name: cells for name, cells in pets.items() if name != "patient"})
    found = load_image_set(Labelled(frame, images="pets"))
    assert of(found) == {"cat": 4, "dog": 4}
    assert found.name == "frame"
    assert found.notes[0] == (
        "Labels: from column 'kind' of the frame, cat (4), dog (4); state it with `label_column='kind'`."
    )
    assert load_image_set(frame).fingerprint == found.fingerprint  # a folder in the current one
    assert as_image_set(frame, name="my pets").name == "my-pets"


def test_columns_and_groups_may_be_named(pets, tmp_path):
    frame = pd.DataFrame(pets)
    with pytest.raises(DataError, match=r"choose one with `label_column='kind'` or `label_column='color'`"):
        load_image_set(frame.assign(color=["red", "red", "blue", "blue"] * 2))
    told = load_image_set(Labelled(frame, images=tmp_path / "pets"))  # a patient is no label where there is another
    assert told.class_names == ("cat", "dog")
    assert any("keep them on one side of the split with `group_column='patient'`" in note for note in told.notes)
    found = load_image_set(Labelled(frame, label_column="kind", group_column="patient", images=tmp_path / "pets"))
    assert found.splits["train"].groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(load_image_set(Labelled(frame, label_column="kind", path_column="file"), limit=2).splits["train"]) == 4


def test_frames_by_split(pets):
    frame = pd.DataFrame(pets)
    found = load_image_set(Labelled({"train": frame[:6], "testing": frame[6:]}, label_column="kind", images="pets"))
    assert of(found) == {"cat": 3, "dog": 3}
    assert of(found, "test") == {"cat": 1, "dog": 1}
    assert not any("Read with" in note for note in found.notes)
    with pytest.raises(DataError, match="there are frames for train, tarin; the keys are train, and if there are any"):
        load_image_set({"train": frame, "tarin": frame})


def test_nothing_in_a_cell_is_blank_and_named_by_its_row(pets):
    for nothing in (None, np.nan, pd.NA, pd.NaT):
        frame = pd.DataFrame({**pets, "kind": pd.Series([*pets["kind"][:7], nothing], dtype=object)})
        with pytest.raises(DataError, match="the frame row 7 has a blank label; fill it in, or remove the row"):
            load_image_set(Labelled(frame, label_column="kind", images="pets"))


def test_numbers_paths_and_categories(pets, tmp_path):
    paths = [tmp_path / "pets" / file for file in pets["file"]]
    frame = pd.DataFrame({"path": paths, "label": np.array([1.0, 0.0] * 4)})
    assert of(load_image_set(frame)) == {"0": 4, "1": 4}
    twins = pd.DataFrame([["x", "y"]], columns=["path", "path"])
    with pytest.raises(DataError, match="the frame has two columns called 'path'; rename one"):
        load_image_set(twins)
    with pytest.raises(DataError, match="`level` is for folders of images, and what a program holds is none"):
        load_image_set(Labelled(frame, level="leaf"))


def test_columns_may_stand_beside_the_frame(pets, tmp_path):
    """As a user writes it: no class of ours is needed."""
    frame = pd.DataFrame(pets)
    audit = sl.data(frame, label="kind", group="patient", images=tmp_path / "pets")
    expected = sl.data(Labelled(frame, label_column="kind", group_column="patient", images=tmp_path / "pets"))
    assert audit.counts == expected.counts
    assert audit.image_set.splits["train"].groups is not None
    with pytest.raises(DataError, match="unknown argument 'lable'; did you mean 'label'"):
        sl.data(frame, lable="kind")
    with pytest.raises(DataError, match="`label_column` is given twice, by `Labelled` and beside it; give it once"):
        sl.data(Labelled(frame, label_column="kind"), label="kind")


def test_every_function_that_takes_images_at_first_takes_them(pets, tmp_path):
    for verb in (sl.study, sl.plan, sl.train, sl.data):
        with pytest.raises(DataError, match="`label_column` is nothing, and the frame has no such column"):
            verb(pd.DataFrame(pets), label="nothing", images=tmp_path / "pets")
