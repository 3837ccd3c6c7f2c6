"""A wide table, with a column a seed or a column a variant, as a long one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from stepladder.studies.scores.naming import (
    BLOCKS,
    EPOCHS,
    SEEDS,
    VARIANTS,
    ScoreColumns,
    find_by_name,
    find_text_by_name,
    is_numeric,
    key_of,
    listed,
    rank_of,
)
from stepladder.studies.scores.tables import Row, ScoreTable

_SEED_LIKE = re.compile(r"^(seed|run|fold|rep|s)?[\s_\-]*(\d+)$", re.IGNORECASE)


def is_wide_name(table: ScoreTable, asked: ScoreColumns, name: str) -> bool:
    """Whether a name is given to what a wide table does not name: the scores themselves."""
    return name == asked.metric and _wide(table, asked) is not None


def _wide(table: ScoreTable, asked: ScoreColumns) -> Literal["seeds", "variants"] | None:
    """Return what the columns of a wide table are; None for a long one."""
    if asked.metric in table.columns:
        return None
    seed_like = [name for name in table.columns if _SEED_LIKE.match(name) and is_numeric(table, name)]
    texts = [name for name in table.columns if not is_numeric(table, name)]
    if len(seed_like) >= 2 and len(texts) >= 1:
        return "seeds"
    numeric = [name for name in table.columns if name not in texts and key_of(name) not in (*SEEDS, *EPOCHS, "index")]
    there = asked.variant or find_by_name(table, VARIANTS)
    seed = asked.seed or find_by_name(table, (*SEEDS, "index"))
    named = [name for name in numeric if rank_of(name) is not None]
    if there is None and len(numeric) >= 2 and not named and (seed is not None or not texts):
        return "variants"
    return None


def as_long(table: ScoreTable, asked: ScoreColumns) -> tuple[ScoreTable, ScoreColumns, list[str]]:
    """Return a wide table as a long one, with what to say of it."""
    kind = _wide(table, asked)
    if kind is None:
        return table, asked, []
    metric = asked.metric or "score"
    rows: list[Row] = []
    if kind == "seeds":
        seeds = [name for name in table.columns if _SEED_LIKE.match(name) and is_numeric(table, name)]
        rest = [name for name in table.columns if name not in seeds]
        for row in table.rows:
            for name in seeds:
                found = _SEED_LIKE.match(name)
                assert found is not None
                if name in row:
                    rows.append({**{key: row.get(key) for key in rest}, "seed": found[2], metric: row[name]})
        note = f"A wide table: its columns {listed(seeds)} are seeds."
        return ScoreTable.of(table.name, rows), replace(asked, seed="seed", metric=metric), [note]
    seed = asked.seed or find_by_name(table, (*SEEDS, "index"))
    block = asked.block or find_text_by_name(table, BLOCKS)
    variants = [
        name
        for name in table.columns
        if name not in (seed, block) and is_numeric(table, name) and key_of(name) not in EPOCHS
    ]
    for row in table.rows:
        for name in variants:
            one = {"variant": name, metric: row.get(name)}
            one |= {} if seed is None else {"seed": row.get(seed)}
            rows.append(one if block is None else {**one, block: row.get(block)})
    note = f"A wide table: its columns {listed(variants)} are variants."
    new = replace(asked, variant="variant", seed=None if seed is None else "seed", metric=metric)
    return ScoreTable.of(table.name, rows), new, [note]
