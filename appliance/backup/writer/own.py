"""The files of the state folder that a node's own service saves: its identity, its journal, its generations and
receipts.

Everything is named, never "all but": a new file in the state folder stays out until somebody has shown that each
standby of this service may read it. Keys stay out, identity and service keys alike: a replacement is a new identity,
and keys are in envelopes. Restores and the agent's memory stay out because they name people's files, and the service
whose files they are may trust other nodes than this one does.

The account store is in it: a standby serves shares with the passwords that people have (decision record 25). Samba's
own files are made again from it. The newest copy of a voter's store is in it, which says who held which service since
when.
"""

from __future__ import annotations

from appliance.errors import Refused
from appliance.host.journal import journal_files
from appliance.node.handle import Node
from appliance.territory.model import Service


def own_paths(node: Node, service: Service) -> tuple[str, ...]:
    """The absolute paths that `service`, the own one of `node`, saves now; raise Refused for another node's."""
    if service.node != node.name:
        raise Refused(f"{service.name} is the service of {service.node} itself; only {service.node} can write it.")
    layout = node.layout
    chains = sorted(layout.root.glob("services/*/chain"))
    store = sorted(layout.voter_maintenance.glob("*.snapshot"))[-1:]
    wanted = (
        layout.identity,
        layout.bundle,
        *journal_files(layout.journal),
        layout.acts,
        layout.accounts,
        *chains,
        *store,
    )
    return tuple(str(path.resolve()) for path in wanted if path.exists())
