"""Every reader of bytes that we did not write, and valid files to begin from: one table."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from benchmarks.fuzz.mutate import Form
from stepladder.baselines.bag_of_words import load_bag
from stepladder.datasets import ImageSet, Split, load_image_set
from stepladder.datasets.archive_lists import FOLDER, keep_list, kept_list
from stepladder.datasets.cache import FEWEST_IMAGES, VARIABLE, Decoded, decode_once
from stepladder.datasets.decode import FORMATS, decode_image
from stepladder.datasets.plain_pickle import read_plain_pickle
from stepladder.errors import StepladderError
from stepladder.files import json_text
from stepladder.model import load_model
from stepladder.model.limits import Limits, read_limits, write_limits
from stepladder.model.onnx_file import INPUT, METADATA, OUTPUT, OnnxModel
from stepladder.model.training_images import TrainingImages, read_training_images, write_training_images
from stepladder.model.unlikeness import Looks, Unlikeness, read_unlikeness, write_unlikeness
from stepladder.network import find_network, trace_network
from stepladder.recipe import load_recipe
from stepladder.report.markdown import render_markdown
from stepladder.report.sections import CURVE_SECTIONS, STUDY_SECTIONS, SWEEP_SECTIONS
from stepladder.report.sections.data import DataSection
from stepladder.report.sections.gallery import GallerySection
from stepladder.report.write import derived_documents, study_head
from stepladder.studies.bag_of_words import BagOptions, run_bag_of_words
from stepladder.studies.check import check_document, check_study
from stepladder.studies.design.rungs import read_study_file
from stepladder.studies.files import ledger
from stepladder.studies.files.bag_files import load_bag_folder
from stepladder.studies.files.checksums import find_changed_files, find_changed_of, noted_files
from stepladder.studies.files.gallery import read_gallery
from stepladder.studies.files.images import read_labels
from stepladder.studies.files.store import find_damaged, load_study, read_record
from stepladder.studies.findings import Findings, find_uneven, to_document, work_out
from stepladder.studies.judging.learning import judge_learning
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings
from stepladder.training.checkpoint import Checkpoints
from stepladder.training.snapshot import Snapshot

REPOSITORY = Path(__file__).parents[2]
_STUDIES = REPOSITORY / "tests" / "studies" / "schemas"


@dataclass(frozen=True)
class Prepared:
    """A reader with valid files.

    Attributes:
        seeds: at least one.
        read: reads a file with such content; raises one of our own errors where it is damaged.
        tokens: signs that mean something in the format.
    """

    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    tokens: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Target:
    """A reader of bytes that we did not write.

    Attributes:
        prepare: makes its files in an empty folder.
        form: what a file is made of.
        extra: the optional dependency that it needs.
    """

    prepare: Callable[[Path], Prepared]
    form: Form = "bytes"
    extra: str = ""


def _put(path: Path, read: Callable[[], object], content: bytes) -> object:
    path.write_bytes(content)
    return read()


def _image(fmt: str, number: int = 0, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(target, fmt, **({"compression": "tiff_lzw"} if fmt == "TIFF" else {}))
    return target.getvalue()


def _pixels() -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 5), dtype=np.uint8)
    return images, np.arange(9, dtype=np.uint8) % 3


def _idx_bytes(values: np.ndarray) -> bytes:
    return struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def _images(_folder: Path) -> Prepared:
    seeds = [_image(fmt) for fmt in FORMATS] + [_image("PNG", mode=mode) for mode in ("L", "P", "1", "RGBA")]
    return Prepared(tuple(seeds), decode_image)


def _npz(folder: Path) -> Prepared:
    images, labels = _pixels()
    seeds = []
    for save in (np.savez, np.savez_compressed):
        for pixels in (images, (images / 255).astype(np.float32)):
            target = io.BytesIO()
            save(target, x_train=pixels, y_train=labels, x_test=pixels[:3], y_test=labels[:3])
            seeds.append(target.getvalue())
    path = folder / "images.npz"
    tokens = (b"\x93NUMPY", b"|O", b"<f8", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06")
    return Prepared(tuple(seeds), partial(_put, path, lambda: load_image_set(str(path))), tokens)


def _idx(folder: Path, pack: Callable[[bytes], bytes] = bytes, end: str = "") -> Prepared:
    images, labels = _pixels()
    (folder / f"train-labels-idx1-ubyte{end}").write_bytes(pack(_idx_bytes(labels)))
    path = folder / f"train-images-idx3-ubyte{end}"
    return Prepared((pack(_idx_bytes(images)),), partial(_put, path, lambda: load_image_set(str(folder))))


def _cifar(_folder: Path) -> Prepared:
    data = np.random.default_rng(0).integers(0, 256, (2, 48), dtype=np.uint8)
    seeds = tuple(pickle.dumps({"labels": [1, 300], "names": ["a", "b"], "data": data}, kind) for kind in (3, 4))

    def read(content: bytes) -> object:
        return read_plain_pickle(io.BufferedReader(io.BytesIO(content)), len(content), np.empty(96, np.uint8))

    return Prepared(seeds, read, (b"cos\nsystem\n", b"R", b"(t", b"q\x00", b"h\x00", b"\x93", b"b.", b"\x85", b"]"))


def _tar(folder: Path) -> Prepared:
    seeds = []
    for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w", format=form) as archive:
            for number in range(4):
                name = ("long/" * 30 if form != tarfile.USTAR_FORMAT else "") + f"{number}"
                for end, body in (("png", _image("PNG", number)), ("cls", b"%d" % (number % 2))):
                    member = tarfile.TarInfo(f"{name}.{end}")
                    member.size = len(body)
                    archive.addfile(member, io.BytesIO(body))
        seeds.append(target.getvalue())
    path = folder / "images.tar"
    return Prepared(tuple(seeds), partial(_put, path, lambda: load_image_set(str(path))), (b"cls", b"json", b"png"))


def _parquet(folder: Path) -> Prepared:
    contents = [_image("PNG", number) for number in range(6)]
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    table = pa.table({"img": [{"bytes": content, "path": None} for content in contents], "label": [0, 1] * 3})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    seeds = []
    for packed in ("none", "zstd", "snappy"):
        target = io.BytesIO()
        pq.write_table(table, target, compression=packed)
        seeds.append(target.getvalue())
    path = folder / "images.parquet"
    return Prepared(tuple(seeds), partial(_put, path, lambda: load_image_set(str(path))), (b"PAR1", b"huggingface"))


def _table(folder: Path) -> Prepared:
    rows = [["path", "label", "split", "group"]]
    for number in range(6):
        (folder / f"{number}.png").write_bytes(_image("PNG", number))
        rows.append([f"{number}.png", ("cat", "dog")[number % 2], ("train", "test")[number > 3], f"g{number}"])
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path = folder / "labels.csv"
    read = partial(_put, path, lambda: load_image_set(str(path)))
    return Prepared((text.getvalue().encode(), text.getvalue().replace(",", ";").encode()), read)


def _json_table(folder: Path) -> Prepared:
    """COCO's annotations, records, and a mapping of paths."""
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(_image("PNG", number))
    labels = [("cat", "dog")[number % 2] for number in range(6)]
    coco = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"id": number, "image_id": number, "category_id": number % 2} for number in range(6)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    records = [{"file": name, "label": label} for name, label in zip(names, labels, strict=True)]
    mapping = dict(zip(names, labels, strict=True))
    path = folder / "labels.json"
    seeds = tuple(json.dumps(one).encode() for one in (coco, records, mapping))
    return Prepared(seeds, partial(_put, path, lambda: load_image_set(str(path))), (b"image_id", b"categories", b"[{"))


