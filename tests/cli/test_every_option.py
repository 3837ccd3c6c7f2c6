"""No option of any command is dropped without a word.

Options that touch the same thing could cover one another. Each such pair of each command is in the table below: either
both count, and how; or they are refused, by which words. The options are those of the parsers themselves, so that a new
one fails here until somebody has said what it touches and how it goes with the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from stepladder.api import verbs
from stepladder.api.job import ImagesToLoad
from stepladder.cli import app, data_options, run
from stepladder.datasets import ImageSet
from stepladder.errors import StepladderError
from stepladder.studies.running.execution import Execution

Call = Callable[..., Any]


def _commands(parent: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every command with its options, as the parser knows them."""
    for name in parent:
        if not name.startswith("-"):
            yield from _commands(parent[name], (*path, name))
    if path and parent.default_command is not None:
        listed = (one.name for one in parent.assemble_argument_collection() if not one.children)
        yield " ".join(path), tuple(name for name in listed if name.startswith("--"))  # others have a place alone


COMMANDS = dict(_commands(app))

#: What an option touches. Options without a word here meet no other: where a result goes, who watches.
TOPICS: dict[str, str] = {
    "--abstain": "",
    "--accept-different-bits": "",
    "--address": "",
    "--again": "",
    "--all-data": "splits",
    "--alpha": "judging",
    "--baseline": "rungs",
    "--batch-size": "settings",
    "--block": "",
    "--bibtex": "printed",
    "--budget": "settings",
    "--built-for": "network",
    "--channels": "shape",
    "--checkpoint-seconds": "",
    "--class": "",
    "--classes": "network",
    "--clear-cache": "stops",
    "--cluster": "processes",
    "--compare": "network",
    "--cores": "",
    "--csv": "printed",
    "--data": "images",
    "--data-dir": "images",
    "--descriptor": "",
    "--device": "processes",
    "--diverged": "",
    "--download": "images",
    "--control": "",
    "--costs": "metric",
    "--drop-leaks": "",
    "--effective": "network",
    "--epochs": "settings",
    "--epoch": "",
    "--explain": "network",
    "--explore": "network",
    "--figures": "",
    "--file": "rungs settings",
    "--final": "seeds",
    "--first-look": "seeds",
    "--fit": "shape",
    "--fold-labels": "",
    "--folder": "",
    "--folders": "",
    "--font": "",
    "--font-size": "",
    "--format": "exported",
    "--fractions": "",
    "--gpus": "",
    "--gpus-each": "",
    "--group-bursts": "groups",
    "--group-column": "groups",
    "--group-patients": "groups",
    "--group-pattern": "groups",
    "--high": "rates",
    "--host": "",
    "--html": "stops",
    "--image": "",
    "--images": "exported",
    "--images-on-nodes": "",
    "--index": "labels",
    "--init": "network settings",
    "--input": "network",
    "--json": "printed",
    "--keep-names": "",
    "--label-column": "columns",
    "--leak-test": "stops",
    "--label-pattern": "labels",
    "--latex": "",
    "--level": "labels",
    "--license": "",
    "--limit": "images",
    "--list": "stops",
    "--low": "rates",
    "--lower-is-better": "",
    "--markdown": "printed",
    "--max-batch": "",
    "--max-images": "",
    "--max-megabytes": "",
    "--max-pixels": "",
    "--max-requests": "",
    "--max-seeds": "seeds",
    "--max-time": "seeds",
    "--max-trials": "seeds",
    "--metric": "judging metric",
    "--model": "",
    "--name": "",
    "--network": "network settings",
    "--open": "",
    "--out": "exported",
    "--over": "settings search",
    "--overwrite": "exported",
    "--path-column": "columns",
    "--picture": "network",
    "--pilot": "judging",
    "--plan": "rungs",
    "--port": "",
    "--precision": "",
    "--private": "",
    "--proposal": "claims",
    "--quantize": "exported",
    "--quiet": "said",
    "--recipe": "rungs",
    "--repair": "",
    "--require": "",
    "--resplit": "splits",
    "--retry-failed": "search",
    "--reuse": "",
    "--revision": "",
    "--rounds": "",
    "--rung": "rungs",
    "--run": "",
    "--save": "",
    "--schema": "",
    "--sd": "judging",
    "--search": "search",
    "--sampler": "search",
    "--search-seed": "search",
    "--seed": "",
    "--seeds": "seeds",
    "--select": "splits",
    "--send": "",
    "--set": "rungs settings rates",
    "--shell": "",
    "--sheet": "stops",
    "--size": "shape",
    "--skip-damaged": "",
    "--stretch": "",
    "--smallest-effect": "judging",
    "--split-column": "columns",
    "--solve": "network",
    "--steps": "rates",
    "--storage": "search",
    "--streams": "processes search",
    "--technique": "rungs",
    "--test": "splits",
    "--threads": "processes",
    "--token": "",
    "--together": "search",
    "--top": "",
    "--sets": "",
    "--unlike": "",
    "--track": "",
    "--trial-memory": "",
    "--trial-timeout": "",
    "--trials": "search",
    "--tried": "",
    "--unit": "",
    "--val": "",
    "--validation": "splits",
    "--variant": "",
    "--verbose": "said",
    "--way": "",
    "--width": "",
    "--with-bag-of-words": "splits",
    "--with-resize": "exported",
    "--words": "",
    "--workers": "processes search",
    "--yes": "search",
}


