"""CIFAR in both editions: right pixels and labels from archives and folders, and nothing from what is not published."""

from __future__ import annotations

import io
import pickle
import tarfile

import numpy as np
import pytest

from stepladder.datasets import Access, load_image_set
from stepladder.datasets.download import downloads
from stepladder.datasets.sources import cifar
from stepladder.errors import DataError

EDITION = pytest.mark.parametrize("number", [0, 1], ids=["binary", "python"])
SETS = [("cifar10", "cifar10", 0), ("cifar100", "cifar100", 0), ("cifar100-coarse", "cifar100", 1)]


def check(image_set, images, labels, column):
    for split, pixels in images.items():
        np.testing.assert_array_equal(image_set.splits[split].images, pixels)
        np.testing.assert_array_equal(image_set.splits[split].labels, labels[split][:, column])
    kind = "coarse" if column else "fine"
    assert image_set.class_names == tuple(f"{kind} {i}" for i in range(4 if column else 10))


@EDITION
@pytest.mark.parametrize(("name", "published", "column"), SETS)
def test_from_the_archive(publish, name, published, column, number):
    path, images, labels = publish(published, number)
    image_set = load_image_set(name, access=Access(path))
    assert image_set.name == name
    check(image_set, images, labels, column)
    check(load_image_set(name, access=Access(path.parent)), images, labels, column)


@EDITION
@pytest.mark.parametrize("inside", [True, False])
def test_from_an_extracted_folder(publish, tmp_path, number, inside):
    path, images, labels = publish("cifar10", number)
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    folder = tmp_path / "out" / (cifar.EDITIONS["cifar10"][number].folder if inside else "")
    check(load_image_set("cifar10", access=Access(folder)), images, labels, 0)


@EDITION
def test_from_the_cache(publish, number):
    _, images, labels = publish("cifar10", number, downloads())
    check(load_image_set("cifar10"), images, labels, 0)


@EDITION
def test_a_changed_archive_is_not_read(publish, number):
    path, _, _ = publish("cifar10", number)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not the published archive .* and was not read; get it again"):
        load_image_set("cifar10", access=Access(path))


def test_a_changed_archive_in_the_cache_is_removed_and_named(publish):
    path, _, _ = publish("cifar10", 0, downloads())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz was damaged .* has been removed; .*`download=True`"):
        load_image_set("cifar10")
    assert not path.exists()


def test_absent_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        load_image_set("cifar100")
    message = str(caught.value)
    assert "add `download=True` to fetch it (169 MB from www.cs.toronto.edu)" in message
    assert "`data_dir`" in message
    assert "cifar-100-python.tar.gz" in message
    with pytest.raises(DataError, match="holds no cifar10; give an archive or a folder"):
        load_image_set("cifar10", access=Access(tmp_path))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt is not the published archive"):
        load_image_set("cifar10", access=Access(tmp_path / "notes.txt"))


@EDITION
def test_a_missing_file_is_named(publish, tmp_path, number):
    path, _, _ = publish("cifar10", number)
    edition = cifar.EDITIONS["cifar10"][number]
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    last = edition.images["train"][4]
    (tmp_path / "out" / edition.folder / last).unlink()
    with pytest.raises(DataError, match=f"lacks {last}; get the published set again"):
        load_image_set("cifar10", access=Access(tmp_path / "out"))


@EDITION
def test_truncated_files_are_named(publish, tmp_path, number):
    path, _, _ = publish("cifar10", number)
    edition = cifar.EDITIONS["cifar10"][number]
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    for name in (edition.images["test"][0], edition.names["fine"][0]):
        file = tmp_path / "out" / edition.folder / name
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=rf"{name} in .* cannot be read|names for 0 to"):
            load_image_set("cifar10", access=Access(tmp_path / "out"))
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("../evil", tarfile.REGTYPE, "leads out"),
        ("/etc/passwd", tarfile.REGTYPE, "leads out"),
        ("link", tarfile.SYMTYPE, "a link"),
        ("hard", tarfile.LNKTYPE, "a hard link"),
        ("device", tarfile.CHRTYPE, "a device"),
        ("pipe", tarfile.FIFOTYPE, "a pipe"),
    ],
)
def test_members_that_lead_elsewhere_are_refused(publish, name, kind, words):
    def plant(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member, io.BytesIO())

    path, _, _ = publish("cifar10", 0, extra=plant)
    with pytest.raises(DataError, match=words):
        load_image_set("cifar10", access=Access(path))


def test_nothing_is_unpacked(publish, monkeypatch):
    path, _, _ = publish("cifar10", 1)
    before = set(path.parent.rglob("*"))
    load_image_set("cifar10", access=Access(path))
    assert set(path.parent.rglob("*")) == before
    assert not downloads().exists()


def test_a_planted_call_in_a_folder_does_not_run(small_cifar, tmp_path):
    flag = tmp_path / "ran"
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    call = b"\x80\x02cos\nsystem\nX" + len(f"touch {flag}").to_bytes(4, "little") + f"touch {flag}".encode() + b"\x85R."
    for name in ("batches.meta", "data_batch_1"):
        (folder / name).write_bytes(call)
    with pytest.raises(DataError, match=r"batches.meta in .* cannot be read: it names os\.system.* was not run"):
        load_image_set("cifar10", access=Access(folder))
    assert not flag.exists()


def test_our_copies_of_the_python_edition_are_what_python_reads(publish, tmp_path):
    path, images, labels = publish("cifar100", 1)
    with tarfile.open(path) as archive:
        content = pickle.loads(archive.extractfile("cifar-100-python/test").read(), encoding="latin1")
    np.testing.assert_array_equal(content["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), images["test"])
    assert content["coarse_labels"] == labels["test"][:, 1].tolist()
