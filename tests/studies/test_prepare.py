import hashlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stepladder.datasets import ImageSet, Split, make_splits
from stepladder.datasets.audit import LeakCheck
from stepladder.datasets.audit.leaks import check_leaks
from stepladder.errors import DataError, RecipeError, StorageError, StudyError
from stepladder.network import load_preset, trace_network
from stepladder.network.advice import grave_notes
from stepladder.network.build import build_network
from stepladder.network.presets import read_preset
from stepladder.recipe import Recipe
from stepladder.studies import prepare as module
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.studies.design.rules import Protocol
from stepladder.studies.prepare import (
    describe_data,
    draw_splits,
    grave_of,
    preflight,
    prepare,
    refuse_among_images,
    refuse_file,
    time_limit,
)
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.train import train_model
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.assembly import TrainingData, assemble
from stepladder.training.device import choose_compute
from stepladder.training.rng import Streams

MakeRecipe = Callable[..., Recipe]


class Told(Callbacks):
    def __init__(self) -> None:
        self.leaks: list[LeakCheck] = []
        self.sentences: list[str] = []
        self.fetched: list[tuple[str, int, int]] = []

    def loading(self, what: str, done: int, total: int) -> None:
        self.fetched.append((what, done, total))

    def leaks_checked(self, look: LeakCheck) -> None:
        self.leaks.append(look)

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_images_are_split_looked_at_and_described(digits: ImageSet, tiny_recipe: MakeRecipe) -> None:
    told = Told()
    found = prepare(digits, tiny_recipe(), Protocol(0.2), Execution("cpu", "float32", threads=2), told)
    expected = make_splits(digits, 0.2)
    assert found.splits.fingerprint == found.data.split == expected.fingerprint
    assert found.data == describe_data(digits, found.splits)
    assert expected.validation is not None
    assert found.data.counts == {
        "train": len(expected.train),
        "validation": len(expected.validation),
        "test": len(expected.test),
    }
    assert (found.compute.device.type, found.compute.precision, found.compute.threads) == ("cpu", "float32", 2)
    assert [look.clean for look in told.leaks] == [True]
    watched = prepare(digits, tiny_recipe(), Protocol(0), Execution("cpu", "float32"), told)
    assert watched.splits.validation is None
    assert "validation" not in watched.data.counts


def test_what_is_out_of_range_is_refused(digits: ImageSet, tiny_recipe: MakeRecipe) -> None:
    for protocol, execution, error, words in (
        (Protocol(select="best"), Execution(), StudyError, "unknown selection 'best'"),
        (Protocol(1.0), Execution(), DataError, "validation"),
        (Protocol(), Execution(workers=0), StudyError, "`workers` is 0"),
        (Protocol(), Execution(threads=0), RecipeError, "`threads` is 0"),
    ):
        with pytest.raises(error, match=words):
            prepare(digits, tiny_recipe(), protocol, execution, Callbacks())


@pytest.mark.parametrize(
    ("asked", "begun_with", "faster", "found", "reason"),
    [
        ("auto", None, "float32", "float32", "measured"),
        ("auto", None, "bfloat16", "bfloat16", "measured"),
        ("auto", "bfloat16", "float32", "bfloat16", "kept"),  # whatever is faster: its trials would not fit the others
        ("auto", "float32", "bfloat16", "float32", "kept"),
        ("bfloat16", "float32", "float32", "bfloat16", "asked"),
    ],
)
def test_auto_takes_the_faster_precision_or_keeps_the_one_begun_with(
    digits: ImageSet,
    tiny_recipe: MakeRecipe,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    begun_with: str | None,
    faster: str,
    found: str,
    reason: str,
) -> None:
    monkeypatch.setattr(module, "choose_arithmetic", lambda *_: Arithmetic(faster, "measured"))
    told = Told()
    prepared = prepare(digits, tiny_recipe(), Protocol(), Execution("cpu", asked), told, begun_with)
    assert (prepared.compute.precision, prepared.arithmetic.precision, prepared.arithmetic.reason) == (
        found,
        found,
        reason,
    )
    # What was measured is said, with how to force the other.
    other = {"float32": "bfloat16", "bfloat16": "float32"}[found]
    ends = [f"Use `precision={other}` to force the other."] if reason == "measured" else []
    assert [sentence[sentence.rindex("Use") :] for sentence in told.sentences] == ends


def test_a_technique_that_does_not_fit_is_said_of_its_rung(digits: ImageSet, tiny_recipe: MakeRecipe) -> None:
    splits = make_splits(digits, 0)
    with pytest.raises(RecipeError, match=r"^rung top: reduce_on_plateau "):
        preflight("rung top", tiny_recipe("reduce_on_plateau"), splits, 10, None)
    preflight("rung top", tiny_recipe("standardize"), splits, 10, None)


