"""The cards of the catalogue: the file says what the classes say, and reading it needs no torch."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from stepladder.errors import RecipeError
from stepladder.techniques import TECHNIQUES, cards, catalogue

FILE = Path(cards.__file__).with_name("cards.json")
OWN = '''from stepladder import Technique


class DarkRoom(Technique):
    """Darken every image.

    Everything ``augment`` gets
    is darker.
    """
'''


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_OWN", {})


def test_the_file_says_what_the_classes_say(request: pytest.FixtureRequest) -> None:
    text = cards.to_json(cards.make_card(technique) for technique in TECHNIQUES.values()) + "\n"
    if request.config.getoption("--refresh-golden", default=False):
        FILE.write_text(text, encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == text, "run pytest --refresh-golden tests/techniques/test_cards.py"


def test_what_is_read_is_what_was_made() -> None:
    assert cards.all_cards() == [cards.make_card(technique) for technique in TECHNIQUES.values()]
    assert cards.find_card("zca") == cards.make_card(TECHNIQUES["zca"])


def test_one_s_own_are_listed_last_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    own = (f"{file}:DarkRoom",)
    card = cards.all_cards(own)[-1]
    assert (card.name, card.group, card.summary, card.options) == ("dark_room", "your own", "Darken every image", {})
    assert card.explanation == "Darken every image.\n\nEverything augment gets is darker."
    catalogue._OWN.clear()
    assert cards.find_card("dark_room", own) == card
    assert cards.find_card("zca", own).name == "zca"
    assert "dark_room" in catalogue.own_techniques(), "a file that is named is loaded, whatever is asked for"
    catalogue._OWN.clear()
    with pytest.raises(RecipeError, match="unknown technique 'dark_room'"):
        cards.find_card("dark_room")


def test_those_of_packages_are_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(group: str, name: str | None = None) -> list[EntryPoint]:
        return [EntryPoint("packaged", "stepladder.techniques.dropout:Dropout", group)]

    def load(entry: EntryPoint) -> type[catalogue.Technique]:
        return catalogue._keep(catalogue._Found(type("Packaged", (TECHNIQUES["dropout"],), {"name": "packaged"}), ""))

    monkeypatch.setattr(cards, "entry_points", found)
    monkeypatch.setattr(catalogue, "entry_points", found)
    monkeypatch.setattr(catalogue, "_load_entry", load)
    *others, last = cards.all_cards()
    assert last == replace(cards.find_card("dropout"), name="packaged", explanation=last.explanation)
    assert [card.name for card in others] == list(TECHNIQUES)
