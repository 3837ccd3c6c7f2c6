from __future__ import annotations

import pytest

from stepladder.errors import RecipeError
from stepladder.network import load_preset, preset_names, trace_network


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_takes_color_images_and_digits(name):
    for shape in ((3, 32, 32), (3, 28, 28), (1, 8, 8)):
        assert trace_network(load_preset(name), shape, 10)[-1].output_shape == (10,)


def test_a_misspelt_name():
    assert "report" in preset_names()
    with pytest.raises(RecipeError, match=r"unknown network 'reprot'; did you mean 'report'\? Known: report"):
        load_preset("reprot")
