from __future__ import annotations

import io
import statistics

import pytest
from rich.console import Console

from stepladder.report.tables import difference_table, ladder_rows, ladder_table, terminal_table


def in_terminal(study, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal_table(study))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_rows_hold_the_figures_of_their_trials(make_study):
    study = make_study(seeds=3, failed=[("augment", 1)], missing=[("dropout", 0)])
    rows = {row.rung: row for row in ladder_rows(study)}
    assert list(rows) == ["baseline", "standardize", "augment", "schedule", "dropout", "batchnorm"]
    results = [trial.result for trial in study.of_rung("standardize")]
    row = rows["standardize"]
    assert row.test == pytest.approx(statistics.mean(result.test_accuracy for result in results))
    assert row.test_sd == pytest.approx(statistics.stdev(result.test_accuracy for result in results))
    assert row.train == pytest.approx(statistics.mean(result.train_accuracy for result in results))
    assert row.validation == pytest.approx(statistics.mean(result.val_accuracy for result in results))
    assert row.seconds == pytest.approx(220)
    assert row.interval[0] < row.difference < row.interval[1]
    assert (row.n, row.failed, row.missing) == (3, 0, 0)
    assert (rows["augment"].n, rows["augment"].failed, rows["augment"].missing) == (2, 1, 0)
    assert (rows["dropout"].n, rows["dropout"].failed, rows["dropout"].missing) == (2, 0, 1)
    assert rows["baseline"].difference is None


def test_columns_that_no_row_fills_are_left_out(make_study):
    assert "validation, %" in ladder_table(make_study(seeds=1)).header
    assert "validation, %" not in ladder_table(make_study(seeds=1, validation=0)).header
    assert "not ended" not in ladder_table(make_study(seeds=1)).header
    unfinished = ladder_table(make_study(seeds=1, missing=[("baseline", 0)]))
    assert unfinished.header[-1] == "not ended"
    assert unfinished.rows[0][-1] == "1"


def test_one_seed_shows_differences_without_an_interval(make_study):
    table = difference_table(make_study(seeds=1))
    assert table.header == ("rung", "against", "seed 0", "mean", "95 % interval")
    assert table.rows[0][2:] == ("+6.42", "+6.42", "–")


def test_every_pair_is_shown_and_a_broken_one_is_a_dash(make_study):
    table = difference_table(make_study(rungs=3, seeds=3, failed=[("augment", 1)]))
    assert [row[:2] for row in table.rows] == [("standardize", "baseline"), ("augment", "standardize")]
    assert table.rows[1][3] == "–"
    assert all(cell != "–" for cell in table.rows[0])


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
