"""Parquet of paths is a table, and parquet of images stays what it is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepladder.datasets import Labelled, load_image_set
from stepladder.datasets.sources import parquet
from stepladder.errors import DataError

FILES = [f"{kind}/000{n}.png" for n in range(4) for kind in ("cat", "dog")]


@pytest.fixture
def pets(tmp_path, write_folder):
    return write_folder(tmp_path / "pets", {"cat": 4, "dog": 4})


def write(at, **columns):
    pq.write_table(pa.table(columns), at)
    return str(at)


def counts(found):
    return {
        split: dict(zip(found.class_names, np.bincount(part.labels).tolist(), strict=True))
        for split, part in found.splits.items()
    }


def test_columns_of_any_name_and_kind(pets):
    path = write(
        pets / "a.parquet",
        where=pa.array(FILES).dictionary_encode(),
        kind=["cat", "dog"] * 4,
        boxes=[[1, 2]] * 8,
        width=[float(n) for n in range(8)],
        part=["train"] * 4 + ["test"] * 4,
        patient=pa.array(range(8), pa.int8()),
    )
    found = load_image_set(Labelled(path, group_column="patient"))
    assert counts(found) == {"train": {"cat": 2, "dog": 2}, "test": {"cat": 2, "dog": 2}}
    assert found.splits["train"].groups.tolist() == [0, 1, 2, 3]
    assert found.notes[0].startswith(
        "Labels: from column 'kind' of a.parquet, cat (4), dog (4); state it with `path_col"
    )
    assert "Splits: from column 'part' of a.parquet; state it with `split_column='part'`." in found.notes
    assert "Not read: the columns boxes, width." in found.notes


def test_files_for_each_split(pets):
    path = write(pets / "train.parquet", file=FILES[:6], label=[0, 1] * 3)
    write(pets / "test.parquet", file=FILES[6:], label=[0, 1])
    assert counts(load_image_set(path)) == {"train": {"0": 3, "1": 3}, "test": {"0": 1, "1": 1}}


def test_rows_are_named_as_rows(pets):
    path = write(pets / "a.parquet", file=FILES, label=["cat", None] * 4)
    with pytest.raises(DataError, match=r"a\.parquet row 1 has a blank label; fill it in, or remove the row"):
        load_image_set(path)


def test_images_in_columns_are_read_as_images(pets):
    content = [(pets / file).read_bytes() for file in FILES]
    path = write(
        pets / "a.parquet", image=[{"bytes": one, "path": "x"} for one in content], path=FILES, label=[0, 1] * 4
    )
    assert not any("path_column" in note for note in load_image_set(path).notes)
    with pytest.raises(DataError, match=r"`path_column` is for tables of paths, and .* is none"):
        load_image_set(Labelled(path, path_column="path"))
    with pytest.raises(DataError, match="holds images and no paths; read it as parquet"):
        parquet.read_parquet_rows(pets / "a.parquet")


def test_what_is_damaged_or_too_long_is_a_sentence(pets, monkeypatch):
    path = write(pets / "a.parquet", file=FILES, label=["cat", "dog"] * 4)
    monkeypatch.setattr(parquet, "_MOST_ROWS", 7)
    with pytest.raises(DataError, match="has 8 rows; a table may have 7: split it into smaller ones"):
        load_image_set(path)
    (pets / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="is no readable parquet file"):
        load_image_set(pets / "b.parquet")
    with pytest.raises(DataError, match="has no column with an image"):
        load_image_set(write(pets / "c.parquet", x=[1, 2]))
    with pytest.raises(DataError, match="has no column with the path: call it path or file"):
        load_image_set(write(pets / "d.parquet", x=["a", "b"]))


def test_a_folder_with_parquet_of_paths_is_read_by_it(tmp_path, write_folder):
    root = tmp_path / "set"
    write_folder(root, {"images": 6})
    write(root / "train.parquet", file=[f"000{n}.png" for n in range(6)], kind=["a", "b"] * 3)
    found = load_image_set(root)
    assert counts(found) == {"train": {"a": 3, "b": 3}}
    assert found.notes[0].startswith("Labels: from column 'kind' of train.parquet, a (3), b (3); state it with `index=")
    write_folder(root, {"more": 2})
    write(root / "train.parquet", file=["images/0000.png", "more/0000.png"], label=["more", "images"])
    with pytest.raises(DataError, match="disagree on 2 of 2 rows"):
        load_image_set(root)
