"""The file of a technique of the user's own, to start from."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from stepladder.errors import RecipeError, StorageError
from stepladder.files import replace_text
from stepladder.techniques.catalogue import TECHNIQUES

_TECHNIQUE = '''"""{class_name}: a technique of my own for Stepladder."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from stepladder import Technique
from torch import Tensor


class {class_name}(Technique):
    """Blur each training image with probability p, by the mean of 3×3 pixels."""

    name = "{name}"
    group = "augmentation"
    summary = "blur some training images"
    plain = "Make some training images less sharp. The network learns to do without fine detail."
    # A line of text; or data, which --bibtex prints: papers = (stepladder.Citation("key", ("Family, Given",), "Title",
    # 2026, "Journal", "doi:10.1000/1"),). Where the code differs from its paper, say so: differs = "...".
    paper = "none: my own"
    caveat = "hurts where fine detail tells the class"

    # Options are fields with a range; a recipe sets them: {name}.p = 0.3. Strength zero must change nothing.
    p: Annotated[float, Field(ge=0, le=1, description="probability of blurring an image")] = 0.5

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Change the whole batch at once: uint8 (B, C, H, W) in, uint8 (B, C, H, W) out."""
        if self.p == 0:
            return images, targets
        chosen = torch.rand(len(images), generator=rng, device=images.device) < self.p
        blurred = F.avg_pool2d(images.float(), 3, stride=1, padding=1, count_include_pad=False).round().to(torch.uint8)
        return torch.where(chosen.view(-1, 1, 1, 1), blurred, images), targets
'''

_TEST = '''"""Tests of {name}: python -m pytest {test}"""

import torch
from {name} import {class_name}


def images(count: int = 16) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 8, 8), generator=rng, dtype=torch.uint8)


def augment(p: float, seed: int = 0) -> torch.Tensor:
    changed, _ = {class_name}(p=p).augment(images(), torch.arange(16), torch.Generator().manual_seed(seed))
    return changed


def test_strength_zero_changes_nothing() -> None:
    assert torch.equal(augment(p=0), images())


def test_type_and_shape_stay() -> None:
    assert augment(p=1).dtype == torch.uint8
    assert augment(p=1).shape == images().shape


def test_the_same_seed_gives_the_same_bits() -> None:
    assert torch.equal(augment(p=0.5), augment(p=0.5))
    assert not torch.equal(augment(p=0.5), augment(p=0.5, seed=1))


def test_against_the_slow_way() -> None:
    changed, before = augment(p=1), images().float()
    middle = before[3, 1, 2:5, 4:7].mean().round()
    assert changed[3, 1, 3, 5] == middle
'''


def write_template(class_name: str, folder: Path) -> tuple[Path, Path]:
    """Write the file of a technique called ``class_name`` and of its test into ``folder``, and return their paths.

    Raises:
        RecipeError: it is no name for a class, or the catalogue has a technique of that name.
        StorageError: a file is there already, or cannot be written.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", class_name) or keyword.iskeyword(class_name):
        raise RecipeError(f"'{class_name}' is no name for a class; write letters and digits, the first a capital: Blur")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
    if name in TECHNIQUES:
        raise RecipeError(f"the catalogue has a technique called '{name}'; choose another name")
    file, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for path in (file, test):
        if path.exists():
            raise StorageError(f"{path} is there already and would be lost; choose another name, or remove it")
    for path, text in ((file, _TECHNIQUE), (test, _TEST)):
        replace_text(path, text.format(class_name=class_name, name=name, test=test.name))
    return file, test
