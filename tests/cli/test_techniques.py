import json
from collections.abc import Callable
from typing import Any

from stepladder.techniques import TECHNIQUES

Call = Callable[..., Any]


def test_every_technique_is_listed_with_what_it_does(stepladder: Call) -> None:
    out = " ".join(stepladder("techniques").out.split())
    for technique in TECHNIQUES.values():
        assert technique.name in out
        assert technique.summary in out


def test_one_is_shown_with_options_and_paper(stepladder: Call) -> None:
    out = stepladder("techniques", "dropout").out
    assert "p = 0.5" in out
    assert "JMLR 2014" in out


def test_json_gives_the_cards(stepladder: Call) -> None:
    cards = json.loads(stepladder("techniques", "--json").out)
    assert [card["name"] for card in cards] == list(TECHNIQUES)
    assert cards[1]["options"] == {"size": None, "padding": None}
