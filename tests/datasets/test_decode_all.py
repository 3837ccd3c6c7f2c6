"""All images of a set: one array, one shape, all damage collected, deterministic; and what is said of it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stepladder.datasets import Split, cache, encoded, filesystem, load_image_set, make_splits
from stepladder.datasets import decode_all as room
from stepladder.datasets.decode import decode_fitted, decode_image, fit_image, fit_square, with_channels
from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import Encoded, identify
from stepladder.datasets.image_set import FITS
from stepladder.datasets.mapped import release
from stepladder.datasets.shapes import DefaultSize, ShapeOptions
from stepladder.errors import DamagedImagesError, DataError, StepladderWarning


def in_memory(contents: list[bytes | None], labels: list[int] | None = None, chunk: int = 3) -> Encoded:
    def read():
        for start in range(0, len(contents), chunk):
            yield contents[start : start + chunk]

    numbers = np.array(labels if labels is not None else range(len(contents)), dtype=np.int64)
    return Encoded(numbers, read, lambda position: f"row {position}", identify(Path(), [], repr(contents).encode()))


def test_equal_sizes_are_kept_in_order(encode):
    contents = [encode(seed=i, size=(9, 5)) for i in range(40)]
    splits, notes, *_ = decode_splits({"train": in_memory(contents[:30]), "test": in_memory(contents[30:])})
    assert notes == ()
    assert splits["train"].images.shape == (30, 5, 9, 3)
    images = np.concatenate([splits["train"].images, splits["test"].images])
    np.testing.assert_array_equal(images, np.stack([decode_image(content) for content in contents]))
    assert splits["test"].labels.tolist() == list(range(10))


def test_splits_share_one_array(encode):
    contents = [encode(seed=i) for i in range(4)]
    splits, _, *_ = decode_splits({"test": in_memory(contents[:2]), "train": in_memory(contents[2:])})
    assert splits["train"].images.base is splits["test"].images.base


@pytest.mark.parametrize("first", ["L", "RGB"])
def test_channels_are_gray_only_if_all_are(encode, first):
    modes = ["L", "RGB"] if first == "L" else ["RGB", "L"]
    mixed = {"train": in_memory([encode(mode=modes[0], seed=1)]), "test": in_memory([encode(mode=modes[1], seed=2)])}
    splits, notes, *_ = decode_splits(mixed)
    assert splits["train"].images.shape == splits["test"].images.shape == (1, 8, 8, 3)
    gray = splits["train" if first == "L" else "test"].images
    assert (gray == gray[..., :1]).all()
    assert notes == ("1 of 2 images are gray and were given three equal channels.",)
    gray_only, _, *_ = decode_splits({"train": in_memory([encode(mode="L")] * 2)})
    assert gray_only["train"].images.shape == (2, 8, 8, 1)


def test_sizes_that_differ_get_the_median_shorter_side(encode):
    sizes = [(20, 20)] * 5 + [(30, 24)] * 3 + [(12, 40)] * 2
    contents = [encode(seed=i, size=size) for i, size in enumerate(sizes)]
    splits, notes, *_ = decode_splits({"train": in_memory(contents)})
    assert splits["train"].images.shape == (10, 20, 20, 3)
    (note,) = notes
    assert "12 to 24 pixels" in note
    assert "20×20" in note
    expected = np.stack([fit_square(decode_image(content), 20) for content in contents])
    np.testing.assert_array_equal(splits["train"].images, expected)


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ([(224, 256)] * 3, (64, 64)),  # the same whether all are equal
        ([(224, 256), (224, 256), (200, 260)], (64, 64)),  # or one differs
        ([(65, 65)] * 3, (64, 64)),
        ([(65, 12)] * 3, (12, 12)),
        ([(64, 12)] * 3, (12, 64)),  # of one size up to 64 pixels, square or not
        ([(64, 64)] * 3, (64, 64)),
        ([(20, 30), (200, 300), (200, 300)], (64, 64)),
        ([(200, 300), (20, 30), (20, 30)], (20, 20)),  # the first image lets expect another size
    ],
)
def test_one_rule_for_the_size(encode, sizes, shape):
    contents = [encode("JPEG", size=size, seed=seed) for seed, size in enumerate(sizes)]
    splits, notes, *_ = decode_splits({"train": in_memory(contents)}, shape=ShapeOptions(fit="crop"))
    assert splits["train"].images.shape == (3, *shape, 3)
    expected = np.stack([decode_fitted(content, *shape) for content in contents])
    np.testing.assert_array_equal(splits["train"].images, expected)
    said = "By default only images of one size up to 64 pixels keep it, and others get their median side, at most 64"
    assert [said in note for note in notes] == ([] if set(sizes) == {shape[::-1]} else [True])


@pytest.mark.parametrize(
    ("size", "shape"), [((64, 64), (224, 224)), ((64, 80), (224, 224)), ((63, 63), (63, 63)), ((63, 80), (63, 63))]
)
def test_the_size_of_a_pretrained_network_is_for_photographs_of_64_pixels_or_more(encode, size, shape):
    contents = [encode("JPEG", size=size, seed=seed) for seed in range(2)]
    asked = ShapeOptions(default_size=DefaultSize(224, photographs_only=True))
    splits, _, *_ = decode_splits({"train": in_memory(contents)}, shape=asked)
    assert splits["train"].images.shape == (2, *shape, 3)


def test_photographs_are_read_once(encode, monkeypatch):
    calls = []
    monkeypatch.setattr(room, "decode_fitted", lambda *given: calls.append(1) or decode_fitted(*given))
    monkeypatch.setattr(room, "decode_image", lambda *_: pytest.fail("decoded in full"))
    sizes = [(90 + seed, 100) for seed in range(10)]
    decode_splits({"train": in_memory([encode("JPEG", size=size) for size in sizes])})
    assert len(calls) == 10


def test_a_size_that_is_asked_for_wins_over_that_of_a_network(encode):
    contents = [encode(size=(9, 5), seed=seed) for seed in range(3)]
    for asked, side in (
        ({"size": 12}, 12),
        ({"default_size": DefaultSize(20)}, 20),
        ({"size": 12, "default_size": DefaultSize(20)}, 12),
    ):
        splits, notes, *_ = decode_splits({"train": in_memory(contents)}, shape=ShapeOptions(**asked))
        assert splits["train"].image_shape == (side, side, 3)
        assert ("The network learned from images of 20×20" in notes[0]) == (side == 20)
        assert "median side" not in notes[0]


def test_the_size_of_a_network_takes_what_is_kept_of_the_same_size(tmp_path, write_folder, monkeypatch):
    root = str(write_folder(tmp_path / "set", {"a": 60, "b": 60}))
    asked = load_image_set(root, size=12)
    monkeypatch.setattr(room, "decode_fitted", lambda *_: pytest.fail("decoded again"))
    found = load_image_set(root, size=DefaultSize(12))
    assert found.fingerprint == asked.fingerprint
    assert found.notes[0].endswith(" The network learned from images of 12×12; `size=N` takes another.")
    assert asked.notes[0].endswith("the 12×12 center kept.")


NOTES = {
    "crop": "the shorter side of each was resized to 10 pixels, antialiased, and the 10×10 center kept.",
    "pad": "the longer side of each was resized to 10 pixels, antialiased, and black added up to 10×10.",
    "stretch": "each was resized to 10×10 pixels, antialiased, both sides by themselves.",
}


@pytest.mark.parametrize("fit", FITS)
def test_every_way_to_give_images_gives_the_same_pixels(tmp_path, encode, fit):
    contents = [encode(size=(80, 70), seed=seed) for seed in range(6)]
    labels = [f"class{seed % 2}" for seed in range(6)]
    rows = sorted(zip(labels, contents, strict=True), key=lambda row: row[0])
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "a.tar", "w") as archive:
        for number, (label, content) in enumerate(rows):
            (tmp_path / "folder" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / label / f"{number}.png").write_bytes(content)
            for name, body in ((f"{number}.png", content), (f"{number}.cls", label.encode())):
                member = tarfile.TarInfo(name)
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
    table = [f"folder/{label}/{number}.png,{label}\n" for number, (label, _) in enumerate(rows)]
    (tmp_path / "table.csv").write_text("path,label\n" + "".join(table))
    columns = {"image": [{"bytes": content} for _, content in rows], "label": [label for label, _ in rows]}
    pq.write_table(pa.table(columns), tmp_path / "set.parquet")
    arrays = np.stack([decode_image(content) for _, content in rows]), [label for label, _ in rows]
    np.savez(tmp_path / "set.npz", images=arrays[0], labels=np.array(arrays[1]))
    items = [(Image.open(io.BytesIO(content)), label) for label, content in rows]
    ways = [*(tmp_path / name for name in ("folder", "table.csv", "set.parquet", "shards", "set.npz")), arrays]

    dataset = type("Dataset", (), {"__len__": lambda _: len(items), "__getitem__": lambda _, at: items[at]})()
    for asked in ({"size": 10}, {}):
        sets = [load_image_set(way, fit=fit, **asked) for way in (*ways, dataset)]
        side = asked.get("size", 64)
        expected = np.stack([fit_image(image, side, side, fit) for image in arrays[0]])
        for found in sets:
            np.testing.assert_array_equal(found.splits["train"].images, expected)
            assert found.fit == fit
            # What was taken for labels is said of tables alone.
            assert [note for note in found.notes if not note.startswith("Labels: ")] == list(sets[0].notes)
        assert len({found.fingerprint for found in sets}) == 1
        assert NOTES[fit].replace("10", str(side)) in sets[0].notes[0]


def test_the_fit_is_part_of_the_fingerprint_where_it_is_not_the_usual_one(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 2})
    sets = {fit: load_image_set(root, fit=fit) for fit in FITS}  # of one size, so that the pixels are the same
    assert len({found.splits["train"].fingerprint for found in sets.values()}) == 1
    assert len({found.fingerprint for found in sets.values()}) == 3
    assert sets["crop"].fingerprint == load_image_set(root).fingerprint
    # As it has been since the first version.
    assert load_image_set("digits").fingerprint.startswith("39844f45b17c")


def test_an_image_set_keeps_its_size_and_its_fit(make_set):
    images = make_set({"train": [2, 2]})
    large = replace(
        images, splits={"train": Split(np.zeros((4, 100, 90, 1), np.uint8), np.array([0, 1, 0, 1]))}, fit="pad"
    )
    assert load_image_set(large, size=DefaultSize(224)) is large
    assert load_image_set(large, channels=3).image_shape == (100, 90, 3)
    smaller = load_image_set(large, size=30)
    assert smaller.image_shape == (30, 30, 1)
    assert smaller.fit == "pad"
    assert "black added" in smaller.notes[-1]
    assert load_image_set(large, size=30, fit="stretch").fit == "stretch"


def test_memory_of_a_large_mapped_set_is_given_back_while_it_is_made(tmp_path, write_folder, monkeypatch):
    root = write_folder(tmp_path / "set", {"a": 300, "b": 300})
    expected = load_image_set(str(root)).fingerprint
    for kept in (tmp_path / "own cache" / "decoded-1").iterdir():
        kept.unlink()
    given_back = []
    monkeypatch.setattr(room, "FEWEST_RELEASED", 100 * 8 * 8 * 3)
    monkeypatch.setattr(room, "release", lambda part: given_back.append(len(part)) or release(part))
    again = load_image_set(str(root))
    assert given_back == [256, 256]  # a chunk of images each, and what is left at the end is little
    assert again.fingerprint == expected


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_change_nothing(encode, monkeypatch, threads):
    contents = [encode(seed=i, size=(8 + i % 3, 8)) for i in range(50)]
    monkeypatch.setattr(room, "available_cores", lambda: threads)
    splits, _, *_ = decode_splits({"train": in_memory(contents)}, shape=ShapeOptions(fit="crop"))
    expected = np.stack([fit_square(decode_image(content), 8) for content in contents])
    np.testing.assert_array_equal(splits["train"].images, expected)


@pytest.mark.parametrize("sizes", [(8, 8), (8, 9)])
def test_all_damaged_images_are_listed(encode, sizes):
    good = [encode(seed=i, size=(sizes[i % 2], 8)) for i in range(20)]
    contents = [*good]
    contents[0], contents[7], contents[19] = b"", good[7][:-20], None
    with pytest.raises(DamagedImagesError) as caught:
        decode_splits({"train": in_memory(contents)})
    assert [place for place, _ in caught.value.damaged] == ["row 0", "row 7", "row 19"]
    reasons = [reason for _, reason in caught.value.damaged]
    assert "0 bytes" in reasons[0]
    assert "damaged" in reasons[1]
    assert "no image bytes" in reasons[2]


@pytest.mark.parametrize("sizes", [(8, 8), (8, 9)])
def test_skipped_images_leave_the_others_with_their_labels(encode, sizes):
    good = [encode(seed=i, size=(sizes[i % 2], 8)) for i in range(20)]
    contents = [*good]
    for bad in (2, 3, 11, 19):
        contents[bad] = good[bad][:50]
    parts = {"train": in_memory(contents[:12]), "test": in_memory(contents[12:])}
    splits, notes, *_ = decode_splits(parts, skip_damaged=True)
    assert splits["train"].labels.tolist() == [0, 1, 4, 5, 6, 7, 8, 9, 10]
    assert splits["test"].labels.tolist() == [0, 1, 2, 3, 4, 5, 6]
    clean = {"train": in_memory([good[i] for i in (0, 1, *range(4, 11))]), "test": in_memory(good[12:19])}
    expected, _, *_ = decode_splits(clean)
    for name in expected:
        np.testing.assert_array_equal(splits[name].images, expected[name].images)
    assert notes[-1].startswith("4 damaged images were left out: row 2, row 3, row 11")


def test_nothing_left_is_an_error():
    with pytest.raises(DataError, match="none of the 2 images can be decoded; the first: row 0: the file is empty"):
        decode_splits({"train": in_memory([b"", b"x"])}, skip_damaged=True)


def test_progress_ends_at_the_total(encode):
    seen: list[tuple[int, int]] = []
    contents = [encode(seed=i) for i in range(10)]
    decode_splits({"train": in_memory(contents)}, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]


def test_files_too_large_to_be_images_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "video.png"
    path.write_bytes(b"x" * 2_000_001)
    monkeypatch.setattr(filesystem, "MAX_FILE_BYTES", 1_000_000)
    monkeypatch.setattr(os, "read", lambda *_: pytest.fail("was read"))
    with pytest.raises(DamagedImagesError, match="2 MB is more than an image may have"):
        decode_splits({"train": encoded.files([filesystem.file_entry(path)], np.zeros(1, dtype=np.int64))})


def test_more_than_the_memory_is_a_sentence(encode, monkeypatch):
    def refuse(*arguments, **options):
        raise MemoryError

    contents = [encode(), encode()]
    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(DataError, match=r"2 images of 8×8×3 take 0\.0 GB.*`limit`"):
        decode_splits({"train": in_memory(contents)})


def test_a_set_is_decoded_once_and_anew_when_a_file_changes(tmp_path, write_folder, encode, monkeypatch):
    root = write_folder(tmp_path / "set", {"a": 60, "b": 60})
    first = load_image_set(str(root))
    calls = []
    decode = room.decode_image
    monkeypatch.setattr(room, "decode_image", lambda *of, **how: calls.append(1) or decode(*of, **how))
    again = load_image_set(str(root))
    assert not calls
    assert again.fingerprint == first.fingerprint
    assert again.notes == first.notes
    np.testing.assert_array_equal(again.splits["train"].labels, first.splits["train"].labels)
    assert not again.splits["train"].pixels.flags.writeable
    load_image_set(str(root), limit=55)
    assert len(calls) == 110  # other images than before
    (root / "a" / "0003.png").write_bytes(encode(seed=99))
    changed = load_image_set(str(root))
    assert changed.fingerprint != first.fingerprint


def test_what_was_left_out_is_left_out_again(tmp_path, write_folder):
    root = write_folder(tmp_path / "set", {"a": 60, "b": 60})
    (root / "b" / "0007.png").write_bytes(b"no image")
    first, again = (load_image_set(str(root), skip_damaged=True) for _ in range(2))
    assert first.notes == again.notes
    assert "1 damaged image was left out" in first.notes[-1]
    assert len(again.splits["train"]) == 119
    assert again.fingerprint == first.fingerprint
    with pytest.raises(DamagedImagesError, match=r"0007\.png"):
        load_image_set(str(root))


@pytest.fixture
def mixed(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 3, "dog": 2}, size=(20, 12))
    (root / "dog" / "gray.png").write_bytes(encode(mode="L", size=(16, 16), seed=77))
    return root


def test_gray_is_what_pillow_makes():
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(with_channels(image, 1)[:, :, 0], np.asarray(Image.fromarray(image).convert("L")))
    exact = np.rint(image @ np.array([0.299, 0.587, 0.114]))
    assert abs(with_channels(image, 1)[:, :, 0] - exact).max() <= 1
    np.testing.assert_array_equal(with_channels(image, 3), image)
    np.testing.assert_array_equal(with_channels(image[:, :, :1], 3), np.concatenate([image[:, :, :1]] * 3, axis=2))


def test_the_chosen_size_and_channels_are_said(mixed):
    notes = load_image_set(str(mixed), fit="crop").notes
    assert notes == (
        "Image sizes differ (shorter side 12 to 16 pixels): the shorter side of each was resized to 12 pixels, "
        "antialiased, and the 12×12 center kept. By default only images of one size up to 64 pixels keep it, and "
        "others get their median side, at most 64; `size=N` takes another.",
        "1 of 6 images are gray and were given three equal channels.",
    )


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("size", [None, 6, 12, 30])
def test_encoded_images(mixed, size, channels):
    image_set = load_image_set(str(mixed), size=size, fit="crop", channels=channels)
    images = image_set.splits["train"].images
    side, depth = size or 12, channels or 3
    assert images.shape == (6, side, side, depth)
    first = decode_image((mixed / "cat" / "0000.png").read_bytes())
    np.testing.assert_array_equal(images[0], fit_square(with_channels(first, depth), side))
    said = " ".join(image_set.notes)
    assert f"{side}×{side} center kept" in said
    assert ("were made gray" in said) == (channels == 1)
    assert ("three equal channels" in said) == (channels != 1)


def test_images_that_have_the_shape_are_not_spoken_of(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 2})
    image_set = load_image_set(str(root), size=8, channels=3)
    assert image_set.notes == ()
    np.testing.assert_array_equal(image_set.splits["train"].images, load_image_set(str(root)).splits["train"].images)


def test_images_of_one_size_are_resized_when_asked(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 2}, size=(20, 12))
    notes = [load_image_set(str(root), size=6, fit=fit, channels=1).notes[0] for fit in ("crop", None)]
    assert notes[0].startswith(
        "The images have 20×12 pixels: the shorter side of each was resized to 6 pixels, antialiased"
    )
    assert notes[1].endswith(
        "and black added up to 6×6. A crop would take 40 % of the median image away, so images are padded; say "
        "`fit='crop'` to crop."
    )


def test_images_that_come_as_pixels():
    plain = load_image_set("digits", limit=3)
    image_set = load_image_set("digits", limit=3, size=16, channels=3)
    images = image_set.splits["train"].images
    assert images.shape == (30, 16, 16, 3)
    np.testing.assert_array_equal(images[7], fit_square(with_channels(plain.splits["train"].images[7], 3), 16))
    assert list(image_set.notes[-2:]) == [
        "The images have 8×8 pixels: the shorter side of each was resized to 16 pixels, antialiased, and the 16×16 "
        "center kept.",
        "All images are gray and were given three equal channels.",
    ]
    assert load_image_set("digits", size=8, channels=1).fingerprint == load_image_set("digits").fingerprint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "`size` is 0; it must be 1 to 1024 pixels"),
        ({"size": 5000}, "`size` is 5000; it must be"),
        ({"size": DefaultSize(0)}, "`default_size` is 0; it must be 1 to 1024 pixels"),
        ({"fit": "squash"}, r"unknown fit 'squash'. Known: crop, pad, stretch"),
        ({"channels": 2}, r"`channels` is 2; it must be 1 \(gray\) or 3 \(color\), or be left out"),
    ],
)
def test_shapes_that_are_not_allowed(options, words):
    with pytest.raises(DataError, match=words):
        load_image_set("digits", **options)


@pytest.mark.long
@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"damaged": 3, "shapes": None},
        {"damaged": [3], "shapes": None},
        {"damaged": [[3, "why", 4]], "shapes": None},
        {"damaged": [[600, "no such image"]], "shapes": None},
        {"damaged": [["3", "why"]], "shapes": None},
        {"damaged": [[[3], "why"]], "shapes": None},
        {"damaged": [[3, 4]], "shapes": None},
        {"damaged": [], "shapes": 7},
        {"damaged": [], "shapes": {"height": 8}},
        {"damaged": [], "shapes": {"height": "8", "width": 8, "low": 8, "high": 8, "gray": 0, "color": 600}},
    ],
    ids=str,
)
def test_facts_in_the_cache_that_are_none_are_no_traceback(tmp_path, write_folder, facts):
    root = write_folder(tmp_path / "set", {"a": 60, "b": 60})
    expected = load_image_set(str(root))
    (path,) = (tmp_path / "own cache" / "decoded-1").glob("*.json")
    kept = json.loads(path.read_text())
    pixels = np.fromfile(path.with_suffix(".pixels"), np.uint8).reshape(kept["shape"])
    path.write_text(json.dumps(kept | {"facts": facts, "crc32": cache._checksum(pixels, facts)}))
    with pytest.warns(StepladderWarning, match=r"json does not say what it should\); they are decoded again"):
        again = load_image_set(str(root))
    assert again.fingerprint == expected.fingerprint
    assert json.loads(path.read_text()) == kept


def test_one_wrong_bit_in_the_cache_changes_no_image(tmp_path, write_folder):
    root = write_folder(tmp_path / "set", {"a": 60, "b": 60})
    expected = load_image_set(str(root)).fingerprint
    (path,) = (tmp_path / "own cache" / "decoded-1").glob("*.pixels")
    random = np.random.default_rng(0)
    for _ in range(10):
        content = bytearray(path.read_bytes())
        content[random.integers(len(content))] ^= 1 << random.integers(8)
        path.write_bytes(content)
        with pytest.warns(StepladderWarning, match="has another checksum than it had"):
            assert load_image_set(str(root)).fingerprint == expected
    assert load_image_set(str(root)).fingerprint == expected


class LazyPool:
    """Does what it is given when somebody asks for the result."""

    def __init__(self, _threads):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, work, *arguments):
        return SimpleNamespace(result=lambda: work(*arguments))


def test_encoded_images_that_wait_for_a_thread_are_bounded(monkeypatch):
    monkeypatch.setattr(room, "available_cores", lambda: 1)
    monkeypatch.setattr(room, "ThreadPoolExecutor", LazyPool)
    monkeypatch.setattr(room, "_MOST_WAITING", 1000)
    monkeypatch.setattr(room, "CHUNK_BYTES", 500)
    done = []

    def chunks(size):
        for number in range(4):
            done.append(f"read {number}")
            yield [bytes(size)]

    def work(position, _content):
        done.append(f"work {position}")

    def order(size):
        done.clear()
        room._for_each(lambda: chunks(size), 4, work, None, np.zeros((4, 1, 1, 1), np.uint8))
        return ", ".join(done)

    # Two a thread wait where they are small, and one where two are more than may wait.
    assert order(100) == "read 0, read 1, read 2, work 0, read 3, work 1, work 2, work 3"
    assert order(600) == "read 0, read 1, work 0, read 2, work 1, read 3, work 2, work 3"


def wide_png(low: int, high: int, seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(low, high + 1, (8, 8), dtype=np.uint16)
    values[0, :2] = low, high
    target = io.BytesIO()
    Image.fromarray(values).save(target, "PNG")
    return target.getvalue()


def wide_parts(test: tuple[int, int] | None = (0, 65_535)) -> dict[str, encoded.Encoded]:
    contents = [wide_png(200, 1700, seed) for seed in range(10)]
    parts = {"train": in_memory(contents)}
    return parts if test is None else {**parts, "test": in_memory([wide_png(*test, seed=99)])}


def test_little_use_of_16_bits_is_said():
    decoded = decode_splits(wide_parts())
    assert decoded.splits["train"].images.max() == 7
    assert decoded.notes == (
        "11 images have 16 bits a pixel, and the training images use 200 to 1,700 of 0 to 65,535: of 256 gray levels 7 "
        "are left. `stretch=True` makes these values black to white.",
    )
    assert decoded.span is None
    assert decode_splits({"train": in_memory([wide_png(0, 40_000)] * 2)}).notes == ()
    assert decode_splits({"train": in_memory([wide_png(0, 257 * 3, seed) for seed in range(2)] * 60)}).notes != ()


def test_values_are_spread_by_what_the_training_images_use_alone():
    decoded = decode_splits(wide_parts(), shape=ShapeOptions(stretch=True))
    assert decoded.span == (200, 1700)
    train, test = (decoded.splits[name].images for name in ("train", "test"))
    assert (train.min(), train.max()) == (0, 255)
    assert len(np.unique(train)) > 200
    again = decode_splits(wide_parts((500, 600)), shape=ShapeOptions(stretch=True))
    assert again.span == (200, 1700)
    np.testing.assert_array_equal(again.splits["train"].images, train)
    assert again.splits["test"].images.max() == round((600 - 200) * 255 / 1500)
    assert test.max() == 255
    assert decoded.notes == (
        "11 images have 16 bits a pixel: 200 to 1,700, which the training images use of 0 to 65,535, became black to "
        "white.",
    )


def test_images_that_will_be_set_aside_as_test_have_no_part_in_it(tmp_path):
    for number in range(40):
        (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / "ab"[number % 2] / f"{number:02}.png").write_bytes(wide_png(200, 1700, number))
    images = load_image_set(tmp_path / "set")
    test_rows = make_splits(images).test.rows
    files = sorted((tmp_path / "set").glob("*/*"))
    for row in test_rows:
        files[row].write_bytes(wide_png(0, 60_000, seed=int(row)))
    stretched = load_image_set(tmp_path / "set", stretch=True)
    assert stretched.span == (200, 1700)
    assert make_splits(stretched).train.images.max() == 255
    files[make_splits(images).train.rows[0]].write_bytes(wide_png(0, 3000))
    assert load_image_set(tmp_path / "set", stretch=True).span == (0, 3000)


def test_stretched_pixels_come_back_from_the_cache_with_what_was_done(tmp_path):
    for number in range(120):
        (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / "ab"[number % 2] / f"{number:03}.png").write_bytes(wide_png(200, 1700, number))
    first, plain = load_image_set(tmp_path / "set", stretch=True), load_image_set(tmp_path / "set")
    again = load_image_set(tmp_path / "set", stretch=True)
    assert not again.splits["train"].pixels.flags.writeable
    assert (again.span, again.notes, again.fingerprint) == (first.span, first.notes, first.fingerprint)
    assert again.fingerprint != plain.fingerprint
    assert load_image_set(tmp_path / "set").notes == plain.notes


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (lambda encode: [encode(), encode(seed=1)], "no training image is one; leave `stretch` out"),
        (lambda _: [wide_png(9, 9), wide_png(9, 9)], "all training images of 16 bits hold 9 alone; leave it out"),
    ],
)
def test_nothing_to_stretch_is_said(encode, contents, words):
    with pytest.raises(DataError, match=words):
        decode_splits({"train": in_memory(contents(encode))}, shape=ShapeOptions(stretch=True))


@pytest.mark.parametrize("data", ["digits", (np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1])])
def test_sets_of_bytes_have_nothing_to_stretch(data):
    with pytest.raises(DataError, match="no training image is one; leave `stretch` out"):
        load_image_set(data, stretch=True)


def test_an_image_set_is_stretched_when_it_is_loaded(make_set):
    with pytest.raises(DataError, match="load it with `stretch`"):
        load_image_set(make_set({"train": [2, 2]}), stretch=True)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_files_of_0_and_1_alone_are_kept_and_said(tmp_path, mode):
    masks = np.random.default_rng(0).integers(0, 2, (12, 8, 8), dtype=np.uint8)
    for split in ("train", "test"):
        for number, mask in enumerate(masks):
            path = tmp_path / split / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).convert(mode).save(path)
    for _ in range(2):  # the second comes from the cache
        images = load_image_set(tmp_path)
        assert images.splits["train"].images.max() == 1
        said = [note for note in images.notes if "values 0 and 1" in note]
        assert said == [
            "The images hold the values 0 and 1 alone, of 0 to 255, and are nearly black: if they are masks, save them "
            "with 0 and 255."
        ]
    Image.fromarray(200 * masks[0]).convert(mode).save(tmp_path / "train" / "a" / "0.png")
    (note,) = (note for note in load_image_set(tmp_path).notes if "values 0 and 1" in note)
    assert note.startswith("The test images hold the values 0 and 1 alone")
