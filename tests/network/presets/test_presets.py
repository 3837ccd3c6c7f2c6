from __future__ import annotations

import re

import pytest

from stepladder.errors import RecipeError
from stepladder.network import load_preset, preset_names, read_preset, trace_network


def total(name: str, shape: tuple[int, int, int]) -> int:
    return sum(cost.weights for cost in trace_network(load_preset(name), shape, read_preset(name).classes))


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_has_the_weights_of_its_paper(name):
    preset = read_preset(name)
    figure, unit = re.fullmatch(r"([\d.,]+) ?([KM]?)", preset.published).groups()
    scale = {"": 1, "K": 1e3, "M": 1e6}[unit]
    places = len(figure.partition(".")[2])
    assert round(total(name, preset.input_shape) / scale, places) == float(figure.replace(",", ""))
    assert preset.papers or "no publication" in preset.origin
    assert re.search(r"\d{4}|no publication", preset.paper)
    assert re.search(r"\d{4}|no publication", preset.paper_in_brief)


def test_their_exact_counts():
    """Where the paper rounds, the figure that others count for the same network."""
    counts = {name: total(name, read_preset(name).input_shape) for name in preset_names()}
    assert counts == {
        "airbench94": 1_972_792,
        "all_cnn": 1_369_738,
        "efficientnet_lite0": 4_652_008,
        "lenet5": 61_706,
        "mlp": 266_610,
        "mobilenet_v2": 3_504_872,
        "mobilenet_v3_small": 2_542_856,
        "report": 1_191_170,
        "report_gap": 231_306,
        "resnet18": 11_689_512,
        "resnet20": 269_722,
        "resnet50": 25_557_032,
        "resnet9": 6_573_120,
        "vgg_small": 4_660_106,
    }


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 28, 28), (1, 8, 8)])
def test_every_preset_takes_color_images_and_digits(name, shape):
    if shape[1] == 8 and name in ("airbench94", "all_cnn"):
        with pytest.raises(RecipeError, match=r"layer \d+ \(\w+\) has a kernel of \d and gets . \+ 2·0 = . pixels"):
            trace_network(load_preset(name), shape, 10)
    else:
        assert trace_network(load_preset(name), shape, 10)[-1].output_shape == (10,)


def test_lenet5_centers_small_images_so_that_its_weights_stay():
    assert total("lenet5", (1, 8, 8)) == total("lenet5", (1, 28, 28)) == 61_706


def test_a_misspelt_name():
    with pytest.raises(RecipeError, match=r"unknown network 'reprot'; did you mean 'report'\? Known: airbench94, "):
        load_preset("reprot")


def test_the_preset_for_large_images_has_as_many_weights_at_any_size():
    assert {total("report_gap", (3, size, size)) for size in (32, 65, 128, 224, 1024)} == {231_306}
