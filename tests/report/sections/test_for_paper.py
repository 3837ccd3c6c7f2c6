from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.report.page import render_page
from stepladder.report.sections import STUDY_SECTIONS
from stepladder.report.sections.meaning.for_paper import citation, paragraph_for_paper
from stepladder.report.write import study_head
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import make_findings

MakeStudy = Callable[..., SavedStudy]


def test_it_has_data_n_spread_intervals_method_and_plan(make_study: MakeStudy) -> None:
    findings = make_findings(make_study(rungs=3, seeds=5))
    said = paragraph_for_paper(findings)
    assert said.startswith(
        "3 recipes were compared on cifar10-jpeg (45,000 train, 5,000 validation and 10,000 test images, 10 classes) "
        "with Stepladder 0.1.0. Test images were read once, after all training. Test accuracy, mean ± standard "
        "deviation over n seeds: baseline "
    )
    for rung in findings.rungs:
        assert f"{rung.rung} {100 * rung.mean:.2f} ± {100 * rung.sd:.2f} % (n = 5)" in said
    assert (
        "Mean differences over paired seeds with simultaneous 95 % t-intervals (Bonferroni over 2 comparisons): "
        in said
    )
    for effect in findings.effects:
        low, high = effect.interval
        assert f"{effect.name} +{100 * effect.mean:.2f} points [+{100 * low:.2f}, +{100 * high:.2f}], helped" in said
    assert said.endswith("The plan was fixed before the first trial (SHA-256 5f0c5f0c5f0c).")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seeds": 2, "validation": 0}, "There were no validation images, so the test curve was watched."),
        ({"seeds": 3, "failed": [("augment", 1)]}, "1 trial failed and is counted."),
        ({"seeds": 3, "spending": "open"}, "(Bonferroni over 5 comparisons, at every look)"),
        ({"rungs": 2, "seeds": 3}, "with a 95 % t-interval: standardize"),
        ({"seeds": 3, "resplit": True}, "Each seed drew its own split; intervals are widened for that"),
    ],
)
def test_what_is_odd_is_said(make_study: MakeStudy, options: dict[str, Any], words: str) -> None:
    assert words in paragraph_for_paper(make_findings(make_study(**options)))


@pytest.mark.parametrize("options", [{"seeds": 1}, {"missing": [("augment", 0)]}, {"read": False}])
def test_without_an_interval_there_is_nothing_to_print(make_study: MakeStudy, options: dict[str, Any]) -> None:
    assert paragraph_for_paper(make_findings(make_study(rungs=3, **options))) == ""


def test_the_citation_is_that_of_the_repository_with_version_and_plan(make_study: MakeStudy) -> None:
    said = citation(make_findings(make_study(rungs=2, seeds=2)))
    cff = (Path(__file__).parents[3] / "CITATION.cff").read_text(encoding="utf-8")
    authors, title = said.split(". ", 2)[:2]
    assert f'title: "{title}"' in cff
    assert f"name: {authors}" in cff
    assert said.endswith("Version 0.1.0. Plan 5f0c5f0c5f0c.")


def test_the_page_has_both_and_says_nothing_twice(make_study: MakeStudy) -> None:
    findings = make_findings(make_study(seeds=5))
    page = render_page(findings, STUDY_SECTIONS, study_head(findings)).replace("\u00a0", " ")
    part = page.partition('<h2 id="meaning">')[2].partition("</section>")[0]
    assert paragraph_for_paper(findings) in part
    assert citation(findings) in part
    cards, _, after = part.partition("</ul>")
    undecided = [effect for effect in findings.effects if effect.verdict == "undecided"]
    assert cards.count("no look is left") == len(undecided) > 0
    assert "Undecided:" not in after
    assert "The highest mean test accuracy" not in part
    # Each fact of the data stands once.
    facts = page.partition('<h2 id="data">')[2]
    for name in ("Splits", "Images", "Fingerprint", "Data fingerprint"):
        assert facts.count(f"<dt>{name}</dt>") == (0 if name == "Data fingerprint" else 1)
