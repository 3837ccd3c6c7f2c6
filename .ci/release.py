"""Builds what would be published and tries it as a stranger would: ``make release``.

The sdist and the wheel are built and checked; each is installed into an empty environment, outside of the checkout,
where a study runs; a program that uses the public names is type-checked against the wheel; each optional extra is
installed alone and used. PYTHONS names the interpreters, "python3.11 python3.12 python3.13" by default: one that is not
there is said and passed over. EXTRAS=no leaves the extras out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PYTHONS = os.environ.get("PYTHONS", "python3.11 python3.12 python3.13").split()

#: A program with types, as users write one; strict mypy must accept the first and refuse the second.
TYPED = """
import stepladder as sl

def best(folder: str) -> float:
    study = sl.load_study(folder)
    assert isinstance(study, sl.Study)
    return max(effect.mean or 0.0 for effect in study.effects)

version: str = sl.__version__
images: sl.ImageSet = sl.load_image_set("digits", limit=5)
"""
WRONG = """
import stepladder as sl

images: int = sl.load_image_set("digits", limit=5)
"""

#: What each extra is for, as one command that fails without it; {model} is a trained model's folder, {image} an image.
EXTRAS = {
    "export": "stepladder export {model} --out digits.onnx && stepladder predict digits.onnx {image}",
    "pretrained": "stepladder train {images} --recipe transfer --rung pretrained --epochs 1 --no-test --out there",
    "explain": "stepladder explain {model} {image} --out seen.png",
    "sift": "stepladder bag-of-words digits --limit 20 --descriptor sift --seeds 1 --out bag",
    "search": (
        "stepladder sweep digits --limit 20 --epochs 1 --seeds 1 --over optimizer.lr=0.01..0.1"
        " --search optuna --trials 2 --out search"
    ),
    "track": "stepladder train digits --limit 20 --epochs 1 --track tensorboard --out tracked",
    "heic": "python -c 'import pillow_heif; pillow_heif.register_heif_opener()'",
    "dicom": "python -c 'import pydicom'",
    "openvino": "stepladder export {model} --format openvino --out digits.xml",
    "pandas": (
        'python -c \'import stepladder as sl; print(sl.load_study("study").to_pandas("effects").columns.tolist())\''
    ),
}
#: Pins that an extra cannot live with: Trackio needs an older Pillow.
LOOSE = {"track": ("pillow",)}
#: Not tried here, and why.
LEFT = {
    "litert": "2 GB; tested in an environment of its own",
    "dev": "this very environment",
    "site": "make site uses it",
}


def main() -> None:
    """Build, check, install, use."""
    with tempfile.TemporaryDirectory(prefix="stepladder-release-") as place:
        there = Path(place)
        tools = environment(Path(sys.executable), there / "tools")
        run(tools / "pip", "install", "--quiet", "build", "twine")
        shutil.rmtree(DIST, ignore_errors=True)
        run(tools / "python", "-m", "build", "--outdir", DIST, ROOT)  # the wheel is built from the sdist
        files = sorted(DIST.iterdir())
        run(tools / "twine", "check", "--strict", *files)
        wheel = next(path for path in files if path.suffix == ".whl")
        look_into(wheel)
        tried: list[Path] = []
        for python in PYTHONS:
            found = shutil.which(python)
            if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
                print(f"release: {python} is not on this machine, so nothing was tried with it")
                continue
            binaries = environment(Path(found), there / Path(python).name)
            install(binaries, wheel)
            use(binaries, wheel, there / f"{Path(python).name}-work")
            tried.append(binaries.parent)
        assert tried, "none of PYTHONS is on this machine, so nothing was tried"
        check_types(tried[0] / "bin", there)
        if os.environ.get("EXTRAS", "yes") == "yes":
            try_extras(tried[0], wheel, there)
    print(f"release: {', '.join(path.name for path in files)} hold")


def run(*command: object, at: Path | None = None, **variables: str) -> None:
    """Run a command to its end; a failure ends the program."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([str(word) for word in command], cwd=at, check=True, env={**environ, **variables})


def environment(python: Path, place: Path) -> Path:
    """Make an empty virtual environment, and return where its programs lie."""
    run(python, "-m", "venv", place)
    return place / "bin"


