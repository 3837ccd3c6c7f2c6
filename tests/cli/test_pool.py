"""``stepladder pool``: what is printed and written, what is kept, and one sentence where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stepladder.studies.pool.files import write_pool
from tests.studies.pool.records import made_up_pool, make_effect, make_study

Call = Callable[..., Any]


@pytest.fixture
def atlas(stepladder: Call) -> Path:
    """Findings of six sets, in the folder where the command runs."""
    write_pool(Path("atlas"), made_up_pool().studies, keep_names=True)
    return Path("atlas")


@pytest.mark.long
@pytest.mark.usefixtures("atlas")
def test_the_answer_is_printed_and_the_report_written(stepladder: Call) -> None:
    outcome = stepladder("pool", "atlas")
    assert outcome.code == 0, outcome.err
    assert "No technique is certain to help or to hurt on a new image set like these." in outcome.out
    assert "augment: helped on 3 of 6 sets, hurt on 2 and equivalent on 1. Mean +1.51 points" in outcome.out
    assert "Report: pool/pool.html" in outcome.out
    assert max(map(len, outcome.out.splitlines()[:6])) <= 80
    page = Path("pool/pool.html").read_text(encoding="utf-8")
    for words in ("6 studies of 6 image sets", "What may move it", "Set by set", "stepladder pool atlas"):
        assert words in page
    assert "augment" in Path("pool/pool.md").read_text(encoding="utf-8")
    assert len(list(Path("pool/figures").iterdir())) == 10


@pytest.mark.long
@pytest.mark.usefixtures("atlas")
def test_json_fits_the_schema_that_is_printed(stepladder: Call) -> None:
    schema = json.loads(stepladder("pool", "--schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(stepladder("pool", "atlas", "--json", "--out", "there").out)
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "more": 1}, schema)
    assert document == json.loads(Path("there/pool.json").read_text(encoding="utf-8"))
    augment = document["techniques"][0]
    assert (augment["name"], augment["counted"]) == ("augment", {"helped": 3, "hurt": 2, "equivalent": 1})
    assert augment["points"]["prediction"][0] < 0 < augment["points"]["prediction"][1]


@pytest.mark.long
@pytest.mark.usefixtures("atlas")
def test_findings_are_kept_without_names(stepladder: Call) -> None:
    outcome = stepladder("pool", "atlas", "--save", "kept")
    assert "Saved: kept/findings.json" in outcome.out
    assert "flowers" not in Path("kept/findings.json").read_text(encoding="utf-8").replace("of flowers", "")
    named = stepladder("pool", "atlas", "--save", "named", "--keep-names")
    assert named.code == 0
    assert '"flowers"' in Path("named/findings.json").read_text(encoding="utf-8")


def test_what_cannot_be_pooled_is_one_sentence(stepladder: Call) -> None:
    write_pool(Path("one"), [make_study("one")], keep_names=True)
    write_pool(Path("two"), [make_study("two", make_effect(), metric="loss", metric_key="loss")], keep_names=True)
    for arguments, words in (
        ((), "give the folders of studies, or of findings that were saved"),
        (("gone",), "there is no gone; give the folder of a study"),
        (
            ("one",),
            "one is one image set, and a pool takes two or more; give more studies, or keep this one with --save",
        ),
        (("one", "two"), "one is judged by accuracy and two by loss"),
        (("one", "--keep-names"), "--keep-names is for what --save keeps"),
    ):
        outcome = stepladder("pool", *arguments)
        assert (outcome.code, words in outcome.err) == (2, True), outcome.err
        assert outcome.err.count("\n") == 1
    assert not Path("pool").exists()