@dataclass(frozen=True)
class Refused:
    """A pair that ends in one sentence: the arguments after the command that show it, and the words."""

    arguments: tuple[str, ...]
    words: str


#: By the commands that it holds for, and the pair: how both count, or how they are refused.
Decisions = dict[tuple[str, str], str | Refused]

RUNGS = ("--rung", "base:", "--rung", "+mix:mixup", "--rung", "+ema:ema")
OTHER_RUNGS = ("--rung", "base:", "--rung", "other:mixup,ema", "--rung", "third:ema")
COSTS = str(Path(__file__).with_name("costs.csv"))
OVER = ("--over", "optimizer.lr=0.1,0.2")
RANGE = ("--over", "optimizer.lr=0.1..0.2", "--search", "optuna")
SMALL = ("digits", "--limit", "20", "--recipe", "small")


def _refused(*arguments: str, words: str) -> Refused:
    return Refused((*SMALL, *arguments), words)


#: Of every command that has both.
COMMON: Decisions = {
    ("--batch-size", "--epochs"): "two settings",
    ("--batch-size", "--network"): "a setting and another network",
    ("--batch-size", "--set"): _refused(
        "--batch-size", "8", "--set", "batch_size=16", words="batch_size is given twice, as --batch-size and with --set"
    ),
    ("--budget", "--epochs"): "the budget says how the epochs of the largest size go to the others",
    ("--budget", "--init"): "a budget and the network of a model",
    ("--budget", "--network"): "a budget and another network",
    ("--budget", "--set"): "the budget says how the settings of the largest size go to the others",
    ("--batch-size", "--budget"): "steps are counted in batches of this size",
    ("--channels", "--fit"): "two steps of reading",
    ("--channels", "--size"): "two steps of reading",
    ("--data", "--data-dir"): Refused(
        ("digits", "--data-dir", "."), "--data-dir is where the files of an image set are, and digits come with"
    ),
    ("--data", "--download"): "permission to fetch it, or the weights of a network",
    ("--data", "--limit"): "the first images of each class",
    ("--data-dir", "--download"): "what is not in the folder may be fetched",
    ("--data-dir", "--limit"): "where from, and how many",
    ("--download", "--limit"): "where from, and how many",
    ("--device", "--streams"): _refused(
        "--streams", "2", "--device", "cpu", words="--streams is for trials that share"
    ),
    ("--device", "--threads"): "threads are of what the processor does",
    ("--cluster", "--device"): "the device of its nodes",
    ("--cluster", "--streams"): "processes that share a GPU of a node",
    ("--cluster", "--threads"): "cores that each trial takes",
    ("--cluster", "--workers"): "trials at the same time, on all nodes together",
    ("--device", "--workers"): "processes on one device",
    ("--streams", "--threads"): "each stream has as many threads",
    ("--streams", "--workers"): "each process has as many streams",
    ("--threads", "--workers"): "each process has as many threads",
    ("--epochs", "--network"): "a setting and another network",
    ("--epochs", "--set"): _refused(
        "--epochs", "2", "--set", "epochs=3", words="epochs is given twice, as --epochs and with --set"
    ),
    ("--batch-size", "--init"): "a setting and the network of a model",
    ("--epochs", "--init"): "a setting and the network of a model",
    ("--init", "--network"): _refused(
        "--init", "there", "--network", "lenet5", words="--init brings its model's network"
    ),
    ("--init", "--set"): _refused(
        "--init", "there", "--set", "network=report", words="--init brings its model's network, so --network would"
    ),
    ("--fit", "--size"): "how images are brought to the size",
    ("--images", "--out"): "where images are, and where results go",
    ("--label-pattern", "--level"): Refused(
        ("digits", "--label-pattern", "x", "--level", "leaf"), "--label-pattern and --level both name the classes"
    ),
    ("--index", "--label-pattern"): Refused(
        ("digits", "--index", "a.csv", "--label-pattern", "x"), "--label-pattern and --index both name the classes"
    ),
    ("--index", "--level"): Refused(
        ("digits", "--index", "a.csv", "--level", "leaf"), "--level and --index both name the classes"
    ),
    ("--label-column", "--path-column"): "two columns",
    ("--label-column", "--split-column"): "two columns",
    ("--path-column", "--split-column"): "two columns",
    ("--group-bursts", "--group-column"): Refused(
        ("digits", "--group-bursts", "5", "--group-column", "of"),
        "--group-column and --group-bursts both name the groups",
    ),
    ("--group-bursts", "--group-patients"): Refused(
        ("digits", "--group-bursts", "5", "--group-patients"),
        "--group-bursts and --group-patients both name the groups",
    ),
    ("--group-column", "--group-patients"): Refused(
        ("digits", "--group-column", "of", "--group-patients"),
        "--group-column and --group-patients both name the groups",
    ),
    ("--group-patients", "--group-pattern"): Refused(
        ("digits", "--group-pattern", "x", "--group-patients"),
        "--group-pattern and --group-patients both name the groups",
    ),
    ("--group-bursts", "--group-pattern"): Refused(
        ("digits", "--group-bursts", "5", "--group-pattern", "x"),
        "--group-pattern and --group-bursts both name the groups",
    ),
    ("--group-column", "--group-pattern"): Refused(
        ("digits", "--group-column", "of", "--group-pattern", "x"),
        "--group-column and --group-pattern both name the groups",
    ),
    ("--json", "--csv"): "see the command",
    ("--network", "--set"): _refused(
        "--network", "lenet5", "--set", "network=report", words="the network is given twice, with --network and among"
    ),
    ("--recipe", "--set"): "settings of that recipe",
    ("--recipe", "--technique"): "techniques on top of that recipe",
    ("--select", "--validation"): _refused(
        "--validation", "0", "--select", "best-val", words="--select best-val chooses by validation images"
    ),
    ("--costs", "--metric"): _refused(
        "--costs",
        COSTS,
        "--metric",
        "macro_f1",
        words="--costs is used by --metric cost alone",
    ),
    ("--max-time", "--seeds"): "as many seeds, in as many calls",
    ("--set", "--technique"): "a setting may be one of that technique",
    ("--quiet", "--verbose"): Refused(
        ("digits", "--quiet", "--verbose"), "--quiet and --verbose contradict each other; give one"
    ),
}

