"""The baseline without a network, in tables and words: beside a study's rungs, and alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev, variance
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text
from scipy.stats import t

from stepladder.report.units import (
    UNDEFINED,
    duration,
    hundredths,
    interval,
    listing,
    mean_and_spread,
    percent,
    points,
)
from stepladder.study.files.baseline_files import BASELINE_NAME, BaselineResult, SavedBaseline, study_baseline
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.statistics import CONFIDENCE

#: Metrics that a machine without probabilities has, and where ``result.json`` keeps them.
_FIELDS = {"accuracy": "test_accuracy", "macro_f1": "test_macro_f1"}


def baseline_cells(study: SavedStudy) -> dict[str, Any] | None:
    """Return a study's baseline as the fields of a ``RungRow``; None where it has none.

    Its test figure is of the plan's metric, and None for those that take probabilities: an SVM has none.
    """
    found = study_baseline(study)
    if found is None:
        return None
    field = _FIELDS.get(study.record.metric)
    scores = _known(getattr(result, field) for result in found.results) if field else []
    return {
        "rung": BASELINE_NAME,
        "techniques": ("no network", f"{found.parameters:,} learned numbers"),
        "n": len(scores),
        "failed": 0,
        "missing": found.record.seeds - len(found.results),
        "test": fmean(scores) if scores else None,
        "test_sd": stdev(scores) if len(scores) > 1 else None,
        "train": fmean(result.train_accuracy for result in found.results),
        "validation": _mean(result.val_accuracy for result in found.results),
        "seconds": fmean(result.seconds for result in found.results),
    }


def describe_baseline(study: SavedStudy) -> list[str]:
    """Return what a study's baseline says, in sentences; nothing where there is none, or test was not read.

    It is no rung and takes part in no verdict. What its seeds decide, the vocabulary, has nothing in common with what
    a network's seeds decide, so the difference is not paired: Welch's interval, without adjustment.
    """
    found = study_baseline(study)
    if found is None or study.record.metric != "accuracy":
        return []
    own = _known(result.test_accuracy for result in found.results)
    rung = study.record.rungs[0].name
    theirs = _known(trial.result.test_accuracy for trial in study.of_rung(rung))
    if not own or not theirs or study.unread:
        return []
    spread = mean_and_spread(fmean(own), stdev(own) if len(own) > 1 else None)
    difference = fmean(theirs) - fmean(own)
    sentence = (
        f"Without a network, a {BASELINE_NAME} ({found.record.settings.descriptor}, linear SVM) has {spread} % test "
        f"accuracy (n = {len(own)}); the first rung, {rung}, differs from it by {points(difference)} points"
    )
    bounds = difference_bounds(theirs, own)
    between = f", {interval(bounds)} by Welch's 95 % interval over seeds" if bounds else ""
    return [f"{sentence}{between}. That stands outside the plan's comparisons and is no verdict."]


def difference_bounds(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """Return Welch's 95 % interval of the difference of two means; None with fewer than two values of either.

    Welch, Biometrika 1947, equation 28. None also where neither's values differ: then nothing is known of their spread.
    Not by scipy's ``ttest_ind``, which warns where the values of one do not differ.
    """
    if min(len(first), len(second)) < 2:
        return None
    parts = [variance(values) / len(values) for values in (first, second)]
    error = sum(parts)
    if error == 0:
        return None
    freedom = error**2 / (parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * sqrt(error)
    middle = fmean(first) - fmean(second)
    return middle - reach, middle + reach


def terminal_baseline(found: SavedBaseline) -> Table:
    """Return a baseline's seeds as a table for a terminal of 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    heads = ("seed", "test\n%", "macro F1\n%", "train\n%", "val\n%", "C", "words", "time", "processor\ntime")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for result in found.results:
        scores = (result.test_accuracy, result.test_macro_f1, result.train_accuracy, result.val_accuracy)
        cells = [str(result.seed), *map(hundredths, scores), f"{result.cost:g}", f"{result.words:,}"]
        table.add_row(*map(Text, [*cells, duration(result.seconds), duration(result.cpu_seconds)]))
    return table


def describe_baseline_alone(found: SavedBaseline) -> list[str]:
    """Return what a baseline says, in sentences."""
    record, results = found.record, found.results
    scores = _known(result.test_accuracy for result in results)
    parts = [f"{size:,} {_PARTS[name]}" for name, size in _largest(results).parameters.items()]
    sentences = [f"Learned from the training images: {found.parameters:,} numbers ({listing(parts)})."]
    if len(scores) > 1:
        spread = f"{mean_and_spread(fmean(scores), stdev(scores))} % (sd, n = {len(scores)})"
        sentences.insert(0, f"Test accuracy {spread}, over vocabularies drawn with different seeds.")
    elif scores:
        sentences.insert(0, f"Test accuracy {percent(scores[0])} (one seed; --seeds 3 shows the spread).")
    sentences += dict.fromkeys(note for result in results for note in result.notes)
    sentences += record.data.notes
    return sentences


def baseline_document(found: SavedBaseline) -> dict[str, Any]:
    """Return a baseline as plain values; accuracies are fractions of 1."""
    return {
        "folder": str(found.folder),
        "name": BASELINE_NAME,
        "baseline": found.record.model_dump(mode="json"),
        "parameters": found.parameters,
        "seeds": [result.model_dump(mode="json") for result in found.results],
    }


def study_baseline_document(study: SavedStudy) -> dict[str, Any] | None:
    """Return the baseline of a study as plain values; None where it has none."""
    found = study_baseline(study)
    return None if found is None else baseline_document(found)


_PARTS = {
    "whitening": "to whiten patches",
    "vocabulary": "in the vocabulary",
    "scaling": "to scale features",
    "svm": "in the SVM",
}


def describe_row(study: SavedStudy) -> str:
    """Return what a table's caption says of the baseline's row; empty where there is none."""
    if study_baseline(study) is None:
        return ""
    return (
        f" The row {BASELINE_NAME} is no network and in no comparison; {UNDEFINED} also marks a metric that needs "
        "probabilities, which it does not have."
    )


def _largest(results: Sequence[BaselineResult]) -> BaselineResult:
    return max(results, key=lambda result: sum(result.parameters.values()))


def _known(values: Any) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Any) -> float | None:
    known = _known(values)
    return fmean(known) if known else None
