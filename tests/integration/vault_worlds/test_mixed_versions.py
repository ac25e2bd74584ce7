"""A territory in which some nodes are of a former version, which reads headers of format 1 only."""

from __future__ import annotations

import pytest

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.seal import seal
from appliance.backup.peers import conversation
from appliance.backup.peers.conversation import Head, Lines
from appliance.backup.peers.fetch import keep_history
from appliance.backup.writer import saved, writer
from appliance.backup.writer.manifest import Manifest, PathManifest
from appliance.backup.writer.writer import compare, own_grant, push_newest
from appliance.borg.names import archive_name
from appliance.monitor.status import judge
from appliance.monitor.view import AgentSeen
from appliance.trust import signed
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY
from tests.worlds.vaults_in_process import World, write


@pytest.fixture
def former(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The nodes whose heads do not say what they read, as those of a former version."""
    nodes: set[str] = set()
    read = conversation.read_head

    def read_head(frame: dict[str, object], peer: conversation.Member, *rest: object) -> Head:
        if peer.name in nodes:
            frame = {name: value for name, value in frame.items() if name != "reads"}
        return read(frame, peer, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(conversation, "read_head", read_head)
    return nodes


def run(world: World) -> tuple[int, dict[str, str]]:
    """A run as the writer seals it; the format of its header, and what each peer refused."""
    node = world.vaults.open(ORIGIN)
    chain = chain_of(node, SERVICE)
    with Lines(node) as lines:
        grant = own_grant(node, chain)
        compare(node, SERVICE, chain, lines)
        write(node.service(SERVICE), grant.epoch)
        sealed = writer.seal_now(node, SERVICE, chain, grant)
    pushed = push_newest(node, SERVICE)
    return sealed.header.document.format, {it.peer: str(it.error) for it in pushed if it.error}


def whole_as_told(world: World, name: str) -> object:
    """Return the status of a node on the newest backup."""
    node = world.vaults.open(name)
    now = now_of(node)
    view = Observer().look(node, now, Memory(), thorough=True)
    (found,) = (it for it in judge(view, now, AgentSeen(True)).judged if it.subject == SERVICE and "whole" in it.facts)
    return found.facts["whole"]


def test_the_later_format_is_sealed_once_every_holder_showed_that_it_reads_it(begun: World, former: set[str]) -> None:
    former |= {HOLDER}
    assert run(begun) == (1, {})
    begun.down = frozenset({HOLDER})
    former.clear()
    assert run(begun)[0] == 1, "what is silent counts as it was last"
    begun.down = frozenset()
    assert run(begun) == (2, {})


def test_a_partial_backup_is_not_safe_while_a_holder_keeps_its_header_from_saying_so(
    begun: World, former: set[str]
) -> None:
    """A holder that is away for a month is not upgraded, and all partial backups of that month were "safe 2 of 2"."""
    former |= {HOLDER}
    assert run(begun) == (1, {})
    node = begun.vaults.open(ORIGIN)
    newest = chain_of(node, SERVICE).newest()
    assert newest is not None
    archive = archive_name(SERVICE, f"{newest.header.epoch}.{newest.header.sequence}", newest.header.time, 1)
    saved.end(node.service(SERVICE), archive, Manifest((PathManifest("/srv/a", "failed", 0, 0),)))
    assert (writer.safety_of(node, SERVICE).held, writer.safety_of(node, SERVICE).safe) == (True, False)
    (seen,) = (it for it in Observer().look(node, now_of(node), Memory(), thorough=True).written if it.ours)
    assert (seen.safety.safe, seen.newest and seen.newest.whole, seen.safe_newest) == (False, False, None)
    assert [it.last for it in seen.partial] == [None]
    assert whole_as_told(begun, ORIGIN) is False
    assert whole_as_told(begun, STANDBY) is None, "the header that it holds cannot say it, so it claims nothing"
    former.clear()
    assert run(begun) == (2, {})
    assert (whole_as_told(begun, ORIGIN), whole_as_told(begun, STANDBY)) == (False, False)


def test_a_holder_that_was_put_back_to_a_former_version_is_told_to_be_upgraded(begun: World, former: set[str]) -> None:
    assert run(begun) == (2, {})
    former |= {STANDBY}
    begun.down = frozenset({STANDBY})
    assert run(begun)[0] == 2
    begun.down = frozenset()
    format_, refused = run(begun)
    assert format_ == 1
    assert "up to format 1, and these have format 2" in refused[STANDBY]
    assert HOLDER not in refused
    former.clear()
    assert run(begun) == (2, {})


def test_a_header_with_an_unknown_field_is_refused_by_a_vault(begun: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attacker with the origin's keys could send headers of 4 KiB that no peer can fetch any more, for ever."""
    make = signed.make

    def with_more(type_: str, fields: dict[str, object], *rest: object) -> bytes:
        return make(type_, fields | {"x": "y" * 900}, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(signed, "make", with_more)
    node = begun.vaults.open(ORIGIN)
    chain, layout = chain_of(node, SERVICE), node.service(SERVICE)
    write(layout, chain.grant().epoch)
    seal(layout, chain, chain.grant(), layout.envelopes, node.signing_key, node.clock.now())
    monkeypatch.undo()
    monkeypatch.setattr(conversation, "Line", begun.line)
    errors = {it.peer: str(it.error) for it in push_newest(node, SERVICE)}
    assert all("format 1 has no field 'x'" in said for said in errors.values()), errors


def test_a_standby_reads_the_history_that_a_less_strict_version_took(
    begun: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or one header of former days would keep a standby from the service that it holds, for ever."""
    vaults, make = begun.vaults, signed.make
    grant = vaults.grant()
    with monkeypatch.context() as patched:
        patched.setattr(signed, "make", lambda type_, fields, *rest: make(type_, fields | {"x": "y"}, *rest))
        made = vaults.seal(grant, {"config": b"config"})
    replica = vaults.holding(STANDBY)
    replica.create()
    replica.add_grant(grant.epoch, grant.document.raw)
    replica.add_headers([(made.header.id, made.header.document.raw)])
    node = vaults.open(STANDBY)
    keep_history(node, SERVICE, chain_of(node, SERVICE))
    assert chain_of(node, SERVICE).names() == (made.name,)
