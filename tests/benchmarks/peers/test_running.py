import sys
from pathlib import Path

import pytest

from benchmarks.peers import ALONE, TOGETHER, Peer, known_peers, running
from benchmarks.peers.running import (
    FailedError,
    PeerRounds,
    add_round,
    environments_folder,
    make_environment,
    run_round,
)

WEIGHTS = 1_191_170


@pytest.mark.soak
def test_an_environment_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    python = make_environment("empty", ("pip",))
    assert python.is_relative_to(environments_folder())
    monkeypatch.setattr(running, "_run", lambda command: pytest.fail("it was made again"))
    assert make_environment("empty", ("pip",)) == python


def test_a_peer_that_fails_is_left_out_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "broken.py"
    script.write_text("print('ready', flush=True)\nraise ValueError('no such thing')\n")
    monkeypatch.setattr(Peer, "path", property(lambda peer: script))
    with pytest.raises(FailedError, match="it ended with status 1: ValueError: no such thing"):
        run_round(PeerRounds(Peer("broken", "broken", "broken.py"), 2), [sys.executable], tmp_path, {"seed": 0})


def test_another_network_is_no_peer() -> None:
    answer = {"images_per_second": [1.0], "accuracy": 0.1, "peak_memory_bytes": 1, "weights": 7, "versions": {}}
    with pytest.raises(FailedError, match=r"its network has 7 weights, not 1,191,170: no fair comparison"):
        add_round(PeerRounds(ALONE, 1), [answer], WEIGHTS)


def test_processes_together_add_up() -> None:
    rounds = PeerRounds(TOGETHER, 2)
    answer = {"images_per_second": [1.0, 3.0], "accuracy": 0.1, "peak_memory_bytes": 5, "weights": 7, "versions": {}}
    add_round(rounds, [answer, answer | {"accuracy": 0.3}], 7)
    assert rounds.epochs == [[2.0, 6.0]]
    assert rounds.images_per_second == [3.0]  # as many images at 2 a second as at 6
    assert rounds.accuracy == pytest.approx([0.2])
    assert rounds.peak_memory_bytes == [10]


def test_peers_stand_alone() -> None:
    peers = known_peers()
    assert len(peers) > 4
    for peer in peers:
        text = peer.path.read_text(encoding="utf-8")
        assert "import stepladder" not in text
        assert "from stepladder" not in text
