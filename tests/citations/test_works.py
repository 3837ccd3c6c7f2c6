"""Each work that docs and code name is in the list, and each of the list is named somewhere."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepladder
from stepladder.citations import WORKS
from stepladder.citations.citation import VENUE_FIELDS
from stepladder.network.presets import preset_names, read_preset
from stepladder.techniques.cards import catalogue_cards

ROOT = Path(__file__).parents[2]
SOURCE = Path(stepladder.__file__).parent

#: A year in running text; not a part of a date, a number, a name or an address, nor the number of an RFC.
YEAR = re.compile(r"(?<![\[\w.,²–:/+#=-])(?<!RFC )(1[89]\d\d|20[0-3]\d)(?![\w²/-]|[,.:]\d)")
#: How far before its year a citation may begin: its authors and a long title.
REACH = 260
#: Years that are none of a work.
OTHER_YEARS = (
    "JPEG 2000",  # a format
    "CIE 1976",  # a color space
    "in seconds since 1970",  # where clocks begin
    '"Title", # 2026',  # of the template, to be filled in
    '"Title", 2026',
)
#: Sections that a technique's explanation names of works that are none of its papers.
ELSEWHERE = {("2016", "section 8.3.1")}  # what theory wants of a schedule


def texts() -> Iterator[tuple[str, str]]:
    """Yield the prose of every page and module by its path: no code, one line each."""
    for path in [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]:
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        yield path.relative_to(ROOT).as_posix(), re.sub(r"`[^`]*`", " ", text)
    for path in sorted(SOURCE.rglob("*.py")):
        if path.parent.name != "citations":
            yield path.relative_to(ROOT).as_posix(), prose_of(path.read_text(encoding="utf-8"))
    for path in sorted(SOURCE.rglob("*.toml")):
        yield path.relative_to(ROOT).as_posix(), re.sub(r"\n# ?", " ", path.read_text(encoding="utf-8"))


def prose_of(code: str) -> str:
    """Return the strings of a module, and its comments."""
    strings = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    return "\n\n".join([*(text for text in strings if isinstance(text, str)), *re.findall(r"#:? (.*)", code)])


def named(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each year of a text with what stands before it, and the keys of the works that this may name."""
    text = re.sub(r"\s+", " ", text)
    for found in YEAR.finditer(text):
        before = text[max(0, found.start() - REACH) : found.end()]
        if before.endswith(OTHER_YEARS):
            continue
        yield before, {work.key for work in WORKS.values() if work.year == int(found[1]) and leads(work.key, before)}


def leads(key: str, before: str) -> bool:
    """Whether the first author's name stands there as one does in a citation."""
    work = WORKS[key]
    return bool(re.search(rf"(?<!\w){re.escape(work.families[0])}(?:,|'| and\b| et al| \(| {work.year})", before))


#: Two names or more that stand as a list of authors, whole.
NAME = r"(?:van )?[A-ZÀ-Þ][\w-]*(?:'[A-Z]\w+)?"
AUTHORS = re.compile(rf"(?<!, )(?<!\w)((?:{NAME}, )*{NAME} and {NAME})")


def miscalled(before: str, keys: set[str]) -> list[str]:
    """Return the lists of authors, begun by the first author of one of the works, that are not those of any of them."""
    wrong = []
    for found in AUTHORS.findall(before):
        names = tuple(re.split(r", | and ", found))
        begun = [WORKS[key] for key in keys if WORKS[key].families[0] == names[0]]
        others = [work for work in WORKS.values() if work.families[: len(names)] == names]
        if begun and not others:
            wrong.append(found)
    return wrong


@functools.cache
def mentions() -> list[tuple[str, str, set[str]]]:
    """Return each year in a text: where it is, what stands before it, and the works that this may name."""
    return [(path, before, keys) for path, text in texts() for before, keys in named(text)]


def test_every_work_that_is_named_is_in_the_list() -> None:
    orphans = [f"{path}: …{before[-90:]}" for path, before, keys in mentions() if not keys]
    assert not orphans, "add to citations/works.py:\n" + "\n".join(orphans)


def test_all_authors_of_a_list_are_the_work_s() -> None:
    wrong = {f"{path}: {names}" for path, before, keys in mentions() for names in miscalled(before, keys)}
    assert not wrong


@pytest.mark.parametrize(
    ("text", "is_wrong"),
    [
        ("(Coates, Lee and Ng 2011)", False),
        ("(Coates, Lee and Hinton 2011)", True),
        ("(Coates and Lee 2011)", False),  # a part of the list, from its beginning
        ("He, Zhang, Ren and Sun, Deep Residual Learning, 2016", False),
    ],
)
def test_a_wrong_list_of_authors_is_found(text: str, is_wrong: bool) -> None:
    assert [bool(miscalled(before, keys)) for before, keys in named(text)] == [is_wrong]


def test_every_work_of_the_list_is_named() -> None:
    keys = {key for *_, found in mentions() for key in found}
    used = {paper.key for card in catalogue_cards() for paper in card.papers}
    used |= {paper.key for name in preset_names() for paper in read_preset(name).papers}
    assert not set(WORKS) - keys - used


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("(He et al. 2016, section 4.2)", True),
        ("Wu and He, Group Normalization, 2018", True),
        ("as Shapley 1953 has it", True),
        ("(He et al. 2017)", False),  # none of that year
        ("He found it in 2016", False),  # a pronoun
        ("Nobody and Noone, Nothing, 2018", False),
    ],
)
def test_a_citation_is_found_by_name_and_year(text: str, is_found: bool) -> None:
    assert [bool(keys) for _, keys in named(text)] == [is_found]


@pytest.mark.parametrize(
    "text", ["on 2026-11-29", "2048² numbers", "2,012 images", "arXiv:2012.1", "torch 2.2013", "x2012"]
)
def test_a_date_or_a_number_is_no_year(text: str) -> None:
    assert not list(named(text))


def test_sections_in_a_technique_s_explanation_are_those_of_its_papers() -> None:
    part = re.compile(r"((?:19|20)\d\d)\)?, ((?:section|equation|table|algorithm|appendix) [\dA-Z][\d.]*\b)")
    seen = 0
    for card in catalogue_cards():
        for year, where in part.findall(card.explanation):
            seen += 1
            found = [paper for paper in card.papers if paper.year == int(year) and f"{where}," in f"{paper.where},"]
            assert found or (year, where) in ELSEWHERE, (
                f"{card.name} explains {year}, {where}; its papers: {card.paper}"
            )
    assert seen > 25


def test_the_works_are_whole() -> None:
    for key, work in WORKS.items():
        assert re.fullmatch(r"[a-z]+\d{4}[a-z]*\d?", key), key
        family = work.families[0].translate(str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})).lower()
        assert key.startswith(re.sub(r"\W", "", family)[:3]), key
        assert work.kind in VENUE_FIELDS, key
        assert work.title, key
        assert work.venue, key
        assert re.fullmatch(r"|doi:10\.\d{4,}/\S+|arXiv:\d{4}\.\d{4,5}|isbn:[\d-]{13,17}|https://\S+", work.link), key
        for author in work.authors:
            assert re.fullmatch(r"[\w' -]+(, [\w.' -]+)?", author), author
        if work.link.startswith("isbn:"):
            digits = [int(digit) for digit in re.sub(r"\D", "", work.link)]
            assert sum(digit * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10 == 0, key
    assert len({(work.title, work.year) for work in WORKS.values()}) == len(WORKS)
    assert {key for key, work in WORKS.items() if not work.link} == {"csurka2004visual", "tukey1953problem"}
