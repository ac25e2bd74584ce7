"""A peer's disk that fills at any point of a push: a sentence, nothing half claimed, the rest when there is room."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.backup.vault import receive
from appliance.errors import ApplianceError, NoSpace
from appliance.trust.grant import Grant
from appliance.units import MIB
from tests.integration.vault.child import Child, vault_child
from tests.worlds.vaults import HOLDER, SERVICE, Generation, VaultWorld, assert_whole, head, push

TMPFS_BYTES = 6 * MIB


def _no_floor() -> None:
    """In the child only: the vault keeps 1 GiB for its host, which no small disk has."""
    receive.FREE_BYTES_MIN = -(1 << 50)  # type: ignore[attr-defined]


def _small_files(size: int) -> None:
    _no_floor()
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("limit", [50_000, MIB, 3 * MIB - 1])
def test_a_file_that_cannot_grow_is_a_full_disk_and_goes_on_later(made: VaultWorld, tmp_path: Path, limit: int) -> None:
    vaults = made.copy(tmp_path / "desk")
    grant = vaults.grant()
    whole = vaults.seal(grant, {"data/0/0": os.urandom(3 * MIB), "data/0/1": b"small"})
    with vault_child(vaults, lambda: _small_files(limit)) as child, pytest.raises(ApplianceError) as caught:
        push(child.channel, whole, [grant])
    assert type(caught.value) is NoSpace
    assert caught.value.what == "the peer's disk is full."
    assert os.waitstatus_to_exitcode(child.ended or 0) == NoSpace.exit_code
    assert assert_whole(vaults) == []
    partial = vaults.holding(HOLDER).partial / next(e.sha256 for e in whole.entries if e.path == "data/0/0")
    assert partial.stat().st_size == limit, "what came is kept"
    with vault_child(vaults, _no_floor) as child:
        push(child.channel, whole, [grant])
    assert assert_whole(vaults) == [whole.name]


@pytest.fixture
def small_disk(made: VaultWorld, tmp_path: Path) -> Iterator[VaultWorld]:
    """The vault of commune-b on a disk of 6 MiB."""
    vaults = made.copy(tmp_path / "desk")
    vault = vaults.layout(HOLDER).vault
    vault.mkdir(mode=0o700)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0700", "tmpfs", str(vault))
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield vaults
    subprocess.run(("umount", "-l", str(vault)), check=True)


@pytest.mark.root
def test_a_disk_that_is_full_at_any_point_refuses_and_goes_on_when_there_is_room(small_disk: VaultWorld) -> None:
    """From no byte free to enough: full in a blob, a list, a receipt, a lock file, the ledger."""
    vaults, grant = small_disk, small_disk.grant()
    replica = vaults.holding(HOLDER)
    filler = vaults.layout(HOLDER).vault / "filler"
    newest = None
    outcomes = []
    for pages in (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 40):
        made = vaults.seal(grant, {"config": b"config", f"data/0/{pages}": os.urandom(20_000)}, newest)
        _fill(filler, pages * 4096)
        before = assert_whole(vaults)
        with vault_child(vaults, _no_floor) as child:
            refusal = _refusal(child, made, grant)
        outcomes.append(refusal)
        assert assert_whole(vaults)[: len(before)] == before
        filler.unlink()
        with vault_child(vaults, _no_floor) as child:
            push(child.channel, made, [grant])
            assert head(child.channel)["held"][-1] == made.name
        assert assert_whole(vaults)[-1] == made.name
        assert list(replica.partial.iterdir()) == []
        newest = made
    assert set(outcomes) == {"", "the peer's disk is full."}, "full at first, and room enough in the end"


def _refusal(child: Child, made: Generation, grant: Grant) -> str:
    """Return the refusal of a push for want of room; "" when it was taken."""
    try:
        push(child.channel, made, [grant])
    except NoSpace as error:
        return error.what
    return ""


def _fill(path: Path, left: int) -> None:
    """Write to `path` until `left` bytes of its disk are free."""
    disk = os.statvfs(path.parent)
    with open(path, "wb") as file:
        file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - left)))


@pytest.mark.root
def test_a_full_disk_does_not_stop_a_peer_from_giving(small_disk: VaultWorld) -> None:
    vaults, grant = small_disk, small_disk.grant()
    made = vaults.chain(grant, 1)[0]
    with vault_child(vaults, _no_floor) as child:
        push(child.channel, made, [grant])
    _fill(vaults.layout(HOLDER).vault / "filler", 0)
    with vault_child(vaults) as child:
        assert head(child.channel)["held"] == [made.name]
        assert push(child.channel, made), "what is held is acknowledged again without a byte written"
    assert made.header.service == SERVICE
