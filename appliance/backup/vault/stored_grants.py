"""Grants as a vault keeps them: each was judged before it was kept, by the voters of then, and stays good."""

from __future__ import annotations

from appliance.backup.vault.store import Holding
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters


def granters_at(holding: Holding, bundle: Bundle) -> Granters:
    """Whose grants this vault believes: what it keeps already stays good, whoever votes by now."""
    return bundle.granters.keeping(holding.grant(epoch) for epoch in holding.epochs())


def stored_grant(holding: Holding, bundle: Bundle, epoch: int) -> Grant:
    """The grant of `epoch` kept in `holding`, its signatures checked again."""
    raw = holding.grant(epoch)
    return bundle.granters.keeping([raw]).read(raw)
