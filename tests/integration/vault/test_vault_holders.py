"""Holders among themselves, over real sshd: who is behind, withholds or forked; what is brought, mended and checked."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.backup.peers.exchange import Findings, ask_for_older, catch_up, exchange
from appliance.backup.peers.replicate import Replicated, replicate
from appliance.backup.vault.asked import asked_at
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import CORRUPT, Damage
from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.backup.vault.maintenance.repair import repair
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.checker import check_view
from appliance.backup.vault.store import HEADER, LIST, RECEIPT, RELAY, Replica
from appliance.backup.writer import writer
from appliance.clock import SystemClock, utc_text
from appliance.errors import Busy, Refused, Unreachable
from appliance.host.files import sha256_file
from appliance.node.acts import keep_act, load_acts
from appliance.node.handle import Node
from appliance.trust.act import make_act
from appliance.trust.grant import make_request
from appliance.trust.keys import load_key
from appliance.units import DAY
from appliance_lab.corpus import change
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.vault.siege import SERVICE, Siege
from tests.integration.vault_worlds.unreadable import rot
from tests.worlds.vaults import offer, push

STANDBY, BLIND, SPARE, ORIGIN = "hermitage", "commune-b", "commune-c", "commune-a"


def _back_up(territory: ProcessTerritory, documents: Path, times: int = 1) -> None:
    for _ in range(times):
        change(documents, 0.02)
        writer.run(territory.open(ORIGIN), SERVICE)


def _held(node: Node) -> list[str]:
    return [item.name for item in replica_of(node, SERVICE).stored() if item.held]


def _largest(replica: Replica) -> Path:
    return max(replica.blobs(), key=lambda path: path.stat().st_size)


def _lost(territory: ProcessTerritory, operator_key: Path, node: str) -> bytes:
    now = SystemClock().now()
    fields = {
        "act": "lost",
        "subject": node,
        "service": "any",
        "operator": "maintenance",
        "reason": "inondation",
        "start": utc_text(now - 60),
        "end": utc_text(now + 30 * DAY),
    }
    return make_act(fields, operator_key)


def test_a_holder_that_was_away_is_found_behind_and_gets_what_it_lacks(
    territory: ProcessTerritory, documents: Path
) -> None:
    """It was off for a while: the origin brings its newest with the headers between, another holder the rest."""
    _back_up(territory, documents)
    territory.nodes[STANDBY].stop()
    _back_up(territory, documents, 3)
    territory.nodes[STANDBY].start_sshd()
    writer.push_newest(territory.open(ORIGIN), SERVICE)
    standby, blind = territory.open(STANDBY), territory.open(BLIND)
    assert [name[:16] for name in _held(standby)] == ["00002.0000000001", "00002.0000000004"]
    assert len(replica_of(standby, SERVICE).stored()) == 4
    findings = exchange(blind, SERVICE)
    assert findings.answered == (STANDBY, SPARE)
    assert (findings.behind, findings.withheld, findings.forks, findings.silent) == ({}, {}, (), {})
    assert findings.to_bring == {STANDBY: tuple(_held(blind)[1:3])}
    behind = exchange(standby, SERVICE)
    assert behind.lacking == behind.to_come == {BLIND: tuple(_held(blind)[1:3])}
    assert asked_at(replica_of(blind, SERVICE)) == 0.0
    ask_for_older(standby, behind)
    assert asked_at(replica_of(blind, SERVICE)) == pytest.approx(standby.clock.now(), abs=60)
    (done,) = catch_up(blind, SERVICE, findings).values()
    assert isinstance(done, Replicated)
    assert set(done.taken) == set(_held(blind)[1:3])
    assert _held(standby) == _held(blind)
    assert replica_of(standby, SERVICE).path(_held(standby)[1], RELAY).exists()
    assert exchange(blind, SERVICE).to_bring == {}, "and the next hour there is nothing to do"
    assert scrub(standby, SERVICE).damage == ()


def test_a_holder_that_does_not_answer_is_named(territory: ProcessTerritory, documents: Path) -> None:
    _back_up(territory, documents)
    territory.nodes[STANDBY].stop()
    findings = exchange(territory.open(BLIND), SERVICE)
    assert findings.answered == (SPARE,)
    assert list(findings.silent) == [STANDBY]
    assert "does not answer" in findings.silent[STANDBY]
    assert findings.newest == _held(territory.open(BLIND))[-1]


def test_a_holder_that_withholds_the_newest_is_caught_by_its_own_receipt(
    territory: ProcessTerritory, documents: Path
) -> None:
    """hermitage showed its receipt for 2.2, and then claims that 2.1 is all it ever had."""
    _back_up(territory, documents, 2)
    blind = territory.open(BLIND)
    assert exchange(blind, SERVICE).withheld == {}
    replica = replica_of(territory.open(STANDBY), SERVICE)
    newest = _held(territory.open(STANDBY))[-1]
    hidden = replica.root / "hidden"
    shutil.move(replica.generations / newest, hidden)
    findings = exchange(blind, SERVICE)
    assert findings.withheld == {STANDBY: newest}
    assert findings.behind == {STANDBY: _held(territory.open(STANDBY))[-1]}
    assert [event["found"] for event in blind.journal.events("exchange-withheld")] == [{STANDBY: newest}]
    assert exchange(blind, SERVICE).withheld == {STANDBY: newest}, "until it shows it again"
    shutil.move(hidden, replica.generations / newest)
    assert exchange(blind, SERVICE).withheld == {}


def test_a_holder_whose_newest_is_damaged_says_so_and_is_no_liar(territory: ProcessTerritory, documents: Path) -> None:
    _back_up(territory, documents)
    blind, standby = territory.open(BLIND), territory.open(STANDBY)
    exchange(blind, SERVICE)
    rot(_largest(replica_of(standby, SERVICE)))
    scrub(standby, SERVICE)
    findings = exchange(blind, SERVICE)
    assert findings.withheld == {}
    assert findings.behind == {STANDBY: ""}
    assert findings.to_bring == {STANDBY: tuple(_held(blind))}
    catch_up(blind, SERVICE, findings)
    assert _held(standby) == _held(blind)
    assert damage.known(replica_of(standby, SERVICE)) == (), "what another holder brings mends too"


def test_a_fork_that_each_holder_saw_one_side_of_is_found_by_comparing(
    territory: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    """A cloned node pushes to one peer, its original to the other; neither peer alone can know."""
    _back_up(territory, documents)
    stolen = tmp_path / "stolen"
    shutil.copytree(territory.open(ORIGIN).layout.root, stolen)
    siege = Siege.begin(territory, stolen)
    for peer, content in ((STANDBY, b"one"), (BLIND, b"other")):
        with siege.session(peer) as session:
            push(session.channel, siege.forge({"config": content}))
    assert exchange(territory.open(BLIND), SERVICE).forks == ("2.2",)
    assert exchange(territory.open(STANDBY), SERVICE).forks == ("2.2",)
    catch_up(territory.open(BLIND), SERVICE, exchange(territory.open(BLIND), SERVICE))
    assert len(_held(territory.open(STANDBY))) == 3, "both sides are kept"


def test_a_newer_epoch_learned_from_another_holder_fences_the_older_writer(
    territory: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    _back_up(territory, documents)
    stolen = tmp_path / "stolen"
    shutil.copytree(territory.open(ORIGIN).layout.root, stolen)
    siege = Siege.begin(territory, stolen)
    standby, blind = territory.open(STANDBY), territory.open(BLIND)
    asked = make_request(
        load_key(standby.signing_key),
        service=SERVICE,
        repository="ab" * 32,
        writer=STANDBY,
        known_epoch=2,
        reason="takeover",
    )
    replica_of(standby, SERVICE).add_grant(4, territory.grant(asked, STANDBY))
    assert exchange(blind, SERVICE).new_epochs == (4,)
    with siege.session(BLIND) as session, pytest.raises(Refused, match="epoch 2 of docs-a ended: epoch 4 belongs to"):
        push(session.channel, siege.forge({"config": b"late"}))
    assert exchange(blind, SERVICE).new_epochs == ()


def test_after_a_loss_the_spare_gets_everything_and_only_then(
    territory: ProcessTerritory, documents: Path, operator_key: Path
) -> None:
    _back_up(territory, documents, 2)
    blind, spare = territory.open(BLIND), territory.open(SPARE)
    with pytest.raises(Refused, match="commune-c is only a spare for docs-a"):
        replicate(blind, SERVICE, SPARE)
    assert replica_of(spare, SERVICE).stored() == ()
    keep_act(blind.layout.acts, _lost(territory, operator_key, STANDBY), blind.bundle)
    acts = load_acts(blind.layout.acts, blind.bundle)
    assert len(replicate(blind, SERVICE, SPARE, acts).taken) == 2
    assert _held(spare) == _held(blind)
    assert scrub(spare, SERVICE).damage == ()
    assert check_view(spare, SERVICE).fault == ""
    again = replicate(blind, SERVICE, SPARE, acts)
    assert again.taken == ()
    assert again.bytes_sent < 1000


def _flip_blob(replica: Replica, names: list[str]) -> None:
    rot(_largest(replica))


def _lose_blob(replica: Replica, names: list[str]) -> None:
    _largest(replica).unlink()


def _part(part: str, harm: Callable[[Path], None]) -> Callable[[Replica, list[str]], None]:
    return lambda replica, names: harm(replica.path(names[-1], part))


def _lose(path: Path) -> None:
    path.unlink()


def _lose_first_header(replica: Replica, names: list[str]) -> None:
    shutil.rmtree(replica.generations / names[0])


def _lose_grants(replica: Replica, names: list[str]) -> None:
    for path in replica.grants.iterdir():
        path.unlink()


def _rot_grants(replica: Replica, names: list[str]) -> None:
    for path in replica.grants.iterdir():
        rot(path)


HARMS: dict[str, Callable[[Replica, list[str]], None]] = {
    "a rotten blob": _flip_blob,
    "a lost blob": _lose_blob,
    "a rotten list": _part(LIST, rot),
    "a rotten header": _part(HEADER, rot),
    "a lost header": _part(HEADER, _lose),
    "a rotten receipt": _part(RECEIPT, rot),
    "a lost link of the chain": _lose_first_header,
    "lost grants": _lose_grants,
    "rotten grants": _rot_grants,
}


def test_what_rots_at_a_blind_holder_comes_back_from_another(territory: ProcessTerritory, documents: Path) -> None:
    """Every kind of damage in turn, mended without any key and without the origin."""
    _back_up(territory, documents, 2)
    for node in (ORIGIN, SPARE):
        territory.nodes[node].stop()
    blind = territory.open(BLIND)
    replica, names = replica_of(blind, SERVICE), _held(blind)
    for name, harm in HARMS.items():
        harm(replica, names)
        found = scrub(blind, SERVICE).damage
        assert found, name
        outcome = repair(blind, SERVICE)
        assert (set(outcome.mended), outcome.left) == (set(found), ()), name
        assert scrub(blind, SERVICE).damage == (), name
        if harm is not _lose_first_header:
            assert _held(blind) == names, name
        catch_up(territory.open(STANDBY), SERVICE, exchange(territory.open(STANDBY), SERVICE))
        assert _held(blind) == names, name
    assert repair(blind, SERVICE).mended == ()


def test_only_what_is_wrong_is_fetched(territory: ProcessTerritory, documents: Path) -> None:
    _back_up(territory, documents)
    blind = territory.open(BLIND)
    replica = replica_of(blind, SERVICE)
    smallest = min(replica.blobs(), key=lambda path: path.stat().st_size)
    inodes = {path.name: path.stat().st_ino for path in replica.blobs()}
    rot(smallest)
    scrub(blind, SERVICE)
    repair(blind, SERVICE)
    changed = {path.name for path in replica.blobs() if inodes[path.name] != path.stat().st_ino}
    assert changed == {smallest.name}


def test_two_holders_with_different_rot_mend_each_other(territory: ProcessTerritory, documents: Path) -> None:
    """Neither holds a whole generation any more; what each lacks the other has."""
    _back_up(territory, documents)
    blind, standby = territory.open(BLIND), territory.open(STANDBY)
    sizes = sorted(replica_of(blind, SERVICE).blobs(), key=lambda path: path.stat().st_size)
    rot(replica_of(blind, SERVICE).blob(sizes[-1].name))
    rot(replica_of(standby, SERVICE).blob(sizes[0].name))
    for node in (blind, standby):
        scrub(node, SERVICE)
        assert _held(node) == []
    for node in (blind, standby):
        assert repair(node, SERVICE).left == ()
        assert len(_held(node)) == 1


def test_rot_that_nobody_else_has_whole_stays_told(territory: ProcessTerritory, documents: Path) -> None:
    _back_up(territory, documents)
    blind, standby = territory.open(BLIND), territory.open(STANDBY)
    digest = _largest(replica_of(blind, SERVICE)).name
    for node in (blind, standby):
        rot(replica_of(node, SERVICE).blob(digest))
    scrub(blind, SERVICE)
    outcome = repair(blind, SERVICE)
    assert outcome.left == (Damage(CORRUPT, digest),)
    assert "does not match the hash" in outcome.failed[STANDBY]
    assert _held(blind) == []
    territory.nodes[STANDBY].stop()
    assert "does not answer" in repair(blind, SERVICE).failed[STANDBY]


def test_repair_waits_while_a_push_is_taken(territory: ProcessTerritory, documents: Path) -> None:
    _back_up(territory, documents)
    blind = territory.open(BLIND)
    rot(_largest(replica_of(blind, SERVICE)))
    scrub(blind, SERVICE)
    siege = Siege(territory, territory.open(ORIGIN))
    with siege.session(BLIND) as session:
        offer(session.channel, siege.forge({"config": b"x"}))
        session.channel.read_frame()
        with pytest.raises(Busy, match="the vault's replica of docs-a is in use"):
            repair(blind, SERVICE)
        assert prune_replica(blind, SERVICE).skipped == "a session is taking a push; the next pass prunes."


def test_borg_finds_a_held_generation_whole_and_leaves_the_pool_as_it_is(
    territory: ProcessTerritory, documents: Path
) -> None:
    _back_up(territory, documents, 2)
    blind = territory.open(BLIND)
    replica = replica_of(blind, SERVICE)
    before = {path: (sha256_file(path), path.stat()[:7], path.stat().st_mtime_ns) for path in replica.blobs()}
    for name in (None, *_held(blind)):
        assert check_view(blind, SERVICE, name).fault == ""
    after = {path: (sha256_file(path), path.stat()[:7], path.stat().st_mtime_ns) for path in replica.blobs()}
    assert after == before
    assert list(blind.layout.run.glob("view-*")) == [], "the view is gone"


def test_borg_finds_what_an_origin_sealed_broken(territory: ProcessTerritory, documents: Path) -> None:
    """Every hash is in order, so the scrub finds nothing: it was broken before it was sealed."""
    _back_up(territory, documents)
    origin, blind = territory.open(ORIGIN), territory.open(BLIND)
    siege = Siege(territory, origin)
    sealed = siege.newest
    folder = origin.service(SERVICE).sealed / sealed.header.id.name
    files = {entry.path: (folder / entry.path).read_bytes() for entry in sealed.entries}
    largest = max((path for path in files if path.startswith("data/")), key=lambda path: len(files[path]))
    broken = bytearray(files[largest])
    broken[len(broken) // 2] ^= 1
    with siege.session(BLIND) as session:
        push(session.channel, siege.forge({**files, largest: bytes(broken)}))
    assert scrub(blind, SERVICE).damage == ()
    assert "borg check found damage" in check_view(blind, SERVICE).fault
    assert check_view(blind, SERVICE, sealed.header.id.name).fault == "", "the older one is not concerned"


def test_a_vault_killed_over_ssh_takes_the_same_push_again(territory: ProcessTerritory, documents: Path) -> None:
    _back_up(territory, documents)
    siege = Siege(territory, territory.open(ORIGIN))
    made = siege.forge({"data/6/6": os.urandom(2_000_000)})
    lock = replica_of(territory.open(BLIND), SERVICE).root / "session.lock"
    with siege.session(BLIND) as session:
        offer(session.channel, made)
        assert session.channel.read_frame()["need"]
        session.channel.write(made.blobs[made.entries[0].sha256][:1_000_000])
        _kill_holder_of(lock)
        assert session.process.wait(20) != 0
    with siege.session(BLIND) as session:
        offer(session.channel, made)
        ((digest, offset),) = session.channel.read_frame()["need"]
        session.channel.write(made.blobs[digest][offset:])
        assert "receipt" in session.channel.read_frame()
    assert scrub(territory.open(BLIND), SERVICE).damage == ()


def _kill_holder_of(lock: Path) -> None:
    """The process that says in the lock file that it has the turn: a child of an sshd that this test started."""
    os.kill(int(json.loads(lock.read_text())["pid"]), signal.SIGKILL)


def test_nobody_to_ask_is_said(territory: ProcessTerritory) -> None:
    findings: Findings = exchange(territory.open(BLIND), SERVICE)
    assert (findings.newest, findings.behind, findings.to_bring) == ("", {}, {})
    territory.nodes[SPARE].stop()
    with pytest.raises(Unreachable):
        replicate(territory.open(BLIND), SERVICE, SPARE)
