"""An exported file that reads images of any size: scaling and cropping as part of its graph, by standard operators."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.datasets.image_set import Fit
from stepladder.errors import RecipeError, missing_extra, printable
from stepladder.files import replace_bytes
from stepladder.model.export import quietly
from stepladder.model.images import read_pixels
from stepladder.model.onnx_file import FILE_VERSIONS, INPUT, METADATA, OnnxModel, with_checksum, without_checksum

#: The largest difference of a probability between pixels that Pillow made and those of the graph. A gray level of 255
#: may round the other way, in few pixels.
TOLERANCE = 0.02


@dataclass(frozen=True)
class AnySize:
    """How a file that reads images of any size was checked.

    Attributes:
        bytes_written: size of the file.
        checked: images of other sizes that were run through the file, and brought to size by Pillow.
        difference: the largest difference of a probability among them.
        agreement: share of them with the same class.
    """

    path: Path
    bytes_written: int
    checked: int
    difference: float
    agreement: float


#: Keys' cubic kernel (Cubic Convolution Interpolation for Digital Image Processing, 1981, equation 15), as Pillow has.
_A = -0.5


class Resizing(nn.Module):
    """Brings uint8 images (N, H, W, C) of any H and W to ``height`` × ``width``, as ``datasets.decode.fit_image`` does.

    Bicubic and antialiased: each row of the result is a weighted sum of rows, and so is each column. Pillow rounds
    after each of the two, and so does this, in the order of Pillow 13; weights are made in float64 and sums in float32,
    so that a pixel may differ by 1 where Pillow's fixed point rounds the other way.

    Args:
        height, width: of the result, pixels.
        fit: how other proportions become these; see :data:`stepladder.datasets.image_set.FITS`.
    """

    def __init__(self, height: int, width: int, fit: Fit) -> None:
        super().__init__()
        self.size = height, width
        self.fit = fit

    def forward(self, images: Tensor) -> Tensor:
        """Return uint8 (N, height, width, C)."""
        rows = torch.scalar_tensor(images.shape[1], dtype=torch.float64)
        columns = torch.scalar_tensor(images.shape[2], dtype=torch.float64)
        of_rows, of_columns = self._weights(rows, columns, images.shape[1], images.shape[2])
        channels_first = images.permute(0, 3, 1, 2).to(torch.float32)  # (N, C, H, W)
        by_rows = _rounded(_rounded(of_rows @ channels_first) @ of_columns.T)
        by_columns = _rounded(of_rows @ _rounded(channels_first @ of_columns.T))
        # Both, at twice the price: of ONNX's If, OpenVINO makes something else.
        resized = torch.where(self._rows_first(rows, columns), by_rows, by_columns)
        return resized.to(torch.uint8).permute(0, 2, 3, 1)

    def _rows_first(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Whether Pillow 13 sums rows before columns: where it takes more than twice as many rows as columns away.

        Found by trying 30 sizes, to the row; what is rounded in between tells the two orders apart.
        """
        height, width = self._shown(rows, columns)
        return rows - height > torch.clamp(2 * (columns - width), min=0)

    def _shown(self, rows: Tensor, columns: Tensor) -> list[Tensor]:
        """Return the height and width that an image is resized to, within black where it is padded."""
        most = [torch.scalar_tensor(side, dtype=torch.float64) for side in self.size]
        if self.fit != "pad":
            return most
        # As large as fits.
        scale = torch.minimum(most[0] / rows, most[1] / columns)
        sides = zip((rows, columns), self.size, strict=True)
        return [torch.clamp(torch.round(side * scale), 1, whole) for side, whole in sides]

    def _weights(self, rows: Tensor, columns: Tensor, count: int, across: int) -> tuple[Tensor, Tensor]:
        """Return the weights (height, H) and (width, W) of the rows and columns, float32."""
        height, width = self.size
        zero = torch.zeros((), dtype=torch.float64)
        if self.fit == "crop":
            # The largest box of the model's proportions, centered.
            box = torch.minimum(rows, columns * height / width), torch.minimum(columns, rows * width / height)
            low, left = (rows - box[0]) / 2, (columns - box[1]) / 2
            return _weights(height, low, box[0], count), _weights(width, left, box[1], across)
        if self.fit == "stretch":
            return _weights(height, zero, rows, count), _weights(width, zero, columns, across)
        # The rest is black: rows of the result that are outside have no weight anywhere.
        inner = self._shown(rows, columns)
        start = [torch.floor((most - one) / 2) for one, most in zip(inner, self.size, strict=True)]
        return (
            _weights(height, zero, rows, count, start[0], inner[0]),
            _weights(width, zero, columns, across, start[1], inner[1]),
        )


