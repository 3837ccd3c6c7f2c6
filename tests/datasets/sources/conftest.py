"""Small copies of published archives, in their own formats."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets.download import sha256_of
from stepladder.datasets.sources import cifar

PER_FILE = 20


def planes(images: np.ndarray) -> np.ndarray:
    """Pixels (N, 32, 32, 3) as CIFAR stores them: (N, 3072), a plane a channel."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), 3072)


def python2_pickle(content: dict[str, object]) -> bytes:
    """A pickle as Python 2 wrote CIFAR's: protocol 2, strings of bytes, NumPy's old names."""
    out = [b"\x80\x02}q\x01("]

    def text(value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + len(value).to_bytes(4, "little") + value

    for key, value in content.items():
        out.append(text(key.encode()))
        if isinstance(value, np.ndarray):
            by_column = not value.flags.c_contiguous
            out.append(b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03")
            out.append(b"K\x00\x85U\x01b\x87Rq\x04(K\x01")
            out += [b"M" + length.to_bytes(2, "little") for length in value.shape]
            out.append(b"\x86cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06")
            out.append(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
            out += [b"\x88" if by_column else b"\x89", text(value.tobytes("F" if by_column else "C")), b"tb"]
        elif isinstance(value, list):
            out.append(b"]q\x07(")
            out += [b"K" + bytes([item]) if isinstance(item, int) else text(item.encode()) + b"q\x08" for item in value]
            out.append(b"e")
        else:
            out.append(text(str(value).encode()))
    return b"".join([*out, b"u."])


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def cifar_files(
    edition: cifar.Edition, seed: int = 0
) -> tuple[dict[str, bytes], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The files of an edition, and the pixels and labels (fine, coarse) that they hold, all splits joined."""
    rng = np.random.default_rng(seed)
    files: dict[str, bytes] = {}
    images, labels = {}, {}
    for split, names in edition.images.items():
        count = PER_FILE * len(names)
        pixels = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        images[split] = pixels
        labels[split] = np.stack([np.arange(count) % 10, np.arange(count) % 4], axis=1)
        for i, name in enumerate(names):
            part = slice(i * PER_FILE, (i + 1) * PER_FILE)
            fine, coarse = (labels[split][part, column].tolist() for column in (0, 1))
            if edition.label_keys:
                content = {"data": planes(pixels[part]), "batch_label": "a batch", edition.label_keys["fine"]: fine}
                if "coarse" in edition.label_keys:
                    content[edition.label_keys["coarse"]] = coarse
                content["filenames"] = [f"image_{number}.png" for number in range(PER_FILE)]
                files[name] = python2_pickle(content)
            else:
                columns = {"fine": fine, "coarse": coarse}
                rows = np.stack([np.array(columns[kind], dtype=np.uint8) for kind in edition.label_bytes], axis=1)
                files[name] = np.concatenate([rows, planes(pixels[part])], axis=1).tobytes()
    for kind, (name, key) in edition.names.items():
        count = 10 if kind == "fine" else 4
        class_names = [f"{kind} {number}" for number in range(count)]
        if edition.label_keys:
            other = pickle_content(files.get(name))
            files[name] = python2_pickle({**other, key: class_names})
        else:
            files[name] = "".join(f"{class_name}\n" for class_name in class_names).encode() + b"\n"
    return files, images, labels


def pickle_content(content: bytes | None) -> dict[str, object]:
    """What Python's own unpickler makes of our bytes: the reference."""
    if content is None:
        return {}
    return dict(pickle.loads(content, encoding="latin1"))


@pytest.fixture
def small_cifar(monkeypatch) -> None:
    """Editions of 20 images a file instead of 10,000 and 50,000."""
    monkeypatch.setattr(
        cifar,
        "EDITIONS",
        {
            name: tuple(replace(edition, per_file=dict.fromkeys(edition.per_file, PER_FILE)) for edition in editions)
            for name, editions in cifar.EDITIONS.items()
        },
    )


@pytest.fixture
def publish(monkeypatch, small_cifar, tmp_path) -> Callable[..., tuple[Path, dict, dict]]:
    """Write the archive of an edition to ``folder`` and let its SHA-256 and size be the published ones."""

    def write(
        name: str, number: int, folder: Path | None = None, extra: Callable[[tarfile.TarFile], None] | None = None
    ):
        edition = cifar.EDITIONS[name][number]
        files, images, labels = cifar_files(edition)
        path = (folder or tmp_path / "published") / edition.archive.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w:gz") as archive:
            folder_member = tarfile.TarInfo(edition.folder)
            folder_member.type = tarfile.DIRTYPE
            archive.addfile(folder_member)
            for file, content in files.items():
                add(archive, f"{edition.folder}/{file}", content)
            add(archive, f"{edition.folder}/readme.html", b"<html>")
            if extra is not None:
                extra(archive)
        known = replace(edition.archive, size=path.stat().st_size, sha256=sha256_of(path))
        editions = list(cifar.EDITIONS[name])
        editions[number] = replace(edition, archive=known)
        monkeypatch.setattr(cifar, "EDITIONS", {**cifar.EDITIONS, name: tuple(editions)})
        return path, images, labels

    return write
