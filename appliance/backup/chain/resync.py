"""Continue a service from the newest generation its peers attest: after a loss, a rollback, a replacement or a
takeover.
"""

from __future__ import annotations

import shutil

from appliance import typed
from appliance.backup.chain.chain import Chain, Sealed, chain_of
from appliance.backup.chain.installed import hold_until_installed, is_used
from appliance.backup.chain.lineage import remember, sealed_under
from appliance.backup.chain.proven import FETCHED, Proven
from appliance.backup.chain.rollback import forget
from appliance.backup.peers.adopt import adopt
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.fetch import Survey, fetch_newest
from appliance.backup.peers.fetched_key import staging
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.writer.begin import check_grant, known_epochs, request
from appliance.borg.folder import repository_id
from appliance.errors import Refused
from appliance.escrow.envelopes import ServiceKey
from appliance.host.files import locked
from appliance.node.handle import Node
from appliance.trust.grant import Grant


def fetch_for_resync(
    node: Node, service: str, wanted: str | None = None, lines: Lines | None = None, required: str = ""
) -> tuple[Sealed, Survey]:
    """Bring the newest attested generation (or the one `wanted`, or one with all of `required`) and the whole chain
    here.

    Resumable; nothing of ours is touched. Peers are asked on `lines`, when given.
    """
    layout = node.service(service)
    with locked(layout.lock, what=f"the service {service}"):
        return fetch_newest(node, service, staging(node, service), chain_of(node, service), wanted, lines, required)


def request_after_fetch(node: Node, service: str, survey: Survey, reason: str, takes_from: str = "") -> bytes:
    """The request for a grant above every epoch that any peer or this node knows. `takes_from`: who serves it now."""
    known = (*known_epochs(node, service, survey), sealed_under(node, service))
    if 0 < max(known) <= node.bundle.revoked.ended_epoch(service):
        raise Refused(
            f"{service} is not continued: a node that was revoked could know its key.",
            remedy=f"Restore what is needed, then start it over on its origin: `{typed.begin(service)}`.",
        )
    return request(
        node,
        service,
        known_epoch=max(known),
        reason=reason,
        repository=repository_id(staging(node, service)),
        takes_from=takes_from,
    )


def sealed_since(node: Node, service: str, chain: Chain, fetched: Sealed) -> int:
    """The highest epoch under which anything was sealed, as far as it is known here: from what was fetched, from the
    chain, which has the headers of all who answered, and from what this machine remembers of itself."""
    known = (int(name.split(".")[0]) for name in chain.names())
    return max(fetched.header.epoch, sealed_under(node, service), *known)


def continue_under(node: Node, service: str, sealed: Sealed, raw_grant: bytes, key: ServiceKey) -> Grant:
    """Adopt the fetched generation and write on under the grant. The grant counts only once the repository stands."""
    grant = check_grant(node, service, raw_grant)
    layout, chain = node.service(service), chain_of(node, service)
    folder = staging(node, service)
    known = chain.grants()
    # A node that took it over showed the grant to the vaults before, and may have heard of it from them since.
    is_known = grant.epoch in known and known[grant.epoch].statement == grant.statement
    if grant.epoch < max(known, default=0) or (grant.epoch in known and not is_known):
        raise Refused(f"epoch {grant.epoch} was granted before.", remedy="Ask for a new grant.")
    if is_used(node, service, grant) or sealed_since(node, service, chain, sealed) >= grant.epoch:
        raise Refused(
            f"{service} was already written under the grant of epoch {grant.epoch}, and its counters must be used "
            "only once.",
            remedy=f"Ask for a new grant: `{typed.resync(service)}`.",
        )
    if grant.repository != repository_id(folder):
        raise Refused("this grant is for another repository than the one fetched.")
    node.bundle.revoked.check_writing({**chain.grants(), grant.epoch: grant})
    replica = replica_of(node, service)
    with locked(layout.lock, what=f"the service {service}"):
        adopt(layout, sealed, lambda entry: folder / entry.path, key, grant)
        hold_until_installed(node, service, grant)
        chain.add(sealed.header, sealed.listing)
        chain.add_grant(grant)
        if replica.grants.exists():
            # The former writer must be refused here too, before any other peer tells this vault.
            sealer_of(node).keep(service, [grant])
        remember(node, service, sealed)
        forget(node, service)
        shutil.rmtree(folder)
        Proven(node, service).save(FETCHED, ())
        layout.handed.unlink(missing_ok=True)
    node.journal.write("adopted", service=service, generation=str(sealed.header.id), epoch=grant.epoch)
    return grant
