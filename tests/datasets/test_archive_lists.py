"""The list of an archive in the cache: it saves reading the archive, and never decides what is read from it."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import archive_lists, archives, load_image_set, unpack
from stepladder.datasets.archives import Archive, open_archive
from stepladder.datasets.cache import FEWEST_IMAGES, LISTS, clear_cache
from stepladder.errors import DamagedError, StepladderWarning
from tests.datasets.conftest import folder_of

NAMES = ("a.zip", "a.tar", "a.tar.gz")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """As many files as lists are kept of, one of them in a folder of its own, and an empty folder."""
    root = folder_of(tmp_path_factory.mktemp("photos"), {"cat": FEWEST_IMAGES // 2, "dog": FEWEST_IMAGES // 2})
    (root / "dog" / "deep ü").mkdir()
    (root / "dog" / "0000.png").rename(root / "dog" / "deep ü" / "1.png")
    return root


def packed(path: Path, folder: Path) -> Path:
    """An archive of ``folder`` at ``path``, in the form that its ending says."""
    files = sorted(folder.rglob("*"))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
            for file in files:
                archive.add(file, file.relative_to(folder), recursive=False)
    return path


def contents(archive: Archive, folder: str = "") -> dict[str, int]:
    found = {}
    for entry in archive.entries(folder):
        inner = f"{folder}/{entry.name}" if folder else entry.name
        assert archive.entry(inner).path == entry.path
        found[inner] = -1 if entry.is_dir() else entry.stat().st_size
        if entry.is_dir():
            found.update(contents(archive, inner))
    return found


def listed(path: Path) -> dict[str, int]:
    archive = open_archive(path)
    try:
        return contents(archive)
    finally:
        archive.close()


def expected(folder: Path) -> dict[str, int]:
    return {
        file.relative_to(folder).as_posix(): file.stat().st_size if file.is_file() else -1 for file in folder.rglob("*")
    }


def the_list(cache: Path) -> Path:
    (file,) = (cache / LISTS).iterdir()
    return file


def plant(file: Path, document: object) -> None:
    """Put a document in place of a list, with the checksum that it should have."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    file.write_bytes(f"{zlib.crc32(body):08x}\n".encode() + body)


@pytest.mark.parametrize("name", NAMES)
def test_the_second_time_the_archive_is_not_looked_into(tmp_path, photos, own_cache, monkeypatch, name):
    path = packed(tmp_path / name, photos)
    assert listed(path) == expected(photos)
    for kept in (own_cache / unpack.UNPACKED).glob("*"):
        kept.unlink()
    look_into = archives._look_into
    monkeypatch.setattr(archives, "_look_into", None)
    archive = open_archive(path)
    assert contents(archive) == expected(photos)
    assert archive.entry("dog/../cat/./0001.png") is archive.entry("cat/0001.png")
    assert archive.entry("../a.zip") is archive.entry("cat/none.png") is archive.entry("") is None
    with pytest.raises(FileNotFoundError):
        archive.entries("bird")
    monkeypatch.setattr(archives, "_look_into", look_into)
    files = list(photos.rglob("*.png"))
    with ThreadPoolExecutor(4) as pool:  # the first to read looks where files lie, and the others wait for it
        read = list(pool.map(archive.read, (file.relative_to(photos).as_posix() for file in files)))
    assert read == [file.read_bytes() for file in files]
    archive.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_second_load_gives_the_same_images_without_the_archive(tmp_path, photos, monkeypatch, name):
    path = packed(tmp_path / name, photos)
    first = load_image_set(path)
    monkeypatch.setattr(archives, "_look_into", None)
    again = load_image_set(path)
    folder = load_image_set(photos)
    for other in (first, folder):
        np.testing.assert_array_equal(again.splits["train"].images, other.splits["train"].images)
        np.testing.assert_array_equal(again.splits["train"].labels, other.splits["train"].labels)
        assert again.notes == other.notes


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_that_changed_is_looked_into(tmp_path, photos, own_cache, name):
    path = packed(tmp_path / name, photos)
    assert "cat/0000.png" in listed(path)
    smaller = tmp_path / "smaller"
    folder_of(smaller, {"cat": 3, "bird": FEWEST_IMAGES})
    packed(path, smaller)
    assert listed(path) == expected(smaller)
    os.utime(path, ns=(1, 1))  # a file of another time is another
    assert listed(path) == expected(smaller)
    assert len(list((own_cache / LISTS).iterdir())) == 3


def test_of_few_files_no_list_is_kept(tmp_path, own_cache):
    folder = folder_of(tmp_path / "few", {"cat": FEWEST_IMAGES - 2})  # and their folder
    listed(packed(tmp_path / "a.zip", folder))
    assert not list((own_cache / LISTS).iterdir())
    (folder / "cat" / "one more.png").touch()
    listed(packed(tmp_path / "a.zip", folder))
    assert the_list(own_cache)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


