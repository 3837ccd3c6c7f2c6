"""Do networks that others wrote do what the list of layers does: train, repeat to the bit, answer again, be exported?

Each of timm's and torchvision's is built by a file of four lines, as a user's would be, with random weights. It is
trained twice from one seed, and asked and exported by a process of its own, which knows the folder and the file alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.cli.bench import at_least_one, finish, progress_of, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.datasets import ImageSet, load_image_set
from stepladder.errors import DataError, StepladderError, unknown
from stepladder.network.own import figures_of, register_network
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.training.device import choose_compute

_TIMM = (
    "import timm\n\n\ndef build(shape, classes):\n"
    "    return timm.create_model({name!r}, pretrained=False, in_chans=shape[0], num_classes=classes{options})\n"
)
_TORCHVISION = (
    "from torchvision import models\n\n\ndef build(shape, classes):\n"
    "    return models.{name}(num_classes=classes{options})\n"
)
_FROM_FILE = (
    "import timm\nfrom safetensors.torch import load_file\n\n\ndef build(shape, classes):\n"
    "    model = timm.create_model({name!r}, pretrained=False, in_chans=shape[0], num_classes=classes{options})\n"
    "    model.load_state_dict(load_file({weights!r}))\n"
    "    return model\n"
)
#: Images that the models are asked about.
_ASKED = 40
_INSTALL = "pip install torch==2.14.1 torchvision==0.29.1 timm, in an environment of its own with stepladder[export]"


@dataclass(frozen=True)
class _Foreign:
    """A network of a library: its name there, what it is built with, and what it is here for."""

    library: str
    name: str
    options: str = ""
    text: str = ""
    what: str = ""

    @property
    def label(self) -> str:
        return f"{self.library} {self.name}{f', {self.what}' if self.what else ''}"


def _timm(name: str, options: str = "", what: str = "", text: str = _TIMM) -> _Foreign:
    return _Foreign("timm", name, options, text, what)


def _torchvision(name: str, options: str = "", what: str = "") -> _Foreign:
    return _Foreign("torchvision", name, options, _TORCHVISION, what)


_ANY_SIZE = ", img_size=shape[1:]"
#: One of each kind: convolutions, depthwise ones, tokens, windows, branches; with what draws random numbers, too.
NETWORKS = (
    _timm("resnet18"),
    _timm("resnet18", what="weights of a file", text=_FROM_FILE),
    _timm("mobilenetv3_small_100"),
    _timm("efficientnet_lite0"),
    _timm("efficientnet_b0", ", drop_rate=0.2, drop_path_rate=0.2", "stochastic depth"),
    _timm("regnetx_002"),
    _timm("densenet121"),
    _timm("ghostnet_100"),
    _timm("inception_v3"),
    _timm("hrnet_w18_small"),
    _timm("convnext_atto", ", drop_path_rate=0.1", "stochastic depth"),
    _timm("vit_tiny_patch16_224", _ANY_SIZE),
    _timm("vit_tiny_patch16_224", f"{_ANY_SIZE}, attn_drop_rate=0.1, drop_path_rate=0.1", "dropout in attention"),
    _timm("mixer_s32_224", _ANY_SIZE),
    _timm("swin_tiny_patch4_window7_224", f"{_ANY_SIZE}, window_size=4", "windows of 4"),
    _torchvision("resnet18"),
    _torchvision("mobilenet_v3_small"),
    _torchvision("shufflenet_v2_x0_5"),
    _torchvision("squeezenet1_0"),
    _torchvision("efficientnet_b0", what="stochastic depth"),
    _torchvision("googlenet", ", aux_logits=False, init_weights=True"),
    _torchvision("inception_v3", ", aux_logits=False, init_weights=True"),
    _torchvision("swin_t", what="stochastic depth"),
    _torchvision("vit_b_16", ", image_size=shape[1]"),
)

# By another process: what the model says of the images, and how far an exported file is from it.
_ASK = """
import json, sys
import numpy as np
from pathlib import Path
from stepladder.model import load_model
folder, reference, pixels, answers = sys.argv[1:]
images = np.load(pixels)
model = load_model(folder, network=reference)
np.save(answers, model.probabilities(images))
from stepladder.model.export import export_model
print(json.dumps(export_model(model, Path(folder) / "model.onnx", images).difference))
"""


@dataclass(frozen=True)
class Tried:
    """What came of one network.

    Attributes:
        network: library and name.
        weights, macs: learned numbers, and multiply-accumulates an image by torch's own counter; None where not built.
        trains: whether the training came to its end.
        same_bits: whether a second training from the same seed left the same weights.
        predicts_alike: whether a new process gave every image the same probabilities.
        onnx_difference: the largest difference of a probability between the model and its ONNX file.
        why: the sentence of the step that did not work; empty where all did.
    """

    network: str
    weights: int | None = None
    macs: int | None = None
    trains: bool = False
    same_bits: bool = False
    predicts_alike: bool = False
    onnx_difference: float | None = None
    why: str = ""

    @property
    def works(self) -> bool:
        """Whether all that is promised of a network of the user's own was kept."""
        return self.trains and self.same_bits and self.predicts_alike and self.onnx_difference is not None


