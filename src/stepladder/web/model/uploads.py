"""The images of one request, as it sent them: a form, JSON with base64, or the file itself."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from email.message import Message
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepladder.web.guard import Refused

#: What a body may be.
FORM, JSON, BYTES = "multipart/form-data", "application/json", "application/octet-stream"

_EXPECTED = (
    "send images as a form (multipart/form-data), as JSON with base64 (application/json), or one image as it is "
    "(image/jpeg, application/octet-stream)"
)

#: Letters of a name that is sent back.
_NAME_LETTERS = 200


@dataclass(frozen=True)
class Upload:
    """One image.

    Attributes:
        name: as the sender calls the file, for messages alone; None where it has none.
        content: the encoded image.
        wrong: why there is none, a sentence; None where there is one.
    """

    name: str | None
    content: bytes
    wrong: str | None = None


class EncodedImages(BaseModel):
    """Images as JSON: each file's bytes in base64; a data URL will do as well. One of both names."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Images in base64")

    image: str | None = Field(None, description="One image.")
    images: Annotated[list[str], Field(min_length=1)] | None = Field(None, description="One or more images.")


def read_uploads(content_type: str, body: bytes, most: int) -> list[Upload]:
    """Return the images in a body, at least one and at most ``most``.

    Raises:
        Refused: 415 for another kind of body, 413 for too many images, 422 for what does not hold what it claims.
    """
    header = Message()
    header["Content-Type"] = content_type
    kind = header.get_content_type() if content_type else ""
    if kind == FORM:
        found = _of_form(body, header.get_param("boundary"), most)
    elif kind == JSON:
        found = _of_json(body)
    elif kind == BYTES or kind.startswith("image/"):
        found = [Upload(None, body)] if body else []
    else:
        raise Refused(415, f"the body is {kind or 'of no kind that is said'}; {_EXPECTED}")
    if not found:
        raise Refused(422, f"there is no image in the body; {_EXPECTED}")
    if len(found) > most:
        raise _too_many(most)
    return found


def _too_many(most: int) -> Refused:
    return Refused(413, f"more than {most:,} images; send at most so many at a time")


def _of_form(body: bytes, boundary: Any, most: int) -> list[Upload]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import FormParser

    if not isinstance(boundary, str) or not boundary:
        raise Refused(422, "the form has no boundary; let your program's library make its header")
    found: list[Upload] = []
    ended = False

    def take(file: Any) -> None:
        if len(found) >= most:
            raise _too_many(most)
        file.file_object.seek(0)
        name = (file.file_name or b"").decode("utf-8", "replace")
        found.append(Upload(name[-_NAME_LETTERS:] or None, file.file_object.read()))
        file.close()

    def refuse(field: Any) -> None:
        name = (field.field_name or b"").decode("utf-8", "replace")[:_NAME_LETTERS]
        raise Refused(422, f"the form's field {name!r} is no file; options belong in the address, as /predict?top=3")

    def end() -> None:
        nonlocal ended
        ended = True

    try:
        # In memory, however large: the guard has counted its bytes, and no image is to be on a disk.
        config = {"MAX_MEMORY_FILE_SIZE": math.inf}
        parser = FormParser(FORM, refuse, take, end, boundary=boundary.encode("latin-1", "replace"), config=config)
        parser.write(body)
        parser.finalize()
    except (FormParserError, AssertionError, ValueError) as error:
        raise Refused(422, "the form is damaged; let your program's library make it") from error
    if not ended:
        raise Refused(422, "the form ends too early; send it again")
    return found


def _of_json(body: bytes) -> list[Upload]:
    try:
        given = EncodedImages.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:50] for part in first["loc"]) or "it"
        raise Refused(422, f'the JSON is not as {{"images": ["BASE64"]}}: {where}: {first["msg"]}') from error
    if (given.image is None) == (given.images is None):
        raise Refused(422, 'the JSON needs one of both: "image", or "images" with a list')
    texts = given.images if given.images is not None else [given.image or ""]
    return [_decoded(text) for text in texts]


def _decoded(text: str) -> Upload:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return Upload(None, base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError):
        return Upload(None, b"", "it is no base64; encode the bytes of the file")
