"""The colors of page, figures and notebook by measurement: told apart by the color-blind, and read by everyone.

Simulation: Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency,
2009, table 1, severity 1, on linear RGB. Difference: CIE 1976 (L*a*b*, D65), where about 2.3 is just noticeable.
Contrast: WCAG 2.2, 1.4.3, relative luminance.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import stepladder.report
from stepladder.report.figures.style import ALARM, TEST, TRAIN, UNDECIDED, VALIDATION
from stepladder.report.notebook import SIGN_COLORS

HOME = Path(stepladder.report.__file__).parent
CSS = "\n".join((HOME / "templates" / name).read_text() for name in ("report.css", "page.css"))
SEEN = {
    "all colors": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
#: Far more than is noticeable side by side; each verdict and series has a shape or a dash of its own besides.
TOLD_APART = 15.0
VERDICTS = ("helped", "hurt", "equivalent", "undecided")
#: Drawn in one chart: curves of train and validation or test, right and wrong in the matrix, both calibrations.
SERIES = (("train", "equivalent"), ("train", "helped"), ("hurt", "equivalent"))


def linear(color: str) -> np.ndarray:
    value = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(color: str, seen: str) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(np.array(SEEN[seen]) @ linear(color), 0, 1) / (TO_XYZ @ np.ones(3))
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one: str, other: str, seen: str) -> float:
    return float(np.linalg.norm(lab(one, seen) - lab(other, seen)))


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(TO_XYZ[1] @ linear(color)) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def theme(dark: bool) -> dict[str, str]:
    """The page's colors as a browser takes them: those of the light theme, and over them those of the dark one."""
    found: dict[str, str] = {}
    for block in re.findall(r"^:root \{(.*?)\}", CSS, re.DOTALL | re.MULTILINE):
        found.update(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    if dark:
        for block in re.findall(r'data-theme="dark"\] \{(.*?)\}', CSS, re.DOTALL):
            found.update(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    return found


THEMES = {"light": theme(False), "dark": theme(True)}


def test_the_formulas_give_what_is_known() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21, abs=0.01)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # as every checker of contrast says
    assert lab("#ff0000", "all colors") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)  # Lindbloom's calculator
    assert difference("#ffffff", "#000000", "tritanopia") == pytest.approx(100, abs=0.1)
    # Red and green of one lightness, which who lacks the middle cones confuses.
    assert difference("#d12c2c", "#5f7d00", "all colors") > 4 * difference("#d12c2c", "#5f7d00", "deuteranopia")


def test_both_themes_are_read_from_the_style() -> None:
    assert THEMES["light"]["helped"] == "#00523c"
    assert THEMES["dark"]["helped"] == "#6fe3bf"
    assert THEMES["light"]["card"] == "#ffffff"
    assert THEMES["dark"]["card"] == "#1f2226"
    # A system that is dark and a button that says so give the same colors.
    (by_system,) = re.findall(r':not\(\[data-theme="light"\]\) \{(.*?)\}', CSS, re.DOTALL)
    (by_button,) = re.findall(r'data-theme="dark"\] \{(.*?)\}', CSS, re.DOTALL)
    assert set(re.findall(r"--[^;]*", by_system)) == set(re.findall(r"--[^;]*", by_button))


@pytest.mark.parametrize("seen", list(SEEN))
@pytest.mark.parametrize("name", list(THEMES))
def test_verdicts_and_series_are_told_apart(name: str, seen: str) -> None:
    colors = THEMES[name]
    pairs = (*combinations(VERDICTS, 2), *SERIES)
    close = {
        pair: found for pair in pairs if (found := difference(colors[pair[0]], colors[pair[1]], seen)) < TOLD_APART
    }
    assert close == {}


@pytest.mark.parametrize("seen", list(SEEN))
def test_those_of_figures_and_notebook_are_too(seen: str) -> None:
    for colors in ((TEST, ALARM, VALIDATION, UNDECIDED), [SIGN_COLORS[verdict] for verdict in VERDICTS]):
        assert min(difference(*pair, seen) for pair in combinations(colors, 2)) >= TOLD_APART
    assert difference(TRAIN, VALIDATION, seen) >= TOLD_APART


def test_the_signs_of_a_notebook_are_seen_on_white_and_on_black() -> None:
    assert min(contrast(color, ground) for color in SIGN_COLORS.values() for ground in ("#ffffff", "#111111")) >= 3


@pytest.mark.parametrize("name", list(THEMES))
def test_every_color_of_text_is_read_on_every_ground(name: str) -> None:
    colors = THEMES[name]
    for text in ("ink", "muted", "accent", "train", *VERDICTS):
        for ground in ("page", "card"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)


def test_names_of_curves_in_the_overlay_are_read() -> None:
    script = (HOME / "sections" / "curves" / "chart.js").read_text()
    for name, colors in THEMES.items():
        (listed,) = re.findall(rf"^  {name}: \[(.*?)\]", script, re.MULTILINE)
        hues = re.findall(r"#[0-9a-f]{6}", listed)
        assert len(hues) == 8
        assert min(contrast(hue, colors["card"]) for hue in hues) >= 4.5
