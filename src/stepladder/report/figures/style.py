"""Colors, type and files of the figures."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from stepladder.errors import RecipeError
from stepladder.errors import printable as as_shown
from stepladder.files import replace_bytes
from stepladder.studies.judging.verdicts import Verdict

# Okabe and Ito's blue, vermilion and green ("Color Universal Design", 2008). The latter two are darkened: to a
# contrast of 4.5 on white, since end labels of 8 points share the color of their curve, and the green so far that it is
# told from the gray of what is undecided without red cones or green ones (tests/report/test_colors.py). Dashes and
# shapes tell all of them apart in gray.
VALIDATION = "#0072B2"
TRAIN = "#C24E00"
TEST = "#00523C"
INK = "#1A1A1A"
MUTED = "#5A5A5A"
UNDECIDED = "#6E6E6E"
GRID = "#E2E2E2"
ALARM = "#A33B00"
#: Points of a title: as large as fits.
_TITLE_SIZES = (13.0, 11.5, 10.0)
MARGIN = 0.12  # inches left of the title

#: Of the text that most figures are made of; the others stand in proportion to it.
BASE_SIZE = 9.0


@dataclass(frozen=True)
class Sheet:
    """What figures for a paper are drawn on, in place of a screen: without title and facts, which its caption has.

    Attributes:
        width: in inches, where text is of :data:`BASE_SIZE` points.
        fonts: families in the order in which a letter is looked for.
    """

    width: float
    fonts: tuple[str, ...]


#: Set while figures for a paper are drawn. Ambient, as matplotlib's own style is: no section needs to know of it.
_SHEET: ContextVar[Sheet | None] = ContextVar("sheet", default=None)

_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same picture
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a '$' in a name is a dollar
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",  # text stays text: searchable, and set in the reader's font
    "svg.hashsalt": "stepladder",  # without it every file has other ids
}


def verdict_color(verdict: Verdict | None) -> str:
    """Return the color of a verdict; the page has its own, for dark screens too."""
    match verdict:
        case "helped":
            return TEST
        case "hurt":
            return ALARM
        case "equivalent":
            return VALIDATION
        case "undecided":
            return UNDECIDED
        case None:
            return MUTED
        case _:
            assert_never(verdict)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in Stepladder's style, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        if sheet := _SHEET.get():
            matplotlib.rcParams["font.family"] = list(sheet.fonts)
        # A name in a script that DejaVu lacks shows boxes in the PNG and is right in the SVG: no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@contextmanager
def on_sheet(sheet: Sheet) -> Iterator[None]:
    """Draw for a paper what is drawn within."""
    token = _SHEET.set(sheet)
    try:
        yield
    finally:
        _SHEET.reset(token)


def page_width(usual: float) -> float:
    """Return how wide a figure is drawn, in inches: ``usual``, or as the sheet of a paper is."""
    sheet = _SHEET.get()
    return usual if sheet is None else sheet.width


def panel_width(usual: float, panels: int, around: float, beside: float) -> float:
    """Return the width of each of several panels abreast, in inches: ``usual``, or what a paper's sheet leaves it.

    Args:
        around: what stands beside all of them, in inches.
        beside: what stands beside each.
    """
    sheet = _SHEET.get()
    return usual if sheet is None else max(0.8, (sheet.width - around) / panels - beside)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of ``width`` × ``height`` inches with a canvas that measures text."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def text_width(figure: Figure, text: str, size: float, weight: str = "normal") -> float:
    """Return how wide a text comes out, in inches."""
    probe = figure.text(0, 0, as_shown(text), fontsize=size, fontweight=weight)
    extent = probe.get_window_extent()
    probe.remove()
    return float(extent.width) / figure.dpi


def printable(text: str) -> str:
    """Return ``text`` on one line, without what an XML file may not hold or a figure cannot draw."""
    return as_shown(text).replace("\n", " ").replace("\t", " ")


def header_lines(facts: Sequence[str], warnings: Sequence[str], characters: int) -> list[tuple[str, str]]:
    """Return the lines under a figure's title with their colors: the facts in gray, each warning on its own line."""
    if sheet := _SHEET.get():
        facts, characters = (), int(12 * sheet.width)
    # Wrapped between facts, never within one: textwrap does not break at a no-break space.
    text = " · ".join(printable(fact).replace(" ", "\u00a0") for fact in facts)
    lines = [(line, MUTED) for line in textwrap.wrap(text, characters)]
    return lines + [(line, ALARM) for warning in warnings for line in textwrap.wrap(warning, characters)]