HARMS = {
    "wrong bit": lambda file: file.write_bytes(flipped(file.read_bytes(), 100)),
    "wrong bit of the checksum": lambda file: file.write_bytes(flipped(file.read_bytes(), 0)),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-5]),
    "empty": lambda file: file.write_bytes(b""),
    "a link": lambda file: file.rename(file.with_suffix(".moved")) and file.symlink_to(file.with_suffix(".moved")),
    "no JSON": lambda file: plant(file, b"{"),
    "deep": lambda file: plant(file, b"[" * 200_000),
    "no table": lambda file: plant(file, [["a"], [1]]),
    "no sizes": lambda file: plant(file, {"": [["a"], ["1"]]}),
    "too few sizes": lambda file: plant(file, {"": [["a", "b"], [1]]}),
    "sizes below nothing": lambda file: plant(file, {"": [["a"], [-2]]}),
    "truth for a size": lambda file: plant(file, {"": [["a"], [True]]}),
    "a way out": lambda file: plant(file, {"": [[".."], [-1]], "..": [["passwd"], [1]]}),
    "another way out": lambda file: plant(file, {"": [["../../etc/passwd"], [1]]}),
    "a path of Windows": lambda file: plant(file, {"": [["..\\a"], [1]]}),
    "no name": lambda file: plant(file, {"": [[""], [1]]}),
    "a name twice": lambda file: plant(file, {"": [["a", "a"], [1, 1]]}),
    "no name but a number": lambda file: plant(file, {"": [[1], [1]]}),
    "a folder from nowhere": lambda file: plant(file, {"": [["a"], [1]], "b": [["a"], [1]]}),
    "a folder that is not there": lambda file: plant(file, {"": [["a", "b"], [1, -1]]}),
    "nothing": lambda file: plant(file, {}),
}


@pytest.mark.long
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_list_is_made_again_and_that_is_said(tmp_path, photos, own_cache, harm):
    path = packed(tmp_path / "a.tar", photos)
    listed(path)
    file = the_list(own_cache)
    sound = file.read_bytes()
    HARMS[harm](file)
    with pytest.warns(
        StepladderWarning, match=r"list of the files in .*a\.tar.* is damaged \(.*\); it is made again\."
    ):
        assert listed(path) == expected(photos)
    assert not file.is_symlink()
    assert file.read_bytes() == sound
    assert listed(path) == expected(photos)  # without a word


def larger(listing: archive_lists.Listing) -> None:
    listing["cat"][1][0] += 1


def one_less(listing: archive_lists.Listing) -> None:
    for values in listing["cat"]:
        values.pop()


def one_more(listing: archive_lists.Listing) -> None:
    listing["dog"][0].append("more.png")
    listing["dog"][1].append(9)


def swapped(listing: archive_lists.Listing) -> None:
    listing["cat"], listing["dog"] = listing["dog"], listing["cat"]
    listing["cat/deep ü"] = listing.pop("dog/deep ü")


@pytest.mark.parametrize("change", [larger, one_less, one_more, swapped])
@pytest.mark.parametrize("skip_damaged", [False, True])
def test_a_list_that_somebody_made_up_never_gives_other_images(tmp_path, photos, own_cache, change, skip_damaged):
    path = packed(tmp_path / "a.zip", photos)
    images = load_image_set(path).splits["train"].images
    file = the_list(own_cache)
    listing = json.loads(file.read_bytes()[9:])
    change(listing)
    plant(file, listing)
    with pytest.raises(
        DamagedError, match=r"holds other files than the list of them in the cache says; .* run it again"
    ):
        load_image_set(path, skip_damaged=skip_damaged)
    np.testing.assert_array_equal(load_image_set(path).splits["train"].images, images)


def test_lists_are_the_owners_alone_and_go_with_the_cache(tmp_path, photos, own_cache):
    listed(packed(tmp_path / "a.zip", photos))
    file = the_list(own_cache)
    if hasattr(os, "geteuid"):
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    size = file.stat().st_size
    assert clear_cache() == size
    assert not file.exists()


def test_a_link_in_place_of_the_folder_is_not_used_and_that_is_said(tmp_path, photos, own_cache):
    (tmp_path / "theirs").mkdir()
    own_cache.mkdir()
    (own_cache / LISTS).symlink_to(tmp_path / "theirs")
    with pytest.warns(StepladderWarning, match=rf"The cache .*{LISTS} is not used"):
        assert listed(packed(tmp_path / "a.zip", photos)) == expected(photos)
    assert not list((tmp_path / "theirs").iterdir())


def test_without_a_place_to_write_archives_are_read_all_the_same(tmp_path, photos, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    path = packed(tmp_path / "a.zip", photos)
    for _ in range(2):
        assert listed(path) == expected(photos)


def test_the_lists_not_used_for_longest_make_room(tmp_path, photos, own_cache, monkeypatch):
    first, second, third = (packed(tmp_path / f"{name}.tar", photos) for name in ("first", "second", "third"))
    listed(first)
    old = the_list(own_cache)
    monkeypatch.setattr(archive_lists, "MOST_BYTES", int(2.5 * old.stat().st_size))
    listed(second)
    (newer,) = set((own_cache / LISTS).iterdir()) - {old}
    os.utime(old, (1, 1))
    os.utime(newer, (2, 2))
    listed(first)  # used just now
    listed(third)
    assert old.exists()
    assert not newer.exists()


def test_an_archive_that_is_replaced_while_it_is_looked_into_keeps_no_list(tmp_path, photos, own_cache, monkeypatch):
    path = packed(tmp_path / "a.zip", photos)
    look_into = archives._look_into

    def look_and_replace(asked: Path) -> object:
        found = look_into(asked)
        os.utime(path, ns=(1, 1))
        return found

    monkeypatch.setattr(archives, "_look_into", look_and_replace)
    assert listed(path) == expected(photos)
    assert not list((own_cache / LISTS).iterdir())


def test_names_that_are_no_text_are_kept_as_they_are(tmp_path, own_cache):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as archive:
        for number in range(FEWEST_IMAGES):
            member = tarfile.TarInfo(f"cat/\udce9{number}.png")
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    found = listed(path)
    assert the_list(own_cache)
    assert listed(path) == found
    opened = open_archive(path)
    assert opened.read("cat/\udce97.png") == b"x"
    opened.close()
