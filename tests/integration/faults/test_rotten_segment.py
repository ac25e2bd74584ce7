"""A segment rots on the writer's own disk: it is never sealed as good, it is named, and it comes back from a peer."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.chain.hashes import READ_AGAIN_SECONDS
from appliance.backup.chain.seal import CorruptSegment
from appliance.backup.peers.adopt import own_repository
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.borg.errors import RepositoryDamaged
from appliance.clock import SystemClock
from appliance.errors import IntegrityError
from appliance.host.files import sha256_file
from appliance.node.handle import open_node
from appliance.units import KIB
from tests.integration.faults.world import BLIND, HOLDERS, ORIGIN, SERVICE, SPARE, STANDBY, FaultWorld


@pytest.fixture
def grown(world: FaultWorld) -> FaultWorld:
    """A few generations, so that there are old segments."""
    world.change(random_bytes=300 * KIB)
    world.save()
    world.change()
    world.save()
    return world


def old_segment(world: FaultWorld) -> Path:
    return max(world.layout().repository.glob("data/*/*"), key=lambda path: path.stat().st_size)


def rot(path: Path) -> None:
    """Flip one bit, as a disk does: size, time and inode stay."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(status.st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class LaterClock(SystemClock):
    """The machine's clock some time from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return super().now() + self.seconds


def mend(world: FaultWorld) -> str:
    done = world.territory.nodes[ORIGIN].cli("backup", "repair", SERVICE, check=False)
    assert done.exit_code == 0, done.tail()
    return done.stdout.decode()


def assert_sound(world: FaultWorld) -> None:
    borg = Borg(own_repository(world.layout()))
    borg.check_repository()
    borg.check_archives(verify_data=True)
    world.change()
    world.assert_healed()
    world.assert_nothing_lost(extract=3)


def test_rot_is_refused_when_the_memory_of_hashes_is_lost_and_mended_from_a_peer(grown: FaultWorld) -> None:
    segment = old_segment(grown)
    good = sha256_file(segment)
    rot(segment)
    (grown.layout().root / "hashes.json").unlink()
    before = {name: replica_of(grown.node(name), SERVICE).stored() for name in HOLDERS}
    refused = grown.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert refused.exit_code == IntegrityError.exit_code
    assert str(segment) in refused.tail()
    assert f"appliance backup repair {SERVICE}" in refused.tail()
    assert {name: replica_of(grown.node(name), SERVICE).stored() for name in HOLDERS} == before
    with pytest.raises(CorruptSegment):
        writer.run(grown.node(), SERVICE)
    assert "1 repaired, 0 still corrupt" in mend(grown)
    assert sha256_file(segment) == good
    assert_sound(grown)


def test_rot_that_no_time_stamp_shows_is_found_when_the_file_is_read_again(grown: FaultWorld) -> None:
    """Until then what is sealed is still what the peers hold: the hash in the list is the good one's."""
    segment = old_segment(grown)
    rot(segment)
    grown.change()
    grown.save()
    later = open_node(grown.node().layout.root, LaterClock(READ_AGAIN_SECONDS))

    def run_until_refused() -> None:
        for _ in range(100):  # a share of all in each run, the oldest first
            writer.run(later, SERVICE)

    with pytest.raises(CorruptSegment) as refused:
        run_until_refused()
    assert str(segment) in str(refused.value)
    mend(grown)
    assert_sound(grown)


def test_rot_that_is_sent_to_a_new_peer_is_refused_there_and_mended(grown: FaultWorld) -> None:
    """The peers that have the segment never ask for it again; one that does not, proves its hash."""
    rot(old_segment(grown))
    grown.territory.nodes[BLIND].wipe()
    grown.territory.add_node(BLIND)
    grown.territory.sign()
    grown.territory.nodes[BLIND].start_sshd()
    grown.change()
    done = writer.run(grown.node(), SERVICE)
    (failed,) = [outcome for outcome in done.pushed if outcome.error]
    assert failed.peer == BLIND
    assert isinstance(failed.error, IntegrityError)
    assert "does not match the hash in the list" in str(failed.error)
    assert "appliance backup repair" in str(failed.error)
    mend(grown)
    grown.acknowledged = [replace(item, holders=(STANDBY,)) for item in grown.acknowledged]
    assert_sound(grown)


def test_what_no_peer_has_is_told_and_left_as_it_is(grown: FaultWorld) -> None:
    segment = old_segment(grown)
    rot(segment)
    for name in (*HOLDERS, SPARE):
        grown.territory.nodes[name].stop()
    failed = grown.territory.nodes[ORIGIN].cli("backup", "repair", SERVICE, check=False)
    assert failed.exit_code == IntegrityError.exit_code
    assert b"1 still corrupt" in failed.stdout
    assert f"{BLIND} did not help: ".encode() in failed.stdout
    for name in (*HOLDERS, SPARE):
        grown.territory.nodes[name].start_sshd()
    mend(grown)
    assert_sound(grown)


def test_rot_that_borg_meets_itself_names_the_remedy(grown: FaultWorld) -> None:
    """The last segment holds the list of archives, which each run reads first."""
    segment = max(grown.layout().repository.glob("data/*/*"), key=lambda path: int(path.name))
    manifest = max(
        (path for path in grown.layout().repository.glob("data/*/*") if path.stat().st_size > KIB // 2),
        key=lambda path: int(path.name),
    )
    rot(manifest)
    with pytest.raises(RepositoryDamaged) as refused:
        writer.run(grown.node(), SERVICE)
    assert "appliance backup repair" in str(refused.value)
    assert segment.exists()
    mend(grown)
    assert_sound(grown)