#: Of the commands that train one recipe, up to a rung of it.
ONE_RUNG: Decisions = {
    ("--recipe", "--rung"): "a rung of that recipe",
    ("--rung", "--set"): _refused(
        "--rung",
        "standardize",
        "--set",
        "dropout.p=0.1",
        words="--rung standardize ends below dropout, so dropout.p would",
    ),
    ("--rung", "--technique"): _refused(
        "--rung", "standardize", "--technique", "mixup", words="--rung standardize ends below mixup, which"
    ),
}

#: Of the commands about a study.
STUDY: Decisions = {
    ("--file", "--init"): "refused where the file sets a network; tests/studies/design/test_start_from.py",
    ("--file", "--rung"): _refused(*RUNGS, "--file", "study.toml", words="rungs are given twice, with --rung and with"),
    ("--file", "--plan"): "the rungs of the file are factors of the plan",
    ("--file", "--recipe"): "the recipe asked for goes before the file's; its rungs stay",
    ("--file", "--set"): "a setting asked for goes before the file's",
    ("--file", "--technique"): "on a rung of its own above those of the file",
    ("--file", "--epochs"): "a setting asked for goes before the file's",
    ("--file", "--batch-size"): "a setting asked for goes before the file's",
    ("--file", "--network"): "refused where the file sets one as well; tests/studies/design/test_recipes.py",
    ("--plan", "--rung"): _refused(*OTHER_RUNGS, "--plan", "factorial", words="takes each rung for a factor, and"),
    ("--plan", "--recipe"): "the plan is made of that recipe's techniques",
    ("--plan", "--set"): "settings of all rungs",
    ("--plan", "--technique"): "a technique more in the plan",
    ("--recipe", "--rung"): "network, optimizer and settings of that recipe; the rungs list their techniques",
    ("--rung", "--set"): _refused(*RUNGS, "--set", "dropout.p=0.1", words="dropout"),
    ("--rung", "--technique"): "on a rung of its own above those listed",
    ("--seeds", "--final"): _refused(
        "--seeds", "auto", "--final", words="--final looks once and --seeds auto as often"
    ),
    ("--seeds", "--max-seeds"): _refused(
        "--seeds", "3", "--max-seeds", "5", words="--max-seeds ends --seeds auto, and --seeds is 3"
    ),
    ("--seeds", "--max-trials"): _refused(
        "--seeds", "3", "--max-trials", "4", words="--max-trials is 4 and the ladder needs"
    ),
    ("--final", "--max-seeds"): _refused(
        "--final", "--max-seeds", "5", words="--max-seeds ends --seeds auto, and --seeds is 5"
    ),
    ("--final", "--max-time"): "one look, in as many calls",
    ("--final", "--max-trials"): "one look at no more trials",
    ("--max-seeds", "--max-time"): "a time limit makes the seeds auto, which this ends",
    ("--max-seeds", "--max-trials"): _refused(
        "--max-seeds", "5", "--max-trials", "40", words="--max-seeds ends --seeds auto, and --seeds is 5"
    ),
    ("--max-time", "--max-trials"): "no more trials, in as many calls",
    ("--alpha", "--metric"): "what is judged, and how strictly",
    ("--alpha", "--smallest-effect"): "what is judged, and how strictly",
    ("--metric", "--smallest-effect"): "in the metric's unit",
    ("--alpha", "--pilot"): "the spread, and how strictly",
    ("--alpha", "--sd"): "the spread, and how strictly",
    ("--metric", "--pilot"): "the spread of that metric",
    ("--metric", "--sd"): "in the metric's unit",
    ("--pilot", "--sd"): _refused("--sd", "1", "--pilot", "there", words="--sd and --pilot both give the standard"),
    ("--pilot", "--smallest-effect"): "two figures of the forecast",
    ("--sd", "--smallest-effect"): "two figures of the forecast",
    ("--resplit", "--select"): "the epoch best on the seed's own validation images",
    ("--resplit", "--validation"): "each seed holds out as large a share",
    ("--resplit", "--with-bag-of-words"): _refused(
        "--resplit",
        "--with-bag-of-words",
        words="--resplit draws other test images for each seed, and --with-bag-of-words",
    ),
    ("--select", "--with-bag-of-words"): "the bag has no epochs, and the rungs have",
    ("--validation", "--with-bag-of-words"): "its C is chosen on them too",
}

