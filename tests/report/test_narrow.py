"""On a narrow screen nothing that matters is cut: tables that do not fit are stacked."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.cli.inspect_tables import layer_table
from stepladder.network import find_network
from stepladder.network.inspection import inspect_network
from stepladder.report.narrow import fits
from stepladder.report.screen import Screen
from stepladder.report.terminal import report_text
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import work_out

NARROW = 40
FIGURE = re.compile(r"\d[\d.,]*")


def printed(table: Table, width: int) -> str:
    screen = Screen(file=StringIO(), width=width, highlight=False)
    screen.print(table)
    return screen.file.getvalue()


def a_table(**options: Any) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, **options)
    table.add_column("rung", footer="all")
    table.add_column("test\n%", justify="right", no_wrap=True, footer="3")
    table.add_column("what it adds", overflow="fold")
    table.add_row(Text("baseline\n+ cosine_lr"), "52.83 ± 9.71", "")
    table.add_row("augment", "78.10", "random_crop and then horizontal_flip")
    return table


def test_a_table_that_fits_is_a_table() -> None:
    shown = printed(a_table(), 60)
    assert "─────" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(("rung", "baseline"))] == [
        "rung",
        "baseline",
    ]


def test_one_that_does_not_is_a_block_a_row() -> None:
    assert printed(a_table(show_footer=True), 30) == (
        "baseline\n  + cosine_lr\n  test %        52.83 ± 9.71\n\n"
        "augment\n  test %        78.10\n  what it adds\n    random_crop and then \nhorizontal_flip\n\n"
        "all\n  test %        3\n"
    )


def test_where_words_would_break_it_does_not_fit() -> None:
    """At every width: as a table only where every word and every line that must not wrap is whole."""
    for width in range(20, 70):
        shown = printed(a_table(), width)
        assert "…" not in shown
        for words in ("baseline", "52.83 ± 9.71", "horizontal_flip"):
            assert words in shown, (width, shown)
        assert fits(a_table(), width) == ("─" in shown)


def test_a_first_column_of_figures_keeps_its_head() -> None:
    table = Table("optimizer.lr", "val", box=None)
    table.columns[0].justify = "right"
    table.add_row("0.03", "50.00 ± 0.00 % of the images (n = 2)")
    assert printed(table, 24).startswith("optimizer.lr 0.03\n  val\n    50.00 ± 0.00 %")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("narrow_five_seeds.txt", {"seeds": 5}),
        ("narrow_trouble.txt", {"seeds": 3, "failed": [("augment", 1)], "warnings": ("odd",)}),
    ],
)
def test_a_study_on_forty_columns(
    make_study: Callable[..., SavedStudy], check_golden: Callable[[str, str], None], name: str, options: dict[str, Any]
) -> None:
    findings = work_out(make_study(**options))
    narrow, wide = report_text(findings, NARROW), report_text(findings, 100)
    told, path = narrow.rsplit("\nReport: ", 1)
    assert path
    assert max(map(len, told.splitlines())) <= NARROW
    assert "…" not in told
    # Every figure and every verdict that a wide screen has.
    whole = wide.rsplit("\nReport: ", 1)[0]
    assert sorted(FIGURE.findall(narrow.rsplit("\nReport: ", 1)[0])) == sorted(FIGURE.findall(whole))
    for verdict in ("helped", "hurt", "undecided", "equivalent"):
        assert told.count(verdict) == whole.count(verdict)
    check_golden(name, told + "\n")


def test_a_sweep_on_forty_columns(
    made_up_sweep: Callable[..., SavedStudy], check_golden: Callable[[str, str], None]
) -> None:
    scores = [[0.80, 0.82], [0.90, 0.91], [0.95, 0.951], [None, 0.1], [0.7, 0.7], [0.6]]
    told = report_text(work_out(made_up_sweep(["optimizer.lr=0.03,0.1,1", "batch_size=32,128"], scores)), NARROW)
    check_golden("narrow_sweep.txt", told.rsplit("\nReport: ", 1)[0] + "\n")
    # The words have the figures of the table.
    best = re.search(r"validation accuracy: ([\d.]+ ± [\d.]+) %", " ".join(told.split()))
    assert best
    assert f"  val %         {best[1]} (n=2)" in told


def test_a_network_on_forty_columns() -> None:
    inspection = inspect_network(find_network("report"), (3, 32, 32), 10)
    shown = printed(layer_table(inspection, NARROW), NARROW)
    assert "…" not in shown
    for words in ("conv1\n", "  weights  2,432\n", "total\n", "  weights  1,191,170\n"):
        assert words in shown
