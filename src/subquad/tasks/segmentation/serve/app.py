"""The pages and answers of the server."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from subquad.tasks.segmentation.serve import answers
from subquad.tasks.segmentation.serve.bodies import Body, Upload, received
from subquad.tasks.segmentation.serve.guard import Guard
from subquad.tasks.segmentation.serve.inference import Inference, Prediction
from subquad.tasks.segmentation.serve.limits import Admission, Limits, Refusal
from subquad.tasks.segmentation.serve.questions import (
    OF_EXPLANATION,
    OF_PREDICTION,
    Question,
    check_names,
    choice,
    question_of,
    wanted_format,
    whole_number,
)

_SCRIPTS = ("page.js", "asking.js", "camera.js", "drawing.js", "telling.js")
ASSETS = {  # all that is ever read, and it is read once: no request names a file
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in _SCRIPTS},
}
T = TypeVar("T")


class Server:
    """Answers requests about pictures.

    Args:
        inference: Asks the network.
        name: Of the model.
        limits: Of requests.
        tile: Side of the tiles of pictures, if a request does not tell it; None: as `predict` does.
    """

    def __init__(self, inference: Inference, name: str, limits: Limits, tile: int | None) -> None:
        self.inference, self.limits, self.tile = inference, limits, tile
        self.about = {
            **answers.about(name, inference.served, inference.steps, limits),
            "tile": tile,
        }
        self._admission = Admission(limits.requests)
        self._turn = asyncio.Lock()  # in the order in which they came

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Begin nothing more when the server ends."""
        yield
        self.inference.close()

    async def model(self, _: Request) -> Response:
        """`GET /model`: what is served."""
        return JSONResponse(self.about)

    async def health(self, _: Request) -> Response:
        """`GET /health`: that it lives, and how many requests are in."""
        return JSONResponse({"status": "ok", "requests": self._admission.inside})

    async def predict(self, request: Request) -> Response:
        """`POST /predict`: the mask of each picture."""
        with self._admission.place():
            async with received(request, self.limits) as body:
                parameters = _parameters(request, body, OF_PREDICTION)
                question = self._question(parameters)
                shows = choice(parameters, "picture", ("false", "true"), "false") == "true"
                is_png = wanted_format(parameters, request.headers.get("accept", "")) == "png"
                if is_png:
                    _one(body, "an answer as PNG is of one picture; ask for JSON, or for one")
                elif shows:
                    _one(body, "`picture` sends one picture back; leave it out, or send one")
                async with self._turn:  # of all that wait, only one holds what has been answered so far
                    if is_png:
                        mask = await self._predict(
                            request, body.uploads[0], question, lambda found: found.mask
                        )
                        return Response(mask, media_type="image/png")
                    told = await self._predictions(request, body.uploads, question, shows)
                return Response(told, media_type="application/json")

    async def explain(self, request: Request) -> Response:
        """`POST /explain`: the columns and the context of a pixel."""
        with self._admission.place():
            async with received(request, self.limits) as body:
                parameters = _parameters(request, body, OF_EXPLANATION)
                (upload,) = _one(body, "one picture is explained at a time; send one")
                question = self._question(parameters)

                def pixel(height: int, width: int) -> tuple[int, int]:
                    x = whole_number(parameters, "x", 0, width - 1)
                    return x, whole_number(parameters, "y", 0, height - 1)

                def work() -> bytes:
                    codes = self.inference.explain(upload.file.read(), upload.name, question, pixel)
                    x, y = pixel(*codes.size)
                    steps = question.steps or self.inference.steps
                    return answers.in_bytes(answers.explanation(codes, x, y, steps))

                async with self._turn:
                    return Response(await self._ask(request, work), media_type="application/json")

    async def _predictions(
        self, request: Request, uploads: list[Upload], question: Question, shows: bool
    ) -> bytes:
        """Return what is said of pictures, as JSON: of one, or a list.

        Raises:
            Refusal: If that is too much, or the only picture is refused.
        """
        steps, network = question.steps or self.inference.steps, self.inference.network
        parts: list[bytes] = []
        for upload in uploads:

            def told(found: Prediction, name: str = upload.name) -> bytes:
                return answers.in_bytes(answers.prediction(name, found, network, steps, shows_picture=shows))

            try:
                parts.append(await self._predict(request, upload, question, told))
            except Refusal as refusal:
                if len(uploads) == 1:
                    raise
                parts.append(answers.in_bytes({"name": upload.name, "error": refusal.sentence}))
            if sum(map(len, parts)) > self.limits.max_answer:
                helps = "send fewer pictures at once" if len(uploads) > 1 else "ask for format=png"
                raise Refusal(
                    413,
                    f"the answer has more than {self.limits.max_answer:,} bytes, which are the most; "
                    f"{'leave `picture` out' if shows else helps}.",
                )
        return b"[" + b",".join(parts) + b"]" if len(parts) > 1 else parts[0]

    async def _predict(
        self, request: Request, upload: Upload, question: Question, told: Callable[[Prediction], bytes]
    ) -> bytes:
        """Return what is said of a picture; that is made on the thread of the network, too."""

        def work() -> tuple[bytes, float]:  # what waits is on disk: one picture at a time is read
            found = self.inference.predict(upload.file.read(), upload.name, question)
            return told(found), found.seconds

        answer, self._admission.last_seconds = await self._ask(request, work)
        return answer

    async def _ask(self, request: Request, work: Callable[[], T]) -> T:
        """Do something with the network, as it is the turn of a request that still waits."""
        if await request.is_disconnected():
            raise Refusal(499, "nobody waits for the answer any more.")
        return await self.inference.run(work)

    def _question(self, parameters: dict[str, str]) -> Question:
        return question_of(parameters, self.limits, self.tile, self.inference.steps is not None)


def make_app(
    inference: Inference,
    name: str,
    limits: Limits,
    *,
    tile: int | None = None,
    names: tuple[str, ...] = (),
) -> ASGIApp:
    """Return the server as an application of ASGI.

    Args:
        inference: Asks the network.
        name: Of the model.
        limits: Of requests.
        tile: Side of the tiles of pictures, if a request does not tell it.
        names: Under which the server may be asked, without port; empty: any.
    """
    server = Server(inference, name, limits, tile)
    app = Starlette(
        routes=[
            *(Route(path, _asset(*told), methods=["GET"]) for path, told in ASSETS.items()),
            Route("/model", server.model, methods=["GET"]),
            Route("/health", server.health, methods=["GET"]),
            Route("/predict", server.predict, methods=["POST"]),
            Route("/explain", server.explain, methods=["POST"]),
        ],
        exception_handlers={Refusal: _refused, HTTPException: _no_such, Exception: _failed},
        lifespan=server.lifespan,
    )
    return Guard(app, names)


def _asset(file: str, kind: str) -> Callable[[Request], Any]:
    content = (files("subquad.tasks.segmentation.serve") / "page" / file).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _parameters(request: Request, body: Body, known: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters of the address and of the form; the address wins."""
    parameters = {**body.fields, **request.query_params}
    check_names(parameters, known)
    return parameters


def _one(body: Body, otherwise: str) -> list[Upload]:
    if len(body.uploads) > 1:
        raise Refusal(422, f"{otherwise}, got {len(body.uploads)}.")
    return body.uploads


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse({"error": error.sentence}, error.status, error.headers)


async def _no_such(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = "this address is not asked that way" if error.status_code == 405 else "there is nothing here"
    sentence = f"{told}; there are GET /, /model and /health, and POST /predict and /explain."
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return JSONResponse({"error": "something went wrong in the server; its terminal tells more."}, 500)