def _archive(folder: Path, name: str = "pets.zip") -> Prepared:
    """Class folders in a zip or tar; what has to be unpacked goes with the folder."""
    os.environ[VARIABLE] = str(folder / "cache")
    seeds = []
    files = {f"pets/{('cat', 'dog')[number % 2]}/{number}.png": _image("PNG", number) for number in range(6)}
    for packed in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if name.endswith(".zip") else ():
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", packed) as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        seeds.append(target.getvalue())
    for form in () if seeds else (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w", format=form) as tar:
            for file, content in files.items():
                member = tarfile.TarInfo(file)
                member.size, member.mtime = len(content), 0.5 if form == tarfile.PAX_FORMAT else 0
                tar.addfile(member, io.BytesIO(content))
        seeds.append(target.getvalue() if name.endswith(".tar") else gzip.compress(target.getvalue(), mtime=0))
    path = folder / name
    tokens = (b"../", b"/etc/", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"pets/cat/")

    def look() -> None:
        try:
            load_image_set(str(path))
        finally:
            shutil.rmtree(folder / "cache", ignore_errors=True)

    return Prepared(tuple(seeds), partial(_put, path, look), tokens)


def _dicom(_folder: Path) -> Prepared:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    seeds = []
    for kind, bits in (("MONOCHROME1", 12), ("MONOCHROME2", 16)):
        scan = Dataset()
        scan.SOPClassUID, scan.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=[kind])
        scan.Rows, scan.Columns, scan.SamplesPerPixel, scan.PhotometricInterpretation = 8, 8, 1, kind
        scan.BitsAllocated, scan.BitsStored, scan.HighBit, scan.PixelRepresentation = 16, bits, bits - 1, 0
        scan.RescaleSlope, scan.RescaleIntercept = 2, -1024
        scan.WindowCenter, scan.WindowWidth, scan.PatientID = 40, 400, "patient"
        scan.PixelData = np.arange(0, 4096, 64, dtype=np.uint16).tobytes()
        scan.file_meta = FileMetaDataset()
        scan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        scan.file_meta.MediaStorageSOPClassUID = CTImageStorage
        scan.file_meta.MediaStorageSOPInstanceUID = scan.SOPInstanceUID
        written = io.BytesIO()
        scan.save_as(written, enforce_file_format=True)
        seeds.append(written.getvalue())
    return Prepared(tuple(seeds), decode_image, (b"US", b"DS", b"OW", b"\xff\xff\xff\xff", b"DICM"))


