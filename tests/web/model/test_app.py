"""A served model over real HTTP: it says what ``predict`` says, and refuses the rest in one sentence."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import stepladder as sl
from stepladder.errors import StudyError
from stepladder.web import Access, ModelLimits, model_app
from stepladder.web.model import explanations
from stepladder.web.model.app import ModelApp
from tests.terminal import Terminal
from tests.web.model.conftest import as_base64, as_png
from tests.web.served import Served, served


def post(server: Served, path: str, **more: Any) -> httpx.Response:
    return httpx.post(server.base + path, timeout=60, **more)


def refusal(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert list(document) == ["error"]
    sentence = str(document["error"])
    assert "Traceback" not in sentence
    assert "\n" not in sentence
    return sentence


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, pictures: list[bytes]) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for number, content in enumerate(pictures):
        (folder / f"{number}.png").write_bytes(content)
    return sorted(folder.iterdir())


@pytest.mark.long
def test_it_says_what_predict_says(server: Served, model_folder: Path, files: list[Path], stepladder: Any) -> None:
    asked = ("--top", "10", "--abstain", "0.2", "--sets", "0.9", "--unlike", "--json")
    printed = json.loads(stepladder("predict", str(model_folder), *map(str, files), *asked).out)
    form = [("images", (path.name, path.read_bytes(), "image/png")) for path in files]
    answer = post(server, "/predict?top=10&abstain=0.2&sets=0.9", files=form)
    assert answer.status_code == 200
    found = answer.json()
    assert [one["name"] for one in found["images"]] == [path.name for path in files]
    assert found["calibrated"] == printed["calibrated"]
    assert (found["abstain"], found["sets"]) == (printed["abstain"], printed["sets"])
    for ours, theirs in zip(found["images"], printed["images"], strict=True):
        assert [one["class"] for one in ours["top"]] == [one["class"] for one in theirs["top"]]
        expected = [one["probability"] for one in theirs["top"]]
        assert [one["probability"] for one in ours["top"]] == pytest.approx(expected, abs=1e-5)
        assert ours["unlikeness"] == pytest.approx(theirs["unlikeness"], abs=1e-3)
        same = ("answered", "set", "unlike")
        assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}


def test_a_form_json_and_the_bytes_are_answered_alike(server: Served, pictures: list[bytes]) -> None:
    (one, *_), encoded = pictures, [as_base64(content) for content in pictures]
    plain = post(server, "/predict", content=one, headers={"Content-Type": "image/png"}).json()["images"]
    as_bytes = post(server, "/predict", content=one, headers={"Content-Type": "application/octet-stream"})
    assert as_bytes.json()["images"] == plain
    assert post(server, "/predict", json={"image": encoded[0]}).json()["images"] == plain
    assert post(server, "/predict", json={"images": [f"data:image/png;base64,{encoded[0]}"]}).json()["images"] == plain
    many = post(server, "/predict", json={"images": encoded}).json()["images"]
    formed = post(server, "/predict", files=[("x", ("a.png", content)) for content in pictures]).json()["images"]
    assert [one["top"] for one in many] == [one["top"] for one in formed]
    assert len(many) == len(pictures)
    assert "name" not in many[0]
    assert [len(one["top"]) for one in many] == [3] * len(pictures)


def test_only_what_is_asked_for_is_told(server: Served, pictures: list[bytes]) -> None:
    told = post(server, "/predict?top=1&unlike=false", content=pictures[0], headers={"Content-Type": "image/png"})
    assert set(told.json()) == {"model", "calibrated", "images"}
    assert set(told.json()["images"][0]) == {"top"}
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    strange = post(server, "/predict", content=as_png(photo), headers={"Content-Type": "image/png"}).json()["images"][0]
    assert strange["unlike"] is (strange["unlikeness"] > 0) is True


@pytest.mark.parametrize("more", [0, 4])  # few are decoded one by one, many in threads
def test_an_image_that_cannot_be_read_has_its_reason_and_the_others_their_answers(
    server: Served, pictures: list[bytes], more: int
) -> None:
    alone = post(server, "/predict", content=pictures[0], headers=IMAGE).json()["images"][0]
    sound = [("i", ("good.png", pictures[0]))]
    files = [("i", ("bad.png", b"no image")), *sound, ("i", ("large.png", bomb(60_000, 60_000))), *more * sound]
    answer = post(server, "/predict?abstain=0.2", files=files)
    assert answer.status_code == 200
    bad, good, large, *others = answer.json()["images"]
    assert set(bad) == {"name", "error"}
    assert bad["name"] == "bad.png"
    assert bad["error"].startswith("no image that can be read")
    assert "more than 50 megapixels" in large["error"]
    for one in (good, *others):
        assert one["name"] == "good.png"
        assert [top["class"] for top in one["top"]] == [top["class"] for top in alone["top"]]
        assert one["top"][0]["probability"] == pytest.approx(alone["top"][0]["probability"], abs=1e-5)
    told = post(server, "/predict", json={"images": [as_base64(pictures[0]), "no base64!"]}).json()["images"]
    assert told[0]["top"][0]["class"] == alone["top"][0]["class"]
    assert told[1] == {"error": "it is no base64; encode the bytes of the file"}


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes whose header says that it has as many pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9)) + chunk(b"IEND", b"")


IMAGE = {"Content-Type": "image/jpeg"}
FORM = {"Content-Type": "multipart/form-data; boundary=B"}
PART = b'--B\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "more", "status", "words"),
    [
        ("/predict", {"content": b"", "headers": IMAGE}, 422, "there is no image in the body"),
        ("/predict", {"content": b"no image", "headers": IMAGE}, 422, "image 1: no image that can be read"),
        ("/predict", {"content": b"\xff\xd8\xff\xe0 half a JPEG", "headers": IMAGE}, 422, "image 1: "),
        ("/predict", {"content": bomb(60_000, 60_000), "headers": IMAGE}, 422, "more than 50 megapixels"),
        ("/predict", {"content": bomb(2**31 - 1, 2**31 - 1), "headers": IMAGE}, 422, "image 1: "),
        ("/predict", {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "the body is text/plain; send"),
        ("/predict", {"content": b"x"}, 415, "the body is of no kind that is said; send"),
        ("/predict", {"content": b"x", "headers": {"Content-Type": "image"}}, 415, "send images as a form"),
        ("/predict", {"json": {}}, 422, 'the JSON needs one of both: "image", or "images"'),
        ("/predict", {"json": {"image": "AA==", "images": ["AA=="]}}, 422, "the JSON needs one of both"),
        ("/predict", {"json": {"images": []}}, 422, "images: List should have at least 1 item"),
        ("/predict", {"json": {"pictures": ["AA=="]}}, 422, "pictures: Extra inputs are not permitted"),
        ("/predict", {"json": {"images": ["no base64!", "AA=="]}}, 422, "image 1: it is no base64; encode the bytes"),
        ("/predict", {"files": [("i", ("a.png", b"x")), ("i", ("b", b"y"))]}, 422, "a.png: no image that can be"),
        ("/predict", {"json": {"images": [3]}}, 422, "images.0: Input should be a valid string"),
        ("/predict", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "the JSON is not as"),
        ("/predict", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 422, "the JSON is"),
        ("/predict", {"content": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}, 422, "the JSON is"),
        ("/predict", {"json": {"images": ["AA=="] * 65}}, 413, "more than 64 images; send at most so many"),
        ("/predict", {"files": [("i", ("a", b"x"))] * 65}, 413, "more than 64 images"),
        ("/predict", {"data": {"top": "3"}, "files": [("i", ("a", b"x"))]}, 422, "the form's field 'top' is no file"),
        ("/predict", {"content": PART + b"x", "headers": FORM}, 422, "the form ends too early"),
        ("/predict", {"content": PART + b"x\r\n--B", "headers": FORM}, 422, "the form ends too early"),
        ("/predict", {"content": b"--B\r\nX: y\r\n\r\nx\r\n--B--\r\n", "headers": FORM}, 422, "the form is damaged"),
        ("/predict", {"content": b"--B--\r\n", "headers": FORM}, 422, "there is no image in the body"),
        ("/predict", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 422, "has no boundary"),
        ("/predict?top=0", {"content": b"x"}, 422, "top: input should be greater than or equal to 1"),
        ("/predict?top=x", {"content": b"x"}, 422, "top: input should be a valid integer"),
        ("/predict?abstain=nan", {"content": b"x"}, 422, "abstain: "),
        ("/predict?abstain=0.0001", {"content": b"x"}, 422, "cannot promise so few wrong answers"),
        ("/predict?sets=0.99999", {"content": b"x"}, 422, "too few for it"),
        ("/explain?class=eleven", {"content": as_png(np.zeros((8, 8), np.uint8)), "headers": IMAGE}, 422,
         "unknown class 'eleven'"),
        ("/explain", {"json": {"images": ["AA==", "AA=="]}}, 413, "more than 1 images"),
        ("/explain", {"content": b"no image", "headers": IMAGE}, 422, "image 1: no image that can be read"),
        ("/nowhere", {"content": b"x"}, 404, "there is nothing at this address"),
        ("/predict/", {"content": b"x"}, 404, "there is nothing at this address"),
        ("/healthz", {"content": b"x"}, 405, "POST is not what this address takes"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_gets_one_sentence(
    server: Served, path: str, more: dict[str, Any], status: int, words: str
) -> None:
    assert words in refusal(post(server, path, **more), status)
    assert httpx.get(server.base + "/readyz").status_code == 200


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "a\x1b[2J\u202e.png", "x" * 1000 + ".png", "<script>alert(1)</script>", "\N{FIRE}.png",
     "con", 'a"; filename="b.png', "%00.png", ""],
)  # fmt: skip
def test_hostile_names_go_nowhere(server: Served, pictures: list[bytes], name: str) -> None:
    sound = post(server, "/predict", files={"images": (name, pictures[0])})
    if name:
        assert len(sound.json()["images"][0]["name"]) <= 200
    else:  # a part without a file's name is a field
        assert "is no file" in refusal(sound, 422)
    broken = refusal(post(server, "/predict", files={"images": (name or "a", b"no image")}), 422)
    assert not set(broken) & set("\x1b\u202e\x00")


def test_sentences_and_names_are_printable(server: Served) -> None:
    name = "a\x1b[2J\u202e.png".encode()
    part = PART.replace(b"a.png", name)
    sentence = refusal(post(server, "/predict", content=part + b"x\r\n--B--\r\n", headers=FORM), 422)
    assert r"\x1b" in sentence
    assert r"\u202e" in sentence


@pytest.mark.long
def test_no_picture_is_written_or_printed(server: Served, pictures: list[bytes], tmp_path: Path) -> None:
    """Also not for a moment: what a form's parser would put into a file is larger than a megabyte."""
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
    large = as_png(noise)
    assert len(large) > 3_000_000
    files_before = open_files(server)
    before = io_of(server)
    with ThreadPoolExecutor(4) as pool:
        asked = pool.map(
            lambda number: post(server, "/predict", files={"i": (f"secret{number}.png", large)}).status_code, range(8)
        )
        assert list(asked) == [200] * 8
    after = io_of(server)
    assert after - before < 1_000_000, "it has written to a disk"
    assert open_files(server) <= files_before
    assert "secret" not in server.printed.read_text()
    assert "POST /predict" in server.printed.read_text()


