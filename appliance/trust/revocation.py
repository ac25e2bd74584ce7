"""The revocations of the territory: keys that nobody believes any more, and epochs whose repository key they could
know.

Both are in the bundle and in every later one, for ever: a node refuses a bundle that forgets one. A revocation is of
keys, not of a name: a new box may take the place of a stolen one, with keys of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from appliance import typed
from appliance.errors import IntegrityError, Refused
from appliance.trust.generation import EPOCH_MAX
from appliance.trust.grant import Grant
from appliance.trust.keys import PublicKeys


@dataclass(frozen=True)
class Revocation:
    """The keys that `node` showed until then; `since` is UTC."""

    node: str
    keys: PublicKeys
    since: str
    reason: str


@dataclass(frozen=True)
class Ended:
    """Up to `epoch`, somebody revoked could know the key of `service`: nothing is written under these epochs any more,
    nor to a repository that was written under one of them."""

    service: str
    epoch: int


@dataclass(frozen=True)
class Revoked:
    """All that was ever taken back."""

    revocations: tuple[Revocation, ...] = ()
    ended: Mapping[str, int] | None = None

    def ended_epoch(self, service: str) -> int:
        """The last epoch of `service` whose key is not its own any more; 0 when there is none."""
        return (self.ended or {}).get(service, 0)

    @property
    def keys(self) -> frozenset[str]:
        """Every public key that was taken back."""
        return frozenset(key for it in self.revocations for key in asdict(it.keys).values() if key)

    def has_any(self, keys: PublicKeys) -> bool:
        """Whether one of `keys` was taken back."""
        return not self.keys.isdisjoint(asdict(keys).values())

    def check(self, node: str, keys: PublicKeys) -> None:
        """Raise Refused when `node` shows a key that was taken back."""
        if self.has_any(keys):
            raise Refused(
                f"{node} shows a key that was revoked.",
                remedy=f"A new box may replace it with new keys, in an empty state folder: `{typed.INIT}`.",
            )

    def check_writing(self, grants: Mapping[int, Grant]) -> None:
        """Raise Refused unless the newest of `grants`, by epoch, may be written under: it was not ended, and it is for
        another repository than those that were."""
        newest = grants[max(grants)]
        ended = self.ended_epoch(newest.service)
        former = {grant.repository for epoch, grant in grants.items() if epoch <= ended}
        if newest.epoch > ended and newest.repository not in former:
            return
        raise Refused(
            f"{newest.service} must not be written in epoch {newest.epoch}: a node that was revoked could know its "
            "key.",
            remedy=f"Start it over, with a new key, on its origin: `{typed.begin(newest.service)}`.",
        )

    def check_keeps(self, before: Revoked) -> None:
        """Raise Refused when something that `before` took back is not taken back here."""
        shorter = [name for name, epoch in (before.ended or {}).items() if self.ended_epoch(name) < epoch]
        if before.keys - self.keys or shorter:
            raise Refused(
                "the bundle lacks a revocation that is in force here.",
                remedy=f"Sign it with --previous, the bundle in force: `{typed.SIGN_AGAIN}`.",
            )


NOTHING = Revoked()


def to_json(revoked: Revoked) -> dict[str, Any]:
    """The fields of a bundle; none where nothing was taken back, so that such a bundle is as it always was."""
    fields: dict[str, Any] = {}
    if revoked.revocations:
        fields["revoked"] = [
            {"node": it.node, "keys": {k: v for k, v in asdict(it.keys).items() if v}, "since": it.since}
            | {"reason": it.reason}
            for it in revoked.revocations
        ]
    if revoked.ended:
        fields["ended"] = [{"service": name, "epoch": epoch} for name, epoch in sorted(revoked.ended.items())]
    return fields


def from_json(fields: Mapping[str, Any]) -> Revoked:
    """The inverse of `to_json`; raise KeyError, TypeError or IntegrityError for anything else."""
    return Revoked(
        tuple(_revocation(it) for it in fields.get("revoked", ())),
        dict(_ended(it) for it in fields.get("ended", ())),
    )


def _revocation(value: Mapping[str, Any]) -> Revocation:
    return Revocation(str(value["node"]), PublicKeys(**value["keys"]), str(value["since"]), str(value["reason"]))


def _ended(value: Mapping[str, Any]) -> tuple[str, int]:
    epoch = value["epoch"]
    if type(epoch) is not int or not 1 <= epoch <= EPOCH_MAX:
        raise IntegrityError('appliance/bundle: field "ended" is malformed.')
    return str(value["service"]), epoch


def revoke(before: Revoked, revocation: Revocation, ended: Iterable[Ended]) -> Revoked:
    """`before` and `revocation`, which ends the epochs `ended`."""
    merged = dict(before.ended or {})
    for it in ended:
        merged[it.service] = max(it.epoch, merged.get(it.service, 0))
    return Revoked((*before.revocations, revocation), merged)
