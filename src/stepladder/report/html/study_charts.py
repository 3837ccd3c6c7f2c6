"""The numbers behind the page's charts of a whole study: ladder, effects and curves, as plain values for JSON.

Shares are in percent here, as the axes are; losses in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepladder.report.curve_data import loss_ceiling, mean_curve, watched_prefix
from stepladder.report.effect_tables import QUESTIONS, verdict_word
from stepladder.report.html.marks import SYMBOLS, kind_of
from stepladder.report.tables import scale_of, techniques_of
from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED, Scale, count, hundredths
from stepladder.study.design.metrics import find_metric
from stepladder.study.files.records import SavedStudy, SavedTrial
from stepladder.study.judging.statistics import Effect, paired_interval, summarize_rungs, weigh_effects

#: Rows a rung in the table of the curves; more would be scrolled past.
_ROWS = 11


def ladder_chart(study: SavedStudy) -> dict[str, Any] | None:
    """Return every rung with a value a seed, mean, 95 % t-interval, and the verdict on what it adds.

    None where no rung has a result yet.
    """
    scale, metric = scale_of(study), find_metric(study.record.metric)
    verdicts = {
        effect.rung: effect
        for effect in weigh_effects(study)
        if effect.rung and effect.design in ("ladder", "add-one") and not study.unread
    }
    rungs = []
    for summary in summarize_rungs(study):
        bounds = paired_interval(list(summary.scores.values()))
        effect = verdicts.get(summary.rung)
        seeds = len(study.record.seeds_of(summary.rung))
        waiting = seeds - len(study.of_rung(summary.rung))
        notes = [f"{len(summary.failed)} of {count(seeds, 'seed')} failed"] if summary.failed else []
        notes += [f"{waiting} of {count(seeds, 'seed')} not run yet"] if waiting else []
        rungs.append(
            {
                "name": summary.rung,
                "adds": list(techniques_of(summary)),
                "notes": notes,
                "seeds": list(summary.scores),
                "values": [_scaled(scale, value) for value in summary.scores.values()],
                "mean": _scaled(scale, summary.mean),
                "interval": _pair(scale, bounds),
                "text": scale.spread(summary.mean, summary.sd),
                **_verdict(scale, effect),
            }
        )
    if all(rung["mean"] is None for rung in rungs):
        return None
    return {"rungs": rungs, "axis": f"{metric.label}, {scale.unit}", "unit": scale.unit, "share": scale.share}


def effects_chart(study: SavedStudy) -> dict[str, Any] | None:
    """Return every effect but the interactions with its paired differences; None where the plan compares nothing."""
    scale = scale_of(study)
    effects = [effect for effect in weigh_effects(study) if not effect.is_interaction]
    if not any(effect.mean is not None for effect in effects):
        return None
    several = len({effect.design for effect in effects}) > 1
    rows = [
        {
            "name": effect.name,
            "how": QUESTIONS[effect.design] if several else "",
            "seeds": list(effect.differences),
            "values": [_scaled(scale, value) for value in effect.differences.values()],
            "mean": _scaled(scale, effect.mean),
            "interval": _pair(scale, effect.interval),
            **_verdict(scale, effect),
        }
        for effect in effects
    ]
    return {
        "effects": rows,
        "smallest": _scaled(scale, study.record.smallest_effect),
        "axis": f"difference, {scale.step}; right is better",
        "step": scale.step,
    }


def curves_chart(study: SavedStudy) -> dict[str, Any] | None:
    """Return accuracy and loss by epoch of every rung: mean, lowest and highest over seeds, failed trials apart."""
    if not study.trials:
        return None
    prefix = watched_prefix(study)
    ceiling, _ = loss_ceiling(study)
    rungs = []
    for summary in summarize_rungs(study):
        trials = study.of_rung(summary.rung)
        finished = [trial for trial in trials if trial.result.status == "finished"]
        seeds = len(study.record.seeds_of(summary.rung))
        failed = [trial for trial in trials if trial.result.status == "failed"]
        note = "" if len(finished) == seeds else f"{len(finished)} of {count(seeds, 'seed')} finished"
        rungs.append(
            {
                "name": summary.rung,
                "note": note,
                "n": len(finished),
                "train": _both(finished, "train"),
                "other": _both(finished, prefix),
                "failed": [
                    {"seed": one.seed, "train": _both([one], "train"), "other": _both([one], prefix)} for one in failed
                ],
            }
        )
    epochs = max((row.epoch for trial in study.trials for row in trial.history), default=1)
    return {
        "rungs": rungs,
        "other": "test" if prefix == "test" else "validation",
        "ceiling": round(ceiling, 4),
        "epochs": max(epochs, 1),
    }


def curve_table(study: SavedStudy) -> TextTable:
    """Return the mean curves as a table, some epochs a rung, for those who cannot see or touch them."""
    other = "test" if watched_prefix(study) == "test" else "validation"
    rows = []
    for rung in study.record.rungs:
        finished = [trial for trial in study.of_rung(rung.name) if trial.result.status == "finished"]
        columns = [
            mean_curve(finished, f"{split}_{measure}")
            for measure in ("accuracy", "loss")
            for split in ("train", watched_prefix(study))
        ]
        epochs = columns[0].epochs
        for place in _spread(len(epochs)):
            cells = [dict(zip(curve.epochs, curve.mean, strict=True)).get(epochs[place]) for curve in columns]
            shares = [hundredths(cell) for cell in cells[:2]]
            losses = [UNDEFINED if cell is None else f"{cell:.4f}" for cell in cells[2:]]
            rows.append((rung.name, str(epochs[place]), *shares, *losses))
    return TextTable(
        caption="Means over the finished seeds, some of the epochs; history.csv in each trial's folder has all.",
        header=("rung", "epoch", "train, %", f"{other}, %", "train loss, nats", f"{other} loss, nats"),
        rows=tuple(rows),
        text_columns=1,
    )


def _spread(length: int) -> list[int]:
    """Return positions spread evenly, the first and the last among them."""
    if length <= _ROWS:
        return list(range(length))
    return [round(step * (length - 1) / (_ROWS - 1)) for step in range(_ROWS)]


def _both(trials: Sequence[SavedTrial], prefix: str) -> dict[str, Any]:
    curves = {}
    for measure, factor, digits in (("accuracy", 100, 2), ("loss", 1, 4)):
        curve = mean_curve(trials, f"{prefix}_{measure}")
        curves[measure] = {
            "x": curve.epochs,
            "mean": [round(factor * value, digits) for value in curve.mean],
            "low": [round(factor * value, digits) for value in curve.low],
            "high": [round(factor * value, digits) for value in curve.high],
        }
    return curves


def _verdict(scale: Scale, effect: Effect | None) -> dict[str, Any]:
    """Return the verdict's kind, symbol, word and figures; of a rung that nothing is said of, empty ones."""
    if effect is None:
        return {"kind": "none", "symbol": "", "word": "", "figures": ""}
    figures = f"{scale.difference(effect.mean)} {scale.step}"
    figures += f" {scale.interval(effect.interval)}" if effect.interval else ""
    kind = kind_of(effect)
    return {"kind": kind, "symbol": SYMBOLS[kind], "word": verdict_word(effect), "figures": figures}


def _scaled(scale: Scale, value: float | None) -> float | None:
    return None if value is None else round(100 * value if scale.share else value, 4)


def _pair(scale: Scale, bounds: tuple[float, float] | None) -> list[float | None] | None:
    return None if bounds is None else [_scaled(scale, bounds[0]), _scaled(scale, bounds[1])]