def try_network(foreign: _Foreign, images: ImageSet, epochs: int, folder: Path) -> Tried:
    """Build, train twice, ask and export a network.

    Args:
        folder: an empty one, for its file and models.
    """
    found: dict[str, Any] = {"network": foreign.label}
    try:
        for fact in _facts(foreign, images, epochs, folder):
            found |= fact
    except StepladderError as error:
        found["why"] = str(error)
    return Tried(**found)


def _facts(foreign: _Foreign, images: ImageSet, epochs: int, folder: Path) -> Iterator[dict[str, Any]]:
    weights = folder / "weights.safetensors"
    if "{weights" in foreign.text:
        from safetensors.torch import save_file

        timm = import_module("timm")
        save_file(timm.create_model(foreign.name, num_classes=images.num_classes).state_dict(), weights)
    file = folder / "net.py"
    file.write_text(foreign.text.format(name=foreign.name, options=foreign.options, weights=str(weights)))
    reference = f"{file}:build"
    layer = register_network(reference).own
    assert layer is not None
    height, width, channels = images.image_shape
    count, macs = figures_of(layer, (channels, height, width), images.num_classes)
    yield {"weights": count, "macs": macs}
    # So low that no class gets all the probability, which would hide a difference.
    settings = {"epochs": epochs, "optimizer.lr": 0.001}
    recipe = RecipeOptions("small", network=reference, rung="standardize", settings=settings)
    trained = [verbs.train(images, recipe, out=folder / name, progress=False) for name in ("one", "other")]
    failure = next((one.result.failure for one in trained if one.result.failure), "")
    if failure:
        yield {"why": f"{foreign.label}: {failure}"}
        return
    states = [(one.folder / "model" / "model.safetensors").read_bytes() for one in trained]
    yield {"trains": True, "same_bits": states[0] == states[1]}
    pixels = images.splits.get("test", images.splits["train"]).images[:_ASKED]
    np.save(folder / "pixels.npy", pixels)
    expected = trained[0].model.probabilities(pixels)
    answers = folder / "answers.npy"
    words = [str(folder / "one" / "model"), reference, str(folder / "pixels.npy"), str(answers)]
    asked = subprocess.run([sys.executable, "-W", "ignore", "-c", _ASK, *words], capture_output=True, text=True)
    if answers.exists():
        yield {"predicts_alike": bool(np.array_equal(np.load(answers), expected))}
    if asked.returncode:
        yield {"why": f"{foreign.label}: {asked.stderr.strip().rpartition(chr(10))[2]}"}
        return
    yield {"onnx_difference": json.loads(asked.stdout)}


def foreign_networks(
    data: Annotated[str, Parameter(help="Photographs: a folder, as for study.")],
    *,
    only: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help="Networks by their names, in place of all.")
    ] = (),
    size: Annotated[int, Parameter(help="Pixels a side.")] = 96,
    limit: Annotated[int, Parameter(help="Images a class of each split.")] = 10,
    epochs: Annotated[int, Parameter(help="Of each training.")] = 1,
    as_json: AsJson = False,
) -> int:
    """Train, repeat, ask and export networks of timm and torchvision, as networks of a user's own."""
    at_least_one(size=size, limit=limit, epochs=epochs)
    chosen = _chosen(only)
    console, compute = make_console(as_json), choose_compute("cpu")
    images = load_image_set(data, size=size, limit=limit)
    found = []
    with progress_of(console, len(chosen)) as advance:
        for foreign in chosen:
            with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
                found.append(try_network(foreign, images, epochs, Path(folder)))
            advance(foreign.label)
    table = table_of("network", "weights", "MACs", "trains", "same bits", "new process", "ONNX")
    for one in found:
        counts = ["–" if number is None else f"{number / 1e6:,.2f} M" for number in (one.weights, one.macs)]
        kept = ["yes" if fact else "no" for fact in (one.trains, one.same_bits, one.predicts_alike)]
        exported = "–" if one.onnx_difference is None else f"{one.onnx_difference:.0e}"
        table.add_row(one.network, *counts, *kept, exported)
    console.print(table)
    for one in found:
        if one.why:
            console.print(one.why, markup=False)
    libraries = ", ".join(f"{name} {version(name)}" for name in sorted({one.library for one in chosen}))
    words = (
        f"{len(images.splits['train'])} training images of {size}×{size}, {images.num_classes} classes, {epochs} "
        f"epoch{'s' * (epochs > 1)}, random weights. MACs by torch's own counter. Same bits: of the weights, trained "
        f"twice. New process: the same probabilities there. ONNX: the largest difference of a probability on at most "
        f"{_ASKED} images. {libraries}."
    )
    finish(console, words, compute, {"networks": found} if as_json else None)
    return 0 if all(one.works for one in found) else 1


def _chosen(only: Sequence[str]) -> list[_Foreign]:
    """Return the networks of that name, of the libraries that are installed.

    Raises:
        DataError: there is no such network, or none of their libraries.
    """
    names = {foreign.name for foreign in NETWORKS}
    for name in only:
        if name not in names:
            raise DataError(unknown("network", name, names))
    wanted = [foreign for foreign in NETWORKS if not only or foreign.name in only]
    here = [foreign for foreign in wanted if find_spec(foreign.library) is not None]
    if not here:
        missing = " and ".join(sorted({foreign.library for foreign in wanted}))
        raise DataError(f"{missing} {'is' if ' ' not in missing else 'are'} not installed; {_INSTALL}")
    return here
