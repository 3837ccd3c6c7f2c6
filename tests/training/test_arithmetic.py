"""bfloat16 or float32: the same answer under any load, remembered, recorded and said."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import stepladder as sl
from stepladder.network import load_preset
from stepladder.training import arithmetic
from stepladder.training.arithmetic import (
    Arithmetic,
    choose_arithmetic,
    decide,
    measure_arithmetic,
    precision_by_features,
)
from stepladder.training.device import Compute

HERE = Compute(torch.device("cpu"), "bfloat16", threads=1)
LENET = load_preset("lenet5")
ASKED = (LENET, (1, 28, 28), 10, 32, HERE)


def times(float32: float, bfloat16: float) -> Callable[[str], float]:
    return {"float32": float32, "bfloat16": bfloat16}.__getitem__


@pytest.mark.parametrize(
    ("bfloat16", "taken"),
    [(0.2, "bfloat16"), (0.89, "bfloat16"), (0.91, "float32"), (1.0, "float32"), (1.1, "float32"), (9.0, "float32")],
)
def test_the_faster_one_is_taken_and_float32_on_a_tie(bfloat16: float, taken: str) -> None:
    found = decide(times(1.0, bfloat16))
    assert (found.precision, found.reason, found.rounds) == (taken, "measured", 5)
    assert found.float32_ms == 1000
    assert found.bfloat16_ms == pytest.approx(1000 * bfloat16)


def test_a_moment_of_load_decides_nothing() -> None:
    """Two rounds in which the one was disturbed, in the middle and at the start; the first of all is not even read."""
    taken = iter([9.0, 9.0, 0.5, 0.5, 9.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    found = decide(lambda precision: 1.0 if precision == "float32" else next(taken))
    assert (found.precision, found.reason, found.rounds) == ("bfloat16", "measured", 9)


def test_float32_that_is_now_as_fast_and_now_faster_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rounds say float32. Asked of the rule instead, two networks of one study would get two precisions."""
    monkeypatch.setattr(arithmetic, "precision_by_features", lambda: "bfloat16")
    taken = itertools.cycle([1.05, 1.2])
    found = decide(lambda precision: 1.0 if precision == "float32" else next(taken))
    assert (found.precision, found.reason, found.rounds) == ("float32", "measured", 5)


@pytest.mark.parametrize("rule", ["float32", "bfloat16"])
def test_contradictory_timings_leave_it_to_the_features(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "precision_by_features", lambda: rule)
    taken = itertools.cycle([0.5, 2.0])
    found = decide(lambda precision: 1.0 if precision == "float32" else next(taken))
    assert (found.precision, found.reason) == (rule, "features")
    assert "timings did not agree" in found.describe()


@pytest.mark.parametrize(
    ("features", "taken"),
    [
        (("AuthenticAMD", "avx512_bf16"), "bfloat16"),  # Zen 4 and 5
        (("GenuineIntel", "amx_bf16", "avx512_bf16"), "bfloat16"),  # Sapphire Rapids
        (("GenuineIntel", "avx512_bf16"), "float32"),  # Xeon, model 207, tiles hidden
        (("AuthenticAMD",), "float32"),
    ],
)
def test_the_rule_is_by_processor(features: tuple[str, ...], taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "processor_features", lambda: features)
    assert precision_by_features() == taken


def test_both_precisions_are_timed_with_one_thread() -> None:
    before = torch.get_num_threads()
    found = measure_arithmetic(*ASKED)
    assert found.float32_ms is not None
    assert 0 < found.float32_ms < 10_000
    assert found.images == 32
    assert torch.get_num_threads() == before


def test_large_images_take_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(arithmetic, "_step", lambda _module, images, _labels, _compute: seen.append(len(images)) or 1.0)
    measure_arithmetic(LENET, (3, 32, 32), 10, 128, HERE)
    measure_arithmetic(load_preset("vgg_small"), (3, 128, 128), 10, 128, HERE)
    assert seen[0] == 128
    assert seen[-1] == 2


def _busy() -> None:
    while True:
        pass


