"""What the name of a column says: the names that people use for variants, seeds, epochs and scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from stepladder.errors import some_of
from stepladder.studies.scores.tables import ScoreTable, is_missing, number_of

#: What a column is called that says which of the compared things a run is of, in order of how sure the name is.
VARIANTS = (
    "rung", "variant", "method", "arm", "condition", "technique", "config", "configuration", "recipe", "setting",
    "algorithm", "approach", "model", "optimizer", "loss_function", "experiment", "group", "name", "run_name", "run",
)  # fmt: skip
SEEDS = (
    "seed", "random_seed", "random_state", "rng_seed", "global_seed", "fold", "split_seed", "repeat", "repetition",
    "replicate", "rep", "trial_number",
)  # fmt: skip
EPOCHS = ("epoch", "epochs", "step", "global_step", "iteration", "iter", "_step", "trainer/global_step")
BLOCKS = ("dataset", "data_set", "benchmark", "task", "corpus", "block", "env", "environment", "data")

#: Parts of a name that say what a figure is; the first group are shares, of which more is better.
_SHARES = (
    "accuracy", "acc", "f1", "auc", "auroc", "recall", "precision", "iou", "miou", "dice", "map", "ap", "map50", "top1",
    "top5", "hit", "jaccard", "sensitivity", "specificity", "success", "exact_match", "em",
)  # fmt: skip
_HIGHER = (
    "score",
    "reward",
    "return",
    "bleu",
    "rouge",
    "psnr",
    "ssim",
    "r2",
    "kappa",
    "mcc",
    "correlation",
    "elo",
    "map50-95",
)
_LOWER = (
    "loss", "error", "err", "nll", "rmse", "mae", "mse", "perplexity", "ppl", "wer", "cer", "fid", "latency", "time",
    "seconds", "ece", "brier", "bpb", "bits", "cost", "regret", "eer",
)  # fmt: skip

#: Numbers that are no scores.
NO_SCORES = (
    "lr", "learning_rate", "batch_size", "wd", "momentum", "timestamp", "date", "index", "grad_norm", "samples",
    "runtime", "images_per_second", "memory", "temperature", "selected_epoch", "params", "macs", "size",
    "total_flos", "time", "n", "seconds", "duration", "steps_per_second", "samples_per_second",
)  # fmt: skip

Unit = Literal["percent", "fraction", "number"]
Select = Literal["last", "best-val"]
SELECTS = ("last", "best-val")

#: Which images a score is of, the likeliest to be judged first.
TEST, UNKNOWN, VALIDATION, TRAINING = range(4)
VALIDATION_WORDS, TRAINING_WORDS = {"val", "valid", "validation", "eval", "dev"}, {"train", "training"}


@dataclass(frozen=True)
class ScoreColumns:
    """Which columns hold what; None where it is to be found.

    Attributes:
        variant: what is compared, one value a rung; several as ``lr,batch_size``.
        seed: what pairs runs of different rungs.
        metric: the score that is judged.
        validation: the score that may choose: an epoch, and a rung.
        block: the data set, where there are several.
        epoch: of several rows a run.
        unit: ``percent``, ``fraction`` or ``number``.
        lower_is_better: whether less of the score is good.
        select: of several epochs, the ``last``, or ``best-val``, the one that is best by ``validation``.
    """

    variant: str | None = None
    seed: str | None = None
    metric: str | None = None
    validation: str | None = None
    block: str | None = None
    epoch: str | None = None
    unit: Unit | None = None
    lower_is_better: bool | None = None
    select: Select = "last"


def key_of(name: str) -> str:
    """Return a column's name without what trackers put before it: ``config.seed``, ``params.seed``, ``summary.acc``."""
    name = re.sub(r"^(config|summary|params?|hparams?|hyperparameters|tags)[./]", "", name.strip().lower())
    return re.sub(r"[\s\-]+", "_", name)


def parts_of(name: str) -> tuple[str, ...]:
    """Return a column's name and the words in it, in lower case."""
    return (key_of(name), *re.split(r"[^a-z0-9]+", name.lower()))


def split_of(table: ScoreTable, column: str, epoch: str | None) -> int:
    """Return which images a score is of, by its name and by what stands beside it."""
    parts = set(parts_of(column))
    if parts & TRAINING_WORDS:
        return TRAINING
    if "test" in parts:
        return TEST
    if parts & VALIDATION_WORDS:
        return VALIDATION
    if column.strip().startswith("metrics/"):  # Ultralytics measures these on validation images
        return VALIDATION
    # In a log of epochs, as Keras writes it, accuracy beside val_accuracy is that of training.
    logged = epoch is not None and any(
        set(parts_of(other)) & VALIDATION_WORDS and is_same_score(column, other) for other in table.columns
    )
    return TRAINING if logged else UNKNOWN


def rank_of(column: str) -> int | None:
    """Return how likely a column is a score by its name, less being likelier; None where that says nothing."""
    parts = set(parts_of(column))
    return next((place for place, names in enumerate((_SHARES, _HIGHER, _LOWER)) if parts & set(names)), None)


def is_same_score(metric: str, validation: str) -> bool:
    """Whether two columns hold the same score of different images, so that one may choose for the other."""
    splits = VALIDATION_WORDS | TRAINING_WORDS | {"test"}
    one, other = (
        [part for part in re.split(r"[^a-z0-9]+", name.lower()) if part not in splits] for name in (metric, validation)
    )
    return one == other


def is_share(metric: str) -> bool:
    """Whether a score is a share by its name, as accuracy is."""
    return bool(set(parts_of(metric)) & set(_SHARES)) or "%" in metric


def is_lower(metric: str) -> bool:
    """Whether less of a score is good by its name, as of a loss."""
    parts = set(parts_of(metric))
    return bool(parts & set(_LOWER)) and not parts & set(_SHARES)


def find_by_name(table: ScoreTable, names: Sequence[str], but: Sequence[str | None] = ()) -> str | None:
    """Return the column that has the first of these names that any has, but for some columns; None without one."""
    for name in names:
        for column in table.columns:
            if key_of(column) == name and column not in but:
                return column
    return None


def find_text_by_name(table: ScoreTable, names: Sequence[str], but: Sequence[str | None] = ()) -> str | None:
    """Return the same, where the column holds words and not numbers."""
    found = find_by_name(table, names, but)
    return found if found is not None and not is_numeric(table, found) else None


def is_numeric(table: ScoreTable, column: str) -> bool:
    """Whether all that a column holds are numbers."""
    filled = [value for value in table.values(column) if not is_missing(value)]
    return bool(filled) and all(number_of(value) is not None for value in filled)


def words_in(table: ScoreTable, column: str) -> list[str]:
    """Return what the cells of a column say, whole numbers as such."""
    return [_word(value) for value in table.values(column)]


def _word(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip().removesuffix(".0")


def listed(names: Iterable[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    return some_of([str(name) for name in names])
