"""Folders of runs, as training programs and trackers write them, become one table: a row a run and epoch.

A pattern says which part of a path is what: ``runs/{variant}/seed{seed}``. In each folder that fits, the file of a
framework is looked for by its name; what lies deeper, as Lightning's ``version_0/``, is found as well.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError, some_of
from stepladder.files import parse_json, read_plain
from stepladder.studies.scores.event_files import read_events
from stepladder.studies.scores.tables import ScoreTable, number_of

#: What a pattern may name; ``{name}`` of any other kind is a part of the path that differs and says nothing.
NAMES = ("variant", "seed", "block", "dataset")

_PLACE = re.compile(r"\{(\w*)\}")
_WITH_SEED = re.compile(r"(?P<variant>.+?)[-_ /]*(?:seed|s)[-_ ]?(?P<seed>\d+)", re.IGNORECASE)
#: Folders of runs that are looked at, at most.
_MOST_RUNS = 20_000

#: Patterns that are tried in a folder for which none was named.
_USUAL = (
    "{variant}/seed{seed}", "{variant}/seed_{seed}", "{variant}/seed-{seed}", "{variant}/{seed}", "{variant}/run{seed}",
    "{variant}/run_{seed}", "{variant}/s{seed}", "{variant}_seed{seed}", "{variant}-seed{seed}", "{variant}_s{seed}",
    "{variant}-s{seed}", "{variant}_{seed}", "{variant}-{seed}",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class FoundRuns:
    """Runs as a table, how they were found, and what a reader must know."""

    table: ScoreTable
    columns: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: of the program that writes it.
        file: matches its name.
        read: returns a row an epoch, as plain values by name.
    """

    name: str
    file: re.Pattern[str]
    read: Callable[[Path], list[Row]]


def is_pattern(results: object) -> bool:
    """Whether a path is a pattern of folders."""
    return bool(_PLACE.search(str(results)))


def is_store(results: str | Path) -> bool:
    """Whether a path is the database of a tracker."""
    return Path(results).suffix in (".db", ".sqlite") and Path(results).is_file()


def read_runs(pattern: str) -> FoundRuns:
    """Read the runs of a pattern, of a folder of runs, or of a tracker's local store.

    Raises:
        StudyError: nothing fits, a file cannot be read, or a folder holds several that could be meant.
    """
    if not is_pattern(pattern):
        folder = Path(pattern)
        if (store := _find_store(folder)) is not None:
            return store
        pattern = _usual_pattern(folder)
    if "variant" not in _PLACE.findall(pattern):
        raise StudyError(
            f"the pattern {pattern} does not say which part is {{variant}}; write it as runs/{{variant}}/seed{{seed}}"
        )
    runs = sorted(_matching(pattern), key=lambda found: _natural(str(found[0])))
    if not runs:
        raise StudyError(f"no folder fits {pattern}; each {{name}} stands for one part of a path")
    rows: list[Row] = []
    read: dict[str, int] = {}
    empty = []
    for path, names in runs:
        found = _read_run(path)
        if found is None:
            empty.append(str(path))
            continue
        reader, own = found
        read[reader] = read.get(reader, 0) + 1
        if "dataset" in names:
            names = {**names, "block": names["dataset"]}
        rows += [{**row, **names} for row in own]
    if not rows:
        raise StudyError(
            f"no folder of {pattern} holds a file of results that is known: "
            f"{', '.join(reader.name for reader in READERS)}"
        )
    notes = (
        [f"{len(empty)} of {len(runs)} folders hold no results and are left out: {some_of(empty, 3)}."] if empty else []
    )
    sources = ", ".join(f"{count} of {name}" for name, count in read.items())
    name = re.sub(r"[^\w.-]+", "-", pattern.split("{")[0].rstrip("/").rpartition("/")[2]) or "runs"
    return FoundRuns(ScoreTable.of(name, rows), {"Runs": f"{pattern}: {sources}"}, tuple(notes))


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Order seed10 behind seed9."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text) if part]


def _usual_pattern(folder: Path) -> str:
    if not folder.is_dir():
        raise StudyError(f"there is no folder {folder}; give a table, a folder of runs, or a pattern of such folders")
    for pattern in _USUAL:
        found = list(_matching(f"{folder.as_posix()}/{pattern}"))
        variants = {names["variant"] for _, names in found}
        if len(found) >= 2 and len(variants) < len(found) and all(names["seed"].isdecimal() for _, names in found):
            return f"{folder.as_posix()}/{pattern}"
    raise StudyError(
        f"{folder} does not tell which folders are runs of what; write a pattern, as "
        f"{folder.as_posix()}/{{variant}}/seed{{seed}}"
    )


