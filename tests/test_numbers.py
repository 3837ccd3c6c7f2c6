"""Numbers in the docs that the code decides are those of the code; what was measured says on what machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stepladder.network import load_preset, preset_names, read_preset, trace_network
from stepladder.optimizer import OPTIMIZERS
from stepladder.recipe import load_recipe
from stepladder.studies.design.rules import FIRST_LOOK, Rules, first_share, look_sizes
from stepladder.studies.judging import boundaries, choice, diagnosis, learning
from stepladder.techniques import TECHNIQUES
from stepladder.techniques.operations import OPERATIONS
from stepladder.techniques.zca import LARGEST
from stepladder.training.calibration import ECE_BINS

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    """Return a page, its lines joined."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def weights(network: str) -> int:
    preset = read_preset(network)
    return sum(cost.weights for cost in trace_network(load_preset(network), preset.input_shape, preset.classes))


def looks(first: int, most: int) -> str:
    return ", ".join(map(str, look_sizes(first, most)))


def recipe(name: str) -> dict[str, Any]:
    found = load_recipe(name)
    return {"lr": f"{found.optimizer.lr:g}", "batch": found.batch_size, "epochs": found.epochs}


#: A page, what it says, and from where the numbers in its braces come.
FIGURES: list[tuple[str, str, Callable[[], Mapping[str, Any]]]] = [
    (
        "docs/statistics.md",
        "with s at the first look: {five} at five seeds or more, {four} at four, {three} at three, {two} at two",
        lambda: {"five": first_share(9), "four": first_share(4), "three": first_share(3), "two": first_share(2)},
    ),
    ("docs/statistics.md", "then at sizes that grow by 1.4 ({sizes}, …)", lambda: {"sizes": looks(5, 20)}),
    (
        "docs/statistics.md",
        "α(n) = α [1 - (1 - s)(n₁/n)^{power:g}]",
        lambda: {"power": boundaries._POWER},
    ),
    (
        "docs/statistics.md",
        "by {many} permutations of the test labels ({few} where there are more than {answers:,} answers)",
        lambda: {
            "many": learning._PERMUTATIONS,
            "few": learning._FEW_PERMUTATIONS,
            "answers": learning._MANY_ANSWERS,
        },
    ),
    (
        "docs/statistics.md",
        "by the bootstrap: {most} drawings (down to {fewest} where the images are many)",
        lambda: {"most": choice._DRAWS, "fewest": choice._FEWEST_DRAWS},
    ),
    ("docs/statistics.md", "calibration error, {bins} bins of equal mass", lambda: {"bins": ECE_BINS}),
    (
        "docs/statistics.md",
        "({most}: looks at {looks} and {last})",
        lambda: {"most": 10, "looks": looks(FIRST_LOOK, 9), "last": look_sizes(FIRST_LOOK, 10)[-1]},
    ),
    ("docs/glossary.md", "({sizes}, …)", lambda: {"sizes": looks(5, 14)}),
    ("docs/statistics.md", "with a probability of 1 - α = {share:.0f} %", lambda: {"share": 100 * (1 - Rules().alpha)}),
    ("docs/techniques.md", "recipe small ({epochs} epochs, SGD at {lr})", lambda: recipe("small")),
    (
        "docs/reference-study.md",
        "network `report` ({weights:,} weights), SGD at {lr}, batch {batch}, {epochs} epochs",
        lambda: {"weights": weights("report"), **recipe("report")},
    ),
    (
        "docs/networks.md",
        "report on 3×32×32, 10 classes: {weights:,} weights ({size:.1f} MB in float32)",
        lambda: {"weights": weights("report"), "size": weights("report") * 4 / 1e6},
    ),
]

#: A technique, what its card says, and from where the numbers come.
ON_CARDS: list[tuple[str, str, str, Callable[[], Mapping[str, Any]]]] = [
    (
        "exponential_lr",
        "caveat",
        "{gamma} leaves {left:.0f} % after 20 epochs",
        lambda: {"gamma": 0.95, "left": 100 * TECHNIQUES["exponential_lr"]().gamma ** 20},
    ),
    ("ema", "caveat", "fewer than {steps:,.0f} steps", lambda: {"steps": (10 * 0.999 - 1) / (1 - 0.999)}),
    (
        "he_init",
        "caveat",
        "{times} times the variance of torch's default",
        lambda: {"times": {6: "six"}[round(2 / (1 / 3))]},  # 2/n against 1/(3n)
    ),
    (
        "global_average_pooling",
        "cost",
        "{saved:.2f} of {all:.2f} million weights",
        lambda: {"saved": 1000 * 64 * (16 - 1) / 1e6, "all": weights("report") / 1e6},
    ),
    ("whitening_stem", "cost", "conv1 reads {maps} maps, not 3", lambda: {"maps": 2 * 2 * 2 * 3}),
    ("zca", "cost", "a matrix of {size:.0f} MB", lambda: {"size": LARGEST**2 * 4 / 1e6}),
    ("rand_augment", "summary", "two of {number} operations", lambda: {"number": {14: "fourteen"}[len(OPERATIONS)]}),
    ("trivial_augment", "summary", "one of {number} operations", lambda: {"number": {14: "fourteen"}[len(OPERATIONS)]}),
]

