"""``stepladder judge``: scores that another program made, from a table or from the folders of its runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepladder.api import judge as verbs
from stepladder.api.judge import REQUIREMENTS, JudgeOptions, Judgment
from stepladder.cli.console import AsJson, make_console, print_json, typed_command
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, JUDGING, OUTPUT, SCORES
from stepladder.errors import StudyError
from stepladder.report.scores import judgment_schema
from stepladder.report.terminal import print_report, sentences_of
from stepladder.report.write import REPORT_PAGE
from stepladder.studies.scores.judging import PLANS

#: Exit code where what was required is not shown: 1 is for failed trials, 2 for wrong input.
NOT_SHOWN = 10


def judge(
    results: Annotated[
        str | None,
        Parameter(
            help="A table (CSV, JSON lines, parquet), a folder of runs, a pattern as 'runs/{variant}/seed{seed}', or a "
            "study."
        ),
    ] = None,
    /,
    *,
    baseline: Annotated[
        str | None,
        Parameter(
            group=FIRST, help="The variant that others are compared with; the one called baseline, or the first."
        ),
    ] = None,
    plan: Annotated[
        str,
        Parameter(
            group=FIRST, help="add-one: every variant against the baseline; ladder: each against the one before it."
        ),
    ] = PLANS[0],
    require: Annotated[
        str | None,
        Parameter(
            group=FIRST,
            help=f"Exit with {NOT_SHOWN} unless every comparison is this: {', '.join(REQUIREMENTS)}; of one alone, as "
            "mixup=helped.",
        ),
    ] = None,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the report; studies/<name>-judged by default.")
    ] = None,
    variant: Annotated[
        str | None, Parameter(group=SCORES, help="The column that says what is compared; several as lr,batch_size.")
    ] = None,
    seed: Annotated[str | None, Parameter(group=SCORES, help="The column of seeds, which pairs runs.")] = None,
    metric: Annotated[str | None, Parameter(group=SCORES, help="The column of the score that is judged.")] = None,
    lower_is_better: Annotated[
        bool | None,
        Parameter(group=SCORES, help="Whether less of the score is good; by its name where nothing is said."),
    ] = None,
    unit: Annotated[
        Literal["percent", "fraction", "number"] | None,
        Parameter(group=SCORES, help="What the score is written in; by its name and its values where nothing is said."),
    ] = None,
    val: Annotated[
        str | None,
        Parameter(group=SCORES, help="The column of the validation score, which may choose an epoch and a variant."),
    ] = None,
    block: Annotated[
        str | None, Parameter(group=SCORES, help="The column of data sets, where there are several.")
    ] = None,
    epoch: Annotated[
        str | None, Parameter(group=SCORES, help="The column of epochs, where runs have several rows.")
    ] = None,
    select: Annotated[
        Literal["last", "best-val"],
        Parameter(group=SCORES, help="Of several epochs the last, or best-val for the one best on validation."),
    ] = "last",
    images: Annotated[
        int | None, Parameter(group=SCORES, help="Test images behind a score, which is then a share of so many.")
    ] = None,
    diverged: Annotated[
        float | None,
        Parameter(
            group=JUDGING, help="What a run without a score counts as, in the score's unit; it is left out by default."
        ),
    ] = None,
    tried: Annotated[
        int | None,
        Parameter(
            group=JUDGING, help="How many comparisons were tried in all, shown or not: intervals allow for them."
        ),
    ] = None,
    alpha: Annotated[float, Parameter(group=JUDGING, help='Chance of any wrong "helped" or "hurt".')] = 0.05,
    smallest_effect: Annotated[
        float | None,
        Parameter(
            group=JUDGING,
            help="Smallest effect of interest, in points of a share (0.5 by default), else in the score's unit.",
        ),
    ] = None,
    final: Annotated[
        bool,
        Parameter(
            group=JUDGING,
            negative="",
            show_default=False,
            help="Judge once, with all of alpha; some is kept for seeds that are added later by default.",
        ),
    ] = False,
    first_look: Annotated[
        int | None,
        Parameter(
            group=JUDGING, help="Seeds at which these scores were judged first; as many as there are now by default."
        ),
    ] = None,
    budget: Annotated[
        Path | None,
        Parameter(
            group=JUDGING,
            help="File of a budget of claims, for one proposal after another: all of them together are held to alpha.",
        ),
    ] = None,
    proposal: Annotated[
        str | None,
        Parameter(group=JUDGING, help="Of --budget: the name under which seeds are added to an earlier proposal."),
    ] = None,
    schema: Annotated[
        bool,
        Parameter(group=OUTPUT, negative="", show_default=False, help="Print the JSON schema of what --json prints."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say what scores that exist already are worth."""
    if schema:
        print(judgment_schema(), end="")
        return 0
    if results is None:
        raise StudyError("give a table of scores, a folder of runs, or a pattern, as runs/{variant}/seed{seed}")
    console = make_console(as_json)
    options = JudgeOptions(
        plan=plan,
        baseline=baseline,
        alpha=alpha,
        smallest_effect=smallest_effect,
        final=final,
        first_look=first_look,
        tried=tried,
        diverged=diverged,
        images=images,
        variant=variant,
        seed=seed,
        metric=metric,
        validation=val,
        block=block,
        epoch=epoch,
        unit=unit,
        lower_is_better=lower_is_better,
        select=select,
        budget=budget,
        proposal=proposal,
    )
    if verbs.find_study(results, options) is not None:
        judgment = verbs.judge(results, out=out)
    else:
        found = verbs.read_scores(results, options.columns())
        for what, where in found.columns.items():
            console.print(f"{what}: {where}", markup=False, soft_wrap=True)
        folder = out or Path("studies") / f"{found.name}-judged"
        judgment = verbs.judge_scores(found, _in_units(options, found.share, found.percent), folder, typed_command())
        other = "; --baseline names another" if baseline is None and plan == PLANS[0] else ""
        console.print(f"Compared: {judgment.columns['Compared']}{other}", markup=False, soft_wrap=True)
    print_report(console, judgment.findings, to_flags)
    met = None if require is None else judgment.meets(require)
    if judgment.budget is not None:
        left = judgment.budget
        console.print(
            f"Budget: proposal {len(left.claims)}, judged at {100 * judgment.record.alpha:.3g} %; {left.accepted} "
            f"accepted so far; the next one is judged at {100 * left.level():.3g} %."
        )
    if met is not None:
        console.print(f"Required: {require}: {'shown' if met else 'not shown'}.", markup=False)
    if as_json:
        print_json(_document(judgment, require, met))
    return 0 if met in (None, True) else NOT_SHOWN


def _in_units(options: JudgeOptions, share: bool, percent: bool) -> JudgeOptions:
    """Return options in the library's units: points of a share become fractions of 1."""
    smallest, diverged = options.smallest_effect, options.diverged
    return replace(
        options,
        smallest_effect=smallest / 100 if share and smallest is not None else smallest,
        diverged=diverged / 100 if percent and diverged is not None else diverged,
    )


def _document(judgment: Judgment, require: str | None, met: bool | None) -> dict[str, object]:
    document = judgment.to_document()
    if require is not None:
        document["required"] = {"requirement": require, "met": met}
    if judgment.budget is not None:
        claims = judgment.budget
        document["budget"] = {"alpha": claims.alpha, "proposals": len(claims.claims), "accepted": claims.accepted}
    document["report"] = str(judgment.folder / REPORT_PAGE)
    document["summary"] = [to_flags(sentence) for sentence in sentences_of(judgment.findings)]
    return document