def install(binaries: Path, what: object, *, loose: tuple[str, ...] = ()) -> None:
    """Install a file with the tested versions, but for ``loose`` ones."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = binaries.parent / "constraints.txt"
    constraints.write_text("\n".join(line for line in pins if not line.lower().startswith(tuple(loose) or "#")))
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", constraints)
    run(binaries / "python", *pip, what)


def look_into(wheel: Path) -> None:
    """Fail where the wheel lacks a file that must travel, or carries what must not."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("stepladder/py.typed", "stepladder/recipes/report.toml", "stepladder/techniques/cards.json"):
        assert wanted in names, f"{wanted} is not in the wheel"
    assert any(name.endswith("licenses/LICENSE") for name in names), "the license is not in the wheel"
    strange = {name.split("/")[0] for name in names} - {"stepladder", wheel.name.split("-py3")[0] + ".dist-info"}
    assert not strange, f"the wheel carries {strange}"
    size = wheel.stat().st_size / 1e6
    assert size < 5, f"the wheel has {size:.1f} MB"


def use(binaries: Path, wheel: Path, work: Path) -> None:
    """Run a study from an installed wheel, in an empty folder."""
    work.mkdir()
    here = {"XDG_CACHE_HOME": str(work / "cache"), "PATH": f"{binaries}:{os.environ['PATH']}"}
    run(binaries / "python", "-m", "pip", "check", at=work)
    version = wheel.name.split("-")[1]
    code = f"import stepladder; assert stepladder.__version__ == {version!r}, stepladder.__version__"
    run(binaries / "python", "-c", code, at=work)
    little = ("--recipe", "first", "--seeds", "2", "--limit", "60")
    run(binaries / "stepladder", "study", "digits", *little, "--out", "study", at=work, **here)
    run(binaries / "stepladder", "check", "study", at=work, **here)


def check_types(binaries: Path, place: Path) -> None:
    """Type-check a program that uses the wheel, with this environment's mypy."""
    for name, text, accepted in (("typed.py", TYPED, True), ("wrong.py", WRONG, False)):
        (place / name).write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", binaries / "python", name]
        done = subprocess.run(list(map(str, command)), cwd=place, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is accepted, done.stdout + done.stderr


def try_extras(base: Path, wheel: Path, place: Path) -> None:
    """Install each extra alone, over the environment that has the wheel and nothing else, and use it."""
    packages = next(base.glob("lib/python3*/site-packages"))
    work = place / f"{base.name}-work"
    images, image, model = samples(base / "bin", work)
    for extra, command in EXTRAS.items():
        binaries = environment(base / "bin" / "python", place / f"with-{extra}")
        over = next((binaries.parent).glob("lib/python3*/site-packages"))
        (over / "base.pth").write_text(f"{packages}\n")
        install(binaries, f"{wheel}[{extra}]", loose=LOOSE.get(extra, ()))
        shutil.copy(base / "bin" / "stepladder", binaries / "stepladder")
        text = (binaries / "stepladder").read_text().replace(str(base / "bin"), str(binaries))
        (binaries / "stepladder").write_text(text)
        filled = command.format(model=model, image=image, images=images)
        here = {"XDG_CACHE_HOME": str(work / "cache"), "PATH": f"{binaries}:{os.environ['PATH']}"}
        run("sh", "-c", filled, at=work, **here)
        print(f"release: extra {extra} holds")
    for extra, why in LEFT.items():
        print(f"release: extra {extra} was not tried: {why}")


def samples(binaries: Path, work: Path) -> tuple[Path, Path, Path]:
    """Return a small folder of photographs, one of them, and a trained model of the study."""
    code = """
        from pathlib import Path
        import numpy as np
        from PIL import Image
        rng = np.random.default_rng(0)
        for name, level in (("dark", 60), ("light", 200)):
            for number in range(30):
                pixels = rng.normal(level, 30, (96, 96, 3)).clip(0, 255).astype(np.uint8)
                path = Path("photographs", name, f"{number}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
        """
    run(binaries / "python", "-c", textwrap.dedent(code), at=work)
    model = next((work / "study").glob("trials/*/model"))
    return work / "photographs", work / "photographs/dark/0.png", model


if __name__ == "__main__":
    main()
