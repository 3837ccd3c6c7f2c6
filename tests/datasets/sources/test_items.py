"""Datasets of other libraries: torch's, with what people put into them, and Hugging Face's, played by a fake."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from stepladder.datasets import as_image_set, load_image_set
from stepladder.datasets.decode import decode_image, fit_square
from stepladder.datasets.sources import items as room
from stepladder.errors import DamagedImagesError, DataError

X = np.random.default_rng(0).integers(0, 256, (7, 8, 5, 3), dtype=np.uint8)
Y = [1, 0, 2, 1, 0, 2, 0]


class Pets(Dataset):
    """Items from lists, as torch's own datasets give them."""

    def __init__(self, images: list[Any], labels: list[Any], classes: list[str] | None = None) -> None:
        self.images, self.labels = images, labels
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        return self.images[position], self.labels[position]


@pytest.mark.parametrize(
    "form",
    [
        lambda image: image,
        Image.fromarray,
        lambda image: torch.from_numpy(image.copy()),
        lambda image: torch.from_numpy(image.copy()).permute(2, 0, 1),
    ],
    ids=["array", "Pillow", "tensor", "tensor, channels first"],
)
@pytest.mark.parametrize("label", [int, np.int64, torch.tensor, str])
def test_torch_items_give_the_set_of_the_arrays(form, label):
    images = as_image_set(Pets([form(image) for image in X], [label(number) for number in Y]))
    assert (images.name, images.class_names) == ("Pets", ("0", "1", "2"))
    assert images.fingerprint == as_image_set((X, Y)).fingerprint
    assert images.notes == ()


def test_classes_name_the_numbers_also_of_a_part():
    pets = Pets(list(X), Y, ["cat", "dog", "eel", "never"])
    images = as_image_set({"train": pets, "test": Subset(pets, [1, 3, 2])}, name="animals")
    assert (images.name, images.class_names) == ("animals", ("cat", "dog", "eel"))
    assert images.notes == ("Classes without any image were left out: never.",)
    np.testing.assert_array_equal(images.splits["test"].images, X[[1, 3, 2]])
    assert images.splits["test"].labels.tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="item 2 of train has the label 2, and the dataset names 2 classes, 0 to 1"):
        as_image_set(Pets(list(X), Y, ["cat", "dog"]))


def test_two_datasets_are_train_and_test():
    tensors = torch.from_numpy(X).permute(0, 3, 1, 2)
    data = TensorDataset(tensors, torch.tensor(Y))
    images = load_image_set((data, Subset(data, range(5))), limit=1)
    assert {name: len(split) for name, split in images.splits.items()} == {"train": 3, "test": 3}
    assert images.name == "TensorDataset"


def test_images_of_several_sizes_and_modes_are_brought_to_one_as_files_are():
    shapes = [(20, 12), (12, 16), (30, 30)]
    pictures = [
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (*shape, 3), dtype=np.uint8))
        for i, shape in enumerate(shapes)
    ]
    pictures.append(pictures[0].convert("L"))
    images = as_image_set(Pets(pictures, [0, 1, 0, 1]))
    assert images.image_shape == (12, 12, 3)
    np.testing.assert_array_equal(images.splits["train"].images[2], fit_square(np.asarray(pictures[2]), 12))
    assert "Image sizes differ (shorter side 12 to 30 pixels)" in images.notes[0]
    assert "1 of 4 images are gray and were given three equal channels." in images.notes
    assert load_image_set(Pets(pictures, [0, 1, 0, 1]), size=9, channels=1).image_shape == (9, 9, 1)


def test_few_large_items_are_held_at_a_time(monkeypatch, encode):
    pictures = [Image.fromarray(np.full((20, 20, 3), number, np.uint8)) for number in range(7)]
    data = hugging_face(encode, Y, ClassLabel("int64", list("abc")))
    longest = max(len(content) for content in data._columns["image"])
    for most, expected in ((1200 * 2, [3, 3, 1]), (1, [1] * 7)):
        monkeypatch.setattr(room, "CHUNK_BYTES", most)
        assert [len(chunk) for chunk in room._Torch(Pets(pictures, Y), "train").read()] == expected
    monkeypatch.setattr(room, "CHUNK_BYTES", 3 * longest)
    chunks = [len(chunk) for chunk in room._HuggingFace(data, "train").read()]
    assert sum(chunks) == 7
    assert chunks[0] == 1
    assert max(chunks) <= 4


