"""A peer that answers with something else than what it was asked for: it is named, and the next holder is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.chain.resync import fetch_for_resync
from appliance.backup.peers.fetch import fetch, fetch_newest
from appliance.backup.vault import give, session
from appliance.backup.vault.call import Call
from appliance.backup.vault.maintenance.repair import repair
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.vault.wire import Closed
from appliance.errors import IntegrityError, Unreachable
from appliance.host.files import sha256_file
from appliance.trust.grant import read_grant
from tests.integration.vault_worlds.fetch_lies import LIES, OLDER
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY
from tests.worlds.vaults_in_process import World


@pytest.fixture
def world(begun: World) -> World:
    """A service with two generations at both holders."""
    begun.run(ORIGIN)
    begun.run(ORIGIN)
    return begun


class Lying:
    """The channel of a vault that answers a `get` with `lie` in it."""

    def __init__(self, call: Call, lie: Mapping[str, Any]) -> None:
        self._channel, self._lie = call.channel, lie

    def write_frame(self, frame: Mapping[str, Any]) -> None:
        self._channel.write_frame({**frame, **self._lie})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


def lying(lie: Mapping[str, Any]) -> Callable[[Call], None]:
    """In the place of `give.get`: only the standby lies."""

    def get(call: Call) -> None:
        if call.node.name != STANDBY:
            return give.get(call)
        if lie == {"generation": OLDER}:
            return give.get(replace(call, request={**call.request, "generation": call.replica.stored()[0].name}))
        return give.get(replace(call, channel=Lying(call, lie)))  # type: ignore[arg-type]

    return get


@pytest.mark.parametrize("name", LIES)
def test_a_lie_names_the_peer_and_the_next_holder_is_tried(
    world: World, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie, says = LIES[name]
    monkeypatch.setitem(session.VERBS, "get-own", lying(lie))  # type: ignore[arg-type]
    node = world.vaults.open(ORIGIN)
    newest = world.vaults.holding(STANDBY).stored()[-1].name
    with pytest.raises(IntegrityError) as raised:
        fetch(node, SERVICE, STANDBY, newest, tmp_path / "direct")
    assert says in raised.value.what
    assert STANDBY in raised.value.what
    sealed, _ = fetch_newest(node, SERVICE, tmp_path / "restored")
    assert sealed.header.id.name == newest
    assert (tmp_path / "restored" / "data/0/2").exists()


def test_a_header_of_another_service_is_refused(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, replica = world.vaults.open(ORIGIN), world.vaults.holding(STANDBY)
    grant = read_grant(replica.grant(replica.epochs()[-1]), node.bundle.territory_key)
    lie = {"headers": [world.vaults.seal(grant, {"config": b"config"}, service="docs-d").text]}
    monkeypatch.setitem(session.VERBS, "get-own", lying(lie))  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match="another service"):
        fetch(node, SERVICE, STANDBY, None, tmp_path / "direct")


class Spoiling:
    """The channel of a vault that sends a wrong start of each file, and is cut then."""

    def __init__(self, call: Call) -> None:
        self._channel = call.channel

    def send_file(self, file: object, size: int) -> None:
        self._channel.write(bytes(max(1, size // 2)))
        raise Closed("it was cut.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


def spoiling(call: Call) -> None:
    """In the place of `give.get`: only the standby, which is asked first, lies."""
    give.get(replace(call, channel=Spoiling(call)) if call.node.name == STANDBY else call)  # type: ignore[arg-type]


def test_the_wrong_start_of_a_file_that_a_peer_left_spoils_it_at_no_other(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise who is asked first, and is cut then, stops every restore and every takeover for ever."""
    monkeypatch.setitem(session.VERBS, "get-own", spoiling)  # type: ignore[arg-type]
    folder = tmp_path / "restored"
    sealed, _ = fetch_newest(world.vaults.open(ORIGIN), SERVICE, folder)
    assert {it.path: sha256_file(folder / it.path) for it in sealed.entries} == {
        it.path: it.sha256 for it in sealed.entries
    }


@pytest.mark.parametrize("name", [ORIGIN, STANDBY])
def test_segments_of_another_repository_that_lie_in_the_folder_are_replaced(
    world: World, name: str, tmp_path: Path
) -> None:
    """The second of two with the same content, as those of a commit, was left: borg then found no commit, and the
    generation had no archive."""
    for number in (10, 11):
        (world.vaults.open(ORIGIN).service(SERVICE).repository / f"data/0/{number}").write_bytes(b"a commit")
    world.run(ORIGIN)
    node, folder = world.vaults.open(name), tmp_path / "fetched"
    sealed, _ = fetch_newest(node, SERVICE, folder)
    segments = [it for it in sealed.entries if it.path.startswith("data/")]
    for it in segments:
        (folder / it.path).unlink()
        (folder / it.path).write_bytes(b"of another repository")
    fetch_newest(node, SERVICE, folder)
    assert [it.path for it in segments if sha256_file(folder / it.path) != it.sha256] == []


def test_the_wrong_start_of_a_blob_that_a_peer_left_spoils_no_repair(world: World) -> None:
    node, replica = world.vaults.open(STANDBY), world.vaults.holding(STANDBY)
    blob = next(iter(replica.blobs()))
    size = blob.stat().st_size
    blob.chmod(0o600)
    blob.write_bytes(bytes(size))
    scrub(node, SERVICE)
    (replica.partial / blob.name).write_bytes(bytes(size // 2))
    outcome = repair(node, SERVICE)
    assert (outcome.left, outcome.failed) == ((), {})
    assert sha256_file(blob) == blob.name


def withholding(call: Call) -> None:
    """In the place of `give.get`: the blind holder says that it has the newest, and sends nothing of it."""
    if call.node.name == HOLDER:
        raise Closed("it was cut.")
    give.get(call)


def test_a_takeover_is_told_what_to_type_when_only_a_liar_shows_the_newest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell a liar from a holder on a line that breaks, so a person decides what is given up."""
    older = world.vaults.holding(HOLDER).stored()[-1].name
    world.down = frozenset({STANDBY})
    world.run(ORIGIN)
    world.down = frozenset()
    newest = world.vaults.holding(HOLDER).stored()[-1].name
    standby = world.vaults.open(STANDBY)
    monkeypatch.setitem(session.VERBS, "get", withholding)  # type: ignore[arg-type]
    with pytest.raises(Unreachable, match=r"no node could send generation 2\.3: commune-b: ") as refused:
        fetch_for_resync(standby, SERVICE)
    sign = f"`appliance act sign promote {STANDBY} --service {SERVICE} --generation {older} --reason WHY"
    assert sign in refused.value.remedy
    assert "continues automatically once the generation is sent" in refused.value.remedy
    assert "`--from generation:2.2`" in refused.value.remedy
    found, _ = fetch_for_resync(standby, SERVICE, older)
    assert found.header.id.name == older
    monkeypatch.setitem(session.VERBS, "get", give.get)
    found, _ = fetch_for_resync(standby, SERVICE)
    assert found.header.id.name == newest
