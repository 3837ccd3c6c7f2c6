"""The page's arithmetic, run by Node.js, against the library's on thousands of random networks, errors among them."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stepladder.cli.inspect_tables import _macs, _megabytes, _percent
from stepladder.errors import LineError, RecipeError
from stepladder.network import preset_names, read_preset
from stepladder.network.advice import weights_for_each_image
from stepladder.network.arithmetic import parse_input
from stepladder.network.find import FoundNetwork
from stepladder.network.inspection import Inspection, inspect_network
from stepladder.network.line import WORDS, Line, format_line
from stepladder.network.receptive_field import pixels_behind
from stepladder.network.sizes import describe_sizes
from stepladder.report.explorer import ARITHMETIC, script_text
from stepladder.report.explorer.language import language
from tests.report.explorer.lines import Lines

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed: apt-get install nodejs")

#: STEPLADDER_EXAMPLES=20000 tries more; by default a few thousand, so that the tests stay quick.
LINES = int(os.environ.get("STEPLADDER_EXAMPLES", "3000"))
Case = dict[str, Any]


def ask_the_page(cases: list[Case], scripts: str | None = None) -> list[dict[str, Any]]:
    """Return what the page's scripts, or others in their place, make of each case."""
    program = (scripts or script_text(ARITHMETIC)) + Path(__file__).with_name("driver.js").read_text(encoding="utf-8")
    asked = json.dumps({"language": language(), "cases": cases})
    done = subprocess.run(
        [str(NODE), "-e", program], input=asked, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # A whole number comes as text with an n behind it, since those of JSON end at 2^53.
    return json.loads(done.stdout, object_hook=_whole)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    return (
        int(value[:-1])
        if isinstance(value, str) and value.endswith("n") and value[:-1].lstrip("-").isdigit()
        else value
    )


def ask_the_library(case: Case) -> dict[str, Any]:
    """Return the same from the library."""
    try:
        inspection = inspected(case)
    except RecipeError as error:
        return {"error": str(error)}
    document = inspection.to_document()
    layers = [{key: value for key, value in layer.items() if key != "compare"} for layer in document["layers"]]
    compared = [
        [layer["name"], *(layer["compare"][key] for key in COMPARED)]
        for layer in document["layers"]
        if layer["compare"]
    ]
    behind = [
        pixels_behind(inspection.found.network, inspection.costs, name, (row, column))
        for name, row, column in case["probes"]
    ]
    return {
        "layers": layers,
        "compared": compared,
        "num_classes": inspection.num_classes,
        "weights": inspection.weights,
        "macs": inspection.macs,
        "share": inspection.fully_connected_share,
        "activation_bytes": inspection.memory,
        "input_bytes": inspection.input_memory,
        "sizes": describe_sizes(inspection.sizes, inspection.input_shape) if case["sizes"] else None,
        "probes": [[sorted(axis) for axis in seen] for seen in behind],
        "written": [
            _megabytes(inspection.memory),
            _megabytes(inspection.weights),
            _macs(inspection.macs, exact=False),
            _percent(inspection.fully_connected_share),
        ],
        "images": weights_for_each_image(inspection.weights, 1437),
    }


COMPARED = ("locally_connected_weights", "fully_connected_weights", "fully_connected_macs")


def inspected(case: Case) -> Inspection:
    line = Line(case["line"])
    found = FoundNetwork("line", line.network, line)
    shape = tuple(case["input"])
    return inspect_network(found, shape, case["classes"], batch_size=case["batch"], precision=case["precision"])


def with_caret(answer: dict[str, Any], line: str) -> dict[str, Any]:
    """Return what the page says as the library would write it, with the line and a caret under the place."""
    if answer.get("start") is not None:
        return {"error": str(LineError(answer["error"], line, answer["start"], answer["end"]))}
    return {"error": answer["error"]} if "error" in answer else answer


def make_case(line: str, images: tuple[int, int, int] = (3, 32, 32), classes: int | None = None, **more: Any) -> Case:
    return {
        "line": line,
        "input": list(images),
        "classes": classes,
        "batch": 128,
        "precision": "float32",
        "sizes": False,
        "probes": [],
    } | more


def probes_of(case: Case, draw: random.Random) -> list[tuple[str, int, int]]:
    """Choose outputs of two layers, to ask which pixels they see."""
    try:
        inspection = inspected(case)
    except RecipeError:
        return []
    chosen = draw.sample(inspection.costs, min(2, len(inspection.costs)))
    return [(cost.layer.name, *(_place(cost.output_shape, axis, draw) for axis in (1, 2))) for cost in chosen]


def _place(shape: tuple[int, ...], axis: int, draw: random.Random) -> int:
    return draw.randrange(shape[axis]) if len(shape) == 3 else 0


def assert_same(cases: list[Case]) -> list[dict[str, Any]]:
    """Compare page and library on every case; return what the library says."""
    answers, told = ask_the_page(cases), [ask_the_library(case) for case in cases]
    for case, page, expected in zip(cases, answers, told, strict=True):
        assert with_caret(page, case["line"]) == expected, (
            f"{case['line']!r} on {case['input']}, {case['classes']} classes"
        )
    return told


@pytest.mark.long
def test_random_networks_have_the_same_figures_and_errors() -> None:
    lines = Lines(1)
    cases = []
    for number in range(LINES):
        line = lines.one() if number % 2 else lines.wild()
        case = make_case(line, lines.images(), lines.random.choice([None, 3, 10]))
        case |= {"batch": lines.random.choice([1, 32, 128]), "precision": lines.random.choice(["float32", "bfloat16"])}
        if number % 7 == 1:
            case |= {"probes": probes_of(case, lines.random), "sizes": number % 28 == 1}
        cases.append(case)
    told = assert_same(cases)
    # That the draw reaches everything is part of the claim.
    kinds = {layer["kind"] for one in told for layer in one.get("layers", ())}
    assert kinds == {word.kind.model_fields["kind"].default for word in WORDS.values()}
    fitting = sum("error" not in one for one in told)
    assert min(fitting, LINES - fitting) > LINES // 5
    causes = {
        re.sub(r"\(\w+\)|[\d.×]+|'.*?'", "", one["error"].partition("\n")[0])[:60] for one in told if "error" in one
    }
    assert len(causes) > 60, sorted(causes)


@pytest.mark.long
def test_every_published_network_has_the_same_figures() -> None:
    cases = []
    for name in preset_names():
        preset = read_preset(name)
        line = format_line(preset.network)
        cases.append(make_case(line, preset.input_shape, preset.classes, sizes=preset.input_shape[1] <= 64))
        cases.append(make_case(line, (3, 64, 96), 7))
        cases[-1]["probes"] = probes_of(cases[-1], random.Random(name))
    told = assert_same(cases)
    assert sum("error" not in one for one in told) > len(preset_names())


WRONG = """
conv5-0|conv-3|conv5|conv5-classes-3|conv5.5-3|conv5-3:padding=x|conv0x3-3|conv3-3:bias=2|conv3-3:groups=1.5
conv3-3:foo=2|pool2:padding=2|pool-2|pool|relu-3|relu6.5|lrelu2|celu0|bn:eps=2|bn:eps=nan|gn|se8:hidden=3
se:gate=foo|drop1|drop:p=nan|scale|scalex|scale:factor=inf|fc0|fcclasses|local3-classes|conv3-3:name=a.b
conv3-3:name=a conv3-3:name=a|conv3-99999999999999|res:shortcut=foo(conv3-2)|res3(conv3-2)|cat|res
conv3-3:stride=2x2|conv3-3:kernel_size=2|conv5-1_0|conv5-3:padding=99|scale1e400|(|)|res(conv3-2
res(conv3-2)) fc|xyz|poool2|MaxPool2d|maxpool2d2|Conv2d5-3|conv3-3-3|drop0.5:p=0.5|conv3-3:name=|conv3-3::a=b
conv3-8:name=it's|conv3-8:padding='|conv3-8:padding=\\|conv3-8:padding=1e30|conv3-8:padding=0.00001|plain plain
res:name=a(conv3-3) conv3-3:name=a_shortcut|se:name=a conv3-3:name=a_reduce|conv1-classes fc|res(fc) fc
res(res(res(res(res(res(res(res(res(conv3-3)))))))))|fc 3|conv9-4:padding=0 conv40-3:padding=0 fc|drop:p=yes
drop:p=no|celu:alpha=yes|relu:ceiling=none|conv3-3:stride=+2|conv3-3:Stride=2|fc:bias=no,bias=no|cat()|res()
gap:x=3|CONV3-8 Bn ReLU fc
"""


def test_what_is_wrong_is_said_in_the_same_words() -> None:
    lines = [line for row in WRONG.strip().splitlines() for line in row.split("|")]
    lines += ["res(conv3-2 | conv3-2)", "|", "  ", "conv3-8\n\tpool2  fc", "a" * 100]
    assert_same([make_case(line, images) for line in lines for images in ((3, 32, 32), (1, 4, 9))])


def test_sizes_of_images_are_read_and_refused_alike() -> None:
    texts = [
        "3x32x32",
        "3×8 x 9",
        "1*2,3",
        "32x32",
        "3x3",
        "32x32x3",
        "3x0x3",
        "3x-1x3",
        "x",
        "",
        "3x4x5x6",
        "3x9999999x1",
    ]
    program = (
        f"{script_text(ARITHMETIC)}\n const read = (text) => {{ try {{ return parseInput(text).map(Number); }} "
        "catch (error) { return error.message; } };"
        f"process.stdout.write(JSON.stringify({json.dumps(texts)}.map(read)));"
    )
    done = subprocess.run([str(NODE), "-e", program], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [read_size(text) for text in texts]


def read_size(text: str) -> list[int] | str:
    try:
        return list(parse_input(text))
    except RecipeError as error:
        return str(error).replace("`input` is", "the input is")  # the page has a field of that name


def test_no_figure_is_too_large_to_be_exact() -> None:
    line = "conv3-2147483647 dw3-2147483647 dw3-999 gap fc"
    (told,) = assert_same([make_case(line, (3, 4096, 65536), 1000)])
    assert told["weights"] > 2**70


@pytest.mark.long
def test_a_page_that_reckons_otherwise_is_found_out() -> None:
    """The comparison can fail: with one letter of the arithmetic changed, it does."""
    case = make_case("conv5-32 pool3:padding=1 fc")
    assert with_caret(ask_the_page([case])[0], case["line"]) == ask_the_library(case)
    text = script_text(ARITHMETIC)
    for right, wrong in (
        ("room / window.stride + 1n", "room / window.stride"),
        ("(shape[0] + bias(layer)) * features", "shape[0] * features"),
        ("came[axis].jump * window.stride", "came[axis].jump"),
    ):
        assert text.count(right) == 1
        assert ask_the_page([case], text.replace(right, wrong)) != [ask_the_library(case)]
