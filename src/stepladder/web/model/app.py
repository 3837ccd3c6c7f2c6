"""The addresses of a served model, as an application of ASGI."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from math import prod
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from stepladder.datasets.decode import MAX_PIXELS, Wide, decode_fitted, image_shape
from stepladder.datasets.threads import available_cores
from stepladder.errors import DataError, RecipeError, StudyError, for_want_of_memory, printable
from stepladder.model.classifier import Classifier, Doubts, Predictions
from stepladder.web.guard import Access, Guard, Limits, Refused
from stepladder.web.model.answers import AboutModel, Answers, Asked, Explained, Failure, Health, answers_document
from stepladder.web.model.batches import MOST_IMAGES, Batches
from stepladder.web.model.explanations import Explanations, why_it_cannot
from stepladder.web.model.metrics import Metrics
from stepladder.web.model.uploads import BYTES, FORM, JSON, EncodedImages, Upload, read_uploads

Result = TypeVar("Result")

#: Classes that are told of an image where nothing is asked for.
_TOP = 3

#: Fewer images of a request are decoded one by one: each change of threads costs some milliseconds beside others.
_FEWEST_IN_THREADS = 4

#: Bytes of the pixels of one request, brought to the model's shape, at most.
_PIXEL_BYTES = 2**28

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}

_LATER = {"Retry-After": "5"}

_REFUSALS = {
    400: "No request that can be read.",
    401: "The token is missing or wrong.",
    403: "A page of another site asked.",
    408: "The body took too long to arrive.",
    413: "Too many bytes or images.",
    415: "A kind of body that is not read.",
    421: "The server was called by a name that is not its own.",
    422: "Something that is no image, or cannot be asked.",
    429: "Too many requests at the same time; Retry-After says when to ask again.",
    503: "It took too long, or the server stops; Retry-After says when to ask again.",
}


@dataclass(frozen=True)
class ModelLimits(Limits):
    """How much at a time, of a served model.

    Attributes:
        max_images: of one request.
        max_pixels: of one image, told by its header before anything is decoded.
        seconds: that a request may take once its body is there.
        max_batch: images of one call of the model; from 64 on, a model folder may be asked by another arithmetic
            (onnxruntime), which differs by 1e-4 at most.
    """

    max_images: int = 64
    max_pixels: int = MAX_PIXELS
    seconds: float = 60.0
    max_batch: int = MOST_IMAGES

    def __post_init__(self) -> None:
        most = {"max_images": 10_000, "max_pixels": MAX_PIXELS, "max_batch": 10_000}
        for name in most:
            if not 1 <= getattr(self, name) <= most[name]:
                raise StudyError(f"`{name}` is {getattr(self, name)}; it must be 1 to {most[name]:,}")


def model_app(
    model: Any,
    *,
    name: str = "model",
    access: Access = Access(),  # noqa: B008 (frozen)
    limits: ModelLimits = ModelLimits(),
) -> Guard:
    """Return an application of ASGI that answers by ``model``, for any server: uvicorn, hypercorn, granian.

    One process holds one model and asks it from one thread. Names by which it is reached are in ``access``::

        app = model_app("shapes.onnx", access=Access(hosts=("shapes.example.org",)))

    Args:
        model: a loaded model, or what :func:`stepladder.load_model` reads.
        name: that answers and the page call it by.
        access: who may ask; by default programs and pages of this machine alone.
        limits: how much at a time.

    Raises:
        StepladderError: the model cannot be read.
    """
    if not isinstance(model, Classifier):
        from stepladder.model.find import load_model

        model = load_model(model)
    app = ModelApp(model, name, limits)
    guard = Guard(app.app, access, limits, app.metrics.handled)
    app.metrics.watch(lambda: guard.open)
    return guard


class ModelApp:
    """The application without its guard.

    Attributes:
        app: of ASGI.
        metrics: what it counts; to be told of each request that was handled.
    """

    def __init__(self, classifier: Classifier, name: str, limits: ModelLimits) -> None:
        self.classifier, self.name, self.limits = classifier, printable(name), limits
        self.most_images = min(limits.max_images, max(1, _PIXEL_BYTES // prod(classifier.image_shape)))
        self.why_unexplained = why_it_cannot(classifier)
        self.example = _example_image(classifier)
        self.app = self._routes()
        self.metrics = Metrics(self.name, frozenset(getattr(route, "path", "") for route in self.app.routes))
        self.batches = Batches(classifier, limits.max_batch, self.metrics.called)
        self.explanations = Explanations(classifier)
        self.decoders = ThreadPoolExecutor(available_cores(), "stepladder decoding")

    # Addresses --------------------------------------------------------------------------------------------------------

    def _routes(self) -> FastAPI:
        app = FastAPI(
            title=f"{self.name}, served by Stepladder",
            description="Send images, and read which class the model sees in each, and how sure it is.",
            version=version("stepladder"),
            docs_url=None,  # both load scripts from elsewhere
            redoc_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
            # The guard and the handlers below answer with one sentence in place of FastAPI's list.
            exception_handlers={
                RequestValidationError: _refuse_parameters,
                HTTPException: _refuse_address,
                Refused: _refuse,
                DataError: _refuse_wrong,
                RecipeError: _refuse_wrong,
            },
        )
        body, refusals = _body(self.example), _refusals(*_REFUSALS)
        app.post(
            "/predict",
            summary="Say what is on images.",
            response_model=Answers,
            responses={200: {"content": {JSON: {"example": self._answer_to_example()}}}, **refusals},
            openapi_extra={"requestBody": body},
        )(self.predict)
        app.post(
            "/explain",
            summary="Show what in one image speaks for a class.",
            response_model=Explained,
            responses=refusals,
            openapi_extra={"requestBody": body},
        )(self.explain)
        answers: tuple[tuple[str, str, Any, Callable[..., Any]], ...] = (
            ("/model", "Say which model answers, and what may be asked of it.", AboutModel, self.about),
            ("/healthz", "Say whether the server lives.", Health, self.health),
            ("/readyz", "Say whether it takes requests.", Health, self.ready),
        )
        few = _refusals(400, 401, 421, 429, 503)
        for path, summary, kind, answer in answers:
            app.get(path, summary=summary, response_model=kind, responses=few)(answer)
        text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
        app.get("/metrics", summary="Print what was counted.", response_class=Response, responses={**text, **few})(
            self.print_metrics
        )
        for path, (file, media_type) in _PAGE.items():
            content = files("stepladder.web.model").joinpath("page", file).read_bytes()
            app.add_route(path, _page(content, media_type), include_in_schema=False)
        return app

    async def predict(
        self,
        request: Request,
        top: Annotated[int, Query(ge=1, le=1000, description="How many classes to tell of each image.")] = _TOP,
        abstain: Annotated[
            float | None, Query(gt=0, lt=1, description="Share of wrong answers among those that it gives, as 0.05.")
        ] = None,
        sets: Annotated[
            float | None, Query(gt=0, lt=1, description="Share of sets that have the right class in them, as 0.9.")
        ] = None,
        unlike: Annotated[
            bool | None, Query(description="Say how unlike the training images each is; by default where it can.")
        ] = None,
    ) -> Response:
        """Say what is on the images of a form, of JSON, or on the one that is the body.

        The probabilities, `abstain`, `sets` and `unlike` are those of `stepladder predict`. Of several images, one that
        cannot be read has its reason in `error`, in its place, and the others are answered; where none can be read, the
        request is refused.
        """
        doubts = self.classifier.doubts(abstain, sets, self.classifier.tells_unlikeness if unlike is None else unlike)
        answer = self._answer(request.headers.get("content-type", ""), await request.body())
        asked, probabilities, unlikeness = await self._in_time(answer)
        told = self.classifier.doubted(probabilities, unlikeness if doubts.unlike else None, doubts)
        return JSONResponse(self._document(told, top, doubts, asked))

    async def explain(
        self,
        request: Request,
        class_name: Annotated[
            str | None, Query(alias="class", max_length=1000, description="By default the likeliest one.")
        ] = None,
    ) -> Response:
        """Show where in one image the model's answer comes from: Grad-CAM of the last convolution, and occlusion."""
        if self.why_unexplained is not None:
            raise Refused(422, self.why_unexplained)
        work = self._explanation(request.headers.get("content-type", ""), await request.body(), class_name)
        return JSONResponse(await self._in_time(work))

    async def about(self) -> Response:
        """Say which model answers, and how much may be sent at a time."""
        classifier = self.classifier
        return JSONResponse(
            AboutModel(
                name=self.name,
                classes=list(classifier.class_names),
                image_shape=list(classifier.image_shape),
                calibrated=classifier.calibrated,
                tells_unlikeness=classifier.tells_unlikeness,
                promises=classifier.limits is not None,
                why_unexplained=self.why_unexplained,
                most_bytes=self.limits.body_bytes,
                most_images=self.most_images,
                most_pixels=self.limits.max_pixels,
            ).model_dump()
        )

    async def health(self) -> Response:
        """Say whether the server lives: if not, it has to be started again."""
        if not self.batches.alive():
            raise Refused(503, "the thread that asks the model has ended; start the server again")
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Say whether it takes requests: not while it stops."""
        if request.scope["stepladder.stopping"].is_set():
            raise Refused(503, "the server stops", _LATER)
        await self.health()
        return JSONResponse({"status": "ready"})

    async def print_metrics(self) -> Response:
        """Print what was counted since the start: requests, images, times, memory."""
        return Response(self.metrics.text(), media_type=self.metrics.text_type)

    # What they do -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG002 (what Starlette calls)
        yield
        self.batches.close()
        self.explanations.close()
        self.decoders.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, content_type: str, body: bytes) -> tuple[list[Asked], np.ndarray, np.ndarray | None]:
        """Return the images in a body, and what the model says of those that can be read.

        Raises:
            DataError: none can be read.
        """
        with self.batches.coming():
            uploads, found = await self._decode(self._read, content_type, body)
            if found is None:
                found = await asyncio.gather(*(self._decode(self._pixels, upload) for upload in uploads))
            pixels = [one for one in found if isinstance(one, np.ndarray)]
            if not pixels:
                raise _wrong_with(uploads[0], str(found[0]))
            answers = self.batches.ask(np.stack(pixels))
        asked = [
            Asked(upload.name, None if isinstance(one, np.ndarray) else one)
            for upload, one in zip(uploads, found, strict=True)
        ]
        return asked, *(await answers)

    def _read(self, content_type: str, body: bytes) -> tuple[list[Upload], list[np.ndarray | str] | None]:
        """Return the images in a body, with their pixels where they are too few to share among threads."""
        uploads = read_uploads(content_type, body, self.most_images)
        if len(uploads) >= _FEWEST_IN_THREADS:
            return uploads, None
        return uploads, [self._pixels(upload) for upload in uploads]

    async def _explanation(self, content_type: str, body: bytes, class_name: str | None) -> dict[str, Any]:
        (upload,) = await self._decode(read_uploads, content_type, body, 1)
        found = await self._decode(self._pixels, upload)
        if isinstance(found, str):  # refused before it waits for those of others
            raise _wrong_with(upload, found)
        return await self.explanations.ask(upload.content, class_name)

    async def _decode(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self.decoders, work, *arguments)

    def _pixels(self, upload: Upload) -> np.ndarray | str:
        """Return an image as the model reads it, uint8 (H, W, C), or why it cannot be read; one that is too large is
        told by its header."""
        if upload.wrong is not None:
            return upload.wrong
        most = self.limits.max_pixels
        try:
            height, width, _ = image_shape(upload.content)
            if height * width > most:
                return f"{width}×{height} is more than the {most:,} pixels that are taken; make it smaller"
            return self._fitted(upload.content)
        except DataError as error:
            return printable(str(error))

    def _fitted(self, content: bytes) -> np.ndarray:
        model = self.classifier
        return decode_fitted(content, *model.image_shape, model.fit, Wide(model.span))

    async def _in_time(self, work: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await work
        except TimeoutError as error:
            seconds = self.limits.seconds
            raise Refused(503, f"it took longer than {seconds:g} s; send fewer images, or ask again", _LATER) from error
        except Exception as error:
            if for_want_of_memory(error):
                raise Refused(503, "memory is short; send fewer images, or ask again", _LATER) from error
            raise

    def _document(
        self, said: Predictions, top: int, doubts: Doubts, asked: Sequence[Asked] = (Asked(),)
    ) -> dict[str, Any]:
        return answers_document(self.name, self.classifier.calibrated, asked, said, top, doubts)

    def _answer_to_example(self) -> dict[str, Any]:
        """Return what the model says of the example: so the schema's example is true, and the model is warm."""
        doubts = Doubts(unlike=self.classifier.tells_unlikeness)
        said = self.classifier.answer(self._fitted(self.example)[None], doubts)
        return self._document(said, _TOP, doubts)


