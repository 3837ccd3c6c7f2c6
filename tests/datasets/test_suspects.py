"""Shots of the same thing are suspected where names say so and pixels agree, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import Labelled, Split, load_image_set
from stepladder.datasets.suspects import _AUGMENTED, _BEGINNING, _END, _NUMBERED, _quick_search, suspect_groups
from tests.datasets.objects import shots_of, write_objects

OBJECTS, SHOTS = 24, 5


def shots(seed: int = 0) -> tuple[Split, list[int]]:
    """Shots of objects, and of which one each image is; every object's class was drawn at random."""
    rng = np.random.default_rng(seed)
    images = np.stack([image for _ in range(OBJECTS) for image in shots_of(rng, SHOTS)])
    return Split(images, np.repeat(np.arange(OBJECTS) % 2, SHOTS)), np.repeat(np.arange(OBJECTS), SHOTS).tolist()


def others(seed: int, count: int = OBJECTS * SHOTS) -> Split:
    """Images of as many things."""
    rng = np.random.default_rng(seed)
    return Split(np.stack([shots_of(rng, 1)[0] for _ in range(count)]), np.arange(count, dtype=np.int64) % 2)


def suspected(split: Split, names: list[str]) -> bool:
    return bool(suspect_groups({"train": split}, {"train": names}))


@pytest.mark.long
def test_the_eighty_objects_name_themselves_and_the_command_that_is_given_keeps_them_apart(tmp_path):
    folder = str(write_objects(tmp_path / "shots"))
    note = load_image_set(folder).notes[0]
    assert note.startswith(
        "80 stems of file names, 10 images each, look like shots of the same thing: the nearest image has the same "
        "class for 100.0 % of them where shots mix, and for "
    )
    found = re.search("for ([0-9.]+) % where those of the same are left out", note)
    assert found
    assert 40 <= float(found[1]) <= 60
    pattern = re.search("`group_pattern='([^']+)'`", note)
    assert pattern
    named = load_image_set(Labelled(folder, group_pattern=pattern[1]))
    assert len(np.unique(named.splits["train"].groups)) == 80
    assert not any("look like shots" in told for told in named.notes)


def test_a_table_of_them_is_suspected_too_with_a_limit_as_well(tmp_path):
    folder = write_objects(tmp_path / "shots", objects=40, shots=6)
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in folder.rglob("*.png"))
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "".join(f"{path},{path[6]}\n" for path in paths))
    assert load_image_set(str(table)).notes[0].startswith("40 stems")
    (folder / "a" / Path(paths[0]).name).write_bytes(b"damaged")
    limited = load_image_set(str(table), limit=60, skip_damaged=True)
    assert len(limited.splits["train"]) == 119
    assert limited.notes[0].startswith("20 stems of file names, 5 to 6 images each")


@pytest.mark.parametrize(
    "name",
    [
        "a/thing{0}_{1}.png",
        "a/thing {0} ({1}).png",
        "thing-{0}-shot{1}.JPG",
        "a/{0}.{1}.png",
        "a/b/person{0}_frame00{1}.png",
        "a/thing{0}_jpg.rf.{1}{1}ab{0}.jpg",
        "a/thing{0}/{1}.png",
        "train/a/{0}/x{1}y.png",
        "a/object{0}{2}.png",
        "a/object{0}_{2}.png",
        "a/object{0}_{3}.png",
        "a/object{0}_flip_{3}.png",
        "a/{1}_object{0}.png",
        "a/aug_{1}_object{0}.png",
        "a/{3}_object{0}.png",
        "a/video{0}_frame_00000{1}_crop_0.png",
        "a/object{0}_{1}_{4}.png",
        "a/{0}_{4}.png",
        "a/object{0}s{1}.png",
        "a/object{0}_v{1}.final.png",
    ],
)
def test_ways_to_name_shots(name):
    split, of = shots()
    sides = ("front", "back", "left", "right", "top")
    names = [
        name.format(thing, i % SHOTS, "abcde"[i % SHOTS], sides[i % SHOTS], f"{i * 7919:08x}f")
        for i, thing in enumerate(of)
    ]
    (note,) = suspect_groups({"train": split}, {"train": names})
    assert note.startswith(f"{OBJECTS} ")
    # What is proposed names the groups.
    pattern = re.search("`group_pattern='([^']+)'`", note)
    assert pattern
    found = [re.search(pattern[1], one) for one in names]
    assert len({match[1] for match in found if match}) == OBJECTS


def test_a_few_others_among_them_stand_for_themselves():
    split, of = shots()
    names = [f"a/thing{thing}_{i % SHOTS}.png" for i, thing in enumerate(of)]
    names[::12] = [f"a/other{'abcdefghijklmnopqrst'[i]}.png" for i in range(len(names[::12]))]
    (note,) = suspect_groups({"train": split}, {"train": names})
    assert note.startswith(f"{OBJECTS} ")
    assert "|(.+))'`" in note


def some_shots(objects: list[int], shots: int) -> tuple[Split, list[int]]:
    """Shots of objects of such labels."""
    rng = np.random.default_rng(1)
    images = np.stack([image for _ in objects for image in shots_of(rng, shots)])
    return Split(images, np.repeat(objects, shots)), np.repeat(np.arange(len(objects)), shots).tolist()


