"""`subquad serve`: a network on a local page and over HTTP."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

from subquad.base.interruption import handling
from subquad.base.limits import MIB, UNTILED_PIXELS
from subquad.engine.checkpoints import checkpoint_path, move
from subquad.engine.options import add_checkpoint, add_device, add_optional
from subquad.engine.parsing import Parser
from subquad.models import SegmentationNetwork, load_model
from subquad.tasks.segmentation.tiling import Tiling, box_remark

PATIENCE = 3  # seconds in which answers that are at work may end

_OPEN = "note: whoever reaches this machine may ask it; --host 127.0.0.1 lets nobody.\n"
_ANY_NAME = "note: it answers under any name, a hostile site's, too; --name tells the one that counts.\n"


def parser() -> Parser:
    """Return the options of `subquad serve`."""
    p = Parser(
        prog="subquad serve",
        description="Show what a segmentation network sees, on a page in the browser and over HTTP.",
    )
    add_checkpoint(p)
    p.add_argument("--host", type=str, default="127.0.0.1", help="0.0.0.0 lets other machines ask, too.")
    p.add_argument("--port", type=int, default=8000, help="0 takes any that is free.")
    add_optional(
        p,
        "name",
        str,
        "Answer under this name (or address) of the machine alone, such as lab.example.org; else, but on "
        "127.0.0.1, under any.",
    )
    add_device(p)
    p.add_argument("--max_pixels", type=int, default=UNTILED_PIXELS, help="Refuse pictures of more.")
    p.add_argument("--max_bytes", type=int, default=64 * MIB, help="Refuse requests of more.")
    add_optional(
        p,
        "tile",
        int,
        "Side of the tiles, such as 1024, where a request does not tell it; else as of predict.",
    )
    p.checks.append(_check)
    return p


def _check(options: Any) -> None:
    """Raise ValueError for options that nothing can be served with."""
    if not 0 <= options.port <= 65535:
        raise ValueError(f"--port must be 0 to 65535, got {options.port}.")
    if options.name is not None and not re.fullmatch(r"[\w.-]+|\[[\da-fA-F:]+\]", options.name):
        raise ValueError(
            f"--name must be a name without scheme and port, such as lab.example.org, got {options.name!r}."
        )
    if options.max_bytes < 1:
        raise ValueError(f"--max_bytes must be at least 1, got {options.max_bytes}.")
    if options.tile is not None:
        Tiling(tile=options.tile)


def main(arguments: list[str]) -> None:
    """Serve until Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        import python_multipart  # noqa: F401  pyright: ignore[reportUnusedImport]
        import starlette  # noqa: F401  pyright: ignore[reportUnusedImport]
        import uvicorn
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; install what serving needs: pip install 'subquad[serve]'.") from error
    from subquad.tasks.segmentation.labels import for_inference
    from subquad.tasks.segmentation.serve.app import make_app
    from subquad.tasks.segmentation.serve.guard import LOCAL_NAMES
    from subquad.tasks.segmentation.serve.inference import Inference
    from subquad.tasks.segmentation.serve.limits import Limits

    path = checkpoint_path(options.checkpoint)
    network = _served(path, options.device)
    sys.stderr.write(box_remark(network.config.resize, is_cut=bool(options.tile)))
    limits = Limits(max_bytes=options.max_bytes, max_pixels=options.max_pixels)
    with bound(options.host, options.port) as listening:
        host, port = listening.getsockname()[:2]
        address = f"http://{options.name or _bracketed(host)}:{port}"
        is_local = ipaddress.ip_address(host).is_loopback
        names = (*LOCAL_NAMES, _bracketed(host), *([options.name.lower()] if options.name else []))
        inference = Inference(for_inference(network), limits.max_pixels, served=network)
        app = make_app(
            inference,
            name_of(path),
            limits,
            tile=options.tile,
            names=names if is_local or options.name else (),
        )
        config = uvicorn.Config(
            app,
            log_level="critical",  # the server tells errors itself, and that it ends
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
        )
        server = uvicorn.Server(config)

        def end(*_: object) -> None:
            """Tell the server, which may not run yet; an exception could break an import of its own."""
            server.should_exit = True

        with handling(end):
            sys.stdout.write(f"{address} serves {name_of(path)}; Ctrl-C ends it.\n")
            sys.stdout.flush()
            if not is_local:
                sys.stderr.write(_OPEN if options.name else _OPEN + _ANY_NAME)
            server.run(sockets=[listening])  # until a signal
            sys.stdout.write("ended.\n")
            sys.stdout.flush()
        if inference.is_at_work:  # for nobody; Python would wait for it
            os._exit(0)


def _served(path: Path, device: str) -> SegmentationNetwork:
    network: Any = load_model(path)
    if not isinstance(network, SegmentationNetwork):
        raise ValueError(
            f"{path} holds a {type(network).__name__}; `subquad serve` shows segmentation networks, "
            "`subquad predict` asks others."
        )
    if network.config.in_channels != 3:
        raise ValueError(
            f"the network in {path} sees {network.config.in_channels} channels, and what is sent has 3; "
            "`subquad predict` takes pictures of others."
        )
    return move(network, device)


def name_of(path: Path) -> str:
    """Return what a model is called: by its file, or by the folder of its run."""
    return path.resolve().parent.name if path.stem in ("best", "last") else path.stem


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ValueError: If the address is none of this machine, or the port is taken.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"--host {host!r} is no address of this machine; take 127.0.0.1, or 0.0.0.0 for all."
        ) from error
    listening = socket.socket(family, kind)
    try:
        if sys.platform != "win32":  # there it would share a port that is taken
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise ValueError(
            f"port {port} of {host} cannot be had ({reason}); give another, such as "
            f"--port {port % 60000 + 1}, or --port 0 for any that is free."
        ) from error
    return listening


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