TRAIN: Decisions = {
    ("--all-data", "--select"): _refused("--all-data", "--select", "best-val", words="--select chooses an epoch by"),
    ("--all-data", "--test"): _refused(
        "--all-data", "--test", words="--all-data leaves no image to test with, so --test"
    ),
    ("--all-data", "--validation"): _refused("--all-data", "--validation", "0.2", words="--validation is the share"),
    ("--select", "--test"): "the epoch best on validation, whether test is read or not",
    ("--test", "--validation"): _refused("--no-test", "--validation", "0", words="so test cannot stay unread"),
}

_NEEDS_SEARCH = "is for a search, and this goes over a grid; leave it out, or add --search optuna"
_ONE_BY_ONE = "is for trials at the same time, and a search trains one trial at a time"

SWEEP: Decisions = {
    ("--over", "--set"): _refused(*OVER, "--set", "optimizer.lr=0.3", words="optimizer.lr is given twice, with --over"),
    ("--over", "--epochs"): _refused(
        "--over", "epochs=1,2", "--epochs", "3", words="epochs is given twice, with --over"
    ),
    ("--over", "--batch-size"): _refused(
        "--over", "batch_size=8,16", "--batch-size", "32", words="batch_size is given twice, with --over"
    ),
    ("--over", "--network"): _refused(
        "--over",
        "network=lenet5,report",
        "--network",
        "resnet9",
        words="the network is given twice, with --network and",
    ),
    ("--init", "--over"): Refused(
        (*SMALL, "--init", "there", "--over", "network=lenet5,report"),
        "--init brings its model's network, and --over names others",
    ),
    ("--over", "--search"): "what is searched",
    ("--over", "--trials"): _refused(*OVER, "--trials", "5", words=f"--trials {_NEEDS_SEARCH}"),
    ("--over", "--search-seed"): _refused(*OVER, "--search-seed", "5", words=f"--search-seed {_NEEDS_SEARCH}"),
    ("--over", "--sampler"): _refused(*OVER, "--sampler", "random", words=f"--sampler {_NEEDS_SEARCH}"),
    ("--over", "--together"): _refused(*OVER, "--together", "3", words=f"--together {_NEEDS_SEARCH}"),
    ("--over", "--storage"): _refused(*OVER, "--storage", "sqlite://", words=f"--storage {_NEEDS_SEARCH}"),
    ("--over", "--retry-failed"): "points whose trials had failed",
    ("--over", "--streams"): "points at the same time",
    ("--over", "--workers"): "points at the same time",
    ("--over", "--yes"): "as many points",
    ("--search", "--trials"): "points of the search",
    ("--search", "--search-seed"): "of the search",
    ("--search", "--storage"): "of the search",
    ("--sampler", "--search"): "of the search",
    ("--sampler", "--trials"): "two figures of the search",
    ("--sampler", "--search-seed"): "two figures of the search",
    ("--sampler", "--storage"): "two figures of the search",
    ("--sampler", "--yes"): "two figures of the search",
    ("--retry-failed", "--sampler"): "two figures of the search",
    ("--sampler", "--streams"): _refused(*RANGE, "--sampler", "random", "--streams", "2", words="--streams is for"),
    ("--sampler", "--workers"): _refused(*RANGE, "--sampler", "random", "--workers", "2", words=_ONE_BY_ONE),
    ("--search", "--together"): "points of the search at the same time",
    ("--together", "--trials"): "points in all, and at the same time",
    ("--search-seed", "--together"): "two figures of the search",
    ("--sampler", "--together"): "two figures of the search",
    ("--storage", "--together"): "two figures of the search",
    ("--retry-failed", "--together"): "two figures of the search",
    ("--together", "--yes"): "two figures of the search",
    ("--streams", "--together"): "points at the same time, on a GPU",
    ("--together", "--workers"): "points at the same time, and the processes that train them",
    ("--search", "--retry-failed"): "trials of its points that had failed",
    ("--search", "--streams"): _refused(*RANGE, "--streams", "2", words="--streams is for trials"),
    ("--search", "--workers"): _refused(*RANGE, "--workers", "2", words=f"--workers {_ONE_BY_ONE}"),
    ("--search", "--yes"): "as many points",
    ("--search-seed", "--trials"): "two figures of the search",
    ("--storage", "--trials"): "two figures of the search",
    ("--retry-failed", "--trials"): "two figures of the search",
    ("--trials", "--yes"): "as many points",
    ("--search-seed", "--storage"): "two figures of the search",
    ("--retry-failed", "--search-seed"): "two figures of the search",
    ("--search-seed", "--yes"): "two figures of the search",
    ("--retry-failed", "--storage"): "two figures of the search",
    ("--storage", "--yes"): "two figures of the search",
    ("--retry-failed", "--yes"): "trials that had failed, however many",
    ("--streams", "--trials"): _refused(*RANGE, "--trials", "5", "--streams", "2", words="--streams is for trials"),
    ("--trials", "--workers"): _refused(*RANGE, "--trials", "5", "--workers", "2", words=f"--workers {_ONE_BY_ONE}"),
    ("--search-seed", "--streams"): _refused(*RANGE, "--search-seed", "1", "--streams", "2", words="--streams is for"),
    ("--search-seed", "--workers"): _refused(*RANGE, "--search-seed", "1", "--workers", "2", words=_ONE_BY_ONE),
    ("--storage", "--streams"): _refused(*RANGE, "--storage", "sqlite://", "--streams", "2", words="--streams is for"),
    ("--storage", "--workers"): _refused(*RANGE, "--storage", "sqlite://", "--workers", "2", words=_ONE_BY_ONE),
    ("--retry-failed", "--streams"): "trials that had failed, at the same time",
    ("--retry-failed", "--workers"): "trials that had failed, at the same time",
    ("--streams", "--yes"): "many trials, at the same time",
    ("--workers", "--yes"): "many trials, at the same time",
}

