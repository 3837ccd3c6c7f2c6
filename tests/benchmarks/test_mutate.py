"""Mistakes that are put into the code, and what is counted of them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import benchmarks.mutate as command
from benchmarks.mutate import Known, drawn, read_survivors, survivors_text, wilson
from benchmarks.mutate.mutations import Mutation, find_mutations
from benchmarks.mutate.rooms import ROOMS, Room
from stepladder.errors import StudyError

ROOT = Path(__file__).parents[2]

SOURCE = '''
"""A text with 1 > 0 in it."""

LIMIT: int = 7

def judge(splits, low, high=0.5, *, strict=True):
    """Another text."""
    assert low < high, "no mistake is put in here"
    if low <= 0 and not strict:
        raise ValueError(f"{low + 1}")
    total = sum(splits.test) - low
    write(high, low, mode="w")
    return total if strict else max(low, high)
'''


def changes(source: str) -> list[tuple[str, str]]:
    return [(one.was, one.becomes) for one in find_mutations("a.py", source.encode())]


def test_a_mutant_is_one_small_mistake() -> None:
    found = changes(SOURCE)
    assert set(found) == {
        ("7", "8"),
        ("0.5", "1.0"),
        ("True", "False"),
        ("low <= 0 and (not strict)", "(low <= 0 or not strict)"),
        ("low <= 0 and (not strict)", "(low <= 0)"),
        ("low <= 0 and (not strict)", "(not strict)"),
        ("low <= 0", "(low < 0)"),
        ("0", "1"),
        ("not strict", "(strict)"),
        ("sum(splits.test) - low", "(sum(splits.test) + low)"),
        ("splits.test", "splits.validation"),
        ("write(high, low, mode='w')", "pass"),
        ("write(high, low, mode='w')", "write(high, low)"),
        ("write(high, low, mode='w')", "write(low, high, mode='w')"),
        ("total if strict else max(low, high)", "(total)"),
        ("total if strict else max(low, high)", "(max(low, high))"),
        ("max", "min"),
        ("max(low, high)", "max(high, low)"),
    }
    assert len(found) == len(set(found))


@pytest.mark.parametrize("file", ["studies/judging/verdicts.py", "datasets/splits.py", "techniques/dropout.py"])
def test_every_mutant_of_real_code_is_python_and_another_program(file: str) -> None:
    content = (ROOT / "src/stepladder" / file).read_bytes()
    before, mutations = ast.dump(ast.parse(content)), find_mutations(file, content)
    assert len(mutations) > 15
    assert len({one.key for one in mutations}) == len(mutations)
    for one in mutations[::7]:
        assert ast.dump(ast.parse(one.apply(content))) != before, one


def test_alike_mistakes_in_one_place_are_told_apart_by_their_number() -> None:
    source = b"def f(x):\n    return g(1) + g(1)\n"
    ones = [one for one in find_mutations("a.py", source) if one.was == "1"]
    assert [(one.number, one.apply(source)) for one in ones] == [
        (0, b"def f(x):\n    return g(2) + g(1)\n"),
        (1, b"def f(x):\n    return g(1) + g(2)\n"),
    ]


def test_a_sample_stays_the_same_while_other_code_changes() -> None:
    few = find_mutations("a.py", SOURCE.encode())
    more = find_mutations("a.py", (SOURCE + "\ndef more(x):\n    return x + 1 > 2\n").encode())
    assert len(more) > len(few)
    chosen, others = {one.key for one in drawn(few, 6, 0)}, {one.key for one in drawn(more, 6, 0)}
    assert len(chosen) == 6
    assert {key for key in others if key[1] != "more"} <= chosen
    assert {one.key for one in drawn(few, 6, 1)} != chosen
    assert drawn(few, None, 0) == few


def test_rooms_have_the_files_and_tests_that_there_are() -> None:
    asked = {test for room in ROOMS.values() for file in room.files for test in room.tests_of(file)}
    assert len(asked) > 30
    for test in asked:
        path, _, name = test.partition("::")
        assert (ROOT / "tests" / path).is_file(), test
        assert not name or f"def {name}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), test
    files = [file for room in ROOMS.values() for file in room.files]
    assert len(files) == len(set(files)) > 40
    assert [file for file in files if not (ROOT / "src/stepladder" / file).is_file()] == []


def test_known_survivors_have_verdicts_and_come_back_as_they_were(tmp_path: Path) -> None:
    known = {
        ("a.py", "judge", "1", "2", 0): Known("equivalent", "the second is never read"),
        ("a.py", "", 'name = "a"', "pass", 3): Known("accepted", "a minute of training would tell"),
    }
    path = tmp_path / "survivors.toml"
    path.write_text(survivors_text(known))
    assert read_survivors(path) == known
    path.write_text(survivors_text({("a.py", "judge", "1", "2", 0): Known("accepted", "")}))
    with pytest.raises(StudyError, match=r"the survivor 1 in a\.py has no verdict with its reason; give both"):
        read_survivors(path)


def test_the_file_of_survivors_can_be_read_and_is_of_the_rooms() -> None:
    files = {file for room in ROOMS.values() for file in room.files}
    assert {key[0] for key in read_survivors()} <= files
    assert len(read_survivors()) > 0


Judged = list[tuple[str, Mutation, int]]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Let the mutants of a small room come to the given ends, one after another, and the rest be caught."""

    def make(codes: Sequence[int], survivors: dict[Any, Known] | None = None) -> None:
        (tmp_path / "src/stepladder").mkdir(parents=True)
        (tmp_path / "src/stepladder/a.py").write_text(SOURCE)
        path = tmp_path / "known.toml"
        path.write_text(survivors_text(survivors or {}))
        monkeypatch.setattr(command, "ROOT", tmp_path)
        monkeypatch.setitem(ROOMS, "small", Room({"a.py": ("test_a.py",)}))
        monkeypatch.setattr(command, "read_survivors", lambda: read_survivors(path))

        def tried(chosen: Sequence[tuple[str, Mutation]], _jobs: int) -> Iterator[tuple[str, Mutation, int]]:
            for place, (room, mutation) in enumerate(chosen):
                yield room, mutation, codes[place] if place < len(codes) else 1

        monkeypatch.setattr(command, "tried", tried)

    return make


