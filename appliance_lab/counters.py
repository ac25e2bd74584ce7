"""The AES-CTR counters that stored objects were encrypted with, read from the segments themselves: the last word on
whether one was ever used twice.

A segment is `BORG_SEG` and entries of crc (4), size (4), tag (1), all little-endian; a PUT (tag 0) holds the object's
id (32) and the object: key type (1), MAC (32), counter (8, big-endian), ciphertext. One counter is 16 bytes of
keystream.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.vault.replicas import replica_names, replica_of
from appliance.backup.vault.stored_grants import stored_grant
from appliance.node.handle import Node
from appliance_lab.story import require

MAGIC = b"BORG_SEG"
_ENTRY = struct.Struct("<IIB")
_PUT = 0
_HEAD = 1 + 32 + 8
BLOCK_BYTES = 16


@dataclass(frozen=True, order=True)
class Used:
    """The counters `first` to `after` - 1, by one stored object, known by its MAC."""

    first: int
    after: int
    mac: bytes


def used_in(segment: bytes) -> Iterator[Used]:
    """The counters used by the objects of a segment; a file that is none has none.

    An object with a wrong checksum was not written so: its bytes were changed since, and its counter may be another's.
    """
    position = len(MAGIC)
    while segment.startswith(MAGIC) and position + _ENTRY.size <= len(segment):
        checksum, size, tag = _ENTRY.unpack_from(segment, position)
        if size < _ENTRY.size:
            return
        if tag == _PUT and zlib.crc32(segment[position + 4 : position + size]) == checksum:
            data = segment[position + _ENTRY.size + 32 : position + size]
            first = int.from_bytes(data[33:_HEAD])
            yield Used(first, first - (len(data) - _HEAD) // -BLOCK_BYTES, data[1:33])
        position += size


def used_by(files: Iterable[Path]) -> set[Used]:
    return {used for file in files for used in used_in(file.read_bytes())}


def reused(used: Iterable[Used]) -> tuple[tuple[Used, Used], ...]:
    """Pairs of different objects that share keystream; a copy that compaction made is the same object."""
    found, last = [], None
    for each in sorted(set(used)):
        if last is not None and each.first < last.after:
            found.append((last, each))
        if last is None or each.after > last.after:
            last = each
    return tuple(found)


def used_at(nodes: Iterable[Node], service: str) -> Iterator[set[Used]]:
    """The counters of each repository of `service` in the pools of all `nodes` together: each has a key of its own.

    There are several once a service started over after a revocation. Then files that no generation lists count for
    none, since nothing tells of which they are.
    """
    found: dict[str, dict[str, Path]] = {}
    everything: dict[str, Path] = {}
    for node in nodes:
        replica = replica_of(node, service)
        everything |= {it.name: it for it in replica.blobs()}
        for item in replica.listed():
            of_it = found.setdefault(stored_grant(replica, node.bundle, item.epoch).repository, {})
            of_it |= {it.sha256: replica.blob(it.sha256) for it in replica.entries(item.name)}
    for blobs in found.values() if len(found) > 1 else [everything]:
        yield used_by(it for it in blobs.values() if it.exists())


def prove_counters(nodes: Iterable[Node]) -> int:
    """How many objects the pools of all `nodes` have; raise Violated where two of a key share a counter.

    Either of two replica nodes may be honest, and an attacker who reads both has what a single one never shows.
    """
    held = tuple(nodes)
    objects = 0
    for service in sorted({name for node in held for name in replica_names(node)}):
        for used in used_at(held, service):
            twice = reused(used)
            require(not twice, f"{len(twice)} pairs of objects of {service} share counters, {twice[:1]} first.")
            objects += len(used)
    return objects
