"""Parquet in Hugging Face's layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepladder.datasets import load_image_set
from stepladder.datasets.decode import decode_image
from stepladder.datasets.parquet_pages import MAX_LABEL_ROWS, rows_in_flight
from stepladder.errors import DamagedImagesError, DataError

CIFAR = Path(os.environ.get("STEPLADDER_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "cifar10-jpeg"


@pytest.fixture
def write(encode):
    def write_file(path, labels, *, names=None, image="img", label="label", as_struct=True, contents=None, seed=0):
        """A parquet file of small PNGs with these labels; ``names`` go into the schema's metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        contents = contents or [encode(seed=seed + i) for i in range(len(labels))]
        images = (
            pa.array([{"bytes": content, "path": None} for content in contents]) if as_struct else pa.array(contents)
        )
        table = pa.table({image: images, label: labels})
        if names:
            features = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, path, row_group_size=2)
        return contents

    return write_file


@pytest.mark.parametrize("below", ["", "data"])
def test_a_folder_with_splits_and_published_names(tmp_path, write, below):
    root = tmp_path / "pets"
    contents = write(root / below / "train-00000-of-00002.parquet", [1, 0, 1], names=["dog", "cat"])
    write(root / below / "train-00001-of-00002.parquet", [0], names=["dog", "cat"], seed=10)
    write(root / below / "test-00000-of-00001.parquet", [0, 1], names=["dog", "cat"], seed=20)
    write(root / below / "valid-00000-of-00001.parquet", [1, 0], names=["dog", "cat"], seed=30)
    image_set = load_image_set(str(root))
    assert image_set.name == "pets"
    assert image_set.class_names == ("dog", "cat")
    assert {name: split.labels.tolist() for name, split in image_set.splits.items()} == {
        "train": [1, 0, 1, 0],
        "validation": [1, 0],
        "test": [0, 1],
    }
    expected = np.stack([decode_image(content) for content in contents])
    np.testing.assert_array_equal(image_set.splits["train"].images[:3], expected)


@pytest.mark.parametrize("image", ["img", "image"])
@pytest.mark.parametrize("label", ["label", "labels", "fine_label"])
@pytest.mark.parametrize("as_struct", [True, False])
def test_column_names_and_one_file(tmp_path, write, image, label, as_struct):
    write(tmp_path / "my pets.parquet", [0, 1, 1], image=image, label=label, as_struct=as_struct)
    image_set = load_image_set(str(tmp_path / "my pets.parquet"))
    assert image_set.name == "my-pets"
    assert image_set.splits["train"].labels.tolist() == [0, 1, 1]
    assert list(image_set.splits) == ["train"]


def test_labels_without_published_names_are_sorted(tmp_path, write):
    write(tmp_path / "text.parquet", ["dog", "cat", "dog"])
    assert load_image_set(str(tmp_path / "text.parquet")).class_names == ("cat", "dog")
    write(tmp_path / "numbers.parquet", [10, 9, 10])
    image_set = load_image_set(str(tmp_path / "numbers.parquet"))
    assert image_set.class_names == ("9", "10")
    assert image_set.splits["train"].labels.tolist() == [1, 0, 1]


def test_labels_are_matched_by_name(tmp_path, write):
    write(tmp_path / "train.parquet", [0, 1], names=["cat", "dog"])
    write(tmp_path / "test.parquet", [0, 0, 1], names=["dog", "cat"], seed=9)
    image_set = load_image_set(str(tmp_path))
    assert image_set.class_names == ("cat", "dog")
    assert image_set.splits["test"].labels.tolist() == [1, 1, 0]


def test_a_split_that_lacks_a_class(tmp_path, write):
    write(tmp_path / "train.parquet", [0, 1], names=["cat", "dog"])
    write(tmp_path / "test.parquet", [0, 0], names=["cat", "dog"])
    with pytest.raises(DataError, match="the test split lacks the class dog"):
        load_image_set(str(tmp_path))


