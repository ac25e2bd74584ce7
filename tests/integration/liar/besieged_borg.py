"""One liar among honest peers, as in `besieged.py`, with real borg: files are saved, and have to come back.

A restore extracts the newest archive of what was fetched. At the end borg checks it, and no counter of its cipher may
have been used twice in all that any node has.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.backup.chain.chain import Sealed
from appliance.backup.peers.adopt import open_copy
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.openable import key_of
from appliance.backup.peers.push import Pushed
from appliance.backup.still.ask import Still
from appliance.backup.writer import writer
from appliance.backup.writer.begin import begin, take_first_grant
from appliance.borg.client import Borg
from appliance.escrow.envelopes import ServiceKey, read_key
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.territory.model import Service
from appliance_lab.counters import reused, used_by
from tests.integration.liar.besieged import Besieged, OpenWorld
from tests.integration.life.real_town import Content, files_below
from tests.integration.life.world import Broken
from tests.worlds.vaults import NAMES, ORIGIN, SERVICE, Generation

FILES, FILE_BYTES = 4, 1500


@dataclass
class BorgWorld(OpenWorld):
    """`source`: what the service saves, wherever it is served."""

    source: Path = Path()

    def _docs(self) -> Service:
        return replace(super()._docs(), paths=(str(self.source),))


@dataclass
class BesiegedBorg(Besieged):
    vaults: BorgWorld
    content: dict[str, Content] = field(default_factory=dict)
    """The content of the source when a list of files was sealed, by the hash of the list."""

    def begin(self) -> None:
        shutil.rmtree(self.vaults.source, ignore_errors=True)
        self.vaults.source.mkdir(parents=True)
        node = self.node(ORIGIN)
        take_first_grant(node, SERVICE, self.grant(begin(node, SERVICE), ORIGIN))

    def run(self, name: str, stop: str = "") -> tuple[Sealed, tuple[Pushed, ...]]:
        assert stop == "remembered"
        self._change()
        node = self.node(name)
        with Lines(node) as lines:
            done = writer._save_and_seal(node, SERVICE, lines, None, may_be_still=False)
        assert not isinstance(done, Still)
        sealed, *_ = done
        content = files_below(self.vaults.source)
        assert content
        self.content[sealed.header.list_digest] = content
        return sealed, ()

    def _change(self) -> None:
        """One file more, and of many the oldest less."""
        files = sorted(self.vaults.source.iterdir())
        for old in files[: max(0, len(files) - FILES)]:
            old.unlink()
        (self.vaults.source / f"délibération {len(self.content):04}.odt").write_bytes(os.urandom(FILE_BYTES))

    def key(self, node: Node) -> ServiceKey:
        return key_of(node, SERVICE, staging(node, SERVICE), None)

    def late_files(self, last: Generation) -> Mapping[str, bytes]:
        """The same once more: what borg reads."""
        return {it.path: last.blobs[it.sha256] for it in last.entries}

    def check_restored(self, folder: Path, sealed: Sealed) -> None:
        super().check_restored(folder, sealed)
        borg = self._opened(folder, sealed)
        files = self.vaults.root / "files"
        shutil.rmtree(files, ignore_errors=True)
        borg.extract(borg.archives()[-1].name, [], files)
        found, saved = files_below(files / str(self.vaults.source).lstrip("/")), self.content[sealed.header.list_digest]
        if found != saved:
            raise Broken(f"a restore of {sealed.header.id} brings {sorted(found or ())}, not {sorted(saved)}")

    def _opened(self, folder: Path, sealed: Sealed) -> Borg:
        home = ServiceLayout(self.vaults.root / "opened")
        shutil.rmtree(home.root, ignore_errors=True)
        home.root.mkdir()
        key = read_key(self.node(self.writer).service(SERVICE).key)
        self.newest = Borg(open_copy(home, sealed, lambda entry: folder / entry.path, key))
        return self.newest

    def end(self) -> None:
        super().end()
        with self._never("a check by borg"):
            self.newest.check_repository()
            self.newest.check_archives(verify_data=True)
        if twice := reused(used_by(self._segments())):
            raise Broken(f"{len(twice)} counters were used twice, first {twice[0]}")

    def _segments(self) -> list[Path]:
        folders = [self.vaults.layout(name).vault / SERVICE / "pool" for name in NAMES]
        for name in NAMES:
            folders += self.vaults.layout(name).service(SERVICE).root.glob("re*/data")
        return [it for folder in folders for it in folder.rglob("*") if it.is_file()]
