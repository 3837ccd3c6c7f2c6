"""Readers of foreign bytes: a value or a sentence, whatever is damaged; ``make fuzz`` does the same at length."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks.__main__ import run
from benchmarks.fuzz import fuzz_target, targets, worker
from benchmarks.fuzz.targets import TARGETS, Prepared, Target
from benchmarks.fuzz.worker import FOUND, content_of, run_target
from stepladder.errors import StorageError

#: Damaged files a reader.
CASES = 25


def installed(target: str) -> bool:
    return not TARGETS[target].extra or importlib.util.find_spec(TARGETS[target].extra) is not None


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_give_a_value_or_a_sentence(target: str) -> None:
    if not installed(target):
        pytest.skip(f"{TARGETS[target].extra} is not installed")
    tally = run_target(target, range(CASES), seed=1)
    assert [fault.what for fault in tally.faults] == []
    assert tally.read + tally.refused == CASES + len(list((FOUND / target).glob("*")))


def test_every_file_that_broke_something_belongs_to_a_reader() -> None:
    assert {path.name for path in FOUND.iterdir()} <= set(TARGETS)


@pytest.mark.parametrize("target", ["npz", "tar", "idx-gz", "history.csv", "study.json", "model.safetensors"])
def test_a_case_is_its_number_and_nearly_every_one_is_damaged(target: str) -> None:
    contents = [content_of(target, 3, number) for number in range(10)]
    assert contents[:3] == [content_of(target, 3, number) for number in range(3)]
    assert len(set(contents)) > 8


def raises(content: bytes) -> object:
    if content == b"whole":
        return None
    raise StorageError("damaged") if len(content) % 2 else IndexError("of Python")


def test_what_breaks_a_promise_is_counted_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(TARGETS, "odd", Target(lambda folder: Prepared((b"whole",), raises)))
    monkeypatch.setattr(worker, "FOUND", tmp_path / "found")
    (tmp_path / "found" / "odd").mkdir(parents=True)
    (tmp_path / "found" / "odd" / "known").write_bytes(b"even")
    tally = run_target("odd", range(30), 0, tmp_path / "progress", tmp_path / "kept")
    assert tally.read + tally.refused + len(tally.faults) == 31
    assert tally.refused > 3
    assert len(tally.faults) > 3
    assert tally.faults[0].case == "known"
    assert tally.faults[0].what.startswith("IndexError: 'of Python' at ")
    kept = tally.faults[1]
    assert Path(kept.content).read_bytes() == content_of("odd", 0, int(kept.case.removeprefix("0/")))
    assert (tmp_path / "progress").read_text().strip() == "29"


def test_one_that_takes_too_long_or_too_much_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bytes] = []
    monkeypatch.setattr(worker, "MOST_SECONDS", -1.0)
    monkeypatch.setitem(TARGETS, "slow", Target(lambda folder: Prepared((b"",), held.append)))
    assert {fault.what for fault in run_target("slow", range(3), 0).faults} == {"took 0.0 s"}
    monkeypatch.setattr(worker, "MOST_SECONDS", 5.0)
    monkeypatch.setattr(worker, "MOST_MEMORY", -1)
    assert run_target("slow", range(1), 0).faults[0].what.endswith(" GB")


def test_a_process_that_ends_is_a_fault_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended = iter((True, False, False))

    class Done:
        def __init__(self, command: list[str]) -> None:
            first, end, progress = int(command[-5]), int(command[-4]), Path(command[-2])
            self.returncode, self.stderr, self.stdout = 0, "", ""
            if next(ended):
                progress.write_text("7")
                self.returncode, self.stderr = -11, "Segmentation fault"
            else:
                tally = {"target": "npz", "read": end - first, "refused": 0, "slowest": 0.5, "memory": 3, "faults": []}
                self.stdout = json.dumps(tally)

    monkeypatch.setattr("benchmarks.fuzz.subprocess.run", lambda command, **_: Done(command))
    tally = fuzz_target("npz", 20, 0, tmp_path, tmp_path)
    assert [fault.case for fault in tally.faults] == ["0/7"]
    assert "ended the process (-11): Segmentation fault" in tally.faults[0].what
    assert tally.read == 12


@pytest.mark.long
def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["fuzz", "network-line", "--cases", "5", "--keep", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "network-line: " in said
    assert "0 faults" in said
    assert run(["fuzz", "nothing"]) == 2
    assert "unknown reader 'nothing'" in capsys.readouterr().err
    assert run(["fuzz", "--cases", "0"]) == 2
    assert targets.REPOSITORY.joinpath("benchmarks").is_dir()