def test_names_without_images_are_left_out_and_said(tmp_path, write):
    write(tmp_path / "train.parquet", [0, 2], names=["cat", "cow", "dog"])
    image_set = load_image_set(str(tmp_path))
    assert image_set.class_names == ("cat", "dog")
    assert image_set.notes == ("Classes without any image were left out: cow.",)


def test_limit_reads_only_what_it_keeps(tmp_path, write, encode):
    contents = [encode(seed=i) for i in range(6)]
    contents[3] = b"damaged"
    write(tmp_path / "pets.parquet", [0, 1, 0, 0, 1, 1], contents=contents)
    image_set = load_image_set(str(tmp_path / "pets.parquet"), limit=2)
    assert image_set.splits["train"].labels.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(image_set.splits["train"].images[3], decode_image(contents[4]))


def test_damaged_rows_are_named_by_file_and_row(tmp_path, write, encode):
    good = [encode(seed=i) for i in range(3)]
    write(tmp_path / "train-0.parquet", [0, 1, 1], contents=[good[0], good[1][:-25], good[2]])
    write(tmp_path / "train-1.parquet", [0, 1, 1], contents=[good[0], good[1], None])
    with pytest.raises(DamagedImagesError) as caught:
        load_image_set(str(tmp_path))
    assert [place for place, _ in caught.value.damaged] == ["train-0.parquet row 1", "train-1.parquet row 2"]
    assert load_image_set(str(tmp_path), skip_damaged=True).splits["train"].labels.tolist() == [0, 1, 0, 1]


def test_no_image_column_lists_the_columns(tmp_path, write):
    write(tmp_path / "x.parquet", [0, 1], image="picture")
    with pytest.raises(
        DataError, match=r"no column with an image: call it img or image.*picture \(struct.*label \(int64\)"
    ):
        load_image_set(str(tmp_path / "x.parquet"))


def test_no_label_column_lists_the_columns(tmp_path, write):
    write(tmp_path / "x.parquet", [0, 1], label="category")
    with pytest.raises(DataError, match=r"no column with a label: call it label.*category \(int64\)"):
        load_image_set(str(tmp_path / "x.parquet"))


def test_labels_of_another_kind_are_no_labels(tmp_path, write):
    write(tmp_path / "x.parquet", [0.5, 1.5])
    with pytest.raises(DataError, match=r"integers or text; columns: .*label \(double\)"):
        load_image_set(str(tmp_path / "x.parquet"))


def test_a_blank_label_names_its_row(tmp_path, write):
    write(tmp_path / "x.parquet", [0, None, 1])
    with pytest.raises(DataError, match=r"x\.parquet row 1 has no label"):
        load_image_set(str(tmp_path / "x.parquet"))


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_name_names_its_row(tmp_path, write, label):
    write(tmp_path / "x.parquet", [0, 1, label], names=["cat", "dog"])
    with pytest.raises(
        DataError, match=rf"x\.parquet row 2 has the label {label}, which is none of its 2 classes \(0 to 1\)"
    ):
        load_image_set(str(tmp_path / "x.parquet"))


def test_files_without_train(tmp_path, write):
    for name in ("test-0.parquet", "extra.parquet"):
        write(tmp_path / name, [0, 1])
    with pytest.raises(
        DataError, match=r"has extra\.parquet, test-0\.parquet but no train file; name the files train-\*"
    ):
        load_image_set(str(tmp_path))


def test_files_of_no_split_are_left_out_and_said(tmp_path, write):
    for name in ("train-0.parquet", "extra.parquet"):
        write(tmp_path / name, [0, 1])
    assert load_image_set(str(tmp_path)).notes == ("Files whose name has no split were left out: extra.parquet.",)


def test_no_rows(tmp_path, write):
    path = tmp_path / "x.parquet"
    write(path, [0, 1])
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DataError, match=r"x\.parquet holds no images \(0 rows\)"):
        load_image_set(str(path))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"hello" * 100])
