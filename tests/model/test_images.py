"""The image files that a user means, and whatever holds images as the pixels that a model reads, as in training."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import archives, filesystem, load_image_set
from stepladder.datasets.archives import OpenArchives
from stepladder.datasets.image_set import FITS
from stepladder.errors import DataError, StorageError
from stepladder.model import find
from stepladder.model.images import ImageFile, find_images, name_images, read_pixels

SHAPE = (8, 8, 3)
CLASSES = ("cat", "dog")


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()


def test_pixels_of_the_right_shape_come_back_as_they_are(tmp_path):
    pixels = noise(*SHAPE)
    (tmp_path / "a.png").write_bytes(png(pixels))
    for image in (pixels, Image.fromarray(pixels), tmp_path / "a.png", str(tmp_path / "a.png"), [pixels], pixels[None]):
        np.testing.assert_array_equal(read_pixels(image, SHAPE), pixels[None])


def test_many_at_once_of_every_kind_and_size(tmp_path):
    (tmp_path / "a.png").write_bytes(png(noise(20, 30, 3)))
    images = [tmp_path / "a.png", Image.fromarray(noise(5, 9)), noise(8, 8), noise(8, 8, 1), noise(3, 16, 4, 4)]
    assert read_pixels(images, SHAPE).shape == (7, *SHAPE)
    assert read_pixels(images, (6, 10, 1)).shape == (7, 6, 10, 1)
    assert read_pixels([], SHAPE).shape == (0, *SHAPE)


def test_bytes_of_a_file_and_tensors_are_images(tmp_path):
    import torch

    pixels = noise(*SHAPE)
    content = png(pixels)
    (tmp_path / "a.png").write_bytes(content)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (content, bytearray(content), io.BytesIO(content), tensor, tensor[None], [tensor, content]):
        for found in read_pixels(image, SHAPE):
            np.testing.assert_array_equal(found, pixels)
    with (tmp_path / "a.png").open("rb") as file:
        np.testing.assert_array_equal(read_pixels(file, SHAPE)[0], pixels)
    assert read_pixels(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), (8, 8, 1)).shape == (5, 8, 8, 1)
    for wrong, message in (
        (torch.zeros(8, 8, dtype=torch.uint8), r"the tensor has the shape \(8, 8\); give \(C, H, W\)"),
        (torch.zeros(3, 8, 8), "the array is float32; give uint8, 0 to 255"),
        (b"no image", "an image in memory: "),
    ):
        with pytest.raises(DataError, match=message):
            read_pixels(wrong, SHAPE)


def test_gray_becomes_three_equal_channels_and_color_luma():
    gray = noise(8, 8)
    np.testing.assert_array_equal(read_pixels(gray, SHAPE)[0], np.repeat(gray[:, :, None], 3, axis=2))
    color = noise(8, 8, 3)
    luma = (color.astype(float) @ [0.299, 0.587, 0.114]).round()
    assert np.abs(read_pixels(color, (8, 8, 1))[0, :, :, 0] - luma).max() <= 1


def test_what_is_transparent_is_white():
    clear = np.dstack([noise(8, 8, 3), np.zeros((8, 8), np.uint8)])
    assert (read_pixels(clear, SHAPE) == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "1"])
def test_every_mode_of_pillow(mode):
    image = Image.fromarray(noise(8, 8, 3)).convert("L" if mode == "I;16" else mode)
    image = image.convert("I;16") if mode == "I;16" else image
    assert read_pixels(image, SHAPE).shape == (1, *SHAPE)


def test_an_image_lies_as_its_orientation_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(4, 8)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(
        read_pixels(tmp_path / "turned.png", (8, 4, 1))[0, :, :, 0], np.rot90(noise(4, 8), -1)
    )
    with Image.open(tmp_path / "turned.png") as image:
        np.testing.assert_array_equal(read_pixels(image, (8, 4, 1))[0, :, :, 0], np.rot90(noise(4, 8), -1))


@pytest.mark.long
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
def test_files_of_any_size_become_what_training_saw(tmp_path, fmt, fit):
    """A folder of images whose sizes differ is resized while loading; prediction must see the same pixels."""
    random = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "set" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        size = (int(random.integers(20, 300)), int(random.integers(20, 300)))
        smooth = Image.fromarray(noise(6, 6, 3, seed=number)).resize(size, Image.Resampling.BICUBIC)
        smooth.save(folder / f"{number:02}.{fmt.lower()}", fmt)
    images = load_image_set(str(tmp_path / "set"), fit=fit)
    files = sorted((tmp_path / "set").glob("*/*"))
    np.testing.assert_array_equal(read_pixels(files, images.image_shape, fit), images.splits["train"].images)
    if fmt == "PNG":  # pixels that a program holds are not reduced while they are decoded
        held = [np.asarray(Image.open(file)) for file in files]
        np.testing.assert_array_equal(read_pixels(held, images.image_shape, fit), images.splits["train"].images)


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((8, 8, 3)), "the array is float64; give uint8"),
        (np.zeros((8, 8, 5), np.uint8), r"has the shape \(8, 8, 5\); give"),
        (np.zeros(8, np.uint8), r"has the shape \(8,\); give"),
        (np.zeros((0, 8, 3), np.uint8), "and so no pixels"),
        (3.5, "float is no image; give paths"),
        ([None], "NoneType is no image"),
        ("no/such/file.png", "cannot read no/such/file.png: No such file"),
        (Image.new("F", (8, 8)), "mode F .* is not read"),
    ],
)
def test_what_is_no_image_is_named(image, complaint):
    with pytest.raises(DataError, match=complaint):
        read_pixels(image, SHAPE)


def sparse(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(30_000_000_000)
    return path


@pytest.mark.parametrize("given", [str, lambda path: path, lambda path: [path]])
def test_no_file_is_read_that_is_larger_than_an_image(tmp_path, given):
    with pytest.raises(DataError, match=r"big\.png: 30000 MB is more than an image may have \(500 MB\)"):
        read_pixels(given(sparse(tmp_path / "big.png")), SHAPE)


class Endless(io.RawIOBase):
    """A file without an end, of which little may be read."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= 10_000_000
        self.given += size
        return bytes(size)