def header_height(lines: Sequence[tuple[str, str]]) -> float:
    """Return how far below the figure's top the title and its lines end, in inches."""
    return (0.34 if _SHEET.get() is None else 0.05) + 0.19 * len(lines)


def write_header(figure: Figure, title: str, lines: Sequence[tuple[str, str]]) -> None:
    """Write the title and its lines at the top left; a title too long for the figure gets smaller, then is cut."""
    width, height = figure.get_size_inches()
    x, below = MARGIN / width, header_height([]) + 0.12
    if _SHEET.get() is None:
        title, size = _fitted(figure, title, float(width) - 2 * MARGIN)
        figure.text(x, 1 - 0.22 / height, title, fontsize=size, fontweight="bold", va="center")
    for number, (line, color) in enumerate(lines):
        figure.text(x, 1 - (below + 0.19 * number) / height, line, fontsize=9, color=color, va="center")


def _fitted(figure: Figure, title: str, room: float) -> tuple[str, float]:
    """Return a title that is no wider than ``room`` inches, and its size in points."""
    for size in _TITLE_SIZES:
        if text_width(figure, title, size, "bold") <= room:
            return title, size
    smallest = _TITLE_SIZES[-1]
    while len(title) > 1 and text_width(figure, f"{title}…", smallest, "bold") > room:
        title = title[:-1].rstrip(" ,(")
    return f"{title}…", smallest


def write_beside(
    axes: Axes, level: float, x: float, text: str, color: str = INK, align: str = "right", weight: str = "normal"
) -> None:
    """Write a figure or a word of a row, ``x`` inches right of the axes."""
    axes.annotate(
        text,
        (1, level),
        xycoords=axes.get_yaxis_transform(),
        xytext=(72 * x, 0),
        textcoords="offset points",
        ha=align,
        va="center",
        color=color,
        fontsize=8.5,
        fontweight=weight,
        annotation_clip=False,
    )


def write_legend(figure: Figure, handles: Sequence[Artist], below: float, columns: int, length: float) -> None:
    """Put the legend ``below`` inches under the figure's top: outside every panel, so that it hides no data."""
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(MARGIN / width, 1 - below / height),
        ncols=columns,
        handlelength=length,
        handletextpad=0.6,
        columnspacing=1.6,
        borderpad=0,
        borderaxespad=0,
    )


def to_png(figure: Figure, dpi: int = 160, *, photographs: bool = False, printed_dpi: int | None = None) -> bytes:
    """Return the figure as PNG, the same bytes every time; one with ``photographs`` keeps all its colors.

    Args:
        dpi: pixels an inch that it is drawn with.
        printed_dpi: pixels an inch that it says it is to be printed with, where that is another size.
    """
    image = Image.open(io.BytesIO(_save(figure, format="png", dpi=dpi))).convert("RGB")
    file = io.BytesIO()
    if not photographs:
        # A chart has few colors: a palette takes a third of the bytes and looks the same.
        image = image.quantize(128, dither=Image.Dither.NONE)
    image.save(file, "PNG", optimize=True, dpi=(printed_dpi or dpi,) * 2)
    return file.getvalue()


def to_svg(figure: Figure) -> bytes:
    """Return the figure as SVG, the same bytes every time, fonts as text."""
    return _save(figure, format="svg", metadata={"Date": None, "Creator": None})


def check_picture(path: Path) -> None:
    """Refuse a picture's file that is neither SVG nor PNG by its name.

    Raises:
        RecipeError: another ending.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        raise RecipeError(f"`picture` is {path}; give a name that ends in .svg or .png")


def write_figure(path: Path, figure: Figure) -> None:
    """Write the figure into ``path``, an SVG or PNG file by its name, and make its folder.

    Raises:
        RecipeError: another ending.
        StorageError: the file cannot be written.
    """
    check_picture(path)
    replace_bytes(path, to_svg(figure) if path.suffix.lower() == ".svg" else to_png(figure))


def _save(figure: Figure, **options: Any) -> bytes:
    file = io.BytesIO()
    with house_style():
        for text in figure.findobj(Text):  # a name may hold what neither a font nor an XML file has
            text.set_text(as_shown(text.get_text()))
        figure.savefig(file, **options)
    return file.getvalue()
