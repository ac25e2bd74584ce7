"""Files that a node keeps for itself, as they were written before `records.py`: each is read, and written the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.agent import memory, work
from appliance.agent.memory import Memory, Outcome
from appliance.backup.chain import orphaned_generations
from appliance.backup.peers import alarms, exchange, last_seen
from appliance.backup.proofs import proofs
from appliance.backup.proofs.proofs import Damaged, Drilled, Proofs, Round
from appliance.backup.vault import ledger
from appliance.backup.vault.limits import Amount
from appliance.backup.vault.maintenance import damage, early_pruning, former_replica, freeze, leftovers, scrub
from appliance.backup.vault.sealing import probed
from appliance.coordination.port import Lease
from appliance.failover import replaced_trees
from appliance.host.records import Record
from appliance.monitor.view import Attempt, Now, PutAside, Running
from appliance.node import failover_state, failover_status
from appliance.node.branch import Branch
from appliance.portal import opened
from appliance.portal.copies_age import Freshness
from appliance.portal.dashboard import history
from appliance.restore import job, request
from appliance.restore.fill import Fill

GOLDEN = Path(__file__).parents[1] / "golden/records-1"
ATTEMPT = Attempt(
    1.5,
    20,
    2,
    "no disk",
    "free it",
    True,
    "2.7",
    None,
    10,
    (("/a", "locked"),),
    1,
    {"read": 5},
    ("rotten",),
    ("commune-b",),
    {"commune-b": 3},
    60,
    120,
)
OUTCOME = Outcome(
    "no",
    "do",
    4,
    True,
    "2.7",
    {"commune-b": ""},
    (("/a", "locked"),),
    1,
    {"read": 5},
    ("rotten",),
    ("commune-b",),
    {"commune-b": 3},
    {"commune-b": (60, 120)},
    True,
)
DRILLED = Drilled("t", 5, "2.7", "a", 1, True, 2, 3, 4, 1.5, True, 6, 7, ("w",), ("t",))
FRESH = Freshness(1.5, 1, 2, 3600, False, (("a", None), ("b", 2.0)), (("c", 1.0, 2.0),), True)
TOLD = failover_status.ServiceStatus(
    "docs-a",
    "b1",
    "SERVING",
    "r1",
    "é tient",
    3,
    4,
    "commune-a",
    None,
    1.5,
    "",
    {"sync": "no answer"},
    None,
    2.5,
    quarantined=True,
)
KEPT: dict[str, tuple[Record[Any], Any]] = {
    "agent.json": (
        memory.KEPT,
        Memory({"push docs-a commune-b": ATTEMPT}, (Running("push", "docs-a", ("commune-b",), Now(3.0, 40), "2.6"),)),
    ),
    "alarm": (freeze.ALARM, freeze.Alarm("a fork", 7, 1.5)),
    "bent": (early_pruning.EARLY_PRUNED, early_pruning.EarlyPruned(7, "2.7", 8)),
    "damage": (damage.KNOWN, (damage.Damage("link", "cd"), damage.Damage("rotten", "ab"))),
    "docs-a.alarmed": (alarms.ALARMED, frozenset({"fork 2.7", "withheld b c"})),
    "docs-a.exchanged": (exchange.SHOWN, {"commune-b": "receipt"}),
    "docs-a.json": (failover_status.KEPT, TOLD),
    "docs-a.left-behind": (
        orphaned_generations.ORPHANED,
        orphaned_generations.OrphanedGenerations(1.5, {"commune-b": ("a", "b")}),
    ),
    "docs-a.shown": (
        former_replica.SHOWN_RECEIPTS,
        {"commune-b": former_replica.ShownReceipt("receipt", 7, ("a", "b"))},
    ),
    "history.json": (history.KEPT, history.History(5.0, "", {"mois": {"age": {"docs-a": (1.0, None, 2.5)}}})),
    "job.json": (
        job.JOB,
        job.Job(
            "jobx",
            "arch",
            ("a/b\udce9",),
            Path("/srv/t"),
            True,
            "done",
            2,
            3,
            1.5,
            (("a", "w"),),
            7,
            (("a", "b"),),
            (Fill("p", "x"),),
            job.Typed("asked", ("restore", "file"), "2.7"),
            True,
            6,
        ),
    ),
    "known.json": (replaced_trees.KNOWN, replaced_trees.Known({"ab": PutAside("/srv", 1, 2, 3, 4, "f")})),
    "lasting": (freeze.FIRST_SEEN, {"ab": 7}),
    "failover.json": (
        failover_state.DURABLE,
        failover_state.DurableState(
            1, 2, 3, 4, True, Branch.KEPT, True, ("ab", "cd"), "2.7", 5, "2.6", "2.5", "2.4", 60
        ),
    ),
    "lease.json": (
        failover_state.PROVEN,
        failover_state.ProvenLease("b1", Lease("docs-a", "commune-a", 7, 8, 9, 60, 12.25), 3, 2, 4.5),
    ),
    "ledger.json": (ledger.KEPT, ledger.Ledger(3, 4, 5, {"2": Amount(1, 2, 3)}, 6, False)),
    "lock.json": (
        probed.KEPT,
        probed.Found({"docs-a": probed.Probed(1.5, ("unlink",), "2.7", 60), "docs-b": probed.Probed(2.0)}),
    ),
    "opened.json": (
        opened.KEPT,
        opened.Found({"docs-a": opened.Opened(Path("/srv/c"), FRESH, 9.5), "docs-b": opened.Opened(Path("/srv/d"))}),
    ),
    "order.json": (
        request.REQUEST,
        request.RestoreRequest("0" * 32, "Anne", "docs-a", "beside", "arch", 2.5, ("s/a\udce9",), "s", 3.0),
    ),
    "outcome.json": (work.ANSWER, OUTCOME),
    "progress": (request.REACHED, request.Reached(1, 2, 3)),
    "proofs.json": (
        proofs.KEPT,
        Proofs(Round("t", "p", 1, 2, 0.5, (Damaged("a", "p", "r"),)), None, DRILLED, DRILLED, None),
    ),
    "scrubbed": (scrub.CURSOR, {"after": "pool ab"}),
    "docs-a.heard": (last_seen.HEARD, {"commune-b": last_seen.Seen(7, "2026-01-01T00:00:00Z")}),
    "sight": (
        last_seen.LAST_SEEN,
        last_seen.LastSeen({"commune-b": last_seen.Seen(7, "2026-01-01T00:00:00Z")}, ("statement",)),
    ),
    "status.json": (
        request.STATUS,
        request.Status(
            "failed",
            "packing",
            "job",
            1,
            2,
            "r",
            3,
            (("a", "b"),),
            (("c", "d"),),
            (("e", ""),),
            "NoSpace",
            "full",
            "free",
            9,
            "u",
            "g",
        ),
    ),
    "unreferenced": (leftovers.UNREFERENCED, {"pool/ab": (1, 2)}),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_file_that_was_written_before_is_read_and_written_the_same(name: str) -> None:
    record, value = KEPT[name]
    raw = (GOLDEN / name).read_bytes()
    assert record.from_bytes(raw) == value
    assert json.loads(record.to_bytes(value)) == json.loads(raw)


@pytest.mark.parametrize("name", ["branch", "served_acts"])
def test_a_durable_state_without_what_must_not_be_guessed_is_not_read(name: str) -> None:
    raw = json.loads((GOLDEN / "failover.json").read_bytes())
    del raw[name]
    with pytest.raises(ValueError, match=f"{name} is missing"):
        failover_state.DURABLE.from_bytes(json.dumps(raw).encode())


@pytest.mark.parametrize(("name", "text"), [("sight", '"statement"'), ("docs-a.shown", '"receipt"')])
def test_half_a_character_in_place_of_a_signed_document_is_not_read(name: str, text: str) -> None:
    """A frame with one is refused (test_vault_wire.py), so only damage puts it there."""
    record, _ = KEPT[name]
    before, found, after = (GOLDEN / name).read_text().rpartition(text)
    assert found
    with pytest.raises(ValueError, match="surrogates not allowed"):
        record.from_bytes(f'{before}"\\ud800"{after}'.encode())


def test_every_such_file_is_read() -> None:
    assert {it.name for it in GOLDEN.iterdir()} == set(KEPT)


@pytest.mark.parametrize("name", KEPT)
def test_a_file_that_is_cut_anywhere_is_never_read_in_part(name: str) -> None:
    record, _ = KEPT[name]
    raw = (GOLDEN / name).read_bytes().rstrip()
    for end in range(0, len(raw), 7):
        with pytest.raises(ValueError, match=r"."):
            record.from_bytes(raw[:end])
