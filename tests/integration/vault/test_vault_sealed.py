"""Sealed files on a host are out of reach of the account that received them and of the agent, whatever they ask or hold
open."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.vault.maintenance.scrub import Budget
from appliance.backup.vault.relay import Relay
from appliance.backup.vault.sealing.sealer import RepairDocuments, Sealer
from appliance.backup.vault.sealing.sealer_choice import helper
from appliance.backup.vault.wire import Channel
from appliance.errors import ApplianceError, Forbidden, IntegrityError, NotFound, Refused
from appliance.host.files import write_atomic
from appliance.host.network import peer
from appliance.node.handle import Node
from appliance.trust.grant import Grant, make_grant, make_request, read_request
from appliance.trust.keys import load_key, public_line
from appliance.trust.receipt import make_receipt
from tests.integration.vault.accounts import NOBODY, NODE, RECEIVER, Place, as_account, host
from tests.integration.vault.sealing import held, offer_of, push, receive
from tests.worlds.vaults import HOLDER, OUTSIDER, REPOSITORY, SERVICE, STANDBY, TIME, Generation

pytestmark = pytest.mark.root
ASKED: dict[str, Callable[[Node, Sealer], object]] = {
    "prepare": lambda node, sealer: sealer.prepare(SERVICE),
    "keep": lambda node, sealer: sealer.keep(SERVICE, []),
    "doubt": lambda node, sealer: sealer.recheck(SERVICE, []),
    "mend": lambda node, sealer: sealer.repair(SERVICE, RepairDocuments(receipts=True)),
    "scrub": lambda node, sealer: sealer.scrub(SERVICE, Budget()),
    "thin": lambda node, sealer: sealer.prune(SERVICE),
    "alarm": lambda node, sealer: sealer.alarm(SERVICE, "a lie"),
}
OF_THE_NODE_ALONE = ("mend", "scrub", "thin", "alarm")


@pytest.fixture
def place() -> Iterator[Place]:
    with host() as found:
        yield found


@pytest.fixture
def grant(place: Place) -> Grant:
    return place.vaults.grant()


@pytest.fixture
def chain(place: Place, grant: Grant) -> list[Generation]:
    """Two generations; the first is held."""
    made = place.vaults.chain(grant, 2)
    assert push(place, made[:1], [grant])
    return made


@pytest.fixture
def partial(place: Place, chain: list[Generation]) -> Path:
    """Where the partial of a new blob lies, whole and closed."""
    return place.as_receiver(lambda node, sealer: receive(node, new_blob(chain), chain[1].blobs[new_blob(chain)]))


def new_blob(chain: Sequence[Generation]) -> str:
    return next(iter(chain[1].blobs.keys() - chain[0].blobs.keys()))


def pool(place: Place) -> set[str]:
    return {path.name for path in place.vaults.holding(HOLDER).blobs()}


def ask(path: Path, descriptors: Sequence[int] = (), raw: bytes = b"", **said: Any) -> dict[str, Any]:
    """A request in the attacker's own words."""
    with peer.connect(path) as connection:
        peer.greet(connection, descriptors)
        channel = Channel(connection.fileno(), connection.fileno(), quiet_seconds=20)
        channel.write_frame({"service": SERVICE, "raw_bytes": len(raw), **said})
        channel.write(raw)
        return channel.read_frame()


def give(path: Path, digest: str) -> Callable[[Node, Sealer], dict[str, Any]]:
    """Ask to have the file at `path` sealed as the blob `digest`, whatever it is."""

    def do(node: Node, sealer: Sealer) -> dict[str, Any]:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            socket = helper(node.layout, "sealer")
            assert socket is not None
            return ask(socket, [descriptor], do="take", digest=digest)
        finally:
            os.close(descriptor)

    return do


# Who may ask


@pytest.mark.parametrize("verb", OF_THE_NODE_ALONE)
def test_who_receives_may_not_ask_for_what_removes_or_replaces(
    place: Place, chain: list[Generation], verb: str
) -> None:
    with pytest.raises(Forbidden, match=verb):
        place.as_receiver(ASKED[verb])
    assert held(place) == [chain[0].name]


