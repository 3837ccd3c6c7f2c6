"""``--cluster`` on the command line: what is refused and how, what help says, and a Ray of this machine alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from stepladder.studies.files.bits import trial_bits
from stepladder.studies.running.cluster.session import connect, disconnect

Call = Callable[..., Any]

SMALL = ("digits", "--limit", "12", "--epochs", "1", "--recipe", "small")
VERBS = [
    ("study", *SMALL),
    ("plan", *SMALL),
    ("sweep", *SMALL, "--over", "optimizer.lr=0.1,0.2"),
    ("curve", *SMALL),
    ("study", "--run", "./run.sh {seed} {options}", "--rung", "a:", "--rung", "b:x"),
    ("bag-of-words", "digits", "--limit", "12"),
]


@pytest.fixture(autouse=True)
def no_connection() -> Iterator[None]:
    """Whatever other tests have open is none of these."""
    disconnect()
    yield
    disconnect()


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_what_is_no_address_ends_in_one_sentence(stepladder: Call, words: tuple[str, ...]) -> None:
    outcome = stepladder(*words, "--cluster", "nowhere")
    assert outcome.code == 2
    assert outcome.err == (
        "Error: --cluster is 'nowhere'; write auto, HOST:PORT as `ray start --head` prints it, or ray://HOST:10001\n"
    )
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.long
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra 'cluster' is not installed")
@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_where_nobody_listens_is_one_sentence(stepladder: Call, words: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    outcome = stepladder(*words, "--cluster", address)
    assert outcome.code == 2
    assert outcome.err == (
        f"Error: no Ray cluster answers at {address}; start one there with `ray start --head`, or use --cluster auto "
        "for this machine alone\n"
    )


@pytest.mark.parametrize("option", [("--cores", "2"), ("--gpus-each", "1"), ("--send", "run.sh")])
def test_what_is_of_a_cluster_alone_needs_one(stepladder: Call, option: tuple[str, str]) -> None:
    run = ("study", "--run", "./run.sh {seed} {options}", "--rung", "a:", "--rung", "b:x")
    outcome = stepladder(*run, *option)
    assert (outcome.code, outcome.err) == (2, f"Error: {option[0]} is for a cluster; name it with --cluster\n")


def test_without_ray_the_extra_is_named(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    outcome = stepladder("study", *SMALL, "--cluster", "auto")
    assert outcome.code == 2
    assert "pip install 'stepladder[cluster]'" in outcome.err


def test_help_says_what_an_address_is(stepladder: Call) -> None:
    outcome = stepladder("study", "--help")
    said = " ".join(outcome.out.replace("│", " ").split())
    assert "Run the trials on a Ray cluster: HOST:PORT of its head, or auto for that of RAY_ADDRESS" in said


@pytest.mark.ray
@pytest.mark.soak
def test_points_of_a_search_that_are_proposed_together_train_in_slots(
    stepladder: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("ray") is None:
        pytest.skip("the extra 'cluster' is not installed")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    session = connect("auto")
    cores = int(session.nodes()[0].cores)
    over = ("--over", "optimizer.lr=0.01..0.3", "--search", "optuna", "--trials", "2", "--together", "2")
    how = ("--seeds", "1", "--rung", "standardize", "--precision", "float32", "--threads", "1")
    outcome = stepladder("sweep", *SMALL, *over, *how, "--cluster", "auto", "--out", "there")
    assert outcome.code == 0, outcome
    assert len([place for places in session.slots.values() for place in places]) == min(2, cores)
    assert "[2/2] optimizer.lr=" in outcome.out
    assert stepladder("sweep", *SMALL, *over, *how, "--workers", "1", "--out", "here").code == 0
    assert trial_bits(Path("there")) == trial_bits(Path("here"))


@pytest.mark.ray
@pytest.mark.soak
def test_plan_says_what_is_there_and_how_many_run_at_a_time(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("ray") is None:
        pytest.skip("the extra 'cluster' is not installed")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    session = connect("auto")  # for both of these calls
    cores = int(session.nodes()[0].cores)
    told = stepladder("plan", *SMALL, "--cluster", "auto")
    assert told.code == 0, told
    said = " ".join(told.out.split())
    assert f"Trials run on a Ray of this machine alone: 1 node, {cores} core{'s' * (cores > 1)}." in said
    plain = stepladder("plan", *SMALL, "--cluster", "auto", "--json")
    assert plain.code == 0, plain
    assert json.loads(plain.out)["trials_at_a_time"] == cores, "nothing but JSON, and as many as there are cores"
    assert session.place is not None
    disconnect()
    assert not Path(session.place).exists()
