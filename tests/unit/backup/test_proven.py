"""A file that was read and found right is not read again, until it is another file or a month has passed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.chain import hashes
from appliance.backup.chain.proven import FETCHED, HELD, Proven
from appliance.backup.peers.local_reuse import reuse_local
from appliance.backup.vault.replicas import replica_of
from appliance.clock import SimulatedClock
from appliance.host.files import make_private_folder, sha256_file
from appliance.node.handle import Node
from appliance.trust.generation import Entry
from appliance.units import DAY
from tests.worlds.demo import signed_territory

SERVICE = "docs-a"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = replace(signed_territory(tmp_path / "t").open("hermitage"), clock=SimulatedClock())
    make_private_folder(made.service(SERVICE).root)
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files read since."""
    found: list[Path] = []

    def reading(path: Path) -> str:
        found.append(path)
        return sha256_file(path)

    monkeypatch.setattr(hashes, "sha256_file", reading)
    return found


def held(node: Node, text: bytes, path: str = "data/0/1") -> tuple[Entry, Path]:
    entry = Entry(path, hashlib.sha256(text).hexdigest(), len(text))
    blob = replica_of(node, SERVICE).blob(entry.sha256)
    make_private_folder(blob.parent)
    blob.write_bytes(text)
    return entry, blob


def test_a_file_is_read_once_and_again_when_it_is_another(node: Node, read: list[Path]) -> None:
    entry, blob = held(node, b"sealed")
    for _ in range(2):
        proven = Proven(node, SERVICE)
        assert proven.is_right(HELD, entry, blob)
        proven.save(HELD, [entry])
    assert read == [blob]
    blob.write_bytes(b"forged")
    os.utime(blob, ns=(1, 1))
    assert not Proven(node, SERVICE).is_right(HELD, entry, blob)
    assert not Proven(node, SERVICE).is_right(HELD, replace(entry, size=7), blob)
    assert read == [blob, blob], "one of another size is not it, whatever is in it"


def test_what_nobody_read_for_a_month_is_read_again(node: Node, read: list[Path]) -> None:
    entry, blob = held(node, b"sealed")
    for days, times in ((0, 1), (29, 1), (2, 2)):
        node.clock.advance(days * DAY)  # type: ignore[attr-defined]
        proven = Proven(node, SERVICE)
        proven.forget_oldest(HELD, [entry])
        assert proven.is_right(HELD, entry, blob)
        proven.save(HELD, [entry])
        assert len(read) == times


def test_a_takeover_reads_nothing_that_was_read_ahead(node: Node, read: list[Path], tmp_path: Path) -> None:
    (one, _), (other, _) = held(node, b"one"), held(node, b"another", "data/0/2")
    proven = Proven(node, SERVICE)
    assert all(proven.is_right(HELD, it, replica_of(node, SERVICE).blob(it.sha256)) for it in (one, other))
    proven.save(HELD, [one, other])
    read.clear()
    proven = Proven(node, SERVICE)
    assert reuse_local(node, SERVICE, [one, other], tmp_path / "fetched", proven) == {one.path, other.path}
    assert all(proven.is_right(FETCHED, it, tmp_path / "fetched" / it.path) for it in (one, other))
    assert read == []
    (tmp_path / "fetched" / one.path).unlink()
    (tmp_path / "fetched" / one.path).write_bytes(b"two")
    assert not proven.is_right(FETCHED, one, tmp_path / "fetched" / one.path)


def test_the_record_forgets_what_is_gone_and_does_without_its_file(node: Node, read: list[Path]) -> None:
    (one, first), (other, second) = held(node, b"one"), held(node, b"another", "data/0/2")
    proven = Proven(node, SERVICE)
    assert all((proven.is_right(HELD, one, first), proven.is_right(HELD, other, second)))
    proven.learn(FETCHED, one, first)
    proven.save(HELD, [other])
    proven.save(FETCHED, [one, other])
    read.clear()
    proven = Proven(node, SERVICE)
    assert all((proven.is_right(FETCHED, one, first), proven.is_right(HELD, other, second)))
    assert read == []
    assert proven.is_right(HELD, one, first)
    assert Proven(node, SERVICE, empty=True).is_right(HELD, other, second)
    assert read == [first, second]
    file = node.service(SERVICE).root / "proven-held.json"
    file.unlink()
    file.mkdir()
    again = Proven(node, SERVICE)
    assert again.is_right(HELD, one, first)
    again.save(HELD, [one])


def test_what_rots_where_it_is_written_is_placed_by_nobody(node: Node, tmp_path: Path) -> None:
    entry = Entry("data/0/1", hashlib.sha256(b"sealed").hexdigest(), 6)
    own = node.service(SERVICE).repository / entry.path
    make_private_folder(own.parent)
    own.write_bytes(b"sealed")
    was = own.stat()
    assert reuse_local(node, SERVICE, [entry], tmp_path / "one", Proven(node, SERVICE)) == {entry.path}
    own.write_bytes(b"rotten")
    os.utime(own, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert reuse_local(node, SERVICE, [entry], tmp_path / "two", Proven(node, SERVICE)) == set()