def _limits(_folder: Path) -> Prepared:
    folder = _folder / "model"
    folder.mkdir()
    probabilities = np.random.default_rng(0).dirichlet([0.1, 0.1], 60).astype(np.float32)
    write_limits(folder, Limits.of(probabilities, probabilities.argmax(axis=1)))
    path = folder / "limits.json"
    return Prepared((path.read_bytes(),), partial(_put, path, lambda: read_limits(folder)), (b"1e400", b"NaN", b"[]"))


def _unlikeness(_folder: Path) -> Prepared:
    folder = _folder / "model"
    folder.mkdir()
    looks = Looks(np.zeros(4, np.float32), np.eye(4, dtype=np.float32), 0.5)
    write_unlikeness(folder, Unlikeness(np.zeros(6, np.float32), np.eye(6, 2, dtype=np.float32), 1.5, -0.5, looks))
    path = folder / "unlikeness.safetensors"
    return Prepared((path.read_bytes(),), partial(_put, path, lambda: read_unlikeness(folder)))


def _trained_on(_folder: Path) -> Prepared:
    folder = _folder / "model"
    folder.mkdir()
    images, labels = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8), np.arange(6) % 2
    write_training_images(folder, TrainingImages.of(Split(images, labels.astype(np.int64)), "digits", "0" * 64, 2))
    path = folder / "trained-on.json"
    return Prepared((path.read_bytes(),), partial(_put, path, lambda: read_training_images(folder)))


def _look_at_study(study: Path) -> None:
    """Read all that ``check``, ``study`` or ``report`` does: one of the three, by what is in the files."""

    def report() -> None:
        findings = work_out(load_study(study))
        json_text(derived_documents(findings))
        match findings:
            case Findings():
                render_markdown(findings, STUDY_SECTIONS, study_head(findings))
            case SweepFindings():
                render_markdown(findings, SWEEP_SECTIONS, study_head(findings))
            case CurveFindings():
                render_markdown(findings, CURVE_SECTIONS, study_head(findings))

    def damaged() -> None:
        if (record := read_record(study)) is not None:
            find_damaged(study, record)

    files = (study / "study.json", *sorted(study.glob("trials/*/[hr]*")), study / "test-readings.json")
    digest = zlib.crc32(b"".join(path.read_bytes() for path in files))
    (report, report, damaged, lambda: check_study(study))[digest % 4]()


def _study(folder: Path, name: str, older: bool = False, tokens: tuple[bytes, ...] = ()) -> Prepared:
    """A file of a study, ``*`` standing for one of its trials."""
    study = Path(shutil.copytree(_STUDIES / "4", folder / "study"))
    path = min(study.glob(name))
    seeds = [path.read_bytes()]
    if older:
        seeds += [(_STUDIES / version / name).read_bytes() for version in ("2", "3")]
    return Prepared(tuple(seeds), partial(_put, path, lambda: _look_at_study(study)), tokens)


