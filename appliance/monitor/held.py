"""How a service is that this node holds for others, and whether its names are known where they may be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.backup.proofs.proof_times import CHECK_SECONDS, DRILL_SECONDS, SCRUB_SECONDS, VERIFY_SECONDS
from appliance.backup.vault.limits import RAISE_QUOTA
from appliance.clock import utc_text
from appliance.monitor.checks import checks_of
from appliance.monitor.partial import AT_HOLDER, partial_facts, partial_reasons
from appliance.monitor.shrink_check import shrink_reasons
from appliance.monitor.states import Judged, Reason, State, failures, too_old, worst_first
from appliance.monitor.view import Attempt, Held, Now, Readable, View
from appliance.units import DAY, HOUR, format_bytes, format_duration

QUOTA_WARNING = 0.9
"""Where it is not known from which use on a share is short. Many shares are fuller than this for years, as laid out."""
CARE = ("scrub", "thin", "check")
UPKEEP = ("exchange", *CARE)
NAMED_MAX = 3
SILENT_SECONDS_MAX = DAY
PROOFS = {"verify": VERIFY_SECONDS, "drill": DRILL_SECONDS}
READ_AGAIN = {"scrub": SCRUB_SECONDS, "check": CHECK_SECONDS}
PROVEN = {"verify": "verified", "drill": "drilled", "scrub": "read again", "check": "checked by borg"}
LOCK_UNKNOWN = Reason(
    "unknown",
    "retention lock not tested yet: the probe needs the separate receiver account that only hosts have.",
    "It is tested once a day; at once, as root on a host: `systemctl start appliance-probe.service`.",
    "lock",
)
LOCK_CHECKS = ("lock", "lock-probe")
LOCK_TRIED_SECONDS_MAX = 3 * DAY
"""It is tried every day; what was found longer ago says nothing of now."""
PROOF_LATE = 2
"""From how many of its intervals on a proof that was not made is a warning."""
NAMES_LATE_SECONDS = 2 * HOUR


def judge_held(held: Held, view: View, now: Now, *, agent_runs: bool = False) -> Judged:
    """The state of a copy. `agent_runs`: another replica node is asked about it without anybody's doing."""
    lock_checks = _lock_checks(held, now)
    made = tuple(name for name in checks_of("held") if name not in LOCK_CHECKS or name in lock_checks)
    # A try where nothing was sealed yet has tried nothing.
    nothing_tried = held.lock is None or held.lock.canary_seconds is None
    lacks = (LOCK_UNKNOWN,) if nothing_tried and "lock" not in lock_checks else ()
    if held.newest is None:
        reasons = worst_first(_held_reasons(held, view, now, agent_runs))
        what = "NOTHING WHOLE HELD" if held.damage else "NOTHING HELD YET"
        return Judged(held.service, "held", what, reasons, checks=made, lacks=lacks)
    facts = {
        "newest": str(held.newest),
        "age_seconds": round(held_age(held, now)),
        "still": utc_text(held.newest.still) if held.newest.still else None,
        "expected": held.expected,
        **partial_facts(held.newest, held.partial),
        "rpo_seconds": held.rpo_seconds,
        "used_bytes": held.used_bytes,
        "quota_bytes": held.quota_bytes,
        "forks": list(held.forks),
        "damage": list(held.damage),
        "frozen": held.frozen,
        "bent": held.early_pruned,
        "lost": list(held.lost),
        "left": held.left,
        "elsewhere": held.elsewhere,
        **{f"last_{kind}_seconds": _since(view.last(kind, held.service), now) for kind in UPKEEP},
    }
    room = f"{format_bytes(held.used_bytes)} of {format_bytes(held.quota_bytes)}" if held.used_bytes else "room unknown"
    gone = held.left or held.elsewhere
    kind = "generation" if held.newest.whole else "PARTIAL generation"
    received = f"{kind} {held.newest}, received {format_duration(held_age(held, now))} ago"
    still = [f"unchanged {format_duration(whole_age(held, now))} ago"] if held.newest.still else []
    summary = "; ".join([*([f"it {gone}"] if gone else []), received, *still, room])
    reasons = worst_first(_held_reasons(held, view, now, agent_runs))
    return Judged(held.service, "held", summary, reasons, facts, made, lacks)


def held_age(held: Held, now: Now) -> float:
    """Seconds since the newest generation came, by whichever clock says more: hours spent switched off count too."""
    return max(0.0, now.age - held.received_age, now.wall - held.received)


def whole_age(held: Held, now: Now) -> float:
    """Seconds since the newest generation came that is whole, or since the word that nothing changed since; since ever
    when none is."""
    return max(0.0, now.wall - whole_came(held, now))


def whole_came(held: Held, now: Now) -> float:
    """When that was, by whichever clock says that it is longer ago: a wall clock that was set forward meanwhile makes
    nothing fresh."""
    came = _came(held.whole_received, held.whole_received_age, now)
    return max(came, _came(held.still_received, held.still_received_age, now)) if held.still_received else came


