"""Data sets of the Hub, from a server of ours, by the real client: fetched once, when that is allowed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stepladder.datasets import Access, load_image_set
from stepladder.datasets.cache import clear_cache
from stepladder.errors import DataError
from tests.hub_server import Hub, hub_for_this_process

FETCH = Access(download=True)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    with hub_for_this_process(tmp_path, token=None) as server:
        yield server


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def parquet(first: int, images: int = 6) -> bytes:
    """As the Hub has it: structs of bytes and path, and the classes' names in the metadata."""
    rows = [{"bytes": png(first + number), "path": None} for number in range(images)]
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    table = pa.table({"image": rows, "label": [number % 2 for number in range(images)]})
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), file)
    return file.getvalue()


PETS = {
    "data/train-00000-of-00002.parquet": parquet(0),
    "data/train-00001-of-00002.parquet": parquet(10),
    "data/test-00000-of-00001.parquet": parquet(20),
    "README.md": b"# pets",
    "pets.py": b"raise SystemExit('a script of a data set must not run')",
    "weights.pkl": b"cos\nsystem\n",
}


def test_parquet_files_are_fetched_once_and_then_read_without_a_connection(hub: Hub) -> None:
    hub.add("datasets", "anna/pets", PETS)
    with pytest.raises(DataError, match=r"hf://datasets/anna/pets is not on this computer; add `download=True`"):
        load_image_set("hf://datasets/anna/pets")
    assert hub.asked == []  # nothing is asked without being told to
    told: list[tuple[str, int, int]] = []
    pets = load_image_set(
        "hf://datasets/anna/pets", access=Access(download=True, on_download=lambda *what: told.append(what))
    )
    assert (pets.name, pets.class_names) == ("anna-pets", ("cat", "dog"))
    assert {name: len(split) for name, split in pets.splits.items()} == {"train": 12, "test": 6}
    assert pets.splits["train"].images[0, 0, 0, 0] == 0
    assert any(note.startswith("Fetched from hf://datasets/anna/pets, commit ") for note in pets.notes)
    assert told[-1][1] == told[-1][2] == sum(len(PETS[name]) for name in PETS if name.endswith(".parquet"))
    fetched = [path for method, path, _ in hub.asked if method == "GET" and "/resolve/" in path]
    assert len(fetched) == 3
    assert not any(path.endswith((".py", ".pkl", ".md")) for path in fetched)
    hub.asked.clear()
    assert load_image_set("hf://datasets/anna/pets").fingerprint == pets.fingerprint
    assert hub.asked == []
    assert clear_cache() > 0
    with pytest.raises(DataError, match="is not on this computer"):
        load_image_set("hf://datasets/anna/pets")


def test_what_the_hub_converted_is_taken_where_the_data_set_has_other_files(hub: Hub) -> None:
    hub.add("datasets", "anna/pets", {"pets.py": b"", "pets.zip": b"PK"})
    converted = {
        f"{config}/{split}/0000.parquet": parquet(first)
        for config, first in (("small", 0), ("large", 100))
        for split in ("train", "test")
    }
    hub.add("datasets", "anna/pets", converted, revision="refs/convert/parquet")
    with pytest.raises(DataError, match="has the configs large, small; name one, as hf://datasets/anna/pets/large"):
        load_image_set("hf://datasets/anna/pets", access=FETCH)
    with pytest.raises(DataError, match="has no config tiny; it has large, small"):
        load_image_set("hf://datasets/anna/pets/tiny", access=FETCH)
    large = load_image_set("hf://datasets/anna/pets/large", access=FETCH)
    assert large.name == "anna-pets-large"
    assert {name: len(split) for name, split in large.splits.items()} == {"train": 6, "test": 6}
    assert large.splits["train"].images[0, 0, 0, 0] == 100


def test_a_folder_of_images_is_read_as_one(hub: Hub) -> None:
    files = {
        f"{split}/{kind}/{number}.png": png(number)
        for split in ("train", "test")
        for kind in ("cat", "dog")
        for number in range(3)
    }
    hub.add("datasets", "anna/photos", {**files, "README.md": b"", "train/cat/._0.png": b"x", "model.bin": b"x"})
    hub.listed = {"../../outside.png": 5, "train/../../../outside.png": 5}
    photos = load_image_set("hf://datasets/anna/photos", access=FETCH)
    assert photos.class_names == ("cat", "dog")
    assert {name: len(split) for name, split in photos.splits.items()} == {"train": 6, "test": 6}
    assert not any("outside" in path or "._0" in path or ".bin" in path for path in hub.paths())


def test_a_revision_is_another_image_set(hub: Hub) -> None:
    hub.add("datasets", "anna/pets", PETS)
    hub.add("datasets", "anna/pets", {"data/train.parquet": parquet(50)}, revision="v2")
    newest = load_image_set("hf://datasets/anna/pets", access=FETCH)
    second = load_image_set("hf://datasets/anna/pets@v2", access=FETCH)
    assert len(newest.splits["train"]) == 12
    assert second.splits["train"].images[0, 0, 0, 0] == 50
    assert load_image_set("hf://datasets/anna/pets").fingerprint == newest.fingerprint


def test_a_transfer_that_broke_off_leaves_nothing_that_is_read(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("datasets", "anna/pets", PETS)
    from stepladder.datasets.sources import hub as source

    real, calls = source.fetch_file, []

    def broken(*arguments: object, **named: object) -> Path:
        calls.append(arguments)
        if len(calls) == 2:
            raise DataError("the line broke")
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(source, "fetch_file", broken)
    with pytest.raises(DataError, match="the line broke"):
        load_image_set("hf://datasets/anna/pets", access=FETCH)
    with pytest.raises(DataError, match="is not on this computer"):
        load_image_set("hf://datasets/anna/pets")
    assert len(load_image_set("hf://datasets/anna/pets", access=FETCH).splits["train"]) == 12


def test_what_has_no_images_is_a_sentence(hub: Hub) -> None:
    hub.add("datasets", "anna/words", {"train.txt": b"words", "README.md": b""})
    with pytest.raises(DataError, match=r"has no parquet files, none that the Hub converted, and no folders of images"):
        load_image_set("hf://datasets/anna/words", access=FETCH)
    with pytest.raises(DataError, match="`data_dir` is where a named image set is"):
        load_image_set("hf://datasets/anna/words", access=Access(data_dir="."))
