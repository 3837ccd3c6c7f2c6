"""Which column of a table is what: by the names that people use, and by what the cells hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepladder.errors import StudyError, printable, unknown
from stepladder.studies.scores.naming import (
    BLOCKS,
    EPOCHS,
    NO_SCORES,
    SEEDS,
    SELECTS,
    TEST,
    TRAINING,
    VALIDATION,
    VALIDATION_WORDS,
    VARIANTS,
    ScoreColumns,
    Unit,
    find_by_name,
    find_text_by_name,
    is_lower,
    is_numeric,
    is_same_score,
    is_share,
    key_of,
    listed,
    parts_of,
    rank_of,
    split_of,
    words_in,
)
from stepladder.studies.scores.run_rows import choose_rows, find_runs, with_whole_epochs
from stepladder.studies.scores.tables import ScoreTable, digits_of, is_missing, number_of
from stepladder.studies.scores.wide_tables import as_long, is_wide_name


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
        return printable(
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
        if name is not None and name not in table.columns and not is_wide_name(table, asked, name):
            raise StudyError(unknown("column", name, table.columns))
    table, asked, notes = as_long(table, asked)
    variant, named = _variant(table, asked)
    seed = asked.seed or find_by_name(table, SEEDS, but=named)
    block = asked.block or find_text_by_name(table, BLOCKS, but=(*named, seed))
    epoch = asked.epoch or find_by_name(table, EPOCHS, but=(*named, seed, block))
    metric, others = _metric(table, asked, (*named, seed, block), epoch)
    split = split_of(table, metric, epoch)
    validation = asked.validation or _validation(table, metric, (*named, seed, block, epoch))
    runs = find_runs(table, variant, named, seed, block, epoch)
    if epoch is not None:
        table, runs = with_whole_epochs(table, runs, epoch)
    columns = {
        "Variants": f"column {' and '.join(named)}: {listed(dict.fromkeys(variant))}",
        "Seeds": "no column" if seed is None else f"column {seed}: {listed(dict.fromkeys(words_in(table, seed)))}",
    }
    if block is not None:
        columns["Data sets"] = f"column {block}: {listed(dict.fromkeys(words_in(table, block)))}"
    chosen, epoch_notes, words = choose_rows(table, runs, epoch, metric, validation, asked)
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
        alike = row is not None and validation is not None and is_same_score(metric, validation)
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
    if split == TRAINING:
        notes.append(
            f"{metric} seems to be measured on training images, which says little of others; `metric` names another."
        )
    elif split == VALIDATION:
        notes.append(
            f"{metric} is a validation score: what was chosen by it, an epoch or a setting, looks better than it is."
        )
    columns["Score"] = f"column {metric}, {unit}, {better} is better" + (f"; not: {listed(others)}" if others else "")
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


def _variant(table: ScoreTable, asked: ScoreColumns) -> tuple[list[str], tuple[str, ...]]:
    """Return what each row is a run of, and the columns that say so."""
    if asked.variant is not None:
        named = tuple(name.strip() for name in asked.variant.split(","))
        if asked.variant in table.columns:
            named = (asked.variant,)
        for name in named:
            if name not in table.columns:
                raise StudyError(unknown("column", name, table.columns))
        each = [words_in(table, name) for name in named]
        if len(named) == 1:
            return each[0], named
        return [
            ", ".join(f"{name}={value}" for name, value in zip(named, row, strict=True))
            for row in zip(*each, strict=True)
        ], named
    # A name that is another one in every run is a run's own.
    repeated = [name for name in VARIANTS if (one := find_by_name(table, (name,))) is not None and _repeats(table, one)]
    found = find_by_name(table, repeated[:1] or VARIANTS)
    if found is None:
        texts = [column for column in table.columns if not is_numeric(table, column) and _repeats(table, column)]
        texts = [column for column in texts if key_of(column) not in (*SEEDS, *BLOCKS, *EPOCHS)]
        if len(texts) != 1:
            which = f"it may be {listed(texts)}" if texts else f"there are {listed(table.columns)}"
            raise StudyError(
                f"{table.name} does not tell which column says what is compared ({which}); name it with `variant`"
            )
        found = texts[0]
    return words_in(table, found), (found,)


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
        and is_numeric(table, column)
        and key_of(column) not in (*NO_SCORES, *EPOCHS)
        and not key_of(column).endswith("_id")
    ]
    if asked.metric is not None:
        if not any(number_of(value) is not None for value in table.values(asked.metric)):
            raise StudyError(f"the column {asked.metric} holds no number; `metric` names the column of the score")
        return asked.metric, []
    known = [column for column in numeric if rank_of(column) is not None or split_of(table, column, epoch) == TEST]
    if not known and len(numeric) == 1:
        return numeric[0], []
    if not known:
        which = f"it may be {listed(numeric)}" if numeric else "no column holds numbers"
        raise StudyError(f"{table.name} does not tell which column is the score ({which}); name it with `metric`")
    best = min(
        known,
        key=lambda column: (
            split_of(table, column, epoch),
            9 if (r := rank_of(column)) is None else r,
            known.index(column),
        ),
    )
    return best, [column for column in numeric if column != best]


def _validation(table: ScoreTable, metric: str, but: Sequence[str | None]) -> str | None:
    """Return the column that is the same score on validation images; None where there is none."""
    if set(parts_of(metric)) & VALIDATION_WORDS:
        return None
    for column in table.columns:
        if column in but or column == metric or not is_numeric(table, column):
            continue
        if set(parts_of(column)) & VALIDATION_WORDS and is_same_score(metric, column):
            return column
    return None


def _unit(metric: str, cells: Sequence[object], unit: Unit | None) -> tuple[bool, int]:
    """Return whether scores are shares, and by what they are divided to be fractions of 1.

    Raises:
        StudyError: percent and fractions are mixed, or values do not fit the unit that was named.
    """
    values = [value for cell in cells if (value := number_of(cell)) is not None]
    if unit not in (None, "percent", "fraction", "number"):
        raise StudyError(unknown("unit", unit, ("percent", "fraction", "number")))
    known = is_share(metric) or any(str(cell).strip().endswith("%") for cell in cells)
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