def test_what_is_no_parquet(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.parquet is no readable parquet file"):
        load_image_set(str(path))


def test_a_truncated_file(tmp_path, write):
    path = tmp_path / "x.parquet"
    write(path, [0, 1])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"x\.parquet is no readable parquet file"):
        load_image_set(str(path))


@pytest.mark.soak
@pytest.mark.skipif(not CIFAR.is_dir(), reason=f"{CIFAR} is absent; set STEPLADDER_TEST_DATA to the folder above it")
def test_sixty_thousand_real_images():
    image_set = load_image_set(str(CIFAR))
    train, test = image_set.splits["train"], image_set.splits["test"]
    assert image_set.name == "cifar10-jpeg"
    assert image_set.class_names[0] == "airplane"
    assert image_set.class_names[9] == "truck"
    assert train.images.shape == (50_000, 32, 32, 3)
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    # The figures that ../shared/data/README.md states.
    levels = np.arange(256) / 255
    for channel, (mean, std) in enumerate([(0.4913, 0.2452), (0.4821, 0.2428), (0.4465, 0.2606)]):
        shares = np.bincount(train.images[..., channel].ravel(), minlength=256) / train.images[..., channel].size
        assert shares @ levels == pytest.approx(mean, abs=1e-4)
        assert np.sqrt(shares @ levels**2 - (shares @ levels) ** 2) == pytest.approx(std, abs=1e-4)


@pytest.mark.parametrize("label", ["", "  "])
def test_a_blank_text_label_names_its_row(tmp_path, write, label):
    write(tmp_path / "x.parquet", ["cat", "dog", label])
    with pytest.raises(DataError, match=r"x\.parquet row 2 has no label"):
        load_image_set(str(tmp_path / "x.parquet"))


def test_labels_in_a_dictionary_and_numbers_in_order(tmp_path, write):
    write(tmp_path / "a.parquet", pa.array(["dog", "cat", "dog"]).dictionary_encode())
    assert load_image_set(str(tmp_path / "a.parquet")).class_names == ("cat", "dog")
    write(tmp_path / "b.parquet", [-1, 10, 9])
    assert load_image_set(str(tmp_path / "b.parquet")).class_names == ("-1", "9", "10")


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "column_encoding": {"label": "PLAIN"}}])
def test_packings_that_arrow_writes(tmp_path, write, compression, options):
    path = tmp_path / "x.parquet"
    contents = write(path, [0, 1, 0, 1, 1])
    for version in ("1.0", "2.0"):
        pq.write_table(
            pq.read_table(path), path, compression=compression, data_page_version=version, data_page_size=100, **options
        )
        images = load_image_set(str(path)).splits["train"].images
        np.testing.assert_array_equal(images, np.stack([decode_image(content) for content in contents]))


@pytest.mark.long
def test_a_page_that_unpacks_to_far_more_is_refused(tmp_path, write):
    path = tmp_path / "x.parquet"
    write(path, [0, 1], contents=[bytes(100_000_000), b"x"])
    pq.write_table(pq.read_table(path), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"claims to unpack [\d,]+ bytes to 100,000,\d+; it is refused"):
        load_image_set(str(path))


