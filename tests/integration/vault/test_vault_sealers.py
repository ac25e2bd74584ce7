"""One contract for both sealers: in this process, and behind the socket of another account (needs root)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.backup.vault.maintenance.damage import CORRUPT, MISSING, Damage
from appliance.backup.vault.maintenance.freeze import read_alarm
from appliance.backup.vault.maintenance.scrub import Budget
from appliance.backup.vault.relay import Relay
from appliance.backup.vault.sealing.sealer import RepairDocuments
from appliance.backup.vault.store import BUCKET, HEADER, LIST, RECEIPT, RELAY
from appliance.backup.vault.write_lock import write_lock
from appliance.clock import SystemClock, utc_text
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.trust.grant import Grant
from appliance.trust.keys import load_key
from appliance.trust.receipt import Receipt, make_receipt, read_receipt
from appliance.trust.still.statement import make_still
from appliance.units import DAY
from tests.integration.vault.accounts import Place, host
from tests.integration.vault.sealing import held, offer_of, pass_time, push, receive, rot
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, TIME, Generation, VaultWorld


@pytest.fixture(params=["here", pytest.param("host", marks=pytest.mark.root)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "here":
        yield Place(VaultWorld(tmp_path / "desk").create())
        return
    with host() as found:
        yield found


@pytest.fixture
def grant(place: Place) -> Grant:
    return place.vaults.grant()


@pytest.fixture
def chain(place: Place, grant: Grant) -> list[Generation]:
    """Four generations, none pushed yet: a file that stays, and one that is new in each."""
    return place.vaults.chain(grant, 4)


@pytest.fixture
def pushed(place: Place, grant: Grant, chain: list[Generation]) -> list[Generation]:
    """The same, all held."""
    for made in chain:
        assert push(place, [made], [grant])
    return chain


def digest_of(made: Generation, path: str) -> str:
    return next(entry.sha256 for entry in made.entries if entry.path == path)


def own_receipt(place: Place, raw: bytes | None) -> Receipt:
    assert raw is not None
    return read_receipt(raw, place.vaults.open(HOLDER).bundle.member(HOLDER).keys.sign)


def test_a_prepared_holding_has_its_folders_and_nothing_in_them(place: Place) -> None:
    for _ in range(2):
        place.as_receiver(lambda node, sealer: sealer.prepare(SERVICE))
    replica = place.vaults.holding(HOLDER)
    for folder in (replica.pool, replica.partial, replica.book, replica.grants, replica.generations):
        assert list(folder.iterdir()) == []


def test_grants_and_headers_are_kept_once_and_as_they_were(place: Place, grant: Grant, chain: list[Generation]) -> None:
    place.as_receiver(lambda node, sealer: sealer.prepare(SERVICE))
    for _ in range(2):
        place.as_receiver(
            lambda node, sealer: sealer.keep(SERVICE, [grant], [it.header for it in chain[:2]]),
        )
    replica = place.vaults.holding(HOLDER)
    assert (replica.epochs(), replica.grant(grant.epoch)) == ((grant.epoch,), grant.document.raw)
    assert [replica.read(it.name, HEADER) for it in replica.stored()] == [it.text.encode() for it in chain[:2]]
    assert held(place) == []


def test_a_partial_becomes_a_blob_and_is_gone(place: Place, chain: list[Generation]) -> None:
    digest = digest_of(chain[0], "config")
    for _ in range(2):  # also when the blob is there already
        place.as_receiver(lambda node, sealer: sealer.prepare(SERVICE))
        place.as_receiver(lambda node, sealer: sealer.take(SERVICE, digest, receive(node, digest, b"config")))
    replica = place.vaults.holding(HOLDER)
    assert [path.read_bytes() for path in replica.blobs()] == [b"config"]
    assert list(replica.partial.iterdir()) == []
    assert replica.blob(digest).stat().st_mode & 0o777 == 0o440


def test_a_generation_whose_blobs_are_here_is_held_with_a_receipt_of_this_node(
    place: Place, grant: Grant, chain: list[Generation]
) -> None:
    raw = push(place, chain[:1], [grant])
    receipt = own_receipt(place, raw)
    assert (receipt.holder, receipt.generation) == (HOLDER, chain[0].header.id)
    replica = place.vaults.holding(HOLDER)
    assert replica.read(chain[0].name, RECEIPT) == raw
    assert held(place) == [chain[0].name]
    assert {path.name: path.read_bytes() for path in replica.blobs()} == chain[0].blobs
    assert push(place, chain[:1], [grant]) == raw, "pushed again it keeps the receipt that it has"


def test_a_generation_of_which_a_blob_is_missing_is_not_held(
    place: Place, grant: Grant, chain: list[Generation]
) -> None:
    place.as_receiver(lambda node, sealer: sealer.prepare(SERVICE))
    answer = place.as_receiver(
        lambda node, sealer: sealer.publish(SERVICE, offer_of(node, chain[:1], [grant]), None),
    )
    assert (answer, held(place)) == (None, [])


def test_a_relayed_generation_keeps_who_brought_it_and_the_age_it_had_there(
    place: Place, grant: Grant, chain: list[Generation]
) -> None:
    key = load_key(place.vaults.layout(STANDBY).keys / "sign_ed25519")
    raw = make_receipt(key, holder=STANDBY, header=chain[0].header, time=TIME, age_seconds=0)
    own = own_receipt(place, push(place, chain[:1], [grant], Relay(STANDBY, raw, 40 * DAY)))
    replica = place.vaults.holding(HOLDER)
    assert replica.read(chain[0].name, RELAY) == raw
    assert int(replica.read(chain[0].name, BUCKET)) == own.age_seconds - 40 * DAY


def test_a_still_is_taken_once_and_only_about_the_newest_generation(place: Place, pushed: list[Generation]) -> None:
    """The sealer looks itself: a session is not believed."""
    vaults = place.vaults
    key, time = vaults.signing_key(ORIGIN), utc_text(SystemClock().now())
    old, new = (make_still(key, header=pushed[index].header, number=1, time=time) for index in (2, 3))
    receipt = place.as_receiver(lambda node, sealer: sealer.still(SERVICE, new))
    assert place.as_receiver(lambda node, sealer: sealer.still(SERVICE, new)) == receipt
    with pytest.raises(NotFound, match="is not the newest that is held here"):
        place.as_receiver(lambda node, sealer: sealer.still(SERVICE, old))
    forged = make_still(vaults.signing_key(STANDBY), header=pushed[3].header, number=2, time=time)
    with pytest.raises(Refused, match="signed by a key that may not sign it"):
        place.as_receiver(lambda node, sealer: sealer.still(SERVICE, forged))


def test_a_doubted_blob_stays_when_it_is_whole_and_is_set_aside_when_it_is_rotten(
    place: Place, pushed: list[Generation]
) -> None:
    good, bad = digest_of(pushed[0], "config"), digest_of(pushed[1], "data/0/2")
    rot(place, bad)
    place.as_receiver(lambda node, sealer: sealer.recheck(SERVICE, [good, bad, "no hash"]))
    replica = place.vaults.holding(HOLDER)
    assert replica.blob(good).exists()
    assert (replica.blob(bad).exists(), (replica.corrupt / bad).exists()) == (False, True)
    assert held(place) == [it.name for it in pushed if it is not pushed[1]]


def test_a_scrub_reads_on_where_it_stopped_and_finds_what_is_rotten(place: Place, pushed: list[Generation]) -> None:
    bad = digest_of(pushed[3], "data/0/4")
    rot(place, bad)
    generations = blobs = rounds = 0
    finished = False
    while not finished:
        part = place.as_node(lambda node, sealer: sealer.scrub(SERVICE, Budget(bytes_max=1)))
        generations, blobs, finished = generations + part.generations, blobs + part.blobs, part.finished
        rounds += 1
    assert (generations, blobs, part.damage) == (4, 6, (Damage(CORRUPT, bad),))
    assert rounds >= generations + blobs


def test_what_is_damaged_is_mended_by_what_proves_itself(place: Place, grant: Grant, pushed: list[Generation]) -> None:
    replica = place.vaults.holding(HOLDER)
    wrong = pushed[1]
    for part in (HEADER, LIST):
        replica.path(wrong.name, part).chmod(0o600)
        replica.path(wrong.name, part).write_bytes(b"nonsense")
    found = place.as_node(lambda node, sealer: sealer.scrub(SERVICE, Budget())).damage
    assert {item.kind for item in found if item.name == wrong.name} >= {HEADER}
    documents = RepairDocuments((grant,), tuple(it.header for it in pushed), {wrong.name: wrong.listing})
    for _ in range(2):  # the list is known to be wrong once its header can be read again
        place.as_node(lambda node, sealer: sealer.repair(SERVICE, documents))
        place.as_node(lambda node, sealer: sealer.scrub(SERVICE, Budget()))
    assert place.as_node(lambda node, sealer: sealer.repair(SERVICE, documents)) == ()
    assert replica.read(wrong.name, HEADER) == wrong.text.encode()
    assert replica.read(wrong.name, LIST) == wrong.listing
    assert held(place) == [it.name for it in pushed]


def test_a_lost_blob_comes_back_through_the_agent_too(place: Place, pushed: list[Generation]) -> None:
    digest = digest_of(pushed[2], "data/0/3")
    place.vaults.holding(HOLDER).blob(digest).unlink()
    found = place.as_node(lambda node, sealer: sealer.scrub(SERVICE, Budget()))
    assert found.damage == (Damage(MISSING, digest),)
    place.as_node(
        lambda node, sealer: sealer.take(SERVICE, digest, receive(node, digest, pushed[2].blobs[digest])),
    )
    assert place.as_node(lambda node, sealer: sealer.repair(SERVICE, RepairDocuments())) == ()
    assert held(place) == [it.name for it in pushed]


def test_only_a_lost_receipt_of_our_own_is_signed_anew_and_its_lock_starts_anew(
    place: Place, pushed: list[Generation]
) -> None:
    replica = place.vaults.holding(HOLDER)
    before = own_receipt(place, replica.read(pushed[0].name, RECEIPT))
    pass_time(place, 10 * DAY)
    path = replica.path(pushed[0].name, RECEIPT)
    path.chmod(0o600)
    path.write_bytes(b"nonsense")
    found = place.as_node(lambda node, sealer: sealer.scrub(SERVICE, Budget())).damage
    assert found == (Damage(RECEIPT, pushed[0].name),)
    assert place.as_node(lambda node, sealer: sealer.repair(SERVICE, RepairDocuments())) == found
    assert place.as_node(lambda node, sealer: sealer.repair(SERVICE, RepairDocuments(receipts=True))) == ()
    after = own_receipt(place, replica.read(pushed[0].name, RECEIPT))
    assert after.generation == before.generation
    assert after.age_seconds >= before.age_seconds + 10 * DAY


def test_thinning_lets_go_what_is_older_than_the_lock_and_nothing_else(place: Place, pushed: list[Generation]) -> None:
    pass_time(place, 29 * DAY)
    assert place.as_node(lambda node, sealer: sealer.prune(SERVICE)).dropped == ()
    pass_time(place, 2 * DAY)
    dropped = place.as_node(lambda node, sealer: sealer.prune(SERVICE)).dropped
    assert dropped == tuple(it.name for it in pushed[1:3]), "the first and the last of a day stay"
    pass_time(place, 3 * DAY)
    freed = place.as_node(lambda node, sealer: sealer.prune(SERVICE))
    assert (freed.files_removed, freed.skipped) == (2, "")
    assert held(place) == [pushed[0].name, pushed[3].name]


def test_thinning_waits_for_a_session(place: Place, pushed: list[Generation]) -> None:
    pass_time(place, 31 * DAY)
    with write_lock(place.vaults.holding(HOLDER), "the share"):
        assert "session" in place.as_node(lambda node, sealer: sealer.prune(SERVICE)).skipped


def test_an_alarm_freezes_thinning_for_two_weeks(place: Place, pushed: list[Generation]) -> None:
    pass_time(place, 31 * DAY)
    place.as_node(lambda node, sealer: sealer.alarm(SERVICE, "a fork."))
    alarm = read_alarm(place.vaults.holding(HOLDER))
    assert alarm is not None
    assert alarm.reason == "a fork."
    assert "a fork." in place.as_node(lambda node, sealer: sealer.prune(SERVICE)).skipped
    pass_time(place, 15 * DAY)
    assert place.as_node(lambda node, sealer: sealer.prune(SERVICE)).dropped


def test_a_blob_that_is_not_what_it_is_called_is_never_received(place: Place, chain: list[Generation]) -> None:
    digest = digest_of(chain[0], "config")
    place.as_receiver(lambda node, sealer: sealer.prepare(SERVICE))
    with pytest.raises(IntegrityError):
        place.as_receiver(lambda node, sealer: sealer.take(SERVICE, digest, receive(node, digest, b"other!")))
    replica = place.vaults.holding(HOLDER)
    assert (list(replica.blobs()), list(replica.partial.iterdir())) == ([], [])
