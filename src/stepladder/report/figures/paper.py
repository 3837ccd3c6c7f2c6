"""The figures of a report for a paper: as wide as its column, in its type, as PDF, SVG or PNG.

They are the figures of the report, drawn by the same functions on a narrower sheet, without title and facts: those
stand in the caption. Layout and type keep their proportion, so a figure is drawn where text has the size that the
screen has, and then made smaller or larger as a whole.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from matplotlib import font_manager, rcParams
from matplotlib.artist import Artist
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_pdf import Op, PdfFile, RendererPdf
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from stepladder.errors import RecipeError, unknown
from stepladder.errors import printable as as_shown
from stepladder.report.figures.style import BASE_SIZE, Sheet, house_style, on_sheet, to_png, to_svg
from stepladder.report.section import Picture, Section

F = TypeVar("F")

#: Inches of the units that a width may be given in.
_UNITS = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54, "pt": 1 / 72.27}
#: What "serif" and the like stand for: families that come with matplotlib, so every machine draws the same. STIX is cut
#: to go with Times, which most papers are set in.
_FAMILIES = {
    "sans": "DejaVu Sans",
    "sans-serif": "DejaVu Sans",
    "serif": "STIXGeneral",
    "monospace": "DejaVu Sans Mono",
}
FORMATS = ("pdf", "svg", "png")
#: A sheet narrower than this has no room for the figures in words at the right of a plot; inches.
_ROOM_FOR_WORDS = 7.0
_NARROWEST_AXES = 0.9  # inches
_DPI = 300


@dataclass(frozen=True)
class PaperStyle:
    """What a paper asks of its figures.

    Attributes:
        width: of a figure, with its unit: "3.3in", "85mm", "8.5cm" or TeX's points, "240pt".
        font_size: of most of the text, in points.
        font: "serif", "sans", "monospace", or the name of a family that is installed.
        formats: of :data:`FORMATS`, each once.
    """

    width: str = "3.3in"
    font_size: float = 8.0
    font: str = "sans"
    formats: tuple[str, ...] = ("pdf",)

    @property
    def inches(self) -> float:
        """The width in inches.

        Raises:
            RecipeError: it is no length, or none of a figure.
        """
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(in|mm|cm|pt)\s*", self.width)
        inches = float(found[1]) * _UNITS[found[2]] if found else 0.0
        if not 1 <= inches <= 20:
            raise RecipeError(
                f"`width` is {as_shown(self.width)!r}; give a number with its unit (in, mm, cm or pt), from 1 to 20 "
                "inches, as 3.3in or 85mm"
            )
        return inches

    @property
    def fonts(self) -> tuple[str, ...]:
        """The families that letters are looked for in, the asked one first.

        Raises:
            RecipeError: there is no such family here.
        """
        family = _FAMILIES.get(self.font.lower(), self.font)
        try:
            font_manager.findfont(family, fallback_to_default=False)
        except ValueError as error:
            raise RecipeError(
                f"`font` is {as_shown(self.font)!r}, which is not installed here; give serif, sans, monospace, or a "
                "family that is installed"
            ) from error
        return tuple(dict.fromkeys((family, "DejaVu Sans")))

    def check(self) -> None:
        """Refuse what no figure can have.

        Raises:
            RecipeError: a width, size, font or format that cannot be.
        """
        _ = (self.inches, self.fonts)
        if not 4 <= self.font_size <= 24:
            raise RecipeError(f"`font_size` is {self.font_size:g}; it must be 4 to 24 points")
        if not self.formats:
            raise RecipeError(f"`formats` is empty; give one or more of: {', '.join(FORMATS)}")
        for name in self.formats:
            if name not in FORMATS:
                raise RecipeError(unknown("format of a figure", name, FORMATS))


@dataclass(frozen=True)
class PaperFigure:
    """A figure as it was drawn for a paper.

    Attributes:
        name: of its files, without their ending.
        alt: what it shows, in words.
        width, height: as it comes out, in inches.
        font_size: of most of its text as it comes out, in points; smaller than asked for where it had no room.
        files: its bytes by format.
    """

    name: str
    alt: str
    width: float
    height: float
    font_size: float
    files: dict[str, bytes]


def paper_figures(findings: F, sections: Iterable[Section[F]], style: PaperStyle) -> Iterator[PaperFigure]:
    """Draw each figure of a report's sections for a paper.

    Raises:
        RecipeError: the style is none that figures can have.
    """
    style.check()
    for section in sections:
        for picture in section.pictures(findings) if section.applies(findings) else ():
            yield draw_for_paper(picture, style)


def draw_for_paper(picture: Picture, style: PaperStyle) -> PaperFigure:
    """Draw one figure as wide as asked for.

    Its text has the size asked for where that leaves room for what is drawn. Long names may not; then the figure is
    drawn on a wider sheet and made smaller, its text with it.
    """
    width, fonts = style.inches * BASE_SIZE / style.font_size, style.fonts
    while True:
        with on_sheet(sheet := Sheet(width, fonts)):
            figure = picture.draw(compact=width < _ROOM_FOR_WORDS)
            fits = _fits(figure)
        if fits or width > 40:
            break
        width *= 1.06
    across, high = (float(each) for each in figure.get_size_inches())
    scale = min(style.font_size / BASE_SIZE, style.inches / across)
    with on_sheet(sheet):
        files = {name: _written(figure, name, scale) for name in dict.fromkeys(style.formats)}
    return PaperFigure(picture.name, picture.alt, scale * across, scale * high, scale * BASE_SIZE, files)


def _fits(figure: Figure) -> bool:
    """Whether no text leaves the figure at its sides, no label of an axis touches the next, and plots have room."""
    with house_style():
        figure.draw_without_rendering()
        edge = figure.bbox.width + 0.5
        legend = [box.get_window_extent() for box in figure.findobj(Legend)]
        shown: list[Artist] = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
        boxes = [text.get_window_extent() for text in shown if isinstance(text, Text) and text.get_text().strip()]
        panels = [axes.get_position().width * figure.get_figwidth() for axes in figure.axes]
        ticks = [_apart(axes.get_xticklabels()) for axes in figure.axes]
    inside = all(box.x0 >= -0.5 and box.x1 <= edge for box in [*boxes, *legend])
    return inside and all(ticks) and min(panels, default=_NARROWEST_AXES) >= _NARROWEST_AXES


def _apart(labels: Iterable[Text]) -> bool:
    boxes = sorted(
        (label.get_window_extent() for label in labels if label.get_visible() and label.get_text()), key=lambda b: b.x0
    )
    return all(one.x1 <= other.x0 + 0.5 for one, other in pairwise(boxes))


def _written(figure: Figure, name: str, scale: float) -> bytes:
    if name == "png":
        return to_png(figure, round(_DPI * scale), printed_dpi=_DPI)
    return to_pdf(figure, scale) if name == "pdf" else _resized(to_svg(figure), scale)


def _resized(svg: bytes, scale: float) -> bytes:
    """Change the size that an SVG is shown in, and nothing of what is drawn."""

    def resize(found: re.Match[bytes]) -> bytes:
        return found[1] + f"{scale * float(found[2]):.6g}".encode() + found[3]

    head, mark, rest = svg.partition(b"viewBox")
    tail, end, body = rest.partition(b">")
    sized = re.compile(rb'((?:width|height)=")([0-9.]+)(pt")')
    return sized.sub(resize, head) + mark + sized.sub(resize, tail) + end + body


class _ScaledPdf(PdfFile):
    """A PDF whose pages are drawn in one size and come out in another, by a transformation before all else."""

    def __init__(self, file: io.BytesIO, scale: float) -> None:
        self.scale = scale  # before the file is begun
        nothing = {"Creator": None, "Producer": None, "CreationDate": None}  # the same bytes on any day
        super().__init__(file, metadata=nothing)  # type: ignore[no-untyped-call]

    def newPage(self, width: float, height: float) -> None:  # noqa: N802 (matplotlib's name)
        super().newPage(self.scale * width, self.scale * height)  # type: ignore[no-untyped-call]
        self.width, self.height = width, height  # what is drawn is cut to these
        self.output(self.scale, 0, 0, self.scale, 0, 0, Op.concat_matrix)  # type: ignore[no-untyped-call]


def to_pdf(figure: Figure, scale: float = 1.0) -> bytes:
    """Return the figure as PDF, the same bytes every time, ``scale`` times as large as it was drawn.

    Fonts are embedded as TrueType (Type 42), which publishers take, and text stays text: it can be searched and copied.
    """
    # savefig writes a PDF in the size that the figure has, and knows no scale; these are the parts that it is made of.
    stream = io.BytesIO()
    width, height = figure.get_size_inches()
    before = figure.dpi
    with house_style():
        rcParams["pdf.fonttype"] = 42
        for text in figure.findobj(Text):
            text.set_text(as_shown(text.get_text()))
        figure.dpi = 72  # a PDF's points
        try:
            file: Any = _ScaledPdf(stream, scale)
            file.newPage(width, height)
            inner: Any = RendererPdf(file, 72, height, width)
            renderer: Any = MixedModeRenderer(figure, width, height, 72, inner)
            figure.draw(renderer)
            renderer.finalize()
            file.finalize()
            file.close()
        finally:
            figure.dpi = before
    return stream.getvalue()
