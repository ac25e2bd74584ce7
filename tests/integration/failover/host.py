"""The agent of a node in simulated time: it calls the real `decide` and does what the real one will do, with delays,
lost questions and lost answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from appliance.failover.fsm.model import (
    Action,
    Copy,
    Decision,
    Local,
    OperatorRequests,
    Proof,
    Record,
    Seen,
    Standing,
    State,
)
from appliance.node.branch import Branch
from tests.integration.failover.machine import LOOKS_EVERY, Machine
from tests.integration.failover.voters import Last

A = Action


class Host(Machine):
    """A machine with its agent."""

    def start_agent(self) -> None:
        """A new process of the agent: what it knew is gone, but for the proof and what came with it, which lie in a
        file of this boot."""
        same_boot = self.world.now > self.booted
        self.proof: Proof | None = self.proof if same_boot else None
        self.deposed_until: float = self.deposed_until if same_boot else 0.0
        self.prior: int = self.prior if same_boot else -1
        self.record: Record | None = None
        self.changes = -1
        self.lost = False
        self.synced = False
        self.last: dict[Action, float] = {}
        self.underway: dict[Action, float] = {}
        self.inbox: list[Callable[[], None]] = []
        self.life = object()
        self.connected = True
        self.healthy = self.writer  # until it is asked
        self.started_at = self.answered_at = 0.0
        self.standing = Standing(State.BOOT, self.clock())
        self.next_look = self.world.now + self.world.draw.uniform(0, LOOKS_EVERY)

    # The agent

    def look(self) -> None:
        for reply in self.inbox:
            reply()
        self.inbox.clear()
        self.hear_what_was_passed_over()
        seen = self.seen()
        decision = self.world.decide(self.standing, seen, self.world.policy, self.world.timers, self.clock())
        self.rows.add(decision.row)
        if decision.standing.state is not self.standing.state:
            more = {"state": str(decision.standing.state), "row": decision.row}
            self.world.tell(self.name, "state", seen.own_epoch, **more)
            self.synced = False
        self.standing = decision.standing
        self.tie_watchdog(decision)
        self._ask_what_runs(decision)
        for action in decision.actions:
            self.act(action, decision)

    def wakes_at(self) -> float:
        """When it must begin to stop, while that lies ahead."""
        at = self.world.when(self, self._demote_at()) if self.proof is not None else self.world.now
        return at if at > self.world.now else math.inf

    def tie_watchdog(self, decision: Decision) -> None:
        if decision.deadline is None:
            self.watchdog = None
        elif self.writer and self.proof is not None:
            self.watchdog = self.world.timers.dead_at(self.proof.sent, self.proof.ttl)

    def seen(self) -> Seen:
        world, disk = self.world, self.disk
        return Seen(
            node=self.name,
            is_origin=self.home,
            rank=self._turn(),
            own_epoch=disk.own_epoch,
            known_epoch=disk.known_epoch,
            refused_by_epoch=disk.refused_by,
            acknowledged_epoch=disk.acknowledged_epoch,
            opened_epoch=disk.base_epoch,
            adopts=disk.base_epoch == 0,
            released=disk.released_epoch == disk.own_epoch > 0,
            lost=self.lost,
            unreplicated_writes=bool(disk.tail),
            branch=disk.branch,
            record=self.record,
            proof=self.proof,
            local=Local(self.writer, self.writable, self.address, self.healthy, self.held, self.copy),
            copy=self._copy(),
            synced=self.synced,
            started_at=self.started_at,
            answered_at=self.answered_at,
            old_writer_stops_at=self.deposed_until,
            origin_ready_since=world.home_ready(self),
            origin=world.names[0],
            requests=OperatorRequests(
                promote=world.promotes == self.name,
                quarantined=self.name in world.quarantined,
                paused=world.paused,
                move_to=world.move_to,
                leaving=self.name in world.leaving,
                hand_back=world.hand_back,
            ),
            last=self.last,
        )

    def _turn(self) -> int:
        names, owner = self.world.names, self.record.owner if self.record else ""
        return sorted(names, key=lambda name: (name == owner, names.index(name))).index(self.name)

    def _copy(self) -> Copy:
        stored, disk = self.world.peers.stored, self.disk
        while disk.pointer < len(stored) and stored[disk.pointer][1] in disk.tree:
            disk.pointer += 1
        first = self.home and not self.world.voters.granted
        lag = self.world.now - stored[disk.pointer][0] if disk.pointer < len(stored) else 0.0
        return Copy(lag, "" if disk.has_copy or first else "there is none here")

    # What it does

    def act(self, action: Action, decision: Decision) -> None:
        if self.underway.get(action, 0.0) > self.world.now:
            return
        self.last[action] = self.clock()
        name = action.name.lower()
        getattr(self, f"_{name}")(decision)

    def _ask(self, action: Action, question: Callable[[], object], answer: Callable[[object, float], None]) -> None:
        """A question to the voters or a peer, which may be lost on either way, and its answer, read at a look."""
        world, sent, life = self.world, self.clock(), self.life
        self.underway[action] = world.now + 2 * world.timers.request

        def arrive() -> None:
            # Over TCP a question arrives once after answers stop coming back; the next connection is never made.
            if not (self.out and world.voters.majority and (self.connected or self.into)):
                return
            self.connected = self.into
            said = question()
            world.later(world.latency(), lambda: come_back(said))

        def come_back(said: object) -> None:
            if self.into and self.powered and life is self.life:
                self.inbox.append(lambda: done(said))

        def done(said: object) -> None:
            self.underway.pop(action, None)
            if self.clock() <= sent + 2 * world.timers.request:  # the deadline of the whole call
                answer(said, sent)

        if self.out:
            world.later(world.latency(), arrive)

    def _take_record(self, said: object, sent: float) -> None:
        assert isinstance(said, tuple)
        if self.record is None or sent >= self.record.asked:
            before, record = self.record, Record(sent, *said[1:-1], granted=said[-1])
            since = before.vacant_since if before is not None and said[0] == self.changes else self.clock()
            self.changes = said[0]
            fresh = self.world.timers.fresh
            heard = before.heard_since if before is not None and sent <= before.asked + fresh else self.clock()
            self.record = replace(record, vacant_since=0.0 if record.holder else since, heard_since=heard)
        self.disk.known_epoch = max(self.disk.known_epoch, self.record.granted)

    def hear(self) -> None:
        """Take the record that a watch brings."""
        said, heard = self.world.said(), self.clock()
        self.inbox.append(lambda: self._take_record(said, heard))

    def _prove(self, epoch: int, sent: float) -> None:
        self.proof, self.lost = Proof(sent, self.world.timers.ttl, epoch), False
        self.world.tell(self.name, "renewal-proven", epoch, sent=self.world.when(self, sent), ttl=self.world.timers.ttl)

    def _read(self, decision: Decision) -> None:
        self._ask(A.READ, self.world.said, self._take_record)

    def _renew(self, decision: Decision) -> None:
        proof = self.proof
        if proof is None:
            return

        def answer(said: object, sent: float) -> None:
            if self.proof is None or self.proof.epoch != proof.epoch:
                return
            if said:
                self._prove(proof.epoch, sent)
            else:
                self.proof, self.lost = None, True

        self._ask(A.RENEW, lambda: self.world.voters.renew(self.name, proof.epoch, self.world.now), answer)

    def _return(self, decision: Decision) -> None:
        epoch = self.disk.own_epoch

        def answer(said: object, sent: float) -> None:
            if said and epoch == self.disk.own_epoch:
                if self.proof is None and self.disk.base_epoch != epoch:
                    self.deposed_until = self.clock() + self.world.timers.ttl  # a reboot may have forgotten it
                self._prove(epoch, sent)
            self.record = self.record if said else None

        self._ask(A.RETURN, lambda: self.world.voters.come_back(self.name, epoch, self.world.now), answer)

    def _take_over(self, decision: Decision) -> None:
        record, changes = self.record, self.changes
        if record is None:
            return
        by = "act" if self.world.promotes == self.name else "release" if record.released else "vacancy"
        self.world.tell(self.name, "takeover-asked", 0, by=by)

        def question() -> tuple[int, int, bool]:
            voters = self.world.voters
            prior = voters.granted, bool(voters.holder)
            won = voters.take_over(self.name, changes, decision.above, by, self.world.now)
            return won, *prior

        def answer(said: object, sent: float) -> None:
            won, prior, lived = said  # type: ignore[misc]
            if won:
                self.prior = prior
                self.deposed_until = self.clock() + self.world.timers.ttl if lived else 0.0
                self._prove(won, sent)

        self._ask(A.TAKE_OVER, question, answer)

    def _release(self, decision: Decision) -> None:
        epoch = self.proof.epoch if self.proof else self.record.epoch if self.record else 0
        stopped, disk = not self.writer, self.disk
        disk.released_epoch = disk.own_epoch
        self.proof = None
        opened = disk.base_epoch == disk.own_epoch
        last = disk.required if not opened else (0, 0) if disk.tail else disk.synced
        disk.given = set(disk.synced_tree) if opened and last > (0, 0) and disk.branch is Branch.NONE else set()
        release = lambda: self.world.voters.release(self.name, epoch, decision.to, stopped, last)  # noqa: E731
        self._ask(A.RELEASE, release, lambda said, sent: None)

    def _ask_grant(self, decision: Decision) -> None:
        proof = self.proof

        def answer(said: object, sent: float) -> None:
            granted, by_act, last = said  # type: ignore[misc]
            if not granted or self.proof is None or proof is None or self.proof.epoch != proof.epoch:
                return
            disk = self.disk
            if self.prior != disk.own_epoch:
                disk.base_epoch, disk.fetched = 0, None  # another wrote since: its newest generation is adopted
                disk.required = (0, 0) if by_act else last
            disk.own_epoch, disk.branch = proof.epoch, Branch.NONE

        epoch = proof.epoch if proof else 0

        def question() -> tuple[bool, bool, Last]:
            granted, by_act = self.world.voters.grant(self.name, epoch), self.world.promotes == self.name
            if granted and by_act:
                self.world.promotes = ""  # an act promotes once
            return granted, by_act, self.world.voters.last

        self._ask(A.ASK_GRANT, question, answer)

    def _wake(self, decision: Decision) -> None:
        """A warm standby is ready at once here."""

    _expect = _wake

    def _present(self, decision: Decision) -> None:
        epoch = self.disk.own_epoch

        def answer(said: object, sent: float) -> None:
            accepted, values, highest = said  # type: ignore[misc]
            if accepted:
                self.disk.acknowledged_epoch, self.disk.fetched = epoch, values
            else:
                self.disk.refused_by = max(self.disk.refused_by, highest)

        peers = self.world.peers
        self._ask(A.PRESENT, lambda: (peers.present(epoch), self.offered(), peers.highest), answer)

    def _cut_network(self, decision: Decision) -> None:
        self.cut = True
        self._set_address(False)

    def _stop(self, decision: Decision) -> None:
        self._later(A.STOP, self.world.draw.uniform(0.0, 1.4), self._stop_writer)

    def _set_read_only(self, decision: Decision) -> None:
        self._later(A.SET_READ_ONLY, 1.45, lambda: setattr(self, "writable", self.writer))

    def _reset(self, decision: Decision) -> None:
        self.world.resets += 1
        self.power_off()
        self.world.later(15.0, self.power_on)

    def _arm_watchdog(self, decision: Decision) -> None:
        if decision.deadline is not None and self.proof is not None:
            self.watchdog = self.world.timers.dead_at(self.proof.sent, self.proof.ttl)

    def _start(self, decision: Decision) -> None:
        seconds = self.world.draw.uniform(0.2, 1.5)
        deadline, epoch = decision.deadline, self.disk.own_epoch

        def opened() -> None:
            late = deadline is not None and (self.proof is None or self.clock() >= self._demote_at())
            if late or epoch != self.disk.own_epoch or (A.STOP in self.underway and self._stopping()):
                return
            if self.disk.base_epoch == 0 and not self.adopt():
                return
            self.disk.synced, self.disk.given, self.disk.required = (0, 0), set(), (0, 0)
            self.disk.base_epoch, self.disk.has_copy = epoch, True
            self.writer = self.writable = True
            self.cut = False
            self.world.tell(self.name, "writer-start", epoch)

        if not self.writer:
            self.started_at = self.clock()
            self._later(A.START, seconds, opened)

    def _demote_at(self) -> float:
        assert self.proof is not None
        return self.world.timers.demote_at(self.proof.sent, self.proof.ttl)

    def _stopping(self) -> bool:
        return self.standing.state not in (State.PROMOTING, State.ACTIVE, State.SUSPECT, State.ISOLATED_RW)

    def _probe(self, decision: Decision) -> None:
        self.healthy = self.writer and not self.sick
        self.answered_at = self.clock() if self.healthy else self.answered_at

    def _ask_what_runs(self, decision: Decision) -> None:
        """As the program does beside its looks."""
        if self.healthy and self.clock() >= self.last.get(A.PROBE, 0.0) + self.world.timers.renew:
            self.last[A.PROBE] = self.clock()
            self._probe(decision)

    def _add_address(self, decision: Decision) -> None:
        if self.writer:
            self._set_address(True)

    def _serve_copy(self, decision: Decision) -> None:
        self.copy = True

    def _withdraw_copy(self, decision: Decision) -> None:
        self.copy = False

    def _pull(self, decision: Decision) -> None:
        def answer(said: object, sent: float) -> None:
            if said is None:
                return  # nobody answers
            if self.standing.state in (State.CATCHUP, State.STANDBY, State.RO_SERVE, State.GRACE):
                assert not self.disk.tail or self.disk.own_epoch >= self.world.voters.granted, (
                    f"{self.name} pulls over it"
                )
                self.disk.tree = set(said) | self.disk.tail  # type: ignore[call-overload]
                self.disk.has_copy, self.disk.pointer = True, 0

        peers = self.world.peers
        self._ask(A.PULL, lambda: set(newest.values) if (newest := peers.newest()) else None, answer)

    def _hold_writes(self, decision: Decision) -> None:
        self.held = self.writer

    def _resume_writes(self, decision: Decision) -> None:
        self.held = False
        self.disk.synced = (0, 0)

    def _sync(self, decision: Decision) -> None:
        target = self.world.hosts.get(decision.to) or self.world.hosts[self.world.names[1]]
        if self.disk.tail or not (target.runs and target.out and target.into and self.out and self.into):
            return
        peers, last = self.world.peers, (self.disk.own_epoch, max(self.disk.tree, default=0))
        peers.catch_up(self.name, self.disk.own_epoch, self.disk.tree)
        has = peers.has(last, self.name)
        if not self.world.may_let_go(self.name, decision.to, has):
            return
        if self.world.names_last:
            peers.peers[self.name].keep(last, self.disk.tree)  # served from here until its successor sealed
        if target.home or target.name in has:
            target.disk.tree, target.disk.has_copy = set(self.disk.tree), True
        self.disk.synced, self.disk.synced_tree, self.synced = last, set(self.disk.tree), True

    def _keep_branch(self, decision: Decision) -> None:
        self.disk.branch = Branch.KEPT
        self.disk.branch_values |= self.disk.tail
        self.world.tell(self.name, "branch", self.disk.own_epoch, values=sorted(self.disk.branch_values))
        self.disk.tail = set()

    def _alarm(self, decision: Decision) -> None:
        self.world.alarms += 1
