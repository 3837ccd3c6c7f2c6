"""Does a model say the same anywhere? A hundred awkward files, answered by its card alone, in Python and in Node.js."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from PIL import Image

from benchmarks.peers.running import CannotInstallError, make_environment
from stepladder.cli.bench import table_of
from stepladder.cli.console import AsJson, make_console, print_json
from stepladder.errors import DataError, RecipeError
from stepladder.files import replace_bytes
from stepladder.model.any_size import read_any_size
from stepladder.model.export import export_model
from stepladder.model.folder import load_folder, read_card
from stepladder.model.images import find_images
from stepladder.model.sample_images import sample_photographs
from stepladder.model.torch_model import Model

#: What the card says that its program needs, and what that for JavaScript says.
PACKAGES, MODULES = ("onnxruntime", "numpy", "pillow"), ("onnxruntime-web", "sharp")

SCRIPT = Path(__file__).parents[1] / "src" / "stepladder" / "model" / "standalone.mjs"

#: Ways to keep a photograph that readers differ in, by name: what becomes of it, and how it is written.
_Way = Callable[[Image.Image], tuple[Image.Image, dict[str, Any]]]


def _turned(orientation: int) -> _Way:
    def way(image: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
        exif = Image.Exif()
        exif[0x0112] = orientation
        return image, {"exif": exif, "quality": 90}

    return way


def _with_alpha(image: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
    layered = image.convert("RGBA")
    shade = np.linspace(255, 90, image.height, dtype=np.uint8)
    layered.putalpha(Image.fromarray(np.repeat(shade[:, None], image.width, axis=1)))
    return layered, {}


def _of_16_bits(image: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), {}


WAYS: Mapping[str, _Way] = {
    "plain.jpg": lambda image: (image, {"quality": 90}),
    "progressive.jpg": lambda image: (image, {"quality": 75, "progressive": True}),
    **{f"turned-{number}.jpg": _turned(number) for number in range(2, 9)},
    "gray.jpg": lambda image: (image.convert("L"), {}),
    "cmyk.jpg": lambda image: (image.convert("CMYK"), {"quality": 90}),
    "large.jpg": lambda image: (image.resize((4 * image.width, 4 * image.height)), {"quality": 85}),
    "small.png": lambda image: (image.resize((max(1, image.width // 3), max(1, image.height // 3))), {}),
    "plain.png": lambda image: (image, {}),
    "palette.png": lambda image: (image.convert("P"), {}),
    "alpha.png": _with_alpha,
    "16-bits.png": _of_16_bits,
    "16-bits.tiff": _of_16_bits,
    "plain.tiff": lambda image: (image, {}),
    "lossless.webp": lambda image: (image, {"lossless": True}),
    "plain.gif": lambda image: (image, {}),
}


@dataclass(frozen=True)
class Answered:
    """What one way to ask came to, beside Stepladder's own answers.

    Attributes:
        way: that was asked.
        files: that were asked about.
        same: how many of these got the same class.
        difference: the largest difference of the class's probability among all of them.
        others: numbers of the files that got another class, as their names begin.
    """

    way: str
    files: int
    same: int
    difference: float
    others: tuple[str, ...]


def take_home(
    model: Annotated[Path, Parameter(help="Model folder of a trial.")],
    images: Annotated[list[str], Parameter(negative="", help="Photographs to make the files of.")],
    *,
    count: Annotated[int, Parameter(help="Files to make.")] = 100,
    as_json: AsJson = False,
) -> int:
    """Answer awkward files by the exported file and the card alone, in an empty environment and in Node.js."""
    console = make_console(as_json)
    loaded = load_folder(model, "cpu", "float32")
    found = find_images(images, ()).files
    if count < 1 or not found:
        raise DataError("there are no images to make files of; give photographs, and a count of at least 1")
    with tempfile.TemporaryDirectory(prefix="stepladder-take-home-") as folder:
        place = Path(folder)
        files = awkward([one.path for one in found], place / "files", count)
        plain, any_size = exported(loaded, read_card(model), place)
        expected = answers_of(loaded, files)
        python = make_environment("take-home", PACKAGES)
        asked = {
            "the card's program, Python": by_card(read_card(model), plain, files, [str(python)]),
            "standalone.mjs, Node.js": by_node(modules(place / "node"), any_size, files),
        }
    done = [compared(way, expected, answers) for way, answers in asked.items()]
    table = table_of("asked by", "files", "same class", "probability differs by at most")
    for one in done:
        table.add_row(one.way, f"{one.files:,}", f"{one.same:,}", f"{one.difference:.2g}")
    console.print(table)
    for one in done:
        if one.others:
            console.print(f"Another class by {one.way}: {', '.join(one.others)}", markup=False)
    if as_json:
        print_json({"model": str(model), "answered": [asdict(one) for one in done]})
    return 1 if any(one.others for one in done) else 0


def awkward(photographs: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Write ``count`` files of ``photographs`` into ``folder``, every way of :data:`WAYS` in turn."""
    folder.mkdir(parents=True)
    step = max(1, len(photographs) // count)
    files = []
    for number in range(count):
        with Image.open(photographs[number * step % len(photographs)]) as opened:
            image = opened.convert("RGB")
        name, way = list(WAYS.items())[number % len(WAYS)]
        kept, options = way(image)
        files.append(folder / f"{number:03}-{name}")
        kept.save(files[-1], **options)
    return files


def exported(model: Model, card: str, folder: Path) -> tuple[Path, Path]:
    """Export ``model`` as it is, and so that it reads images of any size."""
    plain, any_size = folder / "model.onnx", folder / "any-size.onnx"
    export_model(model, plain, sample_photographs(model.image_shape), card=card)
    replace_bytes(any_size, plain.read_bytes())
    random = np.random.default_rng(0)
    sizes = random.integers(20, 300, (8, 2))
    channels = model.image_shape[2]
    read_any_size(any_size, [random.integers(0, 256, (*size, channels), dtype=np.uint8) for size in sizes])
    return plain, any_size


#: The class and its probability of each file, in order.
Answers = list[tuple[str, float]]


def answers_of(model: Model, files: Sequence[Path]) -> Answers:
    """What Stepladder says."""
    return [(one.name, one.probability) for one in model.predict(list(files))]


def by_card(card: str, model: Path, files: Sequence[Path], python: Sequence[str]) -> Answers:
    """What the program on the card says, run by ``python``."""
    program = re.search(r"```python\n(.*?)\n```", card, re.DOTALL)
    if program is None:
        raise RecipeError("the model's card has no program; train the model again")
    script = model.with_name("from_the_card.py")
    script.write_text(program[1], encoding="utf-8")
    text = _run([*python, str(script), str(model), *map(str, files)], model.parent)
    lines = [line.split(" ", 2) for line in text.splitlines()]
    return [(name, float(probability)) for probability, name, _ in lines]


def modules(folder: Path) -> Path:
    """Install what the script for JavaScript needs, and return the folder of the modules."""
    if shutil.which("npm") is None:
        raise CannotInstallError("npm is not here; install Node.js")
    folder.mkdir(parents=True, exist_ok=True)
    _run(
        ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), *MODULES]
    )
    return folder / "node_modules"


def by_node(installed: Path, model: Path, files: Sequence[Path]) -> Answers:
    """What the script for JavaScript says, with the modules that are ``installed``."""
    with tempfile.TemporaryDirectory(prefix="stepladder-node-") as folder:
        script = Path(folder, SCRIPT.name)
        shutil.copy(SCRIPT, script)
        Path(folder, "node_modules").symlink_to(installed.resolve())
        text = _run(["node", str(script), str(model), *map(str, files)])
    return [(one["class"], one["probability"]) for one in map(json.loads, text.splitlines())]


def compared(way: str, expected: Answers, found: Answers) -> Answered:
    """Compare answers, file by file."""
    pairs = list(zip(expected, found, strict=True))
    others = tuple(f"{number:03}" for number, (ours, theirs) in enumerate(pairs) if ours[0] != theirs[0])
    difference = max(abs(ours[1] - theirs[1]) for ours, theirs in pairs)
    return Answered(way, len(pairs), len(pairs) - len(others), difference, others)


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise RecipeError(
            f"{Path(command[0]).name} ended with status {done.returncode}: {(told or ['nothing said'])[-1]}"
        )
    return done.stdout
