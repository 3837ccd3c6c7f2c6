"""``stepladder export``: a trained model as one file for other programs."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import AsJson, OwnNetwork, OwnTechniques, make_console, print_json, register_own
from stepladder.cli.predict import NOT_CALIBRATED
from stepladder.datasets import filesystem
from stepladder.datasets.archives import OpenArchives
from stepladder.datasets.decode import decode_image, with_channels
from stepladder.errors import RecipeError, StorageError, unknown
from stepladder.files import replace_bytes
from stepladder.model.any_size import read_any_size
from stepladder.model.export import export_model
from stepladder.model.find import model_folder
from stepladder.model.folder import load_folder, read_card
from stepladder.model.images import ImageFile, find_images, read_pixels
from stepladder.model.litert_file import save_litert
from stepladder.model.openvino_file import save_openvino
from stepladder.model.quantize import Quantized, check_trained, quantize_file
from stepladder.model.sample_images import sample_crops, sample_photographs
from stepladder.model.torch_model import Model
from stepladder.model.training_images import read_training_images
from stepladder.report.units import percent

#: What is written, by the name of the format.
_FORMATS = {"onnx": ".onnx", "openvino": ".xml", "litert": ".tflite", "exported-program": ".pt2"}
#: Those that are made of the ONNX file, so that what is done to that is done to them.
_BY_ONNX = ("onnx", "openvino")

#: Images that a file is checked on, and those of them that are resized; more do not make the check safer.
_MOST_IMAGES, _MOST_RESIZED = 2_000, 64


def export(
    model: Annotated[Path, Parameter(help="Model folder of a trial.")],
    *,
    form: Annotated[
        str,
        Parameter(
            name="--format",
            help="onnx, openvino (a graph .xml with weights .bin), litert (for phones) or exported-program (PyTorch's "
            "own).",
        ),
    ] = "onnx",
    out: Annotated[
        Path | None, Parameter(help="The file; model with the format's ending in the current folder.")
    ] = None,
    images: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Files, folders, archives or patterns to check the file on; crops of two photographs by default.",
        ),
    ] = (),
    quantize: Annotated[
        Literal["int8"] | None,
        Parameter(
            help="int8: 8-bit weights and activations, set by those of --images that trained it; others check it."
        ),
    ] = None,
    with_resize: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Put scaling and cropping into the file too: it reads images of any height and width.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, Parameter(negative="", show_default=False, help="Replace a file that is there.")
    ] = False,
    technique: OwnTechniques = (),
    network: OwnNetwork = None,
    as_json: AsJson = False,
) -> None:
    """Export a model with its preprocessing, checked, or not at all: uint8 images in, probabilities out."""
    console = make_console(as_json)
    register_own(technique)
    folder = model_folder(model)
    if folder is None:
        raise StorageError(f"{model} is exported already; give the model folder that it came from")
    if form not in _FORMATS:
        raise RecipeError(unknown("format", form, _FORMATS))
    if quantize and (form not in _BY_ONNX or not images):
        raise RecipeError(
            "--quantize int8 needs --format onnx or openvino, and --images: some that trained the model, and others to "
            "check it"
        )
    if with_resize and form not in _BY_ONNX:
        raise RecipeError("--with-resize needs --format onnx or openvino; leave one of the two out")
    path = out or Path(f"model{_FORMATS[form]}")
    if form == "openvino" and path.suffix != ".xml":
        raise RecipeError(f"--out is {path}, and OpenVINO reads a graph that ends in .xml, with weights beside it")
    if path.exists() and not overwrite:
        raise StorageError(f"{path} is there already; choose another file with --out, or give --overwrite")
    loaded = load_folder(folder, "cpu", network=network)
    listed = sys.stdin if "-" in images else ()
    with OpenArchives() as archives:
        files = find_images(images, loaded.class_names, listed, archives).files if images else ()
        files = files[:: math.ceil(len(files) / _MOST_IMAGES) or 1]  # of each folder some
        pixels = (
            read_pixels([file.path for file in files], loaded.image_shape, loaded.fit, loaded.span)
            if files
            else sample_photographs(loaded.image_shape)
        )
        of_other_sizes = _of_other_sizes(files, loaded.image_shape[2]) if with_resize else []
    known = read_training_images(folder) if quantize else None
    trained = None if known is None else known.among(pixels)
    check_trained(trained)
    if form == "litert":
        _to_litert(loaded, path, pixels, console, as_json=as_json)
        return
    labels = np.array([-1 if file.label is None else file.label for file in files], dtype=np.int64)
    with tempfile.TemporaryDirectory(prefix="stepladder-") as scratch:
        # The file takes its place when all that was asked for has been done to it; OpenVINO reads the ONNX file.
        target = Path(scratch, "model.onnx" if form in _BY_ONNX else path.name)
        exported = export_model(
            loaded, target, pixels, form="onnx" if form == "openvino" else form, card=read_card(folder)
        )
        document = asdict(exported) | {"path": str(path), "calibrated": loaded.calibrated}
        said = [
            f"{path}: {exported.bytes_written / 1e6:.1f} MB. On {exported.checked:,} images it names the same classes "
            f"as the model; probabilities differ by at most {exported.difference:.1g}. {_listed(exported.versions)}."
        ]
        if quantize:
            small = quantize_file(target, pixels, labels, trained)
            document["quantized"] = asdict(small) | {"path": str(path)}
            said.append(_say_quantized(small, known=known is not None))
        if with_resize:
            resized = read_any_size(target, of_other_sizes)
            document["with_resize"] = asdict(resized) | {"path": str(path)}
            said.append(
                f"It reads images (N, H, W, {loaded.image_shape[2]}) of any size: on {resized.checked:,} of them it "
                f"names the class that Pillow's pixels get on {percent(resized.agreement)}; probabilities differ by at "
                f"most {resized.difference:.1g}."
            )
        if form == "openvino":
            kept = save_openvino(target, path, pixels)
            document["openvino"] = asdict(kept) | {"path": str(path)}
            said.append(
                f"As OpenVINO's, with its weights in {path.with_suffix('.bin').name}: {kept.bytes_written / 1e6:.1f} "
                f"MB; the same classes, probabilities differ by at most {kept.difference:.1g}. openvino {kept.version}."
            )
        else:
            replace_bytes(path, target.read_bytes())
    for sentence in said:
        console.print(sentence, markup=False)
    if not loaded.calibrated:
        console.print(NOT_CALIBRATED, style="dim")
    if as_json:
        print_json(document)


def _to_litert(loaded: Model, path: Path, pixels: np.ndarray, console: Console, *, as_json: bool) -> None:
    done = save_litert(loaded, path, pixels)
    console.print(
        f"{path}: {done.bytes_written / 1e6:.1f} MB, one image at a time; class names and the rule from a file to "
        f"pixels are in {path.with_suffix('.json').name}. On {done.checked:,} images it names the same classes as the "
        f"model; probabilities differ by at most {done.difference:.1g}. {_listed(done.versions)}.",
        markup=False,
    )
    if as_json:
        print_json(asdict(done) | {"path": str(path), "calibrated": loaded.calibrated})


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _say_quantized(small: Quantized, *, known: bool) -> str:
    which = "images that trained the model" if known else "of the images (which of them trained it is not known)"
    return f"Quantized to int8 on {small.calibrated:,} {which}: {small.bytes_written / 1e6:.1f} MB; {small.cost}."


def _of_other_sizes(files: Sequence[ImageFile], channels: int) -> list[np.ndarray]:
    """Return images as they are, uint8 (H, W, C): of the files, or else crops of two photographs."""
    raw = [decode_image(filesystem.read_image(str(file.path))) for file in files[:_MOST_RESIZED]] or sample_crops(
        _MOST_RESIZED
    )
    return [with_channels(image, channels) for image in raw]
