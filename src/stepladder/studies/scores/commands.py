"""Any command as a trial: its words with places for the seed and the folder, and the arguments that each rung adds.

No shell reads the words unless that is asked for, so that no value can be anything but one argument.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError, some_of, unknown
from stepladder.studies.design.designs import PLANS, Contrast, ContrastKind, arrange
from stepladder.studies.design.sweeps import AxisRecord, Value, as_text, check_keys, point_name
from stepladder.studies.files.records import ContrastRecord, RungRecord
from stepladder.studies.scores.naming import Unit, is_lower, is_share

#: What stands in braces in a command.
PLACES = ("seed", "out", "options", "rung", "fraction", "read_test")

#: What ``{read_test}`` becomes once all training has ended; before, nothing.
READ_TEST = "--read-test"


@dataclass(frozen=True)
class CommandPlan:
    """A command and the rungs that are compared, settled before the first run.

    Attributes:
        run: the words of the command with places in braces: ``{seed}``, ``{out}``, ``{options}``, ``{rung}`` and
            ``{read_test}``; in a sweep, one for each key of it as well; in a curve, ``{fraction}``.
        rungs: ``NAME:arguments``, from below; a + before the name adds to the arguments of the rung below. None in a
            sweep, and none in a curve.
        plan: ``ladder`` compares each rung with the one below, ``add-one`` each with the first. In every plan but the
            ladder, each ``+NAME`` is a factor: arguments that are taken away, or stand alone on the first rung.
        metric: what the score is called.
        lower_is_better: whether less of it is good; None goes by its name.
        unit: ``percent``, ``fraction`` or ``number``; None takes fractions for what is a share by its name.
        diverged: what a run whose score is no number counts as; None takes the worst share there is.
        shell: whether a shell reads the command.
    """

    run: str
    rungs: tuple[str, ...] = ()
    plan: str = "ladder"
    metric: str = "accuracy"
    lower_is_better: bool | None = None
    unit: Unit | None = None
    diverged: float | None = None
    shell: bool = False

    @property
    def share(self) -> bool:
        """Whether scores are shares, as fractions of 1 or in percent."""
        return self.unit != "number" and (self.unit is not None or is_share(self.metric))

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the score is good: as was said, else by its name."""
        return not is_lower(self.metric) if self.lower_is_better is None else not self.lower_is_better

    @property
    def reads_test(self) -> bool:
        """Whether the command scores test apart from training, when it is asked to."""
        return "read_test" in _places(self.run)

    def check(self) -> None:
        """Raise StudyError where the command or its rungs cannot be run."""
        _check_command(self.run, self.shell, PLACES)
        if self.plan not in PLANS:
            raise StudyError(unknown("plan", self.plan, PLANS))
        named = _places(self.run)
        if "fraction" in named:
            raise StudyError(
                "`run` has {fraction}, which a curve over the training images fills and rungs do not; run a curve, or "
                "write the fraction into a rung, as half:--fraction 0.5"
            )
        if "options" not in named and "rung" not in named:
            raise StudyError(
                f"`run` has no place for what rungs add; write {{options}} into it: {self.run} {{options}}"
            )

    def rung_records(self) -> tuple[RungRecord, ...]:
        """Return the rungs with the words of the command; see :meth:`arranged`."""
        return self.arranged()[0]

    def arranged(
        self, seeds: int = 1, max_trials: int | None = None
    ) -> tuple[tuple[RungRecord, ...], tuple[ContrastRecord, ...], tuple[str, ...]]:
        """Return the rungs with the words of the command, what is compared, and what the plan cannot tell apart.

        Args:
            seeds: runs a rung.
            max_trials: runs at most; a factorial is thinned out to a balanced fraction.

        Raises:
            StudyError: a rung is not written as one, fewer than two, two are the same, or they do not fit the plan.
        """
        self.check()
        notes: tuple[str, ...] = ()
        written = [_read_rung(text) for text in self.rungs]
        if len(written) < 2:
            raise StudyError("a study compares rungs; give two or more, as `rung` base: and then '+mixup:--mixup 0.2'")
        _refuse_twice([rung.name for rung in written])
        factors = all(rung.adds for rung in written[1:])
        if self.plan == "ladder" or (self.plan == "add-one" and not factors):
            records, contrasts = self._one_above_the_other(written), self._compared([one.name for one in written])
        else:
            records, contrasts, notes = self._of_factors(written, seeds, max_trials)
        _refuse_twice([record.name for record in records])
        self._refuse_alike(records)
        if max_trials is not None and len(records) * seeds > max_trials:
            raise StudyError(
                f"`max_trials` is {max_trials} and the {self.plan} needs {len(records) * seeds} ({len(records)} rungs "
                f"× {seeds} seeds); raise it, or take fewer seeds"
            )
        return records, contrasts, notes

    def _one_above_the_other(self, written: Sequence[_Written]) -> tuple[RungRecord, ...]:
        records: list[RungRecord] = []
        for rung in written:
            adds = rung.adds and bool(records)
            below = tuple(records[-1].recipe["options"]) if adds else ()
            records.append(self._record(rung.name, rung.options if adds else (), (*below, *rung.options)))
        return tuple(records)

    def _of_factors(
        self, written: Sequence[_Written], seeds: int, max_trials: int | None
    ) -> tuple[tuple[RungRecord, ...], tuple[ContrastRecord, ...], tuple[str, ...]]:
        """Return the plan with each rung but the first as a factor: arguments that are there or not."""
        base = written[0]
        alone = next((rung for rung in written[1:] if not rung.adds), None)
        if alone is not None:
            raise StudyError(
                f"`plan={self.plan}` takes each rung for a factor, and {alone.name} does not add to the rung below; "
                f"write it as +{alone.name}:ARGUMENTS, or leave `plan` out to compare each rung with the one below"
            )
        if "options" not in _places(self.run):
            raise StudyError(
                f"`plan={self.plan}` combines what rungs add, and `run` has no place for that; write {{options}} into "
                "the command"
            )
        own = {rung.name: rung.options for rung in written[1:]}
        made = arrange(self.plan, tuple(own), base.name, seeds, max_trials)
        records = []
        for subset in made.subsets:
            adds = [word for factor in subset.adds for word in own.get(factor, ())]
            lacks = [word for factor in subset.lacks for word in own[factor]]
            options = (*base.options, *(word for factor in subset.on for word in own[factor]))
            record = self._record(subset.name, tuple(adds), options)
            records.append(record.model_copy(update={"lacks": (shlex.join(lacks),) if lacks else ()}))
        return tuple(records), tuple(_as_record(each) for each in made.contrasts), made.notes

    def _compared(self, names: Sequence[str]) -> tuple[ContrastRecord, ...]:
        """Compare each rung with the one below, or with the first."""
        ladder = self.plan == "ladder"
        pairs = pairwise(names) if ladder else ((names[0], name) for name in names[1:])
        kind = ContrastKind.LADDER if ladder else ContrastKind.ADD_ONE
        return tuple(ContrastRecord(name=name, design=kind, weights={name: 1.0, below: -1.0}) for below, name in pairs)

    def _refuse_alike(self, records: Sequence[RungRecord]) -> None:
        seen: dict[str, str] = {}
        for record in records:
            told = json.dumps(record.recipe, sort_keys=True)
            if told in seen:
                raise StudyError(f"the rungs '{seen[told]}' and '{record.name}' have the same arguments; change one")
            seen[told] = record.name

    def point_record(self, axes: Sequence[AxisRecord], values: Sequence[Value]) -> RungRecord:
        """Return one point of a sweep as a rung: the command with a value for each key."""
        record = self._record(point_name(axes, values), (), ())
        own = {axis.key: as_text(value) for axis, value in zip(axes, values, strict=True)}
        return record.model_copy(update={"recipe": {**record.recipe, "values": own}})

    def check_sweep(self, axes: Sequence[AxisRecord]) -> None:
        """Raise StudyError where the command cannot be swept over these keys."""
        keys = [axis.key for axis in axes]
        for key in keys:
            if not re.fullmatch(r"[A-Za-z_]\w*", key):
                raise StudyError(f"`over` has the key {key}; in a command it is a place, so write a word as lr")
            if key in PLACES:
                raise StudyError(f"`over` has the key {key}, which {{{key}}} in `run` means already; choose another")
        check_keys(axes, {})
        _check_command(self.run, self.shell, (*keys, *PLACES))
        for key in keys:
            if key not in _places(self.run):
                raise StudyError(
                    f"`over` has the key {key}, and `run` has no place for it; write {{{key}}} into it, as --{key} "
                    f"{{{key}}}"
                )
        if self.rungs:
            raise StudyError("a sweep makes its points of `over`, and rungs are given too; leave one of the two out")
        if "fraction" in _places(self.run):
            raise StudyError(
                "`run` has {fraction}, which a curve fills and a sweep does not; sweep it under another name"
            )

    def size_records(self, fractions: Sequence[float]) -> tuple[RungRecord, ...]:
        """Return the sizes of a curve as rungs, from the smallest: the command with each fraction of the images.

        Args:
            fractions: of the training images, in any order.

        Raises:
            StudyError: the command has no place for a fraction, or there are fewer than two different ones.
        """
        _check_command(self.run, self.shell, PLACES)
        if self.rungs:
            raise StudyError("a curve makes its sizes of fractions, and rungs are given too; leave one of the two out")
        if "fraction" not in _places(self.run):
            raise StudyError(
                "`run` has no place for the fraction of the training images; write {fraction} into it, as --fraction "
                "{fraction}"
            )
        if "options" in _places(self.run):
            raise StudyError("`run` has {options}, which a curve does not fill; write them into the command itself")
        for fraction in fractions:
            if not 0 < fraction <= 1:
                raise StudyError(f"`fractions` has {fraction:g}; a fraction is above 0 and at most 1")
        sizes = sorted(set(fractions))
        if len(sizes) < 2:
            raise StudyError("a curve compares sizes; give two fractions or more, as `fractions` 0.1,0.2,0.5,1")
        records = [self._record(f"{100 * fraction:g} %", (), ()) for fraction in sizes]
        return tuple(
            record.model_copy(update={"recipe": {**record.recipe, "fraction": fraction}})
            for record, fraction in zip(records, sizes, strict=True)
        )

    def base_recipe(self) -> dict[str, Any]:
        """Return what all points of a sweep have of the command."""
        return {"run": self.run, **({"shell": True} if self.shell else {})}

    def _record(self, name: str, adds: tuple[str, ...], options: tuple[str, ...]) -> RungRecord:
        recipe: dict[str, Any] = {"run": self.run, "options": list(options)}
        if "rung" in _places(self.run):
            recipe["rung"] = name
        if self.shell:
            recipe["shell"] = True
        return RungRecord(name=name, adds=(shlex.join(adds),) if adds else (), recipe=recipe)


