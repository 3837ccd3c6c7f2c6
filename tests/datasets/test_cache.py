"""The cache of decoded images: whole or absent, shared, bounded, and never in the way."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import cache as room
from stepladder.datasets.cache import FEWEST_IMAGES, Decoded, cache_folder, clear_cache, decode_once
from stepladder.errors import DataError, StepladderWarning

COUNT = FEWEST_IMAGES
SHAPE = (COUNT, 4, 4, 3)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(room.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def decoder(value=7, facts=None, shape=SHAPE):
    """A decode that fills everything with ``value`` and counts its calls."""

    def decode(allocate):
        decode.calls += 1
        pixels = allocate(shape)
        pixels[:] = value
        return Decoded(pixels, {"damaged": []} if facts is None else facts)

    decode.calls = 0
    return decode


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "decoded-1").iterdir() if path.suffix != ".lock")


def test_the_second_time_nothing_is_decoded(empty_cache):
    decode = decoder(facts={"damaged": [[3, "why"]]})
    for _ in range(3):
        found = decode_once("key", COUNT, decode)
        assert (found.pixels == 7).all()
        assert found.pixels.shape == SHAPE
        assert found.facts == {"damaged": [[3, "why"]]}
        assert not found.pixels.flags.writeable  # the file itself, not a copy of it
    assert decode.calls == 1
    assert kept(empty_cache) == ["key.json", "key.pixels"]
    other = decode_once("other", COUNT, decoder(9))
    assert (other.pixels == 9).all()


def test_few_images_are_not_kept(empty_cache):
    decode = decoder(shape=(COUNT - 1, 4, 4, 3))
    for _ in range(2):
        assert decode_once("key", COUNT - 1, decode).pixels.flags.writeable
    assert decode.calls == 2
    assert not empty_cache.exists()


def test_what_must_not_be_kept_is_not(empty_cache):
    def decode(allocate):
        return Decoded(allocate(SHAPE), {}, keep=False)

    assert decode_once("key", COUNT, decode).pixels.shape == SHAPE
    assert kept(empty_cache) == []


def test_an_error_while_decoding_leaves_nothing(empty_cache):
    def decode(allocate):
        allocate(SHAPE)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        decode_once("key", COUNT, decode)
    assert kept(empty_cache) == []


def test_the_array_allocated_last_is_the_one_that_counts(empty_cache):
    def decode(allocate):
        allocate((COUNT, 9, 9, 3))[:] = 1
        pixels = allocate(SHAPE)
        pixels[:] = 2
        return Decoded(pixels, {})

    for _ in range(2):
        found = decode_once("key", COUNT, decode)
        assert found.pixels.shape == SHAPE
        assert (found.pixels == 2).all()


def change(name, what):
    """A harm: what a file of the entry holds is changed by ``what``, from bytes to bytes."""
    return lambda folder: (folder / name).write_bytes(what((folder / name).read_bytes()))


def wrong_bit(position):
    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[position] ^= 1
        return bytes(changed)

    return flip


def told(**values):
    """A harm: the facts say something else, under a checksum that is right for them."""

    def harm(folder):
        path = folder / "key.json"
        kept = json.loads(path.read_text()) | values
        pixels = np.fromfile(folder / "key.pixels", np.uint8)
        with suppress(ValueError, TypeError):
            kept["crc32"] = room._checksum(pixels.reshape(kept["shape"]), kept["facts"])
        path.write_text(json.dumps(kept))

    return harm


HARMS = {
    "no pixels": lambda folder: (folder / "key.pixels").unlink(),
    "cut": change("key.pixels", lambda content: content[:-1]),
    "longer": change("key.pixels", lambda content: content + b"x"),
    "first bit": change("key.pixels", wrong_bit(0)),
    "a bit of a whole page": change("key.pixels", wrong_bit(4000)),
    "last bit": change("key.pixels", wrong_bit(-1)),
    "a lost page": change("key.pixels", lambda content: bytes(4096) + content[4096:]),
    "the folder of the pixels": lambda folder: ((folder / "key.pixels").unlink(), (folder / "key.pixels").mkdir()),
    "half of the facts": change("key.json", lambda content: content[: len(content) // 2]),
    "no facts": change("key.json", lambda _: b""),
    "no object": change("key.json", lambda _: b"[1, 2]"),
    "nothing told": change("key.json", lambda _: b"{}"),
    "deep": change("key.json", lambda _: b"[" * 100_000),
    "a bit of the facts": change("key.json", lambda content: content.replace(b"why", b"whx")),
    "a bit of the checksum": change("key.json", lambda content: re.sub(rb'(crc32": )(.)', rb"\g<1>1\2", content)),
    "fewer images": told(shape=[COUNT - 1, 4, 4, 3]),
    "three lengths": told(shape=[COUNT, 4, 12]),
    "a text": told(shape="large"),
    "endless": change("key.json", lambda content: content.replace(b" 4,", b" 1e999,", 1)),
    "negative": told(shape=[COUNT, -4, -4, 3]),
    "fractions": told(shape=[COUNT, 4.0, 4, 3]),
    "facts of another kind": told(facts=[3]),
    "facts that the caller refuses": told(facts={"damaged": 3}),
}


def check_facts(facts, count):
    if not isinstance(facts["damaged"], list):
        raise TypeError("no list")


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
def test_a_harmed_entry_is_made_anew_and_that_is_said(empty_cache, harm):
    decode = decoder(facts={"damaged": [[3, "why"]]})
    decode_once("key", COUNT, decode, check_facts)
    before = (empty_cache / "decoded-1" / "key.json").read_bytes()
    harm(empty_cache / "decoded-1")
    if (empty_cache / "decoded-1" / "key.pixels").is_dir():
        with pytest.warns(StepladderWarning, match="cannot be read"):
            assert (decode_once("key", COUNT, decode, check_facts).pixels == 7).all()
        return
    with pytest.warns(
        StepladderWarning, match=r"^Decoded images in the cache are damaged \(.*\); they are decoded again"
    ):
        assert (decode_once("key", COUNT, decode, check_facts).pixels == 7).all()
    found = decode_once("key", COUNT, decode, check_facts)  # whole again: no word
    assert (found.pixels == 7).all()
    assert found.facts == {"damaged": [[3, "why"]]}
    assert decode.calls == 2
    assert (empty_cache / "decoded-1" / "key.json").read_bytes() == before


def test_what_has_no_checksum_yet_gets_one_without_a_word(empty_cache):
    decode = decoder()
    decode_once("key", COUNT, decode)
    path = empty_cache / "decoded-1" / "key.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({"shape": kept["shape"], "facts": kept["facts"]}))
    for _ in range(2):
        decode_once("key", COUNT, decode)
    assert decode.calls == 2
    assert json.loads(path.read_text()) == kept


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
@pytest.mark.parametrize("planted", ["key.part", "key.pixels", "key.json", "key.lock"])
def test_a_planted_link_is_not_written_through(empty_cache, tmp_path, planted, link):
    precious = tmp_path / "precious"
    precious.write_bytes(b"7 bytes")
    folder = empty_cache / "decoded-1"
    folder.mkdir(parents=True)
    getattr(folder / planted, link)(precious)
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StepladderWarning)
            assert (decode_once("key", COUNT, decoder()).pixels == 7).all()
    assert precious.read_bytes() == b"7 bytes"


@pytest.mark.parametrize("target", ["folder", "nothing"])
def test_a_link_in_place_of_the_folder_is_not_used_and_that_is_said(empty_cache, tmp_path, target):
    if target == "folder":
        (tmp_path / "foreign").mkdir()
    empty_cache.mkdir()
    (empty_cache / "decoded-1").symlink_to(tmp_path / "foreign")
    with pytest.warns(StepladderWarning, match=r"decoded-1 is not used: it is a link or no folder\. Remove it, or set"):
        assert (decode_once("key", COUNT, decoder()).pixels == 7).all()
    assert not (tmp_path / "foreign").exists() or list((tmp_path / "foreign").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no such owners")
def test_the_folder_is_the_owners_alone(empty_cache, monkeypatch):
    empty_cache.mkdir()
    (empty_cache / "decoded-1").mkdir(mode=0o777)
    (empty_cache / "decoded-1").chmod(0o777)
    decode_once("key", COUNT, decoder())
    assert stat.S_IMODE((empty_cache / "decoded-1").stat().st_mode) == 0o700
    assert stat.S_IMODE((empty_cache / "decoded-1" / "key.pixels").stat().st_mode) == 0o600
    real = os.fstat

    def of_another(descriptor):
        values = list(real(descriptor))
        values[4] = os.geteuid() + 12345
        return os.stat_result(values)

    monkeypatch.setattr(os, "fstat", of_another)
    with pytest.warns(StepladderWarning, match="it belongs to another user"):
        decode_once("other", COUNT, decoder())
    assert kept(empty_cache) == ["key.json", "key.pixels"]


def test_without_a_place_to_write_it_decodes_into_memory(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(room.VARIABLE, str(tmp_path / "file"))
    decode = decoder()
    for _ in range(2):
        assert (decode_once("key", COUNT, decode).pixels == 7).all()
    assert decode.calls == 2


def test_without_room_on_the_disk_it_decodes_into_memory(empty_cache, monkeypatch):
    usage = room.shutil.disk_usage(empty_cache.parent)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage._replace(free=room._SPARE_BYTES))
    assert (decode_once("key", COUNT, decoder()).pixels == 7).all()
    assert kept(empty_cache) == []


def test_large_pixels_that_are_not_kept_are_mapped_all_the_same(empty_cache, monkeypatch):
    monkeypatch.setattr(room, "MOST_HELD", 1000)
    found = decode_once(None, COUNT, decoder())
    assert (found.pixels == 7).all()
    assert len([name for name in kept(empty_cache) if name.endswith(".part")]) == 1
    decode_once("key", COUNT, decoder())  # which removes what killed processes left
    assert (found.pixels == 7).all()
    assert len([name for name in kept(empty_cache) if name.endswith(".part")]) == 1
    del found
    assert kept(empty_cache) == ["key.json", "key.pixels"]


def test_pixels_that_fit_neither_disk_nor_memory_are_a_sentence(empty_cache, monkeypatch):
    usage = room.shutil.disk_usage(empty_cache.parent)
    monkeypatch.setattr(room, "MOST_HELD", 1000)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage._replace(free=room._SPARE_BYTES))
    assert (decode_once("key", COUNT, decoder()).pixels == 7).all()  # the memory has room
    monkeypatch.setattr(room, "fits_memory", lambda _: False)
    for key in ("other", None):
        with pytest.raises(DataError) as caught:
            decode_once(key, COUNT, decoder(shape=(COUNT, 4, 6, 3)))
        assert str(caught.value) == (
            f"100 images of 6×4×3 take 0.0 GB of memory, and {empty_cache / 'decoded-1'} cannot hold them (No space "
            "left on device); free space there, set STEPLADDER_CACHE to a folder with room, make the images smaller "
            "with `size`, or take fewer with `limit`"
        )
    assert kept(empty_cache) == []


@pytest.mark.parametrize("call", ["posix_fallocate", "fsync"])
def test_a_write_that_fails_does_not_lose_the_images(empty_cache, monkeypatch, call):
    if not hasattr(os, call):
        pytest.skip(f"this system has no os.{call}")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    assert (decode_once("key", COUNT, decoder()).pixels == 7).all()
    monkeypatch.undo()
    assert kept(empty_cache) == []


def test_the_sets_not_used_for_longest_make_room(empty_cache, monkeypatch):
    size = int(np.prod(SHAPE))
    monkeypatch.setattr(room, "MOST_BYTES", 2 * size)
    for age, key in ((300, "old"), (200, "older_but_used")):
        decode_once(key, COUNT, decoder())
        past = time.time() - age
        os.utime(empty_cache / "decoded-1" / f"{key}.json", (past, past))
    os.utime(empty_cache / "decoded-1" / "older_but_used.json", (1, 1))
    decode_once("older_but_used", COUNT, decoder())  # looked up, so it is used
    decode_once("new", COUNT, decoder())
    assert [name for name in kept(empty_cache) if name.endswith(".json")] == ["new.json", "older_but_used.json"]


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(empty_cache):
    folder = empty_cache / "decoded-1"
    folder.mkdir(parents=True)
    for name in ("dead.part", "dead.pixels", "alive.part"):
        (folder / name).write_bytes(b"half")
    with room.FileLock(folder / "alive.lock"):
        decode_once("key", COUNT, decoder())
    assert kept(empty_cache) == ["alive.part", "key.json", "key.pixels"]


PROGRAM = """
    import os, sys, time
    from pathlib import Path
    from stepladder.datasets import cache
    def decode(allocate):
        with open(sys.argv[1], "a") as log:
            log.write("decoded\\n")
        pixels = allocate((400, 32, 32, 3))
        for i in range(len(pixels)):
            pixels[i] = i % 251
            time.sleep(0.0005)
        return cache.Decoded(pixels, {"done": True})
    found = cache.decode_once("key", 400, decode)
    assert all((found.pixels[i] == i % 251).all() for i in range(400)), "wrong pixels"
    assert found.facts == {"done": True}
