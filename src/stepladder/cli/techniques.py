"""What ``stepladder techniques show`` and ``new`` write: a sheet, a template."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from stepladder.cli.data_options import Data
from stepladder.cli.groups import FIRST
from stepladder.datasets import load_image_set
from stepladder.errors import RecipeError
from stepladder.files import replace_bytes
from stepladder.recipe import TechniqueSetting, read_value
from stepladder.report.figures.style import to_png
from stepladder.report.figures.technique_sheet import draw_sheet
from stepladder.report.screen import Screen
from stepladder.techniques import register
from stepladder.techniques.template import write_template


def show(
    name: Annotated[str, Parameter(group=FIRST, help="A technique, or FILE.py:Class of one of your own.")],
    *,
    data: Data = "digits",
    settings: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set", group=FIRST, negative="", show_default=False, help="An option of the technique: degrees=45."
        ),
    ] = (),
    limit: Annotated[int | None, Parameter(group=FIRST, help="Use only the first N images a class.")] = None,
    out: Annotated[Path | None, Parameter(group=FIRST, help="The picture to write; <name>.png by default.")] = None,
) -> None:
    """Draw what a technique does to images, before and after, with their targets; or to the learning rate."""
    found = register(name)
    table: dict[str, Any] = {"name": found.name}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set {setting} has no value; write it as --set {key}=VALUE")
        table[key.strip().removeprefix(f"{found.name}.")] = read_value(value.strip())
    technique = TechniqueSetting.model_validate(table).make()
    path = out or Path(f"{found.name}.png")
    replace_bytes(path, to_png(draw_sheet(technique, load_image_set(data, limit=limit))))
    Screen(highlight=False).print(f"Sheet: {path}", markup=False)


def new(
    name: Annotated[str, Parameter(help="The class, as Blur.")],
    *,
    out: Annotated[Path, Parameter(help="The folder to write into.")] = Path(),
) -> None:
    """Write <name>.py with a technique that works, and test_<name>.py, to start from."""
    file, test = write_template(name, out)
    console = Screen(highlight=False)
    console.print(
        f"Wrote {file} and {test}. Try them:\n  python -m pytest {test}\n  stepladder techniques show {file}:{name}\n"
        f"  stepladder study digits --technique {file}:{name}",
        markup=False,
        soft_wrap=True,  # commands to copy must stay one line
    )
