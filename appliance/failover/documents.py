"""Signed documents that nodes and brokers show each other: grants, releases, acts. One that does not check out is
ignored.

It does not matter which node brings a document, since each carries its own proof; so nodes send all that they have, and
a broker that was just started knows within seconds what the others know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.trust import act, grant, release, voted
from appliance.trust.act import OBEYED_BY_FAILOVER, Act, Operator, read_act
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from appliance.trust.release import Release, read_release
from appliance.trust.signed import FORMAT, NAME, digest_of, parse, split

KEPT_MAX = 1024
BYTES_MAX = 16384
ACTS_AT_ONCE_MAX = 4
"""Each costs a process that checks its signature; who brings more brings the others with the next call."""
PART_MAX = 64
PART_BYTES_MAX = 96 * 1024
"""The size of documents in one call, whose line may have 256 KiB: quoted in JSON they are up to twice as long."""
_KINDS = (grant.TYPE, grant.REQUEST_TYPE, voted.TYPE, release.TYPE, act.TYPE)
_FORMATS = {release.TYPE: release.FORMATS}
_TYPES = {it: f'{{"type": "{it}"'.encode() for it in _KINDS}


@dataclass
class SignedDocuments:
    """The documents shown so far. `granters` says whose grants of a service are believed, `operators` whose acts
    are."""

    granters: Callable[[str], Granters]
    operators: Callable[[], Collection[Operator]]
    on_news: Callable[[], object] = lambda: None
    """Called when a newer document was shown, by the caller who showed it: what depends on it need not be polled
    for."""
    grants: dict[str, Grant] = field(default_factory=dict)
    """The newest of each service."""
    releases: dict[str, Release] = field(default_factory=dict)
    """The release of the newest grant of each service."""
    unbelieved: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The epoch of a grant that was shown for a service and is not believed here, and why: the present voters did not
    sign it, and nobody confirmed it. It goes when one that is as new is believed."""
    _acts: dict[str, tuple[Act, Collection[Operator]]] = field(default_factory=dict)
    """By digest, with the operators of the time, one of which is the signer."""
    _seen: set[str] = field(default_factory=set)

    def take(self, raws: Iterable[bytes]) -> bool:
        """Keep what checks out and is newer than what is known; grants first, since releases are judged by them. True
        when an act among them is not signed as it says."""
        new = [raw for raw in raws if len(raw) <= BYTES_MAX and digest_of(raw) not in self._seen]
        if not new:
            return False
        known, forged = self._known(), False
        for raw in _at_once(new):
            try:
                self._take(raw)
            except (ApplianceError, OSError) as error:
                forged = forged or (_is(raw, act.TYPE) and isinstance(error, IntegrityError))
                continue
            if len(self._seen) >= KEPT_MAX:
                self._seen.clear()
            self._seen.add(digest_of(raw))
        if self._known() != known:
            self.on_news()
        return forged

    def _known(self) -> tuple[object, ...]:
        return tuple(self.grants.values()), tuple(self.releases.values()), tuple(self._acts)

    def _take(self, raw: bytes) -> None:
        if _is(raw, grant.TYPE, voted.TYPE):
            self._take_grant(raw)
        elif _is(raw, release.TYPE):
            self._take_release(raw)
        elif _is(raw, act.TYPE):
            operators = self.operators()
            found = read_act(raw, operators)
            if found.act in OBEYED_BY_FAILOVER and len(self._acts) < KEPT_MAX:
                self._acts[found.document.digest] = found, operators

    def acts(self) -> tuple[Act, ...]:
        """Those whose signers are operators still who may sign them: each is checked again when another bundle says who
        that is."""
        operators = self.operators()
        for digest, (found, among) in tuple(self._acts.items()):
            if among != operators:
                self._check_again(digest, found, operators)
        return tuple(found for found, among in tuple(self._acts.values()) if among == operators)

    def _check_again(self, digest: str, found: Act, operators: Collection[Operator]) -> None:
        try:
            self._acts[digest] = read_act(found.document.raw, operators), operators
        except (IntegrityError, Refused):
            self._acts.pop(digest, None)
            self._seen.discard(digest)
        except (ApplianceError, OSError):
            return  # the check itself failed: it does not count until the next one

    def _take_grant(self, raw: bytes) -> None:
        service = service_of(raw)
        try:
            found = self.granters(service).read(raw)
        except Refused as error:
            self._note_unbelieved(service, _epoch_in(raw), error.what)
            raise
        known = self.grants.get(service)
        if known is None or found.epoch > known.epoch:
            self.grants[service] = found
        if found.epoch >= self.unbelieved.get(service, (0, ""))[0]:
            self.unbelieved.pop(service, None)

    def _note_unbelieved(self, service: str, epoch: int, why: str) -> None:
        if epoch > max(newest(self.grants, service), self.unbelieved.get(service, (0, ""))[0]):
            self.unbelieved[service] = epoch, why
        if len(self.unbelieved) > KEPT_MAX:  # names that somebody made up
            del self.unbelieved[next(iter(self.unbelieved))]

    def _take_release(self, raw: bytes) -> None:
        service = service_of(raw)
        if (granted := self.grants.get(service)) is None:
            raise Refused("the grant that this release ends is not known yet.")
        found = read_release(raw, granted.writer_key)
        if found.epoch > granted.epoch:
            raise Refused("the grant that this release ends is not known yet.")
        if (found.epoch, found.holder) == (granted.epoch, granted.writer):
            known = self.release_of(service)
            # One that names a generation binds more than one of a former version, which names none.
            self.releases[service] = max((known, found), key=lambda it: it.generation) if known else found

    def release_of(self, service: str) -> Release | None:
        """The release of the newest grant of `service`; None when its writer has not let go."""
        found, granted = self.releases.get(service), self.grants.get(service)
        return found if found and granted and found.epoch == granted.epoch else None

    def last_of(self, service: str) -> str:
        """The generation that the last release of `service` named, "" without one: a writer that was granted it since
        and never opened it left nothing newer."""
        found = self.releases.get(service)
        return found.generation if found else ""


