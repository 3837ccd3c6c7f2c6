"""The engineer's way: a model's files and its card, and nothing of Stepladder."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

import stepladder as sl
from benchmarks.take_home import WAYS, Answers, answers_of, awkward, by_card, by_node, compared, exported
from stepladder.model.folder import load_folder, read_card
from stepladder.model.torch_model import Model

#: Runs a program where nothing of Stepladder's, and no other decoder, can be imported.
ALONE = (
    "import runpy, sys; sys.argv = sys.argv[1:]; "
    "sys.modules |= dict.fromkeys(('stepladder', 'torch', 'simplejpeg', 'scipy', 'pandas')); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".browser" / "node_modules"

#: Colors that stay apart in gray.
COLORS = {"dark": (50, 20, 60), "red": (220, 90, 70), "blue": (60, 130, 230), "light": (245, 240, 220)}


def photograph(name: str, height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """A smooth picture around a color."""
    small = random.normal(0, 18, (height // 12 + 2, width // 12 + 2, 3)) + np.array(COLORS[name])
    image = Image.fromarray(small.clip(0, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    names = list(COLORS) * 30
    images = np.stack([photograph(name, 32, 32, random) for name in names])
    done = sl.train(
        (images, np.array(names)),
        sl.RecipeOptions("small", network="conv5-8 pool4 fc", settings={"epochs": 15, "batch_size": 8}),
        out=tmp_path_factory.mktemp("trained") / "trial",
        execution=sl.Execution(precision="float32"),
        progress=False,
    )
    return Path(done.folder, "model")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(1)
    photographs = []
    for number, (height, width) in enumerate(((90, 130), (200, 150), (64, 64), (40, 300), (120, 100), (33, 47))):
        photographs.append(folder / f"{number}.png")
        Image.fromarray(photograph(list(COLORS)[number % 4], height, width, random)).save(photographs[-1])
    return awkward(photographs, folder / "awkward", 100)


@pytest.fixture(scope="module")
def asked(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, str, Path, Path]:
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    loaded, card = load_folder(model, "cpu", "float32"), read_card(model)
    return loaded, card, *exported(loaded, card, tmp_path_factory.mktemp("exported"))


def test_a_hundred_awkward_files_are_of_every_kind(files: list[Path]) -> None:
    assert len(files) == 100
    assert {file.name.partition("-")[2] for file in files} == set(WAYS)
    modes = set()
    for file in files:
        with Image.open(file) as image:
            modes.add(image.mode)
    assert {"L", "RGB", "CMYK", "P", "RGBA", "I;16"} <= modes


@pytest.mark.long
def test_the_card_alone_answers_them_alike(asked: tuple[Model, str, Path, Path], files: list[Path]) -> None:
    loaded, card, plain, _ = asked
    ours = answers_of(loaded, files)
    done = compared("card", ours, by_card(card, plain, files, [sys.executable, "-I", "-c", ALONE]))
    assert (done.files, done.same, done.others) == (100, 100, ())
    assert done.difference < 1.6e-4  # 1e-4, and what is printed of it
    # A model that is always of one opinion would tell nothing.
    assert len({name for name, _ in ours}) == 4


@pytest.mark.long
@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
@pytest.mark.skipif(
    not (MODULES / "sharp").is_dir(), reason="onnxruntime-web and sharp are not in .browser/node_modules"
)
def test_node_answers_them_alike(asked: tuple[Model, str, Path, Path], files: list[Path]) -> None:
    loaded, _, _, any_size = asked
    done = compared("node", answers_of(loaded, files), by_node(MODULES, any_size, files))
    assert (done.files, done.same, done.others) == (100, 100, ())
    assert done.difference < 0.02


#: Asks the page's own code about every file in turn, and leaves what it says where the test can read it.
PAGE = """<!doctype html><title>asking</title><script type="module">
import * as ort from "/modules/onnxruntime-web/dist/ort.wasm.min.mjs";
ort.env.wasm.wasmPaths = "/modules/onnxruntime-web/dist/";
ort.env.wasm.numThreads = 1;
async function ask(file, session) {
  CODE
  return Array.from(probabilities.data);
}
try {
  const session = await ort.InferenceSession.create(await (await fetch("/model.onnx")).arrayBuffer());
  const found = [];
  for (const name of NAMES) found.push(await ask(await (await fetch("/files/" + name)).blob(), session));
  window.found = found;
} catch (error) { window.found = String(error); }
</script>"""


@pytest.fixture
def served(asked: tuple[Model, str, Path, Path], files: list[Path], tmp_path: Path) -> Iterator[tuple[str, list[Path]]]:
    """A server of the page, the model and the files that a browser reads; its address."""
    shown = [file for file in files if file.suffix in (".jpg", ".png", ".webp", ".gif")]
    blocks = re.findall(r"```js\n(.*?)\n```", (ROOT / "docs" / "javascript.md").read_text("utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "createImageBitmap" in block)
    names = json.dumps([file.name for file in shown])
    (tmp_path / "index.html").write_text(PAGE.replace("CODE", code).replace("NAMES", names))
    for name, target in (("modules", MODULES), ("model.onnx", asked[3]), ("files", files[0].parent)):
        (tmp_path / name).symlink_to(target)
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", shown
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    extensions_map: ClassVar[dict[str, str]] = {".mjs": "text/javascript", ".wasm": "application/wasm", "": "text/html"}

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.long
@pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="no chromium and chromedriver here: apt-get install chromium chromium-driver",
)
@pytest.mark.skipif(
    not (MODULES / "sharp").is_dir(), reason="onnxruntime-web and sharp are not in .browser/node_modules"
)
def test_a_browser_answers_them_alike(
    asked: tuple[Model, str, Path, Path], served: tuple[str, list[Path]], tmp_path: Path
) -> None:
    """By the very code that docs/javascript.md shows."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    address, files = served
    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.binary_location = shutil.which("chromium")
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.get(address)
        driver.set_script_timeout(120)
        wait = (
            "const done = arguments[0], look = () => window.found ? done(window.found) : setTimeout(look, 50); look()"
        )
        found = driver.execute_async_script(wait)
    finally:
        driver.quit()
    assert isinstance(found, list), found
    model = asked[0]
    ours = answers_of(model, files)
    theirs = [(model.class_names[int(np.argmax(row))], max(row)) for row in found]
    done = compared("browser", ours, theirs)
    assert len(files) > 80
    assert (done.same, done.others) == (len(files), ())
    assert done.difference < 0.05


def test_another_class_is_counted_and_named() -> None:
    ours: Answers = [("a", 0.9), ("b", 0.8), ("a", 0.7)]
    done = compared("x", ours, [("a", 0.9), ("c", 0.6), ("a", 0.75)])
    assert (done.files, done.same, done.others) == (3, 2, ("001",))
    assert done.difference == pytest.approx(0.2)
