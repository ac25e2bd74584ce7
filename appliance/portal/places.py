"""Where the portal of a node keeps what, below the node's own folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`root` is written by the pages and by their worker, and by nobody else."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "portal.db"

    @property
    def journal(self) -> Path:
        return self.root / "journal.jsonl"

    @property
    def opened(self) -> Path:
        return self.root / "opened.json"

    @property
    def seen(self) -> Path:
        """What the worker last heard of every node, where this one watches the others."""
        return self.root / "seen.json"

    @property
    def history(self) -> Path:
        return self.root / "history.json"
