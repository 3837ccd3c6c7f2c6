"""A bag of words alone, in a table, words and plain values; beside a study's rungs it is a row of the ladder."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.units import duration, hundredths, listing, mean_and_spread, percent
from stepladder.studies.files.bag_files import BAG_NAME, BagResult, SavedBag


def terminal_bag(found: SavedBag) -> Table:
    """Return the seeds as a table for a terminal of 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    heads = ("seed", "test\n%", "macro F1\n%", "train\n%", "val\n%", "C", "words", "time", "processor\ntime")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for result in found.results:
        scores = (result.test_accuracy, result.test_macro_f1, result.train_accuracy, result.val_accuracy)
        cells = [str(result.seed), *map(hundredths, scores), f"{result.cost:g}", f"{result.words:,}"]
        table.add_row(*map(Text, [*cells, duration(result.seconds), duration(result.cpu_seconds)]))
    return table


def describe_bag_alone(found: SavedBag) -> list[str]:
    """Return what it says, in sentences."""
    record, results = found.record, found.results
    scores = [result.test_accuracy for result in results if result.test_accuracy is not None]
    parts = [f"{size:,} {_PARTS[name]}" for name, size in _largest(results).parameters.items()]
    sentences = [f"Learned from the training images: {found.parameters:,} numbers ({listing(parts)})."]
    if len(scores) > 1:
        spread = f"{mean_and_spread(fmean(scores), stdev(scores))} % (sd, n = {len(scores)})"
        sentences.insert(0, f"Test accuracy {spread}, over vocabularies drawn with different seeds.")
    elif scores:
        sentences.insert(0, f"Test accuracy {percent(scores[0])} (one seed; three seeds show the spread).")
    sentences += dict.fromkeys(note for result in results for note in result.notes)
    sentences += record.data.notes
    return sentences


def bag_document(found: SavedBag) -> dict[str, Any]:
    """Return it as plain values; accuracies are fractions of 1."""
    return {
        "folder": str(found.folder),
        "name": BAG_NAME,
        "record": found.record.model_dump(mode="json"),
        "parameters": found.parameters,
        "seeds": [result.model_dump(mode="json") for result in found.results],
    }


_PARTS = {
    "whitening": "to whiten patches",
    "vocabulary": "in the vocabulary",
    "scaling": "to scale features",
    "svm": "in the SVM",
}


def _largest(results: Sequence[BagResult]) -> BagResult:
    return max(results, key=lambda result: sum(result.parameters.values()))