CURVE: Decisions = {
    ("--retry-failed", "--streams"): "trials that had failed, at the same time",
    ("--retry-failed", "--workers"): "trials that had failed, at the same time",
}

RATES: Decisions = {
    ("--high", "--low"): "the ends of the range",
    ("--high", "--steps"): "steps to that rate",
    ("--low", "--steps"): "steps from that rate",
    ("--high", "--set"): _refused(
        "--high", "1", "--set", "optimizer.lr=0.3", words="optimizer.lr is what this test looks"
    ),
    ("--low", "--set"): _refused(
        "--low", "0.1", "--set", "optimizer.lr=0.3", words="optimizer.lr is what this test looks"
    ),
    ("--set", "--steps"): _refused("--steps", "200", "--set", "epochs=3", words="--epochs is no budget of this test"),
}


def _stops(option: str, other: str, *arguments: str) -> Refused:
    return Refused(arguments, f"{option} examines no images, and {other} was given with it")


DATA: Decisions = {
    ("--clear-cache", "--html"): _stops("--clear-cache", "--html", "--clear-cache", "--html", "x.html"),
    ("--clear-cache", "--leak-test"): _stops("--clear-cache", "--leak-test", "--clear-cache", "--leak-test"),
    ("--leak-test", "--list"): _stops("--list", "--leak-test", "--list", "--leak-test"),
    ("--html", "--leak-test"): "what was measured is on the page, too",
    ("--leak-test", "--sheet"): "a measurement and a file",
    ("--clear-cache", "--list"): _stops("--clear-cache", "--list", "--clear-cache", "--list"),
    ("--clear-cache", "--sheet"): _stops("--clear-cache", "--sheet", "--clear-cache", "--sheet", "x.png"),
    ("--html", "--list"): _stops("--list", "--html", "--list", "--html", "x.html"),
    ("--html", "--sheet"): "two files",
    ("--list", "--sheet"): _stops("--list", "--sheet", "--list", "--sheet", "x.png"),
}

