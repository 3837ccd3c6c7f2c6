"""Which rows of a table are one run, and the one of them that is judged: the last epoch, or the best, no copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from stepladder.errors import StudyError
from stepladder.studies.scores.naming import ScoreColumns, is_lower, listed, words_in
from stepladder.studies.scores.tables import Row, ScoreTable, number_of

Run = tuple[str, str, str]


def find_runs(
    table: ScoreTable,
    variant: Sequence[str],
    named: Sequence[str],
    seed: str | None,
    block: str | None,
    epoch: str | None,
) -> dict[Run, list[int]]:
    """Return the rows of each run, by what it is of; without seeds, each row of a variant is one, or each epoch's."""
    runs: dict[Run, list[int]] = {}
    seeds, blocks, epochs = (None if one is None else words_in(table, one) for one in (seed, block, epoch))
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


def with_whole_epochs(
    table: ScoreTable, runs: dict[Run, list[int]], epoch: str
) -> tuple[ScoreTable, dict[Run, list[int]]]:
    """Return the table with one row a run and epoch: logs have a row for training and another for validation."""
    rows: list[Row] = []
    merged: dict[Run, list[int]] = {}
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


def choose_rows(
    table: ScoreTable,
    runs: dict[Run, list[int]],
    epoch: str | None,
    metric: str,
    validation: str | None,
    asked: ScoreColumns,
) -> tuple[dict[Run, int | None], list[str], str]:
    """Return the one row of each run that is judged, what is to be said of it, and how it was found."""
    several = {run: rows for run, rows in runs.items() if len(rows) > 1}
    if not several:
        return {run: rows[0] for run, rows in runs.items()}, [], ""
    if epoch is None:
        return _without_copies(table, runs, metric), _copies_note(several), ""
    chosen: dict[Run, int | None] = {}
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


def _without_copies(table: ScoreTable, runs: dict[Run, list[int]], metric: str) -> dict[Run, int | None]:
    chosen: dict[Run, int | None] = {}
    for (variant, seed, block), rows in runs.items():
        values = [number_of(table.rows[row].get(metric)) for row in rows]
        if len(set(values)) > 1:
            where = f", {block}" if block else ""
            raise StudyError(
                f"seed {seed} of {variant}{where} stands {len(rows)} times in {table.name}, with {metric} "
                f"{listed(['none' if value is None else f'{value:g}' for value in values])}; a run has one score: "
                "remove the others, or name the column that tells them apart with `block` or `epoch`"
            )
        chosen[(variant, seed, block)] = rows[0]
    return chosen


def _copies_note(several: dict[Run, list[int]]) -> list[str]:
    copies = sum(len(rows) - 1 for rows in several.values())
    are = "row is a copy of another" if copies == 1 else "rows are copies of others"
    return [f"{copies} {are} (the same variant, seed and score) and counted once."]
