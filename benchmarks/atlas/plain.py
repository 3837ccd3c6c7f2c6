"""What somebody without Stepladder gets on the photographs of the atlas, beside what the recipe ``auto`` takes.

Forty lines of anybody's: the reference package's EfficientNet-Lite0, frozen, in eval mode; scikit-learn's logistic
regression on its features, its cost chosen by the validation images. Images and splits are those of the study, which
each set was given in the same call, so that nothing else differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn

from benchmarks.atlas.planning import Run, images_of
from benchmarks.atlas.sets import PlacedSet
from stepladder.datasets import Split
from stepladder.datasets.audit import split_cleanly
from stepladder.files import read_json, replace_json
from stepladder.network import read_preset
from stepladder.network.pretrained import locate_weights, read_weights
from stepladder.report.units import points
from stepladder.studies.design.rules import Protocol
from stepladder.studies.pool.files import PoolFile, SetRecord

#: What is committed, beside the findings.
PLAIN = Path(__file__).parent / "plain.json"
_NETWORK, _BATCH = "efficientnet_lite0", 16
#: scikit-learn's C, the inverse of the penalty on squared weights.
COSTS = (0.001, 0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class PlainScore:
    """What the plain implementation reached on one set.

    Attributes:
        image_set: its name.
        validation, test: accuracies, 0 to 1.
        cost: scikit-learn's C, that validation chose.
        seconds: features of all images and all fits, beside whatever else ran.
    """

    image_set: str
    validation: float
    test: float
    cost: float
    seconds: float


def score_plainly(one: PlacedSet, run: Run) -> PlainScore:
    """Return what frozen features and a logistic regression reach on the images of a run."""
    from sklearn.linear_model import LogisticRegression

    started = perf_counter()
    # As a study splits them: copies of one image on one side.
    splits, _ = split_cleanly(images_of(one, run), Protocol().validation)
    assert splits.validation is not None
    network = _reference()
    train, validation, test = (_features(network, part) for part in (splits.train, splits.validation, splits.test))
    center, scale = train.mean(axis=0), train.std(axis=0) + 1e-6
    best: tuple[float, float, float] | None = None
    for cost in COSTS:
        model = LogisticRegression(C=cost, max_iter=2000).fit((train - center) / scale, splits.train.labels)
        chosen = float(model.score((validation - center) / scale, splits.validation.labels))
        if best is None or chosen > best[0]:
            best = chosen, float(model.score((test - center) / scale, splits.test.labels)), cost
    assert best is not None
    return PlainScore(one.name, *best, perf_counter() - started)


def score_all(sets: Sequence[PlacedSet], runs: Sequence[Run], path: Path = PLAIN) -> list[PlainScore]:
    """Score the sets that have a run with pretrained weights, beside those that the file has; return all."""
    kept = {score.image_set: score for score in read_plain(path)}
    places = {one.name: one for one in sets}
    for run in runs:
        if run.kind == "transfer":
            kept[run.image_set] = score_plainly(places[run.image_set], run)
            replace_json(path, {"scores": [asdict(kept[name]) for name in sorted(kept)]})
    return [kept[name] for name in sorted(kept)]


def read_plain(path: Path = PLAIN) -> list[PlainScore]:
    """Return what the file has; nothing where there is none."""
    return [PlainScore(**table) for table in read_json(path)["scores"]] if path.is_file() else []


def chosen_test(record: SetRecord) -> float | None:
    """Return the mean test accuracy of the rung that validation chooses; None where no rung has both."""
    rungs = [rung for rung in record.rungs if rung.validation is not None and rung.test is not None]
    return max(rungs, key=lambda rung: rung.validation or 0.0).test if rungs else None


def render_plain(pool: PoolFile, scores: Sequence[PlainScore]) -> str:
    """Return the table of the page: each set's plain accuracy beside that of its study; empty where there is none."""
    records = {one.name: one for one in pool.studies if max(one.image_shape[:2]) >= 64}
    lines = []
    for score in scores:
        ours = chosen_test(records[score.image_set]) if score.image_set in records else None
        if ours is not None:
            record = records[score.image_set]
            lines.append(
                f"| {score.image_set} | {record.images.get('test', 0):,} | {100 * score.test:.2f} | {100 * ours:.2f} | "
                f"{points(ours - score.test)} |"
            )
    if not lines:
        return ""
    head = "| set | test images | plain, % | what the study chooses, % | difference, points |"
    return "\n".join([head, "| --- | ---: | ---: | ---: | ---: |", *lines])


def _reference() -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    preset = read_preset(_NETWORK)
    published = preset.weights["imagenet"]
    module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    module.load_state_dict(read_weights(locate_weights(preset, published), published.sha256))
    return module.eval()


@torch.inference_mode()
def _features(network: nn.Module, split: Split) -> np.ndarray:
    """Return the pooled features of images, (count, 1280) in float32, by the package's own preprocessing."""
    parts = []
    for first in range(0, len(split), _BATCH):
        positions = np.arange(first, min(first + _BATCH, len(split)))
        pixels = torch.from_numpy(np.ascontiguousarray(split.take(positions).images)).permute(0, 3, 1, 2).float()
        maps = network.extract_features((pixels - 127) / 128)  # type: ignore[operator]
        parts.append(maps.mean(dim=(2, 3)).numpy())
    return np.concatenate(parts)
