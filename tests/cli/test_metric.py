"""One metric decides whatever a command chooses, judges and shows first: by its own figures, whatever accuracy says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.model import load_model
from stepladder.studies.files.store import load_study

Call = Callable[..., Any]
FEW = ("--limit", "30", "--epochs", "2", "--set", "optimizer.lr=0.05")


@pytest.fixture
def uneven(tmp_path: Path) -> str:
    """120 images of ``even`` and 24 of ``odd``, noise with a bright or a dark half; 60 and 12 more for test."""
    random = np.random.default_rng(0)
    arrays = {}
    for split, counts in (("train", (120, 24)), ("test", (60, 12))):
        labels = np.repeat([0, 1], counts)
        images = random.integers(0, 200, (len(labels), 8, 8), dtype=np.uint8)
        images[labels == 1, :4] += 25
        arrays |= {f"x_{split}": images, f"y_{split}": np.array(["even", "odd"])[labels]}
    np.savez(tmp_path / "uneven.npz", **arrays)
    return str(tmp_path / "uneven.npz")


@pytest.mark.long
def test_a_study_chooses_judges_and_shows_by_the_recall_of_a_class(stepladder: Call, uneven: str) -> None:
    outcome = stepladder(
        "study", uneven, "--recipe", "small", "--epochs", "3", "--rung", "base:standardize", "--rung",
        "+often:oversample", "--seeds", "2", "--metric", "recall:odd", "--out", "out", "--json", "--workers", "1",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "recall:odd" in outcome.err
    assert "val recall of odd " in outcome.err
    study = load_study(Path("out"))
    assert study.record.metric == "recall:odd"
    for trial in study.trials:
        model, result = load_model(trial.folder / "model"), trial.result
        arrays = np.load(uneven)
        odd = arrays["x_test"][arrays["y_test"] == "odd"]
        found = np.mean(model.logits(odd[..., None]).argmax(axis=1) == 1)
        assert result.test_score == pytest.approx(found)
        assert result.val_score == trial.history[-1].val_score
        assert result.val_score is not None
    verdicts = json.loads(Path("out/verdicts.json").read_text())
    for rung in verdicts["rungs"]:
        scores = [trial.result.test_score for trial in study.trials if trial.rung == rung["rung"]]
        assert rung["mean"] == pytest.approx(np.mean(scores))
        assert rung["validation"] == pytest.approx(
            np.mean([trial.result.val_score for trial in study.trials if trial.rung == rung["rung"]])
        )
    page = Path("out/report.md").read_text()
    assert "test recall of odd, %" in page
    assert "validation recall of odd, %" in page
    rows = Path("out/results.csv").read_text().splitlines()
    assert "val_score,test_score" in rows[0]


@pytest.mark.long
def test_the_epoch_that_is_kept_is_the_best_by_that_metric(stepladder: Call, uneven: str) -> None:
    command = ("train", uneven, "--epochs", "6", "--select", "best-val", "--json")
    result = json.loads(stepladder(*command, "--metric", "recall:odd", "--out", "by-recall").out)
    history = np.genfromtxt("by-recall/history.csv", delimiter=",", names=True)
    assert history["val_score"][1:].max() == history["val_score"][result["selected_epoch"]]
    assert result["selected_epoch"] == 1 + int(np.argmax(history["val_score"][1:]))
    by_accuracy = json.loads(stepladder(*command, "--out", "by-accuracy").out)
    assert by_accuracy["trial"] != result["trial"], "another metric may keep other weights"
    assert "val_score" not in Path("by-accuracy/history.csv").read_text()


def test_a_lower_loss_is_better(stepladder: Call) -> None:
    outcome = stepladder("train", "digits", *FEW, "--select", "best-val", "--metric", "nll", "--json", "--out", "out")
    result = json.loads(outcome.out)
    history = np.genfromtxt("out/history.csv", delimiter=",", names=True)
    assert result["selected_epoch"] == 1 + int(np.argmin(history["val_loss"][1:]))
    assert "Test negative log-likelihood" in outcome.err
    assert "nats, accuracy" in outcome.err


@pytest.mark.long
def test_a_sweep_chooses_by_costs(stepladder: Call, tmp_path: Path) -> None:
    names = [str(digit) for digit in range(10)]
    costs = [",".join(["", *names])]
    costs += [
        ",".join([true, *("0" if true == other else "5" if true == "3" else "1" for other in names)]) for true in names
    ]
    (tmp_path / "costs.csv").write_text("\n".join(costs))
    outcome = stepladder(
        "sweep", "digits", "--recipe", "small", "--limit", "30", "--over", "optimizer.lr=0.02,0.05", "--epochs", "2",
        "--seeds", "2", "--metric", "cost", "--costs", str(tmp_path / "costs.csv"), "--out", "out", "--json",
        "--workers", "1",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    points = json.loads(Path("out/points.json").read_text())
    assert points["metric"] == "cost"
    study = load_study(Path("out"))
    for point in points["points"]:
        scores = [trial.result.val_score for trial in study.trials if trial.rung == point["name"]]
        assert point["mean"] == pytest.approx(np.mean(scores))
    learned = [point for point in points["points"] if point["learned"]]
    if learned:
        assert points["best"]["points"][0] == min(learned, key=lambda point: point["mean"])["name"]
        assert "the lowest mean validation expected cost" in outcome.err
    assert "validation expected cost, an image" in Path("out/report.md").read_text()


@pytest.mark.long
def test_a_curve_is_of_the_metric(stepladder: Call) -> None:
    outcome = stepladder(
        "curve", "digits", "--recipe", "small", "--limit", "40", "--epochs", "2", "--seeds", "2", "--metric",
        "balanced_accuracy", "--out", "out", "--json", "--workers", "1",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    verdicts, study = json.loads(Path("out/verdicts.json").read_text()), load_study(Path("out"))
    assert verdicts["metric"] == "balanced_accuracy"
    largest = [trial.result.test_score for trial in study.of_rung(study.record.rungs[-1].name)]
    assert list(verdicts["sizes"][-1]["scores"].values()) == largest
    assert "test balanced accuracy, %" in Path("out/report.md").read_text()


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metric", "recall"), "--metric recall is of one class; name it, as in --metric recall:cat"),
        (("--metric", "recall:eleven"), "unknown class 'eleven'"),
        (("--metric", "cost"), "--metric cost needs a table of what each mistake costs; give it as --costs"),
        (("--costs", "no.csv"), "cannot read no.csv"),
    ],
)
@pytest.mark.parametrize("command", ["study", "plan", "train", "sweep", "curve"])
def test_what_does_not_fit_is_refused_by_every_command(
    stepladder: Call, command: str, options: tuple[str, str], said: str
) -> None:
    more = ("--over", "epochs=1,2") if command == "sweep" else ()
    outcome = stepladder(command, "digits", "--recipe", "small", "--limit", "20", *more, *options)
    assert outcome.code == 2
    assert said in outcome.err
