"""A host in small: its own /etc, /srv on btrfs, network and processes; and PCs that reach its Samba."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from appliance.accounts.groups import mark
from appliance.host.command import Result, run
from appliance.host.layout import NodeLayout
from appliance.secret import Secret
from appliance.trust.identity import create_identity
from appliance.trust.keys import create_key
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts.pc import Pc
from tests.pace import LONG

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "roles/share/templates"
COMMON = ROOT / "systemd/shares.conf"
SECONDS_MAX = LONG * 60.0
SHARES = (
    {"share": "Documents", "title": "Documents de la mairie", "paths": ["/srv/shares/documents"], "share_groups": []},
    {"share": "Élus", "title": "", "paths": ["/srv/shares/élus"], "share_groups": ["elus"]},
)
# All in namespaces of its own: when its first process ends, nothing is left.
_BEGIN = """
set -e
mount --make-rprivate /
mount -t btrfs -o loop,noatime {folder}/srv.img /srv
mount --bind {folder}/etc /etc
for place in /run /var/lib/samba /var/cache/samba /var/log/samba; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
mkdir -p /run/samba /var/lib/samba/private
ip link set lo up
btrfs -q subvolume create /srv/shares
mkdir /srv/shares/.snapshots
touch {folder}/ready
exec sleep infinity
"""


def smb_conf(node: str, shares: tuple[Mapping[str, Any], ...] = SHARES) -> str:
    """Samba's settings as the role writes them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    environment.filters["regex_replace"] = lambda text, pattern, put: re.sub(pattern, put, text)  # as Ansible's
    return environment.get_template("smb.conf.j2").render(
        appliance_node=node,
        share_title="Mairie d'Attichy",
        share_people=f"people-{mark(node)}",
        share_services=shares,
        share_common=str(COMMON),
        accounts_mark=mark(node),
    )


@dataclass
class World:
    """The node `commune-a`, made in `folder`."""

    folder: Path
    node: str = "commune-a"
    first: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self) -> None:
        """Its first process, its identity as a node, and smbd."""
        run(("cp", "--archive", "/etc", str(self.folder / "etc")), timeout_seconds=SECONDS_MAX, check=True)
        with open(self.folder / "srv.img", "wb") as image:
            image.truncate(256 * 1024 * 1024)
        run(("mkfs.btrfs", "-q", str(self.folder / "srv.img")), timeout_seconds=SECONDS_MAX, check=True)
        script = _BEGIN.format(folder=shlex.quote(str(self.folder)))
        argv = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script)
        self.first.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
        self.wait(lambda: (self.folder / "ready").exists(), "a machine")
        self._become_node()
        self.account("feed")
        people = f"people-{mark(self.node)}"
        for share in SHARES:
            self.did("install", "--directory", "--mode=2770", f"--group={people}", share["paths"][0])
        (self.folder / "etc/samba/smb.conf").write_text(smb_conf(self.node))
        self.did("smbd", "--daemon")
        self.wait(lambda: self.run("smbcontrol", "smbd", "ping").exit_code == 0, "smbd")

    def end(self) -> None:
        for process in self.first:
            process.kill()
            process.wait(SECONDS_MAX)

    @property
    def inside(self) -> tuple[str, ...]:
        """Begins the command line that runs something on this machine."""
        children = Path(f"/proc/{self.first[0].pid}/task/{self.first[0].pid}/children").read_text().split()
        return ("nsenter", f"--target={children[0]}", "--mount", "--net", "--pid", "--")

    def run(self, *words: str, stdin: bytes | None = None) -> Result:
        """`words` on this machine."""
        environment = {"PYTHONPATH": str(code_folder())}
        return run((*self.inside, *words), timeout_seconds=SECONDS_MAX, stdin=stdin, env=environment)

    def did(self, *words: str, stdin: bytes | None = None) -> str:
        result = self.run(*words, stdin=stdin)
        assert result.exit_code == 0, f"{words}: {result.stdout.decode()} {result.tail(10)}"
        return result.stdout.decode()

    def account(self, *words: str, password: str | None = None) -> str:
        """Return the output of `appliance account WORDS`, both its outputs."""
        typed = None if password is None else f"{password}\n".encode()
        result = self.run(*appliance_argv(), "account", *words, stdin=typed)
        assert result.exit_code == 0, result.tail(10)
        return (result.stdout + result.stderr).decode()

    def pc(self, name: str = "", password: str = "", *options: str) -> Pc:
        """A PC where somebody typed `name` and `password`, or nothing."""
        return Pc(self.inside, "127.0.0.1", name, Secret(password.encode()), options)

    def snapshot(self, name: str) -> None:
        """Make a snapshot as the timer does."""
        self.did("btrfs", "-q", "subvolume", "snapshot", "-r", "/srv/shares", f"/srv/shares/.snapshots/{name}")

    def wait(self, holds: Any, what: str) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not come"
            assert self.first[0].poll() is None, f"{what} did not come"
            time.sleep(0.05)

    def _become_node(self) -> None:
        state = self.folder / "state"
        create_identity(NodeLayout(state), self.node, create_key(self.folder / "territory"))
        self.did("mkdir", "-p", "/srv/appliance")
        self.did("cp", "--archive", str(state), "/srv/appliance/node")
        (self.folder / "etc/appliance").mkdir(exist_ok=True)
        (self.folder / "etc/appliance/state").write_text("/srv/appliance/node\n")
