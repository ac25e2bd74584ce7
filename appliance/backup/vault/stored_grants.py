"""Grants as a vault keeps them: each was judged before it was kept, by the voters of then, and stays good."""

from __future__ import annotations

from appliance.backup.vault.store import Replica
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters


def granters_at(replica: Replica, bundle: Bundle) -> Granters:
    """The signers whose grants this vault believes: grants that it keeps already stay good, whichever nodes vote by
    now."""
    return bundle.granters.keeping(replica.grant(epoch) for epoch in replica.epochs())


def stored_grant(replica: Replica, bundle: Bundle, epoch: int) -> Grant:
    """The grant of `epoch` kept in `replica`, its signatures checked again."""
    raw = replica.grant(epoch)
    return bundle.granters.keeping([raw]).read(raw)
