"""The promises of failover that a history can break: F1 to F13, each a pure function from a history to a finding.

At most one node writes a service at a time (F1, F3, F12), what stores it goes only forward (F2, F4), a holder stops
before its lease can end (F5, F6), nothing that was acknowledged is lost silently (F7, F8), it is served again (F9,
F13), not moved without need (F10), and a town hall works on without its line (F11).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from appliance.failover.history import Event
from appliance_lab.checkers.spans import Span, faults, overlaps, spans, without
from appliance_lab.checkers.verdict import Check, Finding, History, Verdict

TOLERANCE = 0.010
"""A thawed writer lives some milliseconds until its watchdog or agent runs, and may answer who waits at its own
listener (decision 50): the fence refuses what it sends, and F8 wants in a branch what it took."""
WATCHDOG_LOOKS = 0.15
"""How late the watchdog may look, and a clock be that runs half a percent slow over one lease; epsilon holds more."""
SETTLES = 30.0
"""How long after a fault at the home its own clients may fail: it starts, looks for the voters, opens."""


type Broken = tuple[str, tuple[int, ...]]
"""A sentence, and the lines that show it."""


def _finding(name: str, bad: Sequence[Broken], held: str) -> Finding:
    if bad:
        more = f" ({len(bad)} such)" if len(bad) > 1 else ""
        return Finding(name, "violated", f"{bad[0][0]}{more}", bad[0][1])
    return Finding(name, "held", held)


def _unknown(name: str, sentence: str) -> Finding:
    return Finding(name, "unknown", sentence)


def _timed(name: str, history: History) -> Finding | None:
    """An unknown where moments of several nodes would be compared that no clock has in common."""
    if history.one_clock:
        return None
    return _unknown(name, "needs the times of several machines, whose clocks cannot be compared.")


def _acts(history: History) -> list[Event]:
    """Deaths that somebody vouched for; of a release the former writer itself says that it writes no more."""
    return [it for it in history.all("proof-of-death") if it["kind"] in ("act", "witness")]


def _may_overlap(history: History, one: Span, other: Span) -> bool:
    """Whether a home that goes on alone may write beside one that a person promoted: the accepted fork."""
    if history.policy == "exclusive" or history.origin not in (one.node, other.node):
        return False
    return any(it["of"] == history.origin and it.t <= max(one.start, other.start) for it in _acts(history))


def _awake(history: History, begin: str, end: str) -> list[Span]:
    """From each `begin` to its `end`, less what a node was frozen in between."""
    frozen = faults(history, "freeze")
    return [piece for it in spans(history, begin, end) for piece in without(it, frozen)]


def _at_once(history: History, found: list[Span]) -> list[tuple[float, Span, Span]]:
    """Pairs of `found` that two nodes may not have had at once, each with the seconds that they did."""
    return [it for it in overlaps(found) if it[0] > TOLERANCE and not _may_overlap(history, it[1], it[2])]


def writers_at_once(history: History) -> tuple[float, str]:
    """The most seconds that two nodes wrote at once, less what one of them was frozen; which two, and since when."""
    found = overlaps(_awake(history, "writer-start", "writer-stop"))
    who = ((shared, f"{one.node} and {other.node} from {other.start:.3f} on") for shared, one, other in found)
    return max(who, default=(0.0, "no two ever"))


def f1(history: History) -> Finding:
    """No two nodes write at once; elsewhere than at a local-first home only after a proof of death, and newer."""
    if unknown := _timed("F1", history):
        return unknown
    writers = _awake(history, "writer-start", "writer-stop")
    bad: list[Broken] = [
        (f"{one.node} and {other.node} both wrote for {shared:.3f} s.", (*one.lines, *other.lines))
        for shared, one, other in _at_once(history, writers)
    ]
    if history.policy != "exclusive":
        bad += _unproven_writers(history)
    return _finding("F1", bad, f"{len(writers)} spans of writing, never two at once.")


def _unproven_writers(history: History) -> Iterable[Broken]:
    proofs = history.all("proof-of-death")
    for start in history.all("writer-start"):
        if start.node == history.origin or any(it.t <= start.t for it in proofs):
            continue
        yield f"{start.node} began to write, and nothing proves that {history.origin} is dead.", (start.line,)


def f2(history: History) -> Finding:
    """A storage peer accepts no epoch that is older than one it accepted."""
    highest: dict[str, Event] = {}
    bad: list[Broken] = []
    for event in history.all("received"):
        if not event["accepted"]:
            continue
        before = highest.get(event.node)
        if before is not None and event.epoch < before.epoch:
            sentence = (
                f"{event.node} accepted a write of epoch {event.epoch} of {event['writer']} after {before.epoch}."
            )
            bad.append((sentence, (before.line, event.line)))
        else:
            highest[event.node] = event
    if not highest:
        return _unknown("F2", "no storage peer accepted anything.")
    return _finding("F2", bad, "no storage peer accepted an older epoch after a newer.")


def f3(history: History) -> Finding:
    """One epoch is one node's."""
    whose: dict[int, Event] = {}
    bad: list[Broken] = []
    for event in history.all("granted", "takeover-won", "writer-start"):
        if not event.epoch:
            continue
        first = whose.setdefault(event.epoch, event)
        if first.node != event.node:
            bad.append((f"epoch {event.epoch} is of {first.node} and of {event.node}.", (first.line, event.line)))
    if not whose:
        return _unknown("F3", "no epoch was ever used.")
    return _finding("F3", bad, f"{len(whose)} epochs, each of one node.")


