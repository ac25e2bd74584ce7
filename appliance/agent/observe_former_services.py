"""The replicas in this vault of services that left the territory; the newest generation here, also for those that go
on."""

from __future__ import annotations

from appliance.backup.vault.evidence import read_own_receipt, read_stored_header
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.freeze import why_frozen
from appliance.backup.vault.replicas import replica_names, replica_of
from appliance.backup.vault.store import Replica
from appliance.clock import utc_seconds
from appliance.monitor.view import Generation, Held
from appliance.node.handle import Node
from appliance.trust.generation import Header


def former_services(node: Node) -> tuple[str, ...]:
    """Return the services of this vault that are no longer in the territory."""
    return tuple(name for name in replica_names(node) if name not in node.bundle.territory.services)


def held_of_former(node: Node, service: str, *, thorough: bool) -> Held | None:
    """Return what is still here of a service that left; None once its last copy has gone."""
    terms, replica = node.bundle.care_terms(service), replica_of(node, service)
    newest, known, gone = newest_held(replica), damage.known(replica), node.bundle.left(service)
    if newest is None and not known:
        return None
    header = read_stored_header(node, replica, newest) if newest else None
    receipt = read_own_receipt(node, replica, newest) if newest else None
    return Held(
        service=service,
        rpo_seconds=terms.service.rpo_seconds if terms else 0,
        expected=False,
        newest=generation_of(header) if header else None,
        received=utc_seconds(receipt.time) if receipt else 0.0,
        received_age=receipt.age_seconds if receipt else 0,
        quota_bytes=terms.quota_bytes if terms else 0,
        used_bytes=replica.used_bytes() if thorough else None,
        damage=tuple(f"{item.kind} {item.name}" for item in known),
        frozen=why_frozen(node, service) if thorough else "",
        left=gone.told if gone else "is in no bundle known here",
    )


def newest_held(replica: Replica) -> str | None:
    """The newest generation whose files are here; looking from the newest on spares years of older folders."""
    found = replica.newest_held()
    return found.name if found else None


def generation_of(header: Header, still: float = 0.0) -> Generation:
    said = (
        header.document.format > 1 or not header.whole
    )  # what the writer knows counts, where its header cannot say it
    return Generation(header.id.name, utc_seconds(header.time), header.whole, said, still)
