"""Plain words, the same everywhere a user reads: in the docs, in every ``--help``, in docstrings and in messages."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepladder.cli import app
from tests.test_structure import FIELD_WORDS, MODULES, RETIRED, SOURCE, nodes_of

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
#: What was is told there in the words of its time.
HISTORY = ("CHANGELOG.md", "docs/log.md")
#: Pages that a command makes: what is amended is their source.
MADE = ("answers.md",)

#: What is written otherwise here, and how.
SPELLINGS = {
    r"grey": "gray",
    r"colour": "color",
    r"neighbour": "neighbor",
    r"behaviour": "behavior",
    r"recognis": "recogniz",
    r"normalis": "normaliz",
    r"optimis": "optimiz",
}
#: A percentage without its space; not of CSS, nor in the title of a paper.
PERCENT = re.compile(r"\d%(?! on CIFAR)(?![\w;])")

#: Terms that a newcomer does not know, as they stand in running text: each is an entry of the glossary, and where it
#: first stands on a page it is a link there, or emphasized because the page explains it on the spot.
TERMS = {
    "rung": r"\brungs?\b",
    "points": r"(?:(?<=\d )|(?<=\d \[))points?\b",
    "nats": r"\bnats\b",
    "Shapley value": r"\bShapley\b",
    "minimum aberration": r"\bminimum aberration\b",
    "bfloat16": r"\bbfloat16\b",
    "channels_last": r"\bchannels_last\b",
    "macro F1": r"\b[Mm]acro F1\b",
    "twins": r"\btwins\b",
}


def blanked(pattern: str, text: str) -> str:
    """Put spaces in place of what matches, so that all else stays where it is."""
    return re.sub(pattern, lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Return a page without blocks of code, code in a line, headings and pictures; every character in its place."""
    for pattern in (r"^```.*?^```$", r"`[^`]*`", r"^#[^\n]*$", r"!\[[^]]*\]\([^)]*\)", r"^>[^\n]*$"):
        text = blanked(pattern, text)
    return text


@functools.cache
def helps() -> dict[str, str]:
    """Return what ``--help`` prints of every command, by its path."""
    import contextlib
    import io

    found = {}
    open_apps = [(app, ())]
    while open_apps:
        parent, path = open_apps.pop()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            app([*path, "--help"], exit_on_error=False, result_action="return_value")
        found[" ".join(("stepladder", *path, "--help"))] = printed.getvalue()
        open_apps += [(parent[name], (*path, name)) for name in parent if not name.startswith("-")]
    return found


def strings(path: Path) -> Iterator[str]:
    """Yield every literal text of a module, docstrings among them; not what formats a number."""
    formats = {
        id(part)
        for node in nodes_of(path)
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None
        for part in ast.walk(node.format_spec)
    }
    for node in nodes_of(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in formats:
            yield node.value
        elif isinstance(node, ast.JoinedStr) and id(node) not in formats:
            # A percentage of an f-string begins after the number: {share:.1f}% has its sign in the next part.
            yield "".join("0" if isinstance(part, ast.FormattedValue) else str(part.value) for part in node.values)


@functools.cache
def texts() -> dict[str, str]:
    """Return all that a user reads, by where it stands."""
    found = {page.relative_to(ROOT).as_posix(): prose(page.read_text(encoding="utf-8")) for page in PAGES}
    found |= helps()
    return found | {path.relative_to(ROOT).as_posix(): "\n\n".join(strings(path)) for path in MODULES}


@functools.cache
def templates() -> dict[str, str]:
    """Return the sources of the page, whose texts stand between code."""
    files = [path for kind in ("*.j2", "*.js") for path in SOURCE.rglob(kind) if path.parent.name != "vendor"]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(files)}


@pytest.mark.long
def test_every_help_is_read() -> None:
    assert {"stepladder --help", "stepladder study --help", "stepladder techniques show --help"} <= set(helps())
    assert all("Usage: stepladder" in text for text in helps().values())


@pytest.mark.parametrize("wrong", SPELLINGS)
def test_one_spelling(wrong: str) -> None:
    everything = {**texts(), **templates()}
    found = [name for name, text in everything.items() if re.search(wrong, text, re.IGNORECASE)]
    assert not found, f"write {SPELLINGS[wrong]}…"


def test_a_percentage_has_its_space() -> None:
    found = [
        f"{name}: {hit[0]}"
        for name, text in texts().items()
        for hit in re.finditer(rf".{{0,30}}{PERCENT.pattern}", text)
    ]
    assert not found, "write 95 %"


