"""The key of a generation that was fetched, by this node's own age key or by the paper; and where it was fetched to."""

from __future__ import annotations

from pathlib import Path

from appliance import typed
from appliance.borg.folder import repository_id
from appliance.errors import NotFound
from appliance.escrow.envelopes import RECOVERY, ServiceKey, open_envelope, read_key
from appliance.node.handle import Node
from appliance.secret import Secret


def staging(node: Node, service: str) -> Path:
    return node.service(service).root / "fetched"


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
            f"{service} has no envelope for {node.name}.",
            remedy=f"Open it with the recovery key: `{typed.resync(service)} --recovery-sheet`.",
        )
    return open_envelope(own.read_bytes(), own_age_key(node), repository=_repository_in(folder, ""))


def own_age_key(node: Node) -> Secret:
    return Secret((node.layout.keys / "age").read_bytes())
