"""WebDataset's shards: right images and labels, read where they lie."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.datasets import load_image_set
from stepladder.datasets.decode import decode_image
from stepladder.errors import DamagedImagesError, DataError


@pytest.fixture
def shard(encode):
    def write(path: Path, labels: list[str], *, more: dict[str, bytes] | None = None, seed: int = 0, drop: str = ""):
        """A shard of small PNGs with these labels; returns what it wrote."""
        path.parent.mkdir(parents=True, exist_ok=True)
        files = {}
        for i, label in enumerate(labels):
            files[f"{i:05d}.cls"] = label.encode()
            files[f"{i:05d}.png"] = encode(seed=seed + i)
            files[f"{i:05d}.json"] = b"{}"
        files.update(more or {})
        files.pop(drop, None)
        with tarfile.open(path, "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return files

    return write


def test_one_shard(tmp_path, shard):
    files = shard(tmp_path / "my pets.tar", ["10", "9", "10\n"])
    image_set = load_image_set(str(tmp_path / "my pets.tar"))
    assert image_set.name == "my-pets"
    assert image_set.class_names == ("9", "10")
    assert image_set.splits["train"].labels.tolist() == [1, 0, 1]
    for i in range(3):
        np.testing.assert_array_equal(image_set.splits["train"].images[i], decode_image(files[f"{i:05d}.png"]))


@pytest.mark.parametrize(
    "names", [("pets-train-0.tar", "pets-train-1.tar", "pets_test_0.tar"), ("train/0.tar", "train/1.tar", "val/0.tar")]
)
def test_splits_from_the_names_of_shards(tmp_path, shard, names):
    for number, name in enumerate(names):
        shard(tmp_path / name, ["cat", "dog", "dog"], seed=10 * number)
    image_set = load_image_set(str(tmp_path))
    assert len(image_set.splits["train"]) == 6
    assert {len(split) for split in image_set.splits.values()} == {3, 6}
    assert image_set.splits["train"].labels.tolist() == [0, 1, 1] * 2


def test_limit_and_many_chunks(tmp_path, shard, encode):
    files = shard(tmp_path / "a.tar", ["x", "y"] * 300)
    images = load_image_set(str(tmp_path / "a.tar")).splits["train"].images
    np.testing.assert_array_equal(images[599], decode_image(files["00599.png"]))
    assert load_image_set(str(tmp_path / "a.tar"), limit=2).splits["train"].labels.tolist() == [0, 1, 0, 1]


def test_damage_is_named_by_shard_and_member(tmp_path, shard, encode):
    shard(tmp_path / "a.tar", ["x", "y"], more={"b/7.jpg": encode()[:-30], "b/7.cls": b"x"})
    with pytest.raises(DamagedImagesError, match=r"a\.tar member b/7\.jpg: damaged"):
        load_image_set(str(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"drop": "00001.cls"}, "has '00001' without a label; add 00001.cls"),
        ({"drop": "00001.png"}, "has a label for '00001', but no image; add 00001.jpg"),
        ({"more": {"00001.jpg": b"x"}}, "two images called '00001'"),
        ({"more": {"00001.CLS": b"x"}}, "two labels called '00001'"),
        ({"more": {"00001.cls": b" \n"}}, "no readable label in 00001.cls"),
        ({"more": {"00001.cls": b"\xff\xfe"}}, "no readable label"),
        ({"more": {"00001.cls": b"x" * 5000}}, "no readable label"),
        ({"more": {"../7.jpg": b"x"}}, "leads out of the archive"),
    ],
)
def test_bad_shards_are_said_to_be(tmp_path, shard, changes, words):
    shard(tmp_path / "a.tar", ["x", "y"], **changes)
    with pytest.raises(DataError, match=words):
        load_image_set(str(tmp_path / "a.tar"))


def test_no_images_and_no_train(tmp_path, shard):
    shard(tmp_path / "a.tar", [])
    with pytest.raises(DataError, match=r"holds no images; it must hold key\.jpg and key\.cls"):
        load_image_set(str(tmp_path / "a.tar"))
    shard(tmp_path / "two" / "test-0.tar", ["x", "y"])
    shard(tmp_path / "two" / "other.tar", ["x", "y"])
    with pytest.raises(DataError, match=r"no train file; name the files train-\*\.tar, test-\*\.tar"):
        load_image_set(str(tmp_path / "two"))


def test_a_gzipped_shard_is_refused_with_the_fix(tmp_path, shard):
    with tarfile.open(tmp_path / "a.tar", "w:gz"):
        pass
    with pytest.raises(DataError, match=r"no plain tar archive; give an uncompressed \.tar file"):
        load_image_set(str(tmp_path / "a.tar"))


@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 7)), max_size=3), st.integers(0, 8000))
def test_fuzzed_shards_give_images_or_a_sentence(tmp_path, shard, flips, cut):
    path = tmp_path / "a.tar"
    if not path.exists():
        shard(path, ["x", "y"])
    content = bytearray(path.read_bytes()[:7000] + bytes(1024))
    for position, bit in flips:
        content[position % len(content)] ^= 1 << bit
    (tmp_path / "fuzzed.tar").write_bytes(content[: len(content) - cut])
    try:
        assert len(load_image_set(str(tmp_path / "fuzzed.tar")).splits["train"]) <= 2
    except DataError as error:
        assert str(error)  # noqa: PT017


def test_members_that_are_not_read_are_counted_and_their_endings_named(tmp_path, shard, encode):
    dotted = {f"cat.{number:03}.png": encode(seed=number) for number in range(80)}
    more = {**dotted, "__MACOSX/._00001.png": b"", "00001.txt": b"", "LICENSE": b""}
    shard(tmp_path / "a.tar", ["x", "y"] * 20, more=more)
    image_set = load_image_set(str(tmp_path / "a.tar"))
    assert len(image_set.splits["train"]) == 40
    (note,) = image_set.notes
    assert note.startswith("Not read: 123 members were neither image nor label, by ending .json (40), .000.png (1), ")
    assert note.endswith("80 of them may be images: a key ends at its first dot, so rename what has a dot in its key.")


def test_endings_are_named_where_none_is_known(tmp_path, shard, encode):
    shard(tmp_path / "a.tar", [], more={"cat.1.png": encode(), "cat.1.cls": b"x"})
    with pytest.raises(DataError, match=r"holds no images; .* and has members that end in \.1\.png, \.1\.cls"):
        load_image_set(str(tmp_path / "a.tar"))


def test_what_lies_beside_the_shards_is_said(tmp_path, shard, encode):
    shard(tmp_path / "train-0.tar", ["x", "y"])
    for name in ("README.md", "train-1.tar.gz", "._train-0.tar", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "raw").mkdir()
    notes = load_image_set(str(tmp_path)).notes
    assert "Not read: 2 files were beside the shards, by ending .md (1), .gz (1)." in notes
    assert "Not read: folders beside the shards, raw." in notes
