"""Every example of README and docs/ runs: on few made-up images, for five epochs, and otherwise as it is printed.

A page is one story, told in a folder of its own: its commands run in order, in this process. A command that prints an
error must print the error that stands there; what does not depend on images must print the lines that stand there.
What cannot run here is listed, with the reason. ``make examples`` runs them all.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import stepladder as sl
from stepladder.datasets import load_image_set
from tests.conftest import Outcome

ROOT = Path(__file__).parents[1]
#: Pages with tests of their own, which run what they show.
OTHERS = {
    "judge.md": "tests/api/test_judge_examples.py",
    "answers.md": "tests/answers/test_outputs.py",
    "exercises.md": "tests/answers/test_exercises.py",
}
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in OTHERS)]
#: What a command of each page would need, and there is none of here.
LEFT_OUT = {
    "make ": "these are run as they are by whoever tries the README, and by continuous integration",
    "pip install": "an environment is not changed by tests; make release installs every extra",
    "npm install": "the same",
    "node ": "tests/model/test_standalone.py runs that program in Node.js and in Chromium",
    "stepladder study digits --track wandb": "tests/studies/track/test_wandb.py runs it, in a process of its own",
    "stepladder study digits --track mlflow": "tests/studies/track/test_mlflow.py runs it, in a process of its own",
    "stepladder push": "nothing is sent by tests; tests/model/test_hub.py has a server of its own",
    "stepladder pull": "the same",
    "stepladder study hf://": "nothing is fetched by tests; tests/datasets/sources/test_hub.py has a server of its own",
    "hf://": "the same",
    "import datasets": "tests/datasets/sources/test_items.py has the library's own data sets",
    "stepladder study digits --track trackio": "trackio needs an older Pillow; make trackio tests it",
    "stepladder data --clear-cache": "tests/cli/test_data.py",
    "stepladder data my_images/ --leak-test": "tests/cli/test_data.py: it wants groups of images",
    "download=True": "nothing is fetched by tests; tests/datasets/test_download.py has a server of its own",
    "stepladder serve ": "it goes on until it is stopped; tests/web starts it and asks it",
    "curl ": "the same",
    "ray start": "it goes on until it is stopped; tests/studies/running/cluster has a Ray of its own",
    "--cluster 192.168": "the same",
    "uvicorn ": "the same",
    "sl.serve(": "the same",
    "model_app(": "the same",
    "stepladder view ": "it serves until it is stopped; tests/web/studies and tests/cli/test_view.py",
    "import timm": "timm is no dependency; python -m benchmarks foreign_networks trains its networks",
    "stepladder study my_images/ --network net.py:build --technique pretrained": "the same",
}
#: Commands that train, to be made short.
TRAINING = {"study", "train", "sweep", "curve", "lr-range", "plan", "bag-of-words"}
#: Commands that print the same for everybody.
SAME_FOR_ALL = {"inspect", "techniques", "answers"}
EPOCHS = "5"  # enough that something is learned, and so recommended
#: What a page takes for granted.
BEFORE = {
    "networks.md": "train my_images --network net.py:build --epochs 1 --batch-size 8",
    "models.md": "study DATA --seeds 2 --epochs 5 --batch-size 8",
    "report.md": "study digits --recipe first --limit 20 --epochs 1 --seeds 2",
}


class Block(NamedTuple):
    """A fenced block: its language, and what it holds."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


class Command(NamedTuple):
    """A command as it is printed, the lines that are printed below it, and whether it tells no story with others."""

    text: str
    shown: list[str]
    alone: bool = False


def commands(block: Block) -> Iterator[Command]:
    lines = block.text.replace("\\\n", " ").splitlines()
    starts = [
        place
        for place, line in enumerate(lines)
        if line.startswith(("$ ", "stepladder ", "pip ", "npm ", "node ", "make "))
        and (block.language == "sh" or line.startswith("$ "))
    ]
    for place, end in zip(starts, [*starts[1:], len(lines)][: len(starts)], strict=True):
        shown = lines[place + 1 : end] if block.language == "text" else []
        yield Command(lines[place].removeprefix("$ "), shown, block.language == "text")


