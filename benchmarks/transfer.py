"""How fast are frozen layers, and a training of the whole pretrained network, beside what others would write?

The features of EfficientNet-Lite0 are worked out by Stepladder, by onnxruntime as it comes (a batch of 16, its own
threads) and by PyTorch in channels-last memory. A training step of all its weights is Stepladder's, and a plain loop's
over the package that the weights were made for.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from cyclopts import Parameter
from torch import Tensor, nn

from stepladder.cli.bench import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.datasets import load_image_set
from stepladder.errors import DataError
from stepladder.network import read_preset
from stepladder.network.build import build_network
from stepladder.network.pretrained import fitting, locate_weights, read_weights, translated
from stepladder.optimizer import Optimizer
from stepladder.training.device import available_cores, choose_compute, keep_freed_memory
from stepladder.training.engine import ForwardEngine
from stepladder.training.frozen import divided
from stepladder.training.optimizer import make_optimizer
from stepladder.training.rng import Streams

_NETWORK, _CLASSES, _BATCH = "efficientnet_lite0", 1000, 32


def transfer(
    data: Annotated[str, Parameter(help="Photographs: a folder, as for study.")],
    *,
    images: Annotated[int, Parameter(help="Photographs a round; the first ones of each class.")] = 64,
    rounds: Annotated[int, Parameter(help="Of all contestants in turn; the figures are over these.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure features and whole training steps of EfficientNet-Lite0 beside what others would write."""
    at_least_one(images=images, rounds=rounds)
    if find_spec("efficientnet_lite_pytorch") is None:
        raise DataError("the reference is not installed; pip install 'efficientnet-lite-pytorch==0.1.0'")
    console, compute = make_console(as_json), choose_compute("cpu", "float32")
    keep_freed_memory()
    photographs = load_image_set(data, size=224).splits["train"]
    positions = np.linspace(0, len(photographs) - 1, min(images, len(photographs))).astype(np.int64)
    pixels = torch.from_numpy(np.ascontiguousarray(photographs.take(positions).images)).permute(0, 3, 1, 2)
    prepared = ((pixels.float() - 127) / 128).contiguous()
    contests = {"features": _feature_contestants(prepared), "training step": _step_contestants(prepared)}
    times: dict[str, dict[str, list[tuple[float, float]]]] = {}
    with progress_of(console, sum(map(len, contests.values())) * (rounds + 1)) as advance:
        for contest, contestants in contests.items():
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
            for number in range(rounds + 1):
                for name, run in contestants.items():
                    wall, processor = perf_counter(), process_time()
                    count = run()
                    took = (perf_counter() - wall) / count, (process_time() - processor) / count
                    if number:  # the first round warms up
                        found[name].append(took)
                    advance()
            times[contest] = found
    table = table_of("", "images/s", "images/s of processor time", "Stepladder is")
    for contest, found in times.items():
        ours = found["Stepladder"]
        for name, taken in found.items():
            ratios = [other[1] / own[1] for own, other in zip(ours, taken, strict=True)]
            rates = [[1 / one[kind] for one in taken] for kind in (0, 1)]
            times_as_fast = "" if name == "Stepladder" else f"{spread(ratios, '.2f')} times as fast"
            table.add_row(f"{contest}: {name}", spread(rates[0], ".0f"), spread(rates[1], ".0f"), times_as_fast)
    console.print(table)
    words = (
        f"{_NETWORK} at 224×224 on {len(prepared)} photographs, {available_cores()} threads, {rounds} rounds in turn; "
        f"medians (minimum to maximum), ratios of processor time within a round. A training step is forward, backward "
        f"and AdamW on {_BATCH} images, all weights, batch norms in training mode."
    )
    finish(console, words, compute, {"seconds_an_image": times} if as_json else None)


def _weights() -> dict[str, Tensor]:
    preset = read_preset(_NETWORK)
    published = preset.weights["imagenet"]
    return read_weights(locate_weights(preset, published), published.sha256)


def _ours() -> nn.Sequential:
    preset = read_preset(_NETWORK)
    module = build_network(preset.network, preset.input_shape, _CLASSES, Streams(0))
    path = Path(preset.weights["imagenet"].file)
    tensors = translated(_weights(), preset, preset.weights["imagenet"], path)
    module.load_state_dict(fitting(tensors, module.state_dict(), None, path))
    return module


def _reference() -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    module.load_state_dict(_weights())
    return module


def _feature_contestants(images: Tensor) -> dict[str, Callable[[], int]]:
    below, _ = divided(_ours().eval(), len(_ours()) - 1)
    engine = ForwardEngine(below, choose_compute("cpu", "float32"))
    session = _exported(below)
    laid_out = images.contiguous(memory_format=torch.channels_last)

    def stepladder() -> int:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(engine, images.split(4)))
        torch.set_num_threads(available_cores())
        return len(images)

    def onnxruntime() -> int:
        for part in images.split(16):
            session.run(None, {session.get_inputs()[0].name: part.numpy()})
        return len(images)

    @torch.inference_mode()
    def pytorch() -> int:
        for part in laid_out.split(16):
            below(part)
        return len(images)

    return {"Stepladder": stepladder, "onnxruntime": onnxruntime, "PyTorch, channels-last": pytorch}


def _exported(layers: nn.Module) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = available_cores(), 3
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "layers.onnx"
        example = torch.rand(2, 3, 224, 224)
        batch = {"input": {0: torch.export.Dim("batch")}}
        torch.onnx.export(layers, (example,), path, dynamo=True, dynamic_shapes=batch, verbose=False)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _step_contestants(images: Tensor) -> dict[str, Callable[[], int]]:
    batch, labels = images[:_BATCH], torch.arange(min(_BATCH, len(images)))
    ours, theirs = _ours().train(), _reference().train()
    own_steps = make_optimizer(Optimizer(name="adamw", lr=1e-4), ours)
    plain_steps = torch.optim.AdamW(theirs.parameters(), lr=1e-4, weight_decay=0)
    laid_out = batch.contiguous(memory_format=torch.channels_last)

    def step(module: nn.Module, inputs: Tensor, optimizer: Any) -> int:
        F.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        return len(inputs)

    return {
        "Stepladder": lambda: step(ours, laid_out, own_steps),
        "plain PyTorch over the reference package": lambda: step(theirs, batch, plain_steps),
    }
