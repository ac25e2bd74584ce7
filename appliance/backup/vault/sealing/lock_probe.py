"""Prove the retention lock instead of believing in it: try to change what is sealed, as the account that receives.

    python3 -m appliance.backup.vault.sealing.lock_probe STATE FILE     as appliance-vault, by a timer; writes FILE

Two things are tried for each service held. The receiving account must not be able to change a sealed file; the tries
lose nothing where it can after all: the file is opened for writing and nothing is written, its mode is set to what it
is, a name is made beside it and taken away again. And the *canary*, the oldest generation that is still locked, must be
whole: on the last day of its lock as on the first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.backup.vault.evidence import read_own_receipt
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.probed import Probed, save
from appliance.backup.vault.store import Replica
from appliance.backup.vault.stored import Stored
from appliance.errors import ApplianceError
from appliance.node.handle import Node, open_node

OLDER_MAX = 1000


def probe(node: Node, service: str) -> Probed:
    """Try the lock of `service` at this node, under the account of this process."""
    replica = replica_of(node, service)
    lock_seconds = node.bundle.last_terms(service).service.lock_seconds
    locked = _locked(node, replica, lock_seconds)
    canary = max(locked, key=lambda item: locked[item], default=None)
    broken = next((item.name for item in locked if item.pruned), "")
    if canary and not broken and canary.held and not _is_whole(replica, canary):
        broken = canary.name
    return Probed(node.clock.now(), _allowed(replica, canary), broken, locked[canary] if canary else None)


def _locked(node: Node, replica: Replica, lock_seconds: int) -> dict[Stored, int]:
    """Return the generations received less than the lock ago, with their ages in seconds; the oldest first.

    Generations come in their order, apart from those that other replica nodes hand on: the search ends after many that
    are older than the lock, or it would check a signature for each one ever made.
    """
    found: dict[Stored, int] = {}
    older = 0
    for item in reversed(replica.stored()):
        age = _age(node, replica, item)
        if age is not None and age < lock_seconds:
            found[item], older = age, 0
        elif (older := older + 1) == OLDER_MAX:
            break
    return dict(reversed(found.items()))


def _age(node: Node, replica: Replica, item: Stored) -> int | None:
    """How long ago, by the ageing clock, this node signed for it; None for what it never signed for."""
    try:
        return max(0, node.ageing.now() - read_own_receipt(node, replica, item.name).age_seconds)
    except ApplianceError:
        return None


def _is_whole(replica: Replica, item: Stored) -> bool:
    return not replica.missing(replica.entries(item.name))


def _allowed(replica: Replica, canary: Stored | None) -> tuple[str, ...]:
    """Return what this account could do to a sealed blob of `canary`, to its receipt and to the folders they are in."""
    if canary is None or not canary.listed:
        return ()
    blob = replica.blob(replica.entries(canary.name)[0].sha256)
    done = []
    for path in (blob, replica.path(canary.name, "receipt")):
        for what, attempt in _attempts(path).items():
            try:
                attempt()
            except OSError:
                continue
            done.append(f"{what} {path.parent.name}/{path.name}")
    return tuple(done)


def _attempts(path: Path) -> Mapping[str, Callable[[], object]]:
    return {
        "write to": lambda: os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)),
        "set the mode of": lambda: path.chmod(path.stat().st_mode & 0o7777),
        "create a file beside": lambda: _name_beside(path.with_name(".probe")),
    }


def _name_beside(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    path.unlink()


def probe_all(node: Node) -> dict[str, Probed]:
    """Every service that is held here; one that cannot be tried hides no other, and stays unknown."""
    found = {}
    for service in (*node.bundle.territory.services, *node.bundle.former.services):
        if replica_of(node, service).generations.exists():
            try:
                found[service] = probe(node, service)
            except (ApplianceError, OSError) as error:
                print(f"{service}: {error}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    state, file = sys.argv[1:]
    save(Path(file), probe_all(open_node(Path(state))))


if __name__ == "__main__":
    main()
