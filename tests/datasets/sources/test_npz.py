"""NumPy archives: bytes and floats become the right images; objects and lies become a sentence."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.datasets import load_image_set
from stepladder.datasets.sources import npz
from stepladder.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def save(tmp_path):
    def write(compress=False, **arrays):
        path = tmp_path / "my set.npz"
        (np.savez_compressed if compress else np.savez)(path, **arrays)
        return str(path)

    return write


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("x_train", "y_train", "x_test", "y_test"), ("train", "test")),
        (("x_train", "y_train", "x_val", "y_val"), ("train", "validation")),
        (("train_images", "train_labels", "val_images", "val_labels"), ("train", "validation")),
        (("train_images", "train_labels", "test_images", "test_labels"), ("train", "test")),
    ],
)
def test_keras_and_medmnist_names(save, names, splits, compress):
    path = save(compress, **dict(zip(names, (IMAGES, LABELS[:, None], IMAGES[3:], LABELS[3:, None]), strict=True)))
    image_set = load_image_set(path)
    assert image_set.name == "my-set"
    assert image_set.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(image_set.splits[splits[0]].images, IMAGES)
    np.testing.assert_array_equal(image_set.splits[splits[1]].images, IMAGES[3:])
    assert image_set.splits[splits[0]].labels.tolist() == LABELS.tolist()
    assert image_set.notes == ()


def test_gray_images_without_a_channel(save):
    train = load_image_set(save(images=IMAGES[..., 0], labels=LABELS)).splits["train"]
    np.testing.assert_array_equal(train.images, IMAGES[..., :1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_floats_from_0_to_1_are_recognised_and_said(save, dtype):
    image_set = load_image_set(save(x_train=(IMAGES / 255).astype(dtype), y_train=LABELS))
    np.testing.assert_array_equal(image_set.splits["train"].images, IMAGES)
    (note,) = image_set.notes
    assert "from 0 to 1" in note or "from 0.0" in note
    assert "multiplied by 255, rounded" in note


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint16])
def test_numbers_from_0_to_255_are_recognised_and_said(save, dtype):
    image_set = load_image_set(save(x_train=IMAGES.astype(dtype), y_train=LABELS))
    np.testing.assert_array_equal(image_set.splits["train"].images, IMAGES)
    assert "they are taken as 0 to 255 and were kept" in image_set.notes[0]


def test_a_dark_test_split_is_not_stretched(save):
    dark = np.zeros((3, 5, 4, 3), dtype=np.float32)
    dark[:, 0, 0] = 2
    path = save(x_train=IMAGES.astype(np.float32), y_train=LABELS, x_test=dark, y_test=LABELS[:3])
    assert load_image_set(path).splits["test"].images.max() == 2


def test_by_column_and_several_pieces(save, monkeypatch):
    monkeypatch.setattr("stepladder.datasets.sources.npz._PIECE_BYTES", 130)
    for arrays in (np.asfortranarray(IMAGES), IMAGES, (IMAGES / 255).astype(np.float32)):
        images = load_image_set(save(x_train=arrays, y_train=LABELS)).splits["train"].images
        np.testing.assert_array_equal(images, IMAGES)


def test_labels_of_several_kinds(save):
    for labels in (LABELS.astype(np.float32), LABELS.astype(np.uint8), np.array(["b", "c", "a", "b", "c", "a"])):
        assert load_image_set(save(x_train=IMAGES, y_train=labels)).num_classes == 3
    assert load_image_set(save(x_train=IMAGES, y_train=np.array([b"x", b"y"] * 3))).class_names == ("x", "y")


def with_value(value):
    images = (IMAGES / 255).astype(np.float32)
    images[4, 1, 1, 1] = value
    return images


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": with_value(np.nan), "y_train": LABELS}, "image 4 of x_train.npy has NaN or infinite pixels; mend"),
        ({"x_train": with_value(np.inf), "y_train": LABELS}, "image 4 of x_train.npy has NaN or infinite"),
        ({"x_train": with_value(-1), "y_train": LABELS}, "pixels from -1 to 1; save them as uint8"),
        (
            {"x_train": IMAGES.astype(np.int32) * 2, "y_train": LABELS},
            "pixels from [0-9] to 5[01][0-9]; save",
        ),
        ({"x_train": IMAGES.astype(complex), "y_train": LABELS}, "holds complex128; images are uint8, or floats"),
        ({"x_train": IMAGES}, "has x_train but no y_train"),
        (
            {"arr_0": IMAGES, "arr_1": LABELS},
            r"no training images: .* x_train and y_train.*arr_0, arr_1",
        ),
        ({"x_test": IMAGES, "y_test": LABELS}, "no training images"),
        ({"x_train": IMAGES, "y_train": LABELS[:5]}, "has the shape 5 for 6 images"),
        ({"x_train": IMAGES, "y_train": np.eye(6)}, "has the shape 6×6 for 6 images; it must hold one class an image"),
        ({"x_train": IMAGES[0, 0], "y_train": LABELS[:4]}, "has the shape 4×3; images are"),
        ({"x_train": np.moveaxis(IMAGES, 3, 1), "y_train": LABELS}, "channels first .*save it as"),
        ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, "has the shape 0×5×4×3"),
        ({"x_train": IMAGES, "y_train": LABELS + 0.5}, "label 0 of y_train.npy is 0.5, which is no whole number"),
        ({"x_train": IMAGES, "y_train": np.array(["a", " ", "b", "a", "b", "b"])}, "label 1 of y_train.npy is blank"),
        ({"x_train": IMAGES, "y_train": LABELS.astype("M8[s]")}, "labels are whole numbers or names"),
        (
            {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:2], "y_test": LABELS[:2]},
            "test split lacks the class 2",
        ),
    ],
)
def test_bad_arrays_are_said_to_be(save, arrays, words):
    with pytest.raises(DataError, match=words):
        load_image_set(save(**arrays))


class Evil:
    """Would make a folder if anybody unpickled it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (self.path,)