def test_no_retired_word_comes_back_in_what_users_read() -> None:
    fields = {word for word, _ in FIELD_WORDS}
    words = "|".join(word for word in RETIRED if word not in fields)
    found = []
    for name, text in {**texts(), **templates()}.items():
        if name in HISTORY or (SOURCE / name.removeprefix("src/stepladder/")) in MODULES:
            continue  # tests/test_structure.py reads the modules
        found += [f"{name}: {hit[0]}" for hit in re.finditer(rf"(?<![a-z])({words})(?![a-z])", text, re.IGNORECASE)]
    assert not found


@pytest.mark.parametrize(
    ("text", "is_found"),
    [("95%", True), ("95 %", False), ("a 12.5% share", True), ("94% on CIFAR-10", False), ("max-width:100%;", False)],
)
def test_a_percentage_is_found(text: str, is_found: bool) -> None:
    assert bool(PERCENT.search(text)) == is_found


def test_the_glossary_has_every_term() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    entries = [word for entry in re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE) for word in entry.split(", ")]
    assert not set(TERMS) - set(entries)


def is_explained(text: str, start: int, end: int) -> bool:
    """Whether what stands there is a link to the glossary, or emphasized; or such a link names the term before it."""
    for link in re.finditer(r"\[([^]]*)\]\((?:docs/)?glossary\.md(?:#[\w-]+)?\)", text):
        if (link.start(1) <= start and end <= link.end(1)) or (link.end() <= start and text[start:end] in link[1]):
            return True
    return any(part.start() < start and end < part.end() for part in re.finditer(r"\*{1,2}[^*\n]+\*{1,2}", text))


def unexplained(text: str) -> list[tuple[str, int, int]]:
    """Return the terms that a page uses before it links or explains them, with the place of the first."""
    found = []
    for term, pattern in TERMS.items():
        first = re.search(pattern, prose(text))
        if first and not is_explained(text, first.start(), first.end()):
            found.append((term, first.start(), first.end()))
    return found


def linked(page: Path, text: str) -> str:
    """Link each of these terms to its part of the glossary; ``pytest --refresh-golden tests/test_words.py`` does so."""
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    for term, start, end in sorted(unexplained(text), key=lambda found: -found[1]):
        entry = re.search(rf"^\*\*(?:[^*]*, )?{re.escape(term)}[,.]", glossary, re.MULTILINE)
        assert entry
        part = re.findall(r"^## (.*)$", glossary[: entry.start()], re.MULTILINE)[-1].lower().replace(" ", "-")
        home = "" if page.parent.name == "docs" else "docs/"
        text = f"{text[:start]}[{text[start:end]}]({home}glossary.md#{part}){text[end:]}"
    return text


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ("glossary.md", "CHANGELOG.md")])
def test_a_term_is_explained_where_it_first_stands(page: Path, request: pytest.FixtureRequest) -> None:
    text = page.read_text(encoding="utf-8")
    if request.config.getoption("--refresh-golden", default=False) and page.name not in MADE:
        page.write_text(text := linked(page, text), encoding="utf-8")
    missing = [f"line {text.count(chr(10), 0, start) + 1}: {term}" for term, start, _ in unexplained(text)]
    assert not missing, f"link to glossary.md, or explain and emphasize: {', '.join(missing)}"


def test_the_links_that_are_added_lead_to_the_part_of_the_term() -> None:
    assert linked(ROOT / "docs/x.md", "Two rungs lost 3 points, said in nats.") == (
        "Two [rungs](glossary.md#the-study) lost 3 [points](glossary.md#the-judgement), said in "
        "[nats](glossary.md#the-judgement)."
    )
    assert linked(ROOT / "x.md", "in bfloat16") == "in [bfloat16](docs/glossary.md#the-network-and-its-training)"


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("A [rung](glossary.md#the-study) is", True),
        ("see [all rungs](docs/glossary.md) of", True),
        ("Words such as [rung and nats](glossary.md) are explained. A rung is", True),
        ("A *rung* is a recipe", True),
        ("**One rung more** costs", True),
        ("A rung is", False),
        ("see [a rung](study.md) and [the glossary](glossary.md)", False),
    ],
)
def test_what_counts_as_explained(text: str, is_it: bool) -> None:
    *_, last = re.finditer(TERMS["rung"], text)
    assert is_explained(text, last.start(), last.end()) == is_it
