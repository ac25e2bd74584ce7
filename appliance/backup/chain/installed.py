"""Whether the files of a service that lie here are those of the grant that this node adopted, or older ones, or none.

A service that moves has its files laid in place by failover, since where it is not served its folder is read-only. So
a machine in the place of a dead node is granted its services first; failover lays the newest files before it serves.
"""

from __future__ import annotations

from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.peers.elsewhere import moves
from appliance.borg.model import Repository
from appliance.borg.nonce import next_nonce
from appliance.node.failover_state import FILE, load
from appliance.node.handle import Node
from appliance.trust.grant import Grant


def is_used(node: Node, service: str, grant: Grant) -> bool:
    """Whether the repository here was written under `grant` or a later one: it must not be adopted again.

    borg's own file may be all that is left of it.
    """
    layout = node.service(service)
    return (next_nonce(Repository(layout.repository, layout.borg_base)) or 0) > grant.nonce_floor


def files_are_here(node: Node, service: str, grant: Grant, opened_epoch: int) -> bool:
    """Whether nobody else wrote before `grant`, which was adopted here; or this machine saved what lies here since.

    `opened_epoch`: under which failover opened the service here last. The key tells a machine from the former one of
    its name. A grant of this machine that it neither opened nor saved anything under says nothing: what was written
    before that one was perhaps never laid here.
    """
    chain = chain_of(node, service)
    own = (node.name, node.bundle.member(node.name).keys.sign)
    earlier = (epoch for epoch in reversed(chain.epochs()) if epoch < grant.epoch)
    for before in filter(None, map(chain.grant_of, earlier)):
        if before.epoch == opened_epoch:
            return True
        if (before.writer, before.writer_key) != own:
            return is_used(node, service, grant)
        if _has_sealed(chain, before.epoch):
            return True
    return True


def _has_sealed(chain: Chain, epoch: int) -> bool:
    return chain.first_after(f"{epoch - 1:05}").startswith(f"{epoch:05}.")


def hold_until_installed(node: Node, service: str, grant: Grant) -> None:
    """Make no backup of what lies here under `grant` of the key holder before failover has laid the newest files."""
    if grant.epoch % 2 or not moves(node, service):
        return
    layout = node.service(service)
    durable = load(layout.root / FILE)
    if not files_are_here(node, service, grant, durable.opened_epoch if durable else 0):
        layout.opening.touch()
