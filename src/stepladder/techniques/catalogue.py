"""Techniques by name: the table of those that come with Stepladder, those of installed packages, the user's own.

No other module lists techniques.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections import UserDict
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from stepladder.citations import Citation
from stepladder.errors import RecipeError, described, unknown
from stepladder.techniques.base import Technique
from stepladder.techniques.cards import ENTRY_POINTS


class _Catalogue(UserDict[str, Any]):
    """Techniques by name, each loaded when it is first asked for: a process needs two or three of them, not all."""

    def __getitem__(self, name: str) -> type[Technique]:
        found: type[Technique] | str = self.data[name]  # the name of a class until it is loaded
        if isinstance(found, str):
            loaded: type[Technique] = getattr(import_module(f"stepladder.techniques.{name}"), found)
            self.data[name] = found = loaded
        return found


#: The class of every technique of the catalogue by name, in the order of the groups that the list shows. The module is
#: called as the technique is.
TECHNIQUES: MutableMapping[str, type[Technique]] = _Catalogue(
    {
        # inputs
        "standardize": "Standardize",
        "min_max": "MinMax",
        "subtract_mean_image": "SubtractMeanImage",
        "per_image_contrast": "PerImageContrast",
        "zca": "ZCA",
        "upscale": "Upscale",
        "center_crop": "CenterCrop",
        # augmentation
        "random_crop": "RandomCrop",
        "random_resized_crop": "RandomResizedCrop",
        "horizontal_flip": "HorizontalFlip",
        "vertical_flip": "VerticalFlip",
        "translate": "Translate",
        "rotate": "Rotate",
        "scale": "Scale",
        "color_jitter": "ColorJitter",
        "lighting": "Lighting",
        "trivial_augment": "TrivialAugment",
        "rand_augment": "RandAugment",
        "cutout": "Cutout",
        "random_erasing": "RandomErasing",
        "mixup": "Mixup",
        "cutmix": "Cutmix",
        # learning rate
        "layer_decay": "LayerDecay",
        "exponential_lr": "ExponentialLR",
        "step_lr": "StepLR",
        "cosine_lr": "CosineLR",
        "one_cycle": "OneCycle",
        "warmup": "Warmup",
        "reduce_on_plateau": "ReduceOnPlateau",
        # network
        "pretrained": "Pretrained",
        "freeze": "Freeze",
        "unfreeze": "Unfreeze",
        "head_init": "HeadInit",
        "dropout": "Dropout",
        "spatial_dropout": "SpatialDropout",
        "batch_norm": "BatchNorm",
        "group_norm": "GroupNorm",
        "layer_norm": "LayerNorm",
        "global_average_pooling": "GlobalAveragePooling",
        "he_init": "HeInit",
        "xavier_init": "XavierInit",
        "dirac_init": "DiracInit",
        "pca_init": "PCAInit",
        "mirror_symmetry": "MirrorSymmetry",
        "whitening_stem": "WhiteningStem",
        # loss and weights
        "label_smoothing": "LabelSmoothing",
        "focal_loss": "FocalLoss",
        "class_weights": "ClassWeights",
        "oversample": "Oversample",
        "gradient_clipping": "GradientClipping",
        "weight_decay": "WeightDecay",
        "ema": "EMA",
        "swa": "SWA",
        "lookahead": "Lookahead",
    }
)


@dataclass(frozen=True)
class _Found:
    """A technique that is not the catalogue's: what identifies its code, and ``FILE.py:Class`` if it is of a file."""

    technique: type[Technique]
    code: str
    reference: str | None = None


#: Techniques from files and packages, by name.
_OWN: dict[str, _Found] = {}


def find_technique(name: str) -> type[Technique]:
    """Return the technique called ``name``.

    Raises:
        RecipeError: there is none of that name.
    """
    if name in TECHNIQUES:
        return TECHNIQUES[name]
    if name not in _OWN:
        for entry in entry_points(group=ENTRY_POINTS, name=name):
            _load_entry(entry)
    if name in _OWN:
        return _OWN[name].technique
    raise RecipeError(
        f"{unknown('technique', name, known_techniques(), listed_by='stepladder techniques')}; one of your own is "
        f'given with its file: `technique="FILE.py:Class"`'
    )


def known_techniques() -> dict[str, type[Technique]]:
    """Return all techniques by name: the catalogue's first, then those of packages and files."""
    return {**TECHNIQUES, **own_techniques()}


def own_techniques() -> dict[str, type[Technique]]:
    """Return the techniques of packages and of files by name."""
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name not in _OWN and entry.name not in TECHNIQUES:
            _load_entry(entry)
    return {name: found.technique for name, found in _OWN.items()}


