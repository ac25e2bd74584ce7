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
from tests.integration.desk.desk import (
    HOLDER,
    ORIGIN,
    STANDBY,
    STRANGER,
    Desk,
    Generation,
    assert_whole,
    head,
    offer,
    push,
)

BIG = bytes(range(256)) * 4096  # 1 MiB


def test_a_pushed_generation_is_held_with_a_receipt(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    raw = desk.put(second)
    receipt = read_receipt(raw.encode(), desk.open(HOLDER).bundle.member(HOLDER).keys.sign)
    assert (receipt.holder, receipt.generation) == (HOLDER, second.header.id)
    with desk.session(HOLDER, ORIGIN) as channel:
        answer = head(channel)
    assert answer["held"] == [first.name, second.name] == assert_whole(desk)
    assert answer["receipt"] == raw
    assert answer["newest"] == second.text


def test_what_is_here_is_not_asked_for_again(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, second)
        needed = channel.read_frame()["need"]
    new = [entry.sha256 for entry in second.entries if entry.path == "data/0/2"]
    assert needed == [[new[0], 0]]


def test_a_cut_push_goes_on_at_the_byte_it_stopped(desk: Desk) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": BIG, "data/0/1": b"small"})
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        (digest, _), *_ = channel.read_frame()["need"]
        channel.write(BIG[:700_001])
    assert assert_whole(desk) == []
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made)
        assert channel.read_frame()["need"][0] == [digest, 700_001]
        channel.write(BIG[700_001:] + b"small")
        assert "receipt" in channel.read_frame()
    assert assert_whole(desk) == [made.name]


def test_a_holder_that_wrote_the_service_itself_takes_its_own_segments_and_asks_for_the_rest(desk: Desk) -> None:
    grant = desk.grant()
    files = {"config": b"[repository]", "data/0/0": BIG, "data/0/1": b"rotten", "data/0/2": b"new"}
    made = desk.seal(grant, files)
    own = desk.open(HOLDER).service(made.header.service).repository
    (own / "data/0").mkdir(parents=True)
    for path, content in {**files, "data/0/1": b"ROTTEN", "data/0/2": b"newer"}.items():
        (own / path).write_bytes(content)
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        assert channel.read_frame()["need"] == []
        needed = {digest for digest, _ in channel.read_frame()["need"]}
    assert needed == {entry.sha256 for entry in made.entries if entry.path != "data/0/0"}
    holding, taken = desk.holding(HOLDER), next(entry for entry in made.entries if entry.path == "data/0/0")
    assert holding.has(taken)
    assert os.path.samefile(holding.blob(taken.sha256), own / taken.path)
    desk.put(made)
    assert assert_whole(desk) == [made.name]
    assert (own / "data/0/1").read_bytes() == b"ROTTEN"


def test_a_link_in_our_own_repository_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": BIG})
    elsewhere, own = tmp_path / "elsewhere", desk.open(HOLDER).service(made.header.service).repository
    elsewhere.write_bytes(BIG)
    (own / "data/0").mkdir(parents=True)
    (own / "data/0/0").symlink_to(elsewhere)
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        assert channel.read_frame()["need"] == [[made.entries[0].sha256, 0]]


def test_what_is_taken_is_acknowledged_to_who_asks_for_it(desk: Desk) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": BIG * 2})
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant], details={"acknowledge": True})
        assert "need" in channel.read_frame()
        channel.write(BIG * 2)
        answers = [channel.read_frame()]
        while "receipt" not in answers[-1]:
            answers.append(channel.read_frame())
    got = [answer["got"] for answer in answers[:-1]]
    assert min(got) >= ACKNOWLEDGED_AT_ONCE_BYTES
    assert 2 * (MIB - ACKNOWLEDGED_AT_ONCE_BYTES) <= sum(got) <= 2 * MIB


def test_a_cut_after_the_last_byte_sends_none_again(desk: Desk) -> None:
    """The partial is whole and read-only already, as a cut between its fsync and its place in the pool leaves it."""
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": BIG})
    digest = made.entries[0].sha256
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        channel.read_frame()
    partial = desk.holding(HOLDER).partial / digest
    partial.write_bytes(BIG)
    partial.chmod(0o440)
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made)
        assert channel.read_frame()["need"] == [[digest, len(BIG)]]
        assert "receipt" in channel.read_frame()
    assert assert_whole(desk) == [made.name]


def test_a_blob_in_the_pool_whose_partial_is_still_there_is_not_trusted_yet(desk: Desk) -> None:
    """A cut between the link into the pool and the sync of its folder: a power cut could still take the name away."""
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": BIG})
    holding, entry = desk.holding(HOLDER), made.entries[0]
    holding.create()
    (holding.partial / entry.sha256).write_bytes(BIG)
    holding.blob(entry.sha256).parent.mkdir()
    os.link(holding.partial / entry.sha256, holding.blob(entry.sha256))
    assert holding.missing([entry]) == ((entry, len(BIG)),)
    desk.put(made, grant)
    assert not (holding.partial / entry.sha256).exists()
    assert holding.blob(entry.sha256).stat().st_nlink == 1
    assert assert_whole(desk) == [made.name]


