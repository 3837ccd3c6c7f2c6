from __future__ import annotations

import io

import pytest
from rich.console import Console

from stepladder.cli.data import show_audit


def shown(audit, width: int, *, terminal: bool = True) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=terminal, highlight=False)
    console.soft_wrap = not terminal
    show_audit(console, audit)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_digits(digits_audit, check_golden):
    check_golden("audit_digits.txt", shown(digits_audit, 80))


def test_trouble(make_troubled, check_golden):
    check_golden("audit_trouble.txt", shown(make_troubled(), 80))


@pytest.mark.parametrize("width", [60, 80])
def test_a_terminal_is_not_overrun(make_troubled, width):
    audit = make_troubled(("[bold]a name of many words[/bold]" * 3, "one"))
    text = shown(audit, width)
    assert max(map(len, text.splitlines())) <= width
    # A name is never read as markup, neither in a sentence nor in a table.
    assert "'[bold]a" in text
    assert "\n[bold]a" in text


def test_a_pipe_gets_whole_sentences(make_troubled):
    text = shown(make_troubled(), 80, terminal=False)
    assert "The test images are not clean: 4 of them (16.7%) have a copy in train. A study with --drop-leaks" in text
    assert "\x1b" not in text
