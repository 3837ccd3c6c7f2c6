import copy
import subprocess
import sys

import pytest
import torch
from torch import nn, optim

from stepladder.network import load_network
from stepladder.network.build import build_network
from stepladder.optimizer import OPTIMIZERS, Optimizer
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network
from stepladder.training.optimizer import make_optimizer
from stepladder.training.rng import Streams


def test_steps_are_those_of_plain_sgd_with_momentum() -> None:
    module = nn.Linear(3, 2, bias=False)
    weight = module.weight.detach().clone()
    optimizer = make_optimizer(Optimizer(lr=0.5, momentum=0.9), module)
    velocity = torch.zeros_like(weight)
    for _ in range(3):
        module.weight.grad = torch.ones_like(weight)
        optimizer.step()
        velocity = 0.9 * velocity + 1
        weight -= 0.5 * velocity
    torch.testing.assert_close(module.weight.detach(), weight)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(16, 3, 8, 8, generator=rng), torch.arange(16) % 10


def trained(module: nn.Module, optimizer: object, steps: int = 4) -> dict[str, torch.Tensor]:
    images, labels = batch()
    for _ in range(steps):
        nn.functional.cross_entropy(module(images), labels).backward()
        optimizer.step()  # type: ignore[attr-defined]
        optimizer.zero_grad()  # type: ignore[attr-defined]
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def bits(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: value.contiguous().numpy().tobytes() for name, value in tensors.items()}


def built(line: str = "conv3-8 pool2 conv3-8 fc16 fc") -> nn.Module:
    return build_network(load_network(line), (3, 8, 8), 10, Streams(0))


EACH = pytest.mark.parametrize(
    ("settings", "torch_s"),
    [
        ({"lr": 0.05}, lambda p: optim.SGD(p, 0.05, fused=True)),
        ({"lr": 0.05, "momentum": 0.9}, lambda p: optim.SGD(p, 0.05, 0.9, fused=True)),
        ({"lr": 0.05, "momentum": 0.9, "nesterov": True}, lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True, fused=True)),
        ({"name": "adam", "lr": 0.01, "beta1": 0.8}, lambda p: optim.Adam(p, 0.01, (0.8, 0.999), fused=True)),
        ({"name": "adamw", "lr": 0.01}, lambda p: optim.AdamW(p, 0.01, weight_decay=0, fused=True)),
        ({"name": "rmsprop"}, lambda p: optim.RMSprop(p, 1e-3, foreach=True)),
        ({"name": "rmsprop", "momentum": 0.5}, lambda p: optim.RMSprop(p, 1e-3, momentum=0.5, foreach=True)),
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "rmsprop with momentum"],
)


@EACH
def test_each_has_the_bits_of_torch_s(settings, torch_s) -> None:
    ours, theirs = built(), built()
    one = trained(ours, make_optimizer(Optimizer(**settings), ours))
    other = trained(theirs, torch_s(theirs.parameters()))
    assert bits(one) == bits(other)


@EACH
def test_what_one_remembers_the_other_goes_on_from(settings, torch_s) -> None:
    whole, parted = built(), built()
    expected = trained(whole, torch_s(whole.parameters()), 6)
    first = make_optimizer(Optimizer(**settings), parted)
    trained(parted, first, 2)
    state = first.state_dict()
    for entry in state["state"].values():  # torch's RMSprop counts steps, and needs the count nowhere
        entry.setdefault("step", torch.tensor(2.0))
    second = torch_s(parted.parameters())
    second.load_state_dict({**second.state_dict(), "state": state["state"]})
    trained(parted, second, 2)
    third = make_optimizer(Optimizer(**settings), parted)
    third.load_state_dict(copy.deepcopy(second.state_dict()))
    found = trained(parted, third, 2)
    assert bits(found) == bits(expected)


