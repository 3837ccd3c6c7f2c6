import math
from collections.abc import Callable

import pytest
import torch

from stepladder.datasets import ImageSet, Split
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.training import lr_range
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.history import EpochRecord
from stepladder.training.loop import TrainingCallbacks, train_network
from stepladder.training.lr_range import RangeTest, RateRange, read_off, run_range_test, smooth, without_schedules

MakeRecipe = Callable[..., Recipe]


def test_the_rates_grow_exponentially_and_the_test_ends_when_the_loss_diverges(
    tiny_recipe: MakeRecipe, digits_train: Split
) -> None:
    compute = choose_compute("cpu", "float32")
    found = run_range_test(tiny_recipe("standardize"), digits_train, 10, 0, compute, RateRange(1e-4, 1e4, 200))
    assert found.rates[0] == pytest.approx(1e-4)
    ratios = {round(later / earlier, 9) for earlier, later in zip(found.rates, found.rates[1:], strict=False)}
    assert ratios == {round((1e8) ** (1 / 199), 9)}
    assert found.diverged
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < 200
    assert found.lowest is not None
    assert found.steepest is not None
    assert found.steepest < found.lowest
    assert found.suggested == found.rates[found.lowest] / 2
    assert 0.001 < found.suggested < 1


def test_the_steps_are_those_of_training(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    # At hardly any rate the network stays as it is: the losses of one pass are those that training has.
    recipe = tiny_recipe("standardize", epochs=1)
    compute = choose_compute("cpu", "float32")
    steps = -(-len(digits_train) // 16)
    found = run_range_test(recipe, digits_train, 10, 3, compute, RateRange(1e-12, 1.1e-12, 100))
    slow = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"lr": 1e-12})})
    history: list[EpochRecord] = []
    train_network(
        slow, TrainingData(digits_train, digits_train, 10), 3, compute, TrainingCallbacks(on_epoch=history.append)
    )
    sizes = torch.full((steps,), 16.0)
    sizes[-1] = len(digits_train) - 16 * (steps - 1)
    mean = float((torch.tensor(found.losses[:steps]) * sizes).sum() / sizes.sum())
    assert mean == pytest.approx(history[-1].train_loss_running, rel=1e-5)
    assert len(found.losses) == 100
    assert not found.diverged
    assert found.lowest is None  # nothing was learned, so nothing is suggested
    assert found.suggested is None


@pytest.mark.long
@pytest.mark.parametrize("technique", ["label_smoothing", "class_weights", "mixup", "ema", "lookahead"])
def test_the_recipes_other_techniques_take_part(tiny_recipe: MakeRecipe, digits_train: Split, technique: str) -> None:
    compute = choose_compute("cpu", "float32")
    plain, with_it = (
        run_range_test(recipe, digits_train, 10, 0, compute, RateRange(1e-3, 0.5, 100))
        for recipe in (tiny_recipe("standardize"), tiny_recipe("standardize", technique))
    )
    # class_weights changes nothing where classes are even, and averages are not trained on.
    alike = technique in ("class_weights", "ema")
    assert (with_it.losses == pytest.approx(plain.losses)) == alike


def test_schedules_are_left_out_by_name(tiny_recipe: MakeRecipe) -> None:
    recipe, left_out = without_schedules(tiny_recipe("standardize", "warmup", "cosine_lr", "dropout"))
    assert [setting.name for setting in recipe.techniques] == ["standardize", "dropout"]
    assert left_out == ("warmup", "cosine_lr")


@pytest.mark.long
def test_the_same_seed_gives_the_same_test(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    compute = choose_compute("cpu", "float32")
    span = RateRange(steps=100)
    one, same, other = (run_range_test(tiny_recipe(), digits_train, 10, seed, compute, span) for seed in (0, 0, 1))
    assert one == same
    assert one.losses != other.losses


def test_means_lie_around_their_step() -> None:
    assert smooth([2.0] * 5) == [2.0] * 5
    line = smooth([float(step) for step in range(40)])
    assert line == pytest.approx([float(step) for step in range(40)])  # a running mean would lag behind
    bump = smooth([0.0] * 20 + [15.0] + [0.0] * 20)
    assert bump[13:28] == pytest.approx([1.0] * 15)
    assert bump[12] == bump[28] == 0
    assert smooth([1.0, math.nan, 1.0]) == [1.0, math.inf, 1.0]


@pytest.mark.parametrize("curvature", [0.5, 4.0, 30.0])
def test_half_of_the_rate_with_the_lowest_loss_is_where_a_step_gains_most_on_a_quadratic_loss(curvature: float) -> None:
    """Of a loss c/2·w², a step multiplies w by 1 - rate·c: at 1/c it ends at once, and beyond 2/c it grows.

    Other directions are up to a hundred times as flat, so that the loss still falls when the steepest has ended.
    """
    rates = [10 ** (-5 + step / 50) for step in range(300)]
    noise = torch.Generator().manual_seed(0)
    curvatures = curvature * torch.logspace(-2, 0, 64)
    w, losses = torch.full((64,), 3.0), []
    for rate in rates:
        losses.append(min(float(0.5 * (curvatures * w**2).mean()), 1e6))
        w = w - rate * curvatures * (w + 0.1 * torch.randn(64, generator=noise))
    lowest, _ = read_off(rates, smooth(losses))
    assert lowest is not None
    assert rates[lowest] / 2 == pytest.approx(1 / curvature, rel=0.2)


def test_reading_off_a_curve_that_is_known() -> None:
    rates = [10 ** (-4 + step / 25) for step in range(151)]
    # Flat, then falling fastest at 10⁻², lowest at 1, then rising.
    losses = [2 - 1 / (1 + math.exp(-4 * (math.log10(rate) + 2))) + max(0.0, math.log10(rate)) for rate in rates]
    lowest, steepest = read_off(rates, losses)
    assert lowest is not None
    assert steepest is not None
    assert rates[lowest] == pytest.approx(1.0)
    assert rates[steepest] == pytest.approx(0.01, rel=0.15)
    assert read_off(rates, [1.0] * 151) == (None, None)
    assert read_off(rates, [1 + step for step in range(151)]) == (None, None)


def test_no_other_images_are_looked_at(
    tiny_recipe: MakeRecipe, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(*arguments: object, **options: object) -> object:
        seen.append(arguments)
        return train_network(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(lr_range, "train_network", spy)
    train = digits.splits["train"]
    run_range_test(tiny_recipe(), train, 10, 0, choose_compute("cpu", "float32"), RateRange(steps=100))
    ((_, images, *_),) = seen
    assert images.train is train  # type: ignore[attr-defined]
    assert (images.watched.images[:64] == train.images[:64]).all()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("low", "high", "steps", "words"),
    [
        (0.1, 0.01, 300, "must rise from above 0"),
        (0, 1, 300, "must rise from above 0"),
        (0.1, math.inf, 300, "must rise from above 0"),
        (0.1, 1, 20, "`steps` is 20; it must be 100 to 100,000"),
    ],
)
def test_a_range_that_is_none_is_refused(low: float, high: float, steps: int, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        RateRange(low, high, steps)


def test_a_test_of_a_thousand_steps_is_short_to_print() -> None:
    found = RangeTest(3, (0.1,) * 1000, (2.0,) * 1000, (2.0,) * 1000, 999, 500, False)
    assert repr(found) == "RangeTest(seed 3, 1000 steps, suggests 0.05)"
