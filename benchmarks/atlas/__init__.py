"""The atlas: what helps where, on real image sets, with seeds and intervals. One command runs what is missing.

A set is a small TOML file in ``sets/``: where its images are below the folder of data, and what is run on it. The plan
(:mod:`benchmarks.atlas.planning`) fits all of it into a budget of time by a rule; running it
(:mod:`benchmarks.atlas.running`) goes on where it was stopped; findings, without images and names of files, go into
``findings.json``, and from these alone come the page (:mod:`benchmarks.atlas.page`), what users meet, and the defaults
(:mod:`benchmarks.atlas.defaults`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.bench import table_of
from stepladder.cli.console import make_console
from stepladder.cli.flags import to_flags
from stepladder.errors import StudyError, unknown
from stepladder.report.units import count, duration, percent

#: Where the data are, where nobody says so.
DATA_VARIABLE = "STEPLADDER_ATLAS_DATA"
#: What is committed.
FINDINGS = Path(__file__).parent / "findings.json"
#: Trials a setting where epochs and rates are looked for: what varies over sets decides there, seeds vary less.
SETTINGS_SEEDS = 1


def atlas(
    *,
    only: Annotated[
        tuple[str, ...], Parameter(negative="", help="These sets; all by default. Their share of the budget stays.")
    ] = (),
    data: Annotated[
        Path | None,
        Parameter(help=f"Folder of the sets; {DATA_VARIABLE} by default. Sets that are not there are left out."),
    ] = None,
    out: Annotated[Path, Parameter(help="Folder of the studies; what is there is gone on with.")] = Path("atlas"),
    findings: Annotated[Path, Parameter(help="The file of findings.")] = FINDINGS,
    budget: Annotated[str, Parameter(help="Time of all runs together, as 4h or 90m.")] = "4h",
    seeds: Annotated[int, Parameter(help="Trials a rung.")] = 5,
    plan: Annotated[bool, Parameter(negative="", help="Measure, print what would be run, and run nothing.")] = False,
    plain: Annotated[
        bool, Parameter(negative="", help="Score frozen features and a logistic regression on the same photographs.")
    ] = False,
    settings: Annotated[
        bool, Parameter(negative="", help="Train small sets over epochs and learning rates; sets that are asked for.")
    ] = False,
    page: Annotated[
        bool, Parameter(negative="", help="Write docs/what-helps-where.md and what users meet, of the findings alone.")
    ] = False,
    defaults: Annotated[
        bool, Parameter(negative="", help="Say of the findings what one recipe for all sets costs on a set left out.")
    ] = False,
) -> int:
    """Run the studies of the atlas that are missing, or print their plan, write their page, choose defaults by them."""
    from benchmarks.atlas.defaults import describe_defaults
    from benchmarks.atlas.page import write_page
    from benchmarks.atlas.planning import describe_rule, plan_runs
    from benchmarks.atlas.running import run_all, write_findings
    from benchmarks.atlas.sets import available, read_sets
    from stepladder.cli.training_options import parse_duration
    from stepladder.studies.pool.files import read_pool

    console = make_console()
    if page or defaults:
        if not findings.is_file():
            raise StudyError(f"there are no findings in {findings}; run the atlas first, or name them with `findings`")
        if page:
            for path in write_page(read_pool(findings)):
                console.print(f"Written: {path}", markup=False)
        if defaults:
            for line in describe_defaults(read_pool(findings)):
                console.print(line, markup=False)
        return 0
    if seeds < 2:
        raise StudyError(f"`seeds` is {seeds}; an interval takes at least 2, and the atlas 5")
    every = read_sets()
    if wrong := [name for name in only if name not in {one.name for one in every}]:
        raise StudyError(f"`only`: {unknown('set', wrong[0], [one.name for one in every])}")
    root = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    there, missing = available(every, root)
    for one in missing:
        console.print(f"Left out: {one.name}, whose images are not in {root or DATA_VARIABLE}.", markup=False)
    chosen = [one for one in there if not only or one.name in only]
    if not chosen:
        raise StudyError(f"no set is there to be run; name the folder of the sets with `data`, or in {DATA_VARIABLE}")
    if settings:
        from benchmarks.atlas.settings import run_settings

        for found in run_settings(chosen, out, SETTINGS_SEEDS, console):
            console.print(f"{found.image_set}: {count(len(found.scores), 'setting')}", markup=False)
        return 0
    allowed = parse_duration("`budget`", budget)
    share = sum(len(one.config.runs) for one in chosen) / sum(len(one.runs) for one in every)
    runs = plan_runs(chosen, out, allowed * share, seeds, console)
    table = table_of("set", "run", "images", "trials", "epochs", "images a class", "estimate", "s a trial")
    for run in runs:
        table.add_row(
            run.image_set, run.kind, f"{run.images:,}", str(run.trials), f"{run.epochs} of {run.wanted_epochs}",
            "all" if run.limit is None else str(run.limit), duration(run.seconds), f"{run.seconds / run.trials:.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"{count(len(runs), 'run')}, {count(sum(run.trials for run in runs), 'trial')}: about "
        f"{duration(sum(run.seconds for run in runs))}. {describe_rule(allowed, seeds)}",
        markup=False,
    )
    if plan:
        return 0
    if plain:
        from benchmarks.atlas.plain import score_all

        for score in score_all(chosen, runs):
            console.print(
                f"{score.image_set}: {percent(score.test)} on test, in {duration(score.seconds)}", markup=False
            )
        return 0
    failed = run_all(chosen, runs, out, seeds, console)
    written = write_findings(chosen, runs, out, findings, describe_rule(allowed, seeds))
    console.print(f"Findings of {count(written, 'study').replace('studys', 'studies')}: {findings}", markup=False)
    for sentence in failed:
        console.print(to_flags(sentence), markup=False)
    return 1 if failed else 0
