"""Start a service over, with a new repository and a new key, because a revoked node could know the old key.

The history goes on: the first generation of the new epoch names the newest of the old ones as the one before it, so the
chain, the receipts and the peers stay what they are. Only the bytes are new: a full seeding. Generations sealed before
are read-only from then on, with the key in their own envelopes, and the peers prune them by their rule.

Invariant: nothing is written under an ended epoch, nor to a repository of one. The new repository lies beside the old
one until its grant is here; then the nonce floor is durable in it before it takes the old one's place, and the grant
counts last. Each step may be cut and is repeated by the same command.
"""

from __future__ import annotations

import os
import shutil

from appliance import typed
from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.chain.lineage import remember
from appliance.backup.peers.adopt import free_name, install_key, own_repository
from appliance.backup.peers.fetch import fetch_documents, survey_all
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.writer.begin import begin, check_grant, create_repository, known_epochs, request, take_first_grant
from appliance.borg.folder import repository_id
from appliance.borg.nonce import write_nonce
from appliance.errors import Refused, Unreachable
from appliance.escrow.envelopes import read_key
from appliance.host.files import fsync_folder, locked
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.trust.grant import Grant

REASON = "a revoked node could know the key"


def wants_renewal(node: Node, service: str) -> bool:
    """Whether `service` must start over: it was written under epochs that a revocation ended, and not since."""
    ended = node.bundle.revoked.ended_epoch(service)
    return bool(ended) and max(chain_of(node, service).epochs(), default=0) <= ended


def to_begin(node: Node) -> list[str]:
    """The services that begin at this node and have no grant yet, or none since a revocation."""
    here = [service.name for service in node.bundle.territory.services_of(node.name)]
    return sorted(name for name in here if not chain_of(node, name).epochs() or wants_renewal(node, name))


def begin_or_renew(node: Node, service: str) -> bytes:
    """The request for the grant with which `service` begins here: for the first time, or after a revocation."""
    return renew(node, service) if wants_renewal(node, service) else begin(node, service)


def take_begun(node: Node, service: str, raw: bytes) -> Grant:
    """Take the grant for what `begin_or_renew` asked; safe to repeat."""
    if node.bundle.revoked.ended_epoch(service):
        return take_renewal(node, service, raw)
    return take_first_grant(node, service, raw)


def renew(node: Node, service: str) -> bytes:
    """Make the new repository of `service` beside the old one; return the request for its grant.

    Raise Refused where it is not this node's to write, Unreachable when nobody can tell the history.
    """
    layout, chain = node.service(service), chain_of(node, service)
    with locked(layout.lock, what=f"the service {service}"):
        _check_ours(node, service, chain)
        known = _learn_history(node, service, chain)
        new = _beside(layout)
        if not (new.key / "keyfile").exists():  # written last: without it a run was cut in the middle
            shutil.rmtree(new.root, ignore_errors=True)
            create_repository(new)
        repository = repository_id(new.repository)
    return request(node, service, known_epoch=known, reason=REASON, repository=repository)


def take_renewal(node: Node, service: str, raw: bytes) -> Grant:
    """Let the new repository take the place of the old one, under the grant in `raw`."""
    grant = check_grant(node, service, raw)
    layout, chain = node.service(service), chain_of(node, service)
    ended = node.bundle.revoked.ended_epoch(service)
    if grant.epoch <= ended:
        raise Refused(
            f"epoch {grant.epoch} of {service} ended with a revocation.",
            remedy=f"Ask for a new grant: `{typed.begin(service)}`.",
        )
    with locked(layout.lock, what=f"the service {service}"):
        new = _beside(layout)
        there = new if new.repository.exists() else layout
        if not there.repository.exists() or repository_id(there.repository) != grant.repository:
            raise Refused("this grant is for another repository than the one made here.", remedy="Ask for a new one.")
        if new.repository.exists():
            _replace(layout, new, grant)
        shutil.rmtree(new.root, ignore_errors=True)
        if grant.epoch not in chain.epochs():
            chain.add_grant(grant)
            if replica_of(node, service).grants.exists():
                sealer_of(node).keep(service, [grant])
            node.journal.write("renewed", service=service, epoch=grant.epoch, repository=grant.repository)
    return grant


def _beside(layout: ServiceLayout) -> ServiceLayout:
    return ServiceLayout(layout.root / "next")


def _check_ours(node: Node, service: str, chain: Chain) -> None:
    """The present writer starts it over; where none is left, the origin."""
    grant = chain.newest_grant()
    writer = grant.writer if grant else ""
    origin = node.bundle.terms(service).origin
    if node.name not in (origin, writer):
        raise Refused(f"the origin of {service} is {origin}, not this node.", remedy=f"Run this on {origin}.")


def _learn_history(node: Node, service: str, chain: Chain) -> int:
    """The highest epoch that anybody knows; a new machine gets all earlier signed documents, but no data."""
    found = survey_all(node, service)
    known = known_epochs(node, service, found)
    ended = node.bundle.revoked.ended_epoch(service)
    if max(known, default=0) > ended:
        raise Refused(
            f"{service} already started over, in epoch {max(known)}.",
            remedy=f"Continue it on this machine: `{typed.resync(service)}`.",
        )
    own = chain.newest()
    if own is None and not found.heads:
        raise Unreachable(f"no peer can send the history of {service}.", remedy=found.told())
    attested = [head.newest.id for head in found.heads if head.newest] + ([found.own] if found.own else [])
    if attested and (own is None or max(attested) > own.header.id):
        sealed = fetch_documents(node, service, found, chain)
        chain.add(sealed.header, sealed.listing)
        remember(node, service, sealed)
    return max(known, default=0)


def _replace(layout: ServiceLayout, new: ServiceLayout, grant: Grant) -> None:
    """The same order as for an adopted repository; what stood here is kept aside, readable with the key beside it."""
    write_nonce(new.repository, grant.nonce_floor)
    shutil.rmtree(layout.borg_base, ignore_errors=True)
    install_key(layout, read_key(new.key))
    shutil.rmtree(layout.envelopes, ignore_errors=True)  # of the old key; the next run makes those of the new one
    for name in ("hashes.json", "compacting"):
        (layout.root / name).unlink(missing_ok=True)
    if layout.repository.exists():
        os.rename(layout.repository, free_name(layout.root / f"replaced-{grant.epoch}"))
    os.rename(new.repository, layout.repository)
    fsync_folder(layout.root)
    own_repository(layout)
