"""The findings of an exchange of heads that freeze pruning here: a fork in this vault, a replica node that withholds.

Each such event freezes once, for 14 days (`vault/maintenance/freeze.py`): while people look into it nothing older goes,
and one that lasts must not fill the disk for ever. The events reported are kept in `sight/SERVICE.alarmed`, written
after the alarm is raised, so a cut between the two raises it once more and never not at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.backup.peers.exchange import Findings
from appliance.backup.peers.fetch import short_name
from appliance.backup.vault.give import forks_here
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.vault.store import Replica
from appliance.host.files import make_private_folder
from appliance.host.records import Record
from appliance.node.handle import Node

ALARMED = Record(frozenset[str])
"""The events reported before; where this is lost or damaged, they are reported once more."""


def alarm_of(node: Node, found: Findings) -> tuple[str, ...]:
    """Freeze pruning for what is new in `found`, and say what that is; an event that ended may come again."""
    replica = replica_of(node, found.service)
    path = make_private_folder(node.layout.last_seen) / f"{found.service}.alarmed"
    now, told = _events(node, replica, found), ALARMED.load_or(path, frozenset())
    new = tuple(sorted(now.keys() - told))
    if new:
        sealer_of(node).alarm(found.service, " ".join(now[event] for event in new))
    # Nobody knows whether a silent peer offers its generations again.
    waiting = {event for event in told if event.split(" ")[1] in found.silent}
    if now.keys() | waiting != told:
        ALARMED.save(path, frozenset(now.keys() | waiting))
    return new


def _events(node: Node, replica: Replica, found: Findings) -> Mapping[str, str]:
    """The sentence of each event, by a text that is the same as long as it lasts: its kind, then a peer or number."""
    return {
        **{
            f"fork {number}": f"two generations {number} are here."
            for number in forks_here(node, found.service, replica)
        },
        **{
            f"withheld {peer} {name}": f"{peer} signed for generation {short_name(name)} and does not show it now."
            for peer, name in found.withheld.items()
        },
    }
