"""A verdict's symbol and word, so that no verdict is told by color alone."""

from __future__ import annotations

from dataclasses import dataclass

from stepladder.report.effect_tables import QUESTIONS, verdict_word
from stepladder.report.tables import scale_of
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.statistics import Effect, weigh_effects

#: Each verdict's sign in text; the charts draw the same shapes.
SYMBOLS = {"helped": "▲", "hurt": "▼", "equivalent": "■", "undecided": "◇", "none": "○"}


@dataclass(frozen=True)
class Mark:
    """One verdict as the page's first lines show it: ``kind`` is a key of :data:`SYMBOLS`."""

    kind: str
    symbol: str
    name: str
    word: str
    figures: str


def kind_of(effect: Effect) -> str:
    """Return which of :data:`SYMBOLS` an effect has."""
    return effect.verdict or "none"


def verdict_marks(study: SavedStudy) -> list[Mark]:
    """Return a mark for every effect but the interactions, in plan order; none before test is read."""
    if study.unread or len(study.record.seeds) == 1:
        return []
    scale = scale_of(study)
    effects = [effect for effect in weigh_effects(study) if not effect.is_interaction]
    several = len({effect.design for effect in effects}) > 1
    marks = []
    for effect in effects:
        if effect.mean is None:
            continue
        figures = f"{scale.difference(effect.mean)} {scale.step}"
        figures += f", {scale.interval(effect.interval)}" if effect.interval else ""
        name = f"{effect.name} ({QUESTIONS[effect.design]})" if several else effect.name
        marks.append(Mark(kind_of(effect), SYMBOLS[kind_of(effect)], name, verdict_word(effect), figures))
    return marks
