"""The pictures in the body of a request: counted while they come, kept on disk while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from subquad.base.limits import MIB
from subquad.tasks.segmentation.serve.limits import Limits, Refusal

LONGEST_NAME = 80  # characters of a picture's name that are said again
IN_MEMORY = MIB  # of a picture that waits; the rest of it is on disk
MOST_FIELDS = 16
_HOW = (
    "send multipart/form-data with parts `image` (curl -F image=@picture.png), or one picture as it is "
    "(curl -T picture.png -H 'Content-Type: image/png' -X POST)"
)


@dataclass(frozen=True)
class Upload:
    """A picture that came.

    Attributes:
        name: What its sender calls it, without folders.
        file: Its content, from the start.
    """

    name: str
    file: IO[bytes]


@dataclass(frozen=True)
class Body:
    """What came.

    Attributes:
        uploads: The pictures, one at least.
        fields: What a form says besides.
    """

    uploads: list[Upload]
    fields: dict[str, str]


@asynccontextmanager
async def received(request: Request, limits: Limits) -> AsyncIterator[Body]:
    """Receive the pictures of a request; they are gone afterwards.

    Raises:
        Refusal: If it is too large, too slow, of another kind, or holds no picture.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.max_bytes:
        raise _too_large(limits)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = kind == "multipart/form-data"
    if not is_form and kind != "application/octet-stream" and not kind.startswith("image/"):
        told = f"a body of the type {kind[:60]!r} is" if kind else "a body without Content-Type is"
        raise Refusal(415, f"{told} not read; {_HOW}.")
    form = FormData()
    with SpooledTemporaryFile(IN_MEMORY) as raw:
        try:
            async with asyncio.timeout(limits.seconds):
                if is_form:
                    form = await _form(request, limits)
                else:
                    await _copy(request, limits, raw)
        except TimeoutError:
            raise Refusal(
                408, f"the picture did not come within {limits.seconds:g} s; send it again, or a smaller one."
            ) from None
        except ClientDisconnect:
            raise Refusal(400, "the picture did not come whole; send it again.") from None
        try:
            yield _body_of(form) if is_form else Body([Upload("picture 1", raw)], {})
        finally:
            await form.close()


async def _form(request: Request, limits: Limits) -> FormData:
    parser = MultiPartParser(
        request.headers, _counted(request, limits), max_files=limits.max_pictures, max_fields=MOST_FIELDS
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise Refusal(
                413, f"a request holds at most {limits.max_pictures} pictures; send them in several."
            ) from error
        raise Refusal(400, f"the form cannot be read ({error.message.rstrip('.')}); {_HOW}.") from error
    except (KeyError, ValueError) as error:  # no boundary, a broken encoding
        raise Refusal(400, f"the form cannot be read; {_HOW}.") from error


async def _copy(request: Request, limits: Limits, file: IO[bytes]) -> None:
    async for chunk in _counted(request, limits):
        file.write(chunk)
    if not file.tell():
        raise Refusal(400, f"the body is empty; {_HOW}.")
    file.seek(0)


async def _counted(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """Yield a body as it comes, as long as it is within the limit: its length may not be told."""
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > limits.max_bytes:
            raise _too_large(limits)
        yield chunk


def _body_of(form: FormData) -> Body:
    uploads, fields = [], {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields[name] = value
        elif name == "image":
            uploads.append(Upload(_said(value.filename, len(uploads)), value.file))
        else:
            raise Refusal(422, f"there is a file in the part {name[:40]!r}; call each part `image`.")
    if not uploads:
        raise Refusal(422, f"the form has no part `image` with a file; {_HOW}.")
    return Body(uploads, fields)


def _said(name: str | None, index: int) -> str:
    """Return a name of a file as it may be said again: without folders, and what cannot be seen."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    seen = "".join(c for c in last if c.isprintable())[:LONGEST_NAME].strip()
    return seen or f"picture {index + 1}"


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"the request has more than {limits.max_bytes:,} bytes, which are the most; send a smaller picture, "
        "or start the server with a larger --max_bytes.",
    )
