"""Forget in the writer's own repository what its retention does not keep; the choice is `backup/keep.py`'s."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from appliance.backup.keep import Candidate, Drop, Keep, keep
from appliance.backup.manifest import Manifest
from appliance.backup.manifests import read_all
from appliance.borg.client import Borg
from appliance.borg.model import Archive
from appliance.borg.names import companion_of, is_numbered
from appliance.territory.model import Retention


def choose(borg: Borg, service: str, retention: Retention, pinned: Collection[str] = ()) -> tuple[Keep | Drop, ...]:
    """What `forget` would do with each archive that a run of `service` named; of others nothing is ever forgotten."""
    return _choose(borg.commented(), service, retention, pinned)


def forget(borg: Borg, service: str, retention: Retention, pinned: Collection[str] = ()) -> tuple[str, ...]:
    """Forget them and return their names, oldest first. One command lists and one forgets: what a cut leaves is all of
    the archives, or those chosen. A companion goes with its archive. `pinned`: names that an unended restore needs."""
    listed = borg.commented()
    chosen = _choose(listed, service, retention, pinned)
    forgotten = tuple(it.name for it in chosen if isinstance(it, Drop))
    left = {it.name for it in listed} - {*forgotten}
    companions = tuple(name for name in left if (about := companion_of(name)) and about not in left)
    if names := (*forgotten, *companions):
        borg.delete(names)
    return forgotten


def _choose(
    listed: Sequence[Archive], service: str, retention: Retention, pinned: Collection[str]
) -> tuple[Keep | Drop, ...]:
    said, own = read_all(listed), (it for it in listed if is_numbered(it.name, service))
    return keep((_candidate(it, said[it.name]) for it in own), retention, pinned)


def _candidate(archive: Archive, manifest: Manifest | None) -> Candidate:
    """An archive that says nothing is of a former version, and counts as whole."""
    is_whole, aged = manifest is None or manifest.whole, manifest.aged if manifest else None
    return Candidate(archive.name, archive.start_utc_seconds, is_whole, aged)
