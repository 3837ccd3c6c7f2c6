"""``judge``: scores that another program made, by the plan, the statistics and the words of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from stepladder.api.results import Compared, as_result
from stepladder.errors import StudyError, unknown
from stepladder.report.document import build_document
from stepladder.report.scores import judgment_document
from stepladder.report.write import write_report
from stepladder.studies.files.machine import now
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.files.store import load_study, results_text
from stepladder.studies.findings import Findings, work_out
from stepladder.studies.judging.verdicts import Verdict
from stepladder.studies.scores.claims import Budget, read_budget, write_budget
from stepladder.studies.scores.columns import FoundScores, find_scores
from stepladder.studies.scores.judging import JudgeRules, as_study
from stepladder.studies.scores.naming import ScoreColumns
from stepladder.studies.scores.runs import is_pattern, is_store, read_runs
from stepladder.studies.scores.tables import read_table

#: What may be required of comparisons.
REQUIREMENTS = ("helped", "equivalent", "not-worse")


class Judgment(Compared):
    """What scores say: every comparison with its interval and verdict.

    Attributes:
        budget: of claims, after this one; None where there is none.
    """

    def __init__(self, findings: Findings, budget: Budget | None = None) -> None:
        super().__init__(findings)
        self.budget = budget

    @property
    def verdicts(self) -> dict[str, Verdict | None]:
        """The verdict of each comparison, by what is compared."""
        return {effect.name: effect.verdict for effect in self.effects}

    @property
    def columns(self) -> dict[str, str]:
        """Where each thing was found, in words."""
        scores = self.record.scores
        return {} if scores is None else dict(scores.columns)

    def meets(self, requirement: str) -> bool:
        """Return whether comparisons are ``helped``, ``equivalent`` or ``not-worse``; or one, as ``mixup=helped``.

        Without a name, all of them must be. Not worse: the interval has no loss as large as the smallest effect of
        interest, so that with none of interest it is above zero.

        Raises:
            StudyError: there is no such requirement, or no such comparison.
        """
        name, equals, what = requirement.rpartition("=")
        if what not in REQUIREMENTS:
            raise StudyError(f"`require`: {unknown('requirement', what, REQUIREMENTS)}")
        asked = [effect for effect in self.effects if not equals or effect.name == name]
        if not asked:
            raise StudyError(f"`require`: {unknown('comparison', name, [effect.name for effect in self.effects])}")
        smallest = self.record.smallest_effect
        if what == "not-worse":
            return all(
                one.verdict is not None and one.interval is not None and one.interval[0] >= -smallest for one in asked
            )
        return all(one.verdict == what for one in asked)

    def to_document(self) -> dict[str, Any]:
        """Return the result as plain values, as ``judge.schema.json`` describes them."""
        if self.record.scores is None:
            return build_document(self.findings)
        return judgment_document(self.findings)


@dataclass(frozen=True)
class JudgeOptions(JudgeRules, ScoreColumns):
    """What :func:`judge` takes by name: columns (see :class:`ScoreColumns`), rules (see :class:`JudgeRules`), claims.

    Attributes:
        budget: file of a budget of claims; the proposal is judged at the level that is its own.
        proposal: name under which more seeds are added to a proposal; by default each table is a new one.
    """

    budget: Path | str | None = None
    proposal: str | None = None

    def columns(self) -> ScoreColumns:
        """Return the columns that were named."""
        return ScoreColumns(**{field.name: getattr(self, field.name) for field in fields(ScoreColumns)})

    def rules(self) -> JudgeRules:
        """Return the rules alone."""
        return JudgeRules(**{field.name: getattr(self, field.name) for field in fields(JudgeRules)})


class JudgeKeywords(TypedDict, total=False):
    """The names of :class:`JudgeOptions`, for :func:`judge`."""

    variant: str | None
    seed: str | None
    metric: str | None
    validation: str | None
    block: str | None
    epoch: str | None
    unit: Literal["percent", "fraction", "number"] | None
    lower_is_better: bool | None
    select: Literal["last", "best-val"]
    plan: str
    baseline: str | None
    alpha: float
    smallest_effect: float | None
    final: bool
    first_look: int | None
    tried: int | None
    diverged: float | None
    images: int | None
    budget: Path | str | None
    proposal: str | None


def judge(results: object, *, out: Path | str | None = None, **options: Unpack[JudgeKeywords]) -> Judgment:
    """Say what scores that exist already are worth: which variants help, by how much, with what certainty.

    >>> judgment = sl.judge("results.csv", baseline="plain", tried=40)  # doctest: +SKIP
    >>> judgment.verdicts  # doctest: +SKIP
    {'mixup': 'helped', 'cutout': 'undecided'}

    Args:
        results: a table (CSV, JSON lines, parquet), a data frame, a list of rows, a folder of runs or a pattern of such
            folders, ``runs/{variant}/seed{seed}``; or a study's folder or its ``results.csv``, which is judged by its
            own plan.
        out: where the report goes; None writes none.
        options: columns where they are not found, and rules; see :class:`JudgeOptions`.

    Raises:
        StudyError: the scores cannot be read, or do not fit; one sentence with the fix.
    """
    asked = JudgeOptions(**options)
    if (study := find_study(results, asked)) is not None:
        return _of_study(study, None if out is None else Path(out))
    found = read_scores(results, asked.columns())
    return judge_scores(found, asked, None if out is None else Path(out))


def find_study(results: object, asked: JudgeOptions) -> Path | None:
    """Return the folder of the study whose results are meant; None where they are judged as a table.

    Raises:
        StudyError: columns or rules are named, which a study has settled.
    """
    if not isinstance(results, str | Path) or is_pattern(results):
        return None
    path = Path(results)
    folder = path.parent if path.name == "results.csv" else path
    if not (folder / "study.json").is_file():
        return None
    changed = [field.name for field in fields(asked) if getattr(asked, field.name) != field.default]
    if changed:
        raise StudyError(
            f"{folder} holds a study, which settled how it is judged before its first trial, and `{changed[0]}` would "
            "change it; leave it out, or copy results.csv elsewhere to judge it as a table"
        )
    return folder


def read_scores(results: object, columns: ScoreColumns) -> FoundScores:
    """Find scores, and which column is what.

    Raises:
        StudyError: they cannot be read, or it cannot be told.
    """
    if isinstance(results, str | Path) and (is_pattern(results) or Path(results).is_dir() or is_store(results)):
        runs = read_runs(str(results))
        found = find_scores(runs.table, replace(columns, variant=columns.variant or "variant"))
        return replace(found, notes=(*runs.notes, *found.notes), columns={**runs.columns, **found.columns})
    return find_scores(read_table(results), columns)


def judge_scores(found: FoundScores, options: JudgeOptions, out: Path | None, command: str = "") -> Judgment:
    """Judge scores that were found.

    Args:
        out: where the report goes; None writes none.
        command: what to type to do it again.
    """
    rules, folder = options.rules(), out or Path("studies") / f"{found.name}-judged"
    if options.budget is None:
        if options.proposal is not None:
            raise StudyError("`proposal` names a proposal of a budget of claims; name its file with `budget`")
        findings = _work_out(as_study(found, rules, folder, command, now()))
        return _written(Judgment(findings), out)
    path = Path(options.budget)
    budget = read_budget(path, rules.alpha)
    scores = _as_judged(found)
    name = options.proposal or found.fingerprint[:16]
    budget.check(name, scores)
    findings = _work_out(as_study(found, replace(rules, alpha=budget.level(name)), folder, command, now()))
    budget = budget.with_claim(name, any(effect.verdict == "helped" for effect in findings.effects), scores)
    write_budget(path, budget)
    return _written(Judgment(findings, budget), out)


def _as_judged(found: FoundScores) -> Mapping[str, Mapping[str, float | None]]:
    scores: dict[str, dict[str, float | None]] = {}
    for score in found.scores:
        scores.setdefault(score.variant, {})[f"{score.block} {score.seed}".strip()] = score.value
    return scores


def _of_study(folder: Path, out: Path | None) -> Judgment:
    """Return what a study says, whose results.csv must be that of its trials."""
    if out is not None:
        raise StudyError(f"{folder} holds a study, whose report lies in its own folder; leave `out` away")
    study = load_study(folder)
    path = folder / "results.csv"
    if path.is_file() and path.read_text(encoding="utf-8") != results_text(study):
        raise StudyError(
            f"{path} is not what the trials of its study say; rebuild it with report, or copy it elsewhere to judge it "
            "as a table"
        )
    return Judgment(_work_out(study))


def _work_out(study: SavedStudy) -> Findings:
    findings = work_out(study)
    if not isinstance(findings, Findings):
        kind = type(as_result(findings)).__name__.lower()
        raise StudyError(f"{study.folder} holds a {kind}, which compares no rungs on test; give a study")
    return findings


def _written(judgment: Judgment, out: Path | None) -> Judgment:
    if out is not None:
        write_report(judgment.findings)
    return judgment