def test_an_open_file_without_an_end_is_not_read_to_it(monkeypatch):
    monkeypatch.setattr(filesystem.read_open, "__defaults__", (3_000_000,))
    endless = Endless()
    with pytest.raises(DataError, match="an image in memory: more than 3 MB, and no more are read; give another file"):
        read_pixels(endless, SHAPE)
    assert endless.given <= 13_000_000
    monkeypatch.setattr(find, "_MOST_BYTES", 3_000_000)
    with pytest.raises(StorageError, match="a model in memory: more than 3 MB, and no more are read"):
        find.load_model(Endless())


def test_open_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(png(noise(*SHAPE)))
    with (tmp_path / "a.png").open(encoding="latin-1") as text:
        for image in (text, io.StringIO("text")):
            with pytest.raises(DataError, match="an image in memory: it is open as text; open it with the mode 'rb'"):
                read_pixels(image, SHAPE)
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(DataError, match="an image in memory: cannot be read: I/O operation on closed file"):
        read_pixels(closed, SHAPE)
    with pytest.raises(StorageError, match="a model in memory: cannot be read: I/O operation on closed file"):
        find.load_model(closed)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_no_image_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (file,) = find_images([str(tmp_path / "pipe.png")], CLASSES).files
    with pytest.raises(DataError, match=r"cannot read .*pipe\.png: it is no file \(a folder, pipe or device\)"):
        read_pixels(file.path, SHAPE)


def test_an_image_of_pillow_that_is_damaged_is_said(tmp_path):
    (tmp_path / "cut.png").write_bytes(png(noise(50, 50, 3))[:-3000])
    with Image.open(tmp_path / "cut.png") as image, pytest.raises(DataError, match="damaged: image file is truncated"):
        read_pixels(image, SHAPE)