def test_a_pass_over_many_items_reads_each_once():
    seen: list[int] = []

    class Counting(Pets):
        def __getitem__(self, position: int) -> tuple[Any, Any]:
            seen.append(position)
            return super().__getitem__(position)

    many = 100
    images = as_image_set(Counting([X[number % 7] for number in range(many)], [number % 3 for number in range(many)]))
    assert len(images.splits["train"]) == many
    # The first few twice, as their shape is what the array is made for.
    assert len(seen) < many + 40


class Broken(Pets):
    def __getitem__(self, position: int) -> tuple[Any, Any]:
        raise UnidentifiedImageError("cannot identify image file '7.png'")


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Any, int]]:
        yield X[0], 0


class CountedStream(Stream):
    def __len__(self) -> int:
        return 1


PETS = Pets(list(X), Y)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Broken(list(X), Y), r"item 0 of train cannot be read \(cannot identify image file '7\.png'\); mend or remove"),
        (Pets([], []), "the train split is an empty dataset"),
        ((PETS, Pets([], [])), "the test split is an empty dataset"),
        (Pets([X[0] / 255], [0]), r"the pixels of item 0 of train are float64; .*numpy\.rint\(255 \* x\)"),
        (Pets([X[0], X[0, 0, 0]], [0, 1]), "the pixels of item 1 of train have the shape 1×3"),
        (Pets(["a.png"], [0]), "the pixels of item 0 of train have the shape 1"),
        (
            Pets(list(X), [np.eye(3)[0]] * 7),
            r"item 0 of train: the label is array\(\[1\., 0\., 0\.\]\); it must be one",
        ),
        (Pets(list(X), [0.5] * 7), r"item 0 of train: the label is 0\.5"),
        (Subset([X[0]], [0]), r"item 0 of train is a ndarray; it must be a pair \(image, label\)"),
        (Subset([(X[0], 1, 2)], [0]), "item 0 of train is a tuple of 3 values; it must be a pair"),
        (Pets([Image.new("F", (3, 3))], [0]), "item 0 of train: mode F"),
        (Stream(), r"the data is a stream \(Stream\)"),
        (CountedStream(), "CountedStream gives no items by number; give a dataset that does"),
        (DataLoader(PETS, batch_size=2), r"a loader of batches \(DataLoader\); give its dataset"),
        ((PETS, (X, Y)), "train is a dataset and test is none; give all splits in one form"),
    ],
)
def test_what_does_not_fit_is_one_sentence(data, words):
    with pytest.raises(DataError, match=words) as caught:
        as_image_set(data)
    assert "\n" not in str(caught.value)


# What Stepladder asks of the library: the names of its feature classes, and these methods.
class Feature:
    def __init__(self, dtype: str = "", names: list[str] | None = None, decode: bool = True) -> None:
        self.dtype, self.decode, self.mode = dtype, decode, None
        if names is not None:
            self.names = names


ImageFeature = type("Image", (Feature,), {})
ClassLabel = type("ClassLabel", (Feature,), {})
Value = type("Value", (Feature,), {})


class HuggingFace:
    """A fake of ``datasets.Dataset``: encoded images, decoded at reading where the feature says so."""

    def __init__(self, features: dict[str, Feature], columns: dict[str, list[Any]], name: str | None = "pets") -> None:
        self.features, self._columns = features, columns
        self.info = SimpleNamespace(dataset_name=name, builder_name=None)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, key: str | slice) -> Any:
        if isinstance(key, str):
            return self._column(key, slice(None))
        return {name: self._column(name, key) for name in self._columns}

    def _column(self, name: str, rows: slice) -> list[Any]:
        values = self._columns[name][rows]
        if type(self.features[name]).__name__ != "Image":
            return values
        if self.features[name].decode:
            return [Image.open(io.BytesIO(value)) for value in values]
        return [{"bytes": value, "path": None} for value in values]

    def with_format(self, kind: None) -> HuggingFace:
        return self

    def cast_column(self, name: str, feature: Feature) -> HuggingFace:
        return HuggingFace({**self.features, name: feature}, self._columns, self.info.dataset_name)


