"""Forget in the writer's own repository what its retention does not keep; the choice is `backup/keep.py`'s."""

from __future__ import annotations

from collections.abc import Collection

from appliance.backup.keep import Candidate, Drop, Keep, keep
from appliance.borg.client import Borg
from appliance.borg.names import is_numbered
from appliance.territory.model import Retention


def choose(borg: Borg, service: str, retention: Retention, pinned: Collection[str] = ()) -> tuple[Keep | Drop, ...]:
    """What `forget` would do with each archive that a run of `service` named; of others nothing is ever forgotten."""
    own = (it for it in borg.archives() if is_numbered(it.name, service))
    return keep((Candidate(it.name, it.start_utc_seconds) for it in own), retention, pinned)


def forget(borg: Borg, service: str, retention: Retention, pinned: Collection[str] = ()) -> tuple[str, ...]:
    """Forget them and return their names, oldest first. One command lists and one forgets: what a cut leaves is all of
    the archives, or those chosen. `pinned` are names that an unended restore still needs."""
    chosen = choose(borg, service, retention, pinned)
    forgotten = tuple(it.name for it in chosen if isinstance(it, Drop))
    if forgotten:
        borg.delete(forgotten)
    return forgotten
