"""The recipe of a study, to train a model to use, and what the study says to expect of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stepladder.errors import StudyError, some_of
from stepladder.recipe import parse_recipe
from stepladder.report.units import Scale
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import Findings, work_out


def take_home(options: RecipeOptions) -> tuple[RecipeOptions, str | None]:
    """Return options with the recipe of the study whose folder they name, and what it measured, a sentence.

    Where they name none, the options as they are and None.

    Raises:
        StudyError: the folder holds no study of rungs, or the study recommends none and no rung was named.
        StorageError: it is damaged.
    """
    if not isinstance(options.recipe, str | Path):
        return options, None
    folder = Path(options.recipe).expanduser()
    if not (folder / "study.json").is_file():
        return options, None
    findings = work_out(load_study(folder))
    if not isinstance(findings, Findings):
        raise StudyError(
            f"{folder} holds a {findings.study.record.plan}; take the recipe.toml in it, or a study's folder"
        )
    rungs = {rung.name: rung for rung in findings.study.record.rungs}
    name = options.rung or findings.choice.rung
    if name is None or name not in rungs:
        why = f"{folder} recommends no recipe" if name is None else f"{folder} has no rung '{name}'"
        raise StudyError(f"{why}; name one with `rung`: {some_of(list(rungs), 20)}")
    # The rung has all that it was trained with; what is changed of it now goes on top.
    recipe = parse_recipe(rungs[name].recipe)
    return replace(options, recipe=recipe, rung=None), _expected(findings, name)


def _expected(findings: Findings, rung: str) -> str | None:
    summary, scale = findings.rung(rung), Scale(findings.metric.unit)
    if summary.mean is None:
        return None
    counts = findings.study.record.data.counts
    spread = "" if summary.sd is None else f", sd over {summary.n} seeds"
    return (
        f"A study of this recipe, trained on {counts['train']:,} of these images, measured "
        f"{scale.spread(summary.mean, summary.sd)} {scale.unit} {findings.metric.label}{spread}, on {counts['test']:,} "
        "others. Expect about that of images like them"
    )