_OWN = "refused for a module of your own; tests/cli/test_own_network.py"
_SHOWN = ("--built-for", "--classes", "--compare", "--effective", "--explain", "--input", "--picture")
INSPECT: Decisions = {
    **dict.fromkeys(combinations(_SHOWN, 2), f"two things that are shown; {_OWN}"),
    **{(one, "--network"): f"shown of that network; {_OWN}" for one in _SHOWN},
    **{
        (one, "--solve"): Refused(
            ("--solve", "conv5 32->32", one, *arguments), f"{one} is about a network, and none was named"
        )
        for one, arguments in zip(_SHOWN, (("3x8x8",), ("3",), (), (), (), ("3x8x8",), ("x.svg",)), strict=True)
    },
    **dict.fromkeys(
        ((one, "--explore") for one in (*_SHOWN, "--network")), f"the page begins with what is shown; {_OWN}"
    ),
    ("--batch-size", "--network"): f"the memory of that network; {_OWN}",
    ("--explore", "--solve"): "the solutions are printed, and the page is written",
    ("--network", "--solve"): "both are shown",
    ("--data", "--data-dir"): Refused(("report", "--data-dir", "."), "--data-dir is where a named image set is"),
}

EXPORT: Decisions = {
    ("--format", "--images"): "checked on these images",
    ("--format", "--out"): "the file's form and its name",
    ("--format", "--overwrite"): "the file's form",
    ("--format", "--quantize"): "refused but for onnx and openvino; tests/cli/test_predict.py",
    ("--format", "--with-resize"): "likewise",
    ("--images", "--with-resize"): "compared on these images",
    ("--out", "--with-resize"): "the file that resizes has that name",
    ("--overwrite", "--with-resize"): "that file may be replaced",
    ("--quantize", "--with-resize"): "what scales and crops stays in full precision",
    ("--images", "--out"): "checked on these images",
    ("--images", "--overwrite"): "checked on these images",
    ("--images", "--quantize"): "the ranges are of these images",
    ("--out", "--overwrite"): "that file may be replaced",
    ("--out", "--quantize"): "the small file has that name",
    ("--overwrite", "--quantize"): "that file may be replaced",
}

JUDGE: Decisions = {
    ("--alpha", "--metric"): "which score, and how strictly",
    ("--alpha", "--smallest-effect"): "how strictly, and from which size on",
    ("--baseline", "--plan"): "refused for a ladder; tests/studies/scores/test_judging.py",
    ("--final", "--first-look"): "refused; tests/studies/scores/test_judging.py",
    ("--metric", "--smallest-effect"): "in the score's unit",
}

#: What is decided of each command, the first that knows a pair; all others have :data:`COMMON` alone.
TABLES: dict[str, tuple[Decisions, ...]] = {
    "study": (STUDY, CURVE, COMMON),
    "plan": (STUDY, COMMON),
    "train": (TRAIN, ONE_RUNG, COMMON),
    "sweep": (SWEEP, ONE_RUNG, COMMON),
    "curve": (CURVE, COMMON),
    "lr-range": (RATES, ONE_RUNG, COMMON),
    "data": (DATA, COMMON),
    "inspect": (INSPECT, COMMON),
    "export": (EXPORT, COMMON),
    "judge": (JUDGE, COMMON),
    "predict": (
        {("--csv", "--json"): Refused(("model", "x.png", "--csv", "--json"), "--csv and --json exclude")},
        COMMON,
    ),
    "report": (
        {
            ("--csv", "--json"): "the tables in files, and the document printed",
            ("--format", "--out"): "of the figures for a paper, and the folder of a comparison",
        },
        COMMON,
    ),
    "bench data": ({("--images", "--json"): "both"}, COMMON),
    "answers": (
        {("--json", "--markdown"): Refused(("7", "--json", "--markdown"), "--json and --markdown exclude one another")},
        COMMON,
    ),
    "techniques": (
        {("--bibtex", "--json"): Refused(("--bibtex", "--json"), "--json and --bibtex exclude one another")},
        COMMON,
    ),
    "techniques show": (COMMON,),
}