def register(reference: str) -> type[Technique]:
    """Return the technique of a name, or of ``FILE.py:Class``, which from then on has its name.

    Raises:
        RecipeError: there is no such technique, or the file cannot be loaded.
    """
    file, colon, class_name = reference.rpartition(":")
    if not colon and not reference.endswith(".py"):
        return find_technique(reference)
    if not colon:
        raise RecipeError(f'"{reference}" names no class; write it as `technique="{reference}:ClassName"`')
    path = Path(file)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read the technique file {file}: {error.strerror or error}") from error
    code = hashlib.sha256(text).hexdigest()[:16]
    source = f"{path.absolute()}:{class_name}"
    for own in _OWN.values():
        if (own.reference, own.code) == (source, code):  # a user's code runs once
            return own.technique
    module = f"stepladder_own_{path.stem}_{code}"
    spec = importlib.util.spec_from_file_location(module, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"the technique file {file} is no Python file; name one that ends in .py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[module] = loaded  # pydantic looks there for what annotations name
    try:
        spec.loader.exec_module(loaded)
    except Exception as error:
        if (sentence := _lacks_annotation(error, text.decode("utf-8", errors="replace"), path.name)) is not None:
            raise RecipeError(sentence) from error
        raise RecipeError(f"loading the technique file {file} raised {described(error)}") from error
    classes = [name for name, value in vars(loaded).items() if _is_technique(value) and value.__module__ == module]
    if class_name not in classes:
        raise RecipeError(
            f"{unknown('technique class', class_name, classes)} (classes of {file} that derive from Technique)"
        )
    return _keep(_Found(getattr(loaded, class_name), code, source))


def _lacks_annotation(error: Exception, text: str, file: str) -> str | None:
    """Return the sentence for an attribute of a technique that has no type; None where that is not what was raised."""
    found = re.search(r"non-annotated attribute was detected: `(\w+) = (.*?)`", str(error))
    if found is None:
        return None
    name, value = found.groups()
    try:
        kind = type(ast.literal_eval(value)).__name__
    except (ValueError, SyntaxError):
        kind = "SomeType"
    lines = (number for number, line in enumerate(text.splitlines(), 1) if re.match(rf"\s+{name}\s*=", line))
    line = next((f", line {number}" for number in lines), "")
    return (
        f"{name} = {value} has no type; write {name}: {kind} = {value} where it is an option of the technique, and "
        f"{name}: ClassVar[{kind}] = {value} where it is not ({file}{line})"
    )


def files_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return what another process must :func:`register` to know those of these techniques that are of files."""
    found = (_OWN.get(name) for name in sorted(set(names)))
    return tuple(own.reference for own in found if own is not None and own.reference is not None)


def texts_of(names: Iterable[str]) -> dict[str, bytes]:
    """Return the files of those of these techniques that are of files, by what :func:`files_of` says of them.

    Raises:
        RecipeError: a file is gone, or is no longer what it was when it was named.
    """
    found = {}
    for own in (_OWN[name] for name in sorted(set(names)) if name in _OWN):
        if own.reference is None:
            continue
        path = Path(own.reference.rpartition(":")[0])
        try:
            text = path.read_bytes()
        except OSError as error:
            raise RecipeError(f"cannot read the technique file {path}: {error.strerror or error}") from error
        if hashlib.sha256(text).hexdigest()[:16] != own.code:
            raise RecipeError(f"{path} was changed since this study began to run; run the same command again")
        found[own.reference] = text
    return found


def code_of(technique: type[Technique]) -> str:
    """Return what identifies the code of a technique that is not the catalogue's; empty for those."""
    found = _OWN.get(technique.name)
    return found.code if found is not None and found.technique is technique else ""


def _load_entry(entry: EntryPoint) -> None:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    try:
        technique = entry.load()
    except Exception as error:
        raise RecipeError(
            f"the package {package} announces the technique '{entry.name}', and loading it raised {described(error)}; "
            f"mend or uninstall the package"
        ) from error
    if not _is_technique(technique):
        raise RecipeError(f"{entry.value} of the package {package} does not derive from stepladder.Technique")
    technique.name = entry.name
    _keep(_Found(technique, package))


def _is_technique(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Technique) and value is not Technique


def _keep(found: _Found) -> type[Technique]:
    """Fill in what the author left out, and remember the technique by its name."""
    technique = found.technique
    summary = (technique.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    given = {
        "name": re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", technique.__name__).lower(),
        "group": "your own",
        "summary": summary or "says nothing of itself",
        "paper": "none given",
        "caveat": "none given",
    }
    if not isinstance(technique.papers, tuple) or not all(isinstance(one, Citation) for one in technique.papers):
        raise RecipeError(
            f"{technique.__name__}.papers is {technique.papers!r}; it must be a tuple of stepladder.Citation, or left "
            f'out beside a line of text: paper = "Author, Title, year, section"'
        )
    for attribute, text in given.items():
        if not isinstance(getattr(technique, attribute, None), str):
            setattr(technique, attribute, text)
    if not re.fullmatch(r"\w+", technique.name):
        raise RecipeError(
            f"{technique.__name__}.name is {technique.name!r}; it must be a word of letters, digits and _"
        )
    if technique.name in TECHNIQUES:
        raise RecipeError(
            f"{technique.__name__} is called '{technique.name}', as one of the catalogue is; give it another name"
        )
    _OWN[technique.name] = found
    return technique
