"""Makes the pictures of the documentation: ``python docs/make_pictures.py report sweep-lr``, or all that can be made.

A picture is a file that commands leave, or a page of theirs as Chromium shows it. The commands are those of the pages,
and run in ``.pictures``, where a second call goes on with what the first has trained. Some want image sets that do not
come with Stepladder (``--data FOLDER`` says where these lie), and some hours; ``--list`` says which. Pictures of the
atlas are made by ``python -m benchmarks atlas --page``.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/images"
#: Where the commands run.
WORK = ROOT / ".pictures"
#: Image sets that commands name, and where they lie below ``--data``.
SETS = {
    "cifar10-jpeg": "cifar10-jpeg",
    "ants-bees": "wild/ants-bees",
    "clothing": "clothing",
}
#: Seconds until a server has printed its address, and until a page is drawn.
PATIENCE = 120


@dataclass(frozen=True)
class Screen:
    """A page as a browser shows it.

    Attributes:
        file: the page, where it is a file in ``.pictures``.
        server: otherwise the command that serves it and prints its address.
        width, height: of the picture; the whole page's height where it is None.
        first, last: selectors of the elements that it begins and ends with; from the page's top to ``height`` without.
        files: that are chosen in the page, by their names in ``.pictures``.
        script: JavaScript that sets the page then.
        wait: seconds before the script, and after it.
        dark: in the dark.
    """

    file: str | None = None
    server: str | None = None
    width: int = 1280
    height: int | None = None
    first: str | None = None
    last: str | None = None
    files: tuple[str, ...] = ()
    script: str = ""
    wait: float = 1.0
    dark: bool = False


@dataclass(frozen=True)
class Picture:
    """What makes a picture.

    Attributes:
        commands: run in order; ``#`` begins a step of this program.
        made: the file that they leave in ``.pictures``, or the page that is pictured.
        takes: how long on two cores, in words.
        beside, after: a command that runs meanwhile, and the seconds that it has run when the picture is taken.
    """

    commands: tuple[str, ...]
    made: str | Screen
    takes: str = "a minute"
    beside: str | None = None
    after: float = 0.0

    @property
    def sets(self) -> tuple[str, ...]:
        """Image sets that do not come with Stepladder."""
        return tuple(name for name in SETS if any(name in shlex.split(command) for command in self.commands))


_FIRST = "stepladder study digits --recipe first"
_REFERENCE = "stepladder study cifar10-jpeg --seeds 3 --out studies/reference"
_MODEL = "stepladder train digits --rung standardize --out model-digits"
_EXPLORER = "stepladder inspect report --data digits --input 3x32x32 --explore report-explorer.html"
_FIELD = "stepladder inspect 'conv3-16 pool2 conv3-32 fc' --data digits --explore digits.html"
_SET = """
const set = (id, value, event) => {
  const field = document.querySelector(id); field.value = value; field.dispatchEvent(new Event(event));
};
"""
_HAND = f"""{_SET}
set("#hand-size", 7, "input"); set("#hand-kernel", 5, "input");
document.querySelector("#hand-keep").click();
for (let step = 0; step < 9; step += 1) document.querySelector("#hand-next").click();
"""
_SEES = f"""{_SET}
set("#seen-layer", "conv2", "change");
document.querySelector("#picture").selectedIndex = 2;
document.querySelector("#picture").dispatchEvent(new Event("change"));
set("#row", 3, "input"); set("#column", 3, "input");
"""
_OPEN = "location.href = document.querySelector(\"a[href*='/study/']\").href"
_WHY = "document.querySelector('.explain').click()"
_GRID = (
    "stepladder sweep cifar10-jpeg --limit 500 --network lenet5 --over optimizer.lr=0.1,0.03,0.01 "
    "--over batch_size=32,128 --rung standardize --epochs 5 --seeds 2 --out studies/grid"
)

ALL: dict[str, Picture] = {
    "report": Picture((_FIRST,), Screen("studies/digits-ladder/report.html", height=1475)),
    "cutmix-sheet": Picture(("stepladder techniques show cutmix --data digits --out sheet.png",), "sheet.png"),
    "explanation": Picture(
        (_MODEL, "# save five.png", "stepladder explain model-digits/model five.png --out five-explained.png"),
        "five-explained.png",
    ),
    "network": Picture(
        ("stepladder inspect 'conv3-16 pool2 conv3-32 pool2 fc64 fc' --data digits --effective --picture network.png",),
        "network.png",
    ),
    "paper-forest": Picture(
        (
            _FIRST,
            "stepladder report studies/digits-ladder --figures figures --width 85mm --font-size 8 --font serif "
            "--format png",
        ),
        "figures/forest.png",
    ),
    "explorer": Picture((_EXPLORER,), Screen("report-explorer.html", last="#layers")),
    "explorer-hand": Picture(
        (_EXPLORER,), Screen("report-explorer.html", first="#hand", last="#hand-matrix", script=_HAND)
    ),
    "explorer-field": Picture((_FIELD,), Screen("digits.html", first="#field", last="#field", script=_SEES)),
    "lr-range": Picture(
        ("stepladder lr-range digits --rung standardize --out lr-range-digits",), "lr-range-digits/figures/lr-range.png"
    ),
    "sweep-lr": Picture(
        (
            "stepladder sweep digits --over optimizer.lr=0.01,0.03,0.1,0.3,1 --rung standardize --seeds 3 "
            "--out studies/lr",
        ),
        "studies/lr/figures/sweep.png",
    ),
    "sweep-dropout": Picture(
        (
            "stepladder sweep digits --over dropout.p=0,0.25,0.5,0.75 --rung standardize --seeds 3 --epochs 12 "
            "--out studies/dropout",
        ),
        "studies/dropout/figures/sweep.png",
    ),
    "sweep-digits": Picture(
        (
            "stepladder sweep digits --over optimizer.lr=1,0.3,0.1,0.03,0.01 --over batch_size=16,32,128,512 "
            "--rung standardize --seeds 3 --epochs 12 --out studies/cells",
        ),
        "studies/cells/figures/sweep.png",
        "3 min",
    ),
    "sweep-search": Picture(
        (
            "stepladder sweep digits --over optimizer.lr=0.001..3 --over batch_size=16..128 --search optuna "
            "--trials 14 --rung standardize --epochs 3 --out studies/search",
        ),
        "studies/search/figures/sweep.png",
    ),
    "sweep-grid": Picture((_GRID,), "studies/grid/figures/sweep.png", "5 min"),
    "sweep-curves": Picture((_GRID,), "studies/grid/figures/curves.png", "5 min"),
    "view-running": Picture(
        (),
        Screen(server="stepladder view studies/running", width=1100, height=1660, script=_OPEN, wait=5.0),
        beside=f"{_FIRST} --epochs 60 --out studies/running/digits-ladder",
        after=25.0,
    ),
    "view-finished": Picture(
        (f"{_FIRST} --out studies/finished/digits-ladder",),
        Screen(server="stepladder view studies/finished", width=1100, height=2140, script=_OPEN, wait=5.0, dark=True),
    ),
    "serve": Picture(
        (
            "stepladder train clothing --recipe transfer --epochs 3 --out model-clothing",
            "# save shoes.jpg hat.jpg d8.png",
        ),
        Screen(
            server="stepladder serve model-clothing/model",
            width=1000,
            files=("shoes.jpg", "hat.jpg", "d8.png"),
            script=_WHY,
            wait=20.0,
        ),
        "5 min",
    ),
    "ants-bees": Picture(("stepladder study ants-bees",), "studies/ants-bees-ladder/figures/ladder.png", "30 min"),
    "reference-study-curves": Picture((_REFERENCE,), "studies/reference/figures/curves.png", "2 h"),
    "reference-study-forest": Picture((_REFERENCE,), "studies/reference/figures/forest.png", "2 h"),
    "reference-curves": Picture(
        ("stepladder study cifar10-jpeg --seeds 1 --validation 0 --out studies/one-seed",),
        "studies/one-seed/figures/curves.png",
        "30 min",
    ),
    "growth": Picture(("python -m benchmarks growth --picture growth.png",), "growth.png", "30 min"),
}


def make(name: str, data: Path | None, out: Path = PICTURES) -> Path:
    """Make one picture, and return its file."""
    picture = ALL[name]
    for one in picture.sets:
        link = WORK / one
        if data is None or not (data / SETS[one]).exists():
            raise SystemExit(
                f"{name} wants {one}: say where image sets lie with --data FOLDER, in which it is {SETS[one]}"
            )
        if not link.is_symlink():
            link.symlink_to((data / SETS[one]).resolve())
    for command in picture.commands:
        if command.startswith("# save "):
            for file in command.split()[2:]:
                _save_image(WORK / file)
        else:
            print(f"$ {command}", flush=True)
            subprocess.run(_words(command), cwd=WORK, check=True, stdout=subprocess.DEVNULL)
    target = out.resolve() / f"{name}.png"
    if isinstance(picture.made, str):
        shutil.copyfile(WORK / picture.made, target)
        return target
    with _running(picture.beside, picture.after):
        take(picture.made).quantize(256).save(target, optimize=True)  # pages have few colors
    return target


def take(screen: Screen) -> Image.Image:
    """Return the picture of a page."""
    sys.path.insert(0, str(ROOT))
    from tests.browser import open_browser

    with _served(screen.server) as address, open_browser() as browser:
        size = {"width": screen.width, "height": screen.height or 900, "deviceScaleFactor": 1, "mobile": False}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.driver.get(address or (WORK / str(screen.file)).as_uri())
        time.sleep(screen.wait)
        if screen.files:
            field = browser.driver.find_element("css selector", "input[type=file]")
            field.send_keys("\n".join(str(WORK / file) for file in screen.files))
            time.sleep(screen.wait)
        if screen.script:
            browser.js(screen.script)
            time.sleep(screen.wait)
        place = "return document.querySelector(arguments[0]).closest('section').getBoundingClientRect().{} + scrollY"
        whole = browser.picture()
        top = round(browser.js(place.format("top"), screen.first)) - 12 if screen.first else 0
        bottom = round(browser.js(place.format("bottom"), screen.last)) + 12 if screen.last else screen.height
        return whole.crop((0, top, whole.width, min(bottom or whole.height, whole.height)))


def _words(command: str) -> list[str]:
    """Return a command that runs what is installed beside this Python."""
    program, *arguments = shlex.split(command)
    modules = {"stepladder": ["-m", "stepladder"], "python": []}
    return [sys.executable, *modules[program], *arguments]


@contextmanager
def _running(command: str | None, seconds: float) -> Iterator[None]:
    if command is None:
        yield
        return
    process = subprocess.Popen(_words(command), cwd=WORK, stdout=subprocess.DEVNULL)
    try:
        time.sleep(seconds)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _served(command: str | None) -> Iterator[str | None]:
    """Start a server, and give the address that it prints."""
    if command is None:
        yield None
        return
    process = subprocess.Popen(
        _words(f"{command} --port 0"), cwd=WORK, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}
    )
    try:
        lines = iter(process.stdout or ())
        yield next(word for line in lines for word in line.split() if word.startswith("http://")).rstrip(".,")
    finally:
        process.terminate()
        process.wait()


def _save_image(path: Path) -> None:
    """Save an image that the pages ask a model about: a digit, or the first test image of a class of clothes."""
    from sklearn.datasets import load_digits

    digits, clothes = {"five.png": 5, "d8.png": 8}, WORK / "clothing/test"
    if path.name in digits:
        found = load_digits()
        first = next(
            image for image, label in zip(found.images, found.target, strict=True) if label == digits[path.name]
        )
        Image.fromarray((first * 255 / 16).astype("uint8")).save(path)
    else:
        kind = path.stem if (clothes / path.stem).is_dir() else f"{path.stem}s"
        shutil.copyfile(min((clothes / kind).iterdir()), path)


def main() -> None:
    """Make the pictures that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="all that need no image sets where none is named")
    parser.add_argument("--data", type=Path, help="folder of image sets that do not come with Stepladder")
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder of the pictures; docs/images by default")
    parser.add_argument("--list", action="store_true", help="print what makes each, and make none")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(ALL):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}; --list names them")
    if asked.list:
        for name, picture in ALL.items():
            server = picture.made.server if isinstance(picture.made, Screen) else None
            commands = [*picture.commands, *([server] if server else [])]
            print(f"{name} ({picture.takes})", *(f"  {command}" for command in commands), sep="\n")
        return
    WORK.mkdir(exist_ok=True)
    asked.out.mkdir(exist_ok=True)
    for name in asked.names or [name for name, picture in ALL.items() if not picture.sets]:
        print(f"Made: {make(name, asked.data, asked.out)}", flush=True)


if __name__ == "__main__":
    main()
