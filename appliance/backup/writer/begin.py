"""Start a service: its repository and key, its envelopes, the request for its first grant; then take the grant."""

from __future__ import annotations

import secrets

from appliance import typed
from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.grants import granters_of
from appliance.backup.peers.adopt import install_key, own_repository
from appliance.backup.peers.fetch import Survey, survey_all
from appliance.backup.vault.replicas import replica_of
from appliance.borg.client import Borg
from appliance.borg.folder import repository_id
from appliance.borg.model import Repository
from appliance.borg.nonce import write_nonce
from appliance.errors import NotFound, Refused
from appliance.escrow.envelopes import RECOVERY, ServiceKey, ensure, read_key
from appliance.host.files import locked, make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.secret import Secret
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant, make_request
from appliance.trust.keys import load_key, public_line


def begin(node: Node, service: str) -> bytes:
    """Make the repository of `service` if there is none; return the request for its first grant, to be signed.

    Raise Refused when this node is not its origin, when the bundle names another machine, or when a peer that answers
    knows a history of the service: a new machine continues that one. Until its grant is here, calling again gives the
    same repository; afterwards there is nothing to begin.
    """
    origin = node.bundle.terms(service).origin
    if origin != node.name:
        raise Refused(f"the origin of {service} is {origin}, not this node.", remedy=f"Run this on {origin}.")
    check_is_named(node)
    layout = node.service(service)
    with locked(layout.lock, what=f"the service {service}"):
        if granted := chain_of(node, service).epochs():
            remedy = f"`appliance backup show {service}` shows its state."
            raise Refused(f"{service} already has a grant here: the newest is of epoch {max(granted)}.", remedy=remedy)
        if not layout.repository.exists():
            _refuse_history(node, service)
            create_repository(layout)
        seal_envelopes(node, service)
    return request(node, service, known_epoch=0, reason="first writer of the service")


def check_is_named(node: Node) -> None:
    """Raise Refused where the bundle has the keys of another machine: peers that do not let this one in cannot tell it
    that its service has a history.
    """
    if public_line(load_key(node.signing_key)) != node.bundle.member(node.name).keys.sign:
        raise Refused(
            f"this machine is not the {node.name} of the bundle: it has other keys.",
            remedy="Have the territory signed with those that it has: `appliance internal node keys` prints them.",
        )


def history(node: Node, service: str) -> dict[str, int]:
    """Return the peers that answer and know an epoch of `service`, with the newest that each knows."""
    heads = survey_all(node, service).heads
    return {head.peer: max(grant.epoch for grant in head.grants) for head in heads if head.grants}


def known_epochs(node: Node, service: str, found: Survey) -> frozenset[int]:
    """Every epoch of `service` that a peer in `found`, this node's chain or its holding knows."""
    at_peers = (grant.epoch for head in found.heads for grant in head.grants)
    return frozenset((*at_peers, *chain_of(node, service).epochs(), *replica_of(node, service).epochs()))


def _refuse_history(node: Node, service: str) -> None:
    for peer, epoch in history(node, service).items():
        raise Refused(
            f"{service} already has a history: {peer} knows epoch {epoch}.",
            remedy=f"Continue it on this machine: `{typed.resync(service)}`.",
        )


def create_repository(layout: ServiceLayout) -> None:
    """An empty repository and its key. The passphrase is on the disk before borg uses it; a cut in between leaves one
    that opens nothing."""
    passphrase = make_private_folder(layout.key) / "passphrase"
    if not passphrase.exists():
        write_atomic(passphrase, secrets.token_urlsafe(32).encode(), mode=0o600)
    secret = Secret(passphrase.read_bytes())
    Borg(Repository(layout.repository, layout.borg_base, secret)).init()
    keyfiles = sorted((layout.borg_base / ".config" / "borg" / "keys").iterdir())
    install_key(layout, ServiceKey(secret, Secret(keyfiles[-1].read_bytes())))


def seal_envelopes(node: Node, service: str) -> None:
    """One envelope per trusted node and one for the recovery key; made once, then reused byte for byte.

    A trusted node whose keys are not collected yet gets its envelope in the first run after: it must not stop backups.
    """
    layout = node.service(service)
    key = read_key(layout.key)
    for name, recipient in recipients_of(node.bundle, service).items():
        ensure(layout.envelopes, name, recipient, key)


def recipients_of(bundle: Bundle, service: str) -> dict[str, str]:
    """Return by name the keys for which each generation of `service` has an envelope."""
    terms = bundle.terms(service)
    trusted = sorted({terms.origin, *terms.standbys} & bundle.members.keys())
    found = {name: bundle.member(name).keys.age for name in trusted}
    return {**found, RECOVERY: bundle.recovery} if bundle.recovery else found


def request(
    node: Node, service: str, *, known_epoch: int, reason: str, repository: str = "", takes_from: str = ""
) -> bytes:
    """A signed request for a grant of `service` to this node."""
    layout = node.service(service)
    if not repository and not layout.repository.exists():
        raise NotFound(
            f"{service} has no repository here.",
            remedy=f"Run `{typed.begin(service)}`; where peers hold it, `{typed.resync(service)}`.",
        )
    return make_request(
        load_key(node.signing_key),
        service=service,
        repository=repository or repository_id(layout.repository),
        writer=node.name,
        known_epoch=known_epoch,
        reason=reason,
        takes_from=takes_from,
    )


def check_grant(node: Node, service: str, raw: bytes) -> Grant:
    """The grant in `raw`, which must be this node's for `service`."""
    grant = granters_of(node, service).read(raw)
    if grant.service != service or grant.writer != node.name:
        remedy = f"Type `appliance backup accept {grant.service} GRANT` at {grant.writer}."
        raise Refused(f"this grant is for {grant.writer} to write {grant.service}.", remedy=remedy)
    if grant.writer_key != node.bundle.member(node.name).keys.sign:
        raise Refused("this grant is for a key this node no longer has.", remedy="Ask for a new grant.")
    return grant


def take_first_grant(node: Node, service: str, raw: bytes) -> Grant:
    """Take the first grant: the nonce floor is durable in the repository before the grant counts."""
    grant = check_grant(node, service, raw)
    layout, chain = node.service(service), chain_of(node, service)
    known = chain.grants()
    if known.get(grant.epoch) == grant and (newest := known[max(known)]) != grant:
        raise Refused(
            f"this grant of epoch {grant.epoch} was accepted before; {newest.writer} has since been granted epoch "
            f"{newest.epoch} of {service}.",
            remedy="There is nothing to do: the newest grant counts.",
        )
    if grant.previous or known.keys() - {grant.epoch}:
        raise Refused("a later grant continues the newest generation.", remedy=f"Use `{typed.resync(service)}`.")
    if grant.repository != repository_id(own_repository(layout).path):
        raise Refused("this grant is for another repository than the one here.")
    with locked(layout.lock, what=f"the service {service}"):
        if grant.epoch not in chain.epochs():
            write_nonce(layout.repository, grant.nonce_floor)
            chain.add_grant(grant)
    node.journal.write("grant-taken", service=service, epoch=grant.epoch)
    return grant
