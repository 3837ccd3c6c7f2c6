"""``study_command``: a study whose trials are runs of the user's own program."""

from __future__ import annotations

from pathlib import Path

import torch

from stepladder.api.results import Study
from stepladder.errors import StudyError
from stepladder.report.write import write_report
from stepladder.studies.design.rules import DEFAULT_SEEDS, Rules, check_seeds
from stepladder.studies.files.machine import describe_machine, describe_versions, now
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import Findings, work_out
from stepladder.studies.running.cluster.session import ending
from stepladder.studies.scores.commands import CommandPlan, make_record
from stepladder.studies.scores.running import CommandCallbacks, CommandExecution, describe_code, run_commands


def study_command(
    plan: CommandPlan,
    *,
    seeds: int = DEFAULT_SEEDS,
    out: Path | str | None = None,
    rules: Rules | None = None,
    execution: CommandExecution | None = None,
    callbacks: CommandCallbacks | None = None,
) -> Study:
    """Run a command for every rung and seed, and say what the evidence holds.

    The same call again runs only what is missing, and more seeds add to what is there.

    >>> plan = sl.CommandPlan("python train.py {seed} {options}", ("base:", "+mixup:--mixup 0.2"))  # doctest: +SKIP
    >>> sl.study_command(plan, seeds=5, out="studies/mixup")  # doctest: +SKIP

    Args:
        plan: the command and its rungs.
        seeds: runs a rung, with seeds 0 to ``seeds`` - 1.
        out: the study's folder; ``studies/command-<last rung>`` by default.
        rules: ``alpha``, ``smallest_effect`` and ``final``; the others are of images.
        execution: how many at a time, on which GPUs, within which limits.
        callbacks: told as runs end.

    Raises:
        StudyError: the command cannot be run, or the folder holds another study.
        Stopped: it was asked to stop; the same call goes on.
    """
    rules, execution = rules or Rules(), execution or CommandExecution()
    check_seeds(seeds)
    _check_rules(rules)
    last = plan.rungs[-1].partition(":")[0].lstrip("+") if plan.rungs else "fractions"
    folder = Path(out) if out is not None else Path("studies") / f"command-{last}".replace(" ", "-")
    versions = {name: value for name, value in describe_versions().items() if name in ("python", "stepladder")}
    record = make_record(
        plan,
        seeds,
        rules,
        name=folder.name,
        versions=versions | describe_code(Path.cwd()),
        machine=describe_machine(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        command=execution.command,
        created=now(),
    )
    try:
        with ending():
            run_commands(record, folder, rules, execution, callbacks)
    finally:
        if (folder / "study.json").is_file():
            write_report(work_out(load_study(folder)))
    findings = work_out(load_study(folder))
    assert isinstance(findings, Findings)
    return Study(findings)


def _check_rules(rules: Rules) -> None:
    rules_of_images = Rules(alpha=rules.alpha, smallest_effect=rules.smallest_effect, final=rules.final)
    for name in vars(rules):
        if name != "metric" and getattr(rules, name) != getattr(rules_of_images, name):
            raise StudyError(f"`{name}` is for images that are trained on here, and `run` is a program; leave it out")
    if not 0 < rules.alpha <= 0.5:
        raise StudyError(f"`alpha` is {rules.alpha:g}; it must be above 0 and at most 0.5, and 0.05 is usual")
    if rules.smallest_effect is not None and not 0 <= rules.smallest_effect < float("inf"):
        raise StudyError(f"`smallest_effect` is {rules.smallest_effect}; it must be 0 or more")
