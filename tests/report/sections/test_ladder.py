from __future__ import annotations

import io
import statistics

import pytest
from rich.console import Console

from stepladder.report.sections.ladder import LadderSection, describe_ladder, rung_table, score_table, terminal_table
from stepladder.studies.findings import Findings, make_findings
from stepladder.studies.judging.statistics import paired_interval


def ladder_chart(findings: Findings):
    return LadderSection().chart(findings)


def in_terminal(findings: Findings, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal_table(findings))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_it_is_called_a_ladder_where_it_is_one(make_study):
    study = make_study(rungs=3, seeds=2)
    assert LadderSection().title(make_findings(study)) == "The ladder"
    alone = tuple(one.model_copy(update={"design": "add-one"}) for one in study.record.contrasts)
    assert LadderSection().title(make_findings(make_study(rungs=3, seeds=2, contrasts=alone))) == "The rungs"


def test_the_table_has_the_figures_of_the_trials(make_study):
    study = make_study(seeds=3, failed=[("augment", 1)])
    table = rung_table(make_findings(study))
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert list(rows) == ["baseline", "standardize", "augment", "schedule", "dropout", "batchnorm"]
    results = [trial.result for trial in study.of_rung("standardize")]
    test = [result.test_accuracy for result in results]
    row = rows["standardize"]
    assert row["test accuracy, % (n)"] == f"{100 * statistics.mean(test):.2f} ± {100 * statistics.stdev(test):.2f} (3)"
    assert row["train, %"] == f"{100 * statistics.mean(result.train_accuracy for result in results):.2f}"
    assert row["validation, %"] == f"{100 * statistics.mean(result.val_accuracy for result in results):.2f}"
    assert (row["time a trial"], row["failed"]) == ("3 min 40 s", "0")
    assert rows["augment"]["test accuracy, % (n)"].endswith("(2)")
    assert rows["augment"]["failed"] == "1"
    assert rows["augment"]["techniques"] == "+ random_crop, + horizontal_flip"


def test_an_unfinished_study_shows_no_test_result(make_study):
    findings = make_findings(make_study(seeds=3, missing=[("dropout", 0)]))
    table = rung_table(findings)
    assert all(row[2] == "–" for row in table.rows)
    assert [row[-1] for row in table.rows] == ["0", "0", "0", "0", "1", "0"]
    assert describe_ladder(findings).endswith("batchnorm without a result.")


def test_columns_that_no_row_fills_are_left_out(make_study):
    assert "validation, %" in rung_table(make_findings(make_study(seeds=1))).header
    assert "validation, %" not in rung_table(make_findings(make_study(seeds=1, validation=0))).header
    assert "not ended" not in rung_table(make_findings(make_study(seeds=1))).header
    unfinished = rung_table(make_findings(make_study(seeds=1, missing=[("baseline", 0)])))
    assert unfinished.header[-1] == "not ended"
    assert unfinished.rows[0][-1] == "1"


def test_a_loss_is_written_in_nats(make_study):
    findings = make_findings(make_study(seeds=3, metric="nll", smallest_effect=0.01))
    assert rung_table(findings).header[2] == "test negative log-likelihood, nats (n)"
    assert ladder_chart(findings)["axis"] == "test negative log-likelihood, nats"


def test_scores_are_the_means_of_every_metric(make_study):
    table = score_table(make_findings(make_study(rungs=1, seeds=2)))
    assert len(table.header) == len(table.rows[0])
    assert table.rows[0][0] == "baseline"
    assert table.rows[0][2:4] == ("–", "–")  # no predictions, no macro F1 in a made-up study


def test_the_ladder_has_every_seed_the_interval_and_the_verdict(make_study):
    study = make_study(seeds=5)
    chart = ladder_chart(make_findings(study))
    rung = chart["rungs"][1]
    scores = [trial.result.test_accuracy for trial in study.of_rung("standardize")]
    assert rung["values"] == pytest.approx([100 * score for score in scores])
    low, high = paired_interval(scores)
    assert rung["interval"] == pytest.approx([100 * low, 100 * high], abs=1e-3)
    assert (rung["kind"], rung["symbol"], rung["word"]) == ("helped", "▲", "helped")
    assert (chart["rungs"][0]["kind"], chart["rungs"][0]["word"]) == ("none", "")


def test_a_failed_and_a_missing_seed_are_written(make_study):
    chart = ladder_chart(make_findings(make_study(rungs=3, failed=[("augment", 1)])))
    assert chart["rungs"][2]["notes"] == ["1 of 3 seeds failed"]
    assert len(chart["rungs"][2]["values"]) == 2
    assert ladder_chart(make_findings(make_study(rungs=3, missing=[("augment", 1)]))) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("terminal_one_seed.txt", {"seeds": 1}),
        ("terminal_five_seeds.txt", {"seeds": 5}),
        ("terminal_trouble.txt", {"seeds": 3, "failed": [("augment", 1)], "missing": [("batchnorm", 0)]}),
        ("terminal_watched.txt", {"seeds": 2, "validation": 0}),
    ],
)
def test_terminal_table(make_study, check_golden, name, options):
    check_golden(name, in_terminal(make_findings(make_study(**options))))


def test_terminal_table_fits_80_columns_and_cuts_nothing(make_study):
    ladder = (("a_rung_with_a_very_long_name", ("[bold]a_technique_of_a_user[/bold]",), 0.1, 0.2, 3.0),)
    text = in_terminal(make_findings(make_study(rungs=12, seeds=10, ladder=ladder, spread=0.2, epochs=1)))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "[bold]" in text  # a name is never read as markup
