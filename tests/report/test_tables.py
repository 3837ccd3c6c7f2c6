from __future__ import annotations

import io
import re
import statistics

import pytest
from rich.console import Console

from stepladder.report.effect_tables import difference_table, effect_table, terminal_effects
from stepladder.report.tables import rung_rows, rung_table, score_table, terminal_table


def in_terminal(study, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal_table(study))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_rows_hold_the_figures_of_their_trials(make_study):
    study = make_study(seeds=3, failed=[("augment", 1)])
    rows = {row.rung: row for row in rung_rows(study)}
    assert list(rows) == ["baseline", "standardize", "augment", "schedule", "dropout", "batchnorm"]
    results = [trial.result for trial in study.of_rung("standardize")]
    row = rows["standardize"]
    assert row.test == pytest.approx(statistics.mean(result.test_accuracy for result in results))
    assert row.test_sd == pytest.approx(statistics.stdev(result.test_accuracy for result in results))
    assert row.train == pytest.approx(statistics.mean(result.train_accuracy for result in results))
    assert row.validation == pytest.approx(statistics.mean(result.val_accuracy for result in results))
    assert row.seconds == pytest.approx(220)
    assert (row.n, row.failed, row.missing) == (3, 0, 0)
    assert (rows["augment"].n, rows["augment"].failed, rows["augment"].missing) == (2, 1, 0)
    assert rows["augment"].techniques == ("+ random_crop", "+ horizontal_flip")


def test_an_unfinished_study_shows_no_test_result(make_study):
    rows = {row.rung: row for row in rung_rows(make_study(seeds=3, missing=[("dropout", 0)]))}
    assert (rows["dropout"].n, rows["dropout"].missing) == (0, 1)
    assert all(row.test is None for row in rows.values())


def test_columns_that_no_row_fills_are_left_out(make_study):
    assert "validation, %" in rung_table(make_study(seeds=1)).header
    assert "validation, %" not in rung_table(make_study(seeds=1, validation=0)).header
    assert "not ended" not in rung_table(make_study(seeds=1)).header
    unfinished = rung_table(make_study(seeds=1, missing=[("baseline", 0)]))
    assert unfinished.header[-1] == "not ended"
    assert unfinished.rows[0][-1] == "1"


def test_a_loss_is_written_in_nats(make_study):
    study = make_study(seeds=3, metric="nll", smallest_effect=0.01)
    assert rung_table(study).header[2] == "negative log-likelihood, nats (n)"
    assert "mean, nats" in effect_table(study).header
    assert re.fullmatch(r"[+−]\d\.\d{4}", effect_table(study).rows[0][4])
    assert "± 0.01 nats" in effect_table(study).caption


def test_one_seed_shows_differences_without_an_interval(make_study):
    study = make_study(seeds=1)
    assert difference_table(study).rows[0] == ("standardize", "on the ladder", "+6.42", "+6.42")
    row = dict(zip(effect_table(study).header, effect_table(study).rows[0], strict=True))
    assert (row["verdict"], row["interval"], row["p"]) == ("no verdict", "–", "–")


def test_every_pair_is_shown_and_a_failed_one_is_marked(make_study):
    table = difference_table(make_study(rungs=3, seeds=3, failed=[("augment", 1)]))
    assert table.rows[1][3].startswith("−64.")
    assert table.rows[1][3].endswith(" (f)")
    assert not any(cell.endswith("(f)") for cell in table.rows[0])


def test_scores_are_the_means_of_every_metric(make_study):
    table = score_table(make_study(rungs=1, seeds=2))
    assert len(table.header) == len(table.rows[0])
    assert table.rows[0][0] == "baseline"
    assert table.rows[0][2:4] == ("–", "–")  # no predictions, no macro F1 in a made-up study


def effects_in_terminal(study, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal_effects(study))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_verdicts_in_the_terminal(make_study, check_golden):
    text = effects_in_terminal(make_study(seeds=5))
    check_golden("terminal_effects.txt", text)
    assert max(map(len, text.splitlines())) <= 80


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
    check_golden(name, in_terminal(make_study(**options)))


def test_terminal_table_fits_80_columns_and_cuts_nothing(make_study):
    ladder = (("a_rung_with_a_very_long_name", ("[bold]a_technique_of_a_user[/bold]",), 0.1, 0.2, 3.0),)
    text = in_terminal(make_study(rungs=12, seeds=10, ladder=ladder, spread=0.2, epochs=1))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "[bold]" in text  # a name is never read as markup
