"""``stepladder report`` of several studies: a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stepladder.report.comparison import (
    build_comparison,
    describe_comparison,
    terminal_comparison,
    write_comparison,
)
from stepladder.study.files.store import load_study
from stepladder.study.judging.comparison import compare_studies


def compare(console: Console, folders: Sequence[Path], out: Path, as_json: bool) -> None:
    """Compare the studies in ``folders``, print what that says, and write it into ``out``."""
    comparison = compare_studies([load_study(folder) for folder in folders])
    written = write_comparison(comparison, out)
    console.print(terminal_comparison(comparison))
    console.print()
    for sentence in describe_comparison(comparison):
        console.print(sentence, markup=False)
    console.print(f"\nComparison: {next(path for path in written if path.suffix == '.html')}", markup=False)
    if as_json:
        print(json.dumps(build_comparison(comparison), ensure_ascii=False, indent=2, allow_nan=False))
