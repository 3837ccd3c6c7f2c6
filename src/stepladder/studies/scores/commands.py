"""Any command as a trial: its words with places for the seed and the folder, and the arguments that each rung adds.

No shell reads the words unless that is asked for, so that no value can be anything but one argument.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError, some_of, unknown
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.design.rules import Rules, looks_for
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import (
    ContrastRecord,
    DataRecord,
    LookRecord,
    Machine,
    RungRecord,
    ScoresRecord,
    StudyRecord,
)
from stepladder.studies.scores.columns import Unit, is_lower, is_share
from stepladder.training.metrics import OWN_SMALLEST_EFFECT

#: What stands in braces in a command.
PLACES = ("seed", "out", "options", "rung", "fraction", "read_test")

#: What ``{read_test}`` becomes once all training has ended; before, nothing.
READ_TEST = "--read-test"


@dataclass(frozen=True)
class CommandPlan:
    """A command and the rungs that are compared, settled before the first run.

    Attributes:
        run: the words of the command with places in braces: ``{seed}``, ``{out}``, ``{options}``, ``{rung}``,
            ``{fraction}`` and ``{read_test}``.
        rungs: ``NAME:arguments``, from below; a + before the name adds to the arguments of the rung below.
        plan: ``ladder`` compares each rung with the one below, ``add-one`` each with the first.
        metric: what the score is called.
        lower_is_better: whether less of it is good; None goes by its name.
        unit: ``percent``, ``fraction`` or ``number``; None takes fractions for what is a share by its name.
        diverged: what a run whose score is no number counts as; None takes the worst share there is.
        shell: whether a shell reads the command.
        fractions: of the training images, a rung each; only with ``{fraction}``.
    """

    run: str
    rungs: tuple[str, ...]
    plan: str = "ladder"
    metric: str = "accuracy"
    lower_is_better: bool | None = None
    unit: Unit | None = None
    diverged: float | None = None
    shell: bool = False
    fractions: tuple[float, ...] = ()

    @property
    def share(self) -> bool:
        """Whether scores are shares, as fractions of 1 or in percent."""
        return self.unit != "number" and (self.unit is not None or is_share(self.metric))

    def check(self) -> None:
        """Raise StudyError where the command or its rungs cannot be run."""
        _check_command(self.run, self.shell)
        if self.plan not in ("ladder", "add-one"):
            raise StudyError(unknown("plan", self.plan, ("ladder", "add-one")))
        named = _places(self.run)
        if "options" not in named and "rung" not in named and not self.fractions:
            raise StudyError(
                f"`run` has no place for what rungs add; write {{options}} into it: {self.run} {{options}}"
            )
        if self.fractions:
            if "fraction" not in named:
                raise StudyError(
                    "`fractions` is given, and `run` has no place for it; write {fraction} into the command"
                )
            for fraction in self.fractions:
                if not 0 < fraction <= 1:
                    raise StudyError(f"`fractions` has {fraction:g}; a fraction is above 0 and at most 1")
        elif "fraction" in named:
            raise StudyError("`run` has {fraction}; say which ones with `fractions`, as 0.1,0.3,1")
        if self.fractions and self.rungs:
            raise StudyError("`fractions` makes a rung of each, and `rung` gives others; leave one of the two out")

    def rung_records(self) -> tuple[RungRecord, ...]:
        """Return the rungs with the words of the command, from below.

        Raises:
            StudyError: a rung is not written as one, fewer than two, or two are the same.
        """
        self.check()
        if self.fractions:
            return tuple(self._record(f"{fraction:g}", (), (), fraction) for fraction in sorted(set(self.fractions)))
        records: list[RungRecord] = []
        for text in self.rungs:
            name, colon, written = text.partition(":")
            adds, name = name.startswith("+"), name.removeprefix("+").strip()
            if not colon or not re.fullmatch(r"[\w .=+-]+", name):
                raise StudyError(f"`rung` is {text}; write NAME:arguments, as base: and then '+mixup:--mixup 0.2'")
            try:
                own = tuple(shlex.split(written))
            except ValueError as error:
                raise StudyError(
                    f"`rung` is {text}, whose arguments cannot be read ({error}); close the quote"
                ) from error
            below = tuple(records[-1].recipe["options"]) if adds and records else ()
            records.append(self._record(name, own if adds and records else (), (*below, *own), None))
        if len(records) < 2:
            raise StudyError("a study compares rungs; give two or more, as `rung` base: and then '+mixup:--mixup 0.2'")
        for place, record in enumerate(records):
            for other in records[:place]:
                if record.name == other.name:
                    raise StudyError(f"two rungs are called '{record.name}'; give each a name of its own")
                if record.recipe["options"] == other.recipe["options"] and "rung" not in _places(self.run):
                    raise StudyError(
                        f"the rungs '{other.name}' and '{record.name}' have the same arguments; change one"
                    )
        return tuple(records)

    def _record(self, name: str, adds: tuple[str, ...], options: tuple[str, ...], fraction: float | None) -> RungRecord:
        recipe: dict[str, Any] = {"run": self.run, "options": list(options)}
        if "rung" in _places(self.run):
            recipe["rung"] = name
        if self.shell:
            recipe["shell"] = True
        if fraction is not None:
            recipe["fraction"] = fraction
        return RungRecord(name=name, adds=(shlex.join(adds),) if adds else (), recipe=recipe)


def _places(run: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(run) if name}


def _check_command(run: str, shell: bool) -> None:
    try:
        named = [name for _, name, _, _ in string.Formatter().parse(run) if name is not None]
        words = [run] if shell else shlex.split(run)
    except ValueError as error:
        raise StudyError(f"`run` cannot be read ({error}); a brace that is meant is written twice, as {{{{") from error
    if not words:
        raise StudyError("`run` is empty; give the command, as 'python train.py --seed {seed} --out {out} {options}'")
    for name in named:
        if name not in PLACES:
            raise StudyError(
                f"`run`: {unknown('place', name, PLACES)}; a brace that is meant is written twice, as {{{{"
            )
    if "seed" not in named:
        raise StudyError(
            "`run` has no place for the seed, so every run would be the same; write {seed} into it, as --seed {seed}"
        )
    if shell:
        return
    for word in words:
        if re.search(r"^(\||\|\||&&|&|;|>|>>|<|2>&1)$", word):
            raise StudyError(
                f"`run` has {word}, which only a shell understands, and none is used; add `shell=True`, or write a "
                "script"
            )


def words_of(recipe: Mapping[str, Any], seed: int, out: Path, read_test: bool) -> list[str]:
    """Return the words of one run, the places filled: for no shell, or the three that start one.

    Args:
        recipe: of the rung's record.
        out: absolute, where the run writes.
        read_test: whether the run is to score test and not to train.
    """
    options = [str(option) for option in recipe["options"]]
    values = {"seed": str(seed), "out": str(out), "rung": str(recipe.get("rung", ""))}
    values["fraction"] = f"{recipe.get('fraction', 1):g}"
    if recipe.get("shell"):
        quoted = {name: shlex.quote(value) for name, value in values.items()}
        quoted |= {"options": shlex.join(options), "read_test": READ_TEST if read_test else ""}
        return ["/bin/sh", "-c", recipe["run"].format(**quoted)]
    words: list[str] = []
    for word in shlex.split(recipe["run"]):
        if word == "{options}":
            words += options
        elif word == "{read_test}":
            words += [READ_TEST] if read_test else []
        else:
            words.append(word.format(**values, options=shlex.join(options), read_test=READ_TEST if read_test else ""))
    return words


def make_record(plan: CommandPlan, seeds: int, rules: Rules, **about: Any) -> StudyRecord:
    """Return the record of a study of a command, hashed, with ``seeds`` seeds a rung.

    Args:
        about: ``name``, ``versions``, ``machine``, ``command`` and ``created``, for a reader.
    """
    rungs = plan.rung_records()
    pairs = pairwise(rungs) if plan.plan == "ladder" else ((rungs[0], rung) for rung in rungs[1:])
    kind = ContrastKind.LADDER if plan.plan == "ladder" else ContrastKind.ADD_ONE
    smallest = rules.smallest_effect
    if smallest is None:
        smallest = OWN_SMALLEST_EFFECT if plan.share else 0.0
    text = json.dumps([rung.recipe for rung in rungs], sort_keys=True)
    machine = about["machine"]
    assert isinstance(machine, Machine)
    (look,) = looks_for(seeds, rules)
    higher = not plan.lower_is_better if plan.lower_is_better is not None else not is_lower(plan.metric)
    record = StudyRecord(
        plan=plan.plan,
        plan_hash="",
        rungs=rungs,
        contrasts=tuple(
            ContrastRecord(name=rung.name, design=kind, weights={rung.name: 1.0, below.name: -1.0})
            for below, rung in pairs
        ),
        looks=(LookRecord(seeds=look.seeds, share=look.share),),
        metric=plan.metric,
        alpha=rules.alpha,
        smallest_effect=smallest,
        spending="declared" if rules.final else "open",
        seeds=tuple(range(seeds)),
        validation=0.0,
        precision="float32",
        device="cpu",
        data=DataRecord(
            name=about["name"],
            fingerprint=hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest(),
            split="",
            class_names=(),
            image_shape=(1, 1, 1),
            counts={},
            notes=(),
        ),
        versions=about["versions"],
        machine=machine,
        command=about["command"],
        created=about["created"],
        scores=ScoresRecord(
            source="command",
            share=plan.share,
            higher_is_better=higher,
            diverged=plan.diverged,
            columns={"Command": plan.run, "Unit": plan.unit or ("fraction" if plan.share else "number")},
            reads_test="read_test" in _places(plan.run),
        ),
    )
    return record.model_copy(update={"plan_hash": hash_plan(record)})


@dataclass(frozen=True)
class Reported:
    """What a run says of itself: scores in the unit of the study, NaN where they are no number."""

    val: float | None
    test: float | None


def read_report(out: Path, output: str, percent: bool, share: bool) -> Reported | str:
    """Return what a run has reported, in ``result.json`` or on the last line of its output; or why it has not.

    Args:
        out: the run's folder.
        output: what it printed, or the end of it.
        percent: whether scores are written in percent.
        share: whether they are shares, and so at most 1 in the end.
    """
    path = out / "result.json"
    lines = [line for line in output.splitlines() if line.strip()]
    if path.is_file():
        text, where = path.read_text(encoding="utf-8", errors="replace"), str(path.name)
    elif lines and lines[-1].lstrip().startswith("{"):
        text, where = lines[-1], "its last line"
    else:
        return 'it has no score: it neither wrote {out}/result.json nor printed {"val": …, "test": …} as its last line'
    try:
        document = json.loads(text)  # NaN may stand there: the run diverged
    except ValueError as error:
        return f"it has no score: {where} is no JSON ({error})"
    if not isinstance(document, dict):
        return f"it has no score: {where} is no JSON object"
    found: dict[str, float | None] = {}
    for name in ("val", "test"):
        value = document.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"it has no score: {name} in {where} is {json.dumps(value)[:60]}, which is no number"
        found[name] = None if value is None else float(value) / (100 if percent else 1)
    if found["val"] is None and found["test"] is None:
        keys = some_of([str(key) for key in document]) or "nothing"
        return f"it has no score: {where} holds {keys}, and neither val nor test"
    for name, one in found.items():
        if share and one is not None and math.isfinite(one) and not 0 <= one <= 1:
            unit = "percent above 100" if percent else "no fraction of 1; say `unit=percent` where it is in percent"
            return f"it has no score: {name} in {where} is {one * (100 if percent else 1):g}, {unit}"
    return Reported(found["val"], found["test"])