def f4(history: History) -> Finding:
    """Epochs only increase, even when the voters were brought back from a snapshot."""
    won = history.all("granted") or history.all("takeover-won")
    if not won:
        return _unknown("F4", "nobody took over.")
    bad: list[Broken] = [
        (f"epoch {later.epoch} came after {earlier.epoch}.", (earlier.line, later.line))
        for earlier, later in pairwise(won)
        if later.epoch <= earlier.epoch
    ]
    return _finding("F4", bad, f"{len(won)} takeovers, each with a higher epoch.")


def f5(history: History) -> Finding:
    """A node that is bound to a lease serves no write later than last proven renewal sent + TTL - epsilon, or ten
    milliseconds after it was thawed."""
    epsilon = history.number("epsilon", 0.5)
    proofs: dict[str, list[Event]] = {}
    for proof in history.all("renewal-proven"):
        proofs.setdefault(proof.node, []).append(proof)
    bad: list[Broken] = []
    judged = 0
    for op in _judged(history):
        server = op.get("server")
        if not server or not history.binds(server):
            continue
        judged += 1
        mine = proofs.get(server, [])
        until = max((it["sent"] + it["ttl"] for it in mine[: bisect_right(mine, op.t, key=lambda it: it.t)]), default=0)
        if op.t >= until - epsilon + WATCHDOG_LOOKS:
            bad.append((f"{server} served a write {op.t - until + epsilon:.3f} s after its deadline.", (op.line,)))
    if not judged and history.policy == "exclusive":
        return _unknown("F5", "no write names who served it.")
    return _finding("F5", bad, f"{judged} writes under a lease, all before its deadline.")


def f6(history: History) -> Finding:
    """A takeover after a vacancy waits for the grace, and no lease ends sooner than TTL after its last renewal."""
    if unknown := _timed("F6", history):
        return unknown
    grace = history.number("grace", 1.0)
    bad: list[Broken] = []
    # Each node tells of it when it hears of it, some after another lease began.
    deleted = list({it.get("lease", it.line): it for it in reversed(history.all("holder-deleted"))}.values())[::-1]
    for won in history.all("takeover-won"):
        before = [it for it in deleted if it.t <= won.t]
        if won["by"] == "vacancy" and before and won.t < before[-1].t + grace - TOLERANCE:
            early = before[-1].t + grace - won.t
            bad.append((f"{won.node} took over {early:.2f} s too early.", (before[-1].line, won.line)))
    for end in deleted:
        proofs = [it for it in history.all("renewal-proven") if it.node == end["holder"] and it.t <= end.t]
        proofs = [it for it in proofs if it.get("lease") == end.get("lease")]
        if end["cause"] == "expired" and proofs and end.t < proofs[-1]["sent"] + proofs[-1]["ttl"] - TOLERANCE:
            sentence = f"the lease of {end['holder']} ended before its time."
            bad.append((sentence, (proofs[-1].line, end.line)))
    if not deleted:
        return _unknown("F6", "no lease ever ended.")
    return _finding("F6", bad, f"{len(deleted)} leases ended, none too early, and each takeover waited.")


