"""``stepladder export``: a trained model as one file for other programs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from stepladder.cli.console import AsJson, OwnNetwork, OwnTechniques, make_console, print_json, register_own
from stepladder.cli.predict import NOT_CALIBRATED
from stepladder.errors import RecipeError, StorageError
from stepladder.model.export import FORMATS, export_model, quantize_file, sample_photographs
from stepladder.model.find import model_folder
from stepladder.model.folder import load_model, read_card
from stepladder.model.images import find_images, read_pixels
from stepladder.report.units import percent

#: More do not make the check safer.
_MOST_IMAGES = 2_000


def export(
    model: Annotated[Path, Parameter(help="Model folder of a trial.")],
    *,
    form: Annotated[str, Parameter(name="--format", help=f"{' or '.join(FORMATS)}.")] = "onnx",
    out: Annotated[Path | None, Parameter(help="The file; model.onnx or model.pt2 in the current folder.")] = None,
    images: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Files, folders or patterns to check the file on; crops of two photographs by default.",
        ),
    ] = (),
    quantize: Annotated[
        Literal["int8"] | None, Parameter(help="int8: 8-bit weights and activations, by the ranges on --images.")
    ] = None,
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
    if quantize and (form != "onnx" or not images):
        raise RecipeError(
            "--quantize int8 needs --format onnx, and --images with pictures of the kind that it will see"
        )
    path = out or Path("model.pt2" if form == "exported-program" else "model.onnx")
    if path.exists() and not overwrite:
        raise StorageError(f"{path} is there already; choose another file with --out, or give --overwrite")
    loaded = load_model(folder, "cpu", network=network)
    listed = sys.stdin if "-" in images else ()
    files = find_images(images, loaded.class_names, listed).files[:_MOST_IMAGES] if images else ()
    pixels = (
        read_pixels([file.path for file in files], loaded.image_shape, loaded.fit, loaded.span)
        if files
        else sample_photographs(loaded.image_shape)
    )
    exported = export_model(loaded, path, pixels, form=form, card=read_card(folder))
    versions = ", ".join(f"{name} {version}" for name, version in exported.versions.items())
    console.print(
        f"{path}: {exported.bytes_written / 1e6:.1f} MB. On {exported.checked:,} images it names the same classes as "
        f"the model; probabilities differ by at most {exported.difference:.1g}. {versions}.",
        markup=False,
    )
    if not loaded.calibrated:
        console.print(NOT_CALIBRATED, style="dim")
    document = asdict(exported) | {"path": str(path), "calibrated": loaded.calibrated}
    if quantize:
        labels = np.array([-1 if file.label is None else file.label for file in files], dtype=np.int64)
        small = quantize_file(path, pixels, labels)
        lost = (
            f"accuracy {percent(small.accuracy[0])} before and {percent(small.accuracy[1])} after"
            if small.accuracy
            else "give a folder with one folder a class to see the accuracy lost"
        )
        console.print(
            f"Quantized to int8 on {small.calibrated} images: {small.bytes_written / 1e6:.1f} MB; the same class on "
            f"{percent(small.agreement)} of {len(pixels):,} images; {lost}.",
            markup=False,
        )
        document["quantized"] = asdict(small) | {"path": str(path)}
    if as_json:
        print_json(document)
