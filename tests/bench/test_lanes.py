from stepladder.bench.lanes import Lanes, random_images
from stepladder.recipe import load_recipe
from stepladder.study.design.plan import ladder
from stepladder.training.device import choose_compute


def test_every_process_answers_each_time_and_none_is_left() -> None:
    recipe = ladder(load_recipe("report"))[0].recipe.model_copy(update={"epochs": 3, "batch_size": 8})
    with Lanes(recipe, choose_compute("cpu", "float32"), images=16) as lanes:
        assert lanes.epoch() > 0
        assert lanes.epoch() > 0
        processes = lanes._processes
        assert len(processes) == len(lanes)
    assert all(process.poll() is not None for process in processes)


def test_the_images_are_the_same_every_time() -> None:
    assert random_images(3).fingerprint == random_images(3).fingerprint
