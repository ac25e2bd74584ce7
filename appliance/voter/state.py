"""The broker state: what a voter's broker knows besides the store, and signs by. It knows which nodes call, what they
showed, and which are silent.

Every node calls each broker every two or three seconds. It brings the signed documents that it has, answers the
questions it was asked ("do you still hold?") and takes the next ones along. So brokers ask without opening a connection
to anybody, a node behind a carrier's NAT is asked like all others, and only voters listen.

Callers are served by threads, since documents take processes to check: a reader looks through a copy of each collection
that a thread may add to. All of it is in memory: a broker that was just started knows nothing, has asked nobody, and
therefore signs nothing for one lease. Its promises, which it must never forget, are in their file (`promises.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from appliance.clock import Clock
from appliance.errors import ApplianceError, Busy, Forbidden, Refused
from appliance.failover.documents import SignedDocuments
from appliance.trust.act import OBEYED_BY_FAILOVER, Act
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant, read_request
from appliance.trust.holder_answer import read_holder_answer
from appliance.trust.in_force import in_force, to_tell
from appliance.voter.broker import Acts
from appliance.voter.grant_rules import View
from appliance.voter.probe import GAP_SECONDS_MAX, HolderProbe, begin_probe
from appliance.voter.promises import Promised
from appliance.voter.signing import Signer


@dataclass
class BrokerState:
    """The state of the broker of `voter`. `own_acts` are those that were accepted at this very node."""

    voter: str
    bundle: Callable[[], Bundle]
    clock: Clock
    documents: SignedDocuments
    signer: Signer
    own_acts: Callable[[], Collection[Act]]
    keep: Callable[[Mapping[str, Grant]], None] = lambda grants: None
    """Keeps the newest grants that were judged good, for the next life of this broker."""
    life: str = field(default_factory=lambda: secrets.token_hex(8))
    heard: dict[str, float] = field(default_factory=dict)
    probes: dict[str, HolderProbe] = field(default_factory=dict)
    serving: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The node that says it serves each service, and when: for people to see, nothing is decided by it."""
    ready: dict[str, tuple[int, float]] = field(default_factory=dict)
    """For how many seconds the home of each service has been ready to have it back, as itself said, and when."""
    voting: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """One lock per caller: one vote of it is judged at a time, with the documents it brings for that."""
    forged: set[str] = field(default_factory=set)
    """Callers that showed an act which is not signed as it says: the check was a process, and the answer waits."""
    _taking: set[str] = field(default_factory=set)
    _waiting: set[Callable[[], object]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.documents.on_news = self._wake

    def _wake(self) -> None:
        for wake in tuple(self._waiting):
            wake()

    @property
    def token(self) -> str:
        """Names this life of the broker and the bundle it judges by: a node that shows another token has shown its
        documents to a broker that forgot them, or that judged them by other voters."""
        return f"{self.life}.{self.bundle().serial}"

    @property
    def lease_seconds(self) -> float:
        return float(self.bundle().territory.lease_seconds)

    @property
    def ask_every_seconds(self) -> float:
        """Six questions in a lease, and never so few that silence would have to be counted from the start again."""
        return min(2.5, self.lease_seconds / 6)

    def tick(self) -> None:
        """Ask every writer whose silence would count."""
        now = self.clock.boottime()
        for service, present in tuple(self.documents.grants.items()):
            if self._silence_counts(present):
                challenge = secrets.token_hex(32)
                probe = self.probes.get(service)
                if probe is None or probe.statement != present.statement:
                    self.probes[service] = begin_probe(present, challenge, now)
                else:
                    self.probes[service] = probe.asked(challenge, now)

    def _silence_counts(self, present: Grant) -> bool:
        """A home that may be at work alone is not proven dead by it, and an act about a lost one wants it too."""
        service = self.bundle().territory.services.get(present.service)
        if service is None:
            return False
        lost = any(act.act == "lost" and act.subject == present.writer for act in self.acts_in_force(present.service))
        return service.policy == "exclusive" or present.writer != service.node or lost

    def take_heartbeat(
        self,
        caller: str,
        token: str,
        documents: tuple[str, ...],
        answers: tuple[str, ...],
        serving: tuple[str, ...] = (),
        ready: tuple[str, ...] = (),
    ) -> None:
        """`caller` shows `documents`, answers what it was asked, and says which services it serves, and which of its
        own it could have back since how many seconds."""
        self._take(caller, documents)
        for text in answers:
            self._take_answer(caller, text.encode())
        now = self.clock.boottime()
        self.serving.update((name, (caller, now)) for name in serving if name in self.bundle().territory.services)
        for text in ready:
            self._take_ready(caller, text, now)
        if token == self.token:
            self.heard[caller] = now

    def _take(self, caller: str, documents: tuple[str, ...]) -> None:
        """One caller at a time: each of them is checked in a thread of its own."""
        with self._lock:
            if self.documents.take(text.encode() for text in documents):
                self.forged.add(caller)
            self.keep(self.documents.grants)

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call `wake`, from any thread, when a newer document is shown while somebody waits for news. This wakes
        routing after a takeover, and the node that a release was addressed to."""
        self._waiting.add(wake)
        try:
            yield
        finally:
            self._waiting.discard(wake)

    @contextlib.contextmanager
    def taking_of(self, caller: str, brings: bool) -> Iterator[None]:
        """While `caller` brings signed documents it brings no others, so that nobody keeps this broker busy."""
        if brings and caller in self._taking:
            raise Busy(f"{caller} already has a call in progress.", remedy="Make one call at a time.")
        if brings:
            self._taking.add(caller)
        try:
            yield
        finally:
            if brings:
                self._taking.discard(caller)

    def _take_answer(self, caller: str, raw: bytes) -> None:
        for service, probe in tuple(self.probes.items()):
            present = self.documents.grants.get(service)
            if present is None or present.writer != caller:
                continue
            try:
                held = read_holder_answer(raw, present.writer_key)
            except ApplianceError:
                continue
            self.probes[service] = probe.answered(held, self.clock.boottime())

    def _take_ready(self, caller: str, text: str, now: float) -> None:
        """Nobody is ready for another; who says so wrongly makes clients wait for a handover that does not end."""
        service, _, seconds = text.partition(" ")
        plan = self.bundle().territory.services.get(service)
        if plan is not None and plan.node == caller and seconds.isascii() and seconds.isdigit() and len(seconds) < 10:
            self.ready[service] = int(seconds), now

    def ready_origins(self) -> tuple[str, ...]:
        """Service and seconds of each home that said a moment ago that it could have it back."""
        now = self.clock.boottime()
        return tuple(
            f"{it} {seconds}" for it, (seconds, at) in tuple(self.ready.items()) if now - at <= GAP_SECONDS_MAX
        )

    def served(self) -> tuple[str, ...]:
        """Service and node of what is served, as somebody said a moment ago."""
        now = self.clock.boottime()
        return tuple(f"{name} {who}" for name, (who, at) in tuple(self.serving.items()) if now - at <= GAP_SECONDS_MAX)

    def questions(self, caller: str) -> tuple[str, ...]:
        """Return the present questions for `caller`: service, epoch and challenge of each."""
        mine = (
            (probe, next(reversed(list(probe.open)), ""))
            for service, probe in tuple(self.probes.items())
            if (present := self.documents.grants.get(service)) is not None and present.writer == caller
        )
        return tuple(f"{probe.service} {probe.epoch} {challenge}" for probe, challenge in mine if challenge)

    def news(self, caller: str) -> tuple[str, ...]:
        """The newest grant and release of each service that concerns `caller`, for it to learn who writes, and acts: a
        quarantined node must hear of its own quarantine, and that it was taken back.

        Every node learns the writer of a service with an address: its address is routed there.
        """
        services = self.bundle().territory.services
        concerned = [name for name, it in services.items() if caller in (it.node, *it.standbys)]
        led_to = [name for name, it in services.items() if it.address or name in concerned]
        found = [self.documents.grants[name].document.raw for name in led_to if name in self.documents.grants]
        found += [it.document.raw for name in concerned if (it := self.documents.release_of(name))]
        found += [it.document.raw for it in to_tell(self._known_acts(), self.clock.now())]
        return tuple(raw.decode() for raw in found)

    def vote(self, caller: str, raw: str, documents: tuple[str, ...] = ()) -> bytes:
        """This broker's signature for what `caller` asks in the signed request `raw`, showing `documents`; raise
        Refused otherwise."""
        bundle = self.bundle()
        request = read_request(raw.encode(), bundle.member(caller).keys.sign)
        if request.writer != caller:
            raise Forbidden(f"{caller} asks on behalf of {request.writer}.")
        self._take(caller, documents)

        def look(promised: Promised) -> View:
            now = self.clock.boottime()
            return View(
                voter=self.voter,
                bundle=bundle,
                request=request,
                present=self.documents.grants.get(request.service),
                heard={name for name, at in tuple(self.heard.items()) if now - at <= GAP_SECONDS_MAX},
                promised=promised,
                lease_seconds=float(bundle.territory.lease_seconds),
                now=now,
                time=self.clock.now(),
                release=self.documents.release_of(request.service),
                acts=self.acts_in_force(request.service),
                probe=self.probes.get(request.service),
                unbelieved=self.documents.unbelieved.get(request.service, (0, ""))[1],
            )

        return self.signer.sign(request.service, look)

    def _known_acts(self) -> tuple[Act, ...]:
        found = {it.document.digest: it for it in (*self.own_acts(), *self.documents.acts())}
        return tuple(it for it in found.values() if it.act in OBEYED_BY_FAILOVER)

    def acts_in_force(self, service: str) -> tuple[Act, ...]:
        return tuple(it for it in in_force(self._known_acts(), self.clock.now()) if it.service in ("any", service))

    def acts(self, service: str) -> Acts:
        """Return the meaning of the acts in force for the store. An act by which this broker signed a grant is used up
        there, too, once a newer grant is known: the node that it named cannot stop the next writer by it."""
        subjects: Mapping[str, set[str]] = {"promote": set(), "lost": set(), "quarantine": set()}
        for it in self.acts_in_force(service):
            if it.act == "quarantine" or (it.act in subjects and not self._is_used(service, it)):
                subjects[it.act].add(it.subject)
        return Acts(*(frozenset(subjects[name]) for name in ("promote", "lost", "quarantine")))

    def _is_used(self, service: str, act: Act) -> bool:
        present = self.documents.grants.get(service)
        if present is None:
            return False
        try:
            return not self.signer.promised(service).may_use(act.document.digest, present.epoch)
        except ApplianceError:  # a broker that forgot its promises signs nothing; the store has other guards
            return False

    def unbelieved(self) -> Mapping[str, str]:
        """Why the newest grant that was shown of a service is not believed here, for people to see: anybody may show
        one, so nothing is decided by it."""
        services = self.bundle().territory.services
        return {name: why for name, (_, why) in tuple(self.documents.unbelieved.items()) if name in services}

    def highest(self, service: str) -> int:
        """The highest epoch of `service` that this broker has promised to anybody; 0 when that cannot be told."""
        try:
            return self.signer.promised(service).highest
        except Refused:
            return 0
