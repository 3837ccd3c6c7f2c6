"""How a study, sweep or curve was done: plan, rules, splits, readings of test, time, energy, versions, hardware."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, assert_never

from stepladder.report.markdown import render_list
from stepladder.report.marks import WATCHED
from stepladder.report.section import Section
from stepladder.report.sections.data import describe_images
from stepladder.report.units import Scale, amount, count, duration, listing, percent
from stepladder.studies.design.rules import look_sizes, next_size
from stepladder.studies.design.sweeps import AxisRecord, Value, as_text
from stepladder.studies.files.records import Reading, SavedStudy, StudyRecord
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings
from stepladder.studies.judging.trial_facts import Costs, describe_machine
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.history import TRAIN_SAMPLE

#: Facts that the section on the data has on the page, and in the Markdown this one.
_OF_THE_DATA = ("Images", "Splits", "Data fingerprint")


class ProtocolSection(Section[AnyFindings]):
    """What someone needs to judge how far the study can be believed, and to repeat it."""

    key = "protocol"
    heading = "How it was done"

    def values(self, findings: AnyFindings) -> dict[str, Any]:
        """Return both lists of facts, without those that the page has just above, under the data."""
        return {
            "protocol": [fact for fact in protocol(findings) if fact[0] not in _OF_THE_DATA],
            "platform": platform(findings.study.record),
        }

    def markdown(self, findings: AnyFindings) -> str:
        """Return both lists of facts."""
        how, where = (
            render_list(f"{what}: {which}" for what, which in facts)
            for facts in (protocol(findings), platform(findings.study.record))
        )
        return f"{how}\n\n### Versions and hardware\n\n{where}"


def protocol(findings: AnyFindings) -> list[tuple[str, str]]:
    """Return how it was run, as (what, how) pairs."""
    record, data, costs = findings.study.record, findings.study.record.data, findings.facts.costs
    train = data.counts.get("train", 0)
    sample = f"a fixed sample of {TRAIN_SAMPLE:,}" if train > TRAIN_SAMPLE else "all"
    budget = [] if costs.epochs is None else [("Budget", f"{count(costs.epochs, 'epoch')} a trial")]
    return [
        ("Plan", f"{record.plan}: {_rungs(findings)}, seeds {', '.join(map(str, record.seeds))}"),
        *budget,
        *_rules(findings),
        ("Images", f"{describe_images(data)}, {len(data.class_names):,} classes"),
        ("Splits", ", ".join(f"{images:,} {split}" for split, images in data.counts.items()) + _drawn(record)),
        ("Validation share", f"{100 * record.validation:g} % of the training images, held out"),
        ("Test images", _test(findings)),
        ("Weights kept", "the last epoch's" if record.select == "last" else "those of the epoch best on validation"),
        ("Training accuracy", f"in evaluation mode on {sample} plain training images"),
        ("Precision and device", f"{record.precision} on {record.device}{_why(record)}"),
        ("Time", f"{duration(costs.seconds)} in all trials"),
        *_reused(findings.study),
        *_nodes(findings),
        ("Energy", _energy(costs, len(findings.study.trials))),
        ("Started", record.created),
        ("Plan hash", record.plan_hash),
        ("Data fingerprint", data.fingerprint),
        ("Split", data.split),
    ]


def _reused(study: SavedStudy) -> list[tuple[str, str]]:
    """Return from where how many trials were taken over; nothing where all ran here."""
    sources = Counter(str(Path(one.result.reused_from).parent) for one in study.trials if one.result.reused_from)
    if not sources:
        return []
    each = [f"{number} of {count(len(study.trials), 'trial')} from {source}" for source, number in sources.items()]
    return [("Taken over", f"{listing(each)}; trained there, with the same recipe, seed, images and arithmetic")]


def _nodes(findings: AnyFindings) -> list[tuple[str, str]]:
    """Return which machines of a cluster trained how many trials; nothing where all ran on one that owns the folder."""
    facts = findings.facts
    if not facts.nodes:
        return []
    each = listing(
        [
            f"{node.trials} on {node.name}"
            + (f" ({node.images_per_second:,.0f} images/s)" if node.images_per_second is not None else "")
            for node in facts.nodes
        ]
    )
    again = f"; after a loss, {count(facts.retries, 'trial')} went on elsewhere" if facts.retries else ""
    return [("Nodes of the cluster", f"{each}{again}")]


def platform(record: StudyRecord) -> list[tuple[str, str]]:
    """Return the versions and the machine that a study was planned on, as (what, which) pairs."""
    versions = dict(record.versions)
    if "packages" in versions:  # a page of them: study.json has their names
        versions["packages"] = f"{versions['packages'].count(',') + 1:,}, named in study.json"
    return [*versions.items(), ("machine", describe_machine(record.machine))]


def describe_readings(study: SavedStudy) -> str:
    """Return how often the test images were read, and when, one sentence without its end."""
    past, looks = study.readings, len(study.record.looks)
    is_open = study.record.spending == "open"
    if not past:
        return "not read yet; read once, when every planned trial has ended"
    others = f"; {count(past[-1].elsewhere, 'other plan')} had read them before" if past[-1].elsewhere else ""
    if looks == 1 and len(past) == 1:
        return f"read once, after all training had ended ({past[0].time}){others}"
    each = [f"{_describe_reading(reading, 0 if is_open else looks)} ({reading.time})" for reading in past]
    times = "once" if len(past) == 1 else "twice" if len(past) == 2 else f"{len(past)} times"
    return f"read {times}: {listing(each)}{others}"


def _describe_reading(reading: Reading, looks: int) -> str:
    match reading.kind:
        case "planned":
            return "as planned"
        case "look":
            return f"at declared look {reading.look} of {looks}" if looks else f"at look {reading.look}"
        case "added":
            return "for seeds added later"
        case "again":
            return "again for trials read before"
        case _:
            assert_never(reading.kind)


def _rungs(findings: AnyFindings) -> str:
    rungs = len(findings.study.record.rungs)
    match findings:
        case Findings():
            return count(rungs, "rung")
        case SweepFindings():
            return count(rungs, "point")
        case CurveFindings():
            return count(rungs, "size")
        case _:
            assert_never(findings)


def _test(findings: AnyFindings) -> str:
    reading = describe_readings(findings.study)
    if isinstance(findings, SweepFindings):
        return "not read: a sweep chooses by validation images alone"
    if findings.study.record.validation == 0:
        return f"{WATCHED}. The figures of the saved models: {reading}"
    return reading


def _rules(findings: AnyFindings) -> list[tuple[str, str]]:
    """Return by which rules what is said was judged."""
    match findings:
        case Findings():
            return [("Judged by", judged_by(findings))]
        case SweepFindings():
            return rules_of_sweep(findings)
        case CurveFindings():
            return rules_of_curve(findings)
        case _:
            assert_never(findings)


def rules_of_curve(findings: CurveFindings) -> list[tuple[str, str]]:
    """Return which sizes a curve has, what each was trained for, and what was fitted to them."""
    fit = "with and without a floor, averaged by their weights; intervals are for what would be measured"
    if findings.of_command:
        sizes = listing([f"{100 * size.share:g} %" for size in findings.sizes])
        return [
            ("Sizes", f"{sizes} of the training images, drawn by the command"),
            ("Fit", f"power laws from an error of {percent(1 - findings.guess)} {fit}"),
        ]
    sizes = listing([f"{size.images:,}" for size in findings.sizes])
    guess = f"power laws from guessing ({percent(findings.guess)} of test is right by it)"
    return [
        ("Sizes", f"{sizes} training images, each within the next, every class by its share"),
        ("Budget", "as many steps as the largest size" if findings.equal_steps else "as many epochs for each size"),
        ("Fit", f"{guess} {fit}"),
    ]


def judged_by(findings: Findings) -> str:
    """Return metric, error rate, smallest effect of interest and looks, one sentence without its end."""
    record = findings.study.record
    interest = amount(Scale(findings.metric.unit), record.smallest_effect)
    rules = f"{findings.metric.label}, α = {record.alpha:g}, smallest effect of interest {interest}"
    if record.spending == "open":
        taken = look_sizes(record.looks[0].seeds, len(record.seeds))
        later = next_size(record.looks[0].seeds, len(record.seeds) + 1)
        rules += f", looks at {listing([str(each) for each in taken] or ['2'])} seeds so far, the next at {later}"
    elif len(record.looks) > 1:
        rules += f", looks at {listing([str(look.seeds) for look in record.looks])} seeds"
    return rules


def rules_of_sweep(findings: SweepFindings) -> list[tuple[str, str]]:
    """Return the keys of a sweep, what proposed its points, and how they are told apart."""
    sweep = findings.sweep
    rules = [(axis.key, describe_axis(axis)) for axis in sweep.axes]
    if (search := sweep.search) is not None:
        together = f", {search.together} together" if search.together > 1 else ""
        asked = f"{search.tool}, {count(search.points, 'point')}{together}, seed {search.seed}"
        pruning = "A point is given up when its mean is below the median of the earlier points after as many seeds"
        pruning += ", which are those of earlier rounds" if together else ""
        rules.append(("Search", f"{asked}. {pruning}" if len(findings.study.record.seeds) > 1 else asked))
    if findings.chance_level is not None:
        rules.append(
            (
                "No better than guessing",
                f"{percent(findings.chance_level)} or less. Always naming the largest class has "
                f"{percent(sweep.guess)}, and chance adds no more in 97.5 % of such validation sets",
            )
        )
    return [
        *rules,
        (
            "Told apart",
            "by Tukey's method for all pairs of points that learned, at 95 % together. The spread is the one that they "
            "share once the means of points and of seeds are taken out (docs/sweeps.md)",
        ),
    ]


def describe_axis(axis: AxisRecord) -> str:
    """Say what a key was varied over."""
    if axis.values:
        return listing([as_text(value) for value in axis.values])
    scale = ", evenly in the logarithm" if axis.log else ""
    return f"{_end(axis.low, axis)} to {_end(axis.high, axis)}{scale}"


def _end(value: Value | None, axis: AxisRecord) -> str:
    assert value is not None
    return as_text(int(value) if axis.whole else value)


def _why(record: StudyRecord) -> str:
    """Say how the precision came about, where that was recorded."""
    if record.arithmetic is None:
        return ""
    return ": " + Arithmetic(**record.arithmetic.model_dump()).describe().partition(", ")[2].rstrip(".")


def _drawn(record: StudyRecord) -> str:
    return ", drawn anew by each seed" if record.resplit else ""


def _energy(costs: Costs, trials: int) -> str:
    """Say what the processors used, where the machine reports it."""
    if costs.joules is None or costs.watts is None:
        return "not reported by this machine"
    some = "all trials" if costs.told == trials else f"{costs.told} of {count(trials, 'trial')}"
    return (
        f"{costs.joules / 3600:,.1f} Wh in {some}, {costs.watts:.0f} W on average: the processor packages with all "
        "that ran on them, without accelerators"
    )
