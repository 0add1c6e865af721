"""Who may ask: the page itself, and programs; no page of another site, under whatever name."""

from __future__ import annotations

import asyncio
import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Guard:
    """Looks at Host and Origin before anything else does, and adds the headers of security.

    A site that lets its own name lead to this machine (DNS rebinding) is known by its Host; one whose
    page sends a form here (CSRF) by its Origin. Programs send no Origin.

    Args:
        app: What answers.
        names: Of this server, without port; empty: any.
    """

    def __init__(self, app: ASGIApp, names: tuple[str, ...]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        reason = self._refusal(scope)
        if reason is not None:
            await _tell(403, reason, send_guarded)
            return
        try:
            await self.app(scope, receive, send_guarded)
        except asyncio.CancelledError:  # there was no more time
            if not begun:
                await _tell(503, "the server has ended; start it, and ask again.", send_guarded)

    def _refusal(self, scope: Scope) -> str | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "").lower()
        if self.names and _without_port(host) not in self.names:
            return "this server answers under its own name alone; open the address that it printed."
        origin = headers.get(b"origin")
        is_ours = origin is None or origin.lower() in (f"http://{host}", f"https://{host}")
        if scope["method"] not in ("GET", "HEAD") and not is_ours:
            return "pages of other sites may not ask here; open the page of this server."
        return None


async def _tell(status: int, sentence: str, send: Send) -> None:
    content = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
