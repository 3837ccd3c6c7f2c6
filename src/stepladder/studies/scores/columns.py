"""Which column of a table is what: by the names that people use, and by what the cells hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stepladder.errors import StudyError, some_of, unknown
from stepladder.studies.scores.tables import Row, ScoreTable, digits_of, is_missing, number_of

#: What a column is called that says which of the compared things a run is of, in order of how sure the name is.
_VARIANTS = (
    "rung", "variant", "method", "arm", "condition", "technique", "config", "configuration", "recipe", "setting",
    "algorithm", "approach", "model", "optimizer", "loss_function", "experiment", "group", "name", "run_name", "run",
)  # fmt: skip
_SEEDS = (
    "seed", "random_seed", "random_state", "rng_seed", "global_seed", "fold", "split_seed", "repeat", "repetition",
    "replicate", "rep", "trial_number",
)  # fmt: skip
_EPOCHS = ("epoch", "epochs", "step", "global_step", "iteration", "iter", "_step", "trainer/global_step")
_BLOCKS = ("dataset", "data_set", "benchmark", "task", "corpus", "block", "env", "environment", "data")

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
_NO_SCORES = (
    "lr", "learning_rate", "batch_size", "wd", "momentum", "timestamp", "date", "index", "grad_norm", "samples",
    "runtime", "images_per_second", "memory", "temperature", "selected_epoch", "params", "macs", "size",
    "total_flos", "time", "n", "seconds", "duration", "steps_per_second", "samples_per_second",
)  # fmt: skip

Unit = Literal["percent", "fraction", "number"]
Select = Literal["last", "best-val"]
SELECTS = ("last", "best-val")


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


@dataclass(frozen=True)
class Score:
    """The score of one run; None where it has none. ``row`` is where it stands, counted from 1."""

    variant: str
    seed: str
    block: str
    value: float | None
    validation: float | None
    row: int


@dataclass(frozen=True)
class FoundScores:
    """Scores with how they were found.

    Attributes:
        metric: what the score is called.
        share: whether values are fractions of 1.
        percent: whether they were written in percent.
        resolution: the last digit that they are written with.
        paired: whether there are seeds.
        columns: where each thing was found, by what it is, in words.
        notes: what a reader must know, a sentence each.
    """

    name: str
    fingerprint: str
    metric: str
    share: bool
    percent: bool
    higher_is_better: bool
    resolution: float
    paired: bool
    scores: tuple[Score, ...]
    columns: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """What is compared, in the order in which it comes."""
        return tuple(dict.fromkeys(score.variant for score in self.scores))

    @property
    def blocks(self) -> tuple[str, ...]:
        """The data sets, one without a name where there is no such column."""
        return tuple(dict.fromkeys(score.block for score in self.scores))

    def __repr__(self) -> str:
        return (
            f"<FoundScores of {self.metric} in {self.name}: {len(self.scores)} runs of {len(self.variants)} variants>"
        )


def find_scores(table: ScoreTable, asked: ScoreColumns) -> FoundScores:
    """Find which column is what, and return the score of every run.

    Args:
        asked: the columns that the user named.

    Raises:
        StudyError: a column is not there, or cannot be told; the sentence names the option that says it.
    """
    if asked.select not in SELECTS:
        raise StudyError(unknown("selection", asked.select, SELECTS))
    for name in (asked.seed, asked.metric, asked.validation, asked.block, asked.epoch):
        if name is not None and name not in table.columns and not _is_wide_name(table, asked, name):
            raise StudyError(unknown("column", name, table.columns))
    table, asked, notes = _as_long(table, asked)
    variant, named = _variant(table, asked)
    seed = asked.seed or _by_name(table, _SEEDS, but=named)
    block = asked.block or _text_by_name(table, _BLOCKS, but=(*named, seed))
    epoch = asked.epoch or _by_name(table, _EPOCHS, but=(*named, seed, block))
    metric, others = _metric(table, asked, (*named, seed, block), epoch)
    split = _split(table, metric, epoch)
    validation = asked.validation or _validation(table, metric, (*named, seed, block, epoch))
    runs = _runs(table, variant, named, seed, block, epoch)
    if epoch is not None:
        table, runs = _with_whole_epochs(table, runs, epoch)
    columns = {
        "Variants": f"column {' and '.join(named)}: {_listed(dict.fromkeys(variant))}",
        "Seeds": "no column" if seed is None else f"column {seed}: {_listed(dict.fromkeys(_words(table, seed)))}",
    }
    if block is not None:
        columns["Data sets"] = f"column {block}: {_listed(dict.fromkeys(_words(table, block)))}"
    chosen, epoch_notes, words = _choose_rows(table, runs, epoch, metric, validation, asked)
    notes += epoch_notes
    if words:
        columns["Epoch"] = words
    higher = not asked.lower_is_better if asked.lower_is_better is not None else not is_lower(metric)
    cells = [table.rows[row].get(metric) for row in chosen.values() if row is not None]
    share, factor = _unit(metric, cells, asked.unit)
    digits = [found for cell in cells if (found := digits_of(cell)) is not None]
    resolution = 10.0 ** -max(digits, default=0) / factor if digits and max(digits) < 12 else 0.0
    scores = []
    for (of_variant, of_seed, of_block), row in chosen.items():
        value = None if row is None else number_of(table.rows[row].get(metric))
        alike = row is not None and validation is not None and _is_same_score(metric, validation)
        val = number_of(table.rows[row].get(validation)) if alike and row is not None and validation else None
        if alike and val is None and validation is not None and asked.select == "last":
            # Test is often scored once, behind the last epoch, and validation in every one.
            known = [number_of(table.rows[one].get(validation)) for one in runs[(of_variant, of_seed, of_block)]]
            val = next((one for one in reversed(known) if one is not None), None)
        place = runs[(of_variant, of_seed, of_block)][-1] + 1
        scores.append(
            Score(
                of_variant,
                of_seed,
                of_block,
                None if value is None else value / factor,
                None if val is None else val / (factor if share else 1),
                place,
            )
        )
    better = "higher" if higher else "lower"
    unit = {True: "percent" if factor == 100 else "fractions of 1", False: "numbers"}[share]
    if split == _TRAINING:
        notes.append(
            f"{metric} seems to be measured on training images, which says little of others; `metric` names another."
        )
    elif split == _VALIDATION:
        notes.append(
            f"{metric} is a validation score: what was chosen by it, an epoch or a setting, looks better than it is."
        )
    columns["Score"] = f"column {metric}, {unit}, {better} is better" + (f"; not: {_listed(others)}" if others else "")
    if validation is not None:
        columns["Validation score"] = f"column {validation}"
    return FoundScores(
        name=table.name,
        fingerprint=table.fingerprint,
        metric=metric,
        share=share,
        percent=factor == 100,
        higher_is_better=higher,
        resolution=resolution,
        paired=seed is not None,
        scores=tuple(scores),
        columns=columns,
        notes=tuple(notes),
    )


def _key(name: str) -> str:
    """Return a column's name without what trackers put before it: ``config.seed``, ``params.seed``."""
    name = re.sub(r"^(config|params?|hparams?|hyperparameters|tags)[./]", "", name.strip().lower())
    return re.sub(r"[\s\-]+", "_", name)


