"""What identifies encoded images, and reading them from odd files."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from stepladder.datasets import filesystem
from stepladder.datasets.encoded import content_of, files
from stepladder.datasets.filesystem import file_entry
from stepladder.errors import DataError

NO_LABELS = np.zeros(2, dtype=np.int64)


@pytest.fixture
def two(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 9)
    return tmp_path


def fingerprint(folder, names="ab"):
    return files([file_entry(folder / name) for name in names], NO_LABELS).fingerprint


def test_the_fingerprint_is_that_of_path_size_and_time(two):
    first = fingerprint(two)
    assert len(first) == 64
    assert fingerprint(two) == first
    assert fingerprint(two, "ba") != first
    os.utime(two / "a", ns=(1, 1))
    later = fingerprint(two)
    assert later != first
    (two / "a").write_bytes(b"longer than before")
    os.utime(two / "a", ns=(1, 1))
    assert fingerprint(two) != later


def test_relative_paths_count_as_where_they_are(two, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_bytes(b"a" * 9)
    os.utime(two / "a", ns=(1, 1))
    os.utime(tmp_path / "other" / "a", ns=(1, 1))
    monkeypatch.chdir(two)
    here = files([file_entry("a")], NO_LABELS).fingerprint
    assert files([file_entry(two / "a")], NO_LABELS).fingerprint == here
    monkeypatch.chdir(tmp_path / "other")
    assert files([file_entry("a")], NO_LABELS).fingerprint != here


def test_odd_files_get_a_reason_and_do_not_block(two):
    os.mkfifo(two / "pipe")
    (two / "loop").symlink_to("loop")
    started = time.monotonic()
    for name, words in [
        ("pipe", "no file"),
        ("loop", "symbolic links"),
        ("gone", "No such file"),
        ("", "no file"),
        ("a\0", "null"),
    ]:
        with pytest.raises(DataError, match=f"cannot be read: .*{words}"):
            content_of(f"{two}/{name}")
    with pytest.raises(DataError, match="holds no image bytes"):
        content_of(None)
    assert time.monotonic() - started < 60
    assert file_entry(two / "loop").size == file_entry("a\0").size == -1


def test_no_permission_on_one_file_is_its_reason(two, monkeypatch):
    # For root, whom no permission stops, the system's answer is played.
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(filesystem.os, "open", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        content_of(str(two / "a"))


def test_a_file_that_is_read_in_parts(two, monkeypatch):
    read = os.read
    monkeypatch.setattr(filesystem.os, "read", lambda descriptor, count: read(descriptor, min(count, 4)))
    assert content_of(str(two / "a")) == b"a" * 9