def _wrong_with(upload: Upload, why: str) -> DataError:
    return DataError(f"{upload.name or 'image 1'}: {why}")


def _example_image(classifier: Classifier) -> bytes:
    """Return a small PNG, of the kind that the model reads: light from the upper left, with a dark cross."""
    side = min(16, *classifier.image_shape[:2])
    rows, columns = np.mgrid[:side, :side]
    gray = (255 - 200 * (rows + columns) / max(1, 2 * side - 2)).astype(np.uint8)
    gray[side // 2, :] = gray[:, side // 2] = 20
    pixels = gray if classifier.image_shape[2] == 1 else np.stack([gray, gray[::-1], gray.T[:, ::-1]], axis=2)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def _body(example: bytes) -> dict[str, Any]:
    """Return what a request may send, for the schema."""
    binary = {"type": "string", "format": "binary"}
    encoded = {"images": [base64.b64encode(example).decode("ascii")]}
    form = {"type": "object", "properties": {"images": {"type": "array", "items": binary, "minItems": 1}}}
    return {
        "required": True,
        "description": "A form with one or many files, JSON with base64, or one image as it is.",
        "content": {
            FORM: {"schema": form | {"required": ["images"]}},
            JSON: {"schema": EncodedImages.model_json_schema(), "example": encoded},
            BYTES: {"schema": binary},
            "image/*": {"schema": binary},
        },
    }


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Failure, "description": _REFUSALS[status]} for status in statuses}


def _page(content: bytes, kind: str) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


# FastAPI's own answers have other forms.


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": error.sentence}, error.status, error.headers)


async def _refuse_wrong(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": printable(str(error))}, 422)


async def _refuse_parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    what = printable(str(first["loc"][-1]))[:50]
    return JSONResponse({"error": f"{what}: {first['msg'][:1].lower()}{first['msg'][1:]}"}, 422)


async def _refuse_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        sentence = f"{printable(request.method)[:20]} is not what this address takes; see /openapi.json"
    else:
        sentence = "there is nothing at this address; see / and /openapi.json"
    return JSONResponse({"error": sentence}, error.status_code, error.headers)
