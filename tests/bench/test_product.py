from stepladder.bench.product import flop_an_image
from stepladder.recipe import load_recipe


def test_flop_of_a_step_are_those_of_the_design() -> None:
    # 23,152,640 multiply-accumulates forward; three passes but no gradient for the images: about 136 MFLOP an image.
    macs = 75 * 32 * 1024 + 800 * 64 * 256 + 1600 * 64 * 64 + 1024 * 1000 + 1000 * 10
    assert flop_an_image(load_recipe("report")) == 2 * (3 * macs - 75 * 32 * 1024)
