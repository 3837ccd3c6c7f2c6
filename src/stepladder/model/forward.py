"""A trained network forward over many images, by the fastest arithmetic here that says the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.datasets.threads import all_cores
from stepladder.model.sample_images import sample_photographs
from stepladder.techniques import Technique
from stepladder.training.device import Compute
from stepladder.training.engine import ForwardEngine
from stepladder.training.evaluate import prepare_images

#: Fewer images are answered before another engine is made and compared.
FEWEST_IMAGES = 64

#: On so many of them, and on as many crops of photographs, both are compared: the same classes, probabilities to this.
_COMPARED, TOLERANCE = 16, 1e-4

#: Images that one call takes, so that what a layer puts out stays in the processor's cache.
_AT_A_TIME = 8


class FastForward:
    """onnxruntime in place of PyTorch, where it is installed, knows the layers and answers alike; see ``engine``.

    Args:
        module: from prepared images to logits, in evaluation mode.
        techniques: that prepare the images.
        compute: where they run.
    """

    def __init__(self, module: nn.Sequential, techniques: Sequence[Technique], compute: Compute) -> None:
        self._techniques = techniques
        found = ForwardEngine(module, compute) if compute.precision == "float32" else None
        self._compared, self._threads = False, compute.threads
        self._engine = found if found is not None and found.name.startswith("onnxruntime") else None

    @property
    def chosen(self) -> bool:
        """Whether it was compared, and said the same."""
        return self._compared and self._engine is not None

    def logits(self, pixels: np.ndarray) -> np.ndarray | None:
        """Return float32 logits (N, classes) of uint8 ``pixels`` (N, H, W, C); None where only PyTorch can."""
        if self._engine is None:
            return None
        images = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(0, 3, 1, 2)
        with torch.inference_mode(), all_cores(self._threads) as pool:
            return torch.cat(list(pool.map(self._run, images.split(_AT_A_TIME)))).numpy()

    def _run(self, images: Tensor) -> Tensor:
        assert self._engine is not None
        with torch.inference_mode():
            return self._engine(prepare_images(images, self._techniques))

    def agrees(self, pixels: np.ndarray, by_pytorch: Callable[[np.ndarray], np.ndarray]) -> bool:
        """Whether it says what PyTorch says, which is asked once: about crops of photographs and the first ``pixels``.

        The crops are the same wherever the model goes, and what is asked about is what counts. Neither lies beside the
        model, with what it said when it was trained: its own images may be private where it is given away, and an
        answer from there would be of that machine's arithmetic, where PyTorch's is to be had here.

        Args:
            by_pytorch: from pixels to logits.
        """
        if self._engine is not None and not self._compared:
            shape = pixels.shape[1], pixels.shape[2], pixels.shape[3]
            checked = np.concatenate([sample_photographs(shape, _COMPARED), pixels[:_COMPARED]])
            ours = self.logits(checked)
            assert ours is not None
            found, expected = (torch.from_numpy(one).softmax(dim=1).numpy() for one in (ours, by_pytorch(checked)))
            same = (found.argmax(axis=1) == expected.argmax(axis=1)).all()
            if not same or np.abs(found - expected).max() > TOLERANCE:
                self._engine = None
            self._compared = True
        return self._engine is not None