def hugging_face(encode, labels: list[Any], feature: Feature, *, size=(8, 8), **columns: str) -> HuggingFace:
    contents = [encode("JPEG", seed=number, size=size, quality=80) for number in range(len(labels))]
    image, label = columns.get("image", "image"), columns.get("label", "label")
    features = {"id": Value("int64"), image: ImageFeature(), label: feature}
    return HuggingFace(features, {"id": list(range(len(labels))), image: contents, label: labels})


def test_a_hugging_face_dataset_gives_the_pixels_of_its_files(encode):
    names = ["cat", "dog", "eel"]
    data = hugging_face(encode, Y, ClassLabel("int64", names))
    test = hugging_face(encode, Y[:3], ClassLabel("int64", names))
    images = as_image_set({"train": data, "test": test})
    assert (images.name, images.class_names) == ("pets", ("cat", "dog", "eel"))
    expected = np.stack([decode_image(encode("JPEG", seed=number, size=(8, 8), quality=80)) for number in range(7)])
    np.testing.assert_array_equal(images.splits["train"].images, expected)
    assert images.splits["train"].labels.tolist() == Y
    assert len(images.splits["test"]) == 3


def test_columns_are_found_by_kind_and_by_name(encode):
    images = as_image_set(hugging_face(encode, Y, ClassLabel("int64", list("abc")), image="photo", label="breed"))
    assert images.class_names == ("a", "b", "c")
    for labels, feature in ((list("bacbaca"), Value("string")), ([10, 9, 2, 10, 9, 2, 9], Value("int64"))):
        images = as_image_set(hugging_face(encode, labels, feature))
        assert images.class_names == (("a", "b", "c") if feature.dtype == "string" else ("2", "9", "10"))


def test_damaged_images_are_listed_or_skipped(encode):
    data = hugging_face(encode, Y, ClassLabel("int64", list("abc")))
    data._columns["image"][3] = data._columns["image"][3][:100]
    with pytest.raises(DamagedImagesError, match=r"item 3 of train: damaged"):
        as_image_set(data)
    images = load_image_set(data, skip_damaged=True)
    assert images.splits["train"].labels.tolist() == [1, 0, 2, 0, 2, 0]
    assert images.notes == ("Not read: the columns id.", "1 damaged image was left out: item 3 of train.")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda f: f.pop("image"),
            r"the train dataset has no image column; keep one and call it img, with rename_column",
        ),
        (lambda f: f.update(mask=ImageFeature(), photo=f.pop("image")), "has several image columns, mask, photo; keep"),
        (lambda f: f.pop("label"), r"has no label column; .*columns: id \(Value\), image \(Image\)"),
        (lambda f: f.update(label=Value("float32")), "has no label column"),
        (
            lambda f: f.update(label=ClassLabel("int64", ["a", "b"])),
            "item 2 of train has the label 2, which is none of",
        ),
    ],
)
def test_columns_that_do_not_fit_are_named(encode, change, words):
    data = hugging_face(encode, Y, ClassLabel("int64", list("abc")))
    change(data.features)
    with pytest.raises(DataError, match=words):
        as_image_set(data)


def test_a_split_without_labels_is_named(encode):
    data = hugging_face(encode, [-1, -1], ClassLabel("int64", list("abc")))
    with pytest.raises(DataError, match="item 0 of train has the label -1, which is none of its 3 classes; leave such"):
        as_image_set(data)


@pytest.mark.long
def test_neither_library_is_imported():
    code = (
        "import sys, numpy; from stepladder.datasets import as_image_set\n"
        "as_image_set((numpy.zeros((4, 3, 5), 'uint8'), [0, 1, 0, 1]))\n"
        "assert not {'torch', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_classes_of_one_name_are_refused(encode):
    with pytest.raises(DataError, match=r"names two classes 'a' \(numbers 0 and 2\)"):
        as_image_set(hugging_face(encode, Y, ClassLabel("int64", list("aba"))))
