"""A stolen box: its rights end with the next bundle, and services that it could open start over with another key."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers.conversation import Conversation, connect
from appliance.backup.peers.fetch import short_name, survey
from appliance.backup.peers.fetched_key import open_key, staging
from appliance.backup.peers.last_seen import lost_now
from appliance.backup.peers.openable import open_best
from appliance.backup.peers.safety import judge
from appliance.backup.vault.store import Replica
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.borg.folder import SEGMENT_BYTES, repository_id
from appliance.errors import ApplianceError, Refused
from appliance.escrow.envelopes import read_key
from appliance.host.command import run
from appliance.membership import renew
from appliance.node.handle import Node
from appliance.trust.bundle import read_bundle
from appliance.units import MIB
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.territory import ProcessTerritory

A_COMMIT_BYTES = 100  # a segment that says no more than "committed" is the same in every repository
SERVICE, ORIGIN, STANDBY, BLIND, SPARE = "docs-a", "commune-a", "hermitage", "commune-b", "commune-c"


def _desk(territory: ProcessTerritory, *words: str, code: int = 0) -> Any:
    """Return the answer of `appliance --json node revoke WORDS` beside the territory's key."""
    bundle = territory.offline / "bundle"
    if not bundle.exists():
        bundle.write_bytes(territory.nodes[BLIND].layout.bundle.read_bytes())
    argv = (*appliance_argv(), "--json", "node", "revoke", *words, "--territory", str(territory.offline))
    done = run(argv, timeout_seconds=60, env={"PYTHONPATH": str(code_folder())})
    assert done.exit_code == code, done.tail()
    return json.loads(done.stdout) if code == 0 else done.tail()


def _revoke(territory: ProcessTerritory, name: str, to: Sequence[str] = ()) -> None:
    """Revoke `name` at the key holder's desk and let the nodes `to` accept it, all but it by default."""
    _desk(territory, name, "--reason", "stolen", "--key", str(territory.territory_key), "--yes")
    bundle = territory.offline / "bundle"
    for other in to or [it for it in territory.nodes if it != name]:
        territory.nodes[other].cli("node", "accept", str(bundle))
    read = read_bundle(bundle.read_bytes(), territory.territory_key.with_suffix(".pub").read_text().strip())
    territory.serial, territory.revoked, territory.members = read.serial, read.revoked, dict(read.members)


def _refusal(node: Node, peer: str) -> str:
    with pytest.raises(ApplianceError) as caught, connect(node, peer) as conversation:
        conversation.head(SERVICE)
    return str(caught.value)


def _renew(territory: ProcessTerritory, name: str = ORIGIN) -> Node:
    node = territory.open(name)
    raw = territory.grant(renew.begin_or_renew(node, SERVICE), name)
    renew.take_begun(node, SERVICE, raw)
    return node


def test_the_cost_is_shown_before_anything_is_signed(territory: ProcessTerritory) -> None:
    shown = _desk(territory, STANDBY, "--reason", "stolen", "--dry-run") if _public(territory) else {}
    (service,) = shown["services"]
    assert (service["service"], service["writer"], service["holders"]) == (SERVICE, ORIGIN, [BLIND])
    assert service["bytes"] == service["size_bytes"] > 0
    assert service["seconds"] > 0
    assert service["all_until"] < service["last_until"]
    assert shown["written"] is False
    before = read_bundle((territory.offline / "bundle").read_bytes(), _public(territory))
    assert before.revoked.revocations == ()
    assert _desk(territory, BLIND, "--reason", "stolen", "--dry-run")["services"] == [], "it is blind"
    assert "Name it with --key" in _desk(territory, STANDBY, "--reason", "stolen", code=2)
    key = ("--key", str(territory.territory_key))
    assert "Say --yes" in _desk(territory, STANDBY, "--reason", "stolen", *key, code=2)
    assert "has no keys in the territory bundle" in _desk(territory, "nobody", "--reason", "x", "--dry-run", code=3)
    territory.territory_key.with_name("territory_ed25519.granted").unlink()
    assert "there is no record of grants beside the key" in _desk(
        territory, STANDBY, "--reason", "x", *key, "--yes", code=8
    )