def _came(received: float, received_age: int, now: Now) -> float:
    by_age = now.wall - (now.age - received_age)
    return min(received or by_age, by_age)


def _since(attempt: Attempt | None, now: Now) -> int | None:
    """Seconds of the ageing clock since this work last went well; None when it never did."""
    return None if attempt is None or attempt.ok_age is None else max(0, now.age - attempt.ok_age)


def _vault_reasons(held: Held, view: View, now: Now) -> Iterator[Reason]:
    """The problems of the replica here, whether or not any of it is whole."""
    if held.damage:
        named = ", ".join(held.damage[:NAMED_MAX])
        yield Reason(
            "failed",
            f"the replica is damaged ({len(held.damage)}): {named}.",
            "It is sent again by its origin or another replica node; check this disk (smartctl).",
            "damage",
        )
        yield from failures(("repair",), held.service, view)
    for fork in held.forks:
        yield Reason(
            "failed",
            f"there are two generations {fork}: its writer was cloned or rolled back.",
            "Find out which one is right, and sign the act `continue` for it.",
            "fork",
        )
    checked = view.last("check", held.service)
    for alarm in checked.alarms if checked else ():
        remedy = "Find the cause at its origin; older generations are not affected."
        yield Reason("failed", alarm, remedy, "borg-check")
    yield from _lock_reasons(held, now)
    if not held.left:
        yield from _room_reasons(held)
        yield from _early_pruning_reasons(held)


def _held_reasons(held: Held, view: View, now: Now, agent_runs: bool) -> Iterator[Reason]:
    yield from _vault_reasons(held, view, now)
    if held.newest is None:
        what = "no generation of it is whole." if held.damage else "no generation of it has arrived yet."
        yield Reason("warning", what, "See `appliance status` at its origin.", "held")
        return
    if held.expected:
        what = f"the newest generation here, {held.newest},"
        if not held.newest.whole:
            what = (
                "the newest whole generation here" if held.whole_received else "no generation here is whole: the first"
            )
        yield from too_old(
            whole_age(held, now), held.rpo_seconds, what, "See `appliance status` at its origin.", "held-age"
        )
    yield from partial_reasons(held.newest, held.partial, AT_HOLDER)
    yield from shrink_reasons(held, now)
    if held.lost:
        what = f"{', '.join(held.lost)} is lost, by a signed act or because no node has seen it for two weeks."
        remedy = (
            "Replace it. Once it answers, `appliance vault exchange` ends this at once, the agent within the hour. If "
            "it is not lost, sign the act `lost` of it once more, with `--days 0`, at a node that keeps it."
        )
        yield Reason("warning", what, remedy, "lost-holder")
    if held.frozen:
        remedy = "Find out why; an act `unfreeze` ends it."
        yield Reason("warning", f"nothing of it is pruned: {held.frozen}", remedy, "frozen")
    if held.left:  # nothing new comes, and nobody is asked about it any more
        yield from failures((*CARE, "people"), held.service, view)
    else:
        yield from _exchange_reasons(held, view, now, agent_runs)
        yield from failures((*UPKEEP, "people", "ready"), held.service, view)
    yield from _late(
        READ_AGAIN, held.service, view, now, "See whether the agent is busy here: `appliance status`.", "reread"
    )
    yield from (reason for node in held.targets for reason in failures(("replicate",), held.service, view, peer=node))


def _exchange_reasons(held: Held, view: View, now: Now, agent_runs: bool) -> Iterator[Reason]:
    """The problems that the last exchange found, and other replica nodes that have not answered for long."""
    asked = view.last("exchange", held.service)
    if agent_runs and held.expected and asked is None:
        what = "it was not compared with the other replica nodes yet: older generations of it may be missing here."
        yield Reason("warning", what, "Nothing to do: the agent asks them within a minute.", "held-history")
    for alarm in asked.alarms if asked else ():
        yield Reason("failed", alarm, "Tell the maintenance team: an attacker may be removing copies.", "withheld")
    for peer, count in asked.to_come.items() if asked else ():
        what = f"older generations of it that {peer} keeps did not arrive here yet: {count}."
        remedy = "Nothing to do: it brings them. If none comes within two hours, see `appliance status` there."
        yield Reason("warning", what, remedy, "held-history")
    for peer, silent, error in silent_replica_nodes(held.service, view, now):
        since = "never answered" if silent is None else f"has not answered for {format_duration(silent)}"
        remedy = "See `appliance status` there."
        yield Reason("warning", f"{peer}, another replica node, {since}: {error}", remedy, "silent-holder")


def silent_replica_nodes(service: str, view: View, now: Now) -> Iterator[tuple[str, int | None, str]]:
    """Other holders that have not answered for long: for how many seconds, None for ever, and why the last time."""
    for peer, attempt in view.by_peer("exchange", service):
        silent = None if attempt.ok_age is None else now.age - attempt.ok_age
        if attempt.failures and (silent is None or silent > SILENT_SECONDS_MAX):
            yield peer, silent, attempt.error