def _decision(command: str, one: str, other: str) -> str | Refused | None:
    for table in TABLES.get(command, (COMMON,)):
        found = table.get((one, other), table.get((other, one)))
        if found is not None:
            return found
    return None


def _pairs(command: str) -> list[tuple[str, str]]:
    """The options of a command that touch the same thing."""
    known = {name: set(TOPICS.get(name, "").split()) for name in COMMANDS[command]}
    return [pair for pair in combinations(sorted(known), 2) if known[pair[0]] & known[pair[1]]]


def test_every_option_of_every_command_is_known() -> None:
    there = {option for options in COMMANDS.values() for option in options}
    assert there - TOPICS.keys() == set(), "say in TOPICS what a new option touches"
    assert TOPICS.keys() - there == set(), "these options are gone"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_pair_that_could_cover_one_another_is_decided(command: str) -> None:
    undecided = [pair for pair in _pairs(command) if _decision(command, *pair) is None]
    assert undecided == [], f"say in the table of {command} how both count, or refuse them"


def _all_refused() -> list[Any]:
    found = []
    for command in COMMANDS:
        for one, other in _pairs(command):
            decision = _decision(command, one, other)
            if isinstance(decision, Refused):
                found.append(pytest.param(command, decision, id=f"{command} {one} {other}"))
    return found


@pytest.mark.long
@pytest.mark.parametrize(("command", "decision"), _all_refused())
def test_a_pair_that_is_refused_ends_in_a_sentence(stepladder: Call, command: str, decision: Refused) -> None:
    needed = OVER if command == "sweep" and "--over" not in decision.arguments else ()
    outcome = stepladder(*command.split(), *decision.arguments, *needed)
    assert (outcome.code, outcome.err.count("Error: ")) == (2, 1), outcome.err
    assert decision.words in outcome.err
    assert "Traceback" not in outcome.err


class RecordedError(StepladderError):
    """In place of a job: what the command line asks of the library."""


#: One way to write each option, with another value than its own.
SAMPLES: dict[str, tuple[str, ...]] = {
    "--accept-different-bits": ("--accept-different-bits",),
    "--all-data": ("--all-data",),
    "--alpha": ("--alpha", "0.1"),
    "--batch-size": ("--batch-size", "8"),
    "--budget": ("--budget", "steps"),
    "--channels": ("--channels", "3"),
    "--cluster": ("--cluster", "auto"),
    "--checkpoint-seconds": ("--checkpoint-seconds", "5"),
    "--costs": ("--metric", "cost", "--costs", COSTS),
    "--data-dir": ("--data-dir", "there"),
    "--descriptor": ("--descriptor", "sift"),
    "--device": ("--device", "cpu"),
    "--download": ("--download",),
    "--drop-leaks": ("--drop-leaks",),
    "--epochs": ("--epochs", "7"),
    "--file": ("--file", "study.toml"),
    "--final": ("--final",),
    "--fit": ("--fit", "pad"),
    "--fold-labels": ("--fold-labels",),
    "--group-bursts": ("--group-bursts", "5"),
    "--group-column": ("--group-column", "patient"),
    "--group-patients": ("--group-patients",),
    "--group-pattern": ("--group-pattern", "a(b)"),
    "--high": ("--high", "2"),
    "--images": ("--images", "photos"),
    "--images-on-nodes": ("--images-on-nodes", "there"),
    "--index": ("--index", "labels.csv"),
    "--label-column": ("--label-column", "kind"),
    "--label-pattern": ("--label-pattern", "a(b)"),
    "--level": ("--level", "leaf"),
    "--path-column": ("--path-column", "where"),
    "--split-column": ("--split-column", "part"),
    "--limit": ("--limit", "9"),
    "--low": ("--low", "0.01"),
    "--max-seeds": ("--max-seeds", "6"),
    "--max-time": ("--max-time", "2h"),
    "--max-trials": ("--max-trials", "99"),
    "--metric": ("--metric", "macro_f1"),
    "--init": ("--init", "there"),
    "--network": ("--network", "lenet5"),
    "--out": ("--out", "there"),
    "--over": ("--over", "dropout.p=0,0.5"),
    "--pilot": ("--pilot", "there"),
    "--plan": ("--plan", "add-one"),
    "--precision": ("--precision", "float32"),
    "--recipe": ("--recipe", "report"),
    "--resplit": ("--resplit",),
    "--retry-failed": ("--retry-failed",),
    "--reuse": ("--reuse", "there"),
    "--sd": ("--sd", "1"),
    "--search": ("--search", "optuna"),
    "--sampler": ("--search", "optuna", "--sampler", "random"),
    "--search-seed": ("--search", "optuna", "--search-seed", "5"),
    "--seed": ("--seed", "4"),
    "--seeds": ("--seeds", "4"),
    "--select": ("--select", "best-val"),
    "--set": ("--set", "optimizer.momentum=0.5"),
    "--size": ("--size", "16"),
    "--skip-damaged": ("--skip-damaged",),
    "--stretch": ("--stretch",),
    "--smallest-effect": ("--smallest-effect", "2"),
    "--steps": ("--steps", "200"),
    "--storage": ("--search", "optuna", "--storage", "sqlite://"),
    "--streams": ("--streams", "2"),
    "--technique": ("--technique", "mixup"),
    "--test": ("--no-test",),
    "--threads": ("--threads", "2"),
    "--track": ("--track", "tensorboard"),
    "--trial-timeout": ("--trial-timeout", "5m"),
    "--together": ("--search", "optuna", "--together", "3"),
    "--trials": ("--search", "optuna", "--trials", "5"),
    "--validation": ("--validation", "0.3"),
    "--words": ("--words", "50"),
    "--workers": ("--workers", "2"),
    "--yes": ("--yes",),
}
#: What is done before or after the verb, or beside it: what is printed, and where, and the bag that follows a study.
BESIDE = {"--data", "--json", "--quiet", "--verbose", "--with-bag-of-words"}
#: A program in place of images, which is another function: tests/cli/test_command_options.py.
BESIDE |= {"--run", "--shell", "--gpus", "--trial-memory", "--lower-is-better", "--unit", "--diverged", "--fractions"}
BESIDE |= {"--cores", "--gpus-each", "--send"}
VERBS = {
    name: name.replace("-", "_") for name in ("study", "plan", "train", "sweep", "lr-range", "curve", "bag-of-words")
}