def test_a_wrong_byte_is_refused_and_the_partial_thrown_away(desk: Desk) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": BIG})
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        channel.read_frame()
        channel.write(b"x" + BIG[1:])
        with pytest.raises(IntegrityError, match=r"the received file data/0/0 does not match the hash in the list"):
            channel.read_frame()
    holding = desk.holding(HOLDER)
    assert list(holding.partial.iterdir()) == list(holding.blobs()) == []
    desk.put(made, grant)
    assert assert_whole(desk) == [made.name]


def test_a_partial_that_rotted_is_found_at_its_end_and_comes_anew(desk: Desk) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": BIG})
    holding = desk.holding(HOLDER)
    holding.create()
    (holding.partial / made.entries[0].sha256).write_bytes(b"rot" + BIG[3:500])
    desk.put(made, grant)  # it is asked for again, from its first byte
    assert assert_whole(desk) == [made.name]


def test_a_partial_longer_than_its_blob_is_cut_back(desk: Desk) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": b"short"})
    holding = desk.holding(HOLDER)
    holding.create()
    (holding.partial / made.entries[0].sha256).write_bytes(b"short and more")
    desk.put(made, grant)
    assert assert_whole(desk) == [made.name]


def test_receiving_never_follows_a_link(desk: Desk, tmp_path: Path) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"data/0/0": b"segment"})
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    holding, digest = desk.holding(HOLDER), made.entries[0].sha256
    holding.create()
    (holding.partial / digest).symlink_to(precious)
    holding.blob(digest).parent.mkdir()
    holding.blob(digest).symlink_to(precious)
    desk.put(made, grant)
    assert precious.read_bytes() == b"precious"
    assert not holding.blob(digest).is_symlink()
    assert assert_whole(desk) == [made.name]


def test_files_are_read_only_and_folders_private(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    desk.put(second)
    holding = desk.holding(HOLDER)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (holding.root, *holding.root.rglob("*"))}
    sealed = list(holding.blobs()) + [
        path for folder in (holding.grants, holding.generations) for path in folder.rglob("*") if path.is_file()
    ]
    assert {modes[path] for path in sealed} == {0o440}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert all(mode & 0o007 == 0 for mode in modes.values()), "nothing for other accounts"


def test_thinning_between_answer_and_publish_makes_the_vault_ask_again(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    shared = next(entry.sha256 for entry in second.entries if entry.path == "data/0/0")
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, second)
        ((digest, _),) = channel.read_frame()["need"]
        desk.holding(HOLDER).discard(shared)
        channel.write(second.blobs[digest])
        assert channel.read_frame()["need"] == [[shared, 0]]
        channel.write(second.blobs[shared])
        assert "receipt" in channel.read_frame()
    assert second.name in assert_whole(desk)