def _checksums(folder: Path) -> Prepared:
    study = Path(shutil.copytree(_STUDIES / "4", folder / "study"))
    trial = min(study.glob("trials/*"))
    path = trial / "checksums.txt"
    read = partial(_put, path, lambda: (find_changed_files(trial), find_changed_of(trial), noted_files(trial)))
    return Prepared((path.read_bytes(),), read, (b"  /dev/zero\n", b"0" * 64, b"  ../study.json\n", b"  model\n"))


def _gallery(folder: Path) -> Prepared:
    study = Path(shutil.copytree(_STUDIES / "4", folder / "study"))
    findings = work_out(load_study(study))
    assert isinstance(findings, Findings)
    names = findings.study.record.data.class_names

    def look() -> None:
        shown = replace(findings, gallery=read_gallery(study, len(names)))
        for section in (GallerySection(), DataSection()):
            section.html(shown)

    return Prepared(((study / "gallery.json").read_bytes(),), partial(_put, study / "gallery.json", look))


def _labels(folder: Path) -> Prepared:
    study = Path(shutil.copytree(_STUDIES / "4", folder / "study"))
    saved = load_study(study)

    def look() -> None:
        if read_labels(study, saved.record.data):
            find_uneven(saved)
            judge_learning(saved)

    return Prepared(((study / "images.safetensors").read_bytes(),), partial(_put, study / "images.safetensors", look))


def _verdicts(folder: Path) -> Prepared:
    study = Path(shutil.copytree(_STUDIES / "4", folder / "study"))
    findings = work_out(load_study(study))
    assert isinstance(findings, Findings)
    expected = to_document(findings)
    seeds = tuple((_STUDIES / version / "verdicts.json").read_bytes() for version in ("3", "4"))
    path = study / "verdicts.json"
    return Prepared(seeds, partial(_put, path, lambda: check_document(study, "verdicts.json", expected)))


def _model(folder: Path, name: str) -> Prepared:
    model = Path(shutil.copytree(min((_STUDIES / "4").glob("trials/*/model")), folder / "model"))
    path = model / name
    return Prepared((path.read_bytes(),), partial(_put, path, lambda: load_model(model)))


def _bag(folder: Path, name: str) -> Prepared:
    out = folder / "bag"
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    split = Split(images, np.arange(60, dtype=np.int64) % 2)
    image_set = ImageSet(name="noise", class_names=("cat", "dog"), splits={"train": split, "test": split.first(20)})
    run_bag_of_words(image_set, out, options=BagOptions(words=8), seeds=1)
    path = out / name

    def look() -> None:
        with suppress(StepladderError):
            load_bag(out / "seeds/0/model.safetensors")
        load_bag_folder(out)
        load_bag(out / "seeds/0/model.safetensors")

    return Prepared((path.read_bytes(),), partial(_put, path, look))


def _checkpoint(folder: Path, name: str) -> Prepared:
    identity = {"trial": "0123456789abcdef"}
    checkpoints = Checkpoints(folder / "checkpoint", identity)
    values = {"place": {"epoch": 1}, "history": "epoch\n0\n", "optimizer": {}, "strides": {"module/a": [1, 2]}}
    tensors = {"module/a": torch.arange(6.0).reshape(2, 3), "stream/order": torch.zeros(4, dtype=torch.uint8)}
    checkpoints.save(7, Snapshot(tensors, values), {"threads": "1"})
    place = folder / "checkpoint" / "00000007"
    whole = {one: (place / one).read_bytes() for one in ("tensors.safetensors", "state.json")}

    def read(content: bytes) -> object:
        contents = whole | {name: content}
        for one, inside in contents.items():
            (place / one).write_bytes(inside)
        if name != "complete.json":  # or nothing but its checksum would be looked at
            told = {one: hashlib.sha256(inside).hexdigest() for one, inside in contents.items()}
            (place / "complete.json").write_text(json.dumps(told))
        return Checkpoints(folder / "checkpoint", identity).load({"threads": "1"})

    return Prepared(((place / name).read_bytes(),), read)


