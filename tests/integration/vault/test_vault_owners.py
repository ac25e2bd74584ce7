"""The owner of sealed files on a host: neither the account that received them nor the agent changes them, and each sees
its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.backup.chain.proven import Proven
from appliance.backup.peers.local_reuse import reuse_local
from appliance.backup.vault.call import Call
from appliance.backup.vault.receive import not_at_hand
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.lock_probe import probe
from appliance.backup.vault.sealing.sealer import Sealer
from appliance.backup.vault.store import HEADER
from appliance.backup.vault.wire import Channel
from appliance.node.handle import Node
from tests.integration.vault.accounts import NODE, RECEIVER, Place, as_account, host
from tests.integration.vault.sealing import push
from tests.worlds.vaults import HOLDER, SERVICE, STANDBY, Generation

pytestmark = pytest.mark.root


@pytest.fixture
def place() -> Iterator[Place]:
    with host() as found:
        yield found


@pytest.fixture
def chain(place: Place) -> list[Generation]:
    """Generations of which the first is held; of all but two only the header came, in the history."""
    grant = place.vaults.grant()
    made = place.vaults.chain(grant, 20)
    assert push(place, made[:1], [grant])
    place.as_receiver(lambda node, sealer: sealer.keep(SERVICE, [grant], [it.header for it in made]))
    return made


def sealed_paths(place: Place) -> list[Path]:
    """Everything of the holding that is sealed, and what says how old it is and who seals."""
    layout, replica = place.vaults.layout(HOLDER), place.vaults.holding(HOLDER)
    folders = (replica.pool, replica.generations, replica.grants, replica.history.folder)
    files = [path for folder in folders for path in folder.rglob("*")]
    return [*files, *folders, replica.root, layout.ageing, layout.helpers]


def attempts(path: Path, own: Path) -> dict[str, Callable[[], object]]:
    """Return what an account might try with `path`; `own` is a file of its own beside."""
    changes: dict[str, Callable[[], object]] = {
        "unlink": path.unlink,
        "rmdir": path.rmdir,
        "rename": lambda: path.rename(own.with_name("renamed")),
        "replace": lambda: os.replace(own, path),
        "chmod": lambda: path.chmod(0o777),
        "chown": lambda: os.chown(path, os.geteuid(), os.getegid()),
        "utime": lambda: os.utime(path, (1, 1)),
        "setxattr": lambda: os.setxattr(path, "user.x", b"x"),
    }
    if path.is_dir():
        return {**changes, "create": lambda: (path / "new").write_bytes(b"x"), "mkdir": lambda: (path / "sub").mkdir()}
    return {
        **changes,
        "write": lambda: path.write_bytes(b"x"),
        "append": lambda: open(path, "ab").close(),
        "truncate": lambda: os.truncate(path, 0),
        "link": lambda: os.link(path, own.with_name("linked")),
    }


@pytest.mark.parametrize("uid", [RECEIVER, NODE])
def test_neither_who_received_it_nor_the_agent_can_change_what_is_sealed(
    place: Place, chain: list[Generation], uid: int
) -> None:
    paths = sealed_paths(place)
    own = place.vaults.holding(HOLDER).partial / "own"

    def try_all() -> list[str]:
        own.write_bytes(b"mine")
        done = []
        for path in paths:
            for name, attempt in attempts(path, own).items():
                try:
                    attempt()
                except OSError:
                    continue
                done.append(f"{name} {path.relative_to(place.vaults.root)}")
        return done

    before = {path: path.read_bytes() for path in paths if path.is_file()}
    assert as_account(uid, try_all) == []
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("who", ["receiver", "node"])
def test_receiver_and_node_read_what_the_sealer_put_into_the_history(
    place: Place, chain: list[Generation], who: str
) -> None:
    def known(node: Node, sealer: Sealer) -> list[bytes]:
        replica = replica_of(node, SERVICE)
        assert len(replica.folders()) < len(chain)
        return [replica.read(it.name, HEADER) for it in replica.stored()]

    act = place.as_receiver if who == "receiver" else place.as_node
    assert act(known) == [it.header.document.raw for it in chain]


def test_the_receiver_may_read_no_key_and_no_repository_of_the_node(place: Place) -> None:
    layout = place.vaults.layout(HOLDER)

    def readable() -> list[str]:
        return [path.name for path in (layout.keys, layout.root / "services", layout.journal) if os.access(path, 4)]

    assert as_account(RECEIVER, readable) == []


def test_a_standby_that_takes_over_copies_what_it_holds_and_may_not_link(place: Place, chain: list[Generation]) -> None:
    folder = place.vaults.layout(HOLDER).root / "staging"

    def do(node: Node, sealer: Sealer) -> tuple[frozenset[str], set[int]]:
        placed = reuse_local(node, SERVICE, chain[0].entries, folder, Proven(node, SERVICE))
        return placed, {(folder / path).stat().st_uid for path in placed}

    placed, owners = place.as_node(do)
    assert (placed, owners) == ({entry.path for entry in chain[0].entries}, {NODE})
    for entry in chain[0].entries:
        assert (folder / entry.path).read_bytes() == chain[0].blobs[entry.sha256]
    assert list(folder.rglob(".*")) == []


def test_a_session_at_a_standby_takes_all_of_a_push_since_it_may_not_look_into_the_nodes_own(
    place: Place, chain: list[Generation]
) -> None:
    layout = place.vaults.layout(HOLDER)
    repository = layout.service(SERVICE).repository
    repository.mkdir(parents=True)
    for folder in (layout.root / "services", repository.parent, repository):
        os.chown(folder, NODE, NODE)
        folder.chmod(0o700)
    missing = tuple((entry, 0) for entry in chain[1].entries)

    def do(node: Node, sealer: Sealer) -> object:
        channel = Channel(0, os.open(os.devnull, os.O_WRONLY))
        return not_at_hand(
            Call(node, STANDBY, channel, node.bundle.terms(SERVICE), replica_of(node, SERVICE), {}), missing
        )

    assert place.as_receiver(do) == missing


def test_the_probe_proves_that_the_receiver_can_change_nothing_and_notices_when_it_can(
    place: Place, chain: list[Generation]
) -> None:
    def allowed() -> tuple[str, ...]:
        return place.as_receiver(lambda node, sealer: probe(node, SERVICE).allowed)

    assert allowed() == ()
    blob = place.vaults.holding(HOLDER).blob(chain[0].entries[0].sha256)
    os.chown(blob, RECEIVER, RECEIVER)
    assert allowed() == (f"set the mode of {blob.parent.name}/{blob.name}",)
    blob.chmod(0o640)
    assert f"write to {blob.parent.name}/{blob.name}" in allowed()
