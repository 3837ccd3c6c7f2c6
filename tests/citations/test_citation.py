"""A citation as a line and as BibTeX."""

from __future__ import annotations

import re

import pytest

from stepladder.citations import WORKS, Citation, cite, to_bibtex, written
from stepladder.citations.citation import VENUE_FIELDS
from stepladder.errors import RecipeError

WU = Citation("wu2018group", ("Wu, Yuxin", "He, Kaiming"), "Group Normalization", 2018, "ECCV", "arXiv:1803.08494")


def read_bibtex(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Read entries strictly: ``@kind{key,``, a line ``name = {value},`` a field with balanced braces, ``}``.

    Anything else fails, as do a key twice, a field twice, and a character that LaTeX would take for a command.
    """
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for entry in text.split("\n\n"):
        first, *lines, last = entry.split("\n")
        head = re.fullmatch(r"@([a-z]+)\{([a-z0-9]+),", first)
        assert head, first
        assert last == "}", last
        fields: dict[str, str] = {}
        for line in lines:
            field = re.fullmatch(r"  ([a-z]+) = \{(.+)\},", line)
            assert field, line
            name, value = field.groups()
            assert name not in fields, line
            depth = 0
            for at, character in enumerate(value):
                if name in ("url", "doi", "eprint") or value[at - 1 : at] == "\\":
                    continue
                depth += {"{": 1, "}": -1}.get(character, 0)
                assert depth >= 0, line
                assert character not in "&%$#_~^", line
            assert depth == 0, line
            fields[name] = value
        assert head[2] not in found, head[2]
        found[head[2]] = (head[1], fields)
    return found


def test_a_line_names_four_authors_or_the_first() -> None:
    assert WU.line == "Wu and He, Group Normalization, 2018"
    assert cite("lecun1998efficient", "section 4.3").line == (
        "LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998, section 4.3"
    )
    assert cite("szegedy2015going").line.startswith("Szegedy et al., Going Deeper")
    assert cite("lin2014network").short == "Lin, Chen and Yan 2014"
    assert cite("he2016deep").short == "He et al. 2016"
    assert cite("he2016deep", "table 1").brief == "He et al. 2016, table 1"
    assert written([WU, cite("student1908probable")]) == (
        "Wu and He, Group Normalization, 2018; Student, The Probable Error of a Mean, 1908"
    )


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("wu2018group", "https://arxiv.org/abs/1803.08494"),
        ("student1908probable", "https://doi.org/10.1093/biomet/6.1.1"),
        ("goodfellow2016deep", "https://www.deeplearningbook.org"),
        ("kish1965survey", ""),
    ],
)
def test_the_address(key: str, url: str) -> None:
    assert cite(key).url == url


def test_an_entry_of_bibtex() -> None:
    assert to_bibtex([WU], {"wu2018group": ["group_norm", "other"]}) == (
        "@article{wu2018group,\n"
        "  author = {Wu, Yuxin and He, Kaiming},\n"
        "  title = {{Group Normalization}},\n"
        "  journal = {ECCV},\n"
        "  year = {2018},\n"
        "  eprint = {1803.08494},\n"
        "  eprinttype = {arxiv},\n"
        "  keywords = {group\\_norm, other},\n"
        "}"
    )


def test_every_work_is_valid_bibtex() -> None:
    read = read_bibtex(to_bibtex(WORKS.values()))
    assert list(read) == sorted(WORKS)
    for key, (kind, fields) in read.items():
        assert kind == WORKS[key].kind
        assert {"author", "title", "year", VENUE_FIELDS[kind]} <= set(fields), key
        assert int(fields["year"]) == WORKS[key].year
        assert len(fields["author"].split(" and ")) == len(WORKS[key].authors)
    assert read["jordan2024airbench"][1]["title"] == r"{94\% on CIFAR-10 in 3.29 Seconds on a Single GPU}"


def test_several_parts_of_a_work_are_one_entry() -> None:
    assert list(read_bibtex(to_bibtex([cite("he2016deep", "section 3.4"), cite("he2016deep", "section 4.2")]))) == [
        "he2016deep"
    ]


@pytest.mark.parametrize("wrong", ["@article{a,\n  title = {50% off},\n}", "@article{a,\n  title = {{x},\n}", "x"])
def test_the_reader_of_this_test_can_fail(wrong: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        read_bibtex(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key": "doe 2026"}, "key is 'doe 2026'; it must be letters, digits"),
        ({"authors": "Doe, Jo"}, "authors is 'Doe, Jo'; it must be a tuple of texts"),
        ({"authors": ()}, r"authors is \(\); it must be"),
        ({"kind": "artikle"}, "unknown kind of citation 'artikle'; did you mean 'article'"),
    ],
)
def test_what_makes_no_entry_is_refused(wrong: dict[str, object], message: str) -> None:
    fields = {"key": "k", "authors": ("Doe, Jo",), "title": "T", "year": 2026, "venue": "V", "link": ""}
    with pytest.raises(RecipeError, match=message):
        Citation(**{**fields, **wrong})  # type: ignore[arg-type]


def test_a_title_of_several_lines_with_braces_and_signs_is_one_line() -> None:
    work = Citation("k", ("Doe, Jo",), "A {B} of\n 5% & C_d ~ \\e", 2026, "V", "")
    assert read_bibtex(to_bibtex([work]))["k"][1]["title"] == (
        r"{A \{B\} of 5\% \& C\_d \textasciitilde{} \textbackslash{}e}"
    )


def test_a_key_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        cite("nobody2000nothing")
