"""A vault stays small while it takes 300 MB: it must run beside a town hall's other services on a small machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import appliance
from appliance.backup.vault.wire import COMMAND, Channel
from appliance.trust.generation import Entry, make_header, read_header, render_list
from appliance.trust.keys import load_key, public_line
from appliance.units import MIB
from tests.worlds.vaults import HOLDER, ORIGIN, TIME, Generation, VaultWorld, assert_whole, offer

PEAK_BYTES_MAX = 30 * MIB
BLOBS, BLOB_BYTES = 5, 60 * 10**6


@dataclass
class Process:
    channel: Channel
    peak_bytes: int = 0
    exit_code: int = -1


@contextmanager
def _vault(vaults: VaultWorld) -> Iterator[Process]:
    """The forced command itself, as sshd starts it."""
    code = str(Path(appliance.__file__).parent.parent)
    process = subprocess.Popen(
        (sys.executable, "-m", "appliance.backup.vault", str(vaults.layout(HOLDER).root), ORIGIN),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": code, "SSH_ORIGINAL_COMMAND": COMMAND},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    found = Process(Channel(process.stdout.fileno(), process.stdin.fileno()))
    try:
        yield found
        # Not by wait4: its figure begins with the memory of this test, from before the vault's own program started.
        status = Path(f"/proc/{process.pid}/status").read_text()
        found.peak_bytes = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
    finally:
        process.stdin.close()
        found.exit_code = process.wait(60)
        process.stdout.close()


@pytest.fixture
def vaults(tmp_path: Path) -> VaultWorld:
    made = VaultWorld(tmp_path / "desk", size_bytes=10 * BLOB_BYTES, quota_bytes=20 * BLOB_BYTES)
    return made.create()


def test_a_vault_that_takes_300_mb_stays_under_30_mib(
    vaults: VaultWorld, record_property: pytest.RecordProperty
) -> None:
    grant = vaults.grant()
    piece = os.urandom(MIB)
    blobs = {f"data/0/{n}": bytes([n]) + piece * (BLOB_BYTES // MIB) for n in range(BLOBS)}
    made = vaults.seal(grant, blobs)
    with _vault(vaults) as vault:
        offer(vault.channel, made, [grant])
        for digest, offset in vault.channel.read_frame()["need"]:
            vault.channel.write(made.blobs[digest][offset:])
        assert "receipt" in vault.channel.read_frame()
    assert vault.exit_code == 0
    record_property("vault_peak_mib", round(vault.peak_bytes / MIB, 1))
    assert vault.peak_bytes <= PEAK_BYTES_MAX, f"{vault.peak_bytes / MIB:.1f} MiB"
    assert assert_whole(vaults) == [made.name]


def test_a_vault_with_a_long_list_stays_small_too(vaults: VaultWorld) -> None:
    """A year of hourly backups of 300 GB: 20,000 files; here each of one byte, nearly all of them known already."""
    grant = vaults.grant()
    key = load_key(vaults.layout(ORIGIN).keys / "sign_ed25519")
    blob = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"  # of "1"
    entries = tuple(Entry(f"data/{n // 1000}/{n}", blob, 1) for n in range(20_000))
    listing = render_list(entries)
    raw = make_header(
        key, service="docs-a", epoch=2, sequence=1, previous="0" * 64, time=TIME, listing=listing, entries=entries
    )
    made = Generation(read_header(raw, public_line(key)), listing, entries, {blob: b"1"})
    with _vault(vaults) as vault:
        offer(vault.channel, made, [grant])
        assert vault.channel.read_frame()["need"] == [[blob, 0]]
        vault.channel.write(b"1")
        assert "receipt" in vault.channel.read_frame()
    assert vault.peak_bytes <= 1.5 * PEAK_BYTES_MAX, f"{vault.peak_bytes / MIB:.1f} MiB"