def test_blank_paths_and_tables_are_told_what_they_are(tmp_path):
    for given in ([""], [" ", "a.png"]):
        with pytest.raises(DataError, match="a path is blank; give files, folders, archives or patterns"):
            find_images(given, CLASSES)
    with pytest.raises(DataError, match="a path is blank"):
        list(name_images(["", "b.png"]))
    (tmp_path / "a.csv").write_text("path\nb.png\n")
    with pytest.raises(DataError, match=r"a\.csv: no image .*; a table of paths is read where the command predict"):
        read_pixels(tmp_path / "a.csv", SHAPE)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "cut.png").write_bytes(png(noise(50, 50, 3))[:-30])
    with pytest.raises(DataError, match=r"cut\.png: damaged"):
        read_pixels([tmp_path / "cut.png"], SHAPE)


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
    found = find_images([str(photos)], CLASSES)
    assert found.files == tuple(ImageFile(photos / name, label) for name, label in expected)
    assert found.notes == (
        "Passed over, as none of the images: .DS_Store (1), Thumbs.db (1), hidden (1).",
        "1 file lies in no folder of a class, and cannot be called right or wrong: other (1).",
    )


def test_a_class_folder_itself_labels_what_it_holds(photos):
    assert [file.label for file in find_images([str(photos / "dog")], CLASSES).files] == [1]


def files_at(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(noise(*SHAPE, seed=len(name))))
    return root


def labels_of(found) -> dict[str, int | None]:
    return {"/".join(file.path.parts[-3:]): file.label for file in found.files}