def test_what_takes_too_long_is_ended_and_the_alarm_is_off_again() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with (
        pytest.raises(
            StudyError, match=r"^rung slow is not ready: .* longer than the 0\.05 seconds of `trial_timeout`"
        ),
        time_limit(0.05, "rung slow"),
    ):
        time.sleep(30)
    with time_limit(30, "rung fast"):
        pass
    with time_limit(None, "rung free"):
        time.sleep(0.1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_only_the_main_thread_has_an_alarm() -> None:
    ended = []

    def work() -> None:
        with time_limit(0.01, "rung in a thread"):
            time.sleep(0.1)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    refuse_file(tmp_path)
    refuse_file(tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"`out` is .*/file, which is a file; choose a folder"):
        refuse_file(tmp_path / "file")
    with pytest.raises(StorageError, match="File name too long; choose another folder with `out`"):
        refuse_file(tmp_path / ("x" * 300))


def grave(recipe: Recipe, images: ImageSet, **execution: object) -> tuple[str, ...]:
    return grave_of(recipe, make_splits(images, 0), images.num_classes, Execution("cpu", **execution))  # type: ignore[arg-type]


@pytest.fixture
def photos() -> ImageSet:
    """Twenty images of 128×128, on which a network that flattens has a weight for every pixel."""
    pixels = np.zeros((20, 128, 128, 3), np.uint8)
    split = Split(pixels, np.arange(20) % 2)
    return ImageSet("photos", ("a", "b"), {"train": split, "test": split})


def test_what_is_grave_about_a_network_is_said_before_a_step(photos: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory_of", lambda _: 1000.0)
    large = RecipeOptions("small", network="report").make(photos)
    mend = '`network="report_gap"`, which has as many weights for images of any size, or smaller images with `size=64`'
    assert grave(large, photos) == (
        "The layer fc1 has 99 % of the network's 16,543,482 weights, since each of its 1,000 outputs reads all 16,384 "
        f"values before it: take {mend}.",
        "The network has 16,543,482 weights, 827,174 for each of the 20 training images, and can learn them all by "
        "heart: the same mends that, or more images.",
    )
    assert grave(RecipeOptions("small", network="report_gap").make(photos), photos) == ()
    told = Told()
    prepared = prepare(photos, large, Protocol(0), Execution("cpu", "float32"), told)
    # Said once, before a step, and kept with the images.
    assert [sentence for sentence in told.sentences if "by heart" in sentence] == [prepared.data.notes[-1]]
    assert prepared.data.notes[-2:] == grave(large, photos)


def test_nothing_is_said_of_digits_and_of_the_reference_study(digits: ImageSet) -> None:
    assert grave(RecipeOptions("auto").make(digits), digits) == ()
    costs = trace_network(load_preset("report"), (3, 32, 32), 10)
    assert grave_notes(costs, 45_000) == ()


def test_a_step_that_needs_more_memory_than_there_is(photos: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory_of", lambda _: 0.2)
    monkeypatch.setattr(module, "count_at_a_time", lambda how, *_: 4 if how.workers == "auto" else how.workers)
    recipe = RecipeOptions("small", network="report_gap").make(photos)
    (note,) = grave(recipe, photos)
    found = re.fullmatch(
        r"A training step takes about 0\.1 GB, and 4 trials at a time (0\.[345]) GB, and there are 0\.2 GB of memory: "
        r"take `workers=1` or `batch_size=(5|2)` or `size=64`\.",
        note,
    )
    assert found is not None, note
    assert grave(recipe, photos, workers=1) == ()
    monkeypatch.setattr(module, "memory_of", lambda _: 0.08)
    (alone,) = grave(recipe, photos, workers=1)
    assert "trials at a time" not in alone
    assert "`workers=1`" not in alone, "which would change nothing"
    assert "take `batch_size=" in alone
    (together,) = grave(recipe, photos)
    assert "`workers=1`" not in together, "since that would not be enough"
    monkeypatch.setattr(module, "memory_of", lambda _: 0.0)  # where the system does not tell
    assert grave(recipe, photos) == ()


def test_memory_that_is_needed_is_in_the_unit_of_that_which_there_is(
    photos: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "memory_of", lambda _: 12.0)  # GB, of 10⁹ bytes, as records have it
    recipe = RecipeOptions("small", network="report_gap").make(photos)
    monkeypatch.setattr(module, "training_memory", lambda *_: 8.5e9)  # above 0.7 of it, as 8.5 GB and not as 7.9 GiB
    (note,) = grave(recipe, photos, workers=1)
    assert note.startswith("A training step takes about 8.5 GB, and there are 12.0 GB of memory: take `batch_size=")
    monkeypatch.setattr(module, "training_memory", lambda *_: 8.3e9)
    assert grave(recipe, photos, workers=1) == ()


@pytest.fixture
def weights_on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Publish made-up weights of mobilenet_v2 on this computer; gives the paths that were asked for."""
    preset, asked = read_preset("mobilenet_v2"), list[str]()
    module = build_network(preset.network, preset.input_shape, preset.classes, Streams(3))
    file = tmp_path / "served" / "made-up.safetensors"
    file.parent.mkdir()
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, file)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(file.parent)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    sha256, size = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size
    url = f"http://127.0.0.1:{server.server_port}/{file.name}"
    here = replace(preset.weights["imagenet"], url=url, sha256=sha256, size=size)
    monkeypatch.setitem(preset.weights, "imagenet", here)
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.long
def test_published_weights_are_fetched_once_and_only_where_that_is_asked_for(
    weights_on_a_server: list[str], tiny_recipe: MakeRecipe, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    images = ImageSet("noise", ("a", "b"), {"train": Split(pixels, np.arange(20) % 2)})
    recipe = tiny_recipe("pretrained", network="mobilenet_v2", epochs=1)
    told, host = Told(), read_preset("mobilenet_v2").weights["imagenet"].published.host
    with pytest.raises(RecipeError, match=r"not on this computer: 14 MB from 127.0.0.1:.*; add `download=True` to"):
        train_model(images, recipe, tmp_path / "first", execution=Execution("cpu", "float32"), callbacks=told)
    assert weights_on_a_server == []
    for _ in range(2):
        prepare(images, recipe, Protocol(), Execution("cpu", "float32", download=True), told)
    assert weights_on_a_server == ["/made-up.safetensors"]
    assert [sentence for sentence in told.sentences if "made-up" in sentence] == [
        f"made-up.safetensors (14 MB from {host}) is in {tmp_path / 'cache' / 'downloads'}."
    ]
    assert told.fetched[-1][1:] == (told.fetched[-1][2],) * 2
    trained = assemble(recipe, TrainingData(*[images.splits["train"]] * 2, 2), 0, choose_compute("cpu", "float32"))
    theirs = build_network(load_preset("mobilenet_v2"), (3, 224, 224), 1000, Streams(3)).state_dict()
    assert torch.equal(trained.trained.state_dict()["conv1.weight"], theirs["conv1.weight"])


def test_what_a_server_gives_instead_of_the_weights_is_not_kept(
    weights_on_a_server: list[str], tiny_recipe: MakeRecipe, digits: ImageSet, tmp_path: Path
) -> None:
    with (tmp_path / "served" / "made-up.safetensors").open("r+b") as file:
        file.seek(5000)
        file.write(b"another")
    recipe = tiny_recipe("pretrained", network="mobilenet_v2", epochs=1)
    with pytest.raises(DataError, match=r"it gave a file with SHA-256 .* which was removed"):
        prepare(digits, recipe, Protocol(), Execution("cpu", "float32", download=True), Callbacks())
    assert [path.name for path in (tmp_path / "cache" / "downloads").iterdir() if path.suffix != ".lock"] == []


@pytest.fixture
def among(digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """Images that were read from pets/, one of whose classes is a link; pets/ is the current folder."""
    for folder in ("pets/dog", "elsewhere/cats"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pets" / "cat").symlink_to(tmp_path / "elsewhere" / "cats")
    monkeypatch.chdir(tmp_path / "pets")
    return replace(digits, folders=(tmp_path / "pets", tmp_path / "elsewhere" / "cats"))


USUAL = Path("studies") / "pets-ladder"


@pytest.mark.parametrize("out", [".", "", "dog", "dog/study", "results", "../pets", "cat/study", "../elsewhere/cats"])
def test_results_among_the_images_are_refused(among: ImageSet, out: str) -> None:
    with pytest.raises(StudyError, match=r"`out` is .*(is the folder of|lies among) the images.*; choose a"):
        refuse_among_images(Path(out), among, USUAL)


@pytest.mark.parametrize("out", [USUAL, "studies/mine", "../results", "../elsewhere/study", "../pets-ladder"])
def test_the_usual_place_and_those_outside_are_taken(among: ImageSet, out: str) -> None:
    refuse_among_images(Path(out), among, USUAL)


def test_a_link_that_leads_among_the_images_is_refused(among: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "pets" / "dog")
    with pytest.raises(StudyError, match="lies among the images"):
        refuse_among_images(tmp_path / "out" / "study", among, USUAL)


def test_images_of_no_folder_are_nowhere(digits: ImageSet) -> None:
    refuse_among_images(Path(), digits, USUAL)


def test_no_seed_draws_the_splits_of_the_protocol_itself(digits: ImageSet) -> None:
    own = make_splits(digits, 0.1)
    for seed in range(3):
        drawn = draw_splits(digits, Protocol(), own, seed)
        assert drawn.test.fingerprint != own.test.fingerprint
        assert len(drawn.test) == len(own.test)


def test_copies_are_dropped_from_the_splits_that_a_seed_draws_as_well() -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    labels = np.tile(np.arange(60, dtype=np.int64) % 2, 2)
    twins = ImageSet("twins", ("a", "b"), {"train": Split(np.concatenate([pictures, pictures]), labels)})
    own = make_splits(twins, 0.1)  # which does not draw copies together, so that a seed does not either
    kept, dropped = (draw_splits(twins, Protocol(drop_leaks=drop), own, 0) for drop in (False, True))
    assert check_leaks(kept, twins.class_names)[1].shared > 5
    assert check_leaks(dropped, twins.class_names)[1].clean
    assert dropped.test.fingerprint == kept.test.fingerprint, "no test image is touched"