@EACH
def test_what_was_remembered_is_a_copy(settings, torch_s) -> None:
    module = built()
    first = make_optimizer(Optimizer(**settings), module)
    trained(module, first, 2)
    state = first.state_dict()["state"]
    second = make_optimizer(Optimizer(**settings), module)
    second.load_state_dict({"state": state})
    before = {number: bits(entry) for number, entry in state.items()}
    trained(module, second, 2)
    assert {number: bits(entry) for number, entry in state.items()} == before
    assert len(before) == (0 if settings == {"lr": 0.05} else 8), "plain SGD remembers nothing"


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "muon"])
def test_a_weight_that_learns_later_begins_then(name) -> None:
    """As layers do that are frozen at first; torch's fused SGD with momentum cannot."""
    weights = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    late, alone = nn.ParameterList(weights), nn.ParameterList([nn.Parameter(torch.ones(3))])
    settings = Optimizer(name=name, lr=0.1)
    optimizer, other = make_optimizer(settings, late), make_optimizer(settings, alone)
    weights[0].grad = torch.ones(3)
    optimizer.step()
    assert weights[1].equal(torch.ones(3))
    for _ in range(2):
        weights[1].grad = torch.full((3,), 2.0)
        alone[0].grad = torch.full((3,), 2.0)
        optimizer.step()
        other.step()
    assert weights[1].equal(alone[0])


def test_weights_of_several_types_and_rates_are_changed_alike() -> None:
    module = nn.ModuleDict({"low": nn.Linear(2, 2, dtype=torch.bfloat16), "high": nn.Linear(2, 2)})
    optimizer = make_optimizer(Optimizer(lr=0.5, momentum=0.0), module, {"low": 0.5})
    assert [group["lr_scale"] for group in optimizer.param_groups] == [0.5, 1.0]
    optimizer.param_groups[0]["lr"] = 0.25
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    for weight in module.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    for name, weight in module.named_parameters():
        torch.testing.assert_close(weight.detach(), before[name] - (0.25 if name.startswith("low") else 0.5))


#: What a command does; torch's own optimizers load its compiler at their first step.
TRAIN = """
import sys
from stepladder.cli import run
for name in ("sgd", "adam", "adamw", "rmsprop"):
    little = ["--limit", "20", "--epochs", "1", "--set", f"optimizer.name={name}"]
    assert run(["train", "digits", *little, "--out", f"{sys.argv[1]}/{name}", "--quiet"]) == 0
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.long
def test_no_training_on_the_processor_loads_torch_s_compiler(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_muon_takes_hidden_weights_as_matrices_and_adamw_the_rest() -> None:
    ours, theirs = built(), built()
    before = {name: value.detach().clone() for name, value in ours.named_parameters()}
    one = trained(ours, make_optimizer(Optimizer(name="muon", lr=0.03, adamw_lr=0.002), ours), steps=1)
    rest = [value for name, value in theirs.named_parameters() if name not in ("conv2.weight", "fc1.weight")]
    other = trained(theirs, optim.AdamW(rest, 0.002, weight_decay=0), steps=1)
    assert {"conv2.weight", "fc1.weight"} < set(one)
    for name, value in one.items():
        if name in ("conv2.weight", "fc1.weight"):
            # An orthogonal step: the singular values of the change that are not nothing are about alike.
            values = torch.linalg.svdvals((value - before[name]).flatten(1))
            there = values[values > 1e-4]
            assert len(there) > 4
            assert float(there.min() / there.max()) > 0.5
            assert 0.015 < float(there.max()) < 0.06
        else:
            torch.testing.assert_close(value, other[name])


def test_muon_goes_on_from_its_state() -> None:
    settings = Optimizer(name="muon")
    whole, parted = built(), built()
    expected = trained(whole, make_optimizer(settings, whole), 6)
    first = make_optimizer(settings, parted)
    trained(parted, first, 3)
    second = make_optimizer(settings, parted)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    torch.testing.assert_close(trained(parted, second, 3), expected)


def test_the_rates_of_muon_and_adamw_are_scheduled_together() -> None:
    groups = make_optimizer(Optimizer(name="muon", lr=0.02, adamw_lr=0.001), built()).param_groups
    assert [group.get("lr_scale", 1) for group in groups] == [1, pytest.approx(0.05)]


@pytest.mark.long
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_epoch_of_each_runs_and_twice_gives_the_same_bits(name, digits_train, tiny_recipe) -> None:
    recipe = tiny_recipe("cosine_lr", optimizer={"name": name})
    runs = [
        train_network(recipe, TrainingData(digits_train, digits_train, 10), 0, choose_compute("cpu")) for _ in range(2)
    ]
    assert runs[0].failure is None
    assert [record.train_loss for record in runs[0].history] == [record.train_loss for record in runs[1].history]
    assert runs[0].history[-1].train_loss < runs[0].history[0].train_loss
