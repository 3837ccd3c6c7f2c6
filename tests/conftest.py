"""What tests in several folders share."""

from __future__ import annotations

import os

# One thread: on images this small two are no faster, and beside another busy process they can be twenty times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import math
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split, load_image_set
from stepladder.recipe import Recipe, load_recipe, parse_recipe
from stepladder.studies import pool
from stepladder.studies.design.sweeps import SearchRecord, SweepRecord, make_points, parse_axes, with_swept_techniques
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import (
    DataRecord,
    LookRecord,
    Machine,
    RungRecord,
    SavedStudy,
    SavedTrial,
    StudyRecord,
    TrialResult,
)
from stepladder.training.history import EpochRecord
from tests.pictures import as_dots, rendered
from tests.terminal import Terminal

# Who runs the tests in the background ignores Ctrl-C, and so would every process that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh-golden", action="store_true", help="write the golden files anew")


#: Files of few tests that take long. They come first, so that no worker is left alone with one of them at the end.
LONG = (
    *("test_readme.py", "test_notebook.py", "test_own_techniques.py", "test_processes.py", "test_streams.py"),
    *("test_training.py", "test_signals.py", "test_hosts.py", "test_precisions.py", "test_simulate.py"),
    *("test_engine.py", "test_storage.py", "test_verbs.py", "test_study.py", "test_own_network.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first, the others in their order; mark what starts a real Ray."""
    for item in items:
        if "two_nodes" in getattr(item, "fixturenames", ()):
            item.add_marker("ray")
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Fail a test that has started a real Ray without being marked so: Ray would end this process a minute later."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized() and item.get_closest_marker("ray") is None:
        ray.shutdown()
        pytest.fail("a real Ray runs in this process: ask for the fixture two_nodes, or mark the test with `ray`")


#: Wall time of a test in seconds, of which those without the mark ``long`` are told, since others were to be quick.
TOO_LONG = 6.0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line a kind what was skipped and why, and what had better be marked ``long``."""
    reasons = Counter(str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED {count}: {reason.removeprefix('Skipped: ')}")
    took: Counter[str] = Counter()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport) and not {"long", "soak", "ray"} & report.keywords.keys():
            took[report.nodeid] += report.duration
    for test, seconds in took.most_common(5):
        if seconds > TOO_LONG:
            terminalreporter.write_line(f"{seconds:.0f} s without the mark `long`: {test}")


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep decoded images in a folder of this run, here and in the processes that tests start."""
    os.environ["STEPLADDER_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that are not there yet."""
    folder = tmp_path_factory.mktemp("states")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_state(states: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test read test images that another one has read before, here and in the processes that it starts."""
    monkeypatch.setenv("STEPLADDER_STATE", str(next(states)))


@pytest.fixture(scope="session", autouse=True)
def no_atlas() -> Iterator[None]:
    """Let no test depend on what the atlas found, which changes with every set; some make one of their own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pool, "ATLAS_FILE", Path(__file__).with_name("no-atlas.json"))
        yield


@pytest.fixture(scope="session")
def terminal() -> Iterator[Terminal]:
    """The command line in other processes, as from a terminal; none of them has to load torch."""
    opened = Terminal()
    yield opened
    opened.close()


@pytest.fixture(scope="session", autouse=True)
def one_process_unless_told() -> Iterator[None]:
    """Train in this process where a test says nothing of ``workers``.

    What a study takes is measured, and on a busy machine even a small one would be spread over processes, of which each
    loads torch for seconds. ``tests/studies/running/test_dispatch.py`` has what is chosen when.
    """
    a_quarter_of_an_hour = 900.0  # more than any of the tests' studies takes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stepladder.studies.running.dispatch.SHORT_STUDY", a_quarter_of_an_hour)
        yield


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def stepladder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """The command line in this process, in an empty current folder."""
    from stepladder.cli import run  # here: tests of the library need no command line

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["stepladder", *arguments])
        try:
            code = run(arguments)
        except SystemExit as ended:  # stopped: its status is what a shell sees, as well as what is returned
            code = ended.code if isinstance(ended.code, int) else 1
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session", autouse=True)
def pictures_as_dots() -> Iterator[None]:
    """Pictures of reports are drawn, and dots are written in their place, but for tests that look at them."""
    with as_dots():
        yield


@pytest.fixture(scope="module")
def pictures_rendered() -> Iterator[None]:
    """Pictures as users get them."""
    with rendered():
        yield


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """Real images, few of them: 30 handwritten digits of each class."""
    return load_image_set("digits", limit=30)


@pytest.fixture(scope="session")
def digits_train(digits: ImageSet) -> Split:
    return digits.splits["train"]


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., Recipe]:
    """Make a recipe of one small convolution and few epochs with the techniques that are named."""

    def make(*techniques: str | dict[str, object], **settings: object) -> Recipe:
        network = {
            "layers": [
                {"name": "conv1", "kind": "conv", "channels": 4, "kernel_size": 3, "padding": 1},
                {"name": "relu1", "kind": "relu"},
                {"name": "pool1", "kind": "max_pool", "kernel_size": 2, "stride": 2},
                {"name": "flatten", "kind": "flatten"},
                {"name": "fc1", "kind": "linear", "features": 16},
                {"name": "relu2", "kind": "relu"},
                {"name": "fc2", "kind": "linear", "features": "classes"},
            ]
        }
        tables = [{"name": entry} if isinstance(entry, str) else entry for entry in techniques]
        table = {"name": "tiny", "network": network, "epochs": 2, "batch_size": 16, "techniques": tables}
        return parse_recipe({**table, **settings})

    return make


@pytest.fixture
def noise() -> Split:
    """40 images of 8×8 color noise in four classes."""
    random = np.random.default_rng(0)
    return Split(random.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), np.arange(40, dtype=np.int64) % 4)