def test_the_top_folder_of_a_class_tells_it_in_training_and_here(tmp_path):
    root = files_at(tmp_path / "set", "cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "dog/cat/1.png")
    found = find_images([str(root)], CLASSES)
    assert [file.label for file in found.files] == load_image_set(root).splits["train"].labels.tolist()
    assert [file.label for file in found.files] == [0, 0, 1, 1, 1]
    assert [file.label for file in find_images([str(root / "dog")], CLASSES).files] == [1, 1, 1]


def test_a_split_or_the_set_itself_may_be_called_as_a_class_is(tmp_path):
    names = [f"{split}/{kind}/1.png" for split in ("test", "train") for kind in ("bus", "car", "train")]
    found = find_images([str(files_at(tmp_path / "train", *names))], ("bus", "car", "train"))
    assert labels_of(found) == {name: number % 3 for number, name in enumerate(names)}
    alone = find_images([str(tmp_path / "train" / "test")], ("bus", "car", "train"))
    assert [file.label for file in alone.files] == [0, 1, 2]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_class_is_the_same_in_every_form_of_unicode(tmp_path, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    classes = tuple(unicodedata.normalize(form, name) for name in ("Étoile", "Mond"))
    root = files_at(tmp_path / "set", "Mond/1.png", unicodedata.normalize(other, "étoile") + "/1.png")
    found = find_images([str(root)], classes)
    assert sorted(file.label for file in found.files) == [0, 1]
    assert found.notes == ()


def test_names_that_two_classes_share_but_for_their_form_label_nothing_and_that_is_said(tmp_path):
    root = files_at(tmp_path / "set", "CAT/1.png", "dog/1.png", "dog/2.png", "bird/deep/3.png", "bird/4.png")
    found = find_images([str(root)], ("cat", "Cat", "dog"))
    assert [file.label for file in found.files] == [None, None, None, 2, 2]
    assert found.notes == (
        "3 files lie in no folder of a class, and cannot be called right or wrong: CAT (1), bird (2).",
    )
    assert find_images([str(root / "bird")], ("cat", "Cat", "dog")).notes == (), "nobody asks who is right"


@pytest.mark.parametrize("above", ["Temporary Items", "@tmp", "lost+found/deep"])
def test_what_a_folder_above_is_called_does_not_matter(tmp_path, monkeypatch, above):
    root = files_at(tmp_path / above / "photos", "cat/1.png", "cat/2.png", "dog/1.png", "dog/@eaDir/2.png")
    expected = [root / "cat/1.png", root / "cat/2.png", root / "dog/1.png"]

    def found(*given: Path | str, lines: list[Path] = []) -> list[Path]:  # noqa: B006 (is not changed)
        files = find_images(list(map(str, given)), CLASSES, map(str, lines)).files
        return [file.path.absolute() for file in files]

    assert found(root) == found(root / "cat", root / "dog") == found(root / "*") == expected
    assert found(root / "*" / "*.png") == found(*expected, root / "dog/@eaDir/2.png") == expected
    assert found("-", lines=[*expected, root / "dog/@eaDir/2.png"]) == expected
    assert found("-", lines=expected[:1]) == expected[:1]
    monkeypatch.chdir(root)
    assert found("cat", "dog") == found("*") == found("cat/1.png", "cat/2.png", "dog/1.png") == expected
    assert found(root / "**" / "*.png") == expected


def test_single_files_have_no_label_and_come_once(photos):
    one = str(photos / "cat" / "1.png")
    assert find_images([one, one, str(photos / "*" / "1.png")], CLASSES).files == (
        ImageFile(photos / "cat" / "1.png"),
        ImageFile(photos / "dog" / "1.png"),
    )


def test_a_list_takes_the_place_of_a_dash(photos):
    listed = [f"{photos / 'dog' / '1.png'}\n", "\n", f"{photos / 'cat' / '1.png'}\r\n"]
    assert [file.path.parent.name for file in find_images(["-"], CLASSES, listed).files] == ["dog", "cat"]


def test_names_with_marks_of_a_pattern_are_files_first(photos):
    odd = photos / "odd [1].png"
    odd.touch()
    assert find_images([str(odd)], CLASSES).files == (ImageFile(odd),)


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


def test_what_training_reads_prediction_reads(tmp_path):
    """One finder: links, thumbnails, results, loops and pipes are the same to both, and so is the number of images."""
    root = tmp_path / "photos"
    for number in range(6):
        for folder in (root / "dog", tmp_path / "elsewhere" / "cats"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(png(noise(8, 8, 3, seed=number)))
    (root / "cat").symlink_to(tmp_path / "elsewhere" / "cats")
    (root / "dog" / "loop").symlink_to(root)
    (root / "cat" / "@eaDir" / "0.png").mkdir(parents=True)
    (root / "cat" / "@eaDir" / "0.png" / "SYNOPHOTO_THUMB_M.png").write_bytes(png(noise(8, 8, 3)))
    for place in (root / "studies" / "photos-ladder", root / "dog" / "mine"):
        (place / "trials").mkdir(parents=True)
        (place / "study.json").touch()
        (place / "ladder.png").write_bytes(png(noise(8, 8, 3)))
    (root / "dog" / "thumbs.DB").touch()
    images = load_image_set(root)
    found = find_images([str(root)], CLASSES)
    assert [file.label for file in found.files] == images.splits["train"].labels.tolist() == [0] * 6 + [1] * 6
    pixels = read_pixels([file.path for file in found.files], SHAPE)
    np.testing.assert_array_equal(pixels, images.splits["train"].images)
    assert set(found.notes) == {note for note in images.notes if note.startswith("Passed over")}
    assert "@eaDir (1)" in found.notes[0]
    assert "thumbs.DB (1)" in found.notes[0]


def test_splits_that_link_to_the_same_folder_are_both_read(tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "0.png").write_bytes(png(noise(8, 8)))
    for split in ("train", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        (tmp_path / "photos" / split / "cat").symlink_to(tmp_path / "all")
    found = find_images([str(tmp_path / "photos")], CLASSES).files
    assert [(file.path.parts[-3], file.label) for file in found] == [("test", 0), ("train", 0)]


def test_a_broken_link_stays_in_the_list_so_that_it_is_reported(photos):
    (photos / "cat" / "gone.png").symlink_to("nowhere")
    assert "gone.png" in [file.path.name for file in find_images([str(photos)], CLASSES).files]


def test_patterns_and_lists_pass_over_what_a_folder_does_and_one_file_alone_is_taken(photos):
    (photos / "cat" / "@eaDir").mkdir()
    (photos / "cat" / "@eaDir" / "t.jpg").touch()
    found = find_images([str(photos / "dog" / "*"), str(photos / "cat" / "*")], CLASSES)
    assert [file.path.name for file in found.files] == ["1.png", "1.png", "2.png"]
    assert found.notes == ("Passed over, as none of the images: @eaDir (1), Thumbs.db (1).",)
    listed = [str(photos / "cat" / "@eaDir" / "t.jpg"), str(photos / "cat" / "1.png")]
    assert [file.path.name for file in find_images(["-"], CLASSES, listed).files] == ["1.png"]
    alone = str(photos / "dog" / "Thumbs.db")
    assert [file.path.name for file in find_images([alone], CLASSES).files] == ["Thumbs.db"]
    with pytest.raises(DataError, match=r"no images to look at; .*\(Passed over, .*: Thumbs\.db \(1\)\.\)"):
        find_images([alone, alone], CLASSES)


def test_a_folder_of_results_alone_says_so(tmp_path):
    (tmp_path / "studies" / "a").mkdir(parents=True)
    (tmp_path / "studies" / "a" / "study.json").write_text('{"plan_hash": ""}')
    with pytest.raises(DataError, match=r"no images to look at; .* results of Stepladder in .*studies"):
        find_images([str(tmp_path)], CLASSES)


def test_values_of_16_bits_are_spread_as_in_training(tmp_path):
    for number in range(12):
        path = tmp_path / "set" / f"class{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        wide = np.random.default_rng(number).integers(100, 900, (20, 20), dtype=np.uint16)
        Image.fromarray(wide).save(path)
    images = load_image_set(tmp_path / "set", stretch=True, size=10)
    files = sorted((tmp_path / "set").glob("*/*"))
    found = read_pixels(files, images.image_shape, images.fit, images.span)
    np.testing.assert_array_equal(found, images.splits["train"].images)
    with Image.open(files[0]) as held:
        np.testing.assert_array_equal(read_pixels(held, images.image_shape, span=images.span)[0], found[0])
    assert read_pixels(files, images.image_shape).max() < 10


def test_files_folders_patterns_and_arrays_are_named_by_their_files(tmp_path):
    for name in ("a.png", "b.png", "[c].png"):
        (tmp_path / name).write_bytes(png(noise(*SHAPE)))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "d.png").write_bytes(png(noise(*SHAPE)))

    def names(*images):
        return [None if path is None else path.relative_to(tmp_path).as_posix() for _, path in name_images(images)]

    assert names(tmp_path / "a.png", noise(*SHAPE)) == ["a.png", None]
    assert names(tmp_path / "inner") == ["inner/d.png"]
    assert names(str(tmp_path / "?.png")) == ["a.png", "b.png"]
    assert names(tmp_path / "[c].png") == ["[c].png"], "a file of that name is no pattern"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "own cache"))


@pytest.fixture(params=["zip", "tar", "gztar"])
def packed(request, photos):
    """The photos in an archive, and a document among them; each image is another."""
    for number, file in enumerate(sorted(photos.rglob("*.png"))):
        file.write_bytes(png(noise(*SHAPE, seed=number)))
    (photos / "notes.txt").write_text("none of the images")
    return Path(shutil.make_archive(str(photos.parent / "packed"), request.param, photos))


def test_an_archive_is_as_its_folder(photos, packed):
    with OpenArchives() as opened:
        found = find_images([str(packed)], CLASSES, archives=opened)
        assert found.files == tuple(
            ImageFile(packed / name, label)
            for name, label in [("cat/1.png", 0), ("cat/deep/2.png", 0), ("dog/1.png", 1), ("other/3.png", None)]
        )
        assert found.notes == (
            "Passed over, as none of the images: *.txt (1), .DS_Store (1), Thumbs.db (1), hidden (1).",
            "1 file lies in no folder of a class, and cannot be called right or wrong: other (1).",
        )
        folder = find_images([str(photos)], CLASSES)
        assert found.notes == folder.notes
        np.testing.assert_array_equal(
            read_pixels([file.path for file in found.files], SHAPE),
            read_pixels([file.path for file in folder.files], SHAPE),
        )
    assert not filesystem._OPEN
    with pytest.raises(DataError, match=r"cannot read .*packed\..*1\.png: Not a directory"):
        read_pixels(found.files[0].path, SHAPE)
    assert find_images([str(packed)], CLASSES).files == (ImageFile(packed),), "for who opens none it is a file"


def test_archives_stand_beside_files_folders_and_what_lies_in_archives(photos, packed):
    again = packed.with_name(f"again {packed.name}")
    shutil.copy(packed, again)
    given = [photos / "other" / "3.png", packed / "dog", again, again / "other" / "3.png", packed / "cat" / "1.png"]
    expected = [photos / "other" / "3.png", packed / "dog" / "1.png"]
    expected += [again / name for name in ("cat/1.png", "cat/deep/2.png", "dog/1.png", "other/3.png")]
    expected += [packed / "cat" / "1.png"]
    with OpenArchives() as opened:
        found = find_images([*map(str, given), "-"], CLASSES, [f"{packed}\n"], opened).files
        assert [file.path for file in found[:7]] == expected
        assert [file.label for file in found[:7]] == [None, 1, 0, 0, 1, None, None]
        assert [file.path.name for file in found[7:]] == ["2.png", "3.png"]  # the others of the list came before
        assert len(read_pixels([file.path for file in found], SHAPE)) == 9
        assert find_images([str(packed / "cat")], CLASSES, archives=opened).files[1].label == 0
        assert [path for _, path in name_images([str(packed / "dog"), photos / "dog" / "1.png"], opened)] == [
            packed / "dog" / "1.png",
            photos / "dog" / "1.png",
        ]
    with OpenArchives() as opened:
        assert len(find_images([str(packed.parent / f"*{packed.name}")], CLASSES, archives=opened).files) == 8
    assert not filesystem._OPEN


@pytest.mark.parametrize("inner", ["none.png", "bird", "../photos/cat/1.png", "cat/1.png/x"])
def test_what_is_not_in_an_archive_is_named(packed, inner):
    with OpenArchives() as opened, pytest.raises(DataError, match="there is no file or folder"):
        find_images([str(packed / inner)], CLASSES, archives=opened)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.bmp", bytes(2_000_000))


def named(name: str):
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("cat/1.png", png(noise(*SHAPE)))
            archive.writestr(name, b"x")

    return write


def of_kind(kind: bytes):
    def write(path: Path) -> None:
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo("cat/1.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)

    return write


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("a.zip", named("/etc/passwd"), "leads out of the archive; it is refused as a whole"),
        ("a.zip", named("../1.png"), "leads out of the archive; it is refused as a whole"),
        ("a.tar", of_kind(tarfile.SYMTYPE), "holds a link"),
        ("a.tar", of_kind(tarfile.LNKTYPE), "holds a hard link"),
        ("a.tar", of_kind(tarfile.CHRTYPE), "holds a device"),
        ("a.tar", of_kind(tarfile.FIFOTYPE), "holds a pipe"),
        ("a.zip", bomb, r"unpacks to 2\.0 MB or more, which no images do"),
        ("a.zip", lambda path: path.write_bytes(b"no zip"), "is damaged, or no such archive"),
        ("a.tar.gz", lambda path: path.write_bytes(b"no gzip"), "is damaged, or no such archive"),
    ],
)
def test_archives_that_could_do_harm_are_refused(tmp_path, monkeypatch, name, write, words):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1_000_000)
    write(tmp_path / name)
    for given in (tmp_path / name, tmp_path / name / "cat" / "1.png"):
        with OpenArchives() as opened, pytest.raises(DataError, match=words):
            find_images([str(given)], CLASSES, archives=opened)
    assert not filesystem._OPEN


def test_a_damaged_file_in_an_archive_is_its_own_matter(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png(noise(*SHAPE)))
        archive.writestr("2.png", png(noise(*SHAPE, seed=2)))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with OpenArchives() as opened:
        first, second = (file.path for file in find_images([str(tmp_path / "a.zip")], (), archives=opened).files)
        with pytest.raises(
            DataError, match=r"cannot read .*1\.png: damaged in the archive: its checksum does not hold"
        ):
            read_pixels(first, SHAPE)
        np.testing.assert_array_equal(read_pixels(second, SHAPE)[0], noise(*SHAPE, seed=2))