def _public(territory: ProcessTerritory) -> str:
    line = territory.territory_key.with_suffix(".pub").read_text().strip()
    (territory.offline / "territory.pub").write_text(f"{line}\n")
    return line


def test_a_stolen_standby_is_let_in_nowhere_and_can_open_nothing_new(territory: ProcessTerritory) -> None:
    writer.run(territory.open(ORIGIN), SERVICE)
    thief = territory.open(STANDBY)
    old_key = read_key(territory.open(ORIGIN).service(SERVICE).key)
    _revoke(territory, STANDBY)
    for peer in (BLIND, SPARE):
        assert "Permission denied" in _refusal(thief, peer)

    origin = territory.open(ORIGIN)
    with pytest.raises(Refused, match="Start it over, with a new key"):
        writer.run(origin, SERVICE)
    assert not judge(origin.bundle, SERVICE, ORIGIN, [BLIND], lost_now(origin, SERVICE)).safe
    _renew(territory)
    done = writer.run(origin, SERVICE)
    assert str(done.sealed.header.id) == "4.1"
    assert done.safety.counted == (BLIND, SPARE), "the spare stands in for the standby, which is gone"
    assert done.safety.safe

    new_key = read_key(origin.service(SERVICE).key)
    assert new_key.repository != old_key.repository
    assert new_key.passphrase != old_key.passphrase
    assert [entry.path for entry in done.sealed.entries if entry.path.startswith("envelopes")] == [
        f"envelopes/{ORIGIN}.age"
    ], "nothing new is sealed to it"
    assert not {entry.sha256 for entry in done.sealed.entries if entry.size > A_COMMIT_BYTES} & _old_data(origin)
    assert writer.run(origin, SERVICE).safety.safe, "and on it goes"


def _old_data(node: Node) -> set[str]:
    """The hashes of the old repository's segments, at the peer that took both."""
    replica = Replica(node.layout.root.with_name(BLIND) / "vault" / SERVICE)
    old = min(item.name for item in replica.stored() if item.held)
    found = {entry.sha256 for entry in replica.entries(old) if entry.path.startswith("data/")}
    assert found
    return found


def test_what_was_sealed_before_stays_readable_here_and_is_written_no_more(territory: ProcessTerritory) -> None:
    first = writer.run(territory.open(ORIGIN), SERVICE)
    _revoke(territory, STANDBY)
    waiting = open_best(territory.open(ORIGIN), SERVICE)
    assert waiting.generation == "2.1", "until it starts over, the peers' copy is what there is"
    assert len(Borg(waiting.repository).archives()) == 1
    node = _renew(territory)
    assert open_best(node, SERVICE).generation == "2.1", "and until the first run under the new key too"
    writer.run(node, SERVICE)
    assert open_best(node, SERVICE).generation == "", "then it is the one written here"
    opened = open_best(node, SERVICE, f"generation:{first.sealed.header.id}")
    assert len(Borg(opened.repository).archives()) == 1
    heads = survey(node, SERVICE, (BLIND,)).heads
    assert [short_name(name) for name in sorted(heads[0].held)] == ["2.1", "4.1"]
    assert {path.name for path in node.service(SERVICE).root.glob("replaced-*")} == {"replaced-key", "replaced-4"}


def test_segments_of_the_former_repository_spoil_no_restore_of_the_new_one(
    territory: ProcessTerritory, documents: Path
) -> None:
    """Their numbers are the same, and so is the content of those that only commit; a file larger than a segment has
    the new repository commit at other numbers."""
    for _ in range(3):
        last = writer.run(territory.open(ORIGIN), SERVICE)
    _revoke(territory, STANDBY)
    node = _renew(territory)
    (documents / "plans.tif").write_bytes(os.urandom(SEGMENT_BYTES + MIB))
    for _ in range(2):
        newest = writer.run(node, SERVICE)
    for done, archives in ((last, 3), (newest, 2)):
        opened = open_best(node, SERVICE, f"generation:{done.sealed.header.id}")
        assert len(Borg(opened.repository).archives()) == archives


