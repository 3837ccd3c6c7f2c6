import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.techniques import GROUPS, TECHNIQUES, catalogue
from tests.citations.test_citation import read_bibtex

Call = Callable[..., Any]

#: The list has a line for each technique and group, none of them wrapped, and one that says how to see more.
LINES = len(TECHNIQUES) + len(GROUPS) + 1


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_OWN", {})


def test_every_technique_is_listed_with_what_it_does(stepladder: Call) -> None:
    lines = stepladder("techniques").out.splitlines()
    out = " ".join(" ".join(lines).split())
    for technique in TECHNIQUES.values():
        assert technique.name in out
        assert technique.summary in out
    assert len(lines) == LINES


def test_the_list_has_a_line_each_in_80_columns_too(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = stepladder("techniques").out.splitlines()
    assert len(lines) == LINES
    assert max(map(len, lines)) <= 80
    for technique in TECHNIQUES.values():
        line = next(line for line in lines if line.split()[:1] == [technique.name])
        told = line.strip().removeprefix(technique.name).strip()
        assert told == technique.summary or (told.endswith("…") and technique.summary.startswith(told[:-2]))


def test_one_is_shown_with_options_and_paper(stepladder: Call) -> None:
    out = stepladder("techniques", "dropout").out
    assert "p = 0.5" in out
    assert "where = last" in out
    assert "(last or all)" in out
    assert "A Simple Way to Prevent Neural Networks" in out
    assert "Li et al. 2019" in out


def test_json_gives_the_cards(stepladder: Call) -> None:
    cards = json.loads(stepladder("techniques", "--json").out)
    assert [card["name"] for card in cards] == list(TECHNIQUES)
    assert cards[0]["options"] == {}
    assert json.loads(stepladder("techniques", "mixup", "--json").out)[0]["options"]["alpha"] == {
        "default": 0.2,
        "range": "0 to 100",
        "description": "0 never mixes, 1 takes every λ alike",
    }


def test_a_card_begins_with_plain_words_and_says_where_it_differs(stepladder: Call) -> None:
    lines = stepladder("techniques", "mixup").out
    out = " ".join(lines.split())
    technique = TECHNIQUES["mixup"]
    assert out.index(technique.plain) < out.index("alpha = 0.2") < out.index(technique.differs)
    assert (
        "Zhang, Cisse, Dauphin and Lopez-Paz, mixup: Beyond Empirical Risk Minimization, 2018, section 2. ICLR." in out
    )
    assert "https://arxiv.org/abs/1710.09412" in out
    assert "\n  differs " not in stepladder("techniques", "lighting").out, "nothing is said where nothing differs"


def test_bibtex_of_all_and_of_one(stepladder: Call) -> None:
    every = read_bibtex(stepladder("techniques", "--bibtex").out.removesuffix("\n"))
    assert set(every) == {paper.key for technique in TECHNIQUES.values() for paper in technique.papers}
    assert every["krizhevsky2012imagenet"][1]["keywords"].startswith("subtract\\_mean\\_image, random\\_crop")
    one = read_bibtex(stepladder("techniques", "horizontal_flip", "--bibtex").out.removesuffix("\n"))
    assert set(one) == {"krizhevsky2012imagenet", "jordan2024airbench"}


def test_bibtex_of_one_s_own(stepladder: Call) -> None:
    stepladder("techniques", "new", "Blur")
    told = stepladder("techniques", "blur", "--technique", "blur.py:Blur", "--bibtex").out
    assert told == "% blur names no paper as data; its card says: none: my own\n"
    text = (
        Path("blur.py")
        .read_text()
        .replace("from stepladder import Technique", "from stepladder import Citation, Technique")
    )
    work = '"key2026blur", ("Doe, Jo",), "On Blur", 2026, "A Journal", "doi:10.1000/1", where="part 2"'
    data = f"papers = (Citation({work}),)"
    Path("blur.py").write_text(text.replace('paper = "none: my own"', data))
    catalogue._OWN.clear()
    own = ("--technique", "blur.py:Blur")
    assert read_bibtex(stepladder("techniques", "blur", *own, "--bibtex").out.removesuffix("\n"))["key2026blur"]
    assert (
        "Doe, On Blur, 2026, part 2. A Journal. https://doi.org/10.1000/1" in stepladder("techniques", "blur", *own).out
    )


def test_an_unknown_one(stepladder: Call) -> None:
    outcome = stepladder("techniques", "mixpu")
    assert outcome.code == 2
    assert "did you mean 'mixup'?" in outcome.err


def test_a_sheet_is_drawn(stepladder: Call) -> None:
    outcome = stepladder("techniques", "show", "rotate", "--set", "degrees=90", "--limit", "8", "--out", "sheet.png")
    assert outcome.code == 0, outcome.err
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")
    wrong = stepladder("techniques", "show", "rotate", "--set", "degrees=900")
    assert wrong.code == 2
    assert "rotate.degrees is 900; it must be 0 to 180" in wrong.err


@pytest.mark.long
def test_one_of_one_s_own_from_template_to_result(stepladder: Call) -> None:
    assert stepladder("techniques", "new", "Blur").code == 0
    assert "blur some training images" in " ".join(
        stepladder("techniques", "blur", "--technique", "blur.py:Blur").out.split()
    )
    own = ("--technique", "blur.py:Blur")
    fast = ("--limit", "12", "--epochs", "1", "--seeds", "1", "--set", "blur.p=1.0", "--out", "mine")
    outcome = stepladder("study", "digits", "--rung", "base:", "--rung", "+blur:blur", *own, *fast)
    assert outcome.code == 0, outcome.err
    recipe = json.loads(Path("mine/study.json").read_text())["rungs"][1]["recipe"]["techniques"]
    assert recipe[0]["name"] == "blur"
    assert recipe[0]["code"]
    # Another process knows nothing of the file.
    catalogue._OWN.clear()
    lost = stepladder("report", "mine")
    assert lost.code == 2
    assert "--technique FILE.py:Class" in lost.err
    assert stepladder("report", "mine", *own).code == 0


def test_a_technique_that_breaks_a_rule(stepladder: Call) -> None:
    stepladder("techniques", "new", "Blur")
    broken = Path("blur.py").read_text().replace(".to(torch.uint8)", "")
    Path("blur.py").write_text(broken)
    fast = ("--limit", "12", "--epochs", "1", "--seeds", "1")
    outcome = stepladder("study", "digits", "--technique", "blur.py:Blur", *fast)
    assert outcome.code == 2
    assert "blur.augment returned images float32" in outcome.err
    assert "Traceback" not in outcome.err
