"""Continue a service from the newest generation its peers attest: after a loss, a rollback, a replacement or a
takeover.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.backup.adopt import adopt, own_repository
from appliance.backup.begin import RECOVERY, chain_of, check_grant, known_epochs, request
from appliance.backup.chain import Sealed
from appliance.backup.fetch import Survey, fetch_newest
from appliance.backup.lineage import remember
from appliance.backup.node import Node
from appliance.backup.overtaken import forget
from appliance.backup.vault.sealer_choice import sealer_of
from appliance.borg.folder import repository_id
from appliance.borg.nonce import next_nonce
from appliance.errors import NotFound, Refused
from appliance.escrow.envelopes import ServiceKey, open_envelope, read_key
from appliance.host.files import locked
from appliance.secret import Secret
from appliance.trust.grant import Grant


def staging(node: Node, service: str) -> Path:
    return node.service(service).root / "fetched"


def fetch_for_resync(node: Node, service: str, wanted: str | None = None) -> tuple[Sealed, Survey]:
    """Bring the newest attested generation (or the one `wanted`) and the whole chain here.

    Resumable; nothing of ours is touched.
    """
    layout = node.service(service)
    with locked(layout.lock, what=f"the service {service}"):
        return fetch_newest(node, service, staging(node, service), chain_of(node, service), wanted)


def request_after_fetch(node: Node, service: str, survey: Survey, reason: str) -> bytes:
    """The request for a grant above every epoch that any peer or this node knows."""
    known = known_epochs(node, service, survey)
    if 0 < max(known) <= node.bundle.revoked.ended_epoch(service):
        raise Refused(
            f"{service} is not continued: a node that was revoked could know its key.",
            remedy=f"Restore what is needed, then begin it anew on its origin: `appliance backup begin {service}`.",
        )
    return request(
        node,
        service,
        known_epoch=max(known),
        reason=reason,
        repository=repository_id(staging(node, service)),
    )


def _key_here(node: Node, service: str) -> ServiceKey | None:
    folder = node.service(service).key
    return read_key(folder) if (folder / "keyfile").exists() and (folder / "passphrase").exists() else None


def _repository_in(folder: Path, otherwise: str) -> str:
    """The id of the repository laid out in `folder`; `otherwise` where only its envelopes are."""
    return repository_id(folder) if (folder / "config").exists() else otherwise


def open_key(node: Node, service: str, folder: Path, identity: Secret | None = None) -> ServiceKey:
    """The key of the generation in `folder`, from this node's envelope or, with `identity`, the recovery key's.

    Raise NotFound where there is no such envelope, Refused when it was sealed to another key.
    """
    paper = folder / "envelopes" / f"{RECOVERY}.age"
    if identity is not None:
        if not paper.exists():
            raise NotFound(
                f"{service} has no envelope for the recovery key.", remedy="Open it on its origin or a standby."
            )
        return open_envelope(paper.read_bytes(), identity)
    if (own_key := _key_here(node, service)) and own_key.repository == _repository_in(folder, own_key.repository):
        return own_key
    handed = node.service(service).handed
    own = handed if handed.exists() else folder / "envelopes" / f"{node.name}.age"
    if not own.exists():
        raise NotFound(
            f"no envelope of {service} is for {node.name}.",
            remedy="Open it with the paper: `appliance backup resync --paper`.",
        )
    return open_envelope(own.read_bytes(), own_age_key(node), repository=_repository_in(folder, ""))


def own_age_key(node: Node) -> Secret:
    return Secret((node.layout.keys / "age").read_bytes())


def is_used(node: Node, service: str, grant: Grant) -> bool:
    """Whether the repository here was written under `grant` or a later one: it must not be adopted again."""
    layout = node.service(service)
    if not (layout.repository / "config").exists() or not (layout.key / "passphrase").exists():
        return False
    return (next_nonce(own_repository(layout)) or 0) > grant.nonce_floor


def continue_under(node: Node, service: str, sealed: Sealed, raw_grant: bytes, key: ServiceKey) -> Grant:
    """Adopt the fetched generation and write on under the grant. The grant counts only once the repository stands."""
    grant = check_grant(node, service, raw_grant)
    layout, chain = node.service(service), chain_of(node, service)
    folder = staging(node, service)
    known = chain.grants()
    # Whoever took it over showed the grant to the vaults before, and may have been told of it by them since.
    is_known = grant.epoch in known and known[grant.epoch].statement == grant.statement
    if grant.epoch < max(known, default=0) or (grant.epoch in known and not is_known) or is_used(node, service, grant):
        raise Refused(f"epoch {grant.epoch} was granted before.", remedy="Ask for a new grant.")
    if grant.repository != repository_id(folder):
        raise Refused("this grant is for another repository than the one fetched.")
    node.bundle.revoked.check_writing({**chain.grants(), grant.epoch: grant})
    holding = node.holding(service)
    with locked(layout.lock, what=f"the service {service}"):
        adopt(layout, sealed, lambda entry: folder / entry.path, key, grant)
        chain.add(sealed.header, sealed.listing)
        chain.add_grant(grant)
        if holding.grants.exists():
            # The former writer must be refused here too, before any other peer tells this vault.
            sealer_of(node).keep(service, [grant])
        remember(node, service, sealed)
        forget(node, service)
        shutil.rmtree(folder)
        layout.handed.unlink(missing_ok=True)
    node.journal.write("adopted", service=service, generation=str(sealed.header.id), epoch=grant.epoch)
    return grant
