"""Groups stay whole, whatever is set aside, limited or thinned out; and what has none is as it was."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.datasets import ImageSet, Labelled, Split, load_image_set, make_splits
from stepladder.datasets.audit import check_leaks, split_cleanly
from stepladder.datasets.groups import draw_groups, first_groups, joined_groups, names_by_pattern, some_groups
from stepladder.errors import DataError
from tests.datasets.objects import write_objects

PATTERN = "(object[0-9]+)_"


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    return write_objects(tmp_path_factory.mktemp("objects") / "shots", objects=30, shots=6)


def nearest(train: Split, test: Split) -> float:
    """How often the nearest training image of a test image has its class."""
    known, asked = (part.images.reshape(len(part), -1).astype(np.float64) for part in (train, test))
    distances = (known**2).sum(1) - 2 * asked @ known.T
    return float((train.labels[distances.argmin(1)] == test.labels).mean())


def grouped(labels: list[int], groups: list[int], **more: Split) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 1), dtype=np.uint8)
    train = Split(pixels, np.array(labels, dtype=np.int64), groups=np.array(groups, dtype=np.int64))
    return ImageSet("made", ("a", "b"), {"train": train, **more})


def are_apart(*splits: Split | None) -> bool:
    found = [set(split.groups.tolist()) for split in splits if split is not None and split.groups is not None]
    return len(found) == len(splits) and sum(map(len, found)) == len(set().union(*found))


@pytest.mark.long
def test_eighty_objects_are_remembered_where_shots_mix_and_not_where_they_are_kept_apart(tmp_path):
    shots = write_objects(tmp_path / "shots")
    mixed = make_splits(load_image_set(str(shots)))
    assert nearest(mixed.train, mixed.test) > 0.95
    named = load_image_set(Labelled(str(shots), group_pattern=PATTERN))
    assert "Groups, by `group_pattern`: 80 groups of 800 images (object" in named.notes[0]
    apart = make_splits(named)
    draws = [apart, *(make_splits(named, seed=seed) for seed in range(4))]  # one has sixteen objects in its test
    assert 0.4 <= np.mean([nearest(draw.train, draw.test) for draw in draws]) <= 0.6
    assert are_apart(apart.train, apart.validation, apart.test)
    assert abs(len(apart.test) / 800 - 0.2) < 0.02
    assert apart.notes[1].startswith("Groups stay whole: of 80 groups, with 10 to 10 images each, 7 to validation (")
    total = np.bincount(named.splits["train"].labels)
    for name, part in (("validation", apart.validation), ("test", apart.test)):
        shares = 100 * np.bincount(part.labels) / total
        assert shares.min() < shares.mean() < shares.max(), "three figures"
        assert f" to {name} ({shares.min():.1f} to {shares.max():.1f} % of each class)" in apart.notes[1]


@pytest.mark.parametrize("kept_as", ["folder", "table by column", "table by path", "parquet", "arrays"])
def test_every_way_to_name_groups_gives_the_same_sizes(shots, tmp_path, kept_as):
    paths = sorted(str(path.relative_to(shots)) for path in shots.rglob("*.png"))
    objects = [path[2:10] for path in paths]
    labels = [path[0] for path in paths]
    if kept_as == "folder":
        found = load_image_set(Labelled(str(shots), group_pattern=PATTERN))
    elif kept_as.startswith("table"):
        table = tmp_path / "labels.csv"
        with table.open("w", newline="") as file:
            rows = [(str(shots / path), label, one) for path, label, one in zip(paths, labels, objects, strict=True)]
            csv.writer(file).writerows([("path", "label", "Object"), *rows])
        how = {"group_column": "object"} if kept_as.endswith("column") else {"group_pattern": PATTERN}
        found = load_image_set(Labelled(str(table), **how))
        assert any("columns Object" in note for note in found.notes) == kept_as.endswith("path")
    elif kept_as == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        images = [{"bytes": (shots / path).read_bytes(), "path": path} for path in paths]
        pq.write_table(pa.table({"image": images, "label": labels, "object": objects}), tmp_path / "a.parquet")
        found = load_image_set(Labelled(str(tmp_path / "a.parquet"), group_column="object"))
    else:
        plain = load_image_set(str(shots)).splits["train"]
        found = load_image_set(Labelled((plain.images, labels), groups=objects))
    groups = found.splits["train"].groups
    assert groups is not None
    assert np.unique(groups, return_counts=True)[1].tolist() == [6] * 30
    splits = make_splits(found)
    assert are_apart(splits.train, splits.validation, splits.test)


def test_groups_leave_the_content_as_it_is(shots):
    plain, named = (load_image_set(Labelled(str(shots), group_pattern=one)) for one in (None, PATTERN))
    assert plain.splits["train"].groups is None
    assert plain.fingerprint == named.fingerprint
    assert make_splits(plain).fingerprint != make_splits(named).fingerprint


def test_a_limit_takes_whole_groups(shots):
    limited = load_image_set(Labelled(str(shots), group_pattern=PATTERN), limit=10).splits["train"]
    assert np.bincount(limited.labels).tolist() == [12, 12]
    assert set(np.unique(limited.groups, return_counts=True)[1].tolist()) == {6}


def test_first_groups_in_the_order_of_their_first_image():
    labels, groups = np.array([0, 0, 1, 0, 1, 0]), np.array([5, 3, 3, 5, 4, 9])
    assert first_groups(labels, groups, 2).tolist() == [0, 1, 2, 3, 4]
    assert first_groups(labels, groups, 1).tolist() == [0, 1, 2, 3]


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=12, max_size=60),
    st.sampled_from([0.1, 0.2, 0.5]),
)
def test_draws_keep_groups_whole_and_every_class_on_both_sides(seed, made, share):
    kinds = [*((kind, 1) for kind in (0, 1, 2)), *((kind, 2) for kind in (0, 1, 2)), *made]
    labels = np.array([kind for kind, size in kinds for _ in range(size)], dtype=np.int64)
    groups = np.array([number for number, (_, size) in enumerate(kinds) for _ in range(size)], dtype=np.int64)
    aside = draw_groups(labels, groups, share, seed)
    assert aside is not None
    assert not set(groups[aside]) & set(groups[~aside])
    assert set(labels[aside]) == set(labels[~aside]) == {0, 1, 2}
    # Small groups are there, so no class is further from its share than half of a middling group.
    got = np.bincount(labels[aside], minlength=3) - share * np.bincount(labels, minlength=3)
    assert np.abs(got).max() <= 6
    again = draw_groups(labels, groups, share, seed)
    assert again is not None
    assert np.array_equal(aside, again)


def test_groups_of_several_classes_are_balanced_in_each():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 8)
    labels = (rng.random(480) < np.repeat(rng.random(60), 8)).astype(np.int64)
    aside = draw_groups(labels, groups, 0.2, 1)
    assert aside is not None
    shares = np.bincount(labels[aside]) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.02


def test_another_seed_draws_other_groups():
    images = grouped([0] * 40 + [1] * 40, [i // 4 for i in range(80)])
    first, second = make_splits(images), make_splits(images, seed=7)
    assert are_apart(second.train, second.validation, second.test)
    assert set(first.test.groups.tolist()) != set(second.test.groups.tolist())


def test_too_few_groups_are_one_sentence():
    with pytest.raises(
        DataError, match="'b' has 1 group of images that belong together, fewer than the splits need; i"
    ):
        make_splits(grouped([0] * 20 + [1] * 20, [i // 4 if i < 20 else 99 for i in range(40)]))


def test_shares_of_groups_are_within_each_other():
    labels, groups = np.repeat([0, 1], 60), np.arange(120) // 3
    parts = [set(some_groups(labels, groups, share, 1).tolist()) for share in (0.1, 0.2, 0.5)]
    assert [len(part) for part in parts] == [12, 24, 60]
    assert parts[0] < parts[1] < parts[2]
    for part in parts:
        inside = np.array(sorted(part))
        assert not set(groups[inside]) & set(np.delete(groups, inside))


def test_a_share_of_groups_is_as_near_as_whole_groups_allow():
    labels, groups = np.zeros(60, np.int64), np.arange(60) // 4
    shares = (0.11, 0.12, 0.2, 0.24, 0.5, 0.77)
    parts = [len(some_groups(labels, groups, share, 1)) for share in shares]
    assert parts == [8, 8, 12, 16, 32, 48]  # the multiples of 4 that are nearest to 6.6, 7.2, 12, 14.4, 30 and 46.2


def test_joined_groups():
    joined = joined_groups(np.array([0, 0, 1, 2, 3]), np.array([[1, 2], [3, 4]]))
    assert joined.tolist() == [0, 0, 0, 1, 1]
    assert joined_groups(np.arange(3), np.empty((0, 2), np.int64)).tolist() == [0, 1, 2]


def test_groups_across_given_splits_are_leaks_that_can_be_dropped():
    pixels = np.random.default_rng(1).integers(0, 256, (10, 8, 8, 1), dtype=np.uint8)
    test = Split(pixels, np.array([0, 1] * 5), groups=np.array([0, 20, 21, 22, 23, 24, 25, 26, 27, 28]))
    images = grouped([0, 1] * 20, [i // 4 for i in range(40)], test=test)
    splits = make_splits(images, 0)
    told, found = check_leaks(splits, images.class_names)
    assert not found.clean
    assert found.shared == 1
    assert found.line.startswith(
        "Leak check: NOT CLEAN: 1 of 10 test images are of groups that are also among the training images (10.0 %); "
        "add `drop_leaks=True` to take those out"
    )
    assert told.notes == (
        "The test is not clean: 1 of 10 test images are of groups that are also among the training images. These "
        "training images can be dropped.",
    )
    rest, dropped = check_leaks(splits, images.class_names, drop_leaks=True)
    assert dropped.clean
    assert dropped.dropped == 4
    many = "4 images were taken out of training, as they are copies of validation or test images, or of their groups"
    assert dropped.line.startswith(f"Leak check: {many}.")
    assert 0 not in rest.train.groups
    assert rest.test is splits.test
    assert check_leaks(rest, images.class_names)[1].clean


def test_one_image_of_a_group_that_is_tested_is_one_image():
    pixels = np.random.default_rng(1).integers(0, 256, (10, 8, 8, 1), dtype=np.uint8)
    test = Split(pixels, np.array([0, 1] * 5), groups=np.array([5, 50, 51, 52, 53, 54, 55, 56, 57, 58]))
    images = grouped([0, 1] * 20, list(range(40)), test=test)
    _, found = check_leaks(make_splits(images, 0), images.class_names, drop_leaks=True)
    one = "1 image was taken out of training, as it is a copy of a validation or test image, or of the group of one"
    assert found.line.startswith(f"Leak check: {one}.")


@pytest.mark.long
def test_copies_inside_one_split_are_drawn_together():
    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    pixels = np.concatenate([pictures, pictures[:30, :, ::-1], pictures[30:]])
    labels = np.tile(np.arange(60, dtype=np.int64) % 2, 2)
    images = ImageSet("twins", ("a", "b"), {"train": Split(pixels, labels)})
    assert check_leaks(make_splits(images), images.class_names)[1].shared > 5
    splits, found = split_cleanly(images, 0.1)
    assert found.clean
    assert "120 images are copies of others, exact, near or mirrored; each was drawn together with its copies." in (
        splits.notes
    )
    assert abs(len(splits.test) - 24) <= 2
    assert splits.copies_together
    other, found = split_cleanly(images, 0.1, seed=5, like=splits)
    assert found.clean
    assert split_cleanly(images, 0.1, seed=5, like=make_splits(images))[1].shared > 5
    assert other.fingerprint != splits.fingerprint


@pytest.mark.long
def test_the_draws_of_seeds_keep_copies_together_where_the_study_s_own_does():
    # The digits' own test is clean, so that a seed whose test parts the one near pair draws what it always drew.
    digits = load_image_set("digits")
    own, _ = split_cleanly(digits, 0.1)
    assert not own.copies_together
    for seed in range(6):
        drawn, _ = split_cleanly(digits, 0.1, seed=seed, like=own)
        assert drawn.fingerprint == make_splits(digits, seed=seed).fingerprint


@pytest.mark.parametrize("limit", [None, 20])
def test_a_set_whose_test_is_clean_is_split_as_before(limit):
    # The digits have one near pair, which no side of test parts: saved studies keep their images to the bit.
    digits = load_image_set("digits", limit=limit)
    assert split_cleanly(digits, 0.1)[0].fingerprint == make_splits(digits).fingerprint


def test_a_set_with_a_test_and_few_copies_is_split_as_before(make_set):
    images = make_set({"train": [40, 40], "test": [9, 9]})
    some = images.splits["train"].take(np.concatenate([np.arange(80), [3]]))
    images = replace(images, splits={**images.splits, "train": some})
    assert split_cleanly(images, 0.1)[0].fingerprint == make_splits(images).fingerprint


def test_many_copies_are_kept_together_where_the_data_brings_a_test_too(make_set):
    images = make_set({"train": [30, 30], "test": [9, 9]})
    thrice = images.splits["train"].take(np.arange(60).repeat(3))
    images = replace(images, splits={**images.splits, "train": thrice})
    assert not check_leaks(make_splits(images), images.class_names)[1].clean
    splits, found = split_cleanly(images, 0.1)
    assert found.clean
    assert splits.copies_together
    assert abs(len(splits.validation) - 18) <= 3
    assert len(splits.train) + len(splits.validation) == 180
    assert np.array_equal(splits.test.images, images.splits["test"].images)
    both = {**images.splits, "validation": images.splits["train"].take(np.arange(20))}
    given = replace(images, splits=both)
    assert split_cleanly(given, 0.1)[0].fingerprint == make_splits(given).fingerprint


def test_groups_across_a_given_test_are_found_where_copies_are_drawn_together(make_set):
    images = make_set({"train": [30, 30], "test": [4, 4]})
    rows = np.arange(60).repeat(3)
    train = replace(images.splits["train"].take(rows), groups=np.arange(180, dtype=np.int64) + 100)
    for first, shared in ((100 + 17, True), (50, False)):  # one image of it is a copy of those of other groups
        test = replace(images.splits["test"], groups=np.array([first, *range(7)], dtype=np.int64))
        splits, found = split_cleanly(replace(images, splits={"train": train, "test": test}), 0.1)
        assert splits.copies_together
        assert found.clean is not shared


def test_the_first_group_or_the_whole_match_names_a_group():
    assert names_by_pattern("group_pattern", "[0-9]+", {"train": ["a/12_3.png"]}) == {"train": ["12"]}
    assert names_by_pattern("group_pattern", "(x)?-|/([0-9]+)_", {"train": ["a/12_3.png"]}) == {"train": ["12"]}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"group_pattern": "("}, "which is no regular expression (missing ), unterminated subpattern"),
        ({"group_pattern": "object0"}, r"120 of 180 paths have no match or an empty one: [ab]/object1"),
        ({"group_column": "patient"}, "`group_column` is a column of a table"),
        ({"group_column": "a", "group_pattern": "b"}, "both name the groups; give one of them"),
        ({"groups": [1]}, "groups as values are for arrays and datasets"),
    ],
)
def test_what_names_no_groups_is_one_sentence(shots, how, words):
    with pytest.raises(DataError) as caught:
        load_image_set(Labelled(str(shots), **how))
    assert re.search(words if "[" in words else re.escape(words), str(caught.value))


def test_sets_without_paths_have_no_pattern():
    with pytest.raises(DataError, match="`group_pattern` is looked for in the paths of image files, and digits has"):
        load_image_set(Labelled("digits", group_pattern="x"))
    with pytest.raises(DataError, match="there are 3 groups for the 4 train images"):
        load_image_set(Labelled((np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]), groups=[1, 2, 3]))


def test_a_table_without_the_column_or_with_a_blank_group_names_it(tmp_path, encode):
    (tmp_path / "x.png").write_bytes(encode())
    table = tmp_path / "t.csv"
    table.write_text("path,label,of\nx.png,a,\n")
    with pytest.raises(DataError, match="line 2 has a blank group"):
        load_image_set(Labelled(str(table), group_column="of"))
    with pytest.raises(DataError, match=r"`group_column` is who, and .* has no such column; columns: path, label, of"):
        load_image_set(Labelled(str(table), group_column="who"))


def test_groups_stay_whole_where_copies_are_drawn_together():
    pictures = np.random.default_rng(2).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    groups = np.arange(120, dtype=np.int64) // 3  # three pictures each; the copies of a group are another one
    images = ImageSet("twins", ("a", "b"), {"train": Split(np.concatenate([pictures] * 2), groups % 2, groups=groups)})
    splits, found = split_cleanly(images, 0.1)
    assert splits.copies_together
    assert found.clean
    group_of = {picture.tobytes(): place // 3 for place, picture in enumerate(pictures)}
    train, validation, test = (
        {group_of[image.tobytes()] for image in part.images} for part in (splits.train, splits.validation, splits.test)
    )
    assert not test & (train | validation)
    assert not train & validation
