"""Looks of a node at a service, for cases written as data: a quiet one for each state, and what a case changes in it.

Moments are seconds ago, `in` is ahead. Nodes are `me` and `other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from appliance.failover.fsm.model import (
    Action,
    Copy,
    Local,
    OperatorRequests,
    Policy,
    Proof,
    Record,
    Seen,
    Standing,
    State,
)
from appliance.failover.fsm.timers import Timers
from appliance.node.branch import Branch

NOW = 10_000.0
TIMERS = Timers()
LOCALS = {
    "down": Local(),
    "served": Local(writer=True, writable=True, address=True, healthy=True),
    "held": Local(writer=True, writable=True, address=True, healthy=True, held=True),
    "holding": Local(writer=True, writable=True, address=True, healthy=True, holding=True),
    "sick": Local(writer=True, writable=True, address=True),
    "started": Local(writer=True, writable=True),
    "writable": Local(writable=True),
    "copy": Local(copy=True),
}
MINE = {"owner": "me", "epoch": 3, "holder": "me"}
THEIRS = {"owner": "other", "epoch": 5, "holder": "other"}
VACANT = {"owner": "other", "epoch": 5}
# What each state usually looks like: the holder has epoch 3, everybody else sees epoch 5 at another node.
QUIET: Mapping[State, Mapping[str, Any]] = {
    State.BOOT: {"own": 0},
    State.CATCHUP: {"own": 0, "known": 5, "record": THEIRS, "lag": 900},
    State.STANDBY: {"own": 0, "known": 5, "record": THEIRS},
    State.GRACE: {"own": 0, "known": 5, "record": VACANT, "since": 0.1},
    State.RO_SERVE: {"own": 0, "known": 5, "record": VACANT, "local": "copy"},
    State.PROMOTING: {"own": 3, "proof": 1, "record": MINE, "since": 5, "acknowledged": 3},
    State.ACTIVE: {"own": 3, "proof": 1, "record": MINE, "local": "served", "acknowledged": 3},
    State.SUSPECT: {"own": 3, "proof": 4, "record": MINE, "local": "served", "acknowledged": 3, "since": 1},
    State.DEMOTING: {"own": 3, "record": MINE, "since": 0.5},
    State.RO_ISOLATED: {"own": 3, "local": "copy"},
    State.ISOLATED_RW: {"own": 3, "origin": True, "local": "served"},
    State.FENCED: {"own": 3},
    State.DIVERGED: {"own": 3, "known": 5, "record": THEIRS, "branch": "kept"},
    State.DRAINING: {"own": 3, "proof": 1, "record": MINE, "local": "held", "move_to": "other", "synced": True},
}
REQUESTS = ("promote", "quarantined", "paused", "move_to", "leaving", "hand_back")
EVERYTHING_JUST_DONE = dict.fromkeys(Action, 0.1)


def look(state: State, given: Mapping[str, Any]) -> tuple[Standing, Seen, Policy, Timers, float]:
    """The arguments of `decide`: what is usual in `state`, changed by `given`."""
    values = {**QUIET[state], **given}
    policy = Policy(values.pop("policy", "local-first" if state is State.ISOLATED_RW else "exclusive"))
    standing = Standing(
        state,
        NOW - values.pop("since", 100.0),
        values.pop("failures", 0),
        NOW - values.pop("failed", 0),
        values.pop("failed_handovers", 0),
        NOW - values.pop("handover_failed_ago", 0),
    )
    requests = OperatorRequests(**{name: values.pop(name) for name in REQUESTS if name in values})
    opened = values.pop("opened", values["own"])
    seen = Seen(
        node="me",
        is_origin=values.pop("origin", False),
        rank=values.pop("rank", 0),
        own_epoch=values.pop("own"),
        known_epoch=values.pop("known", 0),
        refused_by_epoch=values.pop("refused", 0),
        acknowledged_epoch=values.pop("acknowledged", 0),
        opened_epoch=opened,
        adopts=values.pop("adopts", False),
        released=values.pop("let_go", False),
        lost=values.pop("lost", False),
        unreplicated_writes=values.pop("unreplicated", False),
        branch=Branch(values.pop("branch", "none")),
        record=_record(values.pop("record", None), values.pop("answered", 1.0)),
        proof=_proof(values.pop("proof", None), values.pop("proof_epoch", 0) or given.get("own") or 3),
        local=LOCALS[values.pop("local", "down")],
        copy=Copy(values.pop("lag", 0.0), values.pop("unfit", ""), values.pop("stale_view", False)),
        synced=values.pop("synced", False),
        installed_at=NOW - values.pop("installed", NOW),
        started_at=NOW - values.pop("started", NOW),
        answered_at=NOW - values.pop("answers", NOW),
        old_writer_stops_at=NOW + values.pop("old_writer_stops_in", -1.0),
        served_at=NOW - values.pop("served_ago") if "served_ago" in values else None,
        origin="other",
        origin_ready_since=NOW - values.pop("origin_ready") if "origin_ready" in values else None,
        requests=requests,
        last={Action(name): NOW - ago for name, ago in {**EVERYTHING_JUST_DONE, **values.pop("done", {})}.items()},
    )
    assert not values, f"unknown in a case: {values}"
    return standing, seen, policy, TIMERS, NOW


def _record(values: Mapping[str, Any] | None, ago: float) -> Record | None:
    return None if values is None else replace(Record(NOW - ago), **{"granted": values.get("epoch", 0), **values})


def _proof(ago: float | None, epoch: int) -> Proof | None:
    return None if ago is None else Proof(NOW - ago, TIMERS.ttl, epoch)
