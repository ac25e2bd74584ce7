"""Forget in the writer's own repository what its retention does not keep; the choice is `backup/writer/keep.py`'s."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from appliance.backup.writer import noted_archives
from appliance.backup.writer.keep import Candidate, Drop, Keep, keep
from appliance.backup.writer.manifest import Manifest
from appliance.backup.writer.manifests import read_all
from appliance.borg.client import Borg
from appliance.borg.model import Archive
from appliance.borg.names import branch_of, companion_of, is_checkpoint, is_numbered, number_of
from appliance.host.layout import ServiceLayout
from appliance.territory.model import Retention


def choose(borg: Borg, service: str, retention: Retention, pinned: Collection[str] = ()) -> tuple[Keep | Drop, ...]:
    """Return what `forget` would do with each archive that a run of `service` named; others are never forgotten."""
    return _choose(borg.commented(), service, retention, pinned)


@dataclass(frozen=True)
class Forgotten:
    """`names` of the service's own archives, oldest first; `left` is all that the repository has still."""

    names: tuple[str, ...]
    left: tuple[Archive, ...]


def forget(
    borg: Borg,
    service: str,
    retention: Retention,
    pinned: Collection[str] = (),
    noted: Sequence[Archive] | None = None,
) -> Forgotten:
    """Forget them. One command lists, unless all archives are `noted`, and one forgets: what a cut leaves is all of the
    archives, or those chosen. A companion goes with its archive, and with them what was never finished.
    `pinned`: names that an unended restore needs."""
    everything = borg.everything() if noted is None else noted
    listed = [it for it in everything if branch_of(it.name) is None and not is_checkpoint(it.name)]
    chosen = _choose(listed, service, retention, pinned)
    forgotten = tuple(it.name for it in chosen if isinstance(it, Drop))
    left = {it.name for it in listed} - {*forgotten}
    companions = tuple(name for name in left if (about := companion_of(name)) and about not in left)
    unfinished = _superseded(service, [it.name for it in everything])
    if names := (*forgotten, *companions, *unfinished):
        borg.delete(names)
    return Forgotten(forgotten, tuple(it for it in everything if it.name not in names))


def forget_noted(
    borg: Borg, layout: ServiceLayout, service: str, retention: Retention, pinned: Collection[str] = ()
) -> tuple[str, ...]:
    """The same in the repository of `layout` by what its runs noted, which is noted again; the names of `Forgotten`."""
    noted = noted_archives.load(layout)
    noted_archives.drop(layout)
    forgotten = forget(borg, service, retention, pinned, noted)
    noted_archives.keep(layout, forgotten.left)
    return forgotten.names


def _superseded(service: str, names: Sequence[str]) -> Iterator[str]:
    """Return the remains of runs that were cut: parts of branches, which borg commits when it is interrupted, and those
    of the service before which a run ended. One of a newer run stays: the next run stores again nothing of what it
    has."""
    newest = max((number_of(it) for it in names if is_numbered(it, service) and not is_checkpoint(it)), default=(0, 0))
    for name in filter(is_checkpoint, names):
        if branch_of(name) is not None or (is_numbered(name, service) and number_of(name) <= newest):
            yield name


def _choose(
    listed: Sequence[Archive], service: str, retention: Retention, pinned: Collection[str]
) -> tuple[Keep | Drop, ...]:
    said, own = read_all(listed), (it for it in listed if is_numbered(it.name, service))
    return keep((_candidate(it, said[it.name]) for it in own), retention, pinned)


def _candidate(archive: Archive, manifest: Manifest | None) -> Candidate:
    """An archive that says nothing is of a former version, and counts as whole."""
    is_whole, aged = manifest is None or manifest.whole, manifest.aged if manifest else None
    return Candidate(archive.name, archive.start_utc_seconds, is_whole, aged)
