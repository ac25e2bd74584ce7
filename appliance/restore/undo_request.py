"""« Annuler »: a page asks for it with a mark beside what it asked, and who has the powers does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.errors import ApplianceError, Busy
from appliance.host.layout import RequestFolders
from appliance.restore.process import RestoreEnv, undo_request
from appliance.restore.request import (
    RequestFolder,
    RestoreRequest,
    Status,
    ask,
    load_request,
    load_status,
    mark_of,
    request_folder,
    taken,
)


@dataclass(frozen=True)
class UndoRequest:
    """The progress of undoing the order `name`."""

    requests: RequestFolders
    name: str

    @property
    def _folder(self) -> RequestFolder:
        return request_folder(self.requests, self.name)

    def ask(self) -> None:
        ask(self._folder, "undo")

    @property
    def state(self) -> str:
        """ "asked", "failed", or "" when nobody asked or it is done."""
        status, mark = load_status(self._folder), mark_of(self._folder, "undo")
        if not mark or status.state == "undone":
            return ""
        return "failed" if mark == status.heard_undo else "asked"

    def process(self, env: RestoreEnv, *, age_seconds: int) -> tuple[RestoreRequest, Status]:
        """Undo it, and return how it stands then; where that fails, which the page says, as it stood. Raise Busy."""
        folder = self._folder
        try:
            status = undo_request(env, self.name, age_seconds=age_seconds, mark=mark_of(folder, "undo"))
        except Busy:
            raise
        except ApplianceError:
            return load_request(folder), load_status(folder)
        return load_request(folder), status


def undo_requests_of(requests: RequestFolders) -> Iterator[UndoRequest]:
    """The orders that somebody wants undone."""
    for name in taken(requests):
        folder = RequestFolder(requests, name)
        status = load_status(folder)
        if folder.file.exists() and mark_of(folder, "undo") not in ("", status.heard_undo):
            yield UndoRequest(requests, name)
