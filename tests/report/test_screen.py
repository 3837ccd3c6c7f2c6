"""What reaches a terminal is what a reader sees; only our own colors command it."""

from __future__ import annotations

from io import StringIO

from rich.table import Table
from rich.text import Text

from stepladder.report.screen import Screen

ODD, SHOWN = "cat\x1b[2J\x9b\u202e\udce9", r"cat\x1b[2J\x9b\u202e\udce9"


def test_names_command_nothing_wherever_they_stand() -> None:
    file = StringIO()
    screen = Screen(file=file, force_terminal=True, color_system="truecolor", width=100)
    table = Table(ODD)
    table.add_row(Text(ODD, style="red"))
    with screen.status(ODD):
        screen.print(ODD, style="bold", markup=False)
        screen.print(table)
        screen.log(ODD)
    said = file.getvalue()
    assert said.count(SHOWN) >= 4
    assert "\x1b[1m" in said  # bold is ours
    assert "\x1b[2J" not in said
    assert not set("\x9b\u202e\udce9") & set(said)