def _early_pruning_reasons(held: Held) -> Iterator[Reason]:
    if held.early_pruned:
        what = (
            "its quota is full, so history older than the lock is pruned, at most one generation a day: "
            f"{held.early_pruned}."
        )
        remedy = "Raise quota in territory.yml, check it (`appliance territory check`), sign a bundle."
        yield Reason("warning", what, remedy, "older-history")


def _room_reasons(held: Held) -> Iterator[Reason]:
    room = held.ceiling_bytes or held.quota_bytes
    if held.used_bytes is None or not room:
        return
    if held.used_bytes >= (held.short_bytes or QUOTA_WARNING * room):
        state: State = "failed" if held.used_bytes >= room else "warning"
        used = f"{format_bytes(held.used_bytes)} of {format_bytes(room)}"
        if room < held.quota_bytes:
            used += f" that an epoch may fill of its {format_bytes(held.quota_bytes)}"
        remedy = RAISE_QUOTA
        if held.used_bytes > held.quota_bytes:
            used = f"{used}. The quota is smaller than the replica, so nothing is accepted and nothing is removed"
        yield Reason(state, f"its quota is nearly full: {used}.", remedy, "quota")


def _lock_checks(held: Held, now: Now) -> tuple[str, ...]:
    """Those of the lock that were made: an old try does not make it good, and a loss that it found stays one."""
    if held.lock is None:
        return ()
    tried = held.lock.canary_seconds is not None and now.wall - held.lock.time <= LOCK_TRIED_SECONDS_MAX
    return LOCK_CHECKS if tried or held.lock.allowed or held.lock.broken else ("lock-probe",)


def _lock_reasons(held: Held, now: Now) -> Iterator[Reason]:
    """The tests of this replica node: to write as the account that receives, and to find whole what is still locked."""
    if held.lock is None:
        return
    if now.wall - held.lock.time > LOCK_TRIED_SECONDS_MAX:
        ago = format_duration(now.wall - held.lock.time)
        what = f"its lock was last tested {ago} ago: it is not known whether it still holds."
        yield Reason(
            "unknown", what, "Type `systemctl start appliance-probe`, and find out why it did not run.", "lock-probe"
        )
    remedy = (
        "Its accounts are not as `appliance internal node apply --part vault` makes them: apply it, then find out what "
        "wrote there."
    )
    if held.lock.allowed:
        yield Reason(
            "failed", f"the receiving account can change sealed files: {', '.join(held.lock.allowed)}.", remedy, "lock"
        )
    if held.lock.broken:
        what = f"generation {held.lock.broken} was removed while it was still locked."
        yield Reason("failed", what, "Copy it again from another replica node; find out what removed it.", "lock")


def judge_catalogue(readable: Readable, view: View, now: Now) -> Judged:
    """Whether the names are known, and when it was last proven that what they name can be read and brought back."""
    known = _names_known(readable, view)
    summary = (
        f"names known up to generation {readable.newest}" if known else "the newest names are not in the catalogue yet"
    )
    since = {kind: _since(view.last(kind, readable.service), now) for kind in PROOFS}
    told = [f"{PROVEN[kind]} {format_duration(age)} ago" for kind, age in since.items() if age is not None]
    facts = {f"last_{kind}_seconds": age for kind, age in since.items()}
    reasons = worst_first(_proof_reasons(readable, view, now))
    summary = "; ".join((summary, *told))
    return Judged(readable.service, "catalogue", summary, reasons, facts, checks_of("catalogue"))


def _names_known(readable: Readable, view: View) -> bool:
    attempt = view.last("catalogue", readable.service)
    return attempt is not None and attempt.mark == readable.newest.name and not attempt.failures


def _proof_reasons(readable: Readable, view: View, now: Now) -> Iterator[Reason]:
    yield from failures(("catalogue",), readable.service, view, check="catalogue")
    behind = now.wall - readable.newest.time
    if not _names_known(readable, view) and behind > NAMES_LATE_SECONDS:
        what = f"the names of its newest generation, {format_duration(behind)} old, are not in the catalogue yet."
        yield Reason("warning", what, "See whether the agent is busy here: `appliance status`.", "catalogue")
    for kind, interval in PROOFS.items():
        yield from failures((kind,), readable.service, view)
        attempt = view.last(kind, readable.service)
        remedy = f"Type `appliance backup {kind} {readable.service}`."
        for alarm in attempt.alarms if attempt else ():
            yield Reason("failed", alarm, remedy, kind)
        yield from _late({kind: interval}, readable.service, view, now, remedy, kind)


def is_late(interval: float, since: float) -> bool:
    """Whether a proof is late that is made each `interval` and was made `since` seconds ago."""
    return since > PROOF_LATE * interval


def _late(proofs: Mapping[str, int], service: str, view: View, now: Now, remedy: str, check: str) -> Iterator[Reason]:
    for kind, interval in proofs.items():
        since = _since(view.last(kind, service), now)
        if is_late(interval, now.age if since is None else since):
            what = "it was never" if since is None else f"for {format_duration(since)} it was not"
            yield Reason("warning", f"{what} {PROVEN[kind]} here.", remedy, check)
