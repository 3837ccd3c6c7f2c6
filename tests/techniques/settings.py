"""What the common tests need to know of each technique: one entry here, and the tests come by themselves."""

from __future__ import annotations

import atexit
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """How the common tests exercise one technique.

    Attributes:
        strong: options that must change the training of a small network on digits.
        absent: options of strength zero, which must equal the technique left out, to the bit; None where it has no
            strength, with the reason in ``why``.
        color: it needs color images: the small network is trained on noise instead of digits.
        starts: the factor of the learning rate in the first step.
        alone: of the techniques that exclude one another, whether another stands for them among all others;
            or it leaves others maps that they cannot work on.
        beside: techniques that it needs before it.
        weights: it needs a file of weights, which is made for the network at hand.
    """

    strong: dict[str, Any] = field(default_factory=dict)
    absent: dict[str, Any] | None = None
    why: str = ""
    color: bool = False
    starts: float = 1.0
    alone: bool = False
    beside: tuple[str, ...] = ()
    weights: bool = False


def strong_options(name: str, network: str, channels: int) -> dict[str, Any]:
    """The options that must change the training of ``network`` on 8×8 images of ten classes."""
    if not SETTINGS[name].weights:
        return SETTINGS[name].strong
    from safetensors.torch import save_file

    from stepladder.network import load_network
    from stepladder.network.build import build_network
    from stepladder.training.rng import Streams

    path = Path(tempfile.gettempdir()) / f"weights-{os.getpid()}-{channels}-{hash(network) % 10**8}.safetensors"
    if not path.exists():
        module = build_network(load_network(network), (channels, 8, 8), 10, Streams(99))
        save_file({key: value.contiguous() for key, value in module.state_dict().items()}, path)
        atexit.register(path.unlink, missing_ok=True)
    return {**SETTINGS[name].strong, "source": str(path)}


LAYER = "the layer is there or it is not"
DRAWN = "the weights are drawn so or they are not"
FITTED = "the images alone decide what it learns"

SETTINGS: dict[str, Settings] = {
    "standardize": Settings(why=FITTED),
    "min_max": Settings(why="a range is no strength: 0 to 1 changes images that do not fill it"),
    "subtract_mean_image": Settings(why=FITTED),
    "per_image_contrast": Settings(why="every image is normalized or none"),
    "zca": Settings(why=FITTED),
    "upscale": Settings(absent={"factor": 1}),
    "center_crop": Settings(absent={"share": 1}, alone=True),
    "random_crop": Settings(absent={"padding": 0}),
    "random_resized_crop": Settings(absent={"smallest": 1}),
    "horizontal_flip": Settings(absent={"p": 0}),
    "vertical_flip": Settings(absent={"p": 0}),
    "translate": Settings(absent={"share": 0}),
    "rotate": Settings(absent={"degrees": 0}),
    "scale": Settings(absent={"amount": 0}),
    "color_jitter": Settings(absent={"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}, color=True),
    "lighting": Settings(absent={"std": 0}, strong={"std": 1.0}, color=True),
    "trivial_augment": Settings(absent={"p": 0}),
    "rand_augment": Settings(absent={"count": 0}),
    "cutout": Settings(absent={"p": 0}),
    "random_erasing": Settings(absent={"p": 0}),
    "mixup": Settings(absent={"alpha": 0}),
    "cutmix": Settings(absent={"p": 0}),
    "layer_decay": Settings(absent={"factor": 1}),
    "exponential_lr": Settings(strong={"gamma": 0.5}, absent={"gamma": 1}),
    "step_lr": Settings(strong={"every": 1}, absent={"gamma": 1}, alone=True),
    "cosine_lr": Settings(absent={"floor": 1}, alone=True),
    "one_cycle": Settings(why="its rise and fall are what it is", starts=1 / 25, alone=True),
    "warmup": Settings(absent={"epochs": 0}, starts=0.1),
    "reduce_on_plateau": Settings(
        strong={"patience": 0, "threshold": 0.9}, absent={"factor": 1, "patience": 0}, alone=True
    ),
    "pretrained": Settings(why="the weights are there or they are not", weights=True, alone=True),
    "freeze": Settings(why="a layer learns or it does not", alone=True),
    "unfreeze": Settings(strong={"blocks": 1}, why="a layer learns or it does not", alone=True, beside=("freeze",)),
    "head_init": Settings(why="at 1 the biases still begin at zero"),
    "dropout": Settings(absent={"p": 0}),
    "spatial_dropout": Settings(strong={"p": 0.3}, absent={"p": 0}),
    "batch_norm": Settings(why=LAYER),
    "group_norm": Settings(strong={"groups": 2}, why=LAYER, alone=True),
    "layer_norm": Settings(why=LAYER, alone=True),
    "global_average_pooling": Settings(why=LAYER),
    "he_init": Settings(why=DRAWN),
    "xavier_init": Settings(why=DRAWN, alone=True),
    "dirac_init": Settings(why=DRAWN),
    "pca_init": Settings(why=DRAWN),
    "mirror_symmetry": Settings(why="kernels are tied or they are not"),
    "whitening_stem": Settings(strong={"epsilon": 0.1}, why=LAYER, alone=True),
    "label_smoothing": Settings(absent={"amount": 0}),
    "focal_loss": Settings(absent={"gamma": 0}),
    "class_weights": Settings(absent={"power": 0}, alone=True),
    "oversample": Settings(absent={"power": 0}),
    "gradient_clipping": Settings(strong={"max_norm": 0.1}, absent={"max_norm": float("inf")}),
    "weight_decay": Settings(strong={"amount": 0.01}, absent={"amount": 0}),
    "ema": Settings(absent={"decay": 0}),
    "swa": Settings(absent={"start": 1}, alone=True),
    "lookahead": Settings(absent={"share": 1}),
}
