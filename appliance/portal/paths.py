"""Where the portal of a node keeps what, below the node's own folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.host.layout import NodeLayout


@dataclass(frozen=True)
class PortalPaths:
    """`pages` is written by the pages alone, `work` by their worker alone: it has rights over files that they have not,
    so it neither writes nor believes what lies where they write."""

    pages: Path
    work: Path

    @classmethod
    def of(cls, layout: NodeLayout) -> PortalPaths:
        return cls(layout.portal, layout.portal_work)

    @property
    def database(self) -> Path:
        return self.pages / "portal.db"

    @property
    def journal(self) -> Path:
        return self.pages / "journal.jsonl"

    @property
    def worker_journal(self) -> Path:
        return self.work / "journal.jsonl"

    @property
    def opened(self) -> Path:
        return self.work / "opened.json"

    @property
    def seen(self) -> Path:
        """The last answers of every node, as the worker heard them, where this one watches the others."""
        return self.work / "seen.json"

    @property
    def history(self) -> Path:
        return self.work / "history.json"
