"""Tables for papers: read by a LaTeX parser, and set by pdfLaTeX where that is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from stepladder.report.latex import escape, render_latex
from stepladder.report.sections.effects import effect_table
from stepladder.studies.findings import Findings, make_findings

#: Names that are commands, comments, cells and letters of other scripts to LaTeX.
ODD = (
    ("base_line #1", (), 0.67, 0.99, 3.0),
    ("50% & $x$ {y} \\foo ~^ \"a\" 'b' `c` <d>|", ("standardize", "random_crop"), 0.74, 0.99, 2.4),
    ("中文 é þ \\end{table}", ("mixup",), 0.78, 0.9, 3.0),
)
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
\listoftables
\input{results.tex}
\end{document}
"""


def tables(text: str) -> list[LatexEnvironmentNode]:
    nodes, *_ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    return [node for node in nodes if isinstance(node, LatexEnvironmentNode) and node.environmentname == "table"]


def odd_study(make_study) -> Findings:
    return make_findings(make_study(rungs=3, seeds=3, ladder=ODD, failed=[(ODD[2][0], 1)]))


def test_the_tables_of_a_study_have_the_effects_with_intervals_and_verdicts(make_study) -> None:
    findings = make_findings(make_study(seeds=5))
    text = render_latex(findings)
    found = tables(text)
    assert re.findall(r"\\label\{(.*?)\}", text) == [f"tab:stepladder-{n}" for n in ("effects", "rungs", "metrics")]
    rows = LatexNodes2Text(math_mode="text").nodelist_to_text([found[0]]).replace("-", "−")
    table = effect_table(findings)
    assert len(table.rows) == 5
    for row in table.rows:
        shown = dict(zip((head.partition(",")[0] for head in table.header), row, strict=True))
        line = next(line for line in rows.splitlines() if line.strip().startswith(f"{shown['technique']} "))
        for name in ("verdict", "mean", "interval", "p", "n"):
            assert shown[name] in line, (name, line)
    for mark in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(mark) == 3
    assert "Correlation" not in text
    assert "\n% 6 recipes were compared on" in text


def test_a_name_prints_as_it_is_and_starts_no_command(make_study) -> None:
    text = render_latex(odd_study(make_study))
    found = tables(text)
    assert len(found) == 3  # and not one more or less by \end{table} in a name
    assert r"50\% \& \$x\$ \{y\} \textbackslash{}foo \textasciitilde{}\textasciicircum{}" in text
    assert r"\StepladderLetter{4E2D}{中}" in text
    assert "é " in text  # which pdfLaTeX has
    assert not re.search(r"\\foo\b", text)
    assert escape("−1 ± 2 × 3\n4") == r"$-$1 $\pm$ 2 $\times$ 3 4"


def test_a_study_without_a_result_has_tables_all_the_same(make_study) -> None:
    findings = make_findings(make_study(rungs=2, seeds=1, missing=[("baseline", 0), ("standardize", 0)]))
    assert tables(render_latex(findings))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed; a parser reads the tables")
def test_pdflatex_sets_it_without_an_error_and_within_the_margins(make_study, tmp_path: Path) -> None:
    for findings, tight in ((make_findings(make_study(seeds=5)), True), (odd_study(make_study), False)):
        (tmp_path / "results.tex").write_text(render_latex(findings), encoding="utf-8")
        (tmp_path / "paper.tex").write_text(DOCUMENT, encoding="utf-8")
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
        assert not tight or "Overfull" not in done.stdout
