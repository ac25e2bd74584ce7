"""The ground of a fault: a territory whose origin saves a few small documents, what was acknowledged, and how to look
whether any of it was lost."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import shutil
import sys
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers.adopt import open_copy
from appliance.backup.peers.fetch import read_held, survey
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.last_seen import current_targets
from appliance.backup.peers.openable import key_of
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.backup.writer.writer import Run
from appliance.borg.client import Borg
from appliance.borg.locks import is_locked
from appliance.borg.nonce import check_nonce, next_nonce
from appliance.errors import Busy, Refused
from appliance.escrow.envelopes import read_key
from appliance.host.command import Result, run
from appliance.host.files import locked
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.territory.model import Retention, Schedule
from appliance_lab.checkers.tree_record import Record, compare, take
from appliance_lab.checkout import code_folder
from appliance_lab.counters import prove_counters
from appliance_lab.demo.whole import held_names, prove_whole
from appliance_lab.processes.territory import ProcessTerritory

SERVICE = "docs-a"
ORIGIN, STANDBY, BLIND, SPARE = "commune-a", "hermitage", "commune-b", "commune-c"
HOLDERS = (STANDBY, BLIND)
CUT = Path(__file__).with_name("cut.py")
MAP_BYTES = 300_000
BORG = shutil.which("borg") or "borg"


@dataclass(frozen=True)
class Acknowledged:
    """A generation with its receipts: its folder name, its archive, what the documents were, who signed."""

    name: str
    archive: str
    record: Record
    holders: tuple[str, ...]


@dataclass
class FaultWorld:
    territory: ProcessTerritory
    documents: Path
    work: Path
    acknowledged: list[Acknowledged] = field(default_factory=list)
    nonces: list[int] = field(default_factory=list)
    writer: str = ORIGIN
    _changes: int = 0

    def node(self, name: str = ORIGIN) -> Node:
        return self.territory.open(name)

    def layout(self, name: str = ORIGIN) -> ServiceLayout:
        return self.node(name).service(SERVICE)

    def change(self, random_bytes: int = 2000) -> None:
        """A new file, a changed one and a renamed one."""
        self._changes += 1
        draw = random.Random(self._changes)
        (self.documents / f"nouveau-{self._changes}.odt").write_bytes(draw.randbytes(random_bytes))
        (self.documents / "journal.txt").write_text(f"entrée {self._changes}\n" * self._changes)
        old = self.documents / f"nouveau-{self._changes - 3}.odt"
        if old.exists():
            old.rename(self.documents / f"rangé-{self._changes - 3}.odt")

    def save(self) -> Run:
        """A run that must succeed and be safe at all holders; what it got receipts for is remembered."""
        before = take(self.documents, as_root=False)
        done = writer.run(self.node(self.writer), SERVICE)
        assert [str(outcome.error) for outcome in done.pushed if outcome.error] == []
        self.remember(done, before)
        return done

    def is_free(self) -> bool:
        """Whether nobody holds the lock of the service."""
        with contextlib.suppress(Busy), locked(self.node(self.writer).service(SERVICE).lock, what=SERVICE):
            return True
        return False

    def remember(self, done: Run, record: Record) -> None:
        holders = tuple(outcome.peer for outcome in done.pushed if outcome.receipt)
        self.acknowledged.append(Acknowledged(done.sealed.header.id.name, done.created.archive, record, holders))

    def cut(self, last: int | str, action: str, *words: str) -> tuple[Result, int]:
        """Do `action` in a process that is killed at its disk call number `last`, or at "NUMBER:FILLER" finds its disk
        full; how it ended, how many calls."""
        count = self.work / "count"
        count.unlink(missing_ok=True)
        argv = (sys.executable, str(CUT), str(last), str(count), action, *words)
        result = run(argv, timeout_seconds=120, env={"PYTHONPATH": str(code_folder()), **borg_of(self.work)})
        return result, int(count.read_text()) if count.exists() else 0

    def cut_backup(self, last: int | str) -> tuple[Result, int]:
        return self.cut(last, "backup", str(self.node().layout.root), SERVICE)

    def make_due(self) -> None:
        """Sign a schedule of which the moment of the day is now, so that an agent backs up when it next looks.

        To the microsecond: generations are dated by the second, and one of this second would pass for what is due.
        """
        now = datetime.now(ZoneInfo(self.territory.territory.timezone))
        self._sign_service(schedule=Schedule(daily_at=f"{now:%H:%M:%S.%f}"))

    def make_room(self, quota_bytes: int) -> None:
        """Sign a quota for much larger documents, and nodes that offer as much."""
        plan = self.territory.territory
        nodes = {name: replace(node, offered_bytes=2 * quota_bytes) for name, node in plan.nodes.items()}
        self.territory.territory = replace(plan, nodes=nodes)
        self._sign_service(quota_bytes=quota_bytes, size_bytes=quota_bytes // 4, change_bytes_per_day=quota_bytes // 4)

    def _sign_service(self, **terms: Any) -> None:
        plan = self.territory.territory
        service = replace(plan.services[SERVICE], **terms)
        self.territory.territory = replace(plan, services={**plan.services, SERVICE: service})
        self.territory.sign()

    def cut_tidy(self, last: int | str) -> tuple[Result, int]:
        return self.cut(last, "tidy", str(self.node().layout.root), SERVICE)

    def keep_little(self) -> None:
        """Sign a retention of one archive, the newest: the next tidying has all others to forget."""
        self._sign_service(retention=Retention(0, 1, 0, 0, 0))

    def replace_map(self) -> None:
        """Give one large file other content: once the archive before is forgotten, most of its segment is waste."""
        (self.documents / "cadastre.tif").write_bytes(os.urandom(MAP_BYTES))

    def stop(self, *names: str) -> None:
        for name in names:
            self.territory.nodes[name].stop()

    def start(self, *names: str) -> None:
        for name in names:
            self.territory.nodes[name].start_sshd()

    @property
    def grant_file(self) -> Path:
        return self.work / "grant"

    def fetch_to_continue(self, name: str = ORIGIN, wanted: str | None = None) -> None:
        """`name` fetches the newest generation and gets the grant to continue it, as when it was rolled back or takes
        over; what is left to do is to adopt it."""
        node = self.node(name)
        sealed, found = fetch_for_resync(node, SERVICE, wanted)
        remember_fetched(node, SERVICE, sealed)
        request = request_after_fetch(node, SERVICE, found, "test")
        self.grant_file.write_bytes(self.territory.grant(request, name))

    def adopt(self, name: str = ORIGIN) -> None:
        """Adopt what was fetched, unless that was done; safe to repeat."""
        node, raw = self.node(name), self.grant_file.read_bytes()
        if raw not in [grant.document.raw for grant in chain_of(node, SERVICE).grants().values()]:
            key = key_of(node, SERVICE, staging(node, SERVICE), None)
            continue_under(node, SERVICE, load_fetched(node, SERVICE), raw, key)
        self.writer = name

    def cut_adoption(self, last: int) -> tuple[Result, int]:
        return self.cut(last, "adopt", str(self.node().layout.root), SERVICE, str(self.grant_file))

    def assert_counters_safe(self) -> None:
        """borg would not be let write, or not with a counter that was used."""
        value = next_nonce(writer.own_repository(self.layout(self.writer)))
        try:
            check_nonce(value, chain_of(self.node(self.writer), SERVICE).grant().epoch)
        except Refused:
            return
        assert value is not None
        assert value >= self.nonces[-1]

    def assert_healed(self) -> None:
        """The run after a fault: safe, on one chain, with fresh counters, and nothing left lying about."""
        done = self.save()
        node = self.node(self.writer)
        assert done.safety.safe or self.writer != ORIGIN, str(done.safety)
        assert not is_locked(node.service(SERVICE).repository)
        assert os.listdir(node.service(SERVICE).sealed) == [done.sealed.header.id.name]
        self.assert_counters_went_on()
        self.assert_one_chain()

    def assert_counters_went_on(self) -> None:
        layout = self.layout(self.writer)
        value = next_nonce(writer.own_repository(layout))
        check_nonce(value, chain_of(self.node(self.writer), SERVICE).grant().epoch)
        assert value is not None
        assert not self.nonces or value > self.nonces[-1]
        self.nonces.append(value)

    def assert_one_chain(self) -> None:
        """No holder knows two headers for one number, and all know what the writer sealed last."""
        newest = chain_of(self.node(self.writer), SERVICE).newest()
        assert newest is not None
        for name in self.holders():
            numbers = [(item.epoch, item.sequence) for item in replica_of(self.node(name), SERVICE).stored()]
            assert len(set(numbers)) == len(numbers), f"{name} knows a fork"
            assert held_names(self.node(name), SERVICE)[-1] == newest.header.id.name

    def holders(self) -> tuple[str, ...]:
        aims = current_targets(self.node(self.writer), SERVICE)
        return tuple(aim.node for aim in aims)

    def assert_nothing_lost(self, extract: int = 1) -> None:
        """Each acknowledged generation is whole wherever a receipt was signed for it; no counter was used twice; the
        newest `extract` give back what was saved, from each blind holder's bytes."""
        names = {name for item in self.acknowledged for name in item.holders}
        for name in sorted(names):
            wanted = tuple(item.name for item in self.acknowledged if name in item.holders)
            assert set(wanted) <= set(held_names(self.node(name), SERVICE))
            prove_whole(self.node(name), SERVICE, wanted)
            for item in self.acknowledged[-extract:]:
                if name in item.holders:
                    self.assert_gives_back(item, name)
        self.assert_no_counter_twice()

    def assert_gives_back(self, item: Acknowledged, holder: str) -> None:
        """`item`, opened from the bytes that `holder` has and the key that it has not, is what was saved."""
        home = ServiceLayout(self.work / "opened" / holder)
        shutil.rmtree(home.root, ignore_errors=True)
        home.root.mkdir(parents=True)
        node = self.node(holder)
        sealed, replica = read_held(node, SERVICE, item.name), replica_of(node, SERVICE)
        key = read_key(self.layout(self.writer).key)
        borg = Borg(open_copy(home, sealed, lambda entry: replica.blob(entry.sha256), key))
        into = home.root / "files"
        assert borg.extract(item.archive, [], into) == ()
        restored = into / str(self.documents).lstrip("/")
        assert compare(item.record, take(restored, as_root=False)) == ()
        shutil.rmtree(home.root)

    def assert_verified(self, holder: str) -> None:
        """`borg check --verify-data` of the newest generation held by `holder`, in a copy."""
        home = ServiceLayout(self.work / "verified" / holder)
        shutil.rmtree(home.root, ignore_errors=True)
        node = self.node(holder)
        sealed, replica = read_held(node, SERVICE), replica_of(node, SERVICE)
        repository = open_copy(home, sealed, lambda entry: replica.blob(entry.sha256), read_key(self.layout().key))
        Borg(repository).check_archives(verify_data=True)
        shutil.rmtree(home.root)

    def assert_no_counter_twice(self) -> None:
        assert prove_counters(map(self.node, self.territory.nodes))

    def forks(self) -> set[str]:
        """The numbers that holders report as forked."""
        found = survey(self.node(self.writer), SERVICE, self.holders())
        return {number for head in found.heads for number in head.forks}


