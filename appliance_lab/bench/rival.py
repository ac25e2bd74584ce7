"""What we are compared with: `borg create` straight to each peer over SSH, as borg's own FAQ advises, and borgmatic.

It is given all that we have: the same sshds, cipher and ssh options, the same encryption and compression, a files cache
of its own that stays warm, and borg's own defaults for everything else. The peer's side is the append-only
`borg serve`, so that on neither side who holds the origin's keys can simply delete.
"""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from appliance.backup.peers.conversation import destination_of
from appliance.borg.argv import COMPRESSION
from appliance.host.command import run
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.network.ssh import authorized_keys_line, client_argv
from appliance.membership.sshd import write_door
from appliance.secret import Secret
from appliance.trust.keys import create_key
from appliance.units import HOUR
from appliance_lab.bench.ground import Ground
from appliance_lab.processes.node import ProcessNode

PASSPHRASE = Secret(b"of the benchmark only")
TIMEOUT_SECONDS = HOUR
OF_ONE_PEER = ("Port=", "HostKeyAlias=")


@dataclass
class Rival:
    """Repositories of the name `name`, one at each peer of `ground`, with a borg base folder of their own at home."""

    ground: Ground
    name: str
    counter: Iterator[int] = field(default_factory=itertools.count)

    def init(self, *to: ProcessNode) -> None:
        """Make a repository at each peer, or only at those of `to`; their sshds must run."""
        _open_door(self.ground)
        for peer in to or self.ground.peers:
            make_private_folder(self._repository(peer).parent)
            self._borg("init", "--encryption", "keyfile-blake2", self.url(peer))

    def create_in_sequence(self, *, self_test: bool = True) -> None:
        """To one peer after the other."""
        for peer in self.ground.peers:
            self.create(peer, self_test=self_test)

    def create_at_once(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.create, self.ground.peers))

    def create(self, peer: ProcessNode, *, self_test: bool = True) -> None:
        archive = f"{self.url(peer)}::run-{next(self.counter)}"
        self._borg("create", "--compression", COMPRESSION, archive, ".", self_test=self_test)

    def wipe(self) -> None:
        for folder in (self._home, *(self._repository(peer).parent for peer in self.ground.peers)):
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, peer: ProcessNode) -> str:
        user = self.ground.territory.members[peer.name].user
        return f"ssh://{user}@{peer.address}:{peer.port}{self._repository(peer)}"

    @property
    def base(self) -> Path:
        """BORG_BASE_DIR: keys, security and caches."""
        return make_private_folder(self._home / "base")

    @property
    def _home(self) -> Path:
        return self.ground.root / "rivals" / "home" / self.name

    def _repository(self, peer: ProcessNode) -> Path:
        return _place(self.ground, peer) / self.name / "repository"

    def _borg(self, *words: str, self_test: bool = True) -> None:
        run(
            ("borg", *words),
            timeout_seconds=TIMEOUT_SECONDS,
            cwd=self.ground.documents,
            env={
                "BORG_BASE_DIR": str(self.base),
                "BORG_RSH": ssh_command(self.ground),
                "BORG_EXIT_CODES": "modern",
                **({} if self_test else {"BORG_SELFTEST": "disabled"}),
            },
            secret_fds={"BORG_PASSPHRASE_FD": PASSPHRASE},
            check=True,
        )


@dataclass
class Borgmatic:
    """borgmatic with the two repositories of `rival` in one configuration; only its `create` is asked for."""

    rival: Rival

    def init(self) -> None:
        self.rival.init()
        ground = self.rival.ground
        settings = {
            "source_directories": [str(ground.documents)],
            "repositories": [{"path": self.rival.url(peer), "label": peer.name} for peer in ground.peers],
            "compression": COMPRESSION,
            "ssh_command": ssh_command(ground),
            "encryption_passphrase": PASSPHRASE.reveal().decode(),
            "borg_base_directory": str(self.rival.base),
        }
        write_atomic(self._config, json.dumps(settings).encode(), mode=0o600)  # JSON is YAML too

    def create(self) -> None:
        home = str(self.rival.base)
        run(
            ("borgmatic", "--config", str(self._config), "create"),
            timeout_seconds=TIMEOUT_SECONDS,
            env={"HOME": home, "XDG_RUNTIME_DIR": home, "XDG_STATE_HOME": home},
            check=True,
        )

    @property
    def _config(self) -> Path:
        return self.rival.base / "borgmatic.yaml"


def ssh_command(ground: Ground) -> str:
    """How borg reaches any peer: with the options that we use ourselves; it adds port, user and address."""
    member = ground.territory.members[ground.peers[0].name]
    home = ground.root / "rivals"
    target = destination_of(member, member.name)  # in process mode one account takes every caller
    words = client_argv(target, identity=_key(ground), known_hosts=home / "known_hosts", command="")
    pairs = itertools.batched(words[4:-2], 2, strict=True)  # between `ssh -F none -T` and whom to reach
    options = [word for pair in pairs if not pair[1].startswith(OF_ONE_PEER) for word in pair]
    return shlex.join((*words[:4], *options))


def _open_door(ground: Ground) -> None:
    """Let the origin reach `borg serve` at each peer too, under a key of its own, beside the vault."""
    create_key(make_private_folder(_key(ground).parent) / _key(ground).name)
    public = _key(ground).with_suffix(".pub").read_text().strip()
    hosts = ""
    for peer in ground.peers:
        base = make_private_folder(_place(ground, peer).with_suffix(".base"))
        command = ("/usr/bin/env", f"BORG_BASE_DIR={base}", "borg", "serve", "--append-only", "--restrict-to-path")
        line = authorized_keys_line(public, (*command, str(make_private_folder(_place(ground, peer)))), "rival")
        door = write_door(ground.territory.open(peer.name))
        write_atomic(door, door.read_bytes() + line.encode(), mode=0o600)
        hosts += f"[{peer.address}]:{peer.port} {ground.territory.members[peer.name].keys.host}\n"
    write_atomic(ground.root / "rivals" / "known_hosts", hosts.encode(), mode=0o600)


def _key(ground: Ground) -> Path:
    return ground.root / "rivals" / "id_ed25519"


def _place(ground: Ground, peer: ProcessNode) -> Path:
    """The folder at `peer` that `borg serve` may write in."""
    return ground.root / "rivals" / "at" / peer.name
