"""Files that can never be read, which an operator accepted: a backup without exactly these counts as whole.

    services/SERVICE/accepted.json   where the service is written

A disk with one bad sector or one locked file would otherwise leave a service partial for ever: failed, and not
movable. An accepted file is reported for as long as it lasts, also in the manifest of each archive (`manifest.py`), and
ends with the first run that does not meet it. Names leave this node inside the encrypted archive only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from appliance.backup.peers.adopt import own_repository
from appliance.backup.sources.model import Prepared
from appliance.backup.writer.manifest import Accepted, Manifest
from appliance.backup.writer.manifests import manifest_of, manifests, part_of
from appliance.borg.client import Borg
from appliance.borg.names import time_of
from appliance.errors import UsageError
from appliance.host.files import locked, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.units import as_typed, format_count, printable

FORMAT = 1
NAMED_MAX = 3


def load(layout: ServiceLayout) -> tuple[Accepted, ...]:
    """Return what is accepted here. A file that cannot be read accepts nothing: then the service is reported as partial
    again."""
    try:
        fields = json.loads(_path(layout).read_bytes())
        if fields["format"] != FORMAT:
            return ()
        return tuple(Accepted(str(it[0]), str(it[1]), int(it[2]), int(it[3])) for it in fields["accepted"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, IndexError):
        return ()


def acceptable(node: Node, service: str, paths: Sequence[str]) -> tuple[Accepted, ...]:
    """Return what accepting `paths` now would keep; raise UsageError unless the newest archive here lacks each of
    them."""
    borg = Borg(own_repository(node.service(service)))
    known = manifests(borg, service)
    newest = next(reversed(known), "")
    manifest = manifest_of(borg, newest) if newest else None
    lacking = {it.path: it for it in manifest.left_out if it.path} if manifest else {}
    for path in paths:
        if path not in lacking:
            raise _not_left_out(service, path, tuple(lacking))
    since, now = _partial_since(known), int(node.clock.now())
    return tuple(Accepted(path, lacking[path].reason, since, now) for path in dict.fromkeys(paths))


def accept(node: Node, service: str, paths: Sequence[str], user: str) -> tuple[Accepted, ...]:
    """Accept in the name of `user` that `paths` are left out, for the reasons that the newest archive names."""
    layout = node.service(service)
    with locked(layout.lock, what=f"the service {service}"):
        found = acceptable(node, service, paths)
        for it in found:
            node.journal.write("left-out-accepted", service=service, by=user, path=printable(it.path), reason=it.reason)
        names = {it.path for it in found}
        _save(layout, (*(it for it in load(layout) if it.path not in names), *found))
    return found


def end_of_read(node: Node, service: str, source: Prepared, manifest: Manifest) -> None:
    """After a run: a file that it read, or that is gone at the source, is accepted no more. A path that could not be
    read as a whole ends nothing, since nobody saw its files."""
    layout = node.service(service)
    before = load(layout)
    met = {it.path for it in manifest.accepted} | {it.path for it in manifest.left_out}
    unseen = {index for index, it in enumerate(manifest.paths) if it.state == "failed"}
    lasting = tuple(it for it in before if it.path in met or part_of(source, it.path) in unseen)
    for it in before:
        if it not in lasting:
            node.journal.write("left-out-ended", service=service, path=printable(it.path))
    if lasting != before:
        _save(layout, lasting)


def _partial_since(known: dict[str, Manifest | None]) -> int:
    """When the first archive after the newest whole one was made, UTC seconds."""
    since = 0
    for name, manifest in reversed(known.items()):
        if manifest is None or manifest.whole:
            break
        since = int(time_of(name))
    return since


def _not_left_out(service: str, path: str, lacking: Sequence[str]) -> UsageError:
    what = f"the newest backup of {service} here did not leave out {printable(path)}."
    if not lacking:
        return UsageError(
            what, remedy=f"No single file is missing: `{as_typed('appliance', 'backup', 'list', service)}`."
        )
    named = ", ".join(printable(it) for it in lacking[:NAMED_MAX])
    more = f" and {format_count(len(lacking) - NAMED_MAX, 'more file')}" if len(lacking) > NAMED_MAX else ""
    return UsageError(what, remedy=f"It left out {named}{more}. Names are absolute, as a backup run prints them.")


def _save(layout: ServiceLayout, accepted: Sequence[Accepted]) -> None:
    rows = [[it.path, it.reason, it.since, it.on] for it in accepted]
    write_atomic(_path(layout), json.dumps({"format": FORMAT, "accepted": rows}).encode(), mode=0o600)


def _path(layout: ServiceLayout) -> Path:
    return layout.root / "accepted.json"