"""


def start(log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(PROGRAM), str(log)])


@pytest.mark.long
def test_two_processes_decode_once(tmp_path):
    log = tmp_path / "log"
    processes = [start(log) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert log.read_text() == "decoded\n"


@pytest.mark.long
def test_a_kill_at_any_moment_leaves_the_set_whole_or_absent(tmp_path, empty_cache):
    log, folder = tmp_path / "log", empty_cache / "decoded-1"
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(6):
        process = start(log)
        while not (folder / "key.part").exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.35))
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        marker = folder / "key.json"
        seen.add(marker.exists())
        if marker.exists():
            pixels = np.fromfile(folder / "key.pixels", dtype=np.uint8).reshape(json.loads(marker.read_text())["shape"])
            assert all((pixels[i] == i % 251).all() for i in range(400))
            marker.unlink()
    assert False in seen  # or no kill came in time
    assert start(log).wait(60) == 0
    assert kept(empty_cache) == ["key.json", "key.pixels"]


def test_clearing_frees_what_was_kept_and_follows_no_link(tmp_path, empty_cache):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("keep")
    decode_once("key", COUNT, decoder())
    (empty_cache / "decoded-1" / "link").symlink_to(outside)
    (empty_cache / "downloads").symlink_to(outside)
    (empty_cache / "notes.txt").write_text("not ours")
    assert clear_cache() >= int(np.prod(SHAPE))
    assert not (empty_cache / "decoded-1").exists()
    assert (outside / "precious.txt").read_text() == "keep"
    assert (empty_cache / "notes.txt").exists()
    assert clear_cache() == 0


def test_the_folder_is_the_user_s_own_unless_told(monkeypatch):
    monkeypatch.delenv(room.VARIABLE)
    assert cache_folder().name == "stepladder"
    monkeypatch.setenv(room.VARIABLE, "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