@pytest.mark.parametrize("which", ["x_train", "y_train"])
def test_objects_are_not_unpickled(save, tmp_path, which):
    flag = tmp_path / "ran"
    objects = np.array([Evil(str(flag))] * 6, dtype=object)
    with pytest.raises(DataError, match=rf"{which}.npy holds Python objects, .* was not read: save it as numbers"):
        load_image_set(save(**{"x_train": IMAGES, "y_train": LABELS, which: objects}))
    assert not flag.exists()
    pickle.loads(pickle.dumps(objects[0]))  # the bytes do what we say: Python's own unpickler makes the folder
    assert flag.exists()


def npy(shape: str, dtype: str = "|u1", values: bytes = b"") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


def archive_of(path, files: dict[str, bytes], method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)


@pytest.mark.parametrize(
    "images",
    [
        npy("(1000000, 1000, 1000, 3)"),
        npy("(99999999999999999999, 2, 2, 3)"),
        npy("(-1, 5, 4, 3)", values=bytes(60)),
        npy("(6, 5, 4, 3)", values=bytes(100)),
        npy("(6, 5, 4, 3)", dtype="|O", values=bytes(360)),
        npy("(6, 5, 4, 3)", dtype=[("a", "|u1")], values=bytes(360)),  # type: ignore[arg-type]
        npy("__import__('os').mkdir('ran')"),
        npy("(" * 3000 + ")" * 3000),
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"",
    ],
)
def test_headers_that_lie(tmp_path, images):
    labels = io.BytesIO()
    np.save(labels, LABELS)
    path = archive_of(tmp_path / "a.npz", {"x_train.npy": images, "y_train.npy": labels.getvalue()})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError):
        load_image_set(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_claim_beyond_what_deflate_can_hold(tmp_path):
    path = archive_of(
        tmp_path / "a.npz", {"x_train.npy": npy("(6, 5, 4, 3)", values=bytes(360)), "y_train.npy": npy("(6,)")}
    )
    content = bytearray((tmp_path / "a.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 2**32 - 2)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="claims 4,294,967,294 bytes, more than the file can hold"):
        load_image_set(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_numpy_does_not_write(tmp_path, method):
    path = archive_of(tmp_path / "a.npz", {"x_train.npy": npy("(6, 2, 2)"), "y_train.npy": npy("(6,)")}, method)
    with pytest.raises(DataError, match="packed in a way that NumPy does not write"):
        load_image_set(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz is no readable \.npz file"):
        load_image_set(str(tmp_path / "a.npz"))


@pytest.mark.long
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 7)), max_size=3),
    st.one_of(st.just(0), st.integers(0, 1500)),
)
def test_fuzzed_archives_give_the_right_images_or_a_sentence(save, tmp_path, packed, flips, cut):
    content = bytearray(Path(save(packed, x_train=IMAGES, y_train=LABELS)).read_bytes())
    for position, bit in flips:
        content[position % len(content)] ^= 1 << bit
    (tmp_path / "fuzzed.npz").write_bytes(content[: len(content) - cut])
    try:
        train = load_image_set(str(tmp_path / "fuzzed.npz")).splits["train"]
    except DataError as error:
        assert str(error)  # noqa: PT017
        return
    assert len(train) == len(IMAGES)


@pytest.mark.parametrize("compress", [False, True])
def test_what_it_unpacks_to_is_compared_with_the_memory_before_any_of_it_is_read(save, memory, monkeypatch, compress):
    path = save(compress, x_train=np.zeros((200, 10, 10), np.uint8), y_train=np.arange(200) % 2)
    memory(60_000)
    load_image_set(path)
    monkeypatch.setattr(npz._Stored, "pieces", lambda _: pytest.fail("read"))
    memory(40_000)
    with pytest.raises(DataError) as caught:
        load_image_set(path)
    assert str(caught.value) == (
        f"{path} unpacks to 0.0 GB, more than half of the 0.0 GB of memory here; save fewer or smaller images, or save "
        "them as a folder of images or as parquet, which are read piece by piece"
    )


@pytest.mark.parametrize(
    "arrays",
    [
        {"x_train": np.zeros((200, 10, 10)).astype(order="F", dtype=np.float64)},  # read as a whole
        {"x_train": np.zeros((2, 100, 100, 3), np.float64)},  # of which one image is much more than all their bytes
        {"y_train": np.array(["a" * 400] * 200)},
        {"x_test": np.zeros((700, 10, 10), np.uint8), "y_test": np.arange(700) % 2},
    ],
    ids=["Fortran", "one image", "labels", "all splits together"],
)
def test_all_that_is_held_at_a_time_counts(save, memory, arrays):
    count = len(arrays.get("x_train", range(200)))
    usual = {"x_train": np.zeros((count, 10, 10), np.uint8), "y_train": np.arange(count) % 2}
    path = save(**usual | arrays)
    memory(180_000)
    with pytest.raises(DataError, match=r"unpacks to .* GB, more than half of the .* GB of memory here; save fewer"):
        load_image_set(path)
    memory(10**9)
    load_image_set(path)


MASKS = (IMAGES[..., :1] > 127).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float32, np.uint16])
def test_masks_of_0_and_1_are_black_and_white_whatever_their_type(save, dtype):
    image_set = load_image_set(save(x_train=MASKS.astype(dtype), y_train=LABELS))
    np.testing.assert_array_equal(image_set.splits["train"].images, 255 * MASKS)
    assert "taken as 0 to 1 and were multiplied by 255" in image_set.notes[0]


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (IMAGES / 255, IMAGES, r"x_train.npy from 0 to 1 \(float64\), and x_test.npy from 0 to 255 \(uint8\)"),
        (IMAGES, IMAGES / 255, r"x_test.npy from 0 to 1 \(float64\), and x_train.npy from 0 to 255 \(uint8\)"),
        (IMAGES.astype(np.float32), (IMAGES / 255).astype(np.float32), r"x_test.npy from .*, and x_train.npy from"),
        (IMAGES > 127, IMAGES, r"x_train.npy from 0 to 1 \(bool\), and x_test.npy from 0 to 255"),
        (IMAGES, IMAGES > 127, r"x_test.npy from 0 to 1 \(bool\), and x_train.npy from 0 to 255"),
        (IMAGES, IMAGES // 255, r"x_test.npy from 0 to 1 \(uint8\), and x_train.npy from 0 to 255 \(uint8\)"),
        (1.0 * IMAGES, 1.0 * (IMAGES > 127), r"x_test.npy from 0 to 1 \(float64\), and x_train.npy from 0 to 255"),
        ((IMAGES > 127).astype(np.uint8), IMAGES, r"x_train.npy from 0 to 1 \(uint8\), and x_test.npy"),
    ],
)
def test_splits_of_different_ranges_are_refused_and_both_named(save, train, test, words):
    with pytest.raises(DataError, match=rf"the splits have different ranges: {words}.*; bring all of them to one"):
        load_image_set(save(x_train=train, y_train=LABELS, x_test=test, y_test=LABELS))


def test_splits_of_one_range_and_several_types_are_one(save):
    path = save(x_train=IMAGES / 255, y_train=LABELS, x_test=(IMAGES / 255).astype(np.float16), y_test=LABELS)
    image_set = load_image_set(path)
    np.testing.assert_array_equal(image_set.splits["train"].images, image_set.splits["test"].images)
    path = save(x_train=IMAGES, y_train=LABELS, x_test=IMAGES.astype(np.float32), y_test=LABELS)
    np.testing.assert_array_equal(load_image_set(path).splits["test"].images, IMAGES)


def test_a_black_test_split_has_any_range_and_is_said(save):
    image_set = load_image_set(save(x_train=IMAGES, y_train=LABELS, x_test=0 * IMAGES, y_test=LABELS))
    assert image_set.splits["test"].images.max() == 0
    np.testing.assert_array_equal(image_set.splits["train"].images, IMAGES)
    assert image_set.notes == ("In x_test.npy there is 0 alone: all of these are black.",)


def test_arrays_that_are_not_read_are_named(save):
    assert load_image_set(save(x_train=IMAGES, y_train=LABELS, ids=LABELS, extra=IMAGES)).notes == (
        "Not read: the arrays ids, extra.",
    )
