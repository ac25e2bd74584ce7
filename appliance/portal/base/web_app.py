"""Pages and who may ask for them: every request is checked here, before a page sees it, and every answer goes out here.

A page is a function of a `Visit`; it runs in a thread, may wait for a disk, and raises what went wrong. A form counts
only when it comes from one of our own pages: the browser says where it comes from, and it carries the session's token.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.clock import Clock
from appliance.portal.base.database import hashed
from appliance.portal.base.failures import PageFailure, failure_of
from appliance.portal.base.forms import BODY_BYTES_MAX, PATH_MAX, Fields, parse, quoted
from appliance.portal.base.journal import ChainedJournal
from appliance.portal.base.language import Words, choose
from appliance.portal.base.person import Person
from appliance.portal.base.sessions import Session, Sessions
from appliance.portal.base.sign_in import Authenticator
from appliance.portal.base.templates import FORM_FIELD, Templates

LOG = logging.getLogger("appliance.portal")
SIGN_IN = "/connexion"
PAGES_AT_ONCE = 4
"""A page is made by the processor, and a box has few: more at once wait for each other, each with its memory."""


@dataclass(frozen=True)
class Visit:
    """One request, checked: a form in it comes from a page of ours. `session` is None on pages for everybody."""

    path: str
    query: Fields
    form: Fields
    words: Words
    now: float
    address: str
    here: str = "/"
    """The address of this page with what was asked of it, for a link that comes back to it."""
    session: Session | None = None
    token: str = ""
    part: bool = False
    """Whether only the part of the page is wanted that changes (htmx)."""
    form_token: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def person(self) -> Person:
        if self.session is None:
            raise PageFailure(403)
        return self.session.person


type Page = Callable[[Visit], Response]


@dataclass(frozen=True)
class WebApp:
    """The common state of all pages of one portal. `secure`: it is reached by TLS, and cookies go nowhere else."""

    clock: Clock
    zone: ZoneInfo
    templates: Templates
    authenticator: Authenticator
    sessions: Sessions
    journal: ChainedJournal
    secure: bool = False
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PAGES_AT_ONCE))

    @property
    def session_cookie(self) -> str:
        return "__Host-portail" if self.secure else "portail"

    @property
    def form_cookie(self) -> str:
        return "__Host-formulaire" if self.secure else "formulaire"

    def page(
        self,
        path: str,
        page: Page,
        *,
        method: str = "GET",
        everybody: bool = False,
        waits: bool = False,
        turns: asyncio.Semaphore | None = None,
    ) -> Route:
        """`page` at `path`; unless for `everybody`, a visitor who is not signed in is sent to do so.

        One that `waits`, for a program or for time to pass, takes no turn from those that are made meanwhile; with
        `turns` of its own it waits for one of these.
        """

        async def endpoint(request: Request) -> Response:
            body = await _body(request) if method == "POST" else b""
            async with turns or (nullcontext() if waits else self.turns):
                return await run_in_threadpool(self._answer, request, body, page, everybody)

        return Route(path, endpoint, methods=[method], name=f"{method} {path}")

    def render(self, visit: Visit, template: str, answer: int = 200, **values: object) -> Response:
        html = self.templates.render(visit, template, **values)
        return Response(html.encode("utf-8", "replace"), answer, media_type="text/html")

    def set_cookie(self, response: Response, name: str, value: str, seconds: int | None = None) -> None:
        response.set_cookie(name, value, max_age=seconds, secure=self.secure, httponly=True, samesite="strict")

    def failure(self, visit: Visit, failure: PageFailure) -> Response:
        return self.render(visit, "failure.html", failure.status, status=failure.status, why=failure.why)

    def failure_page(self, request: Request, error: Exception) -> Response:
        """The page for what no page was found for."""
        status = getattr(error, "status_code", 500)
        return self.failure(self._visit(request, None, "", b"", Fields()), PageFailure(status))

    def _answer(self, request: Request, body: bytes, page: Page, everybody: bool) -> Response:
        token = request.cookies.get(self.session_cookie, "")
        visit = self._visit(request, None, "", b"", Fields())
        try:
            session = self.sessions.find(token, self.clock.now())
            visit = self._visit(request, session, token, body, parse(request.scope["query_string"]))
            self._check_form(request, visit)
            if session is None and not everybody:
                return self._to_sign_in(request)
            response = page(visit)
        except Exception as error:
            response = self._failed(visit, error)
        self._keep_form_cookie(request, visit, response)
        return response

    def _failed(self, visit: Visit, error: Exception) -> Response:
        failure = failure_of(error)
        if failure.status >= 500 and failure is not error:  # what was not foreseen
            LOG.error("%s failed", visit.path.encode("ascii", "backslashreplace").decode(), exc_info=error)
        return self.failure(visit, failure)

    def _visit(self, request: Request, session: Session | None, token: str, body: bytes, query: Fields) -> Visit:
        words = Words(choose(request.cookies.get("langue", "")), self.zone)
        return Visit(
            path=request.scope["path"],
            query=query,
            form=parse(body),
            words=words,
            now=self.clock.now(),
            address=request.client.host if request.client else "",
            here=_here(request),
            session=session,
            token=token,
            part=request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers,
            form_token=session.form_token if session else self._anonymous_token(request),
            parameters=request.path_params,
        )

    def _anonymous_token(self, request: Request) -> str:
        """The token of forms before sign-in: made of a cookie that only this browser has."""
        cookie = request.cookies.get(self.form_cookie) or request.scope.setdefault(
            "appliance.form", secrets.token_urlsafe(32)
        )
        return hashed(cookie)

    def _keep_form_cookie(self, request: Request, visit: Visit, response: Response) -> None:
        made = request.scope.get("appliance.form")
        if made and visit.session is None:
            self.set_cookie(response, self.form_cookie, made)

    def _check_form(self, request: Request, visit: Visit) -> None:
        """Raise PageFailure for a form that some other page may have sent."""
        if request.method != "POST":
            return
        shown = visit.form.text(FORM_FIELD).encode("utf-8", "replace")
        if not _from_here(request) or not hmac.compare_digest(shown, visit.form_token.encode()):
            raise PageFailure(403, "form")

    def _to_sign_in(self, request: Request) -> Response:
        if request.headers.get("HX-Request") == "true":
            return Response(status_code=204, headers={"HX-Redirect": SIGN_IN})
        return RedirectResponse(SIGN_IN, 303)


def _here(request: Request) -> str:
    """The address to come back to. The target of a form is no page, and nobody comes back to an address that is too
    long."""
    query = request.scope["query_string"].decode("latin-1")
    address = quoted(request.scope["path"]) + (f"?{query}" if query else "")
    if request.method == "POST" or len(address) > PATH_MAX:
        return SIGN_IN if request.scope["path"] == SIGN_IN else "/"
    return address


async def _body(request: Request) -> bytes:
    """The form; raise nothing for one that is too long: an empty one has no token and is refused."""
    if request.headers.get("content-type", "").split(";")[0] != "application/x-www-form-urlencoded":
        return b""
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                return b""
    except ClientDisconnect:
        return b""
    return body


def _from_here(request: Request) -> bool:
    """Whether a browser says that one of our own pages sent this: every one of these years says one or the other."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and (origin.scheme, origin.netloc) == (request.url.scheme, request.headers.get("host"))
