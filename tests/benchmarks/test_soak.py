import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import soak as room
from benchmarks.soak import Sample, Settings, Soak, can_be_watched, compare, run_soak
from stepladder.errors import DataError
from stepladder.studies.files.bits import bits

#: Seconds of killing; the undisturbed study before, and the ends in peace, take most of the time.
SMALL = Settings(minutes=0.15, gap=2.0, seeds=1, epochs=1, limit=12)

needs_proc = pytest.mark.skipif(not can_be_watched(), reason="there is no /proc here")


@pytest.mark.soak
@needs_proc
def test_a_soak_of_seconds_passes_and_one_changed_bit_is_found(tmp_path: Path) -> None:
    told: list[str] = []
    done = run_soak(SMALL, tmp_path, told.append)
    assert done.passed, (done, told)
    assert done.killed.kills.total() + done.long.kills.total() >= 1
    assert done.killed.studies >= 1
    assert done.undisturbed.trials == 6
    assert done.long.trials >= 6
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["undisturbed"]

    whole = bits(tmp_path / "undisturbed")
    (tmp_path / "killed-0.log").touch()
    shutil.copytree(tmp_path / "undisturbed", tmp_path / "killed-0")
    weights = next((tmp_path / "killed-0").glob("trials/*/model/model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    runner = room._Runner(SMALL, tmp_path, told.append)
    runner._judge("killed-0", bits(tmp_path / "killed-0"), whole, kills=3)
    assert runner.soak.differing == {"killed-0": [str(weights.relative_to(tmp_path / "killed-0"))]}
    assert not runner.soak.passed
    assert told[-1] == "killed-0: killed 3 times, 1 files differ."
    assert weights.exists(), "what differs is kept to be looked at"
    assert len(compare({}, whole)) == len(whole) > 12, "what is missing differs"


def test_a_soak_with_a_different_bit_does_not_pass() -> None:
    assert Soak().passed
    assert not Soak(differing={"killed-0": ["results.csv"]}).passed
    assert not Soak(faults=["killed-0 ended with exit status 1"]).passed


def test_growth_of_the_main_process_is_found() -> None:
    def soak(megabytes: float, files: float) -> Soak:
        done = Soak()
        done.long.samples += [
            Sample(36.0 * i, 500 + megabytes * i / 100, int(20 + files * i / 100), 0, 0, 0, 0) for i in range(100)
        ]
        return done

    assert soak(20, 2).passed
    assert soak(20, 2).slope("main_mb") == pytest.approx(20)
    assert not soak(400, 0).passed
    assert not soak(0, 20).passed


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(minutes=0), "`minutes` is 0; it must be more than 0"),
        (Settings(gap=-1), "`gap` is -1; it must be more than 0"),
        (Settings(seeds=0), "`seeds` is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(settings: Settings, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        settings.check()


def test_without_proc_it_says_so(measure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "can_be_watched", lambda: False)
    outcome = measure("soak")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: a soak reads memory and open files from /proc, which this system lacks")