@dataclass(frozen=True)
class _Written:
    """A rung as it was written: its name, whether it adds to the one below, and its own arguments."""

    name: str
    adds: bool
    options: tuple[str, ...]


def _read_rung(text: str) -> _Written:
    name, colon, written = text.partition(":")
    adds, name = name.startswith("+"), name.removeprefix("+").strip()
    if not colon or not re.fullmatch(r"[\w .=+-]+", name):
        raise StudyError(f"`rung` is {text}; write NAME:arguments, as base: and then '+mixup:--mixup 0.2'")
    try:
        return _Written(name, adds, tuple(shlex.split(written)))
    except ValueError as error:
        raise StudyError(f"`rung` is {text}, whose arguments cannot be read ({error}); close the quote") from error


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"two rungs are called '{name}'; give each a name of its own")


def _as_record(contrast: Contrast) -> ContrastRecord:
    return ContrastRecord(name=contrast.name, design=contrast.design, weights=contrast.weights)


def _places(run: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(run) if name}


def _check_command(run: str, shell: bool, places: Sequence[str]) -> None:
    try:
        named = [name for _, name, _, _ in string.Formatter().parse(run) if name is not None]
        words = [run] if shell else shlex.split(run)
    except ValueError as error:
        raise StudyError(f"`run` cannot be read ({error}); a brace that is meant is written twice, as {{{{") from error
    if not words:
        raise StudyError("`run` is empty; give the command, as 'python train.py --seed {seed} --out {out} {options}'")
    for name in named:
        if name not in places:
            raise StudyError(
                f"`run`: {unknown('place', name, places)}; a brace that is meant is written twice, as {{{{"
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
    values |= recipe.get("values", {})  # of a sweep, by key
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


@dataclass(frozen=True)
class Reported:
    """What a run says of itself: scores in the unit of the study, NaN where they are no number.

    Attributes:
        history: what it names as the file of its history, whatever that may be; None where it names none.
    """

    val: float | None
    test: float | None
    history: object = None


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
    return Reported(found["val"], found["test"], document.get("history"))
