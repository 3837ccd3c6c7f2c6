"""The studies of the atlas, and what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import stepladder
from benchmarks.atlas.planning import PLAN, Run, images_of, options_of, write_plan
from benchmarks.atlas.sets import PlacedSet
from stepladder.errors import StepladderError
from stepladder.files import replace_json
from stepladder.studies.pool.files import PoolFile, SetRecord, read_pool
from stepladder.studies.pool.sets import describe_study
from stepladder.studies.running.execution import Execution

COMMAND = "python -m benchmarks atlas"


def run_all(sets: Sequence[PlacedSet], runs: Sequence[Run], out: Path, seeds: int, console: Console) -> list[str]:
    """Run what is missing of each study, and return what went wrong, a sentence a study.

    A run is settled before its first trial: stopped and called again, it goes on with the same epochs and images.
    """
    write_plan(out, runs)
    wrong = []
    places = {one.name: one for one in sets}
    for run in runs:
        console.print(f"{run.image_set}, {run.kind}: {run.trials} trials", markup=False)
        try:
            stepladder.study(
                images_of(places[run.image_set], run),
                options_of(run),
                plan=PLAN,
                seeds=seeds,
                out=out / run.name,
                execution=Execution(command=COMMAND),
            )
        except StepladderError as error:
            wrong.append(f"{run.name}: {error}")
    return wrong


def write_findings(sets: Sequence[PlacedSet], runs: Sequence[Run], out: Path, path: Path, rule: str) -> int:
    """Write what is kept of the studies that have ended, beside what the file has of others; return how many it has."""
    configs = {one.name: one.config for one in sets}
    new: dict[str, SetRecord] = {}
    for run in runs:
        folder = out / run.name
        if not (folder / "study.json").is_file():
            continue
        try:
            described = describe_study(folder)
        except StepladderError:  # it has not ended
            continue
        flip = configs[run.image_set].may_be_flipped
        new[run.name] = described.record.model_copy(update={"name": run.image_set, "may_be_flipped": flip})
    before = read_pool(path).studies if path.is_file() else ()
    hashes = {record.study for record in new.values()}
    # A set that was run anew, with other epochs, takes the place of what it had: one study a set and network.
    replaced = {(record.name, network_of(record)) for record in new.values()}
    kept = [one for one in before if one.study not in hashes and (one.name, network_of(one)) not in replaced]
    studies = sorted([*kept, *new.values()], key=lambda one: (network_of(one), one.name))
    if studies:
        found = PoolFile(command=COMMAND, notes=(rule,), studies=tuple(studies))
        replace_json(path, found.model_dump(mode="json"))
    return len(studies)


def network_of(record: SetRecord) -> str:
    """Return which network a study trained, which tells the kind of its run."""
    return record.effects[0].network.label if record.effects else ""
