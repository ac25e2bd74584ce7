"""A peer that lies: what it says in the place of its vault's answers, and what it says to others unasked.

It has its own keys and, of the whole territory, every document and every byte that was ever sealed. It draws what it
says from its habit: true of something else, forged by its own key, cut, too large, never ending, silent.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.backup.vault.wire import REFUSALS, Channel, Closed
from appliance.clock import utc_text
from appliance.errors import ApplianceError
from appliance.trust.absence import make_absence
from appliance.trust.generation import Header, make_header
from appliance.trust.grant import Grant, make_grant, make_request, read_request
from appliance.trust.keys import public_line
from appliance.trust.receipt import make_receipt
from appliance.trust.still.receipt import make_still_receipt
from appliance.trust.still.statement import make_still, read_still
from appliance.units import DAY
from tests.integration.liar.lying_channel import LyingChannel
from tests.worlds.vaults import (
    NAMES,
    REPOSITORY,
    SERVICE,
    TIME,
    Generation,
    VaultWorld,
    ask,
    offer,
    push,
    send_frame,
)

ASKS_MAX = 200
"""So often it asks for the same blob again."""
TRUTHFUL = 0.3
"""How often it says the truth all the same."""
YEAR = 365 * DAY

JUNK: tuple[Any, ...] = (
    *(None, -1, 0, 1, 2**70, True, 1.5, math.inf, "", "x", "../../x", "\ud800", "9" * 5000),
    *([], {}, [None], ["x", "y"], [[]], {"generation": "x"}, [1, 2], [["x", -1]]),
)
HABITS = ("honest", "silent", "cut", "junk", "replay", "foreign", "forge", "refuse", "oversize", "asks", "corrupt")
ATTACKS = ("relay", "relay", "relay", "spoil", "spoil", "headers", "put", "get", "prove", "head", "junk")


@dataclass
class Liar:
    """`foreign`: documents of another service, by kind. `sealed`: all that was ever sealed of the service."""

    vaults: VaultWorld
    name: str
    foreign: Mapping[str, Sequence[str]]
    habit: str = "honest"
    draw: random.Random = field(default_factory=random.Random)
    sealed: dict[str, Generation] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    shown: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    """The errors in this program itself."""

    # Answers

    def answer(self, channel: LyingChannel, frame: Mapping[str, Any]) -> None:
        """In the place of an honest answer `frame`."""
        told = dict(frame)
        earlier = self.shown.setdefault(_kind(told), [])
        earlier.append(told)
        if self.habit == "honest" or self.draw.random() < TRUTHFUL:
            channel.tell(told)
            return
        channel.is_impatient()
        ANSWERS[self.habit](self, channel, told)

    def silent(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        raise Closed("it says nothing.")

    def cut(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        data = json.dumps(frame).encode()
        data = struct.pack(">I", len(data)) + data
        channel.tell_bytes(data[: self.draw.randrange(len(data))])
        raise Closed("it was cut.")

    def junk(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        for _ in range(self.draw.randint(1, 2)):
            name = self.draw.choice([*frame, "refused", "x"])
            if self.draw.random() < 0.2:
                frame.pop(name, None)
            else:
                frame[name] = self.draw.choice(JUNK)
        channel.tell(frame)

    def replay(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        channel.tell(self.draw.choice(self.shown[self.draw.choice([_kind(frame)] * 3 + [*self.shown])]))

    def of_another(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        """Documents of another service among its own, or in their place."""
        for kind in self.draw.sample(("grants", "tips", "headers", "newest", "receipt"), 2):
            said = self.foreign["headers" if kind in ("tips", "newest") else kind.rstrip("s") + "s"]
            if isinstance(frame.get(kind), list):
                frame[kind] = [*frame[kind], self.draw.choice(said)]
            elif kind in frame:
                frame[kind] = self.draw.choice(said)
        channel.tell(frame)

    def forge(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        forgeries = FORGERIES.get(_kind(frame), {})
        for name in self.draw.sample(sorted(forgeries), min(len(forgeries), self.draw.randint(1, 3))):
            forgeries[name](self, frame)
        channel.tell(frame)

    def refuse(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        kind = self.draw.choice([*REFUSALS, "unknown"])
        channel.tell({"refused": kind, "sentence": "no " * 400, "remedy": "rm -rf /", "seconds": 2**60})
        raise Closed("it refused.")

    def oversize(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        if self.draw.random() < 0.5:
            channel.tell_bytes(struct.pack(">I", self.draw.choice([2**26 + 1, 2**31, 2**32 - 1])))
            raise Closed("it announced more than there is.")
        lists = [name for name, value in frame.items() if isinstance(value, list)]
        if lists:
            frame[self.draw.choice(lists)] = ["x" * 40] * 5000
        channel.tell(frame)

    def asks(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        """For what it has, again and again, or for what nobody offered."""
        newest = self.sealed[max(self.sealed)] if self.sealed else None
        if newest is None or _kind(frame) != "receipt":
            channel.tell(frame)
            return
        digest, data = self.draw.choice(sorted(newest.blobs.items()))
        wanted = self.draw.choice([[digest, 0]] * 4 + [["0" * 64, 0], [digest, len(data) + 1], [digest, -1], [None, 0]])
        for _ in range(ASKS_MAX):
            channel.tell({"need": [wanted]})
            channel.read(len(data))
        self.faults.append(AssertionError(f"it was sent {digest} for {ASKS_MAX} times in one push"))

    def corrupt(self, channel: LyingChannel, frame: dict[str, Any]) -> None:
        channel.tell(frame)  # and see `spoil`

    def spoil(self, data: bytes) -> bytes:
        """In the place of raw bytes that it sends."""
        if self.habit != "corrupt" or not data or self.draw.random() < TRUTHFUL:
            return data
        at = self.draw.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if self.draw.random() < 0.7 else data[:at]

    # What only its own key can sign

    def a_header(self) -> Header:
        return self.sealed[self.draw.choice(sorted(self.sealed))].header

    def forged_receipt(self, header: Header | None = None, age_seconds: int | None = None) -> str:
        ages = [0, 1, self.draw.randrange(90) * int(DAY), 2**40]
        return make_receipt(
            self.vaults.signing_key(self.name),
            holder=self.draw.choice([self.name] * 40 + [*NAMES]),
            header=header or self.a_header(),
            time=utc_text(self.vaults.clocks[self.name].now() + self.draw.choice([0, -YEAR, YEAR])),
            age_seconds=self.draw.choice(ages) if age_seconds is None else age_seconds,
        ).decode()

    def forged_still(self) -> dict[str, str]:
        """A word that only the writer may say, of now or of a time to come, with a receipt that is true."""
        key, now = self.vaults.signing_key(self.name), self.vaults.clocks[self.name].now()
        time = utc_text(now + self.draw.choice([0, -DAY, YEAR]))
        statement = make_still(key, header=self.a_header(), number=self.draw.randrange(1, 9), time=time)
        said = read_still(statement, public_line(key))
        receipt = make_still_receipt(key, holder=self.name, still=said, time=time, age_seconds=1)
        return {"statement": statement.decode(), "receipt": receipt.decode()}

    def forged_header(self) -> str:
        after = self.sealed[max(self.sealed)]
        epoch, sequence = after.header.epoch + self.draw.choice([0, 0, 2, 511]), after.header.sequence + 1
        key = self.vaults.signing_key(self.name)
        previous = self.draw.choice([after.header.id.digest, after.header.previous, "0" * 64])
        said = {"epoch": epoch, "sequence": sequence, "previous": previous, "time": TIME}
        return make_header(key, service=SERVICE, listing=after.listing, entries=after.entries, **said).decode()

    def forged_grant(self) -> str:
        key = self.vaults.signing_key(self.name)
        asked = make_request(
            key, service=SERVICE, repository=REPOSITORY, writer=self.name, known_epoch=40, reason="mine"
        )
        return make_grant(key, read_request(asked, public_line(key))).decode()

    def absence(self) -> str:
        now, days = self.vaults.clocks[self.name].now(), self.draw.choice([13, 15, 400])
        return make_absence(
            self.vaults.signing_key(self.name),
            observer=self.draw.choice([self.name] * 3 + [*NAMES]),
            absent=self.draw.choice(NAMES),
            service=self.draw.choice([SERVICE, SERVICE, "docs-d"]),
            since=utc_text(now - days * DAY),
            time=utc_text(now + self.draw.choice([0, 0, -3 * DAY, DAY])),
            last_seen_age=int(days * DAY),
        ).decode()

    # What it says unasked

    def calls(self, at: str) -> str:
        """One session with the vault of `at`; how it ended, in words."""
        attack = self.draw.choice(ATTACKS)
        try:
            with self.vaults.session(at, self.name) as channel:
                _CALLS[attack](self, channel)
        except ApplianceError as error:
            return f"{attack}: {error.what}"
        return attack

    def relay(self, channel: Channel) -> None:
        """A true generation under its own receipt, by which it is as old as it likes."""
        name = self.draw.choice(sorted(self.sealed))
        generation, before = self.sealed[name], self._before(name)
        age = self.draw.choice([0, 3600, 40 * int(DAY), 90 * int(DAY), 100 * int(YEAR), int(YEAR), -1, 2**70, True])
        grants = [grant.document.raw.decode() for grant in self.grants]
        details: dict[str, Any] = {
            "age_seconds": age,
            "receipt": self.forged_receipt(generation.header, self.draw.choice([0, 0, 0, 1800, 2**62])),
            "absences": [self.absence() for _ in range(2)],
            "acts": [self.draw.choice(JUNK), self.draw.choice(grants)] if self.draw.random() < 0.2 else [],
        }
        if self.draw.random() < 0.3:
            details["grants"] = [*grants, self.draw.choice([self.forged_grant(), *self.foreign["grants"]])]
        if self.draw.random() < 0.2:
            generation = replace(generation, blobs={it: self._other(data) for it, data in generation.blobs.items()})
        push(channel, generation, self.grants, before, verb="put-relayed", details=details)

    def spoils(self, channel: Channel) -> None:
        """As `relay`, with wrong starts of the newest files, and a cut."""
        name = max(self.sealed)
        said = {
            "age_seconds": 0,
            "receipt": self.forged_receipt(self.sealed[name].header, 0),
            "acknowledge": True,
        }
        offer(channel, self.sealed[name], self.grants, self._before(name), verb="put-relayed", details=said)
        if needed := channel.read_frame().get("need"):
            digest, offset = needed[0]
            channel.write(bytes(max(1, (len(self.sealed[name].blobs[digest]) - offset) // 2)))

    def headers(self, channel: Channel) -> None:
        """Headers alone: true ones out of their order, forged ones."""
        said = [self.forged_header(), *(it.text for it in self.draw.sample(list(self.sealed.values()), 1))]
        self.draw.shuffle(said)
        grants = [grant.document.raw.decode() for grant in self.grants]
        verb = self.draw.choice(["put", "put-relayed"])
        ask(channel, verb, grants=[*grants, self.forged_grant()][: self.draw.randint(0, 9)], headers=said, list_bytes=0)
        channel.read_frame()

    def put(self, channel: Channel) -> None:
        """As if it were the writer: what the writer sealed, or what it sealed itself."""
        name = max(self.sealed)
        generation = self.sealed[name]
        details = {"headers": [self.forged_header()]} if self.draw.random() < 0.5 else {}
        push(channel, generation, self.grants, self._before(name), details=details)

    def get(self, channel: Channel) -> None:
        name = self.draw.choice([*self.sealed, None, "../x"])
        ask(channel, self.draw.choice(["get", "get-own"]), generation=name, parts=True, known=[], alone=True)
        answer = channel.read_frame()
        channel.read(answer["list_bytes"])
        channel.write_frame({"want": [[self.draw.choice(["0" * 64, "x"]), self.draw.choice([0, -1, 2**60])]]})
        channel.read_frame()

    def prove(self, channel: Channel) -> None:
        ask(channel, "prove", challenge=self.draw.choice(["0" * 64, "x", 7]), blobs=self.draw.choice(JUNK))
        channel.read_frame()

    def head(self, channel: Channel) -> None:
        ask(channel, "head", self.draw.choice([SERVICE, "docs-d", "x", "../x"]), brief=self.draw.choice(JUNK))
        channel.read_frame()

    def any_junk(self, channel: Channel) -> None:
        names = ("headers", "grants", "list_bytes", "receipt", "age_seconds", "acts", "absences", "recheck")
        said = {name: self.draw.choice(JUNK) for name in self.draw.sample(names, 4)}
        verb = self.draw.choice(["put", "put-relayed", "head", "get", "prove", "x"])
        frame = {"appliance": 1, "verb": verb, "service": SERVICE, **said}
        send_frame(channel, self.draw.choice([frame, frame, frame, *JUNK[:-4]]))
        channel.read_frame()

    def _before(self, name: str) -> list[Generation]:
        """Return the generations that lead to `name`, oldest first."""
        by_digest = {it.header.id.digest: it for it in self.sealed.values()}
        found: list[Generation] = []
        step = by_digest.get(self.sealed[name].header.previous)
        while step:
            found.insert(0, step)
            step = by_digest.get(step.header.previous)
        return found

    def _other(self, data: bytes) -> bytes:
        return bytes(len(data)) if self.draw.random() < 0.5 else data


def _kind(frame: Mapping[str, Any]) -> str:
    """Which answer it is."""
    for name, key in (("head", "tips"), ("get", "list_bytes"), ("need", "need"), ("proofs", "proofs")):
        if key in frame:
            return name
    return "receipt" if "receipt" in frame else "other"


def _forged(name: str, value: Callable[[Liar, Any], Any]) -> Callable[[Liar, dict[str, Any]], None]:
    def forge(liar: Liar, frame: dict[str, Any]) -> None:
        frame[name] = value(liar, frame.get(name))

    return forge


def _claim(liar: Liar, frame: dict[str, Any]) -> None:
    """To hold something true that it may not have."""
    header = liar.a_header() if liar.draw.random() < 0.5 else liar.sealed[max(liar.sealed)].header
    frame["newest"] = header.document.raw.decode()
    frame["receipt"] = liar.forged_receipt(header)
    frame["held"] = sorted({*frame["held"], header.id.name})


def _names(liar: Liar, said: Any) -> list[str]:
    some = liar.draw.sample(sorted(liar.sealed), liar.draw.randint(0, len(liar.sealed)))
    return liar.draw.choice([[], sorted(liar.sealed), some, ["00002.0000000001.0123456789abcdef", *some], ["x"]])


FORGERIES: Mapping[str, Mapping[str, Callable[[Liar, dict[str, Any]], None]]] = {
    "head": {
        "more grants": _forged("grants", lambda liar, it: [*it, liar.forged_grant()]),
        "fewer grants": _forged("grants", lambda liar, it: it[: liar.draw.randint(0, len(it))]),
        "more tips": _forged("tips", lambda liar, it: [*it, liar.forged_header()]),
        "older tips": _forged("tips", lambda liar, it: [liar.a_header().document.raw.decode()]),
        "no tips": _forged("tips", lambda liar, it: []),
        "held": _forged("held", _names),
        "damaged": _forged("damaged", _names),
        "thinned": _forged("thinned", _names),
        "nothing newest": _forged("newest", lambda liar, it: None),
        "claims": _claim,
        "claims again": _claim,
        "newest of its own": _forged("newest", lambda liar, it: liar.forged_header()),
        "receipt": _forged("receipt", lambda liar, it: liar.forged_receipt()),
        "age": _forged("age_seconds", lambda liar, it: liar.draw.choice([0, -5, 2**40, it + int(YEAR)])),
        "forks": _forged("forks", lambda liar, it: ["2.1", "2.2", "4.1", "x"]),
        "absences": _forged("absences", lambda liar, it: [*it, *(liar.absence() for _ in range(4))]),
        "reads": _forged("reads", lambda liar, it: {"generation": liar.draw.choice([0, 1, 99, "2"])}),
        "still": _forged("still", lambda liar, it: liar.draw.choice([1, {}, {"statement": "x", "receipt": []}])),
        "still of its own": _forged("still", lambda liar, it: liar.forged_still()),
        "known": _forged("known", lambda liar, it: 2**62),
    },
    "get": {
        "another": _forged("generation", lambda liar, it: liar.draw.choice([*liar.sealed])),
        "a longer list": _forged("list_bytes", lambda liar, it: it + 64),
        "a shorter list": _forged("list_bytes", lambda liar, it: max(1, it - 64)),
        "no headers": _forged("headers", lambda liar, it: []),
        "another header": _forged("headers", lambda liar, it: [liar.a_header().document.raw.decode()]),
        "its own header": _forged("headers", lambda liar, it: [*it, liar.forged_header()]),
        "more to come": _forged("more", lambda liar, it: True),
        "no grants": _forged("grants", lambda liar, it: []),
        "its own grant": _forged("grants", lambda liar, it: [*it, liar.forged_grant()]),
    },
    "need": {  # a receipt for what it never took
        "receipt": _forged("receipt", lambda liar, it: liar.forged_receipt(liar.sealed[max(liar.sealed)].header)),
    },
    "receipt": {
        "receipt": _forged("receipt", lambda liar, it: liar.forged_receipt()),
        "of the newest": _forged("receipt", lambda liar, it: liar.forged_receipt(liar.sealed[max(liar.sealed)].header)),
    },
    "proofs": {
        "proofs": _forged("proofs", lambda liar, it: [None if liar.draw.random() < 0.5 else "0" * 64] * len(it))
    },
}
ANSWERS: Mapping[str, Callable[[Liar, LyingChannel, dict[str, Any]], None]] = {
    "silent": Liar.silent,
    "cut": Liar.cut,
    "junk": Liar.junk,
    "replay": Liar.replay,
    "foreign": Liar.of_another,
    "forge": Liar.forge,
    "refuse": Liar.refuse,
    "oversize": Liar.oversize,
    "asks": Liar.asks,
    "corrupt": Liar.corrupt,
}
_CALLS: Mapping[str, Callable[[Liar, Channel], None]] = {
    "relay": Liar.relay,
    "spoil": Liar.spoils,
    "headers": Liar.headers,
    "put": Liar.put,
    "get": Liar.get,
    "prove": Liar.prove,
    "head": Liar.head,
    "junk": Liar.any_junk,
}
