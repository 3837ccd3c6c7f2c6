"""``report.html``: one file that answers, and asks for nothing from anywhere."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from matplotlib.figure import Figure

from stepladder.report.effect_tables import difference_table, effect_table, model_table
from stepladder.report.facts import cautions, failures, platform, protocol
from stepladder.report.figures import to_svg
from stepladder.report.figures.network import draw_network
from stepladder.report.html import model_charts, study_charts
from stepladder.report.html.gallery_view import view_gallery
from stepladder.report.html.marks import SYMBOLS, verdict_marks
from stepladder.report.html.network_view import NetworkView, view_network
from stepladder.report.html.scripts import as_json, content_policy, page_script, plotly_script
from stepladder.report.sections import Picture, diagnosis_table, report_sections
from stepladder.report.tables import rung_table, score_table
from stepladder.report.text_table import TextTable
from stepladder.report.units import count
from stepladder.report.words import describe, describe_curves, describe_ladder, limits
from stepladder.study.files.gallery import read_gallery
from stepladder.study.files.recommended import find_shown_model
from stepladder.study.files.records import SavedStudy

_TEMPLATES = Path(__file__).parent.parent / "templates"


def render_html(study: SavedStudy) -> str:
    """Return the report as one HTML file that needs no other: style, scripts, figures and images are in it.

    An unfinished study has a page too, which says how far it is; parts that its files do not tell are named, each with
    the reason.

    Raises:
        StorageError: a saved file is damaged.
    """
    limiting, sentences = limits(study), describe(study)
    shown = find_shown_model(study)
    results = model_charts.read_results(study, shown.trial) if shown else None
    gallery = read_gallery(study.folder) if results and not study.unread else None
    if gallery is not None and shown is not None and gallery.trial != shown.trial.result.trial:
        gallery = None  # of a model that more seeds have replaced
    network = _network(study, shown.trial.rung if shown else None, shown.trial.folder / "model" if shown else None)
    charts = {
        "ladder": study_charts.ladder_chart(study),
        "effects": study_charts.effects_chart(study) if not study.unread else None,
        "curves": study_charts.curves_chart(study),
        "confusion": model_charts.confusion_chart(results) if results else None,
        "classes": model_charts.classes_chart(results) if results else None,
        "calibration": model_charts.calibration_chart(results) if results else None,
    }
    ended, planned = len(study.trials), study.record.planned_trials
    return _template().render(
        study=study,
        record=study.record,
        data=study.record.data,
        policy=content_policy(),
        plotly=plotly_script(),
        script=page_script(),
        style="\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "page.css")),
        charts=as_json(charts),
        drawn={name for name, chart in charts.items() if chart is not None},
        progress=f"{ended} of {count(planned, 'trial')} {'has' if ended == 1 else 'have'} ended",
        limits=limiting,
        sentences=sentences[len(limiting) :],
        marks=verdict_marks(study),
        symbols=SYMBOLS,
        alts={"ladder": describe_ladder(study), "curves": describe_curves(study)},
        sections={section.key: section for section in report_sections(study)},
        tables=_tables(study),
        embed=lambda picture: _embed(study, picture),
        diagnosis=diagnosis_table(study),
        shown=shown,
        results=results,
        model=model_charts,
        scores=shown.trial.result if shown else None,
        gallery=view_gallery(gallery, study.record.data.class_names) if gallery else None,
        network=network,
        network_picture=_network_picture(network) if network else None,
        failures=failures(study),
        cautions=cautions(study),
        splits=", ".join(f"{images:,} {split}" for split, images in study.record.data.counts.items() if images),
        protocol=protocol(study),
        platform=platform(study),
    )


def pick(table: TextTable, heads: tuple[str, ...], caption: str) -> TextTable:
    """Return some columns of a table in the given order; a head stands for the columns that begin with it."""
    chosen = [place for head in heads for place, name in enumerate(table.header) if name.startswith(head)]
    return TextTable(
        caption=caption,
        header=tuple(table.header[place] for place in chosen),
        rows=tuple(tuple(row[place] for place in chosen) for row in table.rows),
        text_columns=sum(place < table.text_columns for place in chosen),
    )


def _tables(study: SavedStudy) -> dict[str, TextTable | None]:
    effects = effect_table(study)
    several = len({row[1] for row in effects.rows}) > 1
    how = ("how",) if several else ()
    read = bool(study.trials) and not study.unread
    seeds = study.record.seeds if len(study.record.seeds) > 1 else ()
    return {
        "rungs": rung_table(study),
        "curves": study_charts.curve_table(study),
        "verdicts": pick(
            effects,
            ("technique", *how, "verdict", "mean", "interval", "p", "n", "seeds to decide"),
            "Plus is better. How to read it: below, under more figures.",
        ),
        "more": pick(
            effects,
            ("technique", *how, "difference of", "correlation", "detectable", "other test images"),
            effects.caption,
        ),
        "differences": difference_table(study) if read and seeds else None,
        "scores": score_table(study) if read else None,
        "models": model_table(study) if read else None,
    }


def _network(study: SavedStudy, rung: str | None, model: Path | None) -> NetworkView | None:
    return view_network(study, rung, None if model is None else str(model))


@lru_cache
def _template() -> Template:
    environment = Environment(
        # Explicit, as select_autoescape judges by the file's ending and would not escape in a ".j2".
        autoescape=True,
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment.get_template("report.html.j2")


def _unbroken(sentence: str) -> str:
    """Keep a figure with its unit, and an interval with its other end, on one line."""
    return re.sub(r"\[[^]]*\]|n = \d+|[\d.]+ (%|points)", lambda match: match[0].replace(" ", "\u00a0"), sentence)


class Embedded(NamedTuple):
    """One figure as data URIs, drawn for a wide screen and again for a narrow one, and its size in CSS pixels."""

    wide: str
    narrow: str
    width: int
    height: int


def _embed(study: SavedStudy, picture: Picture) -> Embedded:
    return _embedded(picture.draw(study), picture.draw(study, compact=True))


@lru_cache(maxsize=8)
def _network_picture(view: NetworkView) -> Embedded:
    """Draw the network; once a process, as a study that is running asks again after every trial."""
    figure = draw_network(view.inspection)
    return _embedded(figure, figure)


def _embedded(wide: Figure, narrow: Figure) -> Embedded:
    # As images and not inline: two SVGs of matplotlib share ids, which one document may not.
    width, height = (round(96 * inches) for inches in wide.get_size_inches())
    first = _data_uri(to_svg(wide))
    return Embedded(first, first if narrow is wide else _data_uri(to_svg(narrow)), width, height)


def _data_uri(svg: bytes) -> Any:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"
