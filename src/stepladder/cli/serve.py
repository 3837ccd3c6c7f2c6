"""``stepladder serve``: a trained model that answers by HTTP, with a page to drop a photograph on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import EXIT_CODES, OwnNetwork, OwnTechniques, Quiet, make_console, register_own
from stepladder.cli.groups import MORE, RUNNING
from stepladder.cli.quick import without_collection
from stepladder.cli.web_options import Host, OpenPage, Port, Token
from stepladder.errors import StudyError
from stepladder.web.server import Where, require_serve

_MEGABYTE = 2**20


def serve(
    model: Annotated[Path, Parameter(help="Model folder of a trial, or an exported .onnx file.")],
    /,
    *,
    port: Port = None,
    open_page: OpenPage = False,
    host: Host = "127.0.0.1",
    token: Token = None,
    max_batch: Annotated[int, Parameter(group=RUNNING, help="Images of one call of the model.")] = 32,
    max_images: Annotated[int, Parameter(group=RUNNING, help="Images of one request.")] = 64,
    max_megabytes: Annotated[float, Parameter(group=RUNNING, help="Megabytes of one request.")] = 32,
    max_pixels: Annotated[
        int, Parameter(group=RUNNING, help="Pixels of one image; more are refused before they are decoded.")
    ] = 50_000_000,
    max_requests: Annotated[int, Parameter(group=RUNNING, help="Requests that are answered at the same time.")] = 64,
    precision: Annotated[str, Parameter(group=MORE, help="auto, float32 or bfloat16, as for predict.")] = "auto",
    threads: Annotated[
        int | None,
        Parameter(group=RUNNING, help="Threads of one call of the model; unless told all cores, and 1 if it is small."),
    ] = None,
    technique: OwnTechniques = (),
    network: OwnNetwork = None,
    quiet: Quiet = False,
) -> int:
    """Answer by HTTP what a model says of images, and show a page to drop a photo on."""
    require_serve()
    given = {"max_megabytes": max_megabytes, "max_requests": max_requests, "threads": threads}
    for name, value in given.items():
        if value is not None and not value > 0:
            raise StudyError(f"`{name}` is {value:g}; it must be more than 0")
    Where(host, port, token).make_access()  # wrong input is said before a model is loaded
    from stepladder.model.find import load_model
    from stepladder.web.model.app import ModelLimits
    from stepladder.web.model.serving import serve as serve_model

    limits = ModelLimits(
        body_bytes=int(max_megabytes * _MEGABYTE),
        held_bytes=int(max(8 * max_megabytes, 256) * _MEGABYTE),
        running=max_requests,
        max_images=max_images,
        max_pixels=max_pixels,
        max_batch=max_batch,
    )
    register_own(technique)
    with without_collection():
        classifier = load_model(model, precision=precision, network=network, threads=threads)
    console = make_console()

    def say(sentence: str) -> None:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    reason = serve_model(
        classifier,
        host=host,
        port=port,
        token=token,
        limits=limits,
        open_page=open_page,
        say=say,
        log=None if quiet else say,
    )
    return EXIT_CODES[reason]