def why_left_out(text: str) -> str | None:
    return next((reason for start, reason in LEFT_OUT.items() if start in text), None)


def shortened(words: list[str]) -> list[str]:
    """Return a command with few epochs, seeds and images a batch."""
    if words[0] not in TRAINING or "--help" in words:
        return words
    few = {"--seeds": "2", "--epochs": EPOCHS, "--trials": "3", "--max-time": "20s", "--batch-size": "8"}
    for option, value in few.items():
        if option in words[:-1] and words[words.index(option) + 1] != "auto":
            words[words.index(option) + 1] = value
    if words[0] in ("study", "train", "sweep", "curve") and "--epochs" not in words:
        words += ["--epochs", EPOCHS]
    if words[0] in ("study", "curve", "bag-of-words") and "--seeds" not in words:
        words += ["--seeds", "2"]
    return [re.sub(r"^batch_size=[\d,]+$", "batch_size=8,16", word) for word in words]


def make_images(folder: Path, classes: tuple[str, ...], number: int = 16, side: int = 16) -> None:
    rng = np.random.default_rng(len(classes))
    for level, name in enumerate(classes):
        for place in range(number):
            pixels = rng.normal(40 + 180 * level / len(classes), 20, (side, side, 3)).clip(0, 255).astype(np.uint8)
            path = folder / name / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of digits, with a model in each trial."""
    folder = tmp_path_factory.mktemp("models") / "study"
    images = load_image_set("digits")
    recipe = sl.RecipeOptions("small", network="conv3-16 pool2 fc64 fc", settings={"epochs": 15, "batch_size": 16})
    here = sl.Execution(device="cpu", precision="float32", workers=1)
    sl.study(
        images, recipe, plan=["plain:standardize", "+m:mixup"], seeds=2, out=folder, execution=here, progress=False
    )
    return folder


@pytest.fixture
def place(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[list[Block]], Path]:
    """What the examples speak of: folders of images, trained models, files of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stepladder.api.job.load_image_set", partial(load_image_set, limit=12))
    monkeypatch.setattr("stepladder.datasets.download.DOWNLOADS", tmp_path / "downloads", raising=False)

    def fill(found: list[Block]) -> Path:
        three = ("ants", "bees", "wasps")
        for name in ("my_images", "DATA", "NEW_IMAGES"):
            make_images(tmp_path / name, three)
        make_images(tmp_path / "photos", ("ants", "bees", "8"))
        for path in tmp_path.glob("NEW_IMAGES/*/*.png"):  # as those that the old model learned from
            Image.open(path).convert("L").save(path)
        for split in ("train", "test"):
            make_images(tmp_path / "cifar10-jpeg" / split, tuple("abcdefghij"))
        for name in ("new", "new_photos", "odd"):
            make_images(tmp_path / name, ("x",), number=3)
        shutil.copytree(next(models.glob("trials/*/model")), tmp_path / "model")
        make_images(tmp_path / "pets", ("cat", "dog"))
        make_images(tmp_path / "ants-bees", ("ants", "bees"))
        Image.new("RGB", (24, 20)).save(tmp_path / "pets/cat/other.png")
        rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in sorted(tmp_path.glob("pets/*/*.png"))]
        (tmp_path / "pets.csv").write_text("\n".join(["path,label", *rows]) + "\n")
        digits = load_image_set("digits", limit=20).splits["train"]
        (tmp_path / "training").mkdir()
        for number, image in enumerate(load_image_set("digits").splits["train"].images[:100, ..., 0]):
            Image.fromarray(image).save(tmp_path / f"training/{number}.png")
        np.savez(tmp_path / "digits.npz", x=digits.images[..., 0] / np.float32(255), y=digits.labels)
        kept = ("studies/my_images-ladder/trials/ID", "studies/digits-ladder/trials/ID", "trials/OLD")
        for name in (*kept, "trials/photos-transfer-seed0", "trials/ants-bees-transfer-seed0-all"):
            shutil.copytree(tmp_path / "model", tmp_path / name / "model")
        for name in ("five.png", "one.jpg", "two.png"):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name)
        save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "resnet18.safetensors")
        for block in found:  # a file of one's own says its name in its first line, or is the one that a command names
            if named := re.match(r"# ([\w.]+)\n", block.text):
                (tmp_path / named[1]).write_text(block.text)
                break
        return tmp_path

    return fill


