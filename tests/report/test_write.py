from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection
from contextlib import nullcontext
from itertools import combinations, pairwise
from typing import assert_never

import pytest

from stepladder.errors import StorageError
from stepladder.report.terminal import report_text, short_text
from stepladder.report.write import write_page, write_report
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import ContrastRecord
from stepladder.studies.findings import Findings, make_findings
from stepladder.studies.judging.answers import read_answers
from stepladder.studies.judging.curves import draw_up_curves
from stepladder.studies.judging.diagnosis import diagnose
from stepladder.studies.judging.learning import judge_learning
from stepladder.studies.judging.statistics import summarize_rungs, weigh_effects
from stepladder.studies.judging.test_set import judge_test_set
from tests.pictures import as_dots


def test_write_report_leaves_its_files_and_nothing_else(findings_of, tmp_path):
    findings = findings_of(rungs=2, seeds=2, epochs=2)
    written = write_report(findings)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == [
        "figures/curves.png",
        "figures/curves.svg",
        "figures/forest.png",
        "figures/forest.svg",
        "figures/ladder.png",
        "figures/ladder.svg",
        "report.html",
        "report.md",
        "verdicts.json",
    ]
    there = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert there == sorted([*written, tmp_path / "checksums.txt"])
    before = {path: path.read_bytes() for path in written}
    write_report(findings)
    assert {path: path.read_bytes() for path in written} == before


@pytest.mark.long
def test_links_of_the_markdown_lead_to_files(findings_of, tmp_path):
    write_report(findings_of(rungs=2, seeds=1, epochs=1))
    links = re.findall(r"\]\(([^)]+)\)", (tmp_path / "report.md").read_text(encoding="utf-8"))
    assert len(links) == 6
    assert all((tmp_path / link).is_file() for link in links)


def test_a_name_that_is_no_utf8_does_not_stop_the_report(findings_of, tmp_path):
    write_report(findings_of(rungs=1, seeds=1, epochs=1, data={"notes": ("left out: caf\udce9.png",)}))
    assert r"left out: caf\\udce9.png" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_named(findings_of, tmp_path):
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(StorageError, match="figures"):
        write_report(findings_of(rungs=1, seeds=1, epochs=1))


def test_the_page_alone_is_written_while_a_study_runs(findings_of, tmp_path):
    assert write_page(findings_of(rungs=2, seeds=2, epochs=2, missing=[("standardize", 1)])).name == "report.html"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<strong>Unfinished:</strong> 3 of 4 trials have ended" in text


@pytest.mark.long
def test_one_report_weighs_and_summarizes_once(complete_study, tmp_path, monkeypatch):
    study = complete_study(tmp_path, rungs=3, seeds=2, epochs=2)
    calls: Counter[str] = Counter()

    def count_calls(real):
        """Count the calls of a function under every name that a module of ours has imported it by."""

        def count(*arguments, **options):
            calls[real.__name__] += 1
            return real(*arguments, **options)

        for name, module in list(sys.modules.items()):
            if name.startswith("stepladder") and vars(module).get(real.__name__) is real:
                monkeypatch.setattr(module, real.__name__, count)

    once = (weigh_effects, summarize_rungs, diagnose, draw_up_curves, judge_test_set, judge_learning, read_answers)
    for real in (*once, read_predictions):
        count_calls(real)
    findings = make_findings(study)
    write_report(findings)
    report_text(findings)
    # Of each trial by what asks whether it learned, and by the intervals over test images; and of the model shown.
    assert calls.pop("read_predictions") == 2 * len(study.trials) + 1
    assert calls == Counter(real.__name__ for real in once)


RUNGS = ("baseline", "standardize", "augment", "schedule")


def contrasts(kind: ContrastKind) -> list[ContrastRecord]:
    match kind:
        case ContrastKind.LADDER | ContrastKind.LEAVE_ONE_OUT | ContrastKind.ADD_ONE:
            return [
                ContrastRecord(name=rung, design=kind, weights={rung: 1.0, below: -1.0})
                for below, rung in pairwise(RUNGS)
            ]
        case ContrastKind.SHAPLEY | ContrastKind.INTERACTION:
            name = "standardize" if kind is ContrastKind.SHAPLEY else "standardize × augment"
            weights = dict(zip(RUNGS, (0.5, 0.5, -0.5, -0.5), strict=True))
            return [ContrastRecord(name=name, design=kind, weights=weights)]
        case _:
            assert_never(kind)


def check_report_of(findings: Findings, kinds: Collection[ContrastKind]) -> None:
    written = {path.name: path for path in write_report(findings)}
    rungs = "ladder.png" if ContrastKind.LADDER in kinds or set(kinds) == {ContrastKind.INTERACTION} else "rungs.png"
    assert {"verdicts.json", rungs, "curves.png", "report.md", "report.html"} <= set(written)
    assert ("forest.png" in written) == (set(kinds) != {ContrastKind.INTERACTION})
    assert ("shapley.png" in written) == (ContrastKind.SHAPLEY in kinds)
    assert ("interactions.png" in written) == (ContrastKind.INTERACTION in kinds)
    assert "standardize" in written["report.md"].read_text(encoding="utf-8")
    assert "standardize" in report_text(findings)
    assert len(short_text(findings)) < 500


@pytest.mark.long
@pytest.mark.parametrize(
    "kinds",
    [
        *(pytest.param(kinds, marks=pytest.mark.soak) for kinds in combinations(ContrastKind, 1)),  # each is in a pair
        *combinations(ContrastKind, 2),
    ],
    ids="+".join,
)
def test_a_study_of_any_kinds_of_contrasts_has_a_report(findings_of, kinds):
    judged = tuple(one for kind in kinds for one in contrasts(kind))
    findings = findings_of(rungs=4, seeds=3, epochs=1, contrasts=judged)
    # The pictures of a pair are those of its kinds, or of all kinds together below: drawn here, and rendered there.
    with as_dots() if len(kinds) == 2 else nullcontext():
        check_report_of(findings, kinds)
    # A technique that two plans ask about stands there once a plan, which is then named.
    lines = short_text(findings).splitlines()[1:]
    assert len(set(lines)) == len(lines)


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        {"seeds": 1},
        {"seeds": 2, "read": False},
        {"seeds": 2, "failed": [("standardize", 0), ("standardize", 1)], "epochs": 8},
        {"seeds": 2, "metric": "nll", "smallest_effect": 0.01},
    ],
    ids=str,
)
def test_a_study_of_all_kinds_has_a_report_in_any_state(findings_of, options):
    judged = tuple(one for kind in ContrastKind for one in contrasts(kind))
    check_report_of(findings_of(**{"rungs": 4, "epochs": 1, "contrasts": judged, **options}), tuple(ContrastKind))


@pytest.mark.long
def test_a_plan_that_compares_nothing_says_so(findings_of, tmp_path):
    write_report(findings_of(rungs=2, seeds=2, epochs=1, contrasts=()))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "The plan compares nothing, so there is no verdict." in text
    assert "## The rungs" in text
    assert "The effects" not in text
    assert "so there are no effects" in (tmp_path / "report.html").read_text(encoding="utf-8")