@pytest.fixture
def made_up_sweep(tmp_path: Path) -> Callable[..., SavedStudy]:
    """Return a sweep of recipe small with the given validation accuracies, a list of seeds for each point of the grid.

    A seed of None failed, and one that is not there has not ended.
    """

    def make(
        over: list[str], scores: list[list[float | None]], search: SearchRecord | None = None, epochs: int = 2
    ) -> SavedStudy:
        axes = parse_axes(over, ranges=search is not None)
        recipe = with_swept_techniques(load_recipe("small"), axes)
        if search is None:
            rungs, points = make_points(axes, recipe, {})
            recipes = [(rung.name, rung.recipe.to_table()) for rung in rungs]
        else:  # made-up points at the scores' places along every range
            shares = [(i + 1) / (len(scores) + 1) for i in range(len(scores))]
            points = tuple(
                tuple(round((a.low or 0) + s * ((a.high or 1) - (a.low or 0)), 4) for a in axes) for s in shares
            )
            recipes = [(f"point {i}", {}) for i in range(len(scores))]
        seeds = max(len(each) for each in scores)
        reached = dict.fromkeys(search.pruned if search else (), 1)
        record = StudyRecord(
            plan="sweep" if search is None else "search",
            plan_hash="",
            rungs=tuple(RungRecord(name=name, adds=(), recipe=table) for name, table in recipes),
            contrasts=(),
            looks=(LookRecord(seeds=seeds, share=1.0),),
            seeds=tuple(range(seeds)),
            reached=reached,
            validation=0.1,
            precision="float32",
            device="cpu",
            data=DataRecord(
                name="digits",
                fingerprint="images",
                split="split",
                class_names=tuple("0123456789"),
                image_shape=(8, 8, 1),
                counts={"train": 900, "validation": 1000, "test": 100},
                notes=(),
            ),
            versions={"torch": "2.13.0"},
            machine=_MACHINE,
            command="stepladder sweep digits",
            created="2026-01-31T12:00:00+00:00",
            sweep=SweepRecord(base=recipe.to_table(), axes=axes, points=points, guess=0.1, search=search),
        )
        record = record.model_copy(update={"plan_hash": hash_plan(record)})
        trials = tuple(
            _made_up_trial(tmp_path, name, seed, score, epochs)
            for (name, _), each in zip(recipes, scores, strict=True)
            for seed, score in enumerate(each)
        )
        return SavedStudy(tmp_path, record, trials)

    return make


_MACHINE = Machine(processor="Xeon", cores=2, memory_gb=7.5, accelerator=None, system="Linux 6.1")


def _made_up_trial(folder: Path, rung: str, seed: int, score: float | None, epochs: int) -> SavedTrial:
    def row(epoch: int) -> EpochRecord:
        accuracy = 0.1 + ((score or 0.1) - 0.1) * epoch / epochs
        loss = math.nan if score is None and epoch == epochs else 2.3 * (1.1 - accuracy)
        return EpochRecord(epoch, 0.1, loss, loss, accuracy, 0.5, 1000.0, val_loss=loss, val_accuracy=accuracy)

    result = TrialResult(
        trial=f"{rung}-{seed}",
        seed=seed,
        techniques=(),
        status="failed" if score is None else "finished",
        epochs=epochs,
        train_accuracy=score,
        val_accuracy=score,
        seconds=1.5 + seed,
        images_per_second=1000.0,
        failure="the training loss was not finite" if score is None else None,
        versions={"torch": "2.13.0"},
        machine=_MACHINE,
        finished="2026-01-31T13:00:00+00:00",
    )
    return SavedTrial(rung, seed, folder / rung, result, tuple(row(epoch) for epoch in range(epochs + 1)))
