"""The newest held generation of a replica, for a caller that asks again and again: every two seconds the program that
renews leases looks at each service that its node stands by for.

A look costs one stat, and one more for the newest generation, however many were ever made. It remembers a mark of each
folder that could change the answer: of `generations/`, of the newest held generation and of all newer ones, which may
become held without a new name in `generations/`. Nothing of it is on the disk.
"""

from __future__ import annotations

from appliance.backup.vault.store import Replica
from appliance.backup.vault.stored import Stored
from appliance.host.files import mark_of


class Latest:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._marks: dict[str, int] = {}
        self._found: Stored | None = None

    def look(self) -> Stored | None:
        """The newest generation held now; None when there is none."""
        if not self._marks or any(self._mark(name) != mark for name, mark in self._marks.items()):
            self._look_again()
        return self._found

    def _look_again(self) -> None:
        """Each mark is taken before what it marks is read: what changes in between is seen at the next look."""
        self._marks, self._found = {"": self._mark("")}, None
        for name in reversed(self._replica.folders()):
            self._marks[name] = self._mark(name)
            stored = self._replica.find(name)
            if stored and stored.held:
                self._found = stored
                return

    def _mark(self, name: str) -> int:
        return mark_of(self._replica.generations / name)
