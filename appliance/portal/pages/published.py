"""« Sites publiés »: sites of the mesh that are published, for PCs that are not in it.

One is read at its origin, and while nobody answers there from the copy that a standby shows. Its policy `mirror` says
that it is published, so any visitor who may ask these pages may read it; no other site is shown. It comes in a sandbox
without scripts, as if from elsewhere: its content can do nothing as the person who is signed in at these pages.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

from anyio import CapacityLimiter, move_on_after, to_thread
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from appliance.host.network import http_call
from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext
from appliance.portal.pages.silent_places import Place, SilentPlaces
from appliance.territory.model import Service
from appliance.territory.service_forms import SITE, copy_port, form_of, moving

PLACE = "/publies"
AT_ONCE = 8
"""So many are asked for, and so many read, at a time: who waits for a site keeps nobody from other pages."""
UNDER_WAY_MAX, UNDER_WAY_PER_ADDRESS_MAX = 64, 32
"""Files on their way to browsers, of which each has six, and a town hall stands behind one address."""
QUIET_SECONDS = 5.0
SECONDS_MAX = 120.0
PIECE_BYTES = 65536
SANDBOX = (
    "sandbox allow-downloads allow-popups; default-src 'self' data: 'unsafe-inline'; script-src 'none'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
PDF, UNKNOWN = "application/pdf", "application/octet-stream"
# A browser's reader of PDF does not start in a sandbox, and has one of its own.
READ_ELSEWHERE = {PDF: "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"}
# The type that a site gives a file is never passed on: "application/pdf;, text/html" is a PDF to one reader and a page
# to another. It is one of these, said in our own words; else bytes, which a browser saves. Scripts are none of them:
# the sandbox runs none, and our own pages run what comes from where they come from.
TEXTS = (
    "text/html",
    "text/plain",
    "text/css",
    "text/csv",
    "text/calendar",
    "application/json",
    "application/xml",
    "text/xml",
)
FILES = (
    PDF,
    UNKNOWN,
    "application/zip",
    *(f"image/{it}" for it in ("png", "jpeg", "gif", "webp", "avif", "svg+xml", "x-icon", "vnd.microsoft.icon")),
    *(f"font/{it}" for it in ("woff", "woff2", "ttf", "otf")),
    *(f"{kind}/{it}" for kind in ("audio", "video") for it in ("mp4", "mpeg", "ogg", "webm")),
)
SCRIPTS = {f"{kind}/{it}" for kind in ("text", "application") for it in ("javascript", "ecmascript", "x-javascript")}
SAID = re.compile(
    r"\s*([a-z0-9.+-]+/[a-z0-9.+-]+)\s*(?:;\s*charset=\"?([a-z0-9._-]{1,40})\"?\s*)?", re.ASCII | re.IGNORECASE
)
# In a sandbox a page comes from nowhere, and its own pictures and styles from somebody else.
FOR_ALL = {"Cross-Origin-Resource-Policy": "cross-origin", "Cross-Origin-Opener-Policy": "unsafe-none"}
PASSED_ON = ("Content-Length", "Last-Modified")


@dataclass(frozen=True)
class Published:
    """`port`: where sites are served at their addresses; another one in tests."""

    context: PageContext
    port: int = SITE.port
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))
    under_way: Counter[str] = field(default_factory=Counter)
    """Answers on their way, by the address that they go to."""
    silent: SilentPlaces = field(default_factory=lambda: SilentPlaces(is_answered))
    """Where nobody answered: the first visitor waited for that, and no other one does."""

    def routes(self) -> Iterable[Route]:
        page = self.context.web_app.page
        yield page(PLACE, self.show_all, everybody=True)
        yield page(f"{PLACE}/{{service}}", self._to_its_beginning, everybody=True)
        yield page(f"{PLACE}/{{service}}/{{path:path}}", self.show, everybody=True, turns=asyncio.Semaphore(AT_ONCE))

    def show_all(self, visit: Visit) -> Response:
        _, territory = self.context.lookup.territory()
        sites = self._sites()
        towns = {name: territory.sites[territory.node(it.node).site].title for name, it in sites.items()}
        return self.context.web_app.render(visit, "published.html", sites=sites, towns=towns, place=PLACE)

    def show(self, visit: Visit) -> Response:
        """One file of a site, from wherever that is served now."""
        service, address = self._site(visit), visit.address
        if self.under_way.total() >= UNDER_WAY_MAX or self.under_way[address] >= UNDER_WAY_PER_ADDRESS_MAX:
            raise PageFailure(409)
        with ExitStack() as stack:
            answer = stack.enter_context(self._ask(service, "/" + visit.parameters["path"]))
            if 300 <= answer.status < 400:
                return self._elsewhere(service, answer)
            kind, said = kind_of(answer.headers.get_all("Content-Type", []))
            if answer.status != 200 or kind in SCRIPTS:
                raise PageFailure(404 if answer.status < 500 else 504)
            stack.pop_all()
        headers = {name: answer.headers[name] for name in PASSED_ON if answer.headers.get(name)}
        policy = {"Content-Type": said, "Content-Security-Policy": READ_ELSEWHERE.get(said, SANDBOX)}
        return _PassedOn(self, address, answer, {**headers, **FOR_ALL, **policy})

    def _to_its_beginning(self, visit: Visit) -> Response:
        return RedirectResponse(f"{PLACE}/{self._site(visit).name}/", 308)

    def _elsewhere(self, service: Service, answer: http_call.Answer) -> Response:
        """Where the site itself leads to, as from a folder without its slash; nowhere else."""
        own = f"http://{service.address}/"
        to = urlsplit(urljoin(own, answer.headers.get("Location", "")))
        if to.hostname not in (service.address, *(address for address, _ in self._copies(service))):
            raise PageFailure(404)
        return RedirectResponse(f"{PLACE}/{service.name}{to.path}", 307)

    def _ask(self, service: Service, path: str) -> http_call.Answer:
        """The answer of the node that serves it, else of one that shows a copy of it; raise PageFailure when nobody
        answers."""
        places = ((service.address, self.port), *self._copies(service))
        for place in places:
            if place not in self.silent:
                try:
                    return _asked(*place, path)
                except OSError:
                    self.silent.add(place)
        raise PageFailure(504)

    def _copies(self, service: Service) -> Iterator[tuple[str, int]]:
        _, territory = self.context.lookup.territory()
        standbys = (territory.node(name) for name in territory.trusted(service.name) if name != service.node)
        return ((it.mesh, copy_port(service)) for it in standbys if it.mesh)

    def _site(self, visit: Visit) -> Service:
        try:
            return self._sites()[visit.parameters["service"]]
        except KeyError:
            raise PageFailure(404) from None

    def _sites(self) -> dict[str, Service]:
        _, territory = self.context.lookup.territory()
        return {it.name: it for it in moving(territory) if form_of(it) is SITE and it.policy == "mirror"}


def kind_of(said: Sequence[str]) -> tuple[str, str]:
    """Return the type that a site gives a file, by the Content-Type lines of its answer, and the one that a browser
    gets."""
    found = SAID.fullmatch(said[0]) if len(said) == 1 else None
    kind = found[1].lower() if found else UNKNOWN
    if kind in TEXTS:
        return kind, f"{kind}; charset={found[2].lower()}" if found and found[2] else kind
    return kind, kind if kind in FILES else UNKNOWN


def _asked(address: str, port: int, path: str) -> http_call.Answer:
    """Its headers come within QUIET_SECONDS, and the rest of it ends soon after SECONDS_MAX, when `_PassedOn` does."""
    url = f"http://{address}:{port}{quote(path, errors='surrogateescape')}"
    answer = http_call.call(url, seconds_max=QUIET_SECONDS, bytes_max=math.inf, headers={"Host": address})
    answer.extend(SECONDS_MAX + QUIET_SECONDS, silence_seconds_max=QUIET_SECONDS)
    return answer


def is_answered(place: Place) -> bool:
    """Whether somebody answers at `place`, whatever it says of the first page."""
    try:
        _asked(*place, "/").close()
    except OSError:
        return False
    return True


class _PassedOn(StreamingResponse):
    """The answer of a site, on its way to a browser at `address`; it ends in time, whether it is taken or not."""

    def __init__(self, pages: Published, address: str, answer: http_call.Answer, headers: dict[str, str]) -> None:
        super().__init__(_pieces(answer, pages.limiter), headers=headers)
        self._answer, self._under_way, self._address = answer, pages.under_way, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # So it hears at once of a browser that has gone; a later version trusts that who sends is told.
        heard = {**scope, "asgi": {**scope.get("asgi", {}), "spec_version": "2.3"}}
        self._under_way[self._address] += 1
        try:
            if scope["method"] == "HEAD":
                await Response(headers=dict(self.headers))(scope, receive, send)
                return
            with move_on_after(SECONDS_MAX):  # it waits for who still reads in a thread
                await super().__call__(heard, receive, send)
        finally:
            self._answer.close()
            self._under_way[self._address] -= 1
            self._under_way += Counter()  # forgets an address without any


async def _pieces(answer: http_call.Answer, limiter: CapacityLimiter) -> AsyncIterator[bytes]:
    while piece := await to_thread.run_sync(answer.read_piece, PIECE_BYTES, limiter=limiter):
        yield piece
