"""Folders of images, as people really have them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import Labelled, load_image_set
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


def test_a_class_folder_without_images_is_no_class_and_that_is_said(with_splits):
    (with_splits / "train" / "owl").mkdir()
    (with_splits / "test" / "owl").mkdir()
    (with_splits / "test" / "owl" / "notes.txt").write_text("none seen")
    image_set = load_image_set(str(with_splits))
    assert image_set.class_names == ("cat", "dog")
    lacking = f"{with_splits / 'train' / 'owl'}, {with_splits / 'test' / 'owl'}"
    assert f"Folders without images are no classes: {lacking}." in image_set.notes


@pytest.mark.parametrize("name", ["old.zip", "old.tar.gz", "d.npz"])
def test_a_folder_of_what_may_hold_images_names_it(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=f"holds no images itself; give .*{name}, which may hold some"):
        load_image_set(str(tmp_path))


OTHERS = [
    "mp4",
    "aae",
    "xmp",
    "thm",
    "svg",
    "npy",
    "npz",
    "pkl",
    "h5",
    "db",
    "zip",
    "psd",
    "raw",
    "c",
    "js",
    "bak",
    "mp3",
]


def test_what_is_no_image_by_ending_and_content_is_passed_over_and_what_is_called_as_one_is_damaged(
    tmp_path, write_folder, encode
):
    root = write_folder(tmp_path / "pets", {"cat": 3, "dog": 3})
    contents = {
        **dict.fromkeys(OTHERS, b"junk" * 50),
        "mov": b"\0\0\0\x18ftypqt  ",
        "avi": b"RIFF\0\0\0\0AVI ",
        "bm": b"BMW, Audi, Opel and others",
        "part": encode("JPEG")[:90],
        "nef": b"II*\0" + bytes(60),
    }
    for ending, content in contents.items():
        (root / "cat" / f"other.{ending}").write_bytes(content)
    (root / "cat" / "notes").write_bytes(b"")
    (root / "dog" / "photo.dat").write_bytes(encode("JPEG"))
    (root / "dog" / "photo").write_bytes(encode("WEBP"))
    image_set = load_image_set(root)
    assert np.bincount(image_set.splits["train"].labels).tolist() == [3, 5]
    assert "Passed over, as none of the images: *.aae (1), " in image_set.notes[-1]
    assert f"and {len(contents) + 1 - 8} more." in image_set.notes[-1]
    damaged = [root / "cat" / f"bad.{ending}" for ending in ("JPG", "heic", "jp2", "tga")]
    for path in damaged:
        path.write_bytes(b"junk")
    with pytest.raises(DamagedImagesError) as caught:
        load_image_set(root)
    assert sorted(place for place, _ in caught.value.damaged) == sorted(map(str, damaged))


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


@pytest.mark.long
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


@pytest.mark.long
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


def note_with(image_set, words: str) -> str:
    (note,) = [note for note in image_set.notes if words in note]
    return note


def test_thumbnails_of_a_network_drive_are_no_images_and_are_counted(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 30, "dog": 30})
    for photo in sorted(root.glob("*/*.png")):
        thumbnail = photo.parent / "@eaDir" / photo.name / "SYNOPHOTO_THUMB_M.jpg"
        thumbnail.parent.mkdir(parents=True)
        thumbnail.write_bytes(encode("JPEG"))
    for name in ("#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information", "@eaDir"):
        (root / name).mkdir()
        (root / name / "0.png").write_bytes(encode())
    image_set = load_image_set(root)
    assert image_set.class_names == ("cat", "dog")
    assert len(image_set.splits["train"]) == 60
    # Of equally many by name, in whatever order the disk gives them.
    passed = note_with(image_set, "Passed over")
    assert passed.endswith("#recycle (1), $RECYCLE.BIN (1), System Volume Information (1), lost+found (1).")
    assert "@eaDir (3)" in passed


@pytest.mark.parametrize("inside", ["studies/pets-ladder", "mine", "cat/inner"])
def test_a_study_among_the_images_is_no_class(tmp_path, write_folder, encode, inside):
    root = write_folder(tmp_path / "pets", {"cat": 3, "dog": 3})
    before = load_image_set(root)
    figures = root / inside / "figures"
    figures.mkdir(parents=True)
    (figures / "ladder.png").write_bytes(encode())
    (root / inside / "study.json").write_text('{"plan": "ladder", "plan_hash": "0"}')
    image_set = load_image_set(root)
    assert image_set.fingerprint == before.fingerprint
    assert f"results of Stepladder in {root / inside.partition('/pets')[0]}" in note_with(image_set, "Passed over")


def test_images_in_the_folder_of_a_study_are_refused(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 3, "dog": 3})
    (root / "study.json").write_text('{"plan": "ladder", "plan_hash": "0"}')
    with pytest.raises(DataError, match=r"pets holds results of Stepladder .* move results out of it"):
        load_image_set(root)


def test_a_class_that_is_called_as_a_split_is_one(tmp_path, write_folder):
    root = write_folder(tmp_path / "vehicles", {"train": 3, "bus": 2, "car": 2})
    image_set = load_image_set(root)
    assert image_set.class_names == ("bus", "car", "train")
    assert list(image_set.splits) == ["train"]
    assert image_set.notes == ("train is taken for a class: it holds images itself and no class folders.",)


@pytest.mark.parametrize("names", [("train", "test", "bus"), ("test", "val", "bus"), ("Validation", "bus", "car")])
def test_classes_called_as_splits_are_told_by_what_they_hold(tmp_path, write_folder, names):
    root = write_folder(tmp_path / "vehicles", dict.fromkeys(names, 2))
    image_set = load_image_set(root)
    assert image_set.class_names == tuple(sorted(names))
    called = [name for name in sorted(names) if name not in ("bus", "car")]
    taken = "is taken for a class: it holds" if len(called) == 1 else "are taken for classes: they hold"
    assert f"{' and '.join(called)} {taken} images" in note_with(image_set, "taken for")


def test_a_stray_image_beside_class_folders_makes_no_class_of_a_split(with_splits, encode):
    (with_splits / "train" / "cover.jpg").write_bytes(encode("JPEG"))
    (with_splits / "docs").mkdir()
    image_set = load_image_set(with_splits)
    assert image_set.class_names == ("cat", "dog")
    assert note_with(image_set, "Not read") == ("Not read: 1 file was beside the class folders, by ending .jpg (1).")


def test_a_test_folder_without_classes_is_no_split_and_that_is_said(tmp_path, write_folder):
    root = tmp_path / "pets"
    write_folder(root / "train", {"cat": 3, "dog": 3})
    write_folder(root, {"test": 5})
    image_set = load_image_set(root)
    assert list(image_set.splits) == ["train"]
    assert image_set.class_names == ("cat", "dog")
    assert image_set.notes == ("test holds images and no class folders, so it is no split: its 5 files were left out.",)


def test_splits_of_images_without_classes_are_said_to_be_so(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"train": 3, "test": 3})
    with pytest.raises(DataError, match=r"has test, train, and there are no class folders in them; make test/<class>"):
        load_image_set(root)


def test_folders_that_hold_files_are_left_out_with_their_number(with_splits, write_folder):
    write_folder(with_splits, {"extra": 4})
    assert load_image_set(with_splits).notes == ("Folders that name no split were left out: extra (4 files).",)


def test_numbers_are_in_the_order_of_numbers(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "digits", {str(number): 2 for number in range(12)})
    image_set = load_image_set(root)
    assert image_set.class_names == tuple(map(str, range(12)))
    assert image_set.splits["train"].labels.tolist() == [label for label in range(12) for _ in range(2)]
    rows = [f"digits/{number}/{i:04d}.png,{number}" for number in range(12) for i in range(2)]
    (tmp_path / "digits.csv").write_text("\n".join(["path,label", *rows]))
    assert load_image_set(tmp_path / "digits.csv").fingerprint == image_set.fingerprint
    write_folder(root, {"x": 1})  # one name that is no number, and all are text
    assert load_image_set(root).class_names[:4] == ("0", "1", "10", "11")


def test_zeros_before_numbers_change_no_order(tmp_path, write_folder):
    root = write_folder(tmp_path / "signs", {f"{number:05}": 1 for number in (2, 10, 0, 1)})
    assert load_image_set(root).class_names == ("00000", "00001", "00002", "00010")


def test_linked_class_folders_are_read_and_no_loop(tmp_path, write_folder):
    write_folder(tmp_path / "elsewhere", {"cats": 3})
    root = write_folder(tmp_path / "pets", {"dog": 2})
    (root / "cat").symlink_to(tmp_path / "elsewhere" / "cats")
    (root / "dog" / "all").symlink_to(root)  # would bring the cats into the dogs
    image_set = load_image_set(root)
    assert image_set.splits["train"].labels.tolist() == [0, 0, 0, 1, 1]
    assert set(image_set.folders) == {root, tmp_path / "elsewhere" / "cats"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_counted(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    os.mkfifo(root / "cat" / "pipe.png")
    assert load_image_set(root).notes == ("Passed over, as none of the images: pipes and devices (1).",)


def counts(image_set) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip(image_set.class_names, np.bincount(part.labels).tolist(), strict=True))
        for split, part in image_set.splits.items()
    }


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train_set", "test_set"),
        ("training_set/training_set", "test_set/test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("TrainImages", "TestImages"),
        ("pets-train", "pets-val2017"),
        ("trainset", "testing"),
    ],
)
def test_folders_that_hold_a_word_of_a_split_and_the_same_classes_are_splits(tmp_path, write_folder, train, test):
    root = tmp_path / "pets"
    write_folder(root, {f"{train}/cat": 3, f"{train}/dog": 2, f"{test}/cat": 1, f"{test}/dog": 2, "seg_pred/all": 2})
    split = "validation" if "val" in test else "test"
    for level in (None, "leaf"):
        image_set = load_image_set(Labelled(str(root), level=level))
        assert counts(image_set) == {"train": {"cat": 3, "dog": 2}, split: {"cat": 1, "dog": 2}}
        assert "Folders that name no split were left out: seg_pred (2 files)." in image_set.notes
        tops = {train.partition("/")[0]: "train", test.partition("/")[0]: split}
        names = ", ".join(f"{name} ({tops[name]})" for name in sorted(tops))
        assert f"Splits: from the folders {names}, which hold the same classes." in image_set.notes


def test_classes_that_hold_a_word_of_a_split_are_classes(tmp_path, write_folder):
    root = write_folder(tmp_path / "places", {"train_station": 2, "test_tube": 2})
    assert load_image_set(root).class_names == ("test_tube", "train_station")
    other = write_folder(
        tmp_path / "two", {f"{top}/{inner}": 2 for top, inner in (("train_station", "x"), ("test_tube", "y"))}
    )
    assert load_image_set(other).class_names == ("test_tube", "train_station")


@pytest.mark.parametrize("form", ["fold{0}/{1}", "s0{0}/images/{1}", "{0}/{1}/deep"])
def test_top_folders_that_hold_the_same_names_are_asked_about(tmp_path, write_folder, form):
    root = write_folder(tmp_path / "set", {form.format(top, name): 2 for top in "012" for name in ("walk", "run")})
    with pytest.raises(
        DataError, match=r"has 3 folders .* of the same names \(run, walk\); .*`level=top` or `level=leaf`"
    ):
        load_image_set(root, limit=1)
    assert list(counts(load_image_set(Labelled(str(root), level="top")))["train"].values()) == [4, 4, 4]
    if not form.endswith("deep"):
        assert counts(load_image_set(Labelled(str(root), level="leaf"))) == {"train": {"run": 6, "walk": 6}}


def test_a_folder_of_a_split_that_holds_another_of_its_name_is_entered(tmp_path, write_folder):
    folders = {f"{split}/{split}/{kind}": 2 for split in ("train", "test") for kind in ("cat", "dog")}
    root = write_folder(tmp_path / "pets", folders)
    assert counts(load_image_set(root)) == {split: {"cat": 2, "dog": 2} for split in ("train", "test")}


def test_splits_of_images_that_nobody_labelled_are_left_out(tmp_path, write_folder):
    folders = {"train/n1/images": 2, "train/n2/images": 3, "val/images": 2, "test/images": 4}
    image_set = load_image_set(write_folder(tmp_path / "tiny", folders))
    assert counts(image_set) == {"train": {"n1": 2, "n2": 3}}
    left = "holds images and no class folders, so it is no split: its"
    assert {f"test {left} 4 files were left out.", f"val {left} 2 files were left out."} <= set(image_set.notes)


@pytest.mark.parametrize(
    "folders",
    [
        {"train/steam": 3, "bus/red": 2, "car/blue": 2},
        {"train/steam": 2, "train/diesel": 1, "bus/red": 1, "bus/blue": 1, "car/a": 1, "car/b": 1},
    ],
)
def test_a_train_with_folders_beside_others_with_other_folders_is_a_class(tmp_path, write_folder, folders):
    root = write_folder(tmp_path / "vehicles", folders)
    for level in (None, "top"):
        image_set = load_image_set(Labelled(str(root), level=level))
        assert counts(image_set) == {"train": {"bus": 2, "car": 2, "train": 3}}
        assert "train is taken for a class, as what is beside it (bus, car) holds folders of other names" in note_with(
            image_set, "taken for"
        )


@pytest.mark.parametrize("names", [("Cat", "cat"), ("great dane", "great  dane ")])
def test_classes_that_differ_by_case_or_spaces_are_one_or_an_error(tmp_path, write_folder, names):
    first, second = names
    root = write_folder(tmp_path / "pets", {first: 3, second: 2, "dog": 4})
    with pytest.raises(DataError, match=rf"'{first}' \(3\) and '{second}' \(2\); .*add `fold_labels=True`"):
        load_image_set(root)
    image_set = load_image_set(Labelled(str(root), fold_labels=True))
    assert counts(image_set) == {"train": {first: 5, "dog": 4}}
    assert f"one class each: '{first}' (3) and '{second}' (2)." in note_with(image_set, "differ by case")


def test_they_differ_between_splits_and_in_names_of_files_too(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"train/Cat": 3, "train/dog": 2, "test/cat": 1, "test/dog": 1})
    with pytest.raises(DataError, match=r"'Cat' \(3\) and 'cat' \(1\)"):
        load_image_set(root)
    folded = load_image_set(Labelled(str(root), fold_labels=True))
    assert counts(folded) == {"train": {"Cat": 3, "dog": 2}, "test": {"Cat": 1, "dog": 1}}
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("Cat_1", "Cat_2", "Cat_3", "cat_4", "cat_5", "cat_6", "cat_7", "dog_1", "dog_2", "dog_3"):
        (flat / f"{name}.png").write_bytes(encode())
    with pytest.raises(DataError, match=r"'cat' \(4\) and 'Cat' \(3\)"):
        load_image_set(flat)
    assert counts(load_image_set(Labelled(str(flat), fold_labels=True))) == {"train": {"cat": 7, "dog": 3}}


def test_whole_numbers_with_fractions_are_whole_numbers_as_in_tables(tmp_path, write_folder):
    assert load_image_set(write_folder(tmp_path / "pets", {"0.0": 1, "1.0": 1})).class_names == ("0", "1")
