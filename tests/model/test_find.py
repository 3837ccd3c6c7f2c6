"""From what the user typed to a model and to image files."""

from __future__ import annotations

import pytest

from stepladder.errors import DataError, StorageError
from stepladder.model.find import ImageFile, find_images, find_model, model_folder
from stepladder.model.folder import Model

CLASSES = ("cat", "dog")


@pytest.fixture
def photos(tmp_path):
    for name in (
        "cat/1.png",
        "cat/deep/2.png",
        "dog/1.png",
        "other/3.png",
        ".hidden/4.png",
        "cat/.DS_Store",
        "dog/Thumbs.db",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def test_a_folder_is_taken_whole_and_labelled_by_its_folders(photos):
    expected = [("cat/1.png", 0), ("cat/deep/2.png", 0), ("dog/1.png", 1), ("other/3.png", None)]
    assert find_images([str(photos)], CLASSES) == [ImageFile(photos / name, label) for name, label in expected]


def test_a_class_folder_itself_labels_what_it_holds(photos):
    assert [file.label for file in find_images([str(photos / "dog")], CLASSES)] == [1]


def test_single_files_have_no_label_and_come_once(photos):
    one = str(photos / "cat" / "1.png")
    assert find_images([one, one, str(photos / "*" / "1.png")], CLASSES) == [
        ImageFile(photos / "cat" / "1.png"),
        ImageFile(photos / "dog" / "1.png"),
    ]


def test_a_list_takes_the_place_of_a_dash(photos):
    listed = [f"{photos / 'dog' / '1.png'}\n", "\n", f"{photos / 'cat' / '1.png'}\r\n"]
    assert [file.path.parent.name for file in find_images(["-"], CLASSES, listed)] == ["dog", "cat"]


def test_names_with_marks_of_a_pattern_are_files_first(photos):
    odd = photos / "odd [1].png"
    odd.touch()
    assert find_images([str(odd)], CLASSES) == [ImageFile(odd)]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("none.png", r"there is no file or folder .*none\.png"),
        ("*.gif", r"no file matches .*\*\.gif"),
        ("empty", "empty holds no images"),
    ],
)
def test_what_is_not_there_is_named(photos, given, complaint):
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match=complaint):
        find_images([str(photos / given)], CLASSES)


def test_nothing_at_all_says_what_to_give():
    with pytest.raises(DataError, match="there are no images to look at; give files"):
        find_images(["-"], CLASSES, [])


def test_a_model_is_found_in_its_folder_and_in_that_of_its_trial(saved):
    assert model_folder(saved) == saved
    assert model_folder(saved.parent) == saved
    assert isinstance(find_model(saved.parent), Model)


def test_what_is_no_model_says_where_one_is(tmp_path):
    (tmp_path / "study.json").touch()
    with pytest.raises(StorageError, match="is a study with a model in each trial; choose one"):
        model_folder(tmp_path)
    with pytest.raises(StorageError, match=r"nowhere does not exist; give the model folder"):
        model_folder(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StorageError, match=r"notes\.txt is no model; give"):
        model_folder(tmp_path / "notes.txt")
