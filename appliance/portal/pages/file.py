"""The versions of one file, day by day: see, compare, put back or save one. The template is `file.html`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext
from appliance.restore.browse import by_day, moments
from appliance.restore.everywhere import find_versions

_WORDS = frozenset(["pdf", "docx", "odt", "txt", "csv", "md", "log", "ini", "xml", "json", "html", "htm"])
_PICTURES = frozenset(["png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff"])


@dataclass(frozen=True)
class File:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        yield self.context.web_app.page("/fichier/{service}", self.show)

    def show(self, visit: Visit) -> Response:
        service, path = visit.parameters["service"], visit.query.path("chemin")
        with self.context.seen(visit) as seen:
            share, catalogue = seen.one(service)
            versions = find_versions(seen.catalogues, seen.scope, service, path)
            if versions[0].kind == "folder":
                raise PageFailure(404)
            self.context.record(visit, "saw-versions", service=service, path=path)
            wanted = visit.query.text("version")
            came_from = any(it.archive == wanted for it in moments(catalogue))
            return self.context.web_app.render(
                visit,
                "file.html",
                share=share,
                path=path,
                version=wanted if came_from else "" if versions[0].current else versions[0].archive,
                versions=versions,
                days=by_day(versions, self.context.zone),
                shown_as=is_shown(path),
                has_words=has_words(path),
                standing=self.context.standing(seen, share),
            )


def is_shown(path: str) -> bool:
    """Whether a page offers to show it. By name alone: what it is is found out by the process that reads it."""
    return _ending(path) in _WORDS | _PICTURES


def has_words(path: str) -> bool:
    """Whether two versions of it can be compared."""
    return _ending(path) in _WORDS


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()
