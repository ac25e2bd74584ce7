"""The sizes that the last runs of a service read at its source, kept beside its repository (`shrunken.py` has the
rule).

    services/SERVICE/sizes.json   for the epoch in which it is written here

A writer that has no such record, or one of another epoch, makes it from the manifests in the repository: then a
takeover forgets nothing of a service that had shrunk. A node's own service is left out: its journals are rotated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.backup.vault.free_space import NEARLY_FULL_BYTES
from appliance.backup.writer.manifest import Manifest
from appliance.backup.writer.shrunken import Read, Shrunken, Sizes
from appliance.borg.names import time_of
from appliance.errors import UsageError
from appliance.host.files import locked, write_atomic
from appliance.node.handle import Node
from appliance.territory.implicit import is_implicit
from appliance.units import DAY

FORMAT = 1

type Manifests = Mapping[str, Manifest | None]
"""The manifests of the archives of a service, oldest first; None for one that a former version made."""


def note_run(
    node: Node, service: str, epoch: int, archive: str, manifest: Manifest, kept: Callable[[], Manifests]
) -> Shrunken | None:
    """Compare what the run `archive` read with what the runs before it did, and keep that; what is found shrunken.

    `kept` is asked only where nothing is remembered of this epoch.
    """
    if is_implicit(node.bundle.terms(service).service):
        return None
    age, before = node.ageing.now(), _load(node, service)
    if before is None or before.epoch != epoch:
        others = {name: it for name, it in kept().items() if name != archive}
        before = replace(from_archives(others, age), epoch=epoch)
    sizes = before.with_run(read_of(archive, manifest, age))
    _save(node, service, sizes)
    if sizes.shrunken and not before.shrunken:
        _note_shrunken(node, service, sizes.shrunken.now, sizes.shrunken.before)
    return sizes.shrunken


def read_of(archive: str, manifest: Manifest, age: int) -> Read:
    paths = {it.path: (it.files, it.bytes) for it in manifest.paths if it.state == "read"}
    return Read(archive, age, manifest.whole, paths)


def from_archives(manifests: Manifests, age: int) -> Sizes:
    """As if all of them had been noted, the newest of them now.

    Dates of archives are the writers' clocks: none counts as newer than the one after it, nor as older than a day for
    each archive since, so that a clock that ran ahead takes nothing out of the comparison.
    """
    told = [(name, manifest, time_of(name)) for name, manifest in manifests.items() if manifest]
    sizes = Sizes()
    for (name, manifest, _), ago in zip(told, _ages([time for *_, time in told]), strict=True):
        sizes = sizes.with_run(read_of(name, manifest, age - ago))
    return sizes


def _ages(times: Sequence[float]) -> list[int]:
    ages, ago = [0] * len(times), 0
    for back, index in enumerate(reversed(range(len(times)))):
        since = times[index + 1] - times[index] if back else 0.0
        ago = min(back * DAY, ago + max(0, int(since)))
        ages[index] = ago
    return ages


def load_shrunken(node: Node, service: str) -> Shrunken | None:
    """Return what the last run here found shrunken, while that is not settled."""
    sizes = _load(node, service)
    return sizes.shrunken if sizes else None


def check_shrunken(node: Node, service: str) -> Shrunken:
    """Return what `confirm` would confirm; raise UsageError when nothing waits for that."""
    return _waiting(node, service)[1]


def confirm(node: Node, service: str, user: str) -> None:
    """Take what the last run read for right, in the name of `user`; raise UsageError when nothing waits for that."""
    with locked(node.service(service).lock, what=f"the service {service}"):
        sizes, found = _waiting(node, service)
        now, before = found.now, found.before
        node.journal.write(
            "source-confirmed",
            service=service,
            by=user,
            archive=now.archive,
            files=now.files,
            bytes=now.bytes,
            before=before.archive,
            before_files=before.files,
            before_bytes=before.bytes,
        )
        _save(node, service, sizes.confirmed())


def _waiting(node: Node, service: str) -> tuple[Sizes, Shrunken]:
    sizes = _load(node, service)
    if sizes is None or sizes.shrunken is None:
        raise UsageError(
            f"it is not known here that {service} has shrunk.",
            remedy="A backup detects that on the node that writes the service: see `appliance status` there.",
        )
    return sizes, sizes.shrunken


def _note_shrunken(node: Node, service: str, now: Read, before: Read) -> None:
    node.journal.write(
        "source-shrunken",
        service=service,
        archive=now.archive,
        files=now.files,
        bytes=now.bytes,
        before=before.archive,
        before_files=before.files,
        before_bytes=before.bytes,
    )


def pruning_paused(node: Node, service: str, disk_free: int) -> str:
    """Why no archive of `service` may be forgotten now; "" when it may, as where the disk is nearly full."""
    found = load_shrunken(node, service)
    if found is None or disk_free < NEARLY_FULL_BYTES:
        return ""
    return f"no archive of {service} is deleted while most of it is missing at its source: {found}."


def must_stay(node: Node, service: str) -> tuple[str, ...]:
    """The archives that not even a full disk may cost: what a shrunken service is compared with."""
    found = load_shrunken(node, service)
    return (found.before.archive,) if found else ()


def _path(node: Node, service: str) -> Path:
    return node.service(service).root / "sizes.json"


def _save(node: Node, service: str, sizes: Sizes) -> None:
    found = sizes.shrunken
    fields = {
        "format": FORMAT,
        "epoch": sizes.epoch,
        "recent": [_words(it) for it in sizes.recent],
        "shrunken": [_words(found.now), _words(found.before)] if found else None,
    }
    write_atomic(_path(node, service), json.dumps(fields).encode(), mode=0o600)


def _words(read: Read) -> list[Any]:
    return [read.archive, read.age, read.whole, {path: list(counts) for path, counts in read.paths.items()}]


def _load(node: Node, service: str) -> Sizes | None:
    """Return the record; None where there is none, or it cannot be read: the next run makes it from the archives."""
    try:
        fields = json.loads(_path(node, service).read_bytes())
        if fields["format"] != FORMAT:
            return None
        pair = [_read(words) for words in fields["shrunken"] or ()]
        recent = tuple(_read(words) for words in fields["recent"])
        return Sizes(int(fields["epoch"]), recent, Shrunken(*pair) if pair else None)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _read(words: Any) -> Read:
    archive, age, whole, paths = words
    return Read(str(archive), int(age), bool(whole), {path: (int(it[0]), int(it[1])) for path, it in paths.items()})
