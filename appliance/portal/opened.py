"""The services that the worker of the portal has opened, given to its pages by one small file: the pages open
nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.host.files import make_private_folder
from appliance.host.records import Record
from appliance.portal.copies_age import Freshness


@dataclass(frozen=True)
class Opened:
    """A service whose names can be looked up in `catalogue`; `fresh` None when nothing is known of its copies.

    `rewinds_until`: UTC seconds until which a signed act lets a whole share of it be replaced, 0 where none does. It is
    to be shown; the program that replaces looks at the act itself.
    """

    catalogue: Path
    fresh: Freshness | None = None
    rewinds_until: float = 0.0


@dataclass(frozen=True)
class Found:
    services: Mapping[str, Opened] = field(default_factory=dict)


KEPT = Record(
    Found,
    1,
    "the list of opened services cannot be read",
    "See `systemctl status appliance-portal-work`.",
)


def save(file: Path, opened: Mapping[str, Opened]) -> None:
    make_private_folder(file.parent)
    KEPT.save(file, Found(opened))


def load(file: Path) -> Mapping[str, Opened]:
    """Nothing before the worker has looked for the first time."""
    return (KEPT.load(file) or Found()).services