def test_any_other_account_may_ask_for_nothing(place: Place) -> None:
    path = helper(place.vaults.layout(HOLDER), "sealer")
    assert path is not None
    for verb in ASKED:
        with pytest.raises(Forbidden, match=verb):
            as_account(NOBODY, lambda verb=verb: ask(path, do=verb))
    assert not place.vaults.holding(HOLDER).root.exists()


def test_what_is_no_request_is_refused_and_the_next_one_is_answered(place: Place) -> None:
    path = helper(place.vaults.layout(HOLDER), "sealer")
    assert path is not None

    def say(data: bytes) -> None:
        with peer.connect(path) as connection:
            connection.sendall(b"\0" + data)

    for data in (b"", b"\0\0\0\x02[]", b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x0e" + b'{"raw_bytes":9'):
        as_account(RECEIVER, lambda data=data: say(data))
    for said in ({"do": "prepare", "raw_bytes": 1 << 40}, {"do": "keep", "grants": "x"}, {"do": "take"}, {"do": "x"}):
        with pytest.raises(ApplianceError):
            as_account(RECEIVER, lambda said=said: ask(path, **said))
    place.as_receiver(lambda node, sealer: sealer.prepare(SERVICE))


def test_nothing_is_made_for_a_service_that_the_bundle_does_not_know(place: Place) -> None:
    for name in ("nobody", "..", "../../acts", ""):
        with pytest.raises(NotFound):
            place.as_receiver(lambda node, sealer, name=name: sealer.prepare(name))
    assert {path.name for path in place.vaults.layout(HOLDER).vault.iterdir() if path.is_dir()} == set()


# What is given


def test_a_file_that_somebody_can_still_write_to_is_not_sealed(
    place: Place, chain: list[Generation], partial: Path
) -> None:
    digest = new_blob(chain)

    def still_open(node: Node, sealer: Sealer) -> None:
        partial.chmod(0o600)
        with open(partial, "r+b"):
            sealer.take(SERVICE, digest, partial)

    def still_mapped(node: Node, sealer: Sealer) -> None:
        with open(partial, "r+b") as file:
            mapped = mmap.mmap(file.fileno(), 0)
        try:
            sealer.take(SERVICE, digest, partial)
        finally:
            mapped.close()

    with pytest.raises(Refused, match="open for writing"):
        place.as_receiver(still_open)
    assert digest not in pool(place)
    with pytest.raises(PermissionError):  # it is taken away all the same: nobody opens it for writing any more
        place.as_receiver(still_mapped)
    place.as_receiver(lambda node, sealer: sealer.take(SERVICE, digest, partial))
    assert digest in pool(place)


def test_a_shared_mapping_that_outlives_its_descriptor_counts_as_writing(
    place: Place, chain: list[Generation], partial: Path
) -> None:
    def do(node: Node, sealer: Sealer) -> None:
        partial.chmod(0o600)
        with open(partial, "r+b") as file:
            mapped = mmap.mmap(file.fileno(), 0)
        try:
            sealer.take(SERVICE, new_blob(chain), partial)
        finally:
            mapped.close()

    with pytest.raises(Refused, match="open for writing"):
        place.as_receiver(do)
    assert new_blob(chain) not in pool(place)


def test_a_file_without_its_hash_is_not_sealed_whoever_says_so(
    place: Place, chain: list[Generation], partial: Path
) -> None:
    def spoil(node: Node, sealer: Sealer) -> None:
        partial.chmod(0o600)
        partial.write_bytes(b"other")

    place.as_receiver(spoil)
    with pytest.raises(IntegrityError, match="hash"):
        place.as_receiver(give(partial, new_blob(chain)))
    assert new_blob(chain) not in pool(place)


def test_only_the_partial_of_that_name_and_of_the_giver_is_sealed(
    place: Place, chain: list[Generation], partial: Path
) -> None:
    digest = new_blob(chain)
    elsewhere = partial.with_name("elsewhere")

    def copy(node: Node, sealer: Sealer) -> None:
        elsewhere.write_bytes(partial.read_bytes())
        os.mkfifo(partial.with_name("fifo"))
        partial.with_name("link").symlink_to(partial)

    place.as_receiver(copy)
    with pytest.raises(Forbidden, match="of the caller"):
        place.as_node(give(partial, digest))
    for name in ("elsewhere", "fifo", "link"):
        with pytest.raises(Forbidden):
            place.as_receiver(give(partial.with_name(name), digest if name != "link" else "0" * 64))
    strange = place.vaults.root.parent / "strange"
    strange.write_bytes(b"root's")
    with pytest.raises(Forbidden):
        place.as_receiver(give(strange, digest))
    assert strange.stat().st_uid == 0
    assert digest not in pool(place)


# What is said of it


def test_a_list_of_another_service_or_of_another_header_is_not_published(
    place: Place, grant: Grant, chain: list[Generation]
) -> None:
    strange_grant = place.vaults.grant(OUTSIDER, service="docs-d")
    strange = place.vaults.seal(strange_grant, {"config": b"config"})
    path = helper(place.vaults.layout(HOLDER), "sealer")
    assert path is not None
    for made, of, listing in ((strange, strange_grant, strange.listing), (chain[1], grant, chain[0].listing)):
        said = {"do": "publish", "grants": [of.document.raw.decode()], "headers": [made.text]}
        with pytest.raises((Refused, IntegrityError)):
            as_account(RECEIVER, lambda said=said, listing=listing: ask(path, raw=listing, **said))
    assert held(place) == [chain[0].name]


def test_a_grant_that_the_territory_did_not_sign_is_not_kept(place: Place, chain: list[Generation]) -> None:
    key = load_key(place.vaults.layout(HOLDER).keys / "sign_ed25519")
    asked = make_request(
        key, service=SERVICE, repository=REPOSITORY, writer=HOLDER, known_epoch=2, reason="it is ours now"
    )
    forged = make_grant(key, read_request(asked, public_line(key))).decode()
    path = helper(place.vaults.layout(HOLDER), "sealer")
    assert path is not None
    for uid in (RECEIVER, NODE):
        with pytest.raises(Refused, match="may not sign"):
            as_account(uid, lambda: ask(path, do="keep", grants=[forged], headers=[]))
    assert place.vaults.holding(HOLDER).epochs() == (2,)


def test_a_writer_whose_epoch_ended_is_fenced_by_the_sealer_itself(
    place: Place, grant: Grant, chain: list[Generation]
) -> None:
    newer = place.vaults.grant(STANDBY, known_epoch=grant.epoch)
    place.as_receiver(lambda node, sealer: sealer.keep(SERVICE, [newer]))
    with pytest.raises(Refused, match="ended"):
        push(place, chain[1:], [grant])
    assert held(place) == [chain[0].name]


def test_a_relay_without_the_relaying_holders_own_receipt_is_not_published(
    place: Place, grant: Grant, chain: list[Generation]
) -> None:
    key = load_key(place.vaults.layout(HOLDER).keys / "sign_ed25519")
    forged = make_receipt(key, holder=STANDBY, header=chain[1].header, time=TIME, age_seconds=0)
    with pytest.raises(Refused, match="may not sign"):
        push(place, chain[1:], [grant], Relay(STANDBY, forged, 0))
    path = helper(place.vaults.layout(HOLDER), "sealer")
    assert path is not None
    said = {"do": "publish", "grants": [], "headers": [chain[1].text], "relay": {"holder": STANDBY}}
    with pytest.raises(IntegrityError, match="receipt"):
        as_account(RECEIVER, lambda: ask(path, raw=chain[1].listing, **said))
    assert held(place) == [chain[0].name]


def test_nothing_is_claimed_of_which_the_sealer_itself_lacks_a_blob(
    place: Place, grant: Grant, chain: list[Generation]
) -> None:
    answer = place.as_receiver(lambda node, sealer: sealer.publish(SERVICE, offer_of(node, chain[1:], [grant]), None))
    assert (answer, held(place)) == (None, [chain[0].name])


def test_an_older_bundle_which_could_name_a_shorter_lock_is_not_lived_by(place: Place, chain: list[Generation]) -> None:
    bundle = place.vaults.layout(HOLDER).bundle
    older = bundle.read_bytes()
    place.vaults.sign()
    newer = bundle.read_bytes()
    place.as_receiver(ASKED["doubt"])
    write_atomic(bundle, older)
    with pytest.raises(Refused, match="older"):
        place.as_node(ASKED["thin"])
    write_atomic(bundle, newer)
    assert place.as_node(ASKED["thin"]) is not None
