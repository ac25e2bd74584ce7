"""The files that years leave on nodes once retention and shelving have gone over them: at a replica node, at a writer.

Which generations a replica node still holds is decided by the product's rules, on its ageing clock. They are written
without a sync each, as nobody cuts the power here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

from appliance.backup.chain.chain import FOLDERS_KEPT, FOLDERS_MAX, Chain
from appliance.backup.chain.history import HEADER, History
from appliance.backup.chain.retention import Generation, Keep, prune
from appliance.backup.vault import ledger
from appliance.backup.vault.limits import Amount, day_of
from appliance.backup.vault.store import LIST, RECEIPT, Replica
from appliance.clock import SystemClock, utc_text
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.journal import KEPT, ROTATE_BYTES
from appliance.host.layout import NodeLayout
from appliance.trust.signed import digest_of
from appliance_lab.bench.years.past import Signed

FOLDERS = (FOLDERS_MAX + FOLDERS_KEPT) // 2
"""Generations that have a folder at their writer: between two shelvings there are 500 to 1000."""


def kept(past: Iterable[Signed], now_age_seconds: int, lock_seconds: int) -> frozenset[str]:
    """The names of the generations that a replica node still holds, by the rules of the product."""
    known = (Generation(it.header.id, it.header.previous, it.age) for it in past)
    decided = prune(known, now_age_seconds, lock_seconds)
    return frozenset(it.id.name for it in decided if isinstance(it, Keep))


def at_replica_node(replica: Replica, holder: str, past: Sequence[Signed], held: frozenset[str]) -> None:
    """Write the history and what is held of `past`; the files that its lists name are in the pool already, but for
    grants."""
    replica.create()
    taken = [it for it in past if holder in it.receipts]
    for epoch in {it.header.epoch: it.epoch for it in past}.values():
        replica.add_grant(epoch.era.epoch, epoch.grant.document.raw)
        put(replica, epoch.grant.document.raw)
    old = {
        it.header.id.name: {HEADER: it.header.document.raw, RECEIPT: it.receipts[holder]}
        for it in taken
        if it.header.id.name not in held
    }
    own = {it.header.id.name: {HEADER: it.header.document.raw} for it in past if holder not in it.receipts}
    replica.history.add(old | own)
    for it in taken:
        if it.header.id.name in held:
            folder = replica.generations / it.header.id.name
            folder.mkdir(mode=replica.generations.stat().st_mode & 0o777)
            parts = {HEADER: it.header.document.raw, LIST: it.epoch.listing, RECEIPT: it.receipts[holder]}
            _write(folder, parts)
    _write_ledger(replica, past)


def put(replica: Replica, raw: bytes) -> None:
    """Have the blob `raw` in the pool."""
    digest = digest_of(raw)
    if not replica.blob(digest).exists():
        partial = replica.partial / digest
        partial.write_bytes(raw)
        partial.chmod(0o440)
        replica.enter_pool(partial, digest)


def _write_ledger(replica: Replica, past: Sequence[Signed]) -> None:
    """As it stands after the last of `past`: nothing was taken on that day beside it."""
    used = Amount(*replica.used(), replica.count())
    bases = {str(it.header.epoch): used for it in past}
    written = ledger.Ledger(day=day_of(past[-1].age), bases=bases)
    ledger.save(replica.book / "ledger.json", written)


def at_writer(chain: Chain, past: Sequence[Signed], writer: str) -> None:
    """Write the chain of `writer`: headers of all, receipts of what it sealed itself; the list of the newest alone."""
    for it in {it.header.epoch: it.epoch for it in past}.values():
        chain.add_grant(it.grant)
    parts = {it.header.id.name: _at_writer(it, writer) for it in past}
    old, new = list(parts)[:-FOLDERS], list(parts)[-FOLDERS:]
    History(chain.root / "history", 0o644).add({name: parts[name] for name in old})
    for name in new:
        _write(make_private_folder(chain.root / name), parts[name])
    (chain.root / new[-1] / "list").write_bytes(past[-1].epoch.listing)


def _at_writer(it: Signed, writer: str) -> dict[str, bytes]:
    receipts = it.receipts if it.epoch.era.writer == writer else {}
    return {HEADER: it.header.document.raw, **{f"receipt-{name}": raw for name, raw in receipts.items()}}


def _write(folder: Path, parts: Mapping[str, bytes]) -> None:
    for name, raw in parts.items():
        (folder / name).write_bytes(raw)
        (folder / name).chmod(0o440)


def set_age(layout: NodeLayout, age_seconds: int) -> None:
    """Have the node be so old by its ageing clock."""
    clock = SystemClock()
    told = {"age_seconds": float(age_seconds), "boot_id": clock.boot_id(), "boottime": clock.boottime()}
    make_private_folder(layout.ageing.parent)
    write_atomic(layout.ageing, json.dumps(told).encode())


def write_journal(path: Path, events: int, begun: float, step_seconds: float) -> None:
    """Have the journal say `events` times what it said so far, or as much of the newest as it keeps; one event each
    `step_seconds`, the first at `begun`."""
    said = [json.loads(line) for line in path.read_text().splitlines()]
    line_bytes = max(1, path.stat().st_size // len(said))
    room = (KEPT + 1) * ROTATE_BYTES // line_bytes
    first = max(0, events - room + ROTATE_BYTES // line_bytes // 2)
    lines = (
        json.dumps({**event, "time": utc_text(begun + number * step_seconds)}, ensure_ascii=False)
        for number, event in enumerate(islice(cycle(said), first, events), start=first)
    )
    _write_rotated(path, lines)


def _write_rotated(path: Path, lines: Iterable[str]) -> None:
    files: list[list[str]] = [[]]
    size = 0
    for line in lines:
        files[-1].append(line)
        size += len(line) + 1
        if size >= ROTATE_BYTES:
            files.append([])
            size = 0
    for number, content in enumerate(reversed(files[-KEPT - 1 :])):
        name = path if number == 0 else path.with_name(f"{path.name}.{number}")
        name.write_text("".join(f"{line}\n" for line in content))
        name.chmod(0o600)