def _matching(pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield every path that fits a pattern with what each name stands for."""
    parts = pattern.replace("\\", "/").rstrip("/").split("/")
    start = Path("/") if pattern.startswith("/") else Path()
    found: list[tuple[Path, dict[str, str]]] = [(start, {})]
    for position, part in enumerate(part for part in parts if part):
        if not _PLACE.search(part):
            found = [(path / part, names) for path, names in found if (path / part).exists()]
            continue
        expression = re.compile(_expression(part))
        following = []
        for path, names in found:
            if not path.is_dir():
                continue
            for child in path.iterdir():
                match = expression.fullmatch(child.name)
                told = (
                    {} if match is None else {key: value for key, value in match.groupdict().items() if key[0] != "_"}
                )
                if match is None or any(names.get(key, value) != value for key, value in told.items()):
                    continue
                following.append((child, names | told))
                if len(following) > _MOST_RUNS:
                    raise StudyError(
                        f"{pattern} fits more than {_MOST_RUNS:,} paths at {{…}} number {position}; name a narrower one"
                    )
        found = following
    yield from found


def _expression(part: str) -> str:
    """Return a part of a pattern as a regular expression; a seed is digits where more than it stands in the part."""
    pieces, end = [], 0
    for number, match in enumerate(_PLACE.finditer(part)):
        pieces.append(re.escape(part[end : match.start()]))
        name = match[1] if match[1] in NAMES else f"_{number}"
        pieces.append(rf"(?P<{name}>\d+)" if name == "seed" and match[0] != part else f"(?P<{name}>.+)")
        end = match.end()
    return "".join([*pieces, re.escape(part[end:])])


def _read_run(path: Path) -> tuple[str, list[Row]] | None:
    """Return the results of one run, with the program that wrote them; None where there are none.

    Raises:
        StudyError: there are several files of one kind, or one cannot be read.
    """
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    for reader in READERS:
        found = [file for file in files if reader.file.fullmatch(file.name)]
        if reader.name == "Hugging Face" and len(found) > 1:
            # Each checkpoint has one; the trainer's own, or the last checkpoint's, tells of all steps.
            found = [max(found, key=lambda file: (-len(file.parts), _natural(str(file))))]
        if not found:
            continue
        if len(found) > 1 and reader.name != "TensorBoard":
            raise StudyError(
                f"{path} holds {len(found)} files of {reader.name} "
                f"({some_of([str(one.relative_to(path)) for one in found], 3)}); "
                "a run has one: name the folder in the pattern, as …/version_0"
            )
        rows = [row for file in found for row in _read_file(reader, file)]
        if rows:
            return reader.name, _merged(rows) if len(found) > 1 else rows
    return None


def _read_file(reader: Reader, file: Path) -> list[Row]:
    try:
        return reader.read(file)
    except StudyError:
        raise
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise StudyError(
            f"{file} is no {reader.name} file that can be read ({error}); remove it, or mend it"
        ) from error


def _text(path: Path) -> str:
    return read_plain(path).decode("utf-8-sig")


def _read_csv(path: Path) -> list[Row]:
    """Read the CSV of Lightning, Ultralytics, Keras or timm: a header, a row an epoch or a logging step."""
    text = _text(path)
    rows = [row for row in csv.reader(io.StringIO(text), strict=True) if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise ValueError("it has no rows below its header")
    header = [name.strip() for name in rows[0]]
    if len(set(header)) < len(header):
        raise ValueError("it has a column twice")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, and the header {len(header)}")
    return [{key: cell.strip() for key, cell in zip(header, row, strict=True) if cell.strip()} for row in rows[1:]]


def _read_trainer_state(path: Path) -> list[Row]:
    """Read the log of Hugging Face's Trainer: ``log_history``, an entry a logging step."""
    document = json.loads(_text(path))  # it may hold NaN
    history = document.get("log_history") if isinstance(document, Mapping) else None
    if not isinstance(history, list):
        raise ValueError("it has no log_history")
    return [
        {key: value for key, value in entry.items() if isinstance(value, int | float) and not isinstance(value, bool)}
        for entry in history
        if isinstance(entry, Mapping)
    ]


def _read_result(path: Path) -> list[Row]:
    """Read a ``result.json``: one object, ``val`` and ``test`` among its keys, or any numbers by name."""
    document = parse_json(_text(path))
    if not isinstance(document, Mapping):
        raise ValueError("it holds no JSON object")
    numbers = {
        key: value for key, value in document.items() if not isinstance(value, bool) and number_of(value) is not None
    }
    if not numbers:
        raise ValueError("it holds no number")
    return [numbers]


def _merged(rows: list[Row]) -> list[Row]:
    """Return rows of several event files of one run as one row a step."""
    by_step: dict[Any, Row] = {}
    for row in rows:
        by_step.setdefault(row.get("step"), {}).update(row)
    return [by_step[step] for step in sorted(by_step, key=lambda step: number_of(step) or 0.0)]


#: Every kind of file, in the order in which it is looked for in a run's folder.
READERS: tuple[Reader, ...] = (
    Reader("result.json", re.compile(r"result\.json"), _read_result),
    Reader("Lightning", re.compile(r"metrics\.csv"), _read_csv),
    Reader("Ultralytics", re.compile(r"results\.csv"), _read_csv),
    Reader("timm", re.compile(r"summary\.csv"), _read_csv),
    Reader("Hugging Face", re.compile(r"trainer_state\.json"), _read_trainer_state),
    Reader("TensorBoard", re.compile(r"events\.out\.tfevents\..+"), read_events),
    Reader("Keras", re.compile(r".+\.(csv|log)"), _read_csv),
)


def _find_store(folder: Path) -> FoundRuns | None:
    """Return the runs of a tracker's local store in a folder, or in a file of it; None where it is none."""
    databases = [folder] if folder.is_file() else sorted([*folder.glob("*.db"), *folder.glob("*.sqlite")])
    for path in databases:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                if {"runs", "metrics", "params"} <= tables:
                    return _store(path, "MLflow", _mlflow_database(database))
                if "metrics" in tables and "configs" in tables:
                    return _store(path, "Trackio", _trackio_database(database))
        except sqlite3.Error as error:
            raise StudyError(
                f"{path} is no database that can be read ({error}); name the tracker's own folder"
            ) from error
    if (folder / "mlruns").is_dir():
        folder = folder / "mlruns"
    if folder.is_dir() and any(folder.glob("*/*/metrics")) and any(folder.glob("*/*/meta.yaml")):
        return _store(folder, "MLflow", list(_mlflow_files(folder)))
    return None


def _store(path: Path, tracker: str, rows: list[Row]) -> FoundRuns:
    if not rows:
        raise StudyError(f"the {tracker} store {path} holds no finished run with a metric")
    if not any("variant" in row for row in rows):
        # The name of a run often ends with its seed.
        named = [_WITH_SEED.fullmatch(str(row.get("run_name"))) for row in rows]
        seeded = all(named) and not any("seed" in row for row in rows)
        rows = [
            {**row, "variant": match["variant"], "seed": match["seed"]}
            if seeded and match
            else {**row, "variant": row.get("run_name")}
            for row, match in zip(rows, named, strict=True)
        ]
    runs = len({row["run_id"] for row in rows})
    return FoundRuns(ScoreTable.of(path.stem, rows), {"Runs": f"{path}: {runs} of {tracker}"}, ())


def _mlflow_database(database: sqlite3.Connection) -> list[Row]:
    names = dict(database.execute("SELECT run_uuid, name FROM runs WHERE lifecycle_stage = 'active'"))
    params: dict[str, Row] = {}
    for run, key, value in database.execute("SELECT run_uuid, key, value FROM params"):
        params.setdefault(run, {})[key] = value
    steps: dict[tuple[str, int], Row] = {}
    query = "SELECT run_uuid, key, value, step, is_nan FROM metrics ORDER BY timestamp"
    for run, key, value, step, is_nan in database.execute(query):
        steps.setdefault((run, step), {})[key] = None if is_nan else value
    return [
        {**params.get(run, {}), "run_name": names[run], "run_id": run, "step": step, **values}
        for (run, step), values in steps.items()
        if run in names
    ]


def _mlflow_files(store: Path) -> Iterator[Row]:
    """Read ``mlruns/EXPERIMENT/RUN``: a file a metric (``timestamp value step`` a line), a file a parameter."""
    for meta in sorted(store.glob("*/*/meta.yaml")):
        run = meta.parent
        if not (run / "metrics").is_dir():
            continue
        params = {file.name: _text(file).strip() for file in sorted((run / "params").glob("*"))}
        name = run / "tags" / "mlflow.runName"
        steps: dict[int, Row] = {}
        for file in sorted(one for one in (run / "metrics").rglob("*") if one.is_file()):
            for line in _text(file).splitlines():
                parts = line.split()
                if len(parts) < 2 or not parts[-1].lstrip("-").isdecimal():
                    raise StudyError(f"{file} is no metric of MLflow: it holds the line {line!r}; remove it")
                key = file.relative_to(run / "metrics").as_posix()
                steps.setdefault(int(parts[2]) if len(parts) > 2 else 0, {})[key] = number_of(parts[1])
        run_name = _text(name).strip() if name.exists() else run.name
        for step, values in steps.items():
            yield {**params, "run_name": run_name, "run_id": run.name, "step": step, **values}


def _trackio_database(database: sqlite3.Connection) -> list[Row]:
    configs: dict[str, Row] = {}
    for name, config in database.execute("SELECT run_name, config FROM configs"):
        found = json.loads(config)
        configs[name] = {key: value for key, value in found.items() if not key.startswith("_")}
    rows = []
    for name, step, metrics in database.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id"):
        found = {key: value for key, value in json.loads(metrics).items() if number_of(value) is not None}
        rows.append({**configs.get(name, {}), "run_name": name, "run_id": name, "step": step, **found})
    return rows