def test_a_rotten_blob_that_the_origin_doubts_comes_again(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    shared = next(entry.sha256 for entry in second.entries if entry.path == "data/0/0")
    _rot(desk.holding(HOLDER).blob(shared))
    with desk.session(HOLDER, ORIGIN) as channel:
        push(channel, second, details={"recheck": [shared, "../../etc/passwd", "0" * 64]})
        assert head(channel)["damaged"] == []
    assert assert_whole(desk) == [first.name, second.name]
    assert [event["blob"] for event in desk.open(HOLDER).journal.events("vault-rotten")] == [shared]


def test_a_doubted_blob_that_does_not_come_leaves_its_generations_unclaimed(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    shared = next(entry.sha256 for entry in second.entries if entry.path == "data/0/0")
    _rot(desk.holding(HOLDER).blob(shared))
    with desk.session(HOLDER, ORIGIN) as channel:
        offer(channel, second, details={"recheck": [shared]})
        channel.read_frame()
    with desk.session(HOLDER, ORIGIN) as channel:
        answer = head(channel)
    assert (answer["held"], answer["damaged"], answer["receipt"]) == ([], [first.name], None)
    desk.put(second)
    assert assert_whole(desk) == [first.name, second.name], "the blob came back with the next push"


@pytest.mark.parametrize("size", [-1, True, "5", None, limits.LISTING_BYTES_MAX + 1, 2**70])
def test_a_list_of_no_sensible_size_is_refused(desk: Desk, size: object) -> None:
    made = desk.seal(desk.grant(), {"config": b"c"})
    with (
        desk.session(HOLDER, ORIGIN) as channel,
        pytest.raises(ApplianceError, match=r"a push comes with a list of at most|the list of generation"),
    ):
        push(channel, made, [desk.grant()], details={"list_bytes": size})


def test_a_node_that_was_not_chosen_takes_nothing(desk: Desk) -> None:
    grant = desk.grant()
    made = desk.seal(grant, {"config": b"c"})
    with pytest.raises(Refused, match="commune-d is neither a replica node nor a spare of docs-a"):
        desk.put(made, grant, at=STRANGER)
    assert not desk.holding(STRANGER).root.exists()


class TestLimits:
    """The limits as a push meets them; the arithmetic has its own tables (test_vault_limits)."""

    @pytest.fixture(autouse=True)
    def small_day(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The floor of a day's ingest is 1 GiB, too much to send here."""
        monkeypatch.setattr("appliance.trust.bundle.GIB", MIB)

    def test_a_first_seeding_leaves_the_day_to_the_next_pushes(self, desk: Desk) -> None:
        desk.sign(size_bytes=6 * MIB, change_bytes=MIB // 10)
        grant = desk.grant()
        seeding = desk.seal(grant, {f"data/0/{n}": os.urandom(MIB) for n in range(6)})
        desk.put(seeding, grant)
        change = desk.seal(grant, {"data/0/9": os.urandom(MIB // 2)}, seeding)
        desk.put(change)
        assert assert_whole(desk) == [seeding.name, change.name]

    def test_more_than_a_day_brings_waits_for_the_next_day(self, desk: Desk) -> None:
        desk.sign(size_bytes=6 * MIB, change_bytes=MIB // 10)
        grant = desk.grant()
        first = desk.seal(grant, {"config": b"c"})
        desk.put(first, grant)
        half = desk.seal(grant, {"data/0/8": os.urandom(MIB // 2)}, first)
        desk.put(half)
        other_half = desk.seal(grant, {"data/0/7": os.urandom(MIB // 2)}, half)
        with pytest.raises(Postponed, match=r"^0 B were accepted and 512 KiB remain: this peer takes 1 MiB"):
            desk.put(other_half)
        desk.advance(DAY)
        desk.put(other_half)
        assert assert_whole(desk) == [first.name, half.name, other_half.name]

    def test_a_cut_push_counts_once(self, desk: Desk) -> None:
        desk.sign(change_bytes=MIB // 10)
        grant = desk.grant()
        first = desk.seal(grant, {"config": b"c"})
        desk.put(first, grant)
        data = os.urandom(MIB // 10 * 8)
        change = desk.seal(grant, {"data/0/9": data}, first)
        for _ in range(3):
            with desk.session(HOLDER, ORIGIN) as channel:
                offer(channel, change)
                ((_, offset),) = channel.read_frame()["need"]
                channel.write(data[offset : offset + len(data) // 4])
        desk.put(change)
        assert assert_whole(desk) == [first.name, change.name]

    def test_many_tiny_blobs_count_what_they_take(self, desk: Desk) -> None:
        """A byte takes a block and an inode of the peer's disk; by its bytes alone a flood of them would pass."""
        desk.sign(change_bytes=MIB // 10)
        grant = desk.grant()
        first = desk.seal(grant, {"config": b"c"})
        desk.put(first, grant)
        flood = desk.seal(grant, {f"data/0/{n}": f"{n}".encode() for n in range(300)}, first)
        with pytest.raises(Postponed, match=r"this peer takes 1 MiB of this service in a day"):
            desk.put(flood)
        assert sum(1 for _ in desk.holding(HOLDER).blobs()) < MIB // 4096

    def test_a_full_share_refuses_and_keeps_room_for_the_replacement(self, desk: Desk) -> None:
        desk.sign(quota_bytes=4 * MIB, size_bytes=100 * MIB)
        grant = desk.grant()
        first = desk.seal(grant, {"data/0/0": os.urandom(2 * MIB)})
        desk.put(first, grant)
        desk.advance(DAY)
        more = desk.seal(grant, {"data/0/0": first.blobs[first.entries[0].sha256], "data/0/1": os.urandom(MIB)}, first)
        with pytest.raises(NoSpace, match=r"the quota at this peer is full: .* of a quota of 4 MiB"):
            desk.put(more)
        replacement = desk.grant(STANDBY, known_epoch=2)
        desk.put(desk.seal(replacement, dict(_files(more)), first), replacement, caller=STANDBY)
        assert len(assert_whole(desk)) == 2

    def test_a_full_share_still_answers_for_what_it_holds(self, desk: Desk) -> None:
        grant = desk.grant()
        first = desk.seal(grant, {"data/0/0": os.urandom(MIB)})
        receipt = desk.put(first, grant)
        desk.sign(quota_bytes=MIB // 2)
        assert desk.put(first) == receipt

    def test_the_free_floor_of_the_host_stays_free(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(receive, "FREE_FLOOR_BYTES", 10**6 * GIB)
        grant = desk.grant()
        with pytest.raises(NoSpace, match=r"the peer's disk has .* free and keeps"):
            desk.put(desk.seal(grant, {"config": b"c"}), grant)

    def test_a_refused_push_leaves_no_header_behind(self, desk: Desk) -> None:
        desk.sign(quota_bytes=MIB // 8)
        grant = desk.grant()
        with pytest.raises(NoSpace):
            desk.put(desk.seal(grant, {"data/0/0": os.urandom(MIB)}), grant)
        assert desk.holding(HOLDER).stored() == ()


def _files(generation: Generation) -> Iterator[tuple[str, bytes]]:
    return ((entry.path, generation.blobs[entry.sha256]) for entry in generation.entries)


def _rot(path: Path) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(0o440)