@pytest.mark.soak
def test_one_value_for_many_rows_is_not_written_out_for_all_at_once(tmp_path, write, monkeypatch):
    # 60 rows that share an image of 30 MB: 1.8 GB, if they were read together.
    path = tmp_path / "x.parquet"
    one = b"BM" + bytes(30_000_000)
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 60), pa.array([one]))
    pq.write_table(
        pa.table({"img": column, "label": [0, 1] * 30}),
        path,
        compression="zstd",
        store_schema=False,
        dictionary_pagesize_limit=100_000_000,
    )
    # In a process of its own: in this one, earlier tests have told the allocator to keep what is freed.
    program = f"""
import resource
from stepladder.datasets import load_image_set
from stepladder.errors import DataError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_image_set({str(path)!r})
except DataError:
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 600_000, grown
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_more_rows_than_bytes_are_refused(tmp_path, write):
    path = tmp_path / "x.parquet"
    nothing = pa.nulls(5_000_000, pa.binary())
    pq.write_table(pa.table({"img": nothing, "label": pa.array(np.zeros(5_000_000, dtype=np.int64))}), path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match=r"claims 5,000,000 rows in [\d,]+ bytes"):
        load_image_set(str(path))


def test_labels_that_unpack_to_more_than_the_memory_are_refused(tmp_path, memory, encode):
    path = tmp_path / "x.parquet"
    table = pa.table({"img": [encode(seed=number) for number in range(40)], "label": ["a" * 5000, "b" * 5000] * 20})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    memory(300_000)
    with pytest.raises(DataError, match=r"the column label of .* unpacks to 0\.0 GB, more than half of the"):
        load_image_set(str(path))
    memory(10**9)
    load_image_set(str(path))


@pytest.mark.parametrize(
    ("options", "at_most"),
    [
        ({"use_dictionary": ["label"]}, 256_000_000 // 1_000_000),  # each may be the whole dictionary
        ({"use_dictionary": False}, 32_000_000 // 20_000),
        ({"use_dictionary": False, "column_encoding": {"label": "DELTA_BYTE_ARRAY"}}, 32_000_000 // 20_000),
    ],
    ids=["dictionary", "plain", "delta"],
)
def test_long_labels_are_read_few_at_a_time(tmp_path, options, at_most):
    path = tmp_path / "x.parquet"
    labels = ["a"] * 49 + ["b" * 1_000_000]
    pq.write_table(pa.table({"img": [b"x"] * 50, "label": labels}), path, **options)
    images, rows = rows_in_flight(path, "img", "label")
    assert images == 512
    assert 1 <= rows <= at_most
    pq.write_table(pa.table({"img": [b"x"] * 50, "label": [number % 3 for number in range(50)]}), path)
    assert rows_in_flight(path, "img", "label") == (512, MAX_LABEL_ROWS)  # usual ones come quickly


def test_two_classes_of_one_name_are_refused(tmp_path, write):
    write(tmp_path / "a.parquet", [0, 1, 2], names=["cat", "dog", "cat"])
    with pytest.raises(DataError, match=r"ClassLabel label\) names two classes 'cat' \(numbers 0 and 2\); rename one"):
        load_image_set(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("labels", [[10, 9, 2, 10], ["10", "9", "2", "10"]])
def test_numbers_are_in_the_order_of_numbers_as_text_too(tmp_path, write, labels):
    write(tmp_path / "a.parquet", labels)
    image_set = load_image_set(str(tmp_path / "a.parquet"))
    assert image_set.class_names == ("2", "9", "10")
    assert image_set.splits["train"].labels.tolist() == [2, 1, 0, 2]


def test_published_numbers_are_too_and_published_names_keep_their_order(tmp_path, write):
    write(tmp_path / "a.parquet", [0, 1, 2], names=["0", "10", "2"])
    image_set = load_image_set(str(tmp_path / "a.parquet"))
    assert image_set.class_names == ("0", "2", "10")
    assert image_set.splits["train"].labels.tolist() == [0, 2, 1]
    write(tmp_path / "b.parquet", [0, 1, 2], names=["shirt", "bag", "coat"])
    assert load_image_set(str(tmp_path / "b.parquet")).class_names == ("shirt", "bag", "coat")


def test_what_is_not_read_is_said(tmp_path, write, encode):
    write(tmp_path / "train.parquet", [0, 1])
    table = pq.read_table(tmp_path / "train.parquet").append_column("fine_label", pa.array([0, 1]))
    pq.write_table(table, tmp_path / "train.parquet")
    for name in ("README.md", "._train.parquet"):
        (tmp_path / name).write_bytes(b"")
    notes = load_image_set(str(tmp_path)).notes
    assert "Not read: the columns fine_label beside img and label." in notes
    assert "Not read: 1 file was beside the parquet files, by ending .md (1)." in notes