def plain(text: str) -> str:
    """Return a text in one line, whatever folder downloads are kept in."""
    return re.sub(r"\S+/downloads", "DOWNLOADS", " ".join(text.split()))


def check_command(command: Command, call: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one, and compare what can be compared."""
    words = shlex.split(re.split(r"  #| > ", command.text)[0])[1:]
    shown = plain(" ".join(command.shown))
    if not shown.startswith("Error: "):
        words = shortened(words)
    if command.alone and words[0] in ("train", "study", "sweep") and "--out" not in words:
        words += ["--out", f"shown/{len(list(Path('shown').glob('*')))}"]
    done = call(*words)
    said = plain(done.out + done.err)
    if shown.startswith("Error: "):
        assert done.code == 2, command.text
        assert shown.partition("…")[0].strip() in said, f"{command.text}\n{said}"
        return
    diverged = done.code == 1 and "diverged" in said  # a rate that is too high is part of some examples
    assert done.code == 0 or diverged, f"{command.text}\n{done.err}"
    if words[0] not in SAME_FOR_ALL or "--data" in words or not command.shown:
        return
    shown_lines = [" ".join(line.replace("…", "").split()) for line in command.shown]
    for width in ("120", "100", "80"):  # a page prints it as wide as it has room
        monkeypatch.setenv("COLUMNS", width)
        lines = [" ".join(line.split()) for line in call(*words).out.splitlines()]
        missing = [line for line in shown_lines if not any(line in other for other in lines)]
        if not missing:
            return
    raise AssertionError(f"{command.text} does not print: {missing}")


def check_python(block: Block, names: dict[str, Any]) -> None:
    exec(compile(block.text, "an example", "exec"), names)


@pytest.mark.soak
@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES if blocks(page)])
def test_the_examples_of_a_page_run(
    page: Path,
    place: Callable[[list[Block]], Path],
    stepladder: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = blocks(page)
    folder = place(found)
    if page.name in BEFORE:
        assert stepladder(*BEFORE[page.name].split()).code == 0
    names: dict[str, Any] = {"sl": sl}
    ran = 0
    for block, below in zip(found, [*found[1:], Block("", "")], strict=True):
        if block.language == "python" and not why_left_out(block.text) and page.name != "README.md":
            (folder / "blur.py").write_text(block.text) if "class Blur" in block.text else check_python(block, names)
            ran += 1
        elif block.language == "toml" and "[[" in block.text:
            (folder / ("study.toml" if "rungs" in block.text else "pair.toml")).write_text(block.text)
        told = list(commands(block)) if block.language in ("sh", "text") else []
        if block.language == "sh" and len(told) == 1 and below.language == "text" and "$ " not in below.text:
            told = [Command(told[0].text, below.text.splitlines())]
        for command in told:
            if not why_left_out(command.text):
                check_command(command, stepladder, monkeypatch)
                ran += 1
    assert ran or page.name in NOTHING_TO_RUN, f"{page.name}: none of its blocks was taken for an example"


#: Pages whose blocks are no commands: outputs, formulas, trees, JavaScript.
NOTHING_TO_RUN = {
    "files.md",
    "hub.md",
    "performance.md",
    "reliability.md",
    "statistics.md",
    "javascript.md",
    "view.md",
    "serve.md",
}


def test_what_is_left_out_stands_somewhere() -> None:
    everything = "\n".join(block.text for page in PAGES for block in blocks(page))
    assert not [start for start in LEFT_OUT if start not in everything]
    assert "torch" in sys.modules
