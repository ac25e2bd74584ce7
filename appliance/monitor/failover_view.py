"""How services stand at a node, as the program that runs them told it. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceView:
    """One service. Moments are UTC seconds by this node's clock, None while the thing is not so.

    `holder` by the voters: "" is nobody, None what no majority has reported lately. `writer`: the node that the newest
    grant names that was shown here, of `newest_epoch`; `epoch` is of this node's own. `away_since`: when another than
    its origin took it. `contested_since`: the node at work for it is not `writer`. `branches`: epochs under which
    something was written here alone, about which nobody has decided; of one that `is_merged` both histories can become
    one, of a database never. `unkept_since`: such writes are not kept apart yet, and `unkept` says why the last try
    failed. `unserved_since`: it was to be served here, and `unserved` says why it did not start.
    """

    service: str
    origin: str
    state: str = ""
    holder: str | None = None
    writer: str = ""
    epoch: int = 0
    newest_epoch: int = 0
    vacant_since: float | None = None
    away_since: float | None = None
    unheard_since: float | None = None
    contested_since: float | None = None
    paused_since: float | None = None
    paused_by: str = ""
    branches: tuple[int, ...] = ()
    unkept_since: float | None = None
    unkept: str = ""
    unserved_since: float | None = None
    unserved: str = ""
    is_merged: bool = True


@dataclass(frozen=True)
class FailoverView:
    """`programs`: the services that this node could serve. `looked`: when the program that runs them last lived, UTC
    seconds; None when it never did. `quarantined`: nodes that an act in force stops, and who signed it. `unread`: why
    it cannot be told what this node could serve, "" when it can. `start`: how that program is started here."""

    programs: tuple[str, ...] = ()
    looked: float | None = None
    services: tuple[ServiceView, ...] = ()
    quarantined: tuple[tuple[str, str], ...] = ()
    unread: str = ""
    start: str = "Type: systemctl restart appliance-failover"
