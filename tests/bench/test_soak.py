from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.bench import soak as soaking
from stepladder.bench.processes import can_be_watched
from stepladder.bench.soak import compare, run_soak
from stepladder.bench.soak_records import Sample, Settings, Soak
from stepladder.errors import DataError
from stepladder.study.bits import bits

#: Seconds of killing; the undisturbed study before, and the ends in peace, take most of the time.
SMALL = Settings(minutes=0.15, gap=2.0, seeds=1, epochs=1, limit=12)

needs_proc = pytest.mark.skipif(not can_be_watched(), reason="there is no /proc here")


@needs_proc
def test_a_soak_of_seconds_passes_and_one_changed_bit_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    whole: dict[str, object] = {}

    def remember(study: Path) -> dict[str, object]:
        found = bits(study)
        whole.update(found)
        return found

    monkeypatch.setattr(soaking, "bits", remember)
    done = run_soak(SMALL, tmp_path, told.append)
    assert done.passed, (done, told)
    assert done.killed.kills.total() + done.long.kills.total() >= 1
    assert done.killed.studies >= 1
    assert done.undisturbed.trials == 6
    assert done.long.trials >= 6
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["undisturbed"]

    weights = next((tmp_path / "undisturbed").glob("trials/*/model/model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    name = str(weights.relative_to(tmp_path / "undisturbed"))
    assert compare(bits(tmp_path / "undisturbed"), whole) == [name]
    weights.unlink()
    assert compare(bits(tmp_path / "undisturbed"), whole) == [name]


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
        (Settings(minutes=0), "--minutes is 0; it must be more than 0"),
        (Settings(gap=-1), "--gap is -1; it must be more than 0"),
        (Settings(seeds=0), "--seeds is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(settings: Settings, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        settings.check()


def test_without_proc_it_says_so(stepladder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.bench.soak_records.can_be_watched", lambda: False)
    outcome = stepladder("bench", "soak")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: a soak reads memory and open files from /proc, which this system lacks")
