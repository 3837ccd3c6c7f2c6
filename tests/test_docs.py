"""What README, CONTRIBUTING and docs/ say of the code is so: links, files, commands with their options, techniques."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import app as benchmarks
from stepladder.cli import app
from stepladder.cli.technique_cards import written_value
from stepladder.techniques.cards import Card, catalogue_cards

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the addresses of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`((?:src|tests|benchmarks|docs)/[\w/.-]+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def commands(text: str) -> Iterator[list[str]]:
    """Yield every ``stepladder …`` that a page shows, in its words."""
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^```(?:sh|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.split("\n")]
    shown = [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("stepladder ")]
    shown += [inline.replace("\n", " ") for inline in re.findall(r"`(stepladder [^`]+)`", without_code(text))]
    for command in shown:
        yield shlex.split(command.split("  #")[0].replace("…", ""), comments=False)[1:]


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"])
def test_commands_and_options_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The changelog names what is gone.
    helps: dict[tuple[str, ...], str] = {}
    for words in commands(page.read_text(encoding="utf-8")):
        names = [word for word in words if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        place = tuple(names[: 2 if words and words[0] in ("bench", "techniques") else 1])
        if words[0].startswith("-") or words[0].isupper():  # stepladder --help, stepladder NAME
            continue
        if place[:1] == ("techniques",) and place[1:] not in (("show",), ("new",)):
            place = place[:1]
        if place not in helps:
            app([*place, "--help"], exit_on_error=False, result_action="return_value")
            helps[place] = capsys.readouterr().out
            assert "Usage: stepladder " + " ".join(place) in helps[place], words
        # What is quoted is one word, and what a rung adds begins with a +: options of the reader's own program.
        ours = [word for word in words if " " not in word and not word.startswith("+")]
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(ours)):
            assert re.search(rf"{option}(?![\w-])", helps[place]), f"{page.name}: {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_benchmarks_exist(page: Path) -> None:
    for name in re.findall(r"python -m benchmarks ([a-z_]+)", page.read_text(encoding="utf-8")):
        assert name in benchmarks, f"{page.name} names {name}"


def row_of(card: Card) -> str:
    """Return a technique's row of the catalogue: its name, what it does, its options with their ranges, its papers."""
    options = "; ".join(
        f"`{name}`: {written_value(option.default)} ({option.range})" for name, option in card.options.items()
    )
    return f"| `{card.name}` | {card.summary} | {options or 'none'} | {card.paper} |"


def test_the_table_of_techniques_is_that_of_the_cards(request: pytest.FixtureRequest) -> None:
    page = ROOT / "docs/techniques.md"
    before, text = page.read_text(encoding="utf-8").split("\n## The catalogue\n")
    text, *after = text.partition("\n## ")
    rows = {card.name: row_of(card) for card in catalogue_cards()}
    if request.config.getoption("--refresh-golden", default=False):
        text = re.sub(
            r"^\| `(\w+)` \|(?:[^|\n]*\|){3}$", lambda row: rows.get(row[1], row[0]), text, flags=re.MULTILINE
        )
        page.write_text("".join([before, "\n## The catalogue\n", text, *after]), encoding="utf-8")
    lines = text.splitlines()
    missing = [row for row in rows.values() if row not in lines]
    assert not missing, "run pytest --refresh-golden tests/test_docs.py; docs/techniques.md lacks\n" + "\n".join(
        missing
    )


def test_the_glossary_explains_each_word_once() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    words = [word for entry in re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE) for word in entry.split(", ")]
    assert len(words) == len(set(words)) > 40


def test_the_pages_name_links_files_commands_and_benchmarks() -> None:
    """A single page may have none of what is checked above; together they have many."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(len(re.findall(r"\]\(([^)\s]+)\)", without_code(text))) for text in texts) > 100
    assert sum(len(re.findall(r"`((?:src|tests|benchmarks|docs)/[\w/.-]+)`", text)) for text in texts) > 20
    assert sum(len(list(commands(text))) for text in texts) > 100
    assert sum(len(re.findall(r"python -m benchmarks ([a-z_]+)", text)) for text in texts) > 10
