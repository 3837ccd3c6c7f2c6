"""Techniques from a file and from packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from stepladder.errors import RecipeError
from stepladder.recipe import TechniqueSetting
from stepladder.techniques import catalogue, code_of, find_technique, known_techniques, register
from stepladder.techniques.catalogue import files_of
from stepladder.techniques.dropout import Dropout

FILE = '''
from typing import Annotated
import torch
from pydantic import Field
from stepladder import Technique

class DarkRoom(Technique):
    """Darken every image."""

    share: Annotated[float, Field(ge=0, le=1, description="of the light that goes")] = 0.5

    def augment(self, images, targets, rng):
        return (images * (1 - self.share)).to(torch.uint8), targets

class Other:
    pass
'''


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(catalogue, "_OWN", {})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_a_class_of_a_file_has_its_name_and_what_it_left_out(file):
    technique = register(f"{file}:DarkRoom")
    assert find_technique("dark_room") is technique
    assert technique.group == "your own"
    assert technique.summary == "Darken every image"
    assert list(known_techniques())[-1] == "dark_room"
    assert technique(share=0.25).share == 0.25


def test_a_paper_may_be_a_line_of_text_or_citations(file):
    file.write_text(FILE.replace("class DarkRoom(Technique):", "class DarkRoom(Technique):\n    paper = 'Doe 2020'", 1))
    assert register(f"{file}:DarkRoom").paper == "Doe 2020"
    catalogue._OWN.clear()
    file.write_text(FILE)
    assert register(f"{file}:DarkRoom").paper == "none given"
    catalogue._OWN.clear()
    file.write_text(FILE.replace("class DarkRoom(Technique):", "class DarkRoom(Technique):\n    papers = ('Doe',)", 1))
    with pytest.raises(
        RecipeError, match=r"DarkRoom\.papers is \('Doe',\); it must be a tuple of stepladder\.Citation"
    ):
        register(f"{file}:DarkRoom")


def test_a_user_s_code_runs_once(file, capsys):
    file.write_text(FILE + "print('loaded')\n")
    first = register(f"{file}:DarkRoom")
    assert register(f"{file}:DarkRoom") is first
    assert capsys.readouterr().out == "loaded\n"
    file.write_text(FILE + "print('another')\n")
    assert register(f"{file}:DarkRoom") is not first
    assert capsys.readouterr().out == "another\n"


def test_another_version_of_the_file_is_another_recipe(file, tiny_recipe):
    def setting() -> TechniqueSetting:
        register(f"{file}:DarkRoom")
        return TechniqueSetting.model_validate({"name": "dark_room"})

    one = setting()
    assert one.code == code_of(find_technique("dark_room"))
    file.write_text(FILE.replace("1 - self.share", "1 - self.share / 2"))
    other = setting()
    recipes = [tiny_recipe().with_techniques([entry]) for entry in (one, other)]
    assert recipes[0].fingerprint != recipes[1].fingerprint
    # What was recorded stays, whatever the file is now.
    assert TechniqueSetting.model_validate(one.to_table()).code == one.code


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{file}", "names no class; write it as .*mine.py:ClassName"),
        ("{file}:Other", "unknown technique class 'Other'.* Known: DarkRoom"),
        ("{file}:DarkRom", "unknown technique class 'DarkRom'; did you mean 'DarkRoom'"),
        ("none.py:DarkRoom", "cannot read the technique file none.py: No such file"),
        ("mixpu", "unknown technique 'mixpu'; did you mean 'mixup'"),
    ],
)
def test_what_is_not_there(file, reference, message):
    with pytest.raises(RecipeError, match=message):
        register(reference.format(file=file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_this_name", r"raised ModuleNotFoundError: .* \(mine\.py, line 1\)"),
        ("x = 1 +", "raised SyntaxError: "),
        (
            "from stepladder import Technique\n\nclass Mine(Technique):\n    p = 0.5\n",
            r"^p = 0\.5 has no type; write p: float = 0\.5 where it is an option of the technique, and "
            r"p: ClassVar\[float\] = 0\.5 where it is not \(mine\.py, line 4\)$",
        ),
        (
            FILE.replace('"""Darken', 'name = "dropout"\n    """Darken'),
            "is called 'dropout', as one of the catalogue is",
        ),
        (FILE.replace('"""Darken', 'name = "dark room"\n    """Darken'), "it must be a word of letters, digits and _"),
    ],
)
def test_a_file_that_does_not_load(file, text, message):
    file.write_text(text)
    with pytest.raises(RecipeError, match=message):
        register(f"{file}:DarkRoom")
    assert files_of(["dark_room", "dropout"]) == (), "a worker is not told of what was refused"


def test_a_worker_is_told_of_the_files_that_its_recipes_need(file):
    register(f"{file}:DarkRoom")
    assert files_of(["dropout", "dark_room", "dark_room"]) == (f"{file}:DarkRoom",)
    assert files_of(["dropout"]) == ()


def packages(monkeypatch, *entries):
    def found(group, name=None):
        return [entry for entry in entries if entry.group == group and name in (None, entry.name)]

    monkeypatch.setattr(catalogue, "entry_points", found)


def test_a_package_s_technique(monkeypatch, file):
    class Packaged(Dropout):
        """Drop more."""

    monkeypatch.setattr("stepladder.techniques.dropout.Packaged", Packaged, raising=False)
    packages(monkeypatch, EntryPoint("packaged", "stepladder.techniques.dropout:Packaged", "stepladder.techniques"))
    assert find_technique("packaged") is Packaged
    assert "packaged" in known_techniques()
    assert code_of(Packaged) == "stepladder.techniques.dropout:Packaged"


def test_a_package_that_does_not_load(monkeypatch):
    packages(monkeypatch, EntryPoint("gone", "no_such_package:Gone", "stepladder.techniques"))
    with pytest.raises(RecipeError, match="announces the technique 'gone', and loading it raised ModuleNotFoundError"):
        find_technique("gone")
