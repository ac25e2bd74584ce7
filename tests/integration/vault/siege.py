"""An attacker who has all of commune A's keys and repository, and speaks to its peers over real ssh in any words."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.backup.chain.chain import Chain, Sealed, chain_of
from appliance.backup.peers.conversation import destination_of, known_hosts_of
from appliance.backup.vault.maintenance.damage import known
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.wire import COMMAND, Channel
from appliance.host.network.ssh import client_argv, start_client
from appliance.node.handle import Node, open_node
from appliance.trust.generation import Entry
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.forging import forged
from tests.worlds.vaults import Generation

SERVICE = "docs-a"
PEERS = ("hermitage", "commune-b")


@dataclass
class Session:
    """One ssh to a vault: its channel while it is open, its exit code and what it said afterwards."""

    channel: Channel
    process: subprocess.Popen[bytes]
    exit_code: int = -1
    said: str = ""


@dataclass
class Siege:
    """`stolen` is a copy of the origin's whole state folder; `held` what each peer held when the siege began."""

    territory: ProcessTerritory
    stolen: Node
    held: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def begin(cls, territory: ProcessTerritory, stolen: Path) -> Siege:
        siege = cls(territory, open_node(stolen))
        siege.held = {peer: siege.held_at(peer) for peer in PEERS}
        return siege

    @property
    def chain(self) -> Chain:
        return chain_of(self.stolen, SERVICE)

    @property
    def newest(self) -> Sealed:
        sealed = self.chain.newest()
        assert sealed is not None
        return sealed

    def held_at(self, peer: str) -> list[str]:
        return [item.name for item in replica_of(self.territory.open(peer), SERVICE).stored() if item.held]

    def assert_unharmed(self) -> None:
        """Every generation that any peer held is held, and every byte and signature of it is in order."""
        for peer, names in self.held.items():
            node = self.territory.open(peer)
            assert scrub(node, SERVICE).damage == () == known(replica_of(node, SERVICE))
            assert set(names) <= set(self.held_at(peer)), f"{peer} lost something"

    def ssh(self, peer: str, command: str, *options: str, user: str = "") -> tuple[str, ...]:
        """The ssh command line of the attacker: any command, and any options before it."""
        argv = client_argv(
            destination_of(self.territory.members[peer], self.stolen.name),
            identity=self.stolen.layout.keys / "ssh_ed25519",
            known_hosts=known_hosts_of(self.stolen),
            command=command,
        )
        where = f"{user}@{argv[-2].partition('@')[2]}" if user else argv[-2]
        return (*argv[:-2], *options, where, *([argv[-1]] if argv[-1] else []))

    @contextlib.contextmanager
    def session(self, peer: str) -> Iterator[Session]:
        """A conversation in the attacker's own words."""
        process = start_client(self.ssh(peer, COMMAND))
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        session = Session(Channel(process.stdout.fileno(), process.stdin.fileno(), quiet_seconds=30), process)
        try:
            yield session
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
            session.exit_code = process.wait(30)
            session.said = process.stderr.read().decode(errors="replace")
            process.stdout.close()
            process.stderr.close()

    def forge(
        self,
        files: Mapping[str, bytes],
        entries: tuple[Entry, ...] | None = None,
        signer: Node | None = None,
        **fields: Any,
    ) -> Generation:
        """A generation after the newest, of any content, truly signed by the attacker, or by `signer`.

        `fields` replace what it says.
        """
        return forged(self.newest.header, signer or self.stolen, files, entries, **fields)