@pytest.mark.parametrize(("patients", "scans"), [(8, 30), (9, 10), (5, 12)])
def test_few_patients_of_many_images_are_suspected(patients, scans):
    split, of = some_shots([patient % 2 for patient in range(patients)], scans)
    (note,) = suspect_groups({"train": split}, {"train": [f"a/p{who}_{i}.png" for i, who in enumerate(of)]})
    assert note.startswith(f"{patients} stems of file names, {scans} images each")


def test_few_kinds_in_words_are_not():
    split, of = some_shots([kind % 2 for kind in range(8)], 20)
    words = ("oak", "fir", "elm", "ash", "yew", "box", "bay", "fig")
    assert not suspected(split, [f"a/{words[kind]}_{i}.png" for i, kind in enumerate(of)])


def test_a_class_of_two_objects_hides_none_of_the_others():
    labels = [2, 2, *[thing % 2 for thing in range(20)]]
    split, of = some_shots(labels, 5)
    names = [
        f"{'abc'[label]}/object{thing:02}_{i % 5}.png"
        for i, (thing, label) in enumerate(zip(of, split.labels, strict=True))
    ]
    (note,) = suspect_groups({"train": split}, {"train": names})
    assert note.startswith("22 stems of file names, 5 images each")


def test_persons_above_the_classes_are_whole():
    rng = np.random.default_rng(2)
    images, labels, names = [], [], []
    for person in range(10):
        for at, image in enumerate(shots_of(rng, 8)):
            images.append(image)
            labels.append(at % 2)
            names.append(f"p{person:02}/{'ab'[at % 2]}/{at}.png")
    (note,) = suspect_groups({"train": Split(np.stack(images), np.array(labels))}, {"train": names})
    assert note.startswith("10 folders above the classes, 8 images each")
    assert "`group_pattern='([^/]+)/[^/]+/[^/]*$'`" in note


NAMES: dict[str, Callable[[np.random.Generator, int], list[str]]] = {
    "hex": lambda rng, count: [f"a/{rng.bytes(8).hex()}.jpg" for _ in range(count)],
    "words": lambda rng, count: ["a/" + "".join(rng.choice(list("abcdefg_-"), 9)) + ".jpg" for _ in range(count)],
    "numbers": lambda rng, count: [f"a/IMG_{number:04d}.jpg" for number in rng.permutation(9999)[:count]],
    "dates": lambda rng, count: [f"a/2026-{rng.integers(1, 13):02d}-{i // 3}_{i}.jpg" for i in range(count)],
    "marked": lambda rng, count: [f"a/{i // SHOTS}_{rng.bytes(4).hex()}.jpg" for i in range(count)],
    "letters": lambda rng, count: [f"a/{rng.integers(30)}{rng.choice(list('abcde'))}{i}.jpg" for i in range(count)],
    "few": lambda rng, count: [f"a/p{i % 6}_{i}.jpg" for i in rng.permutation(count)],
    "stems": lambda rng, count: [f"a/thing{i // SHOTS}_{rng.integers(9)}{i}.jpg" for i in range(count)],
}


@pytest.mark.long
@pytest.mark.parametrize("kind", NAMES)
def test_images_of_different_things_are_not_suspected(kind):
    # Two hundred sets in all: names without a stem, and stems that mean nothing.
    found = 0
    for seed in range(40):
        split = others(seed)
        found += suspected(split, NAMES[kind](np.random.default_rng(seed), len(split)))
    assert found == 0


def test_names_without_a_stem_are_never_suspected_of_real_shots_either():
    split, _ = shots()
    rng = np.random.default_rng(0)
    assert not any(suspected(split, [f"a/{rng.bytes(8).hex()}.jpg" for _ in range(len(split))]) for _ in range(20))


def test_one_stem_a_class_is_the_class():
    split, _ = shots()
    assert not suspected(split, [f"{'cat' if label else 'dog'}.{i}.jpg" for i, label in enumerate(split.labels)])


def test_given_splits_are_suspected_only_where_the_same_stems_are_on_both_sides():
    split, of = shots()
    names = [f"a/thing{thing}_{i % SHOTS}.png" for i, thing in enumerate(of)]
    test = split.take(np.arange(0, 120, 5))
    parts = {"train": split, "test": test}
    assert suspect_groups(parts, {"train": names, "test": names[::5]})
    assert not suspect_groups(parts, {"train": names, "test": [f"b/else{i}_1.png" for i in range(24)]})


def test_folders_that_their_files_repeat_in_words_are_finer_classes():
    split, of = shots()
    word = ["ab"[thing % 2] + "cdefghijklmnopqrstuvwxyz"[thing] for thing in of]
    assert not suspected(split, [f"fruit/{one}/{one}_{i % SHOTS}.jpg" for i, one in enumerate(word)])
    assert suspected(split, [f"fruit/{one}_{i % SHOTS}.jpg" for i, one in enumerate(word)])


@pytest.mark.parametrize("pattern", [_AUGMENTED, _NUMBERED, _BEGINNING, _END])
def test_a_quick_search_finds_what_a_search_does(pattern):
    rng = np.random.default_rng(0)
    signs = np.array([*"ab1 _.-/()", ".rf.", "7.png"])
    found = 0
    for _ in range(5_000):
        path = "".join(rng.choice(signs, rng.integers(0, 12)))
        expected, quick = re.search(pattern, path), _quick_search(pattern)(path)
        assert (expected and (expected.span(), expected.groups())) == (quick and (quick.span(), quick.groups())), path
        found += expected is not None
    assert found > 200
