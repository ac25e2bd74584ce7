"""Check a held generation with borg itself and without any key: that its files are a repository, whole by its CRCs.

borg writes into what it checks: it rewrites `config`, makes an index and takes locks. So it gets a view: a new folder
in which only the `data/` files are links into the pool, `config` and `README` are copies, and there is no index (an
old one gives false errors). Segments it only reads. The pool's files are read-only too, but that would not stop root.

It runs as the account that calls it, which the answer names. In process mode there is no other, so a borg that turned
against its caller could read what the node may; on a host `checker.py` has another account do it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.peers.adopt import linked_folders
from appliance.backup.peers.fetch import read_held
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import Replica
from appliance.borg.client import Borg
from appliance.borg.errors import RepositoryDamaged
from appliance.borg.model import Repository
from appliance.host.files import make_private_folder
from appliance.node.handle import Node
from appliance.trust.generation import Entry


@dataclass(frozen=True)
class ViewChecked:
    """`generation` is the folder name of the one checked; `fault` what borg says of it, "" when it is whole; `account`
    is who ran it."""

    service: str
    generation: str
    fault: str
    account: str


def check_here(node: Node, service: str, name: str | None = None, place: Path | None = None) -> ViewChecked:
    """Run a keyless `borg check --repository-only` on generation `name` (None: the newest held here), as this account.

    `place` is where the view is laid out, with room for borg's index; None: in the node's own folder. Raise NotFound
    when it is not held, and borg's own errors when it could not run.
    """
    sealed = read_held(node, service, name)
    with tempfile.TemporaryDirectory(dir=make_private_folder(place or node.layout.run), prefix="view-") as folder:
        repository = Path(folder).resolve() / "repository"
        link_view(replica_of(node, service), sealed.entries, repository)
        try:
            base, blobs = Path(folder).resolve() / "borg", linked_folders(repository)
            Borg(Repository(repository, base, blobs=blobs)).check_repository()
            fault = ""
        except RepositoryDamaged as error:
            fault = error.what
    return ViewChecked(service, sealed.header.id.name, fault, pwd.getpwuid(os.geteuid()).pw_name)


def link_view(replica: Replica, entries: tuple[Entry, ...], target: Path) -> None:
    """Make `target` a repository of `entries`: links for data files, copies of what borg rewrites, and nothing else."""
    make_private_folder(target)
    for entry in entries:
        path = target / entry.path
        blob = replica.blob(entry.sha256).resolve()
        if entry.path.startswith("data/"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(blob)
        elif entry.path in ("config", "README"):
            shutil.copyfile(blob, path)
            path.chmod(0o600)
