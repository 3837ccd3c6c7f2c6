r"""The tables of a paper as LaTeX: ``\input`` of one file, which needs the package booktabs and nothing else.

Names come from the user's data and recipes and are escaped: none can start a command. Letters that pdfLaTeX has not
set up are written so that it prints their code in place of stopping; XeLaTeX and LuaLaTeX print them where the font has
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import assert_never

from stepladder.errors import printable
from stepladder.report.section import TextTable
from stepladder.report.sections.comparison import comparison_table
from stepladder.report.sections.effects import effect_table
from stepladder.report.sections.ladder import rung_table, score_table
from stepladder.report.sections.meaning.for_paper import citation, paragraph_for_paper
from stepladder.report.sections.sizes import size_table
from stepladder.report.sections.sweep_points import point_table
from stepladder.report.units import UNDEFINED
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.comparison import Comparison
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",  # typewriters' quotation marks are in no font that pdfLaTeX begins with
    "`": r"\textasciigrave{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "α": r"$\alpha$",
    "χ": r"$\chi$",
    "²": r"$^2$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\u00a0": "~",
}
#: Beside ASCII, what pdfLaTeX sets in any font: Latin letters with accents, but for the Icelandic ones.
_SET_UP = frozenset("".join(map(chr, range(0xC0, 0x100)))) - frozenset("ÐðÞþ×÷")
#: A letter by its code and itself; the first is what pdfLaTeX prints.
_LETTER = r"\StepladderLetter"
_DEFINE_LETTER = (
    r"\DeclareRobustCommand{\StepladderLetter}[2]{\ifdefined\pdftexversion{\footnotesize U+#1}\else#2\fi}"
    "  % letters that pdfLaTeX does not have; XeLaTeX and LuaLaTeX print them"
)
#: What a list of tables calls each, by its label.
_SHORT = {
    "effects": "What each technique does",
    "rungs": "Every rung with its scores",
    "metrics": "Every metric on the test images",
    "points": "Every point with its scores",
    "sizes": "Scores by number of training images",
    "comparison": "Every rung of every study",
}
#: Words in a cell from which a column is broken into lines; narrower columns are as wide as their cells.
_LONG = 24


@dataclass(frozen=True)
class _Labelled:
    """A table of a paper with the word that ends its label."""

    label: str
    table: TextTable


def render_latex(findings: AnyFindings | Comparison) -> str:
    r"""Return the tables of a paper, each a ``table`` with a caption and a label ``tab:stepladder-…``.

    Of a study: the effects with their intervals and verdicts, the rungs with their scores, and every metric. Of a sweep
    the points, of a curve the sizes, of a comparison every rung of every study.
    """
    body = [_render(each) for each in _tables_of(findings)]
    text = "\n\n".join(body)
    lines = [r"% \usepackage{booktabs}", *_head(findings)]
    if _LETTER in text:
        lines.append(_DEFINE_LETTER)
    return "\n".join(lines) + "\n\n" + text + "\n"


def escape(text: str) -> str:
    r"""Return ``text`` as LaTeX that prints exactly it, on one line.

    >>> escape("random_crop & 5 %")
    'random\\_crop \\& 5 \\%'
    """
    return "".join(map(_letter, printable(" ".join(text.replace("\u00a0", "\0").split()).replace("\0", "\u00a0"))))


def _letter(letter: str) -> str:
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if letter.isascii() or letter in _SET_UP:
        return letter
    return f"{_LETTER}{{{ord(letter):04X}}}{{{letter}}}"


def _tables_of(findings: AnyFindings | Comparison) -> list[_Labelled]:
    match findings:
        case Findings():
            tables = [_Labelled("rungs", _told(rung_table(findings), without=("time a trial",)))]
            if (scores := score_table(findings)) is not None and findings.study.record.scores is None:
                tables.append(_Labelled("metrics", _told(scores)))
            if findings.effects and findings.nothing_learned is None:
                tables.insert(0, _Labelled("effects", _effects(findings)))
            return tables
        case SweepFindings():
            return [_Labelled("points", point_table(findings))]
        case CurveFindings():
            return [_Labelled("sizes", size_table(findings))]
        case Comparison():
            return [_Labelled("comparison", comparison_table(findings))]
        case _:
            assert_never(findings)


def _effects(findings: Findings) -> TextTable:
    """Return the columns that a paper prints: not the correlation and what a longer study would take."""
    table = effect_table(findings)
    several = len({row[1] for row in table.rows}) > 1
    heads = ("technique", *(["how"] if several else []), "verdict", "mean", "interval", "new images", "p", "n")
    left_out = ("Correlation:", "Detectable:", "Seeds to decide:")
    sentences = re.split(r"(?<=\.) (?=[A-Z“])", table.caption)
    return table.pick(heads, " ".join(one for one in sentences if not one.startswith(left_out)))


def _told(table: TextTable, without: tuple[str, ...] = ()) -> TextTable:
    """Return a table without columns that say nothing of any row, as that of failed trials where none failed."""
    heads = [
        head.partition(",")[0]
        for place, head in enumerate(table.header)
        if place == 0 or (head not in without and any(row[place] not in (UNDEFINED, "0") for row in table.rows))
    ]
    return table.pick(tuple(heads), table.caption, table.title)


def _head(findings: AnyFindings | Comparison) -> list[str]:
    """Return comments: where the figures come from, and a paragraph of results to copy."""
    if isinstance(findings, Comparison):
        return [f"% Compared: {printable(', '.join(findings.labels))}"]
    lines = [f"% Made by: {printable(findings.study.record.command)}"]
    if isinstance(findings, Findings) and (paragraph := paragraph_for_paper(findings)):
        lines += ["% A paragraph of results to copy:", f"% {escape(paragraph)}"]
        lines += [f"% {escape(citation(findings))}"]
    return [line.replace("\n", " ") for line in lines]


def _render(labelled: _Labelled) -> str:
    table = labelled.table
    long = [
        place < table.text_columns and any(len(row[place]) > _LONG for row in table.rows)
        for place in range(len(table.header))
    ]
    share = 0.3 / max(1, sum(long))
    columns = "".join(
        f"p{{{share:.2f}\\linewidth}}" if wide else "l" if place < table.text_columns else "r"
        for place, wide in enumerate(long)
    )
    rows = [
        " & ".join((r"\raggedright " if wide else "") + escape(cell) for cell, wide in zip(row, long, strict=True))
        for row in table.rows
    ]
    heads = " & ".join(
        _head_cell(head, "l" if place < table.text_columns else "r") for place, head in enumerate(table.header)
    )
    caption = f"{table.title}. {table.caption}" if table.title else table.caption
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption[{_SHORT[labelled.label]}]{{{escape(caption)}}}",
            rf"  \label{{tab:stepladder-{labelled.label}}}",
            r"  \smallskip",
            r"  \footnotesize",
            r"  \setlength{\tabcolsep}{4pt}",
            rf"  \begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"    \toprule",
            f"    {heads} \\\\",
            r"    \midrule",
            *(f"    {row} \\\\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _head_cell(head: str, align: str) -> str:
    """Return a column's name, a word a line and its unit last: a column of figures is to be as narrow as those are."""
    name, comma, unit = head.partition(", ")
    words = [*name.split(), *([unit] if comma else [])]
    if len(words) == 1 or len(head) <= 6:
        return escape(head)
    lines = r"\\".join(map(escape, words))
    return rf"\begin{{tabular}}[b]{{@{{}}{align}@{{}}}}{lines}\end{{tabular}}"
