from __future__ import annotations

import io

import pytest
from rich.console import Console
from scipy.stats import ttest_ind

from stepladder.baselines.settings import settle
from stepladder.files import replace_json
from stepladder.report.bag_of_words import describe_bag_alone, terminal_bag
from stepladder.report.document import build_document
from stepladder.report.sections.ladder import rung_table, terminal_table
from stepladder.report.sections.meaning import describe
from stepladder.report.write import write_report
from stepladder.studies.files.bag_files import BagRecord, BagResult, load_bag_folder
from stepladder.studies.findings import make_findings
from stepladder.studies.judging.statistics import welch_interval

SCORES = (0.652, 0.660, 0.655)


def add(study, scores=SCORES, seeds: int = 3):
    """Put a made-up baseline into the study's folder."""
    record = study.record
    shared = {"versions": record.versions, "machine": record.machine}
    folder = study.folder / "baseline"
    made = BagRecord(
        plan_hash="ab" * 32,
        settings=settle("patches", 32, 32),
        seeds=seeds,
        validation=record.validation,
        data=record.data,
        command="stepladder bag-of-words",
        created="2026-01-31T12:00:00+00:00",
        **shared,
    )
    replace_json(folder / "baseline.json", made.model_dump(mode="json"))
    for seed, score in enumerate(scores):
        result = BagResult(
            baseline="ab" * 32,
            seed=seed,
            words=800,
            cost=0.001,
            tried=((0.0003, 0.65), (0.001, 0.66)),
            parameters={"whitening": 11_772, "vocabulary": 86_400, "scaling": 6400, "svm": 32_010},
            train_accuracy=0.75,
            val_accuracy=0.66,
            test_accuracy=score,
            test_macro_f1=None if score is None else score - 0.01,
            seconds=130.0,
            cpu_seconds=190.0,
            finished="2026-01-31T12:10:00+00:00",
            **shared,
        )
        replace_json(folder / "seeds" / str(seed) / "result.json", result.model_dump(mode="json"))
    return load_bag_folder(folder)


def says_so(study) -> bool:
    return any("Without a network" in sentence for sentence in describe(make_findings(study)))


def in_terminal(renderable, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_its_row_stands_below_the_first_rung_and_it_is_no_rung(make_study):
    study = make_study(seeds=3)
    add(study)
    first = rung_table(make_findings(study)).rows[0]
    assert first == (
        "bag of words",
        "no network, 136,582 learned numbers",
        "65.57 ± 0.40 (3)",
        "75.00",
        "66.00",
        "2 min 10 s",
        "0",
    )
    assert rung_table(make_findings(study)).rows[1][0] == "baseline"
    assert "is no network and in no comparison" in rung_table(make_findings(study)).caption
    lines = in_terminal(terminal_table(make_findings(study))).splitlines()
    assert lines[3].split() == [
        "bag",
        "of",
        "words",
        "65.57",
        "±",
        "0.40",
        "(n=3)",
        "75.00",
        "66.00",
        "2",
        "min",
        "10",
        "s",
    ]
    assert [line.strip() for line in lines[4:6]] == ["no network", "136,582 learned numbers"]


def test_no_verdict_and_no_choice_changes(make_study, tmp_path):
    plain = build_document(make_findings(make_study(seeds=3)))
    study = make_study(seeds=3)
    add(study, scores=(0.99, 0.99, 0.98))  # better than any rung
    document = build_document(make_findings(study))
    assert plain["bag_of_words"] is None
    assert document["bag_of_words"]["parameters"] == 136_582
    assert document["bag_of_words"]["mean"] == pytest.approx((0.99 + 0.99 + 0.98) / 3)
    for key in ("effects", "rungs", "trials", "diagnosis", "study"):
        assert document[key] == plain[key]
    assert document["summary"][:-1] == plain["summary"]
    assert document["summary"][-1].startswith(
        "Without a network, a bag of words (patches, linear SVM) reaches 98.67 ± 0.58 %"
    )


def test_the_sentence_has_the_difference_with_its_interval(make_study):
    study = make_study(seeds=3)
    add(study)
    (sentence,) = (one for one in describe(make_findings(study)) if one.startswith("Without a network"))
    rung = [trial.result.test_accuracy for trial in study.of_rung("baseline")]
    bounds = ttest_ind(rung, SCORES, equal_var=False).confidence_interval(0.95)
    low, high = (f"{100 * bound:+.2f}" for bound in (bounds.low, bounds.high))
    assert f"(Welch's 95 % interval over seeds: [{low}, {high}])".replace("-", "−") in sentence
    assert sentence.endswith("This comparison is not in the plan and is no verdict.")


@pytest.mark.parametrize("first", [(0.7, 0.72, 0.69), (0.7, 0.7), (0.71, 0.7, 0.7, 0.7)])
def test_the_interval_is_welchs(first):
    theirs = ttest_ind(first, SCORES, equal_var=False).confidence_interval(0.95) if len({*first}) > 1 else None
    found = welch_interval(first, SCORES)
    assert found is not None
    assert theirs is None or found == pytest.approx((theirs.low, theirs.high))
    assert welch_interval((0.7,), SCORES) is None
    assert welch_interval((0.7, 0.7), (0.6, 0.6)) is None


def test_other_metrics_and_unread_tests_claim_nothing(make_study):
    study = make_study(seeds=3, metric="nll", smallest_effect=0.01)
    add(study)
    assert rung_table(make_findings(study)).rows[0][2] == "–"
    assert not says_so(study)
    study = make_study(seeds=3, metric="macro_f1", smallest_effect=0.01)
    add(study)
    assert rung_table(make_findings(study)).rows[0][2] == "64.57 ± 0.40 (3)"
    study = make_study(seeds=3, read=False)
    add(study)
    assert not says_so(study)
    study = make_study(seeds=3)
    add(study, scores=(None,) * 3)
    assert rung_table(make_findings(study)).rows[0][2] == "–"
    assert not says_so(study)


@pytest.mark.long
def test_the_page_and_the_markdown_have_it(make_study):
    study = make_study(seeds=3)
    add(study)
    write_report(make_findings(study))
    text = (study.folder / "report.md").read_text(encoding="utf-8")
    assert "| bag of words | no network, 136,582 learned numbers | 65.57 ± 0.40 (3) |" in text
    page = (study.folder / "report.html").read_text(encoding="utf-8")
    assert '<th scope="row">bag of words</th>' in page
    assert "Without a network, a bag of words" in page


def test_alone_it_says_what_was_learned(make_study):
    found = add(make_study(seeds=1))
    assert describe_bag_alone(found)[:2] == [
        "Test accuracy 65.57 ± 0.40 % (sd, n = 3), over vocabularies drawn with different seeds.",
        "Learned from the training images: 136,582 numbers (11,772 to whiten patches, 86,400 in the vocabulary, 6,400 "
        "to scale features and 32,010 in the SVM).",
    ]
    lines = in_terminal(terminal_bag(found)).splitlines()
    assert " ".join(lines[3].split()) == "0 65.20 64.20 75.00 66.00 0.001 800 2 min 10 s 3 min 10 s"
    assert max(map(len, lines)) <= 80