def _recipe(folder: Path) -> Prepared:
    paths = [*sorted((REPOSITORY / "src/stepladder/recipes").glob("*.toml")), REPOSITORY / "docs/every-technique.toml"]
    seeds = [content for path in paths if b"[[rungs]]" not in (content := path.read_bytes())]
    path = folder / "recipe.toml"
    tokens = (b"inf", b"nan", b"[[", b"]]", b"techniques", b"base = ", b'"report"', b"1979-05-27", b"0x1F", b'"""')
    return Prepared(tuple(seeds), partial(_put, path, lambda: load_recipe(str(path))), tokens)


def _study_file(folder: Path) -> Prepared:
    seed = b"""recipe = "small"
set = { epochs = 10, optimizer = { lr = 0.1 } }

[[rungs]]
name = "base"
techniques = []

[[rungs]]
name = "mixup"
adds = [{ name = "mixup", alpha = 0.4 }, "cosine_lr"]
"""
    path = folder / "rungs.toml"
    return Prepared((seed,), partial(_put, path, lambda: read_study_file(path)), (b"inf", b"[[rungs]]", b"{", b"}"))


def _network_file(folder: Path) -> Prepared:
    seeds = [path.read_bytes() for path in sorted((REPOSITORY / "src/stepladder/network/presets").glob("*.toml"))]
    path = folder / "network.toml"
    read = partial(_put, path, lambda: _look_at_network(str(path)))
    return Prepared(tuple(seed for seed in seeds if len(seed) < 20_000), read, (b"layers", b"[[layers]]", b"line = "))


def _look_at_network(text: str) -> object:
    return trace_network(find_network(text, run_code=False).network, (3, 32, 32), 10)


def _network_line(_folder: Path) -> Prepared:
    seeds = (
        b"conv5-32 pool2 conv5-64 pool2 fc1000 fc",
        b"conv3-4 bn relu res(conv3-4 bn relu conv3-4) gap fc",
        b"conv3-16 bn res(conv3-16 bn relu conv3-16 bn) pool2 drop0.5 fc100 fc",
        b"conv3-8 gn4 silu avgpool2 flatten fc10",
    )
    tokens = (b"(", b")", b"*", b"x", b"/2", b"conv", b"res(", b"999999999", b"-1", b"0", b"1e9", b"  ", b":", b"=")
    return Prepared(seeds, lambda content: _look_at_network(content.decode(errors="replace")), tokens)