def test_a_cut_at_any_step_is_ended_by_the_same_command(territory: ProcessTerritory) -> None:
    writer.run(territory.open(ORIGIN), SERVICE)
    _revoke(territory, STANDBY)
    node = territory.open(ORIGIN)
    raw = territory.grant(renew.begin_or_renew(node, SERVICE), ORIGIN)
    folder, image = node.service(SERVICE).root, territory.root / "image"
    shutil.copytree(folder, image, copy_function=os.link)
    for cut in itertools.count():
        was_cut = _take_and_cut(node, raw, cut)
        if was_cut:
            with pytest.raises(ApplianceError):
                writer.own_grant(node, chain_of(node, SERVICE))
        grant = renew.take_begun(node, SERVICE, raw)
        assert repository_id(node.service(SERVICE).repository) == grant.repository
        assert not (folder / "next").exists()
        if not was_cut:
            break
        shutil.rmtree(folder)
        shutil.copytree(image, folder, copy_function=os.link)
    assert cut >= 8, "that many steps change the disk"
    assert writer.run(node, SERVICE).safety.safe


def _take_and_cut(node: Node, raw: bytes, count: int) -> bool:
    """Take the grant and go dark after `count` changes of the disk; whether it came to that."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _cut_after(monkeypatch, count)
        try:
            renew.take_begun(node, SERVICE, raw)
        except _Cut:
            return True
    return False


class _Cut(BaseException):
    """The power went."""


def _cut_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Go dark after `count` more changes of the disk by renewal."""
    made = [0]

    def counted(change: Any) -> Any:
        def step(*words: Any, **options: Any) -> Any:
            if made[0] == count:
                raise _Cut
            made[0] += 1
            return change(*words, **options)

        return step

    monkeypatch.setattr(renew.shutil, "rmtree", counted(renew.shutil.rmtree))
    monkeypatch.setattr(renew.os, "rename", counted(os.rename))
    for name in ("write_nonce", "install_key"):
        monkeypatch.setattr(renew, name, counted(getattr(renew, name)))
    monkeypatch.setattr(renew.Chain, "add_grant", counted(renew.Chain.add_grant))


