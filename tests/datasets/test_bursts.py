"""Photographs that one camera took within seconds belong together: asked for, suspected, and never by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import Labelled, Split, load_image_set
from stepladder.datasets import decode_all as room
from stepladder.datasets.bursts import Taken, from_plain, name_bursts, taken_at, to_plain
from stepladder.datasets.suspects import proposed, suspect_bursts
from stepladder.errors import DataError
from tests.datasets.objects import shots_of

SHOTS = 4


def exif(moment: float | None, camera: str = "Box 1", fraction: str = "") -> Image.Exif:
    """EXIF of a photograph that was taken so many seconds after midnight."""
    tags = Image.Exif()
    if camera:
        tags[0x0110] = camera
    if moment is not None:
        hours, minutes = divmod(int(moment) // 60, 60)
        tags.get_ifd(0x8769)[0x9003] = f"2026:11:30 {hours:02d}:{minutes:02d}:{int(moment) % 60:02d}"
        if fraction:
            tags.get_ifd(0x8769)[0x9291] = fraction
    return tags


def write_bursts(root: Path, objects: int = 24, *, camera: str = "Box 1", pause: float = 60, between: float = 2) -> str:
    """Write shots of objects under names that tell nothing, each object's a burst, its class drawn at random."""
    rng = np.random.default_rng(0)
    for number in range(objects):
        folder = root / "ab"[rng.integers(2)]
        folder.mkdir(parents=True, exist_ok=True)
        for shot, image in enumerate(shots_of(rng, SHOTS)):
            taken = exif(number * pause + shot * between, camera)
            Image.fromarray(image).save(folder / f"{rng.bytes(6).hex()}.jpg", quality=95, exif=taken)
    return str(root)


def test_time_and_camera_are_read_of_every_format_that_keeps_them(tmp_path):
    image = Image.new("RGB", (8, 8))
    for ending in ("jpg", "png", "webp"):
        image.save(tmp_path / f"a.{ending}", exif=exif(3661, fraction="25"))
        found = taken_at(str(tmp_path / f"a.{ending}"))
        assert found is not None, ending
        assert (found.camera, found.seconds % 86_400) == ("Box 1", 3661.25)
        assert taken_at((tmp_path / f"a.{ending}").read_bytes()) == found


def test_what_does_not_say_both_says_nothing(tmp_path):
    image = Image.new("RGB", (8, 8))
    for name, tags in {"no-time": exif(None), "no-camera": exif(5, camera=""), "neither": Image.Exif()}.items():
        image.save(tmp_path / f"{name}.jpg", exif=tags)
        assert taken_at(str(tmp_path / f"{name}.jpg")) is None
    broken = exif(5)
    broken.get_ifd(0x8769)[0x9003] = "yesterday"
    image.save(tmp_path / "broken.jpg", exif=broken)
    (tmp_path / "none.jpg").write_bytes(b"no image")
    assert taken_at(str(tmp_path / "broken.jpg")) is None
    assert taken_at(str(tmp_path / "none.jpg")) is None
    assert taken_at(str(tmp_path / "absent.jpg")) is None


def test_a_burst_is_of_one_camera_and_has_no_longer_pause_than_was_said():
    one, other = (lambda at: Taken(at, "one")), (lambda at: Taken(at, "other"))
    taken = {"train": [one(10.0), other(11.0), one(5.0), None, one(15.1), None], "test": [one(20.0), other(99.0)]}
    named = name_bursts(taken, 5)
    assert named["train"][0] == named["train"][2]
    assert named["train"][4] == named["test"][0]  # across splits, too
    names = [*named["train"], *named["test"]]
    assert len(set(names)) == 6
    assert len(set(name_bursts(taken, 6)["train"])) == 4


def test_bursts_that_are_asked_for_are_groups_of_folders_and_tables(tmp_path):
    folder = write_bursts(tmp_path / "shots", objects=12)
    found = load_image_set(Labelled(folder, group_bursts=3))
    assert len(np.unique(found.splits["train"].groups)) == 12
    assert "Groups, by `group_bursts`: 12 bursts of 4 to 4 photographs, and 0 photographs by themselves." in found.notes
    assert len(np.unique(load_image_set(Labelled(folder, group_bursts=1.5)).splits["train"].groups)) == 48
    assert len(np.unique(load_image_set(Labelled(folder, group_bursts=60)).splits["train"].groups)) == 1
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in Path(folder).rglob("*.jpg"))
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "".join(f"{path},{path[6]}\n" for path in paths))
    listed = load_image_set(Labelled(str(table), group_bursts=3))
    assert len(np.unique(listed.splits["train"].groups)) == 12
    limited = load_image_set(Labelled(folder, group_bursts=3), limit=6)
    assert set(np.bincount(limited.splits["train"].groups).tolist()) <= {0, SHOTS}