def _plain(value: Any) -> Any:
    if isinstance(value, Execution):
        shown = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in ("stop", "command")}
        return repr((sorted(shown.items()), value.is_bounded))
    if is_dataclass(value) and not isinstance(value, type):
        return repr(value)
    return repr(value) if not callable(value) else ""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], digits: ImageSet) -> Callable[..., str]:
    """What a command line asks of the library, as one text."""

    def load(data: str, **how: Any) -> ImageSet:
        access = how.pop("access")
        loaded.append(repr((data, sorted(how.items(), key=str), access.data_dir, access.download)))
        return digits

    loaded: list[str] = []
    monkeypatch.setattr(data_options, "load_image_set", load)

    def record(*arguments: Any, **named: Any) -> None:
        told = []
        for value in (
            *arguments,
            *(value for name, value in sorted(named.items()) if name not in ("progress", "command")),
        ):
            if isinstance(value, ImagesToLoad):
                value.load(None)
            else:
                told.append(_plain(value))
        raise RecordedError("; ".join([*loaded, *told]))

    for verb in VERBS.values():
        monkeypatch.setattr(verbs, verb, record)

    def make(command: str, *arguments: str) -> str:
        loaded.clear()
        base = OVER if command == "sweep" and "--over" not in arguments else ()
        rungs = {"study": RUNGS, "plan": RUNGS}.get(command, ("--rung", "standardize"))
        given = [word for one in arguments for word in (rungs if one == "--rung" else (one,))]
        code = run([command, "digits", *given, *base])
        said = capsys.readouterr()
        assert code == 2, said
        return said.err

    return make


@pytest.mark.long
@pytest.mark.parametrize("command", VERBS)
def test_every_option_and_every_pair_that_counts_reaches_the_library(command: str, asked: Callable[..., str]) -> None:
    options = [option for option in COMMANDS[command] if option not in BESIDE]
    written = {option: ("--rung",) if option == "--rung" else SAMPLES[option] for option in options}
    nothing = asked(command)
    alone = {option: asked(command, *words) for option, words in written.items()}
    for option, said in alone.items():
        assert re.match("Error: .*digits", said), (option, said)
        # A permission for many trials, and the name of the one search there is, change how the axes are meant.
        assert said != nothing, f"{option} does not reach the library"
    # These two take most of their options in the very classes of study's: what is parsed together there is here.
    parsed = set(_pairs("study")) if command in ("plan", "curve") else set()
    for one, other in _pairs(command):
        if (one, other) in parsed or isinstance(_decision(command, one, other), Refused) or {one, other} & BESIDE:
            continue
        both = asked(command, *written[one], *written[other])
        assert both not in (nothing, alone[one], alone[other]) or set(written[one]) & set(written[other]), (one, other)
