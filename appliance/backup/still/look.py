"""The facts of one run about the source of its service and about all else that a backup is made of, before borg begins.

A later run compares its own with those of the run that made the newest generation.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import appliance
from appliance.backup.sources.model import Prepared, SourceSpec
from appliance.backup.writer import accepted
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.territory.implicit import is_implicit
from appliance.trust.signed import digest_of

FILE_SYSTEMS = frozenset(("btrfs", "ext4", "overlay", "xfs"))
"""Those that date each change of a file and of what describes it, by this machine's clock. tmpfs dates no write to a
file that is mapped into memory, and a network disk has another clock, and dates that it shows late."""


@dataclass(frozen=True)
class Look:
    """`same` must be what it was, by the name under which a person is told of it. `wall` and `boottime` are from before
    the walk began; `unfit` says why a source such as this one never lets a run be still, "" where it may."""

    same: Mapping[str, str]
    wall: float
    boottime: float
    changed_ns: int
    unfit: str = ""


def begin_look(node: Node) -> tuple[float, float]:
    """The clocks, for `look`, to be read before the walk."""
    return node.clock.now(), node.clock.boottime()


def look(node: Node, spec: SourceSpec, source: Prepared, begun: tuple[float, float]) -> Look:
    layout, wall, boottime = node.service(spec.service), *begun
    same = {
        "the source": digest_of(
            "".join(f"{it.path}\0{it.digest}\0" for it in source.seen).encode(errors="surrogateescape")
        ),
        "what is read": digest_of(repr(spec).encode(errors="surrogateescape")),
        "the bundle": node.bundle.document.digest,
        "the envelopes": _envelopes(layout),
        "the files that an operator accepted": digest_of(repr(accepted.load(layout)).encode(errors="surrogateescape")),
        "a program": digest_of(f"{appliance.__version__} {_borg()}".encode()),
        "the start of this machine": node.clock.boot_id(),
    }
    changed_ns = max((it.changed_ns for it in source.seen), default=0)
    return Look(same, wall, boottime, changed_ns, _unfit(node, spec, source))


def _unfit(node: Node, spec: SourceSpec, source: Prepared) -> str:
    if is_implicit(node.bundle.terms(spec.service).service):
        return "it is what this node saves of itself"
    if any(it.how == "dump" for it in source.read_from):
        return "a database is dumped"
    if source.failures or any(it.is_missing for it in source.left_out) or len(source.seen) != len(source.parts):
        return "not all of it can be read"
    kinds = {kind for it in source.seen for kind in it.file_systems or ("no known file system",)}
    if unknown := sorted(kinds - FILE_SYSTEMS):
        return f"times on {unknown[0]} do not tell each change"
    return ""


def _envelopes(layout: ServiceLayout) -> str:
    found = sorted(layout.envelopes.glob("*.age"))
    return hashlib.sha256(b"".join(it.name.encode() + it.read_bytes() for it in found)).hexdigest()


def _borg() -> str:
    """The identity of the program that a run would start."""
    path = Path(shutil.which("borg") or "borg").resolve()
    status = path.stat() if path.exists() else None
    return f"{path} {status.st_ino} {status.st_size} {status.st_ctime_ns}" if status else str(path)