def _parts(name: str) -> tuple[str, ...]:
    return (_key(name), *re.split(r"[^a-z0-9]+", name.lower()))


def _by_name(table: ScoreTable, names: Sequence[str], but: Sequence[str | None] = ()) -> str | None:
    for name in names:
        for column in table.columns:
            if _key(column) == name and column not in but:
                return column
    return None


def _text_by_name(table: ScoreTable, names: Sequence[str], but: Sequence[str | None] = ()) -> str | None:
    found = _by_name(table, names, but)
    return found if found is not None and not _is_numeric(table, found) else None


def _is_numeric(table: ScoreTable, column: str) -> bool:
    filled = [value for value in table.values(column) if not is_missing(value)]
    return bool(filled) and all(number_of(value) is not None for value in filled)


def _words(table: ScoreTable, column: str) -> list[str]:
    return [_word(value) for value in table.values(column)]


def _word(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip().removesuffix(".0")


def _listed(names: Iterable[str]) -> str:
    return some_of([str(name) for name in names])


def _variant(table: ScoreTable, asked: ScoreColumns) -> tuple[list[str], tuple[str, ...]]:
    """Return what each row is a run of, and the columns that say so."""
    if asked.variant is not None:
        named = tuple(name.strip() for name in asked.variant.split(","))
        if asked.variant in table.columns:
            named = (asked.variant,)
        for name in named:
            if name not in table.columns:
                raise StudyError(unknown("column", name, table.columns))
        each = [_words(table, name) for name in named]
        if len(named) == 1:
            return each[0], named
        return [
            ", ".join(f"{name}={value}" for name, value in zip(named, row, strict=True))
            for row in zip(*each, strict=True)
        ], named
    # A name that is another one in every run is a run's own.
    repeated = [name for name in _VARIANTS if (one := _by_name(table, (name,))) is not None and _repeats(table, one)]
    found = _by_name(table, repeated[:1] or _VARIANTS)
    if found is None:
        texts = [column for column in table.columns if not _is_numeric(table, column) and _repeats(table, column)]
        texts = [column for column in texts if _key(column) not in (*_SEEDS, *_BLOCKS, *_EPOCHS)]
        if len(texts) != 1:
            which = f"it may be {_listed(texts)}" if texts else f"there are {_listed(table.columns)}"
            raise StudyError(
                f"{table.name} does not tell which column says what is compared ({which}); name it with `variant`"
            )
        found = texts[0]
    return _words(table, found), (found,)


def _repeats(table: ScoreTable, column: str) -> bool:
    values = [value for value in table.values(column) if not is_missing(value)]
    return 2 <= len(set(values)) < max(len(values), 3)


def _metric(
    table: ScoreTable, asked: ScoreColumns, but: Sequence[str | None], epoch: str | None
) -> tuple[str, list[str]]:
    """Return the column of the score, and the numeric ones that may be meant in its place."""
    numeric = [
        column
        for column in table.columns
        if column not in but
        and _is_numeric(table, column)
        and _key(column) not in (*_NO_SCORES, *_EPOCHS)
        and not _key(column).endswith("_id")
    ]
    if asked.metric is not None:
        if not any(number_of(value) is not None for value in table.values(asked.metric)):
            raise StudyError(f"the column {asked.metric} holds no number; `metric` names the column of the score")
        return asked.metric, []
    known = [column for column in numeric if _rank(column) is not None or _split(table, column, epoch) == _TEST]
    if not known and len(numeric) == 1:
        return numeric[0], []
    if not known:
        which = f"it may be {_listed(numeric)}" if numeric else "no column holds numbers"
        raise StudyError(f"{table.name} does not tell which column is the score ({which}); name it with `metric`")
    best = min(
        known,
        key=lambda column: (
            _split(table, column, epoch),
            9 if (r := _rank(column)) is None else r,
            known.index(column),
        ),
    )
    return best, [column for column in numeric if column != best]


#: Which images a score is of, the likeliest to be judged first.
_TEST, _UNKNOWN, _VALIDATION, _TRAINING = range(4)
_VALIDATION_WORDS, _TRAINING_WORDS = {"val", "valid", "validation", "eval", "dev"}, {"train", "training"}


def _split(table: ScoreTable, column: str, epoch: str | None) -> int:
    """Return which images a score is of, by its name and by what stands beside it."""
    parts = set(_parts(column))
    if parts & _TRAINING_WORDS:
        return _TRAINING
    if "test" in parts:
        return _TEST
    if parts & _VALIDATION_WORDS:
        return _VALIDATION
    # In a log of epochs, as Keras writes it, accuracy beside val_accuracy is that of training.
    logged = epoch is not None and any(set(_parts(other)) & _VALIDATION_WORDS for other in table.columns)
    return _TRAINING if logged else _UNKNOWN


def _rank(column: str) -> int | None:
    """Return how likely a column is a score by its name, less being likelier; None where that says nothing."""
    parts = set(_parts(column))
    return next((place for place, names in enumerate((_SHARES, _HIGHER, _LOWER)) if parts & set(names)), None)


def _is_same_score(metric: str, validation: str) -> bool:
    """Whether two columns hold the same score of different images, so that one may choose for the other."""
    splits = _VALIDATION_WORDS | _TRAINING_WORDS | {"test"}
    one, other = (
        [part for part in re.split(r"[^a-z0-9]+", name.lower()) if part not in splits] for name in (metric, validation)
    )
    return one == other


def _validation(table: ScoreTable, metric: str, but: Sequence[str | None]) -> str | None:
    """Return the column that is the same score on validation images; None where there is none."""
    if set(_parts(metric)) & _VALIDATION_WORDS:
        return None
    for column in table.columns:
        if column in but or column == metric or not _is_numeric(table, column):
            continue
        if set(_parts(column)) & _VALIDATION_WORDS and _is_same_score(metric, column):
            return column
    return None


def is_share(metric: str) -> bool:
    """Whether a score is a share by its name, as accuracy is."""
    return bool(set(_parts(metric)) & set(_SHARES)) or "%" in metric


def is_lower(metric: str) -> bool:
    """Whether less of a score is good by its name, as of a loss."""
    parts = set(_parts(metric))
    return bool(parts & set(_LOWER)) and not parts & set(_SHARES)


_Run = tuple[str, str, str]


def _runs(
    table: ScoreTable,
    variant: Sequence[str],
    named: Sequence[str],
    seed: str | None,
    block: str | None,
    epoch: str | None,
) -> dict[_Run, list[int]]:
    """Return the rows of each run, by what it is of; without seeds, each row of a variant is one, or each epoch's."""
    runs: dict[_Run, list[int]] = {}
    seeds, blocks, epochs = (None if one is None else _words(table, one) for one in (seed, block, epoch))
    counted: Counter[tuple[str, str, str]] = Counter()
    for row, of in enumerate(variant):
        if not of:
            raise StudyError(f"row {row + 1} of {table.name} has nothing in the column {' and '.join(named)}; fill it")
        where = "" if blocks is None else blocks[row]
        place = (of, where, "" if epochs is None else epochs[row])
        number = str(counted[place])
        counted[place] += 1
        if seeds is not None and not seeds[row]:
            raise StudyError(f"row {row + 1} of {table.name} has no seed; fill the column {seed}")
        runs.setdefault((of, number if seeds is None else seeds[row], where), []).append(row)
    return runs


def _with_whole_epochs(
    table: ScoreTable, runs: dict[_Run, list[int]], epoch: str
) -> tuple[ScoreTable, dict[_Run, list[int]]]:
    """Return the table with one row a run and epoch: logs have a row for training and another for validation."""
    rows: list[Row] = []
    merged: dict[_Run, list[int]] = {}
    for run, places in runs.items():
        by_epoch: dict[object, dict[str, object]] = {}
        for place in places:
            row = table.rows[place]
            told = {name: value for name, value in row.items() if value is not None and str(value).strip()}
            at = number_of(row.get(epoch))
            if len(places) > 1 and at is None:
                continue  # a line that is of no epoch
            by_epoch.setdefault(at, {}).update(told)
        merged[run] = list(range(len(rows), len(rows) + len(by_epoch)))
        rows += [by_epoch[at] for at in sorted(by_epoch, key=lambda at: float(str(at)) if at is not None else 0.0)]
        if not merged[run]:
            rows.append({})
            merged[run] = [len(rows) - 1]
    return replace(table, rows=tuple(rows)), merged


def _choose_rows(
    table: ScoreTable,
    runs: dict[_Run, list[int]],
    epoch: str | None,
    metric: str,
    validation: str | None,
    asked: ScoreColumns,
) -> tuple[dict[_Run, int | None], list[str], str]:
    """Return the one row of each run that is judged, what is to be said of it, and how it was found."""
    several = {run: rows for run, rows in runs.items() if len(rows) > 1}
    if not several:
        return {run: rows[0] for run, rows in runs.items()}, [], ""
    if epoch is None:
        return _without_copies(table, runs, metric), _copies_note(several), ""
    chosen: dict[_Run, int | None] = {}
    by = validation if asked.select == "best-val" else None
    if asked.select == "best-val" and by is None:
        by = metric
    lower = is_lower(by) if by is not None else False
    for run, rows in runs.items():
        # A log has a row for training and another for validation: those without the score are not of this question.
        filled = [row for row in rows if number_of(table.rows[row].get(metric)) is not None]
        if asked.select == "last":
            # What ended without a number has none: an earlier epoch is no stand-in for the last.
            said = [row for row in rows if not _is_silent(table.rows[row], metric)]
            last = max(said, key=lambda row: number_of(table.rows[row].get(epoch)) or 0.0, default=None)
            chosen[run] = last
            continue
        known = [row for row in filled if number_of(table.rows[row].get(by or metric)) is not None]
        if len(filled) == 1:  # scored once, of whatever the program kept
            known = filled
        sign = -1 if lower else 1
        chosen[run] = max(
            known, key=lambda row: sign * (number_of(table.rows[row].get(by or metric)) or 0.0), default=None
        )
    if asked.select == "last":
        return chosen, [], f"the last of column {epoch}"
    if by == metric:
        note = (
            f"The epoch of each run was chosen by {metric}, the score that is judged: every score is too good by an "
            "amount that nobody knows, and differences may be too."
        )
        return chosen, [note], f"of column {epoch}, the one that is best by {metric}, which is judged too"
    return chosen, [], f"of column {epoch}, the one that is best by {by}"


def _is_silent(row: Row, metric: str) -> bool:
    """Whether a row of a log says nothing of the score, which is not the same as saying that it is no number."""
    value = row.get(metric)
    return value is None or str(value).strip() == ""


def _without_copies(table: ScoreTable, runs: dict[_Run, list[int]], metric: str) -> dict[_Run, int | None]:
    chosen: dict[_Run, int | None] = {}
    for (variant, seed, block), rows in runs.items():
        values = [number_of(table.rows[row].get(metric)) for row in rows]
        if len(set(values)) > 1:
            where = f", {block}" if block else ""
            raise StudyError(
                f"seed {seed} of {variant}{where} stands {len(rows)} times in {table.name}, with {metric} "
                f"{_listed(['none' if value is None else f'{value:g}' for value in values])}; a run has one score: "
                "remove the others, or name the column that tells them apart with `block` or `epoch`"
            )
        chosen[(variant, seed, block)] = rows[0]
    return chosen


def _copies_note(several: dict[_Run, list[int]]) -> list[str]:
    copies = sum(len(rows) - 1 for rows in several.values())
    are = "row is a copy of another" if copies == 1 else "rows are copies of others"
    return [f"{copies} {are} (the same variant, seed and score) and counted once."]


def _unit(metric: str, cells: Sequence[object], unit: Unit | None) -> tuple[bool, int]:
    """Return whether scores are shares, and by what they are divided to be fractions of 1.

    Raises:
        StudyError: percent and fractions are mixed, or values do not fit the unit that was named.
    """
    values = [value for cell in cells if (value := number_of(cell)) is not None]
    if unit not in (None, "percent", "fraction", "number"):
        raise StudyError(unknown("unit", unit, ("percent", "fraction", "number")))
    known = (
        bool(set(_parts(metric)) & set(_SHARES))
        or "%" in metric
        or any(str(cell).strip().endswith("%") for cell in cells)
    )
    if unit == "number" or (unit is None and not known) or not values:
        return False, 1
    low, high = min(values), max(values)
    if unit == "fraction" or (unit is None and high <= 1 and low >= 0 and "%" not in metric):
        if not 0 <= low <= high <= 1:
            raise StudyError(f"{metric} is {high if high > 1 else low:g}, which is no fraction of 1; name the `unit`")
        return True, 1
    if low < 0 or high > 100:
        return False, 1
    # Of a share near nothing and one near all, the one may be in percent and the other not.
    if unit is None and 0 < low <= 1 and high > 20 * low:
        raise StudyError(
            f"{metric} is {low:g} in one row and {high:g} in another: fractions and percent are mixed; write all of "
            "them alike, or say `unit=percent` if they are"
        )
    return True, 100


_SEED_LIKE = re.compile(r"^(seed|run|fold|rep|s)?[\s_\-]*(\d+)$", re.IGNORECASE)


def _is_wide_name(table: ScoreTable, asked: ScoreColumns, name: str) -> bool:
    """Whether a name is given to what a wide table does not name: the scores themselves."""
    return name == asked.metric and _wide(table, asked) is not None


def _wide(table: ScoreTable, asked: ScoreColumns) -> Literal["seeds", "variants"] | None:
    """Return what the columns of a wide table are; None for a long one."""
    if asked.metric in table.columns:
        return None
    seed_like = [name for name in table.columns if _SEED_LIKE.match(name) and _is_numeric(table, name)]
    texts = [name for name in table.columns if not _is_numeric(table, name)]
    if len(seed_like) >= 2 and len(texts) >= 1:
        return "seeds"
    numeric = [name for name in table.columns if name not in texts and _key(name) not in (*_SEEDS, *_EPOCHS, "index")]
    there = asked.variant or _by_name(table, _VARIANTS)
    seed = asked.seed or _by_name(table, (*_SEEDS, "index"))
    named = [name for name in numeric if _rank(name) is not None]
    if there is None and len(numeric) >= 2 and not named and (seed is not None or not texts):
        return "variants"
    return None


def _as_long(table: ScoreTable, asked: ScoreColumns) -> tuple[ScoreTable, ScoreColumns, list[str]]:
    """Return a wide table as a long one, with what to say of it."""
    kind = _wide(table, asked)
    if kind is None:
        return table, asked, []
    metric = asked.metric or "score"
    rows: list[Row] = []
    if kind == "seeds":
        seeds = [name for name in table.columns if _SEED_LIKE.match(name) and _is_numeric(table, name)]
        rest = [name for name in table.columns if name not in seeds]
        for row in table.rows:
            for name in seeds:
                found = _SEED_LIKE.match(name)
                assert found is not None
                if name in row:
                    rows.append({**{key: row.get(key) for key in rest}, "seed": found[2], metric: row[name]})
        note = f"A wide table: its columns {_listed(seeds)} are seeds."
        return ScoreTable.of(table.name, rows), replace(asked, seed="seed", metric=metric), [note]
    seed = asked.seed or _by_name(table, (*_SEEDS, "index"))
    block = asked.block or _text_by_name(table, _BLOCKS)
    variants = [
        name
        for name in table.columns
        if name not in (seed, block) and _is_numeric(table, name) and _key(name) not in _EPOCHS
    ]
    for row in table.rows:
        for name in variants:
            one = {"variant": name, metric: row.get(name)}
            one |= {} if seed is None else {"seed": row.get(seed)}
            rows.append(one if block is None else {**one, block: row.get(block)})
    note = f"A wide table: its columns {_listed(variants)} are variants."
    new = replace(asked, variant="variant", seed=None if seed is None else "seed", metric=metric)
    return ScoreTable.of(table.name, rows), new, [note]
