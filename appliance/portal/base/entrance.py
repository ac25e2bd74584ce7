"""Signing in and out, the language, and the answer that keeps a session going."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.host.journal_limit import OncePerMinute
from appliance.portal.base.language import choose
from appliance.portal.base.person import Person
from appliance.portal.base.sign_in import Wait
from appliance.portal.base.web_app import SIGN_IN, Visit, WebApp
from appliance.units import DAY, MINUTE

WRONG, SLOWLY, ENDED = "wrong", "slowly", "ended"


@dataclass(frozen=True)
class Entrance:
    web_app: WebApp
    slowed: OncePerMinute = field(default_factory=OncePerMinute)

    def routes(self) -> Iterable[Route]:
        page = self.web_app.page
        yield page(SIGN_IN, self.form, everybody=True)
        yield page(SIGN_IN, self.enter, method="POST", everybody=True, waits=True)
        yield page("/deconnexion", self.leave, method="POST", everybody=True)
        yield page("/session", self.go_on)
        yield page("/langue/{language}", self.speak, everybody=True)

    def form(self, visit: Visit) -> Response:
        return RedirectResponse("/", 303) if visit.session else self._form(visit, 200)

    def enter(self, visit: Visit) -> Response:
        """One sentence for everything that may be wrong: nobody learns here which names there are."""
        web_app, name = self.web_app, visit.form.text("identifiant", 64).strip().lower()
        password, code = visit.form.secret("secret"), visit.form.text("code", 64)
        found = web_app.authenticator.enter(name, password, code, address=visit.address, now=visit.now)
        if isinstance(found, Person):
            return self._begin(visit, found)
        if isinstance(found, Wait):
            if tries := self.slowed.tries(time.monotonic()):
                web_app.journal.write("sign-in-slowed", account=name, address=visit.address, tries=tries)
            return self._form(visit, 429, why=SLOWLY, minutes=math.ceil(found.seconds / MINUTE), name=name)
        web_app.journal.write("sign-in-refused", account=name, address=visit.address)
        return self._form(visit, 401, why=WRONG, name=name)

    def leave(self, visit: Visit) -> Response:
        if visit.session:
            self.web_app.sessions.end(visit.token)
            self.web_app.journal.write("signed-out", account=visit.person.name)
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(
            self.web_app.session_cookie, secure=self.web_app.secure, httponly=True, samesite="strict"
        )
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def go_on(self, visit: Visit) -> Response:
        """A question is enough, any page starts the half hour over; the answer is how many seconds are left then."""
        assert visit.session is not None
        return Response(f"{visit.session.ends - visit.now:.0f}", media_type="text/plain")

    def speak(self, visit: Visit) -> Response:
        response = RedirectResponse(_local(visit.query.path("retour")), 303)
        language = choose(visit.parameters["language"])
        response.set_cookie("langue", language, 365 * DAY, secure=self.web_app.secure, httponly=True, samesite="lax")
        return response

    def _begin(self, visit: Visit, who: Person) -> Response:
        """A new number for a new session, whatever the browser brought."""
        self.web_app.sessions.end(visit.token)
        self.web_app.journal.write("signed-in", account=who.name, nodes=sorted(who.groups), address=visit.address)
        response = RedirectResponse("/", 303)
        self.web_app.set_cookie(response, self.web_app.session_cookie, self.web_app.sessions.begin(who, visit.now))
        return response

    def _form(self, visit: Visit, status: int, why: str = "", minutes: int = 0, name: str = "") -> Response:
        return self.web_app.render(visit, "sign-in.html", status, why=why, minutes=minutes, name=name)


def _local(address: str) -> str:
    """The path of one of our own pages, whatever somebody wrote behind a link."""
    outside = not address.startswith("/") or address.startswith("//") or "\\" in address
    return "/" if outside or not address.isascii() or not address.isprintable() else address