def test_what_has_no_times_or_no_files_cannot_be_grouped_by_them(tmp_path, write_folder):
    folder = str(write_folder(tmp_path / "set", {"a": 3, "b": 3}))
    with pytest.raises(DataError, match="no image says in its EXIF when and by which camera it was taken"):
        load_image_set(Labelled(folder, group_bursts=3))
    with pytest.raises(DataError, match="`group_bursts` is read from image files, and digits has none"):
        load_image_set(Labelled("digits", group_bursts=3))
    with pytest.raises(DataError, match="`group_bursts` is 0; it must be above 0 and at most 86,400 seconds"):
        load_image_set(Labelled(folder, group_bursts=0))
    with pytest.raises(DataError, match="`group_pattern` and `group_bursts` both name the groups"):
        load_image_set(Labelled(folder, group_bursts=3, group_pattern="a"))


def test_bursts_name_themselves_and_what_is_proposed_keeps_them_apart(tmp_path):
    folder = write_bursts(tmp_path / "shots")
    note = load_image_set(folder).notes[0]
    assert note.startswith("24 bursts of a camera, 4 images each, look like shots of the same thing: the nearest image")
    assert note.endswith("keep them apart with `group_bursts=5`.")
    assert proposed([note]) == {"group_bursts": 5.0}
    named = load_image_set(Labelled(folder, group_bursts=5))
    assert len(np.unique(named.splits["train"].groups)) == 24
    assert not any("look like shots" in told for told in named.notes)


def test_the_suspicion_is_kept_with_the_decoded_images(tmp_path, monkeypatch):
    folder = write_bursts(tmp_path / "shots", objects=30)  # so many that they are kept
    first = load_image_set(folder)
    monkeypatch.setattr(room, "look_for_times", lambda *_: pytest.fail("looked again"))
    again = load_image_set(folder)
    assert first.notes == again.notes
    assert "bursts of a camera" in again.notes[0]


@pytest.mark.parametrize("way", [{"camera": ""}, {"between": 6, "pause": 600}])
def test_other_photographs_are_not_suspected(tmp_path, way):
    image_set = load_image_set(write_bursts(tmp_path / "shots", **way))
    assert len(image_set.splits["train"]) > 20
    assert "look like shots" not in " ".join(image_set.notes)


@pytest.mark.long
def test_random_times_are_never_suspected():
    # Within an hour, so that many photographs happen to be of one burst; two hundred sets.
    rng = np.random.default_rng(0)
    for seed in range(200):
        each = np.random.default_rng(seed)
        split = Split(np.stack([shots_of(each, 1)[0] for _ in range(96)]), np.arange(96, dtype=np.int64) % 2)
        moments = [Taken(float(moment), "Box 1") for moment in rng.uniform(0, 400, 96)]
        assert not suspect_bursts({"train": split}, {"train": moments})
    # Nor where the images are shots of the same things, in another order.
    images = np.stack([image for _ in range(24) for image in shots_of(rng, SHOTS)])
    split = Split(images, np.repeat(np.arange(24) % 2, SHOTS))
    for _ in range(20):
        moments = [Taken(float(moment), "Box 1") for moment in rng.uniform(0, 400, 96)]
        assert not suspect_bursts({"train": split}, {"train": moments})


def test_times_are_kept_as_plain_values():
    taken = [Taken(1.5, "Box"), None]
    assert from_plain(to_plain(taken)) == taken
    for wrong in ({}, [1], [[1, "a"]], [[float("nan"), "a"]], [[1.5, 3]], [[1.5]]):
        with pytest.raises((TypeError, ValueError)):
            from_plain(wrong)


def test_only_so_many_are_looked_at(monkeypatch):
    asked = []
    monkeypatch.setattr("stepladder.datasets.bursts.taken_at", lambda item: asked.append(item))
    from stepladder.datasets.bursts import look_for_times

    assert look_for_times(lambda: iter([[str(number) for number in range(256)]] * 4), 1024) == []
    assert len(asked) == 20
    monkeypatch.setattr("stepladder.datasets.bursts.taken_at", lambda item: Taken(1.0, item))
    assert len(look_for_times(lambda: iter([[str(number) for number in range(256)]] * 20), 5120)) == 4_000
    assert look_for_times(lambda: iter([[b"bytes"]]), 1) == []
