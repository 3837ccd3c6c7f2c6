"""A command and its rungs as a plan: words without a shell, and a sentence for what cannot be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.studies.design.rules import Rules
from stepladder.studies.design.sweeps import parse_axes
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import Machine, StudyRecord
from stepladder.studies.scores.command_record import Origin, make_curve_record, make_record
from stepladder.studies.scores.commands import CommandPlan, Reported, read_report, words_of

RUN = "python train.py --seed {seed} --out {out} {options}"
RUNGS = ("base:", "+mixup:--mixup 0.2", "+big:--name 'two words'")
MACHINE = Machine(processor="p", cores=1, memory_gb=1.0, accelerator=None, system="s")


def record(plan: CommandPlan, seeds: int = 3, rules: Rules | None = None) -> StudyRecord:
    return make_record(plan, seeds, rules or Rules(), Origin("n", MACHINE, "c", "2026-01-01"))


def test_words_are_filled_without_a_shell() -> None:
    rungs = CommandPlan(RUN, RUNGS).rung_records()
    out = Path("/a b/$(out)")
    assert words_of(rungs[0].recipe, 3, out, read_test=False) == [
        "python",
        "train.py",
        "--seed",
        "3",
        "--out",
        str(out),
    ]
    assert words_of(rungs[2].recipe, 3, out, read_test=False)[6:] == ["--mixup", "0.2", "--name", "two words"]
    assert [rung.adds for rung in rungs] == [(), ("--mixup 0.2",), ("--name 'two words'",)]


def test_a_shell_gets_quoted_values() -> None:
    rungs = CommandPlan("cd {out} && ./train {seed} {options}", ("a:", "b:--x '$HOME; rm'"), shell=True).rung_records()
    words = words_of(rungs[1].recipe, 1, Path("/a b"), read_test=False)
    assert words == ["/bin/sh", "-c", "cd '/a b' && ./train 1 --x '$HOME; rm'"]


def test_test_is_read_where_the_command_has_a_place_for_it() -> None:
    rungs = CommandPlan(RUN + " {read_test}", RUNGS).rung_records()
    assert words_of(rungs[0].recipe, 0, Path("o"), read_test=True)[-1] == "--read-test"
    assert words_of(rungs[0].recipe, 0, Path("o"), read_test=False)[-1] == "o"
    assert record(CommandPlan(RUN + " {read_test}", RUNGS)).scores.reads_test  # type: ignore[union-attr]
    assert not record(CommandPlan(RUN, RUNGS)).scores.reads_test  # type: ignore[union-attr]


def test_fractions_are_the_sizes_of_a_curve() -> None:
    plan = CommandPlan("t {seed} {fraction}")
    rungs = plan.size_records((1.0, 0.125, 0.5, 1.0))
    assert [rung.name for rung in rungs] == ["12.5 %", "50 %", "100 %"]
    assert words_of(rungs[0].recipe, 2, Path("o"), read_test=False) == ["t", "2", "0.125"]
    made = make_curve_record(plan, (1.0, 0.1), 3, Origin("n", MACHINE, "c", "2026-01-01"))
    assert (made.plan, made.is_curve, made.contrasts, made.seeds) == ("curve", True, (), (0, 1, 2))
    assert made.plan_hash == hash_plan(made)
    assert made.plan_hash != make_curve_record(plan, (1.0, 0.2), 3, Origin("n", MACHINE)).plan_hash


@pytest.mark.parametrize(
    ("plan", "fractions", "words"),
    [
        (CommandPlan("t {seed}"), (0.5, 1), "`run` has no place for the fraction of the training images"),
        (CommandPlan("t {fraction}"), (0.5, 1), "`run` has no place for the seed"),
        (CommandPlan("t {seed} {fraction} {options}"), (0.5, 1), "which a curve does not fill"),
        (CommandPlan("t {seed} {fraction}", RUNGS), (0.5, 1), "leave one of the two out"),
        (CommandPlan("t {seed} {fraction}"), (0.5, 1.5), "`fractions` has 1.5; a fraction is above 0 and at most 1"),
        (CommandPlan("t {seed} {fraction}"), (0, 1), "`fractions` has 0"),
        (CommandPlan("t {seed} {fraction}"), (1, 1), "a curve compares sizes; give two fractions or more"),
    ],
)
def test_a_curve_that_cannot_be_run_gets_a_sentence(
    plan: CommandPlan, fractions: tuple[float, ...], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        plan.size_records(fractions)


def test_rungs_without_a_plus_stand_for_themselves_and_the_name_may_be_all() -> None:
    rungs = CommandPlan("t {seed} {rung}", ("a:", "b:", "c:")).rung_records()
    assert words_of(rungs[1].recipe, 0, Path("o"), read_test=False) == ["t", "0", "b"]
    alone = CommandPlan(RUN, ("base:", "x:--x", "y:--y")).rung_records()
    assert alone[2].recipe["options"] == ["--y"]


def test_the_plan_is_hashed_with_command_rungs_and_metric() -> None:
    one = record(CommandPlan(RUN, RUNGS))
    assert one.plan_hash == hash_plan(one) != ""
    for other in (
        CommandPlan(RUN + " --fast", RUNGS),
        CommandPlan(RUN, RUNGS[:2]),
        CommandPlan(RUN, RUNGS, metric="f1"),
        CommandPlan(RUN, RUNGS, plan="add-one"),
        CommandPlan(RUN, RUNGS, lower_is_better=True),
    ):
        assert record(other).plan_hash != one.plan_hash
    assert record(CommandPlan(RUN, RUNGS)).plan_hash == one.plan_hash


def options(plan: CommandPlan) -> dict[str, str]:
    return {rung.name: " ".join(rung.recipe["options"]) for rung in plan.rung_records()}


FACTORS = ("start:--x", "+a:--a 1", "+b:-b", "+c:-c")


def test_in_every_plan_but_the_ladder_a_rung_is_a_factor() -> None:
    assert options(CommandPlan(RUN, FACTORS, "add-one")) == {
        "start": "--x", "a": "--x --a 1", "b": "--x -b", "c": "--x -c",
    }  # fmt: skip
    assert options(CommandPlan(RUN, FACTORS, "leave-one-out")) == {
        "all": "--x --a 1 -b -c", "without a": "--x -b -c", "without b": "--x --a 1 -c", "without c": "--x --a 1 -b",
    }  # fmt: skip
    both = record(CommandPlan(RUN, FACTORS, "ladder+leave-one-out"))
    assert [rung.name for rung in both.rungs] == ["start", "a", "b", "c", "without a", "without b"]
    assert [(one.name, one.design.value, one.weights) for one in both.contrasts][2:] == [
        ("c", "ladder", {"c": 1, "b": -1}),
        ("a", "leave-one-out", {"c": 1, "without a": -1}),
        ("b", "leave-one-out", {"c": 1, "without b": -1}),
    ]
    assert both.rungs[4].lacks == ("--a 1",)
    whole = options(CommandPlan(RUN, FACTORS, "factorial"))
    assert len(whole) == 8
    assert whole["start"] == "--x"
    assert whole["a+c"] == "--x --a 1 -c"


def test_rungs_that_add_to_nothing_are_compared_with_the_first() -> None:
    assert options(CommandPlan(RUN, ("s:--x", "a:-a", "b:-b"), "add-one")) == {"s": "--x", "a": "-a", "b": "-b"}


def test_a_factorial_is_thinned_out_and_other_plans_refused() -> None:
    thin = record(CommandPlan(RUN, FACTORS, "factorial"), 2, Rules(max_trials=8))
    assert len(thin.rungs) == 4
    assert thin.notes
    with pytest.raises(StudyError, match="`max_trials` is 7 and the ladder needs 8"):
        record(CommandPlan(RUN, FACTORS), 2, Rules(max_trials=7))


AXES = parse_axes(("lr=0.1,0.01", "width=32,64"), ranges=False)
SWEPT = "t --seed {seed} --lr {lr} --width {width}"


def test_the_points_of_a_sweep_fill_places_of_their_own() -> None:
    point = CommandPlan(SWEPT).point_record(AXES, (0.01, 32))
    assert point.name == "lr=0.01, width=32"
    assert words_of(point.recipe, 4, Path("o"), read_test=False) == [
        "t",
        "--seed",
        "4",
        "--lr",
        "0.01",
        "--width",
        "32",
    ]


@pytest.mark.parametrize(
    ("plan", "over", "words"),
    [
        (CommandPlan(SWEPT), ("lr=1,2",), "unknown place 'width'"),
        (CommandPlan("t {seed}"), ("lr=1,2",), "`over` has the key lr, and `run` has no place for it; write {lr}"),
        (CommandPlan("t {seed}"), ("seed=1,2",), "`over` has the key seed, which {seed} in `run` means already"),
        (CommandPlan("t {seed}"), ("a.b=1,2",), "`over` has the key a.b; in a command it is a place"),
        (CommandPlan("t {seed} {lr}", RUNGS), ("lr=1,2",), "a sweep makes its points of `over`, and rungs are given"),
    ],
)
def test_what_cannot_be_swept_gets_a_sentence(plan: CommandPlan, over: tuple[str, ...], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        plan.check_sweep(parse_axes(over, ranges=False))


def test_contrasts_looks_and_direction() -> None:
    ladder, alone = record(CommandPlan(RUN, RUNGS)), record(CommandPlan(RUN, RUNGS, plan="add-one"))
    assert [one.weights for one in ladder.contrasts] == [{"mixup": 1, "base": -1}, {"big": 1, "mixup": -1}]
    assert [one.weights for one in alone.contrasts] == [{"mixup": 1, "base": -1}, {"big": 1, "base": -1}]
    assert [(look.seeds, look.share) for look in ladder.looks] == [(3, 0.5)]
    assert ladder.measured_by.higher_is_better
    assert not record(CommandPlan(RUN, RUNGS, metric="val_loss")).measured_by.higher_is_better
    assert record(CommandPlan(RUN, RUNGS, metric="val_loss")).smallest_effect == 0


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (CommandPlan("", RUNGS), "`run` is empty"),
        (CommandPlan("train {options}", RUNGS), "`run` has no place for the seed"),
        (CommandPlan("train {seed}", RUNGS), "has no place for what rungs add; write {options} into it"),
        (CommandPlan("train {sed} {options}", RUNGS), "unknown place 'sed'; did you mean 'seed'"),
        (CommandPlan("train {seed {options}", RUNGS), "`run` cannot be read"),
        (CommandPlan("train '{seed} {options}", RUNGS), "`run` cannot be read"),
        (CommandPlan("train {seed} {options} | tee log", RUNGS), r"`run` has \|, which only a shell understands"),
        (CommandPlan(RUN, ("base:",)), "a study compares rungs; give two or more"),
        (CommandPlan(RUN, ("base", "x:1")), "`rung` is base; write NAME:arguments"),
        (CommandPlan(RUN, ("a:", "a:--x")), "two rungs are called 'a'"),
        (CommandPlan(RUN, ("a:", "b:")), "the rungs 'a' and 'b' have the same arguments"),
        (CommandPlan(RUN, ("a:", "b:'x")), "whose arguments cannot be read"),
        (CommandPlan(RUN, RUNGS, plan="factorials"), "unknown plan 'factorials'; did you mean 'factorial'"),
        (CommandPlan(RUN, ("a:", "b:--b"), plan="factorial"), "takes each rung for a factor, and b does not add to"),
        (CommandPlan("t {seed} {rung}", RUNGS, plan="leave-one-out"), "combines what rungs add, and `run` has no"),
        (
            CommandPlan(RUN, ("a:", "+b:-b", "+without b:-x"), "ladder+leave-one-out"),
            "two rungs are called 'without b'",
        ),
        (CommandPlan("t {seed} {fraction} {options}", RUNGS), "which a curve over the training images fills"),
    ],
)
def test_what_cannot_be_run_gets_a_sentence(plan: CommandPlan, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        plan.rung_records()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"val": 0.5, "test": 0.4}', Reported(0.5, 0.4)),
        ('{"test": 0.4, "history": "h.csv", "lr": 1}', Reported(None, 0.4, "h.csv")),
        ('{"val": 1}', Reported(1.0, None)),
    ],
)
def test_scores_are_read_from_the_file_or_the_last_line(tmp_path: Path, text: str, expected: Reported) -> None:
    assert read_report(tmp_path, f"epoch 1\n{text}\n\n", percent=False, share=True) == expected
    (tmp_path / "result.json").write_text(text)
    assert read_report(tmp_path, "", percent=False, share=True) == expected


def test_percent_and_numbers(tmp_path: Path) -> None:
    assert read_report(tmp_path, '{"test": 91.5}', percent=True, share=True) == Reported(None, 0.915)
    assert read_report(tmp_path, '{"test": 91.5}', percent=False, share=False) == Reported(None, 91.5)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("done", "neither wrote {out}/result.json nor printed"),
        ("{broken", "its last line is no JSON"),
        ('{"acc": 0.5}', "its last line holds acc, and neither val nor test"),
        ('{"val": "x"}', 'val in its last line is "x", which is no number'),
        ('{"val": true}', "val in its last line is true, which is no number"),
        ('{"val": 91.5}', "val in its last line is 91.5, no fraction of 1; say `unit=percent`"),
    ],
)
def test_a_run_without_a_score_says_why(tmp_path: Path, output: str, words: str) -> None:
    told = read_report(tmp_path, output, percent=False, share=True)
    assert isinstance(told, str)
    assert told.startswith("it has no score: ")
    assert words in told