def _weights(
    size: int, low: Tensor, length: Tensor, count: int, start: Tensor | None = None, inner: Tensor | None = None
) -> Tensor:
    """Return float32 (size, count): what each of ``count`` pixels gives to each of ``size``.

    Args:
        low, length: of the part that is shown, pixels, float64.
        start, inner: of the result, where it is shown; all of it by default.
    """
    shown = torch.scalar_tensor(size, dtype=torch.float64) if inner is None else inner
    positions = torch.arange(size, dtype=torch.float64)
    if start is not None:
        positions = positions - start
    scale = length / shown
    support = torch.clamp(scale, min=1.0)
    centers = low + (positions + 0.5) * scale
    distance = (torch.arange(count, dtype=torch.float64) + 0.5 - centers[:, None]) / support
    weights = _cubic(distance.abs())
    weights = weights / weights.sum(dim=1, keepdim=True)
    if start is not None:
        inside = ((positions >= 0) & (positions < shown)).to(torch.float64)
        weights = torch.where(inside[:, None] > 0, weights, torch.zeros_like(weights))
    return weights.to(torch.float32)


def _cubic(distance: Tensor) -> Tensor:
    near = ((_A + 2) * distance - (_A + 3)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * _A
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


def _rounded(values: Tensor) -> Tensor:
    """Half up, as Pillow does it, within 0 to 255."""
    return torch.floor(values + 0.5).clamp(0, 255)


def read_any_size(path: Path, images: list[np.ndarray]) -> AnySize:
    """Replace the exported file at ``path`` by one that reads images (N, H, W, C) of any height and width.

    Args:
        images: uint8 (H, W, C), C of the model, real ones of other sizes, to compare on.

    Raises:
        RecipeError: the extra ``export`` is not installed, or the file gives other results than Pillow's pixels.
        StorageError: ``path`` is no exported file, or cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise RecipeError(missing_extra(error.name or "onnx", "export")) from error
    before = OnnxModel.load(path)
    whole = onnx.load_from_string(without_checksum(path.read_bytes()))
    height, width, channels = before.image_shape
    resizing = _resizing_graph(Resizing(height, width, before.fit), channels)
    resizing.ir_version = whole.ir_version
    del resizing.opset_import[:]
    resizing.opset_import.extend(whole.opset_import)
    merged = onnx.compose.merge_models(
        onnx.compose.add_prefix(resizing, "resize/", rename_inputs=False, rename_outputs=False),
        _prefixed(whole),
        io_map=[(_RESIZED, f"model/{INPUT}")],
    )
    properties = {entry.key: entry.value for entry in whole.metadata_props}
    facts = {**json.loads(properties[METADATA]), "file_version": FILE_VERSIONS[-1], "any_size": True}
    properties[METADATA] = printable(json.dumps(facts, ensure_ascii=False), as_json=True)
    del merged.metadata_props[:]
    onnx.helper.set_model_props(merged, properties)
    onnx.checker.check_model(merged, full_check=True)
    content = with_checksum(merged.SerializeToString())
    after = OnnxModel(content, "the file that reads any size")
    # A span of 16 bits is not for these, which have 8.
    expected = np.concatenate(
        [before.probabilities(read_pixels(image, before.image_shape, before.fit)) for image in images]
    )
    found = np.concatenate([after.of_any_size(image[None]) for image in images])
    difference = float(np.abs(found - expected).max())
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    if not difference <= TOLERANCE:
        raise RecipeError(
            f"the file that reads any size differs by up to {difference:.2g} in a probability from the pixels that "
            f"Pillow makes ({TOLERANCE:g} is allowed); the file was left as it was"
        )
    replace_bytes(path, content)
    return AnySize(path, len(content), len(images), difference, agreement)


_RESIZED = "resized"


def _prefixed(whole: Any) -> Any:
    """Return the graph with other names of all but its outputs, so that none meets one of the graph before it."""
    import onnx

    outputs = {output.name for output in whole.graph.output}
    prefixed = onnx.compose.add_prefix(whole, "model/", rename_inputs=True, rename_outputs=False)
    # In a quantized graph an output is read by another node as well; ONNX renames it then, whatever it was told.
    own = {f"model/{name}": name for name in outputs}
    for node in prefixed.graph.node:
        node.input[:] = [own.get(name, name) for name in node.input]
        node.output[:] = [own.get(name, name) for name in node.output]
    for value in (*prefixed.graph.output, *prefixed.graph.value_info):
        value.name = own.get(value.name, value.name)
    return prefixed


def _resizing_graph(resizing: Resizing, channels: int) -> Any:
    dim = torch.export.Dim
    with quietly():
        program = torch.onnx.export(
            resizing.eval(),
            (torch.zeros((2, 50, 70, channels), dtype=torch.uint8),),
            dynamo=True,
            dynamic_shapes=({0: dim("batch"), 1: dim("rows", min=1), 2: dim("columns", min=1)},),
            input_names=[INPUT],
            output_names=[_RESIZED],
            verbose=False,
        )
    assert program is not None
    return program.model_proto
