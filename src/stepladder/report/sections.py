"""The report's parts in their order, the same for Markdown and HTML: which figures and tables stand where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from stepladder.report.effect_tables import difference_table, effect_table, model_table, verdict_word
from stepladder.report.figures import draw_curves, draw_forest, draw_interactions, draw_ladder, draw_shapley
from stepladder.report.tables import rung_table, scale_of, score_table
from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED
from stepladder.report.words import describe_curves, describe_ladder
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.diagnosis import diagnose
from stepladder.study.judging.statistics import Effect, weigh_effects


@dataclass(frozen=True)
class Picture:
    """A figure: its file's name, what draws it, and what it shows for those who cannot see it."""

    name: str
    draw: Callable[..., Figure]
    alt: str


@dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        key: a word for links, unique in the page.
    """

    key: str
    title: str
    pictures: tuple[Picture, ...] = ()
    tables: tuple[TextTable, ...] = ()


def report_sections(study: SavedStudy) -> tuple[Section, ...]:
    """Return the parts between the first sentences and the failed trials."""
    effects = weigh_effects(study)
    parts = []
    if effects:
        forest = Picture("forest", draw_forest, _describe_effects("Forest plot of the effects", study, effects, False))
        parts.append(Section("verdicts", "The verdicts", (forest,), (effect_table(study),)))
    if any(effect.design == "shapley" for effect in effects):
        pictures = [
            Picture("shapley", draw_shapley, _describe_effects("Bars of the Shapley values", study, effects, False))
        ]
        if any(effect.is_interaction for effect in effects):
            alt = _describe_effects("Matrix of the interactions", study, effects, True)
            pictures.append(Picture("interactions", draw_interactions, alt))
        parts.append(Section("factorial", "Who gets the gain, and which techniques interact", tuple(pictures)))
    parts.append(
        Section("rungs", "The rungs", (Picture("ladder", draw_ladder, describe_ladder(study)),), (rung_table(study),))
    )
    parts.append(Section("curves", "Curves", (Picture("curves", draw_curves, describe_curves(study)),)))
    diagnosis = diagnosis_table(study)
    if diagnosis.rows:
        parts.append(Section("diagnosis", "What the curves show", (), (diagnosis,)))
    if effects:
        parts.append(Section("differences", "Every paired difference", (), (difference_table(study),)))
    if study.trials and not study.unread:
        parts.append(Section("scores", "Every metric on the test images", (), (score_table(study),)))
        models = model_table(study)
        if models is not None:
            parts.append(Section("models", "Model against model", (), (models,)))
    return tuple(parts)


def diagnosis_table(study: SavedStudy) -> TextTable:
    """Return what the curves of each rung show, a row a finding."""
    rows = [
        (diagnosis.rung, finding.name, finding.evidence, finding.experiment or UNDEFINED)
        for diagnosis in diagnose(study)
        for finding in diagnosis.findings
    ]
    return TextTable(
        caption=(
            "By fixed rules on the mean curves over the finished seeds, in evaluation mode on plain images; "
            "docs/statistics.md has the rules. They describe, and choose nothing."
        ),
        header=("rung", "finding", "evidence", "worth trying next"),
        rows=tuple(rows),
        text_columns=4,
    )


def _describe_effects(what: str, study: SavedStudy, effects: tuple[Effect, ...], interactions: bool) -> str:
    scale = scale_of(study)
    each = [
        f"{effect.name} {scale.difference(effect.mean)} {scale.interval(effect.interval)}, {verdict_word(effect)}"
        for effect in effects
        if effect.is_interaction == interactions
    ]
    return f"{what}, in {scale.step}: {'; '.join(each)}."
