"""The table of a folder: where it is looked for, what its paths start at, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from stepladder.datasets import Labelled, load_image_set
from stepladder.errors import DataError

ROWS = [f"{kind}/000{n}.png,{'xy'[n % 2]}" for n in range(4) for kind in ("cat", "dog")]


@pytest.fixture
def pets(tmp_path, write_folder, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return write_folder(tmp_path / "pets", {"cat": 4, "dog": 4})


def write(path, *rows, head="file,what"):
    path.write_text("\n".join([head, *rows]))
    return path


def read(pets, index, **more):
    found = load_image_set(Labelled(str(pets), index=index, **more))
    return found, dict(zip(found.class_names, np.bincount(found.splits["train"].labels).tolist(), strict=True))


def test_it_lies_in_the_current_folder_or_in_that_of_the_images(pets, tmp_path):
    write(pets / "a.csv", *ROWS)
    found, counts = read(pets, "a.csv")
    assert counts == {"x": 4, "y": 4}
    assert found.name == "pets"
    assert found.notes[0] == "Labels: from column 'what' of a.csv, x (4), y (4); state it with `label_column='what'`."
    write(tmp_path / "here" / "a.csv", *ROWS[:6])
    assert read(pets, "a.csv")[1] == {"x": 4, "y": 2}
    assert read(pets, pets / "a.csv")[1] == {"x": 4, "y": 4}


def test_paths_start_at_the_folder_one_in_it_or_the_one_above(pets, tmp_path):
    index = write(tmp_path / "here" / "a.csv", *ROWS)
    assert read(pets, index)[1] == {"x": 4, "y": 4}
    assert read(pets / "cat", index)[1] == {"x": 4, "y": 4}
    index = write(tmp_path / "here" / "b.csv", *[f"pets/{row}" for row in ROWS])
    assert read(pets, index)[1] == {"x": 4, "y": 4}
    index = write(tmp_path / "here" / "c.csv", *[row[4:] for row in ROWS[::2]])
    assert read(pets, index)[1] == {"x": 2, "y": 2}


def test_it_wins_over_class_folders_and_takes_all_that_tables_take(pets):
    write(
        pets / "a.csv",
        *[f"{row},{n // 2},{'train' if n < 4 else 'test'}" for n, row in enumerate(ROWS)],
        head="f,l,g,s",
    )
    found, counts = read(pets, "a.csv", label_column="l", group_column="g", split_column="s", path_column="f")
    assert counts == {"x": 2, "y": 2}
    assert found.splits["test"].groups.tolist() == [2, 2, 3, 3]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda _: Labelled("../pets", index="gone.csv"),
            "`index` is gone.csv, and there is no such file; it may be a",
        ),
        (lambda _: Labelled("../pets", index="../pets/cat/0000.png"), "and that is no table of paths; it may be a"),
        (
            lambda pets: Labelled(str(pets / "a.csv"), index="a.csv"),
            "a.csv is none; give the folder, or the table alone",
        ),
        (lambda _: Labelled("digits", index="a.csv"), "`index` is for folders of images, and digits is none"),
        (lambda _: Labelled((np.zeros((4, 8, 8), np.uint8), [0, 1] * 2), index="a"), "what a program holds is none"),
        (
            lambda _: Labelled("../pets", index="a", images="b"),
            "start at the folder that it is given with; leave `images`",
        ),
        (lambda _: Labelled("../pets", index="a", level="top"), "`level` and `index` both name the classes"),
        (
            lambda _: Labelled("../pets", index="a", label_pattern="a"),
            "`label_pattern` and `index` both name the classes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(pets, make, words):
    write(pets / "a.csv", *ROWS)
    with pytest.raises(DataError) as caught:
        load_image_set(make(pets))
    assert words in str(caught.value)