def figures(out: str) -> list[str]:
    return next(line for line in out.splitlines() if line.split()[:1] == ["all"]).split()


def test_a_survivor_that_nobody_knows_fails(judged: Callable[..., None], measure: Callable[..., Any]) -> None:
    judged([1, 0, -1, 2])
    outcome = measure("mutate", "small", "--all")
    assert outcome.code == 1
    said = outcome.out + outcome.err
    assert said.count("SURVIVED a.py, ") == 1
    assert figures(said)[:7] == ["all", "18", "17", "0", "0", "1", "94.4"]


def test_a_survivor_with_a_verdict_does_not(
    judged: Callable[..., None], measure: Callable[..., Any], tmp_path: Path
) -> None:
    key = find_mutations("a.py", SOURCE.encode())[1].key
    judged([1, 0], {key: Known("equivalent", "nothing reads it")})
    outcome = measure("mutate", "small", "--all")
    assert outcome.code == 0
    # What changes nothing cannot be caught, so that it is not counted.
    assert figures(outcome.out + outcome.err)[:7] == ["all", "18", "17", "1", "0", "0", "100.0"]


def test_new_survivors_are_written_to_be_looked_at(
    judged: Callable[..., None], measure: Callable[..., Any], tmp_path: Path
) -> None:
    judged([0, 1, 0])
    measure("mutate", "small", "--sample", "5", "--write", str(tmp_path / "new.toml"))
    written = read_survivors(tmp_path / "new.toml")
    assert [known.why for known in written.values()] == ["TO BE LOOKED AT"] * 2


@pytest.mark.soak
def test_mutants_are_tried_in_a_copy_by_its_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measure: Callable[..., Any]
) -> None:
    """The whole way, with a program of four lines: of three mistakes one is noticed."""
    source = "def double(x):\n    while x > 100:\n        x -= 50\n    return x + x if x > 3 else 2 * x\n"
    test = "from stepladder.small import double\n\n\ndef test_it():\n    assert (double(101), double(8)) == (102, 16)\n"
    (tmp_path / "src/stepladder").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "src/stepladder/__init__.py").touch()
    (tmp_path / "src/stepladder/small.py").write_text(source)
    (tmp_path / "tests/test_small.py").write_text(test)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["soak: long"]\n')
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "WARM", ())
    monkeypatch.setitem(ROOMS, "small", Room({"small.py": ("test_small.py",)}))
    mutations = {(one.was, one.becomes): one for one in find_mutations("small.py", source.encode())}
    chosen = [mutations["x + x", "(x - x)"], mutations["x > 3", "(x >= 3)"], mutations["x > 100", "(x >= 100)"]]
    assert [code for _, _, code in command.tried([("small", one) for one in chosen], 2)] == [1, 0, 0]
    assert (tmp_path / "src/stepladder/small.py").read_text() == source
    tree = command.Tree(tmp_path / "copy")
    assert tree.run(("test_small.py",), limit=0.0)[0] == -1, "no time is left, as where a mutant hangs"
    tree.close()
    (tmp_path / "tests/test_small.py").write_text(test.replace("102", "103"))
    with pytest.raises(StudyError, match="tests fail without any mutant"):
        list(command.tried([("small", chosen[0])], 1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "unknown room 'nothing'"),
        (["judging", "--sample", "0"], "--sample is 0; it must be at least 1, or give --all"),
        (["judging", "--file", "files.py"], "--file is files.py; no room that was asked for has it"),
    ],
)
def test_what_cannot_be_asked_is_said(measure: Callable[..., Any], arguments: list[str], words: str) -> None:
    outcome = measure("mutate", *arguments)
    assert outcome.code == 2
    assert words in outcome.err


def test_the_interval_is_wilson_s() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for caught, of in ((0, 5), (3, 10), (95, 100), (15, 15)):
        assert wilson(caught, of) == pytest.approx(proportion_confint(caught, of, method="wilson"), abs=1e-6)
    assert wilson(0, 0) == (0.0, 1.0)
