"""Every number in the answers, worked out a second time: by torch's modules, by gradients, or by hand."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from stepladder.answers.book import all_questions, raw_questions
from stepladder.answers.numbers import numbers

ROOT = Path(__file__).parents[2]


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def network(pooling: bool = True) -> nn.Sequential:
    """The report's network, in torch's own modules, on the meta device: without a value in memory."""

    def pool() -> list[nn.Module]:
        return [nn.MaxPool2d(2, 2, ceil_mode=True)] if pooling else []

    with torch.device("meta"):
        return nn.Sequential(
            *[nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), *pool()],
            *[nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), *pool()],
            *[nn.Conv2d(64, 64, 5, padding=2), nn.ReLU(), *pool()],
            *[nn.Flatten(), nn.Linear(64 * (4 * 4 if pooling else 32 * 32), 1000), nn.ReLU(), nn.Linear(1000, 10)],
        )


def field(*layers: nn.Module) -> int:
    """Rows of an image that one value of the last maps depends on, by the gradient of random weights."""
    image = torch.rand(1, 3, 96, 96, dtype=torch.float64, requires_grad=True)
    maps = nn.Sequential(*layers).double()(image)
    middle = maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].sum()
    middle.backward()
    assert image.grad is not None
    rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    return int(rows.max() - rows.min() + 1)


def said(number: int) -> str:
    """All that is said of a question, without its commands."""
    question = next(question for question in all_questions() if question.number == number)
    return "\n".join((question.question, question.answer, question.slip, question.formula))


def test_the_weights_of_every_layer() -> None:
    layers = [layer for layer in network() if count(layer)]
    values = numbers()
    for name, layer in zip(("conv1", "conv2", "conv3", "fc1", "fc2"), layers, strict=True):
        assert values[f"{name}_weights"] == f"{count(layer):,}"
        assert values[f"{name}_working"].endswith(f"= {count(layer):,}")
    assert values["weights"] == "1,191,170" == f"{count(network()):,}"
    assert values["bare_weights"] == f"{count(network(pooling=False)):,}"
    assert values["bare_weights_times"] == str(round(65_703_170 / 1_191_170))
    assert values["fc1_share"] == f"{100 * 1_025_000 / 1_191_170:.0f} %"
    for text in ("2,432", "51,264", "102,464", "1,025,000", "10,010", "1,191,170"):
        assert text in said(10)
    assert "5×5×32 + 32 = 2,432" in said(10)
    assert 5 * 5 * 32 + 32 == 832
    assert "The left side is 832" in said(10)


@pytest.mark.parametrize(
    "place", ["conv1_working", "conv2_working", "fc1_working", "fc2_working", "conv1_full_working"]
)
def test_what_is_written_out_is_so(place: str) -> None:
    left, right = numbers()[place].replace(",", "").split(" = ")
    product, bias = left.split(" + ")
    assert math.prod(map(int, product.split("·"))) + int(bias) == int(right)


def test_multiplications_by_torchs_own_counter() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    for pooling, key in ((True, "macs_millions"), (False, "bare_macs_millions")):
        counter = FlopCounterMode(display=False)
        with counter:
            network(pooling)(torch.empty(1, 3, 32, 32, device="meta"))
        assert numbers()[key] == f"{counter.get_total_flops() / 2e6:.0f} million"
    assert "10 times" in said(3)
    assert numbers()["convolution_macs_share"] == f"{100 * (1 - 1_034_000 / 23_152_400):.0f} %"


def test_sizes_by_torch() -> None:
    image = torch.empty(1, 3, 32, 32, device="meta")
    values = numbers()
    with torch.device("meta"):
        for stride, size in ((1, values["conv1_size"]), (2, "16")):
            assert nn.Conv2d(3, 32, 5, stride, padding=2)(image).shape[-1] == int(size)
        assert [nn.Conv2d(3, 3, 5)(torch.empty(1, 3, n, n)).shape[-1] for n in (32, 28, 24)] == [28, 24, 20]
        assert nn.MaxPool2d(2)(image).shape[-1] == int(values["pool1_size"])
    assert values["strided_size_working"].endswith("= 16")
    assert values["conv1_size_without_one"] == str((32 + 2 * 2 - 5) // 1) == "31"
    assert values["unpadded_sides"] == "32, 28, 24, 20"
    assert "31 pixels for conv1 in place of 32" in said(1)
    features = network()[:10]
    fitting = [
        side
        for side in range(8, 80)
        if features(torch.empty(1, 3, side, side, device="meta")).shape[-1] == int(values["flat"].replace(",", ""))
    ]
    assert [values["smallest_side"], values["largest_side"]] == [str(min(fitting)), str(max(fitting))]
    assert values["larger_flat_working"] == "64·8·8 = 4,096"
    assert features(torch.empty(1, 3, 64, 64, device="meta")).shape[-1] == 4_096
    sides = [28]
    for _ in range(3):
        sides.append(math.ceil(sides[-1] / 2))
    assert "28×28 pixels, which become 14, 7 and 4" in said(9)
    assert sides == [28, 14, 7, 4]


def test_a_fully_connected_layer_moved_over_a_larger_image() -> None:
    with torch.device("meta"):
        moved = nn.Sequential(*network()[:9], nn.Conv2d(64, 1000, 4), nn.ReLU(), nn.Conv2d(1000, 10, 1))
        assert moved(torch.empty(1, 3, 32, 32)).shape[2:] == (1, 1)
        outputs = moved(torch.empty(1, 3, 64, 64)).shape[-1]
    assert f"gives {outputs}×{outputs} answers" in said(5)
    assert count(moved) == count(network())


def test_layers_that_share_nothing() -> None:
    values = numbers()
    for name, channels, maps, side in (("conv1", 3, 32, 32), ("conv2", 32, 64, 16), ("conv3", 64, 64, 8)):
        with torch.device("meta"):
            one = count(nn.Conv2d(channels, maps, 5))
            whole = count(nn.Linear(channels * side * side, maps * side * side))
        assert values[f"{name}_local"] == f"{side * side * one:,}"
        assert values[f"{name}_full"] == f"{whole:,}"
        assert values[f"{name}_full_times"] == f"{whole / one:,.0f}"
    assert values["batch_local"] == f"{128 * 1024 * (5 * 5 * 3 * 32 + 32):,}"


def test_receptive_fields_by_gradients() -> None:
    values = numbers()
    layers: list[nn.Module] = []
    for name, layer in (
        ("conv1", nn.Conv2d(3, 4, 5, padding=2)),
        ("pool1", nn.AvgPool2d(2)),  # every value of a window counts in a mean
        ("conv2", nn.Conv2d(4, 4, 5, padding=2)),
        ("pool2", nn.AvgPool2d(2)),
        ("conv3", nn.Conv2d(4, 4, 5, padding=2)),
        ("pool3", nn.AvgPool2d(2)),
    ):
        layers.append(layer)
        assert values[f"{name}_sees"] == str(field(*layers)), name
    one, other = nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, 5)
    assert (field(one), field(one, other)) == (5, 9)
    assert values["two_see"] == "9"
    assert "9×9 = 81 pixels" in said(7)
    assert values["bare_sees"] == str(field(one, other, nn.Conv2d(4, 4, 5))) == "13"
    with torch.device("meta"):
        two, large = 2 * count(nn.Conv2d(64, 64, 5, bias=False)), count(nn.Conv2d(64, 64, 9, bias=False))
    assert (values["two_maps_weights"], values["large_kernel_weights"]) == (f"{two:,}", f"{large:,}")
    assert values["large_kernel_saved"] == f"{100 * (1 - two / large):.0f} %"


def test_chance() -> None:
    values = numbers()
    assert values["weights_per_image"] == "23.8" == f"{1_191_170 / 50_000:.1f}"
    loss = nn.functional.cross_entropy(torch.zeros(1, 10), torch.tensor([3])).item()
    assert values["ln_classes"] == f"{loss:.3f}" == "2.303"
    assert values["ln_working"].endswith(" = 2.303")
    throws = torch.distributions.Binomial(10_000, torch.tensor(0.1))
    assert values["chance_sd"] == f"{100 * throws.stddev.item() / 10_000:.1f}"
    assert values["report_untrained_sds"] == f"{(1300 - 1000) / throws.stddev.item():.0f}"


def test_steps_and_rates_by_torchs_own_schedule() -> None:
    values = numbers()
    recipe = tomllib.loads((ROOT / "src/stepladder/recipes/report.toml").read_text(encoding="utf-8"))
    assert (values["lr"], values["epochs"], values["batch"]) == ("0.1", "20", "128")
    assert (recipe["optimizer"]["lr"], recipe["epochs"], recipe["batch_size"]) == (0.1, 20, 128)
    assert values["steps"] == str(len(torch.arange(50_000).split(128))) == "391"
    assert values["small_batch_steps"] == f"{len(torch.arange(50_000).split(32)):,}" == "1,563"
    assert values["all_steps"] == f"{391 * 20:,}"
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
    rates = []
    for _ in range(20):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert values["last_lr"] == f"{rates[-1]:.3f}" == "0.038"
    assert values["last_lr_share"] == f"{100 * rates[-1] / rates[0]:.0f} %"
    assert 0.95 ** float(values["half_epochs"]) == pytest.approx(0.5, abs=0.002)
    assert values["noise_ratio"] == f"{math.sqrt(128 / 32):g}"


def test_dropout_and_batch_norm() -> None:
    values = numbers()
    kept = torch.distributions.Binomial(1_000, torch.tensor(0.5))
    assert values["kept_units"] == f"{kept.mean.item():.0f}"
    assert values["kept_sd"] == f"{kept.stddev.item():.0f}"
    assert values["thinned_digits"] == str(len(str(2**1_000))) == "302"
    assert values["heavy_kept"] == f"{1_000 * (1 - float(values['heavy_p'])):.0f}"
    assert values["kept_scale"] == f"{nn.Dropout(0.5)(torch.ones(1_000)).max().item():g}"
    with torch.device("meta"):
        norms = nn.Sequential(nn.BatchNorm2d(32), nn.BatchNorm2d(64), nn.BatchNorm2d(64))
    assert values["norm_weights_working"].endswith(f" = {count(norms)}")
    assert values["norm_values_working"].endswith(f" = {128 * 32 * 32:,}")
    assert nn.BatchNorm2d(1).momentum == 0.1  # as the formula of question 34 has it


def test_crops_and_whitening() -> None:
    values = numbers()
    from stepladder.techniques import TECHNIQUES

    cropped = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    assert "at most 4" in str(TECHNIQUES["random_crop"].model_fields["padding"].description)
    places = (nn.functional.pad(cropped, (4, 4, 4, 4)).shape[-1] - 32 + 1) ** 2
    assert (values["crops"], values["crops_flipped"]) == (str(places), str(2 * places))
    assert values["zca_entries"] == f"{(3 * 32 * 32) ** 2:,}"


#: Numbers that a text may hold as they are: shapes and windows, years, and rates that a sentence chooses itself.
TYPED = r"\d+×\d+|(19|20)\d\d|section \d\.\d|\b0\.(1|001|5|8|9)\b|ln 0\.5|ln 10|−1/2"


def test_no_number_is_typed_that_could_be_worked_out() -> None:
    """In the texts as they are kept, placeholders not filled in."""
    for question in raw_questions():
        for text in (question.title, question.question, question.answer, question.slip, question.formula):
            bare = re.sub(TYPED, "", re.sub(r"\{\w+\}", "", text))
            assert not re.findall(r"\d{3,}|\d[.,]\d", bare), (
                question.number,
                re.findall(r".*\d{3,}.*|.*\d[.,]\d.*", bare),
            )


def test_every_number_that_is_worked_out_is_used() -> None:
    used = set()
    for question in raw_questions():
        used |= set(
            re.findall(r"\{([a-z0-9_]+)\}", f"{question.question}{question.answer}{question.slip}{question.formula}")
        )
    of_each_layer = r"(conv|pool|fc)\d_\w+|ln_classes"
    assert not {name for name in numbers() if name not in used and not re.fullmatch(of_each_layer, name)}
    assert used <= set(numbers())
