"""The tools that we compare with: `borg create` straight to each peer over SSH, as borg's own FAQ advises, and
borgmatic.

They get all that we have: the same sshds, cipher and ssh options, the same encryption and compression, a files cache of
their own that stays warm, and borg's own defaults for everything else. The peer's side is the append-only `borg serve`,
so that on neither side an owner of the origin's keys can simply delete.
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
from appliance.membership.sshd import write_sshd_config
from appliance.secret import Secret
from appliance.trust.keys import create_key
from appliance.units import HOUR
from appliance_lab.bench.env import BenchEnv
from appliance_lab.processes.node import ProcessNode

PASSPHRASE = Secret(b"of the benchmark only")
TIMEOUT_SECONDS = HOUR
OF_ONE_PEER = ("Port=", "HostKeyAlias=")


@dataclass
class Rival:
    """Repositories of the name `name`, one at each peer of `env`, with a borg base folder of their own at home."""

    env: BenchEnv
    name: str
    counter: Iterator[int] = field(default_factory=itertools.count)

    def init(self, *to: ProcessNode) -> None:
        """Make a repository at each peer, or only at those of `to`; their sshds must run."""
        _open_sshd(self.env)
        for peer in to or self.env.peers:
            make_private_folder(self._repository(peer).parent)
            self._borg("init", "--encryption", "keyfile-blake2", self.url(peer))

    def create_in_sequence(self, *, self_test: bool = True) -> None:
        """To one peer after the other."""
        for peer in self.env.peers:
            self.create(peer, self_test=self_test)

    def create_at_once(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.create, self.env.peers))

    def create(self, peer: ProcessNode, *, self_test: bool = True) -> None:
        archive = f"{self.url(peer)}::run-{next(self.counter)}"
        self._borg("create", "--compression", COMPRESSION, archive, ".", self_test=self_test)

    def wipe(self) -> None:
        for folder in (self._origin, *(self._repository(peer).parent for peer in self.env.peers)):
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, peer: ProcessNode) -> str:
        user = self.env.territory.members[peer.name].user
        return f"ssh://{user}@{peer.address}:{peer.port}{self._repository(peer)}"

    @property
    def base(self) -> Path:
        """BORG_BASE_DIR: keys, security and caches."""
        return make_private_folder(self._origin / "base")

    @property
    def _origin(self) -> Path:
        return self.env.root / "rivals" / "home" / self.name

    def _repository(self, peer: ProcessNode) -> Path:
        return _place(self.env, peer) / self.name / "repository"

    def _borg(self, *words: str, self_test: bool = True) -> None:
        run(
            ("borg", *words),
            timeout_seconds=TIMEOUT_SECONDS,
            cwd=self.env.documents,
            env={
                "BORG_BASE_DIR": str(self.base),
                "BORG_RSH": ssh_command(self.env),
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
        env = self.rival.env
        settings = {
            "source_directories": [str(env.documents)],
            "repositories": [{"path": self.rival.url(peer), "label": peer.name} for peer in env.peers],
            "compression": COMPRESSION,
            "ssh_command": ssh_command(env),
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


def ssh_command(env: BenchEnv) -> str:
    """How borg reaches any peer: with the options that we use ourselves; it adds port, user and address."""
    member = env.territory.members[env.peers[0].name]
    home = env.root / "rivals"
    target = destination_of(member, member.name)  # in process mode one account takes every caller
    words = client_argv(target, identity=_key(env), known_hosts=home / "known_hosts", command="")
    pairs = itertools.batched(words[4:-2], 2, strict=True)  # between `ssh -F none -T` and the destination
    options = [word for pair in pairs if not pair[1].startswith(OF_ONE_PEER) for word in pair]
    return shlex.join((*words[:4], *options))


def _open_sshd(env: BenchEnv) -> None:
    """Let the origin reach `borg serve` at each peer too, under a key of its own, beside the vault."""
    create_key(make_private_folder(_key(env).parent) / _key(env).name)
    public = _key(env).with_suffix(".pub").read_text().strip()
    hosts = ""
    for peer in env.peers:
        base = make_private_folder(_place(env, peer).with_suffix(".base"))
        command = ("/usr/bin/env", f"BORG_BASE_DIR={base}", "borg", "serve", "--append-only", "--restrict-to-path")
        line = authorized_keys_line(public, (*command, str(make_private_folder(_place(env, peer)))), "rival")
        door = write_sshd_config(env.territory.open(peer.name))
        write_atomic(door, door.read_bytes() + line.encode(), mode=0o600)
        hosts += f"[{peer.address}]:{peer.port} {env.territory.members[peer.name].keys.host}\n"
    write_atomic(env.root / "rivals" / "known_hosts", hosts.encode(), mode=0o600)


def _key(env: BenchEnv) -> Path:
    return env.root / "rivals" / "id_ed25519"


def _place(env: BenchEnv, peer: ProcessNode) -> Path:
    """The folder at `peer` that `borg serve` may write in."""
    return env.root / "rivals" / "at" / peer.name
