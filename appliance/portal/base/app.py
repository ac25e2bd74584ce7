"""The application that a web server runs: pages, assets, and what every answer says to the browser."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from functools import partial

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.portal.base.templates import ASSETS
from appliance.portal.base.web_app import WebApp

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # Not `no-referrer`: a browser would then keep from us where a form comes from.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_ASSETS_SECONDS = 365 * 86400


def application(web_app: WebApp, routes: Iterable[Route], names: Collection[str] = ()) -> ASGIApp:
    """The pages of `web_app`. It is asked by one of `names`, by an address, or as localhost, and answers no other
    name."""
    assets = Mount("/statique", StaticFiles(directory=ASSETS))

    async def failed(request: Request, error: Exception) -> Response:
        return web_app.failure_page(request, error)

    app = Starlette(routes=[*routes, assets], exception_handlers={HTTPException: failed})
    app.router.redirect_slashes = False
    return _Guard(app, frozenset(names), secure=web_app.secure)


class _Guard:
    """Adds what every answer says, refuses what no browser of ours asks."""

    def __init__(self, app: ASGIApp, names: frozenset[str], *, secure: bool) -> None:
        self._app = app
        self._names = names
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not _is_ours(Request(scope).headers.get("host", ""), self._names):
            await PlainTextResponse("Adresse inconnue. / Unknown address.\n", 400)(scope, receive, send)
            return
        # No browser asks for several parts of a file at once; while Starlette sorts thousands, it answers nobody.
        scope["headers"] = [(name, it) for name, it in scope["headers"] if name != b"range" or b"," not in it]
        await self._app(scope, receive, partial(_with_headers, send, scope["path"], self._secure))


async def _with_headers(send: Send, path: str, secure: bool, message: Message) -> None:
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if path.startswith("/statique/") and message["status"] == 200:
            headers["Cache-Control"] = f"public, max-age={_ASSETS_SECONDS}, immutable"
        if secure:
            headers["Strict-Transport-Security"] = f"max-age={_ASSETS_SECONDS}"
    await send(message)


def _is_ours(host: str, names: frozenset[str]) -> bool:
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    if name in names or name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