@pytest.mark.long
def test_it_is_the_same_when_every_core_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes a core, and a cache of its own for each measurement: nothing is remembered."""
    # Whatever this processor has, one precision is four times as much work as the other.
    real = arithmetic._step

    def step(module: object, images: torch.Tensor, labels: torch.Tensor, compute: Compute) -> float:
        times = 1 if compute.precision == "float32" else 4
        return sum(real(module, images, labels, Compute(compute.device, "float32", 1)) for _ in range(times))

    monkeypatch.setattr(arithmetic, "_step", step)
    others = [multiprocessing.Process(target=_busy, daemon=True) for _ in range(2 * len(os.sched_getaffinity(0)))]
    for other in others:
        other.start()
    try:
        for number in range(3):
            monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / str(number)))
            found = choose_arithmetic(*ASKED)
            assert (found.precision, found.reason) == ("float32", "measured")
    finally:
        for other in others:
            other.kill()
            other.join()


@pytest.mark.long
def test_where_the_processor_hides_bfloat16_the_other_path_is_taken(tmp_path: Path) -> None:
    """oneDNN is told to use AVX2 alone: its bfloat16 is then emulated, on any processor."""
    script = (
        "import torch; from stepladder.network import load_preset; from stepladder.training.device import Compute\n"
        "from stepladder.training.arithmetic import measure_arithmetic\n"
        "net = load_preset('report')\n"
        "print(measure_arithmetic(net, (3, 16, 16), 10, 4, Compute(torch.device('cpu'), 'bfloat16', 1)).precision)"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "STEPLADDER_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "float32"


def test_the_first_answer_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    answers = iter(Arithmetic("float32", "measured", rounds=number) for number in range(5, 9))
    monkeypatch.setattr(arithmetic, "measure_arithmetic", lambda *_: next(answers))
    assert choose_arithmetic(*ASKED) == choose_arithmetic(*ASKED)
    # Not by batch size alone, and not by the number of threads: two commands of one machine take the same.
    assert choose_arithmetic(*ASKED[:3], 64, HERE).rounds == 6
    assert choose_arithmetic(*ASKED[:4], Compute(HERE.device, "bfloat16", None)).rounds == 5
    for file in tmp_path.rglob("*.json"):
        file.write_text('{"bfloat16": 0.1, "float32": 0.2}')  # as Stepladder 0.1 kept it
    assert choose_arithmetic(*ASKED).rounds == 7
    for file in tmp_path.rglob("*.json"):
        file.write_text("[1, 2]")
    assert choose_arithmetic(*ASKED).rounds == 8


def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(arithmetic, "measure_arithmetic", lambda *_: Arithmetic("bfloat16", "measured"))
    assert choose_arithmetic(*ASKED) == Arithmetic("bfloat16", "measured")


def test_only_bfloat16_on_a_cpu_is_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "measure_arithmetic", None)
    assert choose_arithmetic(*ASKED[:4], Compute(HERE.device, "float32")) == Arithmetic("float32", "only")


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[object, ...]]:
    """A processor with bfloat16, on which float32 is measured to be faster."""
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("stepladder.training.device._multiplies_bfloat16", lambda _device: True)
    asked: list[tuple[object, ...]] = []
    found = Arithmetic("float32", "measured", 1.0, 3.0, 32, 5)
    monkeypatch.setattr(arithmetic, "measure_arithmetic", lambda *what: asked.append(what) or found)
    return asked


def test_what_is_timed_is_what_trains(stepladder: Callable, measured_here: list[tuple[object, ...]]) -> None:
    """The network as techniques rewrite it, on images as they prepare them."""
    outcome = stepladder("train", "digits", "--epochs", "1", "--limit", "30", "--technique", "upscale")
    assert outcome.code == 0, outcome.err
    [(network, input_shape, classes, _, _)] = measured_here
    assert (input_shape, classes) == ((1, 12, 12), 10)
    assert any(layer.kind == "batch_norm" for layer in network.layers)


def test_a_recipe_that_cannot_work_is_refused_by_the_study(
    stepladder: Callable, measured_here: list[tuple[object, ...]]
) -> None:
    outcome = stepladder("study", "digits", "--limit", "30", "--technique", "step_lr")
    assert outcome.code == 2
    assert "exponential_lr and step_lr both" in outcome.err


@pytest.mark.long
@pytest.mark.parametrize(("asked", "taken"), [((), "float32"), (("--precision", "bfloat16"), "bfloat16")])
def test_a_study_says_and_records_what_it_takes(
    stepladder: Callable, measured_here: list[tuple[object, ...]], asked: tuple[str, ...], taken: str
) -> None:
    outcome = stepladder("plan", "digits", "--limit", "20", "--json", *asked)
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)["study"]
    assert record["precision"] == taken
    assert record["arithmetic"]["reason"] == ("measured" if taken == "float32" else "asked")
    said = "Use --precision bfloat16 to force the other."
    assert (said in " ".join(outcome.err.split())) is (taken == "float32")


@pytest.mark.long
def test_what_is_continued_keeps_its_arithmetic(
    stepladder: Callable, measured_here: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even where the machine, or its answer, is another one by then."""
    line = ("--limit", "13", "--network", "conv3-2 pool2 fc8 fc", "--epochs", "1", "--batch-size", "16")
    study = ("study", "digits", *line, "--rung", "a:", "--rung", "+b:standardize", "--workers", "1", "--out", "study")
    assert stepladder(*study, "--seeds", "1").code == 0
    assert stepladder("train", "digits", *line, "--out", "one", "--no-test").code == 0
    other = Arithmetic("bfloat16", "measured", 3.0, 1.0, 32, 5)
    monkeypatch.setattr("stepladder.studies.prepare.choose_arithmetic", lambda *_: other)
    assert stepladder(*study, "--seeds", "2").code == 0
    assert sl.load_study("study").record.precision == "float32"
    assert {trial.result.precision for trial in sl.load_study("study").trials} == {"float32"}
    outcome = stepladder("train", "digits", *line, "--out", "one")
    assert "This was trained before" in outcome.out
    card = next((tmp_path / "study").glob("trials/*/model/README.md")).read_text()
    assert "in float32" in card