def service_of(raw: bytes) -> str:
    """Which service a grant, a request or a release is about, as it says; nothing of it is checked yet."""
    (kind,) = [it for it in _TYPES if _is(raw, it)] or [grant.TYPE]
    name = parse(split(raw, kind)[0], kind, _FORMATS.get(kind, (FORMAT,))).get("service")
    return name if isinstance(name, str) and NAME.fullmatch(name) else ""


def _epoch_in(raw: bytes) -> int:
    """The epoch of a grant, as it says; nothing of it is checked."""
    (kind,) = [it for it in (grant.TYPE, voted.TYPE) if _is(raw, it)]
    epoch = parse(split(raw, kind)[0], kind).get("epoch")
    return epoch if isinstance(epoch, int) else 0


def next_part(documents: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """Return the part of `documents` that goes with one call, and whether no grant and no release is left for the next
    one."""
    raws = [text.encode() for text in documents]
    part, size = list[bytes](), 0
    for raw in _at_once(raws)[:PART_MAX]:
        size += len(raw)
        if part and size > PART_BYTES_MAX:
            break
        part.append(raw)
    left = set(raws).difference(part)
    return tuple(raw.decode() for raw in part), all(_is(raw, act.TYPE) for raw in left)


def newest(grants: Mapping[str, Grant], service: str) -> int:
    """The newest epoch of `service` among `grants`, 0 when there is none."""
    found = grants.get(service)
    return found.epoch if found else 0


def _at_once(raws: Iterable[bytes]) -> list[bytes]:
    """Those of `raws` that one call may bring, in the order in which they can be judged: releases are by grants."""
    ordered = sorted(raws, key=lambda raw: (_is(raw, act.TYPE), not _is(raw, grant.TYPE, voted.TYPE)))
    others = sum(not _is(raw, act.TYPE) for raw in ordered)
    return ordered[: others + ACTS_AT_ONCE_MAX]


def _is(raw: bytes, *types: str) -> bool:
    return any(raw.startswith(_TYPES[it]) for it in types)