def _acknowledged(history: History) -> list[Event]:
    return [it for it in history.all("op") if it["type"] == "ok" and it["f"] == "add"]


def _judged(history: History) -> list[Event]:
    """Acknowledged writes, less those in the milliseconds after the node that served them was thawed."""
    thawed = [(it.node, it.end) for it in faults(history, "freeze")]
    return [
        op
        for op in _acknowledged(history)
        if not any(op.get("server") == node and end <= op.t <= end + TOLERANCE for node, end in thawed)
    ]


def _final_read(history: History) -> Event | None:
    healed = history.all("healed")
    if not healed:
        return None
    reads = [it for it in history.all("op") if it["type"] == "ok" and it["f"] == "read" and it.t >= healed[-1].t]
    return reads[-1] if reads else None


def _lost(history: History, read: Event) -> dict[int, Event]:
    there = set(read["value"])
    return {it["value"]: it for it in _acknowledged(history) if it["value"] not in there and it.t <= read.t}


def f7(history: History) -> Finding:
    """After healing everything acknowledged is read; after a crash all that a storage peer had accepted is."""
    read = _final_read(history)
    if read is None:
        return _unknown("F7", "nobody read everything after healing.")
    tried = {it["value"] for it in history.all("op") if it["f"] == "add"}
    stored = {it["n"] for it in history.all("received") if it["accepted"]}
    lost = _lost(history, read)
    bad: list[Broken] = [
        (f"{value} was read and nobody ever wrote it.", (read.line,)) for value in set(read["value"]) - tried
    ]
    bad += [
        (f"{value} was acknowledged and stored at a peer, and is lost.", (op.line, read.line))
        for value, op in lost.items()
        if value in stored
    ]
    if lost and not history.all("fault") and not _acts(history):
        bad.append((f"{len(lost)} acknowledged writes are lost after planned moves alone.", (read.line,)))
    total = len(_acknowledged(history))
    return _finding("F7", bad, f"{total} acknowledged, {total - len(lost)} read, {len(lost)} within the RPO.")


def f8(history: History) -> Finding:
    """Nothing that a node wrote apart is dropped: it is in the tree or in a branch that is kept."""
    read = _final_read(history)
    if read is None:
        return _unknown("F8", "nobody read everything after healing.")
    kept = {value for it in history.all("branch") for value in it["values"]}
    dropped = {value: op for value, op in _lost(history, read).items() if value not in kept}
    bad: list[Broken] = [
        (f"{value} was acknowledged, and is neither read nor in a branch.", (op.line,)) for value, op in dropped.items()
    ]
    return _finding("F8", bad, f"{len(kept)} writes in branches, none dropped.")


def f9(history: History) -> Finding:
    """Once everything is healed the service is served within RTO_max."""
    healed = history.all("healed")
    if not healed:
        return _unknown("F9", "the faults were never healed.")
    until = healed[-1].t + history.number("rto", 60.0)
    # A node that drains served until then: at that very moment the service may be on its way to its origin.
    serving = {"ACTIVE", "DRAINING", *(() if history.policy == "exclusive" else ("RO_SERVE", "ISOLATED_RW"))}
    at = _states_at(history, until)
    since = {it["state"] for it in history.all("state") if healed[-1].t < it.t <= until}
    if serving & {*at.values(), *since}:
        return Finding("F9", "held", "served in time after healing.")
    if history.last < until:
        return _unknown("F9", "the history ends before it had to be served again.")
    told = ", ".join(f"{node} {state}" for node, state in sorted(at.items()))
    return Finding(
        "F9", "violated", f"{until - healed[-1].t:.0f} s after healing nobody serves: {told}.", (healed[-1].line,)
    )


def _states_at(history: History, moment: float) -> dict[str, str]:
    return {it.node: it["state"] for it in history.all("state") if it.t <= moment}


