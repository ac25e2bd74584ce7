"""How a push becomes held: by the byte, by its hash, once, and never with less than all of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.backup.vault import limits, receive
from appliance.backup.vault.flow import ACKNOWLEDGED_AT_ONCE_BYTES
from appliance.errors import ApplianceError, IntegrityError, NoSpace, Postponed, Refused
from appliance.trust.receipt import read_receipt
from appliance.units import DAY, GIB, MIB
from tests.integration.vault_worlds.unreadable import rot
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    OUTSIDER,
    STANDBY,
    Generation,
    VaultWorld,
    assert_whole,
    head,
    offer,
    push,
)

BIG = bytes(range(256)) * 4096  # 1 MiB


def test_a_pushed_generation_is_held_with_a_receipt(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    raw = vaults.put(second)
    receipt = read_receipt(raw.encode(), vaults.open(HOLDER).bundle.member(HOLDER).keys.sign)
    assert (receipt.holder, receipt.generation) == (HOLDER, second.header.id)
    with vaults.session(HOLDER, ORIGIN) as channel:
        answer = head(channel)
    assert answer["held"] == [first.name, second.name] == assert_whole(vaults)
    assert answer["receipt"] == raw
    assert answer["newest"] == second.text


def test_what_is_here_is_not_asked_for_again(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, second)
        needed = channel.read_frame()["need"]
    new = [entry.sha256 for entry in second.entries if entry.path == "data/0/2"]
    assert needed == [[new[0], 0]]


def test_a_cut_push_goes_on_at_the_byte_it_stopped(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": BIG, "data/0/1": b"small"})
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        (digest, _), *_ = channel.read_frame()["need"]
        channel.write(BIG[:700_001])
    assert assert_whole(vaults) == []
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made)
        assert channel.read_frame()["need"][0] == [digest, 700_001]
        channel.write(BIG[700_001:] + b"small")
        assert "receipt" in channel.read_frame()
    assert assert_whole(vaults) == [made.name]


def test_a_holder_that_wrote_the_service_itself_takes_its_own_segments_and_asks_for_the_rest(
    vaults: VaultWorld,
) -> None:
    grant = vaults.grant()
    files = {"config": b"[repository]", "data/0/0": BIG, "data/0/1": b"rotten", "data/0/2": b"new"}
    made = vaults.seal(grant, files)
    own = vaults.open(HOLDER).service(made.header.service).repository
    (own / "data/0").mkdir(parents=True)
    for path, content in {**files, "data/0/1": b"ROTTEN", "data/0/2": b"newer"}.items():
        (own / path).write_bytes(content)
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        assert channel.read_frame()["need"] == []
        needed = {digest for digest, _ in channel.read_frame()["need"]}
    assert needed == {entry.sha256 for entry in made.entries if entry.path != "data/0/0"}
    replica, taken = vaults.holding(HOLDER), next(entry for entry in made.entries if entry.path == "data/0/0")
    assert replica.has(taken)
    assert os.path.samefile(replica.blob(taken.sha256), own / taken.path)
    vaults.put(made)
    assert assert_whole(vaults) == [made.name]
    assert (own / "data/0/1").read_bytes() == b"ROTTEN"


def test_a_link_in_our_own_repository_is_not_followed(vaults: VaultWorld, tmp_path: Path) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": BIG})
    elsewhere, own = tmp_path / "elsewhere", vaults.open(HOLDER).service(made.header.service).repository
    elsewhere.write_bytes(BIG)
    (own / "data/0").mkdir(parents=True)
    (own / "data/0/0").symlink_to(elsewhere)
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        assert channel.read_frame()["need"] == [[made.entries[0].sha256, 0]]


def test_what_is_taken_is_acknowledged_to_who_asks_for_it(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": BIG * 2})
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant], details={"acknowledge": True})
        assert "need" in channel.read_frame()
        channel.write(BIG * 2)
        answers = [channel.read_frame()]
        while "receipt" not in answers[-1]:
            answers.append(channel.read_frame())
    got = [answer["got"] for answer in answers[:-1]]
    assert min(got) >= ACKNOWLEDGED_AT_ONCE_BYTES
    assert 2 * (MIB - ACKNOWLEDGED_AT_ONCE_BYTES) <= sum(got) <= 2 * MIB


def test_a_cut_after_the_last_byte_sends_none_again(vaults: VaultWorld) -> None:
    """The partial is whole and read-only already, as a cut between its fsync and its place in the pool leaves it."""
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": BIG})
    digest = made.entries[0].sha256
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        channel.read_frame()
    partial = vaults.holding(HOLDER).partial / digest
    partial.write_bytes(BIG)
    partial.chmod(0o440)
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made)
        assert channel.read_frame()["need"] == [[digest, len(BIG)]]
        assert "receipt" in channel.read_frame()
    assert assert_whole(vaults) == [made.name]


def test_a_blob_in_the_pool_whose_partial_is_still_there_is_not_trusted_yet(vaults: VaultWorld) -> None:
    """A cut between the link into the pool and the sync of its folder: a power cut could still take the name away."""
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": BIG})
    replica, entry = vaults.holding(HOLDER), made.entries[0]
    replica.create()
    (replica.partial / entry.sha256).write_bytes(BIG)
    replica.blob(entry.sha256).parent.mkdir()
    os.link(replica.partial / entry.sha256, replica.blob(entry.sha256))
    assert replica.missing([entry]) == ((entry, len(BIG)),)
    vaults.put(made, grant)
    assert not (replica.partial / entry.sha256).exists()
    assert replica.blob(entry.sha256).stat().st_nlink == 1
    assert assert_whole(vaults) == [made.name]


def test_a_wrong_byte_is_refused_and_the_partial_thrown_away(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": BIG})
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        channel.read_frame()
        channel.write(b"x" + BIG[1:])
        with pytest.raises(IntegrityError, match=r"the received file data/0/0 does not match the hash in the list"):
            channel.read_frame()
    replica = vaults.holding(HOLDER)
    assert list(replica.partial.iterdir()) == list(replica.blobs()) == []
    vaults.put(made, grant)
    assert assert_whole(vaults) == [made.name]


def test_a_partial_that_rotted_is_found_at_its_end_and_comes_anew(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": BIG})
    replica = vaults.holding(HOLDER)
    replica.create()
    (replica.partial / made.entries[0].sha256).write_bytes(b"rot" + BIG[3:500])
    vaults.put(made, grant)  # it is asked for again, from its first byte
    assert assert_whole(vaults) == [made.name]


def test_a_partial_longer_than_its_blob_is_cut_back(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": b"short"})
    replica = vaults.holding(HOLDER)
    replica.create()
    (replica.partial / made.entries[0].sha256).write_bytes(b"short and more")
    vaults.put(made, grant)
    assert assert_whole(vaults) == [made.name]


def test_receiving_never_follows_a_link(vaults: VaultWorld, tmp_path: Path) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/0/0": b"segment"})
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    replica, digest = vaults.holding(HOLDER), made.entries[0].sha256
    replica.create()
    (replica.partial / digest).symlink_to(precious)
    replica.blob(digest).parent.mkdir()
    replica.blob(digest).symlink_to(precious)
    vaults.put(made, grant)
    assert precious.read_bytes() == b"precious"
    assert not replica.blob(digest).is_symlink()
    assert assert_whole(vaults) == [made.name]


def test_files_are_read_only_and_folders_private(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    vaults.put(second)
    replica = vaults.holding(HOLDER)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (replica.root, *replica.root.rglob("*"))}
    sealed = list(replica.blobs()) + [
        path for folder in (replica.grants, replica.generations) for path in folder.rglob("*") if path.is_file()
    ]
    assert {modes[path] for path in sealed} == {0o440}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert all(mode & 0o007 == 0 for mode in modes.values()), "nothing for other accounts"


def test_thinning_between_answer_and_publish_makes_the_vault_ask_again(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    shared = next(entry.sha256 for entry in second.entries if entry.path == "data/0/0")
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, second)
        ((digest, _),) = channel.read_frame()["need"]
        vaults.holding(HOLDER).discard(shared)
        channel.write(second.blobs[digest])
        assert channel.read_frame()["need"] == [[shared, 0]]
        channel.write(second.blobs[shared])
        assert "receipt" in channel.read_frame()
    assert second.name in assert_whole(vaults)


def test_a_rotten_blob_that_the_origin_doubts_comes_again(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    shared = next(entry.sha256 for entry in second.entries if entry.path == "data/0/0")
    rot(vaults.holding(HOLDER).blob(shared))
    with vaults.session(HOLDER, ORIGIN) as channel:
        push(channel, second, details={"recheck": [shared, "../../etc/passwd", "0" * 64]})
        assert head(channel)["damaged"] == []
    assert assert_whole(vaults) == [first.name, second.name]
    assert [event["blob"] for event in vaults.open(HOLDER).journal.events("vault-rotten")] == [shared]


def test_a_doubted_blob_that_does_not_come_leaves_its_generations_unclaimed(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    shared = next(entry.sha256 for entry in second.entries if entry.path == "data/0/0")
    rot(vaults.holding(HOLDER).blob(shared))
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, second, details={"recheck": [shared]})
        channel.read_frame()
    with vaults.session(HOLDER, ORIGIN) as channel:
        answer = head(channel)
    assert (answer["held"], answer["damaged"], answer["receipt"]) == ([], [first.name], None)
    vaults.put(second)
    assert assert_whole(vaults) == [first.name, second.name], "the blob came back with the next push"


@pytest.mark.parametrize("size", [-1, True, "5", None, limits.LISTING_BYTES_MAX + 1, 2**70])
def test_a_list_of_no_sensible_size_is_refused(vaults: VaultWorld, size: object) -> None:
    made = vaults.seal(vaults.grant(), {"config": b"c"})
    with (
        vaults.session(HOLDER, ORIGIN) as channel,
        pytest.raises(ApplianceError, match=r"a push comes with a list of at most|the list of generation"),
    ):
        push(channel, made, [vaults.grant()], details={"list_bytes": size})


def test_a_node_that_was_not_chosen_takes_nothing(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"config": b"c"})
    with pytest.raises(Refused, match="commune-d is neither a replica node nor a spare of docs-a"):
        vaults.put(made, grant, at=OUTSIDER)
    assert not vaults.holding(OUTSIDER).root.exists()


class TestLimits:
    """The limits as a push meets them; the arithmetic has its own tables (test_vault_limits)."""

    @pytest.fixture(autouse=True)
    def small_day(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The floor of a day's ingest is 1 GiB, too much to send here."""
        monkeypatch.setattr("appliance.trust.bundle.GIB", MIB)

    def test_a_first_seeding_leaves_the_day_to_the_next_pushes(self, vaults: VaultWorld) -> None:
        vaults.sign(size_bytes=6 * MIB, change_bytes=MIB // 10)
        grant = vaults.grant()
        seeding = vaults.seal(grant, {f"data/0/{n}": os.urandom(MIB) for n in range(6)})
        vaults.put(seeding, grant)
        change = vaults.seal(grant, {"data/0/9": os.urandom(MIB // 2)}, seeding)
        vaults.put(change)
        assert assert_whole(vaults) == [seeding.name, change.name]

    def test_more_than_a_day_brings_waits_for_the_next_day(self, vaults: VaultWorld) -> None:
        vaults.sign(size_bytes=6 * MIB, change_bytes=MIB // 10)
        grant = vaults.grant()
        first = vaults.seal(grant, {"config": b"c"})
        vaults.put(first, grant)
        half = vaults.seal(grant, {"data/0/8": os.urandom(MIB // 2)}, first)
        vaults.put(half)
        other_half = vaults.seal(grant, {"data/0/7": os.urandom(MIB // 2)}, half)
        with pytest.raises(Postponed, match=r"^0 B were accepted and 512 KiB remain: this peer takes 1 MiB"):
            vaults.put(other_half)
        vaults.advance(DAY)
        vaults.put(other_half)
        assert assert_whole(vaults) == [first.name, half.name, other_half.name]

    def test_a_cut_push_counts_once(self, vaults: VaultWorld) -> None:
        vaults.sign(change_bytes=MIB // 10)
        grant = vaults.grant()
        first = vaults.seal(grant, {"config": b"c"})
        vaults.put(first, grant)
        data = os.urandom(MIB // 10 * 8)
        change = vaults.seal(grant, {"data/0/9": data}, first)
        for _ in range(3):
            with vaults.session(HOLDER, ORIGIN) as channel:
                offer(channel, change)
                ((_, offset),) = channel.read_frame()["need"]
                channel.write(data[offset : offset + len(data) // 4])
        vaults.put(change)
        assert assert_whole(vaults) == [first.name, change.name]

    def test_many_tiny_blobs_count_what_they_take(self, vaults: VaultWorld) -> None:
        """A byte takes a block and an inode of the peer's disk; by its bytes alone a flood of them would pass."""
        vaults.sign(change_bytes=MIB // 10)
        grant = vaults.grant()
        first = vaults.seal(grant, {"config": b"c"})
        vaults.put(first, grant)
        flood = vaults.seal(grant, {f"data/0/{n}": f"{n}".encode() for n in range(300)}, first)
        with pytest.raises(Postponed, match=r"this peer takes 1 MiB of this service in a day"):
            vaults.put(flood)
        assert sum(1 for _ in vaults.holding(HOLDER).blobs()) < MIB // 4096

    def test_a_full_share_refuses_and_keeps_room_for_the_replacement(self, vaults: VaultWorld) -> None:
        vaults.sign(quota_bytes=4 * MIB, size_bytes=100 * MIB)
        grant = vaults.grant()
        first = vaults.seal(grant, {"data/0/0": os.urandom(2 * MIB)})
        vaults.put(first, grant)
        vaults.advance(DAY)
        more = vaults.seal(
            grant, {"data/0/0": first.blobs[first.entries[0].sha256], "data/0/1": os.urandom(MIB)}, first
        )
        with pytest.raises(NoSpace, match=r"the quota at this peer is full: .* of a quota of 4 MiB"):
            vaults.put(more)
        replacement = vaults.grant(STANDBY, known_epoch=2)
        vaults.put(vaults.seal(replacement, dict(_files(more)), first), replacement, caller=STANDBY)
        assert len(assert_whole(vaults)) == 2

    def test_a_full_share_still_answers_for_what_it_holds(self, vaults: VaultWorld) -> None:
        grant = vaults.grant()
        first = vaults.seal(grant, {"data/0/0": os.urandom(MIB)})
        receipt = vaults.put(first, grant)
        vaults.sign(quota_bytes=MIB // 2)
        assert vaults.put(first) == receipt

    def test_the_free_space_of_the_host_stays_free(self, vaults: VaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(receive, "FREE_BYTES_MIN", 10**6 * GIB)
        grant = vaults.grant()
        with pytest.raises(NoSpace, match=r"the peer's disk has .* free and keeps"):
            vaults.put(vaults.seal(grant, {"config": b"c"}), grant)

    def test_a_refused_push_leaves_no_header_behind(self, vaults: VaultWorld) -> None:
        vaults.sign(quota_bytes=MIB // 8)
        grant = vaults.grant()
        with pytest.raises(NoSpace):
            vaults.put(vaults.seal(grant, {"data/0/0": os.urandom(MIB)}), grant)
        assert vaults.holding(HOLDER).stored() == ()


def _files(generation: Generation) -> Iterator[tuple[str, bytes]]:
    return ((entry.path, generation.blobs[entry.sha256]) for entry in generation.entries)
