"""The person who is signed in, and for which town halls: those whose stores have the account, each with its own
groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAINTENANCE = "regie"
"""The group whose members see every share of the node that put them in it."""


@dataclass(frozen=True)
class Person:
    """`groups` by node: a node lets in who is in its own store, and nobody for another node."""

    name: str
    title: str
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def maintains(self, node: str) -> bool:
        return MAINTENANCE in self.groups.get(node, ())
