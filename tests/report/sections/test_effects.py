from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from stepladder.report.sections.effects import EffectsSection, difference_table, effect_table, terminal_effects
from stepladder.studies.findings import Findings, make_findings


def effects_chart(findings: Findings):
    return EffectsSection().chart(findings)


def effects_in_terminal(findings: Findings, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal_effects(findings))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_a_loss_is_written_in_nats(make_study):
    table = effect_table(make_findings(make_study(seeds=3, metric="nll", smallest_effect=0.01)))
    assert "mean, nats" in table.header
    assert re.fullmatch(r"[+−]\d\.\d{4}", table.rows[0][4])
    assert "± 0.01 nats" in table.caption


def test_one_seed_shows_differences_without_an_interval(make_study):
    study = make_study(seeds=1)
    assert difference_table(make_findings(study)).rows[0] == ("standardize", "on the ladder", "+6.42", "+6.42")
    row = dict(zip(effect_table(make_findings(study)).header, effect_table(make_findings(study)).rows[0], strict=True))
    assert (row["verdict"], row["interval"], row["p"]) == ("no verdict", "–", "–")


def test_every_pair_is_shown_and_a_failed_one_is_marked(make_study):
    table = difference_table(make_findings(make_study(rungs=3, seeds=3, failed=[("augment", 1)])))
    assert table.rows[1][3].startswith("−64.")
    assert table.rows[1][3].endswith(" (d)")
    assert not any(cell.endswith("(f)") for cell in table.rows[0])


def test_effects_are_those_of_the_statistics(make_study):
    study = make_study(seeds=3)
    chart = effects_chart(make_findings(study))
    for row, effect in zip(chart["effects"], make_findings(study).effects, strict=True):
        assert row["mean"] == pytest.approx(100 * effect.mean, abs=1e-3)
        assert row["interval"] == pytest.approx([100 * end for end in effect.interval], abs=1e-3)
    assert chart["smallest"] == 0.5
    assert effects_chart(make_findings(make_study(rungs=1))) is None


def test_verdicts_in_the_terminal(make_study, check_golden):
    text = effects_in_terminal(make_findings(make_study(seeds=5)))
    check_golden("terminal_effects.txt", text)
    assert max(map(len, text.splitlines())) <= 80
