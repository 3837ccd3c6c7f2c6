"""The image files that a user means, and whatever holds images as the pixels that a model reads, as in training."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import load_image_set
from stepladder.datasets.image_set import FITS
from stepladder.errors import DataError
from stepladder.model.images import ImageFile, find_images, read_pixels

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
