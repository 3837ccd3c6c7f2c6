"""Networks that a function of the user's own builds: named, checked, repeated to the bit, and never run unasked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network import Network, find_network, format_line, load_network, trace_network
from stepladder.network import own as room
from stepladder.network.build import build_network
from stepladder.network.layers import RowMajor, SeededDropout
from stepladder.network.own import files_of, known_network, register_network, with_figures
from stepladder.network.own_random import SeededModules
from stepladder.recipe import Recipe, change_settings, load_recipe, parse_recipe
from stepladder.training.rng import Streams

WriteNetwork = Callable[..., str]

SHAPE, CLASSES = (3, 8, 8), 4

PLAIN = """
from torch import nn


def build(shape, classes):
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6 * (height // 2) * (width // 2), classes),
    )
"""

VIEWED = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.fc = nn.Linear(6 * 8 * 8, classes)

    def forward(self, images):
        return self.fc(torch.relu(self.conv(images)).view(images.shape[0], -1))


def build(shape, classes):
    return Net(shape[0], classes)
"""


def recipe_of(network: Network) -> Recipe:
    return parse_recipe({"name": "mine", "network": network.model_dump()})


def test_the_same_seed_gives_the_same_bits_and_moves_no_other_random_number(write: WriteNetwork) -> None:
    network = load_network(write(PLAIN))
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, same, other = (build_network(network, SHAPE, CLASSES, Streams(seed)).state_dict() for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(8)
    again = build_network(network, SHAPE, CLASSES, Streams(3)).state_dict()
    assert set(one) == {f"own.{name}" for name in build_of(PLAIN).state_dict()}
    assert all(torch.equal(one[name], same[name]) and torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["own.0.weight"], other["own.0.weight"])


def build_of(text: str) -> nn.Module:
    names: dict[str, Callable[..., nn.Module]] = {"__name__": "net"}
    exec(text, names)
    return names["build"](SHAPE, CLASSES)


def test_weights_and_macs_are_those_of_the_module(write: WriteNetwork) -> None:
    network = load_network(write(PLAIN))
    (cost,) = trace_network(network, SHAPE, CLASSES)
    assert cost.output_shape == (CLASSES,)
    # 3·3·3·6 + 6, a scale and a shift for 6 channels, 96·4 + 4; 3·3·3·6 at 8·8 positions, 96·4.
    assert cost.weights == 168 + 12 + 388
    assert cost.macs == 162 * 64 + 384


def test_another_text_is_another_trial_and_another_place_is_not(write: WriteNetwork, tmp_path: Path) -> None:
    one = load_network(write(PLAIN))
    (tmp_path / "elsewhere").mkdir()
    moved = load_network(write(PLAIN, "elsewhere/net.py"))
    renamed = load_network(write(PLAIN, "elsewhere/other.py"))
    edited = load_network(write(PLAIN.replace("0.5", "0.4"), "elsewhere/net.py"))
    assert one == moved
    assert str(tmp_path) not in one.model_dump_json()
    assert recipe_of(one).fingerprint == recipe_of(renamed).fingerprint != recipe_of(edited).fingerprint
    figured = recipe_of(with_figures(one, SHAPE, CLASSES))
    assert figured.fingerprint == recipe_of(one).fingerprint, "what is recorded with a model is no other trial"


def test_the_text_is_in_every_record(write: WriteNetwork, tmp_path: Path) -> None:
    network = load_network(write(PLAIN))
    assert network.own is not None
    assert network.own.text == PLAIN
    (tmp_path / "mine.toml").write_text(recipe_of(network).to_toml())
    assert load_recipe(str(tmp_path / "mine.toml")) == recipe_of(network)
    damaged = network.model_dump()
    damaged["layers"][0]["text"] += "\n"
    with pytest.raises(RecipeError, match=r"the text of net\.py in the network is not the one"):
        Network.model_validate(damaged)


def test_a_network_of_one_s_own_is_written_as_its_reference(write: WriteNetwork) -> None:
    network = load_network(write(PLAIN))
    assert format_line(network) == "net.py:build"
    assert repr(network) == "Network('net.py:build')"
    assert PLAIN not in repr(recipe_of(network)) + repr(trace_network(network, SHAPE, CLASSES))
    assert find_network(write(PLAIN, "my net.py")).label == "my-net"
    assert find_network(write(PLAIN.replace("build", "other")).replace("build", "other")).label == "net-other"


def test_what_a_user_runs_runs_once(write: WriteNetwork, capsys: pytest.CaptureFixture[str]) -> None:
    reference = write(PLAIN + "print('loaded')\n")
    assert load_network(reference) == load_network(reference)
    assert capsys.readouterr().out == "loaded\n"
    # Of the same size and second: bytecode kept beside the file would be taken for it.
    write(PLAIN + "print('edited')\n")
    load_network(reference)
    assert capsys.readouterr().out == "edited\n"


SIDE_EFFECT = PLAIN + "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"


def test_what_somebody_else_recorded_runs_nothing(
    write: WriteNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, ran = write(SIDE_EFFECT), tmp_path / "ran"
    theirs = load_network(reference)
    recorded = with_figures(theirs, SHAPE, CLASSES)
    assert ran.exists()
    ran.unlink()
    monkeypatch.setattr(room, "_NAMED", {})
    monkeypatch.setattr(room, "_MODULES", {})
    monkeypatch.chdir(tmp_path)  # the file lies where the reference points
    sentence = r'^this network is built by net\.py:build, whose code is not run unless you name it: `network="net\.py:b'
    read = parse_recipe(recipe_of(theirs).to_table())
    with pytest.raises(RecipeError, match=sentence):
        trace_network(read.network, SHAPE, CLASSES)
    with pytest.raises(RecipeError, match=sentence):
        build_network(read.network, SHAPE, CLASSES, Streams(0))
    with pytest.raises(RecipeError, match=sentence):
        parse_recipe({"name": "theirs", "network": "net.py:build"})
    with pytest.raises(RecipeError, match=sentence):
        change_settings(load_recipe("small"), {"network": "net.py:build"})
    (tmp_path / "theirs.toml").write_text('network = "net.py:build"\n')
    with pytest.raises(RecipeError, match=sentence):
        parse_recipe({"name": "theirs", "network": "theirs.toml"})
    assert files_of([read.network]) == []
    # Of a trained model the figures are known without its code.
    (cost,) = trace_network(Network.model_validate(recorded.model_dump()), SHAPE, CLASSES)
    assert (cost.weights, cost.macs) == (568, 10_752)
    assert not ran.exists()
    # Whoever names the recipe names its network's file.
    (tmp_path / "named.toml").write_text('base = "small"\nnetwork = "net.py:build"\n')
    assert load_recipe("named.toml").network == theirs
    assert ran.exists()
    assert known_network("net.py:build") == theirs
    assert change_settings(load_recipe("small"), {"network": "net.py:build"}).network == theirs


def test_a_file_that_has_changed_since(write: WriteNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = load_network(write(PLAIN))
    assert recorded.own is not None
    monkeypatch.setattr(room, "_NAMED", {})
    named = load_network(write(PLAIN + "\n"))
    assert named.own is not None
    with pytest.raises(RecipeError, match=r"^net\.py:build has changed since this network was made: ") as raised:
        build_network(recorded, SHAPE, CLASSES, Streams(0))
    assert recorded.own.sha256[:12] in str(raised.value)
    assert named.own.sha256[:12] in str(raised.value)


def test_another_process_is_told_the_text_as_it_was(write: WriteNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_network(write(PLAIN))
    files = files_of([load_network("lenet5"), network, network])
    write("raise RuntimeError('edited while the study runs')")
    monkeypatch.setattr(room, "_NAMED", {})
    monkeypatch.setattr(room, "_MODULES", {})
    assert [register_network(reference, text.encode()) for reference, text in files] == [network]
    build_network(network, SHAPE, CLASSES, Streams(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import nothing_of_this_name",
            r"raised ModuleNotFoundError: .* \(net\.py, line 1\); install it, or write all",
        ),
        ("x = 1 +", r"raised SyntaxError: invalid syntax \(net\.py, line 1\)$"),
        ("import sys\nsys.exit()", r"raised SystemExit: .*\(net\.py, line 2\)"),
        (
            "def biuld(shape, classes): pass",
            r"unknown function 'build'; did you mean 'biuld'\? Known: biuld \(those of",
        ),
        ("build = 3", "unknown function 'build'"),
    ],
)
def test_a_file_that_does_not_load(write: WriteNetwork, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_network(write(text))


def test_what_is_no_reference(write: WriteNetwork, tmp_path: Path) -> None:
    reference = write(PLAIN)
    for written in (reference.removesuffix(":build"), reference.removesuffix("build")):
        with pytest.raises(RecipeError, match=r'net\.py:?" names no function; write it as `network=".*net\.py:build"`'):
            load_network(written)
    with pytest.raises(RecipeError, match=r"^cannot read the network file none\.py: No such file"):
        load_network("none.py:build")
    with pytest.raises(RecipeError, match=r"^function is 'a\.b'; it must be a word of letters, digits and _"):
        load_network(f"{tmp_path}/net.py:a.b")
    (tmp_path / "net.py").write_bytes(b"# \xff\n")
    with pytest.raises(RecipeError, match=r"net\.py is not UTF-8 text; save it as UTF-8"):
        load_network(reference)


HEAD = (
    "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
)
HEAD += "        self.fc = nn.Linear(192, 4)\n"
BUILT = "def build(shape, classes):\n    return Net()\n"


def forward(line: str) -> str:
    return f"{HEAD}    def forward(self, x):\n        logits = self.fc(x.flatten(1))\n        {line}\n{BUILT}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def build(shape, classes): return 3",
            r"build returned a value of type int; it must return a torch\.nn\.Module",
        ),
        ("def build(shape, classes): return shape.size", r"raised AttributeError: .*\(net\.py, line 1\)$"),
        (
            forward("raise ValueError('no')"),
            r"build: its module, given 2 images of 3×8×8, raised ValueError: no \(net\.py, line 9\)$",
        ),
        (
            forward("return x"),
            r"build: its module returned \(2, 3, 8, 8\) for 2 images of 3×8×8 in training; it must return .* \(2, 4\)$",
        ),
        (forward("return logits, x"), r"its module returned a value of type tuple for 2 images"),
        (forward("return logits.argmax(1)"), r"its module returned \(2,\) of int64 for 2 images"),
        (
            forward("return logits.squeeze()"),
            r"its module returned \(4,\) for 1 image of 3×8×8 in evaluation; .* \(1, 4\)$",
        ),
        # As torchvision's GoogLeNet and Inception do with their auxiliary outputs.
        (
            forward("return (logits, logits) if self.training else logits"),
            r"type tuple for 2 images of 3×8×8 in training; it must return logits, .* no other outputs beside them; ",
        ),
        (
            forward("return nn.functional.dropout(logits, 0.2)"),
            r"draws random numbers in evaluation, .*: F\.dropout needs training=self\.training$",
        ),
        (
            forward("import random; return logits * random.random()"),
            r"its module draws random numbers of Python's, .*; draw with torch$",
        ),
        (
            forward("import numpy; return logits * numpy.random.rand() if self.training else logits"),
            r"its module draws random numbers of NumPy's, .*; draw with torch$",
        ),
        (
            forward("return logits") + "    \nnet = Net()\ndef build(shape, classes): return net\n",
            r"returned the same weights in two calls; build a new module in every call",
        ),
        (
            "from torch import nn\ndef build(shape, classes):\n    return nn.Sequential(nn.Flatten(), nn.Softmax(1))\n",
            r"returned a module without weights that learn; there is nothing to train$",
        ),
        (
            HEAD
            + "        import random\n        nn.init.constant_(self.fc.bias, random.random())\n"
            + "    def forward(self, x): return self.fc(x.flatten(1))\n"
            + BUILT,
            r"gave fc\.bias other values from the same seed; draw with torch alone",
        ),
        (
            HEAD
            + "    def get_extra_state(self): return 3\n    def set_extra_state(self, state): pass\n"
            + "    def forward(self, x): return self.fc(x.flatten(1))\n"
            + BUILT,
            r"keeps _extra_state in its state, which is no tensor",
        ),
    ],
    ids=lambda value: None,
)
def test_a_module_that_is_not_what_it_should_be(write: WriteNetwork, text: str, message: str) -> None:
    network = load_network(write(text))
    state = torch.get_rng_state()
    with pytest.raises(RecipeError, match=message):
        build_network(network, SHAPE, CLASSES, Streams(0))
    assert torch.equal(state, torch.get_rng_state())


def test_an_error_within_a_library_names_its_line(
    write: WriteNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line of the user's own ran, as where ``build`` returns a network of timm's."""
    (tmp_path / "site-packages").mkdir()
    library = HEAD + "    def forward(self, x):\n        return self.fc(x)\n"
    (tmp_path / "site-packages/foreign.py").write_text(library)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    network = load_network(write("from foreign import Net\ndef build(shape, classes): return Net()\n"))
    with pytest.raises(RecipeError, match=r"given 2 images of 3×8×8, raised RuntimeError: .* \(foreign\.py, line 8\)$"):
        build_network(network, SHAPE, CLASSES, Streams(0))


def test_it_stands_alone(write: WriteNetwork) -> None:
    network = load_network(write(PLAIN))
    with pytest.raises(RecipeError, match=r"other layers beside net\.py:build, which builds a whole network"):
        Network.model_validate({"layers": [*network.model_dump()["layers"], {"name": "relu", "kind": "relu"}]})


def test_dropouts_draw_from_streams_of_their_own(write: WriteNetwork) -> None:
    text = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.whole = nn.Dropout2d(0.5)
        self.twice = nn.Sequential(nn.Flatten(), nn.Dropout(0.5))
        self.again = self.twice[1]
        self.fc = nn.Linear(192, 4)

    def forward(self, x):
        return self.fc(self.again(self.twice(self.whole(x))))


def build(shape, classes):
    return Net()
"""
    network = load_network(write(text))
    images = torch.ones(64, *SHAPE)
    module, same = (build_network(network, SHAPE, CLASSES, Streams(0)) for _ in range(2))
    drops = {path: one for path, one in module.named_modules() if isinstance(one, SeededDropout)}
    assert set(drops) == {"own.whole", "own.twice.1"}
    assert not [one for one in module.modules() if isinstance(one, nn.modules.dropout._DropoutNd)]
    assert module.get_submodule("own.again") is drops["own.twice.1"]
    assert drops["own.whole"].generator.initial_seed() == Streams(0)("dropout/own.whole").initial_seed()
    state = torch.get_rng_state()
    assert torch.equal(module(images), same(images))
    assert torch.equal(state, torch.get_rng_state())
    dropped = drops["own.whole"](images)
    assert all(len(one.unique()) == 1 for one in dropped.flatten(0, 1)), "whole maps"
    assert torch.equal(module.eval()(images), module(images))


DEEP = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6, classes)

    def forward(self, x):
        x = self.norm(self.conv(x))
        if self.training:  # stochastic depth, as timm and torchvision write it
            x = x + x * x.new_empty((len(x), 1, 1, 1)).bernoulli_(0.5)
        x = nn.functional.dropout(self.drop(x.mean((2, 3))), 0.5, self.training)
        return self.fc(x)


def build(shape, classes):
    return Net(classes)
"""


def test_what_a_module_draws_itself_comes_from_a_stream_of_its_own(write: WriteNetwork) -> None:
    network = load_network(write(DEEP))
    images = torch.rand(64, *SHAPE)
    module, same, other = (build_network(network, SHAPE, CLASSES, Streams(seed)) for seed in (0, 0, 1))
    assert isinstance(module, SeededModules)
    assert set(module.state_dict()) == {f"own.{name}" for name in build_of(DEEP).state_dict()}
    other.load_state_dict(module.state_dict())
    state = torch.get_rng_state()
    first = module(images)
    torch.rand(3)  # what others draw changes nothing
    assert torch.equal(first, same(images))
    assert not torch.equal(first, other(images))
    assert not torch.equal(first, module(images)), "the next step draws other numbers"
    torch.set_rng_state(state)
    module(images)
    module.eval()(images)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(module(images), module(images))
    # What draws nothing beside its dropouts is built as it always was.
    assert type(build_network(load_network(write(PLAIN)), SHAPE, CLASSES, Streams(0))) is nn.Sequential


def test_an_error_in_a_step_puts_the_random_numbers_back(write: WriteNetwork) -> None:
    module = build_network(load_network(write(DEEP)), SHAPE, CLASSES, Streams(0))
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="expected input"):
        module(torch.rand(2, 5, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_module_that_reads_memory_row_by_row_gets_it_so(write: WriteNetwork, channels: int) -> None:
    shape = (channels, 8, 8)
    module = build_network(load_network(write(VIEWED)), shape, CLASSES, Streams(0))
    assert isinstance(module[0], RowMajor)
    images = torch.rand(5, 8, 8, channels).permute(0, 3, 1, 2)  # as the training loop has them
    own = module.get_submodule("own")
    torch.testing.assert_close(module(images), own(images.clone(memory_format=torch.contiguous_format)))
    flat = build_network(load_network(write(PLAIN)), SHAPE, CLASSES, Streams(0))
    assert [name for name, _ in flat.named_children()] == ["own"]
    assert flat.state_dict()["own.0.weight"].is_contiguous(memory_format=torch.channels_last)


def test_lazy_layers_draw_their_weights_from_the_seed(write: WriteNetwork) -> None:
    text = PLAIN.replace("nn.Linear(6 * (height // 2) * (width // 2), classes)", "nn.LazyLinear(classes)")
    network = load_network(write(text))
    one, same = (build_network(network, SHAPE, CLASSES, Streams(0)).state_dict() for _ in range(2))
    assert one["own.6.weight"].shape == (CLASSES, 96)
    assert all(torch.equal(one[name], same[name]) for name in one)


def test_the_file_of_the_documentation_is_one(write: WriteNetwork) -> None:
    page = Path(__file__).parents[2] / "docs/networks.md"
    blocks = re.findall(
        r"^```python\n(# net\.py\n.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    small, *foreign = blocks
    (cost,) = trace_network(load_network(write(small)), (3, 32, 32), 10)
    assert f"{cost.weights:,}   {cost.macs:,}" in page.read_text(encoding="utf-8")
    assert len(foreign) == 2
    for text in foreign:  # timm is no library of ours
        compile(text, "net.py", "exec")


def test_nothing_is_written_beside_the_file(write: WriteNetwork, tmp_path: Path) -> None:
    load_network(write(PLAIN))
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]
