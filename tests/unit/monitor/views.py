"""Views of a node from the few words of a test table: times are "8 h ago" in hours before now, or moments in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.agent.memory import Memory
from appliance.backup.chain.shrink_check import BackupSize
from appliance.backup.peers.counted import Safety
from appliance.clock import utc_seconds
from appliance.monitor.failover_view import FailoverView, ServiceView
from appliance.monitor.view import (
    Ahead,
    Attempt,
    Generation,
    Grant,
    Held,
    Machine,
    Missing,
    Now,
    OriginSeen,
    PutAside,
    Readable,
    Running,
    Unended,
    View,
    Written,
)
from appliance.territory.model import Schedule
from appliance.units import DAY, GIB, MIB, parse_duration

NOON = utc_seconds("2026-11-25T12:00:00Z")
AGE = 40 * DAY
PEERS = ("hermitage", "commune-b")


def now(at: str = "", age: int = AGE) -> Now:
    return Now(utc_seconds(at) if at else NOON, age)


def before(moment: Now, text: str) -> float:
    """Wall seconds of "8h" before `moment`, or of the moment that `text` is."""
    return utc_seconds(text) if "T" in text else moment.wall - parse_duration(text)


def generation(moment: Now, sequence: int, ago: str, *, whole: bool = True, still: str = "") -> Generation:
    unchanged = before(moment, still) if still else 0.0
    return Generation(f"00002.{sequence:010d}.{'a' * 16}", before(moment, ago), whole, still=unchanged)


def partial(moment: Now, words: Mapping[str, Any]) -> tuple[Missing, ...]:
    """`partial`: how long ago each path was saved whole last, or null."""
    return tuple(Missing(path, before(moment, ago) if ago else None) for path, ago in words.get("partial", {}).items())


def written(moment: Now, words: Mapping[str, Any]) -> Written:
    """`words`: service, every or daily, sequence and sealed (how long ago), at (peers that have it), grant,
    epoch (of the grant; generations are of epoch 2), envelopes (how long ago each was made), inherited (recipients in
    the newest), recovery_key (whether the bundle names one), overtaken (the sentence and the remedy), accounts (how
    long ago they were changed), shrunken (the sentence), partial (paths that the newest lacks), put_aside (folders),
    trees (fields of each), starts_over (whether a revocation ended its epoch), unsealed, still (how long ago nothing
    had changed since the newest)."""
    every = 0 if "daily" in words else words.get("every", 1)
    sequence, at = words.get("sequence", 0), tuple(words.get("at", PEERS))
    grant = words.get("grant", "commune-a")
    whole = "partial" not in words
    still = words.get("still", "")
    newest = generation(moment, sequence, words["sealed"], whole=whole, still=still) if sequence else None
    safety = Safety(at, at, words.get("copies", 2), whole) if newest else Safety((), (), 2)
    safe = generation(moment, 1, words["safe"]) if "safe" in words else newest if safety.safe else None
    return Written(
        service=words.get("service", "docs-a"),
        schedule=Schedule(daily_at=words.get("daily", ""), every_hours=every),
        rpo_seconds=int(parse_duration(words.get("rpo", "1d"))),
        origin=True,
        begun=words.get("begun", True),
        grant=Grant(words.get("epoch", 2), grant, grant == "commune-a" and "old_keys" not in words) if grant else None,
        targets=PEERS,
        newest=newest,
        generations=sequence,
        acknowledged=at if newest else (),
        safety=safety,
        safe_newest=safe,
        unsafe_since=before(moment, words["unsafe"]) if "unsafe" in words else 0.0,
        envelopes={name: before(moment, made) for name, made in words.get("envelopes", {"recovery": "10d"}).items()},
        inherited_envelopes=frozenset(words.get("inherited", ())),
        has_recovery_key=words.get("recovery_key", False),
        overtaken=tuple(words.get("overtaken", ("", ""))),
        orphaned=tuple(words.get("orphaned", ("", ""))),
        accounts_changed=before(moment, words["accounts"]) if "accounts" in words else 0.0,
        partial=partial(moment, words),
        shrunken=words.get("shrunken", ""),
        put_aside=tuple(words.get("put_aside", ())),
        trees=tuple(PutAside(**it) for it in words.get("trees", ())),
        starts_over=words.get("starts_over", False),
        unsealed=tuple(words.get("unsealed", ())),
    )


def held(moment: Now, words: Mapping[str, Any]) -> Held:
    """`words`: service, sequence, received (how long ago by both clocks), targets, lost, damage, used, frozen, forks,
    elsewhere, sizes (sequence to MiB and how long ago), partial (as in `written`), whole (how long ago a whole one
    came), still (how long ago the word came that nothing changed since), still_uptime (the same by our age), asked (how
    long ago another node said that it lacks some)."""
    sequence, ago, still = words.get("sequence", 1), words.get("received", "1h"), words.get("still", "")
    return Held(
        service=words.get("service", "docs-z"),
        rpo_seconds=int(parse_duration(words.get("rpo", "1d"))),
        expected=words.get("expected", True),
        newest=generation(moment, sequence, ago, whole="partial" not in words, still=still) if sequence else None,
        received=before(moment, ago),
        partial=partial(moment, words),
        whole_received=before(moment, words.get("whole", ago)),
        whole_received_age=moment.age - int(parse_duration(words.get("uptime", words.get("whole", ago)))),
        received_age=moment.age - int(parse_duration(words.get("uptime", ago))),
        still_received=before(moment, still) if still else 0.0,
        still_received_age=moment.age - int(parse_duration(words.get("still_uptime", still))) if still else 0,
        asked=before(moment, words["asked"]) if "asked" in words else 0.0,
        lost=tuple(words.get("lost", ())),
        targets=tuple(words.get("targets", ())),
        quota_bytes=100 * GIB,
        used_bytes=words.get("used", 10) * GIB,
        short_bytes=words["short"] * GIB if "short" in words else None,
        forks=tuple(words.get("forks", ())),
        damage=tuple(words.get("damage", ())),
        frozen=words.get("frozen", ""),
        early_pruned=words.get("early_pruned", ""),
        elsewhere=words.get("elsewhere", ""),
        sizes=tuple(
            BackupSize(generation(moment, number, since).name, size * MIB, 9, before(moment, since))
            for number, (size, since) in words.get("sizes", {}).items()
        ),
    )


def home(moment: Now, words: Mapping[str, Any]) -> OriginSeen:
    """`words`: node, sequence, seen (how long ago, or null), lost, let_in, revoked."""
    node, seen = words.get("node", "commune-b"), words.get("seen", "10m")
    return OriginSeen(
        f"appliance-{node}",
        node,
        generation(moment, words.get("sequence", 1), "1h"),
        moment.age - int(parse_duration(seen)) if seen else None,
        words.get("lost", False),
        words.get("let_in", False),
        words.get("revoked", False),
    )


def attempt(moment: Now, words: Mapping[str, Any]) -> Attempt:
    """`words`: ago, failures, error, disk_full, ok (how long ago it worked, by both clocks), mark, left_out, alarms,
    to_bring, to_come (peer to number); later and whole: when a peer that took a part takes the next one, and will have
    taken all."""
    ago = words.get("ago", words.get("ok", "1h"))
    ok = words.get("ok")
    return Attempt(
        time=before(moment, ago),
        age=moment.age - int(parse_duration(words.get("uptime", ago))),
        failures=words.get("failures", 0),
        error=words.get("error", "it failed." if words.get("failures") else ""),
        remedy=words.get("remedy", ""),
        disk_full=words.get("disk_full", False),
        mark=words.get("mark", ""),
        ok_time=before(moment, words.get("ok_wall", ok)) if ok else None,
        ok_age=moment.age - int(parse_duration(ok)) if ok else None,
        left_out=tuple((path, why) for path, why in words.get("left_out", ())),
        left_out_count=words.get("left_out_count", len(words.get("left_out", ()))),
        alarms=tuple(words.get("alarms", ())),
        to_bring=tuple(words.get("to_bring", ())),
        to_come=words.get("to_come", {}),
        later_seconds=int(parse_duration(words["later"])) if "later" in words else 0,
        whole_seconds=int(parse_duration(words["whole"])) if "whole" in words else 0,
    )


def running(moment: Now, words: Mapping[str, Any]) -> Running:
    since = Now(before(moment, words["since"]), moment.age - int(parse_duration(words["since"])))
    baseline = generation(moment, words["baseline"], "1h").name if words.get("baseline") else ""
    peers = tuple(words.get("peers", ()))
    return Running(words["kind"], words.get("service", "docs-a"), peers, since, baseline)


def unended(moment: Now, words: Mapping[str, Any]) -> Unended:
    """`words`: began (how long ago), up (how long the machine was up since; without, a former version began it),
    end (what is typed)."""
    up = moment.age - int(parse_duration(words["up"])) if "up" in words else None
    give_up = "appliance restore give-up 20261120T080000Z --service docs-a"
    return Unended("docs-a", "20261120T080000Z", before(moment, words["began"]), up, words.get("end", ""), give_up)


def stood(moment: Now, words: Mapping[str, Any]) -> ServiceView:
    """`words`: service, home, state, holder, writer, epoch, newest, by (who pauses it), branches; vacant, away,
    unheard, contested, paused, unkept, unserved: for how long; why it is not kept or served; database: whether it is
    one."""
    lasting = {
        name: before(moment, words[name]) if name in words else None
        for name in ("vacant", "away", "unheard", "contested", "paused", "unkept", "unserved")
    }
    return ServiceView(
        words.get("service", "docs-a"),
        words.get("home", "commune-a"),
        words.get("state", "ACTIVE"),
        words.get("holder", "commune-a"),
        words.get("writer", "commune-a"),
        words.get("epoch", 2),
        words.get("newest", 2),
        paused_by=words.get("by", ""),
        branches=tuple(words.get("branches", ())),
        unkept=words.get("why", ""),
        unserved=words.get("why", ""),
        is_merged=not words.get("database", False),
        **{f"{name}_since": since for name, since in lasting.items()},
    )


def failover(moment: Now, words: Mapping[str, Any]) -> FailoverView:
    """`words`: programs (of all services that stand, unless said), looked (how long ago), stood, quarantined,
    unread."""
    services = tuple(stood(moment, it) for it in words.get("stood", ()))
    looked = words.get("looked", "2s")
    return FailoverView(
        tuple(words.get("programs", (it.service for it in services))),
        before(moment, looked) if looked else None,
        services,
        tuple(words.get("quarantined", {}).items()),
        words.get("unread", ""),
    )


def view(moment: Now, words: Mapping[str, Any]) -> View:
    """`words`: written, held, readable, ahead, homes, failover, attempts, running, unended, unread, disk_free, issued,
    updated (how long ago), ends (in how long its certificate does)."""
    memory = Memory({name: attempt(moment, it) for name, it in words.get("attempts", {}).items()})
    return View(
        node="commune-a",
        timezone="Europe/Paris",
        serial=7,
        issued=before(moment, words.get("issued", "10d")),
        disk_free=words.get("disk_free", 100) * GIB,
        written=tuple(written(moment, it) for it in words.get("written", ())),
        held=tuple(held(moment, it) for it in words.get("held", ())),
        readable=tuple(
            Readable(
                it["service"],
                it["source"],
                generation(moment, it["sequence"], it.get("ago", "1h")),
                int(DAY),
                received=before(moment, it.get("came", "1h")),
            )
            for it in words.get("readable", ())
        ),
        ahead=tuple(
            Ahead(it["service"], generation(moment, it["sequence"], "1h"), before(moment, it.get("came", "1h")))
            for it in words.get("ahead", ())
        ),
        origins=tuple(home(moment, it) for it in words.get("homes", ())),
        attempts=memory.attempts,
        running=tuple(running(moment, it) for it in words.get("running", ())),
        machine=Machine(
            updated=before(moment, words["updated"]) if "updated" in words else None,
            certificate_ends=moment.wall + parse_duration(words["ends"]) if "ends" in words else None,
        ),
        failover=failover(moment, words["failover"]) if "failover" in words else FailoverView(),
        unended=tuple(unended(moment, it) for it in words.get("unended", ())),
        unread=words.get("unread", {}),
    )


def kept(words: Mapping[str, Any]) -> dict[str, Any]:
    """`words` for `view`, with all that is held read again, checked and compared in time, unless they say otherwise, or
    null."""
    names = [it.get("service", "docs-z") for it in words.get("held", ())]
    done: dict[str, Any] = {f"{kind} {name}": {"ok": "5h"} for name in names for kind in ("scrub", "check", "exchange")}
    told = done | words.get("attempts", {})
    return {**words, "attempts": {name: it for name, it in told.items() if it is not None}}
