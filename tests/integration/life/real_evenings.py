"""The evenings of a town, and what a person reads and finds then, played with the product itself (`real_town.py`)."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.adopt import open_copy
from appliance.backup.peers.fetch import read_held
from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.errors import Refused
from appliance.escrow.envelopes import read_key
from appliance.host.layout import ServiceLayout
from appliance.units import DAY, MINUTE
from tests.integration.life.real_oracle import Oracle, Saved
from tests.integration.life.real_town import Content, Town, files_below
from tests.integration.life.world import Broken
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, SPARE, STANDBY

FILES = (5, 12)
"""How many files each path has; without those of the second more than half is gone."""
FILE_BYTES = (1500, 2500)
CALM_EVENINGS = 2
"""After so many without trouble a whole backup is safe."""


@dataclass
class Job:
    """A restore that was cut: what it began with, what was kept then, what is typed to go on."""

    saved: Saved
    before: list[Saved]
    to: Path
    words: tuple[str, ...]


class Evenings:
    """`tight`: the origin's disk is a small one of its own, which may be filled."""

    def __init__(self, town: Town, seed: str, *, tight: bool) -> None:
        self.town, self.tight = town, tight
        self.draw = random.Random(f"real life {seed}")
        self.oracle = Oracle(town)
        self.writer = ORIGIN
        self.day = self.spent = self.calm = self.files = self.restores = 0
        self.clock_off = 0.0
        self.job: Job | None = None
        for source, count in zip(town.vaults.sources, FILES, strict=True):
            source.mkdir(parents=True)
            for _ in range(count):
                self._write(source)
        town.vaults.advance(DAY / 2)
        town.begin()
        self.evenings(2, calm=True)

    # Evenings

    def evenings(self, count: int, *, calm: bool = False) -> None:
        for _ in range(count):
            self._dusk()
            self.calm = self.calm + 1 if calm else 0
            self._run()
            self._tidy()
            self._night()

    def _dusk(self) -> None:
        """A day's work was done, and it is evening again."""
        self.town.vaults.advance(DAY - self.spent)
        self.day, self.spent = self.day + 1, 0
        for source in self.town.vaults.sources:
            if source.is_dir() and any(source.iterdir()):
                self.draw.choice(sorted(source.iterdir())).unlink()
                self._write(source)

    def _write(self, folder: Path) -> None:
        self.files += 1
        (folder / f"délibération {self.files}.odt").write_bytes(self.draw.randbytes(self.draw.randint(*FILE_BYTES)))

    def _minute(self) -> None:
        self.town.vaults.advance(MINUTE)
        self.spent += MINUTE

    def _night(self) -> None:
        for name in (ORIGIN, STANDBY, HOLDER, SPARE):
            prune_replica(self.town.node(name), SERVICE)
        self._look()

    def _run(self) -> None:
        content = self._content()
        writer.run(self.town.node(self.writer), SERVICE)
        self._settle(content)

    def _tidy(self) -> None:
        """A service of which most is gone at its source is not tidied."""
        try:
            writer.prune(self.town.node(self.writer), SERVICE)
            writer.push_newest(self.town.node(self.writer), SERVICE)
        except Refused as refused:
            if self.oracle.archives[-1].full or "most of it is missing" not in str(refused):
                raise
            self.oracle.spared += 1
            self._settle(self._content(), paused=True)
        else:
            self.oracle.tidies(tight=self.tight)
            self._settle(self._content(), tidied=True)

    def _settle(
        self, content: tuple[Content | None, ...], *, tidied: bool = False, paused: bool = False, cut: bool = False
    ) -> None:
        """Tell the oracle what the repository has now, and what was sealed."""
        self._minute()
        names = [it.name for it in self.town.borg(self.writer).archives()]
        known = {it.archive for it in self.oracle.archives}
        for name in names:
            if name not in known:
                self.oracle.archives.append(Saved(name, self.day, content, cut))
                self.oracle.spared += cut or None in content or bool(self.clock_off)
        if gone := known - {*names}:
            self.oracle.forgets(sorted(gone), paused=paused, pinned=self.job.saved.archive if self.job else "")
        self.oracle.has(names, tidied=tidied)
        for name in chain_of(self._here(), SERVICE).names():
            self.oracle.sealed.setdefault(name, tuple(self.oracle.archives))

    def _here(self) -> Any:
        return self.town.node(self.writer)

    def _newest(self) -> str:
        return chain_of(self._here(), SERVICE).names()[-1]

    def _content(self) -> tuple[Content | None, ...]:
        return tuple(map(files_below, self.town.vaults.sources))

    # What a person reads and finds

    def _look(self) -> None:
        self.oracle.counters()
        held = {name: list(replica_of(self.town.node(name), SERVICE).stored()) for name in self.town.vaults.clocks}
        for name, items in held.items():
            node = self.town.node(name)
            self._note_receipts(name, node.ageing.now())
            self.oracle.holds(name, items, node.ageing.now())
        _, status, _ = self.town.type_at(self.writer, "status")
        (facts,) = (it for it in status["judged"] if (it["subject"], it["role"]) == (SERVICE, "written"))
        safe = self.oracle.says(facts, held)
        if not safe and self.calm >= CALM_EVENINGS and self.oracle.archives[-1].whole:
            raise Broken(f"not safe after {self.calm} evenings without trouble: {facts}")
        self._restore(self.oracle.archives[-1], named=False)
        if len(self.oracle.archives) > 1:
            self._restore(self.draw.choice(self.oracle.archives[:-1]), named=True)

    def _note_receipts(self, name: str, age: int) -> None:
        chain = chain_of(self._here(), SERVICE)
        keys = {it: member.keys.sign for it, member in self._here().bundle.members.items()}
        newest = chain.newest()
        if newest and name in {it.holder for it in chain.receipts(newest.header.id, keys)}:
            self.oracle.receipts.setdefault((name, newest.header.id.name), age)

    def _restore(self, saved: Saved, *, named: bool) -> None:
        """Everything of the newest archive, or of the one that is named, into a folder."""
        words, to = self._words(saved.archive if named else "")
        code, told, why = self.town.type_at(self.writer, *words)
        if code not in saved.exit_codes or told["archive"] != saved.archive:
            raise Broken(f"a restore of {saved.archive} ends with {code}: {told} {why}")
        self._compare(saved, self.oracle.archives, to, filled=not named)

    def _words(self, archive: str) -> tuple[tuple[str, ...], Path]:
        self.restores += 1
        to = self.town.work / f"restored-{self.restores}"
        given = ("--archive", archive) if archive else ()
        return ("restore", "all", *given, "--service", SERVICE, "--to", str(to)), to

    def _compare(self, saved: Saved, kept: list[Saved], to: Path, *, filled: bool) -> None:
        got = tuple(files_below(to / str(source).lstrip("/")) for source in self.town.vaults.sources)
        self.oracle.restored(saved, got, kept, filled=filled)
        shutil.rmtree(to)

    # The end

    def end(self) -> None:
        """Ordinary evenings; then each holder's bytes, opened with the key that it has not, give the newest back."""
        self.evenings(CALM_EVENINGS, calm=True)
        newest = self._newest()
        for name in (STANDBY, HOLDER, SPARE):
            if any(it.name == newest and it.held for it in replica_of(self.town.node(name), SERVICE).stored()):
                self._open(name, newest)

    def _open(self, holder: str, generation: str) -> None:
        home = ServiceLayout(self.town.work / "opened")
        home.root.mkdir()
        node = self.town.node(holder)
        sealed, replica = read_held(node, SERVICE, generation), replica_of(node, SERVICE)
        key = read_key(self._here().service(SERVICE).key)
        borg = Borg(open_copy(home, sealed, lambda entry: replica.blob(entry.sha256), key))
        saved = self.oracle.sealed[generation][-1]
        borg.extract(saved.archive, [], home.root / "files")
        self._compare(saved, [saved], home.root / "files", filled=False)
        shutil.rmtree(home.root)