def open_files(server: Served) -> set[str]:
    links = set()
    for one in Path(f"/proc/{server.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.add(str(one.readlink()))
    return {link for link in links if not link.startswith("socket:")}


def io_of(server: Served) -> int:
    """Bytes that the process has written to files and anything else but sockets and pipes."""
    lines = dict(line.split(": ") for line in Path(f"/proc/{server.pid}/io").read_text().splitlines())
    return int(lines["write_bytes"])


def test_what_it_is_and_how_it_is(server: Served) -> None:
    about = httpx.get(server.base + "/model").json()
    assert about["name"] == "digits"
    assert about["classes"] == list("0123456789")
    assert about["image_shape"] == [8, 8, 1]
    assert (about["promises"], about["tells_unlikeness"], about["why_unexplained"]) == (True, True, None)
    assert httpx.get(server.base + "/healthz").json() == {"status": "alive"}
    assert httpx.get(server.base + "/readyz").json() == {"status": "ready"}
    assert httpx.head(server.base + "/").status_code == 200


def test_the_counts_are_true(server: Served, pictures: list[bytes]) -> None:
    def counted() -> dict[str, float]:
        answer = httpx.get(server.base + "/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    before = counted()
    post(server, "/predict", files=[("i", ("a.png", content)) for content in pictures])
    post(server, "/predict", content=b"no image", headers=IMAGE)
    httpx.get(server.base + "/made-up/by-somebody")
    after = counted()
    right = 'stepladder_requests_total{method="POST",path="/predict",status="200"}'
    wrong = right.replace("200", "422")
    other = 'stepladder_requests_total{method="GET",path="other",status="404"}'
    assert after[right] - before.get(right, 0) == after[wrong] - before.get(wrong, 0) == 1
    assert after[other] - before.get(other, 0) == 1
    assert after["stepladder_images_total"] - before["stepladder_images_total"] == len(pictures)
    assert after["stepladder_open_requests"] == 1  # this one
    assert after["process_resident_memory_bytes"] > 10_000_000
    assert not [name for name in after if "made-up" in name]
    assert after['stepladder_model_info{model="digits"}'] == 1


def test_the_examples_of_the_schema_are_true(server: Served) -> None:
    schema = httpx.get(server.base + "/openapi.json").json()
    operation = schema["paths"]["/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    promised = operation["responses"]["200"]["content"]["application/json"]["example"]
    answer = post(server, "/predict", json=example).json()
    assert answer["images"][0]["top"] == promised["images"][0]["top"]
    assert {one["class"] for one in promised["images"][0]["top"]} <= set("0123456789")
    assert schema["openapi"].startswith("3.1")
    statuses = {"200", "400", "401", "403", "408", "413", "415", "421", "422", "429", "503"}
    assert set(operation["responses"]) == statuses
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def picture_of(data_url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data_url.removeprefix("data:image/png;base64,"))))


def test_what_speaks_for_a_class_is_drawn(server: Served, pictures: list[bytes], model_folder: Path) -> None:
    told = post(server, "/explain?class=3", content=pictures[0], headers=IMAGE).json()
    assert told["class"] == "3"
    expected = sl.load_model(model_folder, precision="float32").predict(pictures[0]).probabilities[0, 3]
    assert told["probability"] == pytest.approx(float(expected), abs=1e-5)
    seen = picture_of(told["image"])
    assert np.array_equal(np.asarray(seen), np.asarray(Image.open(io.BytesIO(pictures[0]))))
    for name in ("grad_cam", "occlusion"):
        laid = picture_of(told[name])
        assert (laid.mode, laid.size) == ("RGBA", (8, 8))
        assert np.asarray(laid)[:, :, 3].max() == pytest.approx(0.75 * 255, abs=1)


def test_predictions_do_not_wait_for_explanations_of_which_few_wait_at_a_time(
    model_folder: Path, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, asked = threading.Event(), []

    def slowly(model: Any, *_: Any) -> dict[str, Any]:
        asked.append(model.module)
        assert go_on.wait(20)
        return {}

    monkeypatch.setattr(explanations, "explanation_document", slowly)
    classifier = sl.load_model(model_folder)
    guard = model_app(classifier)

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost") as client:

            async def ask(path: str) -> httpx.Response:
                return await client.post(path, content=pictures[0], headers=IMAGE)

            waiting = [asyncio.create_task(ask("/explain")) for _ in range(explanations.MOST_AT_A_TIME)]
            while not asked:
                await asyncio.sleep(0.01)
            assert (await ask("/predict")).status_code == 200
            late = await ask("/explain")
            assert "8 explanations wait already" in refusal(late, 429)
            assert late.headers["retry-after"] == "5"
            assert not any(task.done() for task in waiting)
            go_on.set()
            assert [one.status_code for one in await asyncio.gather(*waiting)] == [200] * len(waiting)
            assert (await ask("/explain")).status_code == 200

    asyncio.run(main())
    assert all(one is asked[0] for one in asked)
    assert asked[0] is not classifier.module, "hooks of an explanation would be set off by other people's images"


def test_many_ask_at_the_same_time_and_each_gets_its_own_answer(
    server: Served, pictures: list[bytes], model_folder: Path
) -> None:
    alone = sl.load_model(model_folder, precision="float32").predict(pictures).probabilities
    with httpx.Client(base_url=server.base, timeout=60) as client, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> tuple[int, float]:
            content = pictures[number % len(pictures)]
            said = client.post("/predict?top=10", content=content, headers=IMAGE).json()["images"][0]["top"]
            return int(said[0]["class"]), said[0]["probability"]

        answers = list(pool.map(ask, range(160)))
    assert len(answers) == 160
    for number, (label, probability) in enumerate(answers):
        expected = alone[number % len(pictures)]
        assert label == expected.argmax()
        assert probability == pytest.approx(float(expected.max()), abs=1e-5)


@pytest.mark.long
def test_an_exported_file_is_served_without_pytorch(
    terminal: Terminal, tmp_path: Path, server: Served, model_folder: Path, pictures: list[bytes], stepladder: Any
) -> None:
    exported = tmp_path / "my digits.onnx"
    assert stepladder("export", str(model_folder), "--out", str(exported)).code == 0
    there = tmp_path / "server"
    with served(terminal, there, "serve", str(exported), "--port", "0", "--max-images", "4", "--quiet") as other:
        assert "my digits (10 classes) is at " in other.printed.read_text()
        ours = post(other, "/predict", files=[("i", ("a", content)) for content in pictures[:4]]).json()["images"]
        theirs = post(server, "/predict", files=[("i", ("a", content)) for content in pictures[:4]]).json()["images"]
        for one, two in zip(ours, theirs, strict=True):
            assert [top["class"] for top in one["top"]] == [top["class"] for top in two["top"]]
            assert one["unlikeness"] == pytest.approx(two["unlikeness"], abs=1e-2)
        assert "more than 4 images" in refusal(post(other, "/predict", json={"images": ["AA=="] * 5}), 413)
        sentence = refusal(post(other, "/explain", content=pictures[0], headers=IMAGE), 422)
        assert "an exported file is closed" in sentence
        assert httpx.get(other.base + "/model").json()["why_unexplained"] == sentence
        assert "POST" not in other.printed.read_text()


def test_with_a_token_everything_but_the_watching_needs_it(
    terminal: Terminal, tmp_path: Path, model_folder: Path, pictures: list[bytes]
) -> None:
    arguments = ("serve", str(model_folder), "--port", "0", "--host", "0.0.0.0", "--max-megabytes", "0.5")
    with served(terminal, tmp_path, *arguments) as running:
        printed = running.printed.read_text()
        assert "?token=" in running.address
        assert "without encryption" in printed
        token = running.address.partition("token=")[2]
        base = f"http://127.0.0.1:{running.port}"
        assert httpx.get(base + "/healthz").status_code == 200
        for path in ("/", "/page.js", "/model", "/metrics", "/openapi.json"):
            assert httpx.get(base + path).status_code == 401
        assert httpx.post(base + "/predict", content=pictures[0], headers=IMAGE).status_code == 401
        allowed = IMAGE | {"Authorization": f"Bearer {token}"}
        assert httpx.post(base + "/predict", content=pictures[0], headers=allowed).status_code == 200
        assert httpx.post(base + "/predict", content=b"x" * 600_000, headers=allowed).status_code == 413
        with httpx.Client(base_url=base) as browser:
            assert browser.get("/", params={"token": token}).status_code == 200
            assert browser.get("/model").json()["name"] == "digits"
        assert token not in running.printed.read_text().partition("Ctrl-C")[2]


def test_any_server_may_run_it(model_folder: Path, pictures: list[bytes]) -> None:
    guard = model_app(model_folder, name="shapes", access=Access(hosts=("shapes.example.org",)))

    async def ask(host: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url=f"http://{host}") as client:
            return await client.post("/predict", content=pictures[0], headers=IMAGE)

    assert asyncio.run(ask("shapes.example.org")).json()["model"] == "shapes"
    assert asyncio.run(ask("localhost")).status_code == 421


def test_few_pixels_may_be_allowed(model_folder: Path, pictures: list[bytes]) -> None:
    guard = model_app(model_folder, limits=ModelLimits(max_pixels=63))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost") as client:
            return await client.post("/predict", content=pictures[0], headers=IMAGE)

    assert refusal(asyncio.run(ask()), 422).startswith("image 1: 8×8 is more than the 63 pixels that are taken")
    with pytest.raises(StudyError, match="`max_batch` is 0; it must be 1 to 10,000"):
        ModelLimits(max_batch=0)


def test_what_takes_too_long_or_too_much_memory_is_said(
    model_folder: Path, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = sl.load_model(model_folder)
    guard = model_app(classifier, limits=ModelLimits(seconds=0.05))

    async def ask(app: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/predict", content=pictures[0], headers=IMAGE)

    def slowly(*_: Any) -> Any:
        time.sleep(0.5)

    def hungrily(*_: Any) -> Any:
        raise MemoryError

    roomy = model_app(classifier)
    monkeypatch.setattr(type(classifier), "with_unlikeness", slowly)
    late = asyncio.run(ask(guard))
    assert "it took longer than 0.05 s" in refusal(late, 503)
    assert late.headers["retry-after"] == "5"
    monkeypatch.setattr(type(classifier), "with_unlikeness", hungrily)
    assert "memory is short" in refusal(asyncio.run(ask(roomy)), 503)


def test_images_of_many_pixels_are_taken_one_by_one(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.web.model.app._PIXEL_BYTES", 8 * 8 * 5)
    assert ModelApp(sl.load_model(model_folder), "digits", ModelLimits()).most_images == 5