def f10(history: History) -> Finding:
    """Without a disturbance nothing moves; who failed to serve cools down, unless it lost its power since: then nothing
    knows of it, and what was wrong may be well."""
    won = history.all("takeover-won")
    disturbed = sorted(history.all("fault", "heal", "handover", "proof-of-death"), key=lambda it: it.t)
    bad: list[Broken] = [
        (f"{it.node} took over without any disturbance before.", (it.line,))
        for it in won[1:]
        if not disturbed or it.t < disturbed[0].t
    ]
    cooldown = history.number("cooldown", 60.0)
    failed: dict[str, Event] = {}
    for event in sorted(history.all("state", "fault"), key=lambda it: it.t):
        if event.event == "fault":
            if event["fault"] == "kill":
                failed.pop(event["target"], None)
            continue
        if event["row"] == "promoting.failed":
            failed[event.node] = event
        last = failed.get(event.node)
        asked = [it for it in won if it.node == event.node and it.t <= event.t]
        if asked and asked[-1]["by"] == "act":
            continue  # a person does not wait
        if event["state"] == "PROMOTING" and event["row"] != "active.down" and last and event.t < last.t + cooldown:
            bad.append((f"{event.node} tried again before its cooldown.", (last.line, event.line)))
    return _finding("F10", bad, f"{len(won)} takeovers, none without need.")


def f11(history: History) -> Finding:
    """At a local-first home that is powered, its own site can write, whatever is cut, from when it first served on: of
    what happened within one millisecond nobody knows the order."""
    if history.policy != "local-first":
        return Finding("F11", "held", "is about local-first services only.")
    if not any(it.get("lan") == history.origin for it in history.all("op")):
        return _unknown("F11", "no client of the home's own site wrote anything.")
    excused = [
        (it.start, it.end + SETTLES)
        for it in faults(history, "kill", "freeze", "service", "service-crash", "hang", "everything", "quarantine")
        if history.origin in it.node.split()
    ]
    given_away = [*history.all("proof-of-death", "handover")]
    first = next((it.t for it in history.all("writer-start") if it.node == history.origin), history.last)
    until = min((it.t for it in given_away), default=history.last)
    bad: list[Broken] = [
        (f"a client at {history.origin} could not write.", (op.line,))
        for op in history.all("op")
        if op["type"] == "fail" and op.get("lan") == history.origin and first < op.t < until
        if not any(start <= op.t <= end for start, end in excused)
    ]
    return _finding("F11", bad, "the home's own site could always write.")


def f12(history: History) -> Finding:
    """The address is at one node, and no write is acknowledged by one whose successor writes already, but in
    the ten milliseconds after it was thawed."""
    if unknown := _timed("F12", history):
        return unknown
    places = _awake(history, "address-add", "address-del")
    bad: list[Broken] = [
        (f"the address was at {one.node} and {other.node} for {shared:.3f} s.", (*one.lines, *other.lines))
        for shared, one, other in _at_once(history, places)
    ]
    starts = history.all("writer-start")
    for op in _judged(history):
        server = op.get("server")
        if not op.epoch or (history.policy != "exclusive" and server == history.origin):
            continue
        newer = [it for it in starts if it.epoch > op.epoch and it.node != server and it.t + TOLERANCE < op.t]
        if newer:
            bad.append((f"{server} acknowledged a write after {newer[0].node} had begun.", (newer[0].line, op.line)))
    if not starts and not places:
        return _unknown("F12", "neither address nor writer was ever seen.")
    return _finding("F12", bad, "one address, and acknowledgements from the present writer only.")


def f13(history: History) -> Finding:
    """In the end the home serves, all others stand by, and the voters say so."""
    ends = history.all("end")
    if not ends or not history.all("healed"):
        return _unknown("F13", "the history was not brought to its end after healing.")
    end = ends[-1]
    mirror = history.policy == "mirror"  # which nobody holds
    home, others = ("ISOLATED_RW", ("STANDBY", "RO_SERVE")) if mirror else ("ACTIVE", ("STANDBY",))
    wrong = [
        f"{node} is {state}"
        for node, state in sorted(end["states"].items())
        if state not in ((home,) if node == history.origin else others)
    ]
    held_by = "" if mirror else history.origin
    wrong += [f"{name} is {end[name]}" for name in ("holder", "owner") if end[name] != held_by]
    verdict: Verdict = "violated" if wrong else "held"
    return Finding("F13", verdict, f"{', '.join(wrong) or 'all is as it began'}.", (end.line,) if wrong else ())


CHECKS: tuple[Check, ...] = (f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13)