def _onnx(_folder: Path) -> Prepared:
    from onnx import TensorProto, helper, numpy_helper

    facts = {"file_version": 1, "class_names": ["cat", "dog"], "image_shape": [4, 4, 3], "calibrated": True}
    weights = numpy_helper.from_array(np.ones((3, 2), np.float32), "weights")
    nodes = [
        helper.make_node("Cast", [INPUT], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [OUTPUT], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", 4, 4, 3])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 2])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {METADATA: json.dumps(facts)})
    images = np.zeros((2, 4, 4, 3), np.uint8)
    return Prepared(
        (model.SerializeToString(),),
        lambda content: OnnxModel(content, "model.onnx").probabilities(images),
        (b"MatMul", b"Cast", b"batch", b"class_names", b"[9000000000,"),
    )


def _cache(folder: Path) -> Prepared:
    os.environ[VARIABLE] = str(folder / "cache")
    truth = np.random.default_rng(0).integers(0, 256, (FEWEST_IMAGES, 2, 2, 1), dtype=np.uint8)

    def decode(allocate: Callable[[tuple[int, ...]], np.ndarray]) -> Decoded:
        pixels = allocate(truth.shape)
        pixels[...] = truth
        return Decoded(pixels, {"notes": ["a"], "shape": [2, 2]})

    def look() -> None:
        found = decode_once("images", len(truth), decode)
        assert np.array_equal(found.pixels, truth), "the cache gave other images than there are"
        assert found.facts == {"notes": ["a"], "shape": [2, 2]}

    look()
    (path,) = (folder / "cache").rglob("images.json")
    return Prepared((path.read_bytes(),), partial(_put, path, look), (b"crc32", b"shape", b"facts"))


def _archive_list(folder: Path) -> Prepared:
    """What the cache says an archive holds, whose checksum whoever writes there can work out anew."""
    os.environ[VARIABLE] = str(folder / "cache")
    names = [f"{number}.png" for number in range(FEWEST_IMAGES)]
    truth = {"": (["cat", "dog"], [FOLDER, FOLDER]), "cat": (names, [7] * len(names)), "dog": ([], [])}
    archive = folder / "pets.zip"
    keep_list("pets", truth)
    (path,) = (folder / "cache").rglob("pets.list")
    body = path.read_bytes().partition(b"\n")[2]

    def read(content: bytes) -> object:
        path.write_bytes(f"{zlib.crc32(content):08x}\n".encode() + content)
        found = kept_list("pets", archive)
        assert found is None or all("/" not in name for names, _ in found.values() for name in names)
        return found

    return Prepared((body,), read, (b"..", b"-1", b"cat", b"/", b"\\\\"))


def _ledger(folder: Path) -> Prepared:
    os.environ[ledger.VARIABLE] = str(folder / "state")
    images, labels = np.zeros((4, 2, 2, 1), np.uint8), np.arange(4, dtype=np.int64) % 2
    plan = ledger.PlanRead("0" * 64, "ladder", "digits", "/studies/digits", "2026-01-31T12:00:00+00:00")
    ledger.note_reading(Split(images, labels), plan)
    (path,) = (folder / "state").rglob("*.json")
    return Prepared((path.read_bytes(),), partial(_put, path, ledger.past_readings))


#: Every reader, by name. What it reads comes from other people's folders, from the network, or from a disk that errs.
TARGETS: dict[str, Target] = {
    "images": Target(_images),
    "npz": Target(_npz, "zip"),
    "idx": Target(_idx),
    "idx-gz": Target(partial(_idx, pack=partial(gzip.compress, mtime=0), end=".gz"), "gzip"),
    "cifar-pickle": Target(_cifar),
    "tar": Target(_tar, "tar"),
    "parquet": Target(_parquet),
    "csv-table": Target(_table, "lines"),
    "json-table": Target(_json_table, "json"),
    "zip": Target(_archive, "zip"),
    "zip-directory": Target(_archive),
    "tar-folders": Target(partial(_archive, name="pets.tar"), "tar"),
    "tgz-folders": Target(partial(_archive, name="pets.tgz"), "gzip"),
    "dicom": Target(_dicom, extra="pydicom"),
    "cache-facts": Target(_cache, "json"),
    "archive-list": Target(_archive_list, "json"),
    "study.json": Target(partial(_study, name="study.json", older=True), "json"),
    "result.json": Target(partial(_study, name="trials/*/result.json"), "json"),
    "history.csv": Target(partial(_study, name="trials/*/history.csv", tokens=(b"nan", b"1e400", b"0x1")), "lines"),
    "checksums.txt": Target(_checksums, "lines"),
    "test-readings.json": Target(partial(_study, name="test-readings.json", older=True), "json"),
    "gallery.json": Target(_gallery, "json"),
    "images.safetensors": Target(_labels, "safetensors"),
    "predictions.safetensors": Target(partial(_study, name="trials/*/predictions.safetensors"), "safetensors"),
    "verdicts.json": Target(_verdicts, "json"),
    "bag-of-words.json": Target(partial(_bag, name="bag-of-words.json"), "json"),
    "bag-result.json": Target(partial(_bag, name="seeds/0/result.json"), "json"),
    "bag-model.safetensors": Target(partial(_bag, name="seeds/0/model.safetensors"), "safetensors"),
    "checkpoint-state.json": Target(partial(_checkpoint, name="state.json"), "json"),
    "checkpoint-complete.json": Target(partial(_checkpoint, name="complete.json"), "json"),
    "checkpoint-tensors": Target(partial(_checkpoint, name="tensors.safetensors"), "safetensors"),
    "config.json": Target(partial(_model, name="config.json"), "json"),
    "model.safetensors": Target(partial(_model, name="model.safetensors"), "safetensors"),
    "limits.json": Target(_limits, "json"),
    "unlikeness.safetensors": Target(_unlikeness, "safetensors"),
    "trained-on.json": Target(_trained_on, "json"),
    "onnx": Target(_onnx, extra="onnxruntime"),
    "recipe.toml": Target(_recipe, "lines"),
    "study-file.toml": Target(_study_file, "lines"),
    "network.toml": Target(_network_file, "lines"),
    "network-line": Target(_network_line),
    "readings-ledger": Target(_ledger, "json"),
}
