"""Effective receptive fields: within the arithmetic's, and smaller where many layers follow one another."""

from __future__ import annotations

import numpy as np
import pytest

from stepladder.errors import RecipeError
from stepladder.model.effective import measure_effective
from stepladder.network.inspection import inspect_network


def test_one_convolution_looks_at_all_it_sees():
    inspection = inspect_network("conv5-8 gap fc", (1, 15, 15))
    field = measure_effective(inspection).fields["conv1"]
    assert field.size == 5
    assert (field.gradient > 0).sum() == 25
    assert field.gradient[5:10, 5:10].all()


def test_many_layers_look_at_the_middle_of_what_they_see():
    """Luo et al. 2016, section 2: the effective field grows as the root of the depth only."""
    inspection = inspect_network(" ".join(["conv3-8"] * 10) + " gap fc", (1, 31, 31))
    measured = measure_effective(inspection, seeds=3)
    again = measure_effective(inspection, seeds=3)
    sizes = {name: field.size for name, field in measured.fields.items()}
    assert sizes == {name: field.size for name, field in again.fields.items()}
    assert inspection.fields["conv10"][1][0].size == 21
    assert 5 < sizes["conv10"] < 0.85 * 21
    assert sizes["conv2"] < sizes["conv5"] < sizes["conv10"]
    gradient = measured.fields["conv10"].gradient
    outside = np.ones_like(gradient, bool)
    outside[5:26, 5:26] = False
    assert gradient[outside].max() == 0
    assert "fresh weights of 3 seeds" in measured.note
    assert not measured.trained


def test_a_trained_model_on_its_images(digits, saved):
    inspection = inspect_network(str(saved))
    measured = measure_effective(inspection, digits)
    assert measured.trained
    assert "training images of digits with the trained weights" in measured.note
    for name, field in measured.fields.items():
        rows, columns = inspection.fields[name][1]
        assert 0 < field.size**2 <= rows.size * columns.size


@pytest.mark.parametrize("line", ["fc", "gap fc"])
def test_without_windows_there_is_nothing_to_measure(line):
    assert measure_effective(inspect_network(line, (1, 8, 8)), seeds=1).fields == {}


def test_images_of_another_size_are_refused(digits):
    with pytest.raises(
        RecipeError, match="images of digits come to the network as 1×8×8, and it is looked at on 1×9×9"
    ):
        measure_effective(inspect_network("conv3-4 gap fc", (1, 9, 9)), digits)