def borg_of(folder: Path) -> dict[str, str]:
    """The PATH with the borg that was put into `folder`, if any."""
    own = folder / "bin"
    return {"PATH": f"{own}:{os.environ['PATH']}"} if own.exists() else {"PATH": os.environ["PATH"]}


def put_borg(folder: Path, text: str) -> Path:
    """Have `folder`/bin/borg be a script of ours; the PATH to use for it."""
    script = folder / "bin" / "borg"
    script.parent.mkdir(exist_ok=True)
    script.write_text(text)
    script.chmod(0o755)
    return script.parent


def put_cut_borg(folder: Path, last: int, verb: str = "") -> tuple[Path, Path]:
    """Have `folder`/bin/borg, when it is started with `verb`, end at its disk call number `last`; the PATH to use for
    it and the file that says how many it made (`calls_of_borg`)."""
    count = folder / "borg-count"
    count.touch()
    os.utime(count, (0, 0))
    words = shlex.join((sys.executable, str(CUT), str(last), str(count), "borg", BORG))
    others = f'case " $* " in *" {verb} "*) ;; *) exec {BORG} "$@" ;; esac\n' if verb else ""
    return put_borg(folder, f'#!/bin/sh\n{others}exec {words} "$@"\n'), count


def calls_of_borg(count: Path) -> int:
    """How many disk calls the last borg made that `put_cut_borg` put there."""
    return int(count.stat().st_mtime)


def remove_borg(folder: Path) -> None:
    shutil.rmtree(folder / "bin", ignore_errors=True)
