"""Rows of the holder: it proves that it may write, opens, serves, renews, and hands over."""

from __future__ import annotations

from appliance.failover.fsm import guards as when
from appliance.failover.fsm.model import STOPPING
from appliance.failover.fsm.model import Action as A
from appliance.failover.fsm.model import State as S
from appliance.failover.fsm.row import Row

ROWS: tuple[Row, ...] = (
    # PROMOTING: proves, step by step, that it may; then opens.
    Row(
        "promoting.failed",
        (S.PROMOTING,),
        when.TOO_LONG,
        (*STOPPING, A.ALARM),
        S.DEMOTING,
        "it does not start here; it is retried after a while, by another node unless this is its origin",
        fails=True,
    ),
    Row(
        "active.suspect",
        (S.ACTIVE,),
        when.UNPROVEN,
        (A.WAKE, A.RENEW),
        S.SUSPECT,
        "another voter is asked at once, and the stop is prepared",
    ),
    Row(
        "renew",
        (S.PROMOTING, S.ACTIVE, S.DRAINING),
        when.RENEWAL_DUE,
        (A.RENEW,),
        None,
        "five tries in a lease",
    ),
    Row(
        "promoting.grant",
        (S.PROMOTING,),
        when.NO_GRANT,
        (A.ASK_GRANT,),
        None,
        "peers accept only epochs that a majority of the brokers signed",
    ),
    Row(
        "promoting.deposed",
        (S.PROMOTING,),
        when.DEPOSED,
        (),
        None,
        "an act does not stop a lease holder that cannot be reached; its own deadline does",
    ),
    Row(
        "promoting.present",
        (S.PROMOTING,),
        when.UNKNOWN_TO_PEERS,
        (A.PRESENT,),
        None,
        "from then on late writes of the former writer are refused, even those in a dead program's buffer",
    ),
    Row(
        "promoting.diverged",
        (S.PROMOTING,),
        when.ADOPTS & when.UNREPLICATED & when.KEEP_DUE,
        (A.ALARM, A.KEEP_BRANCH),
        None,
        "an operator promoted it before it knew that another node had written: its unreplicated writes are saved first",
    ),
    Row(
        "promoting.unkept",
        (S.PROMOTING,),
        when.ADOPTS & when.UNREPLICATED,
        (),
        None,
        "the branch is being saved, or its disk must be fixed first",
    ),
    Row(
        "promoting.start",
        (S.PROMOTING,),
        when.NOT_STARTED,
        (A.WITHDRAW_COPY, A.ARM_WATCHDOG, A.START),
        None,
        "the watchdog before the service: an agent that hangs here must not leave it running",
    ),
    Row(
        "promoting.address",
        (S.PROMOTING,),
        when.NO_ADDRESS,
        (A.ADD_ADDRESS,),
        None,
        "the health check uses the address, as clients do: earlier, it would leave this machine",
    ),
    Row("promoting.probe", (S.PROMOTING,), when.NOT_ANSWERING, (A.PROBE,), None, "it is served when it answers"),
    Row("promoting.served", (S.PROMOTING,), when.ALWAYS, (), S.ACTIVE, "it is served here"),
    # ACTIVE: serves and renews.
    Row(
        "active.down",
        (S.ACTIVE,),
        when.NOT_SERVED,
        (),
        S.PROMOTING,
        "it is restarted here, and released if that fails for T_prom",
    ),
    Row(
        "active.hand-over",
        (S.ACTIVE,),
        when.HANDOVER_REQUESTED & when.HAND_OVER_DUE,
        (A.EXPECT, A.HOLD_WRITES),
        S.DRAINING,
        "an operator moves it, the node is leaving, or its origin has been ready for long enough",
    ),
    Row("active.held", (S.ACTIVE,), when.HELD, (A.RESUME_WRITES,), None, "no handover is under way"),
    Row("active.stay", (S.ACTIVE,), when.ALWAYS, (), None, "it is served here"),
    # SUSPECT: serves, and asks every other voter.
    Row("suspect.proven", (S.SUSPECT,), when.PROVEN_SINCE, (), S.ACTIVE, "one voter or link was slow"),
    Row("suspect.retry", (S.SUSPECT,), when.RETRY_DUE, (A.RENEW,), None, "each try goes to another voter"),
    Row("suspect.stay", (S.SUSPECT,), when.ALWAYS, (), None, "the answer is on its way, the deadline ahead"),
    # DRAINING: hands over, and loses nothing.
    Row(
        "draining.cancelled",
        (S.DRAINING,),
        when.HANDOVER_CANCELLED,
        (A.RESUME_WRITES,),
        S.ACTIVE,
        "the request was withdrawn",
    ),
    Row(
        "draining.failed",
        (S.DRAINING,),
        when.DRAINED_TOO_LONG,
        (A.RESUME_WRITES, A.ALARM),
        S.ACTIVE,
        "clients have waited long enough; it is retried after a while",
        fails_handover=True,
    ),
    Row(
        "draining.hold",
        (S.DRAINING,),
        when.NOT_HELD,
        (A.EXPECT, A.HOLD_WRITES),
        None,
        "nothing new after the last sync",
    ),
    Row("draining.sync", (S.DRAINING,), when.NOT_SYNCED, (A.SYNC,), None, "a planned move loses nothing"),
    Row("draining.stop", (S.DRAINING,), when.OPEN, STOPPING, None, "it is closed here before another node may open it"),
    Row(
        "draining.release",
        (S.DRAINING,),
        when.ALWAYS,
        (A.RELEASE,),
        S.STANDBY,
        "a clean release proves all others safe",
    ),
)