#: Pages that say how long something takes, and measured none of it.
UNMEASURED = {"docs/python.md"}  # a limit that the reader sets
MACHINES = r"EPYC|Xeon|AVX|H100|H200|A100"


@pytest.mark.parametrize(("name", "text", "values"), FIGURES, ids=[f"{name}: {text[:40]}" for name, text, _ in FIGURES])
def test_a_figure_of_a_page_is_that_of_the_code(name: str, text: str, values: Callable[[], Mapping[str, Any]]) -> None:
    assert text.format(**values()) in page(name)


@pytest.mark.parametrize(
    ("name", "field", "text", "values"), ON_CARDS, ids=[f"{name} {field}" for name, field, *_ in ON_CARDS]
)
def test_a_figure_of_a_card_is_that_of_the_code(
    name: str, field: str, text: str, values: Callable[[], Mapping[str, Any]]
) -> None:
    assert text.format(**values()) in getattr(TECHNIQUES[name], field)


def test_what_the_cards_tell_of_defaults() -> None:
    warmup, step, one = (TECHNIQUES[name]() for name in ("warmup", "step_lr", "one_cycle"))
    assert (warmup.epochs, warmup.start) == (1, 0.1)  # "one epoch from a tenth of the rate"
    assert (step.gamma, one.rise) == (0.1, 0.3)
    assert TECHNIQUES["group_norm"]().groups == 8  # "8 groups by default"
    assert TECHNIQUES["random_resized_crop"]().smallest == 0.35  # "at least 35 % of the area"
    assert TECHNIQUES["layer_decay"]().factor == 0.7
    assert TECHNIQUES["spatial_dropout"]().p == 0.1


def test_the_table_of_optimizers_is_that_of_the_code() -> None:
    text = (ROOT / "docs/techniques.md").read_text(encoding="utf-8")
    text = text.split("| optimizer | settings: default | |")[1].split("\n\n")[0]
    found: dict[str, dict[str, str]] = {}
    for names, settings in re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", text, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            found[name] = dict(re.findall(r"`(\w+)`: ([\w.]+)", settings))
    expected = {
        name: {key: str(bool(value)).lower() if key == "nesterov" else f"{value:g}" for key, value in settings.items()}
        for name, settings in OPTIMIZERS.items()
    }
    assert found == expected


def test_the_table_of_the_digits_says_what_is_not_in_it() -> None:
    section = page("docs/techniques.md").split("## What each did on the digits")[1]
    section, table = section.split("| --- |", 1)[0], section.split("## The lab report's questions")[0]
    rows = set(re.findall(r"\| `(\w+)` \|", table))
    assert rows <= set(TECHNIQUES)
    assert f"{len(rows)} techniques" in section
    missing = set(TECHNIQUES) - rows - {"standardize"}  # which is the base
    assert missing == {name for name in missing if f"`{name}`" in section.split("n = 2 seeds")[0]}


def test_the_rules_of_the_curves_say_their_own_limits() -> None:
    words = {rule.state: rule.words for rule in diagnosis.RULES}
    state = diagnosis.State
    assert f"below {100 * diagnosis.LEARNED:.0f} %" in words[state.UNDER_FITTING]
    assert f"at {diagnosis.DIVERGED:g} times its lowest" in words[state.DIVERGING]
    assert f"at {diagnosis.TURNED:g} times its lowest" in words[state.MEMORIZING]
    assert f"{100 * diagnosis.GAP:.0f} points or more" in words[state.MEMORIZING]
    assert f"by {100 * diagnosis.FALL:.0f} % an epoch" in words[state.IMPROVING]
    assert f"p ≤ {diagnosis.SLOPE_P:g}" in words[state.IMPROVING]
    noisy = words[state.NOISY]
    assert f"above {diagnosis.MEMORIZED:g} nats, rises by more than {100 * diagnosis.JUMP:.0f} %" in noisy
    assert f"{100 * diagnosis.SWING:.0f} points or more" in noisy


def test_the_list_of_networks_is_that_of_the_command(
    stepladder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed = "\n".join(line.rstrip() for line in stepladder("inspect").out.splitlines()).strip()
    file = ROOT / "docs/networks.md"
    text = file.read_text(encoding="utf-8")
    begin = text.index("```text\nnetwork              images") + len("```text\n")
    end = text.index("```", begin)
    if request.config.getoption("--refresh-golden", default=False):
        file.write_text(f"{text[:begin]}{printed}\n{text[end:]}", encoding="utf-8")
        return
    assert text[begin:end].strip() == printed
    assert len(preset_names()) == sum(bool(re.match(r"\w", line)) for line in printed.splitlines()) - 2


@pytest.mark.parametrize(
    "file", sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]), ids=lambda file: file.name
)
def test_a_page_with_measured_times_names_the_machine(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    times = re.findall(r"(?<![\w.])\d[\d.,]* (?:ms|s|min|h)\b(?! ago)", text)
    if times and file.relative_to(ROOT).as_posix() not in UNMEASURED:
        assert re.search(MACHINES, text), f"{file.name} has {times[:3]} and names no processor"