def test_a_request_that_was_cut_gives_the_same_repository(
    territory: ProcessTerritory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _revoke(territory, STANDBY)
    node = territory.open(ORIGIN)
    monkeypatch.setattr(renew, "create_repository", lambda layout: layout.repository.mkdir(parents=True))
    with pytest.raises(ApplianceError):
        renew.begin_or_renew(node, SERVICE)
    monkeypatch.undo()
    first = renew.begin_or_renew(node, SERVICE)
    assert renew.begin_or_renew(node, SERVICE) == first


def test_the_old_repository_is_refused_by_the_vault_whoever_granted_it(territory: ProcessTerritory) -> None:
    """The key holder may be deceived too: the newest grant, for the repository whose key is known."""
    writer.run(territory.open(ORIGIN), SERVICE)
    held_back = territory.open(ORIGIN)
    sealed, found = fetch_for_resync(held_back, SERVICE)
    request = request_after_fetch(held_back, SERVICE, found, "before it heard of the revocation")
    _revoke(territory, STANDBY, to=(BLIND, SPARE))
    raw = territory.grant(request, ORIGIN)
    key = open_key(held_back, SERVICE, staging(held_back, SERVICE))
    continue_under(held_back, SERVICE, sealed, raw, key)
    pushed = {it.peer: str(it.error) for it in writer.run(held_back, SERVICE).pushed}
    assert "a node that was revoked could know its key" in pushed[BLIND]
    territory.nodes[ORIGIN].cli("node", "accept", str(territory.offline / "bundle"))
    node = territory.open(ORIGIN)
    with pytest.raises(Refused, match="Start it over"):
        writer.run(node, SERVICE)


def test_a_stolen_origin_gets_a_successor_that_begins_anew(territory: ProcessTerritory) -> None:
    writer.run(territory.open(ORIGIN), SERVICE)
    stolen = territory.nodes[ORIGIN].state.rename(territory.root / "stolen")
    _revoke(territory, ORIGIN)
    territory.nodes[ORIGIN].stop()
    territory.add_node(ORIGIN)
    territory.sign()
    territory.nodes[ORIGIN].start_sshd()
    node = territory.open(ORIGIN)
    with pytest.raises(Refused, match="is not continued"):
        request_after_fetch(node, SERVICE, fetch_for_resync(node, SERVICE)[1], "replaced")
    _renew(territory)
    done = writer.run(node, SERVICE)
    assert (str(done.sealed.header.id), done.safety.safe) == ("4.1", True)
    parent = chain_of(node, SERVICE).header(min(chain_of(node, SERVICE).names()))
    assert done.sealed.header.previous == parent.id.digest, "the history goes on"
    assert stolen.exists()


def test_a_successor_that_finds_a_new_file_is_told_how_those_of_before_come_back(territory: ProcessTerritory) -> None:
    """Somebody saved one in the folder of the service before anything was restored: it is not emptied any more."""
    writer.run(territory.open(ORIGIN), SERVICE)
    territory.nodes[ORIGIN].state.rename(territory.root / "stolen")
    _revoke(territory, ORIGIN)
    territory.nodes[ORIGIN].stop()
    territory.add_node(ORIGIN)
    territory.sign()
    territory.nodes[ORIGIN].start_sshd()
    there, request, grant = territory.nodes[ORIGIN], territory.root / "asked", territory.root / "granted"
    there.cli("backup", "begin", SERVICE, "--out", str(request))
    grant.write_bytes(territory.grant(request.read_bytes(), ORIGIN))
    told = there.cli("backup", "accept", SERVICE, str(grant)).stderr.decode()
    lines = [it for it in told.splitlines() if it.startswith("Next")]
    assert lines[0].startswith("Next, if files of before are missing: appliance ")
    assert lines[0].endswith(f" restore all --service {SERVICE} --in-place")
    assert lines[1].endswith(f" backup run {SERVICE}")


def test_a_bundle_that_forgets_a_revocation_or_brings_its_keys_back_is_refused(territory: ProcessTerritory) -> None:
    members = dict(territory.members)
    _revoke(territory, STANDBY)
    revoked, territory.revoked = territory.revoked, type(territory.revoked)()
    with pytest.raises(Refused, match="lacks a revocation"):
        territory.sign(to=(ORIGIN,))
    territory.revoked, territory.members = revoked, members
    with pytest.raises(Refused, match="hermitage shows a key that was revoked"):
        territory.sign(to=(ORIGIN,))


def test_a_session_under_way_ends_when_its_caller_is_revoked(territory: ProcessTerritory) -> None:
    writer.run(territory.open(ORIGIN), SERVICE)
    with connect(territory.open(STANDBY), BLIND) as conversation:
        assert conversation.head(SERVICE).held
        _revoke(territory, STANDBY, to=(BLIND,))
        with pytest.raises(ApplianceError):
            _talk(conversation, seconds=20)
    with connect(territory.open(ORIGIN), BLIND) as conversation:
        assert conversation.head(SERVICE).held, "others are let in"


def _talk(conversation: Conversation, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        conversation.head(SERVICE)
        time.sleep(0.2)


def test_sshd_itself_refuses_the_old_keys(territory: ProcessTerritory) -> None:
    _revoke(territory, STANDBY)
    peer, key = territory.nodes[BLIND], territory.nodes[STANDBY].layout.keys / "ssh_ed25519"
    words = (
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
    )
    argv = ("ssh", *words, "-i", str(key), "-p", str(peer.port), peer.address, "appliance-vault")
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"Permission denied" in done.stderr) == (255, True)
