"""The window moved by hand: what the page makes of the numbers is what torch makes of them."""

from __future__ import annotations

import json
import random
import shutil
import subprocess

import pytest
import torch
from torch.nn import functional

from stepladder.network.matrix import as_matrix
from stepladder.report.explorer import ARITHMETIC, script_text

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed: apt-get install nodejs")

#: Runs the page's own functions on each setting; the page's input and kernels are those that it begins with.
DRIVER = """
const settings = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify(settings.map((setting) => {
  Object.assign(hand, setting);
  const outputs = handOutputs();
  const places = Array.from({ length: outputs * outputs }, (_, at) => [Math.floor(at / outputs), at % outputs]);
  const read = (row, column) => tapsAt(row, column).filter(([y, x]) => inside(y, x));
  return {
    outputs, kernel: kernelByHand(), most: mostPadding(),
    input: numbers.slice(0, hand.size).map((line) => line.slice(0, hand.size)),
    values: places.map(([row, column]) => valueAt(row, column)[0]),
    read: places.map((place) => read(...place).map(([y, x, u, v]) => [y * hand.size + x, u * hand.kernel + v])),
  };
})));
"""


def settings() -> list[dict]:
    draw = random.Random(3)
    found = []
    while len(found) < 400:
        kind, kernel = draw.choice(["conv", "max", "mean"]), draw.randint(1, 5)
        dilation = draw.randint(1, 3) if kind == "conv" else 1
        most = dilation * (kernel - 1) if kind == "conv" else kernel // 2
        found.append(
            {
                "kind": kind,
                "size": draw.randint(2, 9),
                "kernel": kernel,
                "stride": draw.randint(1, 4),
                "padding": draw.randint(0, min(4, most)),
                "dilation": dilation,
                "ceil": kind != "conv" and draw.random() < 0.5,
            }
        )
    return found


@pytest.fixture(scope="module")
def answers() -> list[tuple[dict, dict]]:
    asked = settings()
    program = script_text((*ARITHMETIC, "hand.js")) + DRIVER
    done = subprocess.run(
        [str(NODE), "-e", program], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return list(zip(asked, json.loads(done.stdout), strict=True))


def in_torch(setting: dict, answer: dict) -> torch.Tensor | None:
    """Return what torch makes of the page's input; None where no window fits."""
    maps = torch.tensor(answer["input"], dtype=torch.float64)[None, None]
    kernel = torch.tensor(answer["kernel"], dtype=torch.float64)[None, None]
    size, stride, padding = setting["kernel"], setting["stride"], setting["padding"]
    try:
        if setting["kind"] == "conv":
            return functional.conv2d(maps, kernel, stride=stride, padding=padding, dilation=setting["dilation"])[0, 0]
        pool = functional.max_pool2d if setting["kind"] == "max" else functional.avg_pool2d
        return pool(maps, size, stride, padding, ceil_mode=setting["ceil"])[0, 0]
    except RuntimeError:
        return None


def test_sums_maxima_and_means_are_those_of_torch(answers: list[tuple[dict, dict]]) -> None:
    fitted = 0
    for setting, answer in answers:
        assert setting["padding"] <= answer["most"]
        expected = in_torch(setting, answer)
        if expected is None or expected.numel() == 0:
            assert answer["outputs"] == 0, setting
            continue
        fitted += 1
        assert answer["outputs"] == len(expected), setting
        assert answer["values"] == pytest.approx(expected.flatten().tolist()), setting
    assert fitted > 300


def test_the_matrix_is_the_library_s(answers: list[tuple[dict, dict]]) -> None:
    """Each row of the drawn matrix has the kernel's weights in the columns that the library gives them."""
    convolutions = [one for one in answers if one[0]["kind"] == "conv" and one[1]["outputs"]]
    assert len(convolutions) > 60
    for setting, answer in convolutions:
        size, kernel = setting["size"], answer["kernel"]
        layer = torch.nn.Conv2d(
            1, 1, len(kernel), setting["stride"], setting["padding"], setting["dilation"], bias=False
        )
        # Each tap another number, so that a matrix with its taps in other places is another one.
        layer.weight.data = 1.0 + torch.arange(len(kernel) ** 2, dtype=torch.float32).reshape(layer.weight.shape)
        expected = as_matrix(layer, (1, size, size)).toarray()
        drawn = torch.zeros(expected.shape, dtype=torch.float64)
        for row, read in enumerate(answer["read"]):
            for column, tap in read:
                drawn[row, column] = 1.0 + tap
        assert drawn.numpy() == pytest.approx(expected), setting
