"""Folders of images, as people really have them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import load_image_set
from stepladder.datasets.decode import decode_image
from stepladder.errors import DamagedImagesError, DataError


@pytest.fixture
def with_splits(tmp_path, write_folder):
    root = tmp_path / "pets"
    write_folder(root / "train", {"cat": 3, "dog": 4})
    write_folder(root / "test", {"cat": 2, "dog": 1})
    return root


def test_classes_without_splits(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"dog": 2, "cat": 3})
    image_set = load_image_set(str(root))
    assert image_set.class_names == ("cat", "dog")
    assert list(image_set.splits) == ["train"]
    assert image_set.splits["train"].labels.tolist() == [0, 0, 0, 1, 1]
    first = decode_image((root / "dog" / "0000.png").read_bytes())
    np.testing.assert_array_equal(image_set.splits["train"].images[3], first)


@pytest.mark.parametrize("word", ["val", "valid", "validation", "Validation"])
def test_splits_by_any_of_their_words(with_splits, write_folder, word):
    write_folder(with_splits / word, {"cat": 1, "dog": 1})
    image_set = load_image_set(str(with_splits))
    assert {name: len(split) for name, split in image_set.splits.items()} == {"train": 7, "validation": 2, "test": 3}
    assert image_set.splits["test"].labels.tolist() == [0, 0, 1]


def test_nested_folders_belong_to_their_class(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog/big/old": 2, "dog": 1})
    assert load_image_set(str(root)).splits["train"].labels.tolist() == [0, 1, 1, 1]


def test_hidden_and_left_behind_files_are_passed_over(with_splits, encode):
    (with_splits / ".git").mkdir()
    (with_splits / "train" / ".ipynb_checkpoints").mkdir()
    (with_splits / "train" / "cat" / ".ipynb_checkpoints").mkdir()
    (with_splits / "train" / "cat" / ".ipynb_checkpoints" / "copy.png").write_bytes(encode())
    (with_splits / "train" / "cat" / "Thumbs.db").write_bytes(b"not an image")
    (with_splits / "train" / "cat" / ".DS_Store").write_bytes(b"not an image")
    (with_splits / "README.md").write_text("about these images")
    image_set = load_image_set(str(with_splits))
    assert len(image_set.splits["train"]) == 7
    assert image_set.class_names == ("cat", "dog")


def test_folders_that_are_no_split_are_left_out_and_said(with_splits):
    (with_splits / "docs").mkdir()
    assert load_image_set(str(with_splits)).notes == ("Folders that name no split were left out: docs.",)


def test_test_beside_other_names_is_a_class(tmp_path, write_folder):
    root = write_folder(tmp_path / "study", {"control": 2, "test": 2})
    assert load_image_set(str(root)).class_names == ("control", "test")


def test_a_disguised_file_is_read(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    content = encode("PNG", seed=9)
    (root / "cat" / "0000.jpg").write_bytes(content)
    images = load_image_set(str(root)).splits["train"].images
    np.testing.assert_array_equal(images[0], decode_image(content))


def test_damaged_files_are_all_listed_with_their_paths(with_splits, encode):
    bad = {
        with_splits / "train" / "cat" / "empty.png": b"",
        with_splits / "train" / "dog" / "cut.jpg": encode("JPEG", size=(64, 64))[:-200],
        with_splits / "train" / "dog" / "text.png": b"hello",
        with_splits / "test" / "cat" / "cut.png": encode("PNG")[:-30],
    }
    for path, content in bad.items():
        path.write_bytes(content)
    (with_splits / "test" / "dog" / "gone.png").symlink_to("nowhere")
    with pytest.raises(DamagedImagesError) as caught:
        load_image_set(str(with_splits))
    places = [place for place, _ in caught.value.damaged]
    assert sorted(places) == sorted([*map(str, bad), str(with_splits / "test" / "dog" / "gone.png")])
    assert "cannot be read: No such file" in dict(caught.value.damaged)[str(with_splits / "test" / "dog" / "gone.png")]


@pytest.mark.parametrize("inside", ["", "train", "cat"])
def test_no_images(tmp_path, inside):
    root = tmp_path / "pets"
    (root / inside).mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images; it must hold a folder of image files for each class"):
        load_image_set(str(root))


def test_one_class(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 3})
    with pytest.raises(DataError, match=r"holds one class, 'cat', .*at least two.*lie deeper, give .*pets/cat"):
        load_image_set(str(root))


def test_an_empty_class_folder_is_named(with_splits):
    (with_splits / "train" / "owl").mkdir()
    with pytest.raises(DataError, match=r"the class folder .*train/owl is empty; add images or remove the folder"):
        load_image_set(str(with_splits))


def test_a_class_missing_in_test_is_named(with_splits, write_folder):
    write_folder(with_splits / "train", {"owl": 1})
    with pytest.raises(DataError, match="the test split lacks the class owl, which train has"):
        load_image_set(str(with_splits))


def test_a_class_unknown_to_train_is_named(with_splits, write_folder):
    write_folder(with_splits / "test", {"ant": 1})
    with pytest.raises(DataError, match="the test split has the class ant, which train does not have"):
        load_image_set(str(with_splits))


def test_splits_without_train(tmp_path, write_folder):
    root = tmp_path / "pets"
    write_folder(root / "test", {"cat": 1, "dog": 1})
    write_folder(root / "val", {"cat": 1, "dog": 1})
    with pytest.raises(DataError, match="has test, val but no train folder; add train/<class>"):
        load_image_set(str(root))


def test_two_folders_for_one_split(with_splits, write_folder):
    for name in ("val", "valid"):
        write_folder(with_splits / name, {"cat": 1, "dog": 1})
    with pytest.raises(DataError, match="two folders for the validation split, val and valid; keep one"):
        load_image_set(str(with_splits))


def test_a_link_to_a_folder_above_ends(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 2})
    (root / "cat" / "loop").symlink_to(root / "cat")
    (root / "dog" / "self").symlink_to("self")
    with pytest.raises(DamagedImagesError, match=r"dog/self: cannot be read: Too many levels of symbolic links"):
        load_image_set(str(root))
    (root / "dog" / "self").unlink()
    assert len(load_image_set(str(root)).splits["train"]) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_block(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    os.mkfifo(root / "cat" / "pipe.png")
    assert len(load_image_set(str(root)).splits["train"]) == 2


def test_links_that_multiply_folders_are_walked_once(tmp_path, write_folder):
    # Twelve folders with links to each other: 12! ways through them.
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    folders = [root / "cat" / f"f{i:02d}" for i in range(12)]
    for folder in folders:
        folder.mkdir()
    for folder in folders:
        for other in folders:
            (folder / other.name).symlink_to(other)
    assert len(load_image_set(str(root)).splits["train"]) == 2


def test_no_permission_on_one_file_is_listed_with_its_path(with_splits, monkeypatch):
    closed = str(with_splits / "train" / "cat" / "0001.png")
    whole = os.open

    def refuse(path, *arguments, **options):
        if path == closed:
            raise PermissionError(13, "Permission denied", path)
        return whole(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DamagedImagesError) as caught:
        load_image_set(str(with_splits))
    assert caught.value.damaged == ((closed, "cannot be read: Permission denied"),)
    assert len(load_image_set(str(with_splits), skip_damaged=True).splits["train"]) == 6


def test_a_thousand_classes(tmp_path, encode):
    names = [f"class {number}" for number in range(1000)]
    for number, name in enumerate(names):
        (tmp_path / "many" / name).mkdir(parents=True)
        (tmp_path / "many" / name / "0.png").write_bytes(encode(seed=number, size=(2, 2)))
    image_set = load_image_set(str(tmp_path / "many"))
    assert image_set.num_classes == 1000
    assert image_set.class_names == tuple(sorted(names))
    assert image_set.splits["train"].labels.tolist() == list(range(1000))


def test_two_spellings_of_a_class_are_said(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"Black cat": 1, "black_cat": 1, "dog": 1})
    assert "'Black cat' and 'black_cat'" in load_image_set(str(root)).notes[0]


def test_one_pixel_and_animated_and_huge_images(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    (root / "cat" / "one.png").write_bytes(encode(size=(1, 1)))
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(root / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    assert len(load_image_set(str(root)).splits["train"]) == 4
    Image.new("1", (20_000, 20_000)).save(root / "dog" / "huge.png")
    with pytest.raises(DamagedImagesError, match=r"huge\.png: more than 50 megapixels; make it smaller"):
        load_image_set(str(root))


def test_what_archivers_leave_behind_is_no_class(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    (root / "__MACOSX" / "cat").mkdir(parents=True)
    (root / "__MACOSX" / "cat" / "._0000.png").write_bytes(b"")
    assert load_image_set(str(root)).class_names == ("cat", "dog")
