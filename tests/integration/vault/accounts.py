"""A holder whose parts belong to different accounts, as on a real host: by numbers that no account of this machine has.

The sealing server runs under its own number with the one power it has there; what a session or the agent would do is
done by a forked child under theirs.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.vault.sealing import sealer_server
from appliance.backup.vault.sealing.sealer import Sealer
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.node.handle import Node, open_node
from tests.worlds.activation import Activated
from tests.worlds.vaults import HOLDER, VaultWorld

NODE, RECEIVER, SEALED, NOBODY = 61_001, 61_002, 61_003, 61_009
CODE = Path(__file__).parents[3]


@dataclass(frozen=True)
class Place:
    """A holder of the desk, and the numbers under which its parts work; None is this process itself."""

    vaults: VaultWorld
    receiver: int | None = None
    node: int | None = None
    activated: Activated | None = None

    def as_receiver[Found](self, do: Callable[[Node, Sealer], Found]) -> Found:
        """Return the result of `do` under a session's account; raise what it raises."""
        return self._do(self.receiver, do)

    def as_node[Found](self, do: Callable[[Node, Sealer], Found]) -> Found:
        """The same for the agent's account."""
        return self._do(self.node, do)

    def _do[Found](self, uid: int | None, do: Callable[[Node, Sealer], Found]) -> Found:
        def opened() -> Found:
            node = open_node(self.vaults.layout(HOLDER).root)
            return do(node, sealer_of(node))

        return opened() if uid is None else as_account(uid, opened)


def as_account[Found](uid: int, do: Callable[[], Found]) -> Found:
    """Return or raise the result of `do` in a child that is `uid`, of the receivers' group unless it is nobody."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([RECEIVER] if uid == NODE else [])
            os.setgid(uid if uid in (NODE, NOBODY) else RECEIVER)
            os.setuid(uid)
            try:
                answer = (True, do())
            except Exception as error:  # handed to the parent, which raises it
                answer = (False, error)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(pid, 0)
    done, found = pickle.loads(raw)
    if not done:
        raise found
    result: Found = found
    return result


@contextlib.contextmanager
def host(idle_seconds: float = sealer_server.IDLE_SECONDS, before: str = "") -> Iterator[Place]:
    """A holder laid out as on a host, with its sealing server behind a socket; needs root. `before`: what the server
    does first."""
    root = Path(tempfile.mkdtemp(prefix="accounts-"))
    root.chmod(0o711)  # the test runner's own folders let no other account pass
    try:
        vaults = VaultWorld(root / "desk").create()
        vaults.root.chmod(0o711)
        lay_out(vaults, root / "seal.sock")
        with serving(vaults, root / "seal.sock", idle_seconds, before) as activated:
            yield Place(vaults, RECEIVER, NODE, activated)
    finally:
        shutil.rmtree(root)


def lay_out(vaults: VaultWorld, path: Path) -> None:
    """Give the state folder of the holder to its accounts, as the role `vault` does."""
    layout = vaults.layout(HOLDER)
    for name in ("acts", "sight", "vault"):
        (layout.root / name).mkdir(mode=0o750)
    layout.helpers.write_text(f'{{"format": 1, "sealer": "{path}", "checker": ""}}')
    for folder, _, files in os.walk(layout.root):
        for item in (Path(folder), *(Path(folder, name) for name in files)):
            os.chown(item, NODE, NODE)
    layout.root.chmod(0o711)
    for name in ("acts", "sight"):
        os.chown(layout.root / name, NODE, RECEIVER)
    os.chown(layout.vault, SEALED, RECEIVER)
    os.chown(layout.helpers, 0, 0)
    layout.helpers.chmod(0o644)


@contextlib.contextmanager
def serving(vaults: VaultWorld, path: Path, idle_seconds: float, before: str) -> Iterator[Activated]:
    """The sealing server, started for a request as systemd would: with its socket, a copy of the key, and CAP_CHOWN
    alone."""
    credentials = vaults.root.parent / "credentials"
    credentials.mkdir(mode=0o700)
    shutil.copy(vaults.layout(HOLDER).keys / "sign_ed25519", credentials / "key")
    for item in (credentials, credentials / "key"):
        os.chown(item, SEALED, SEALED)
    powers = ("--inh-caps=-all,+chown", "--ambient-caps=-all,+chown", "--bounding-set=-all,+chown")
    account = (f"--reuid={SEALED}", f"--regid={RECEIVER}", "--clear-groups", "--no-new-privs", *powers)
    begins = "from appliance.backup.vault.sealing import sealer_server\n"
    program = ("-c", f"{begins}{before}\nsealer_server.main({idle_seconds})")
    what = (str(vaults.layout(HOLDER).root), str(credentials / "key"), str(RECEIVER))
    mounts = ("unshare", "--mount")  # its own, as each unit of systemd has: nothing is linked across two of them

    def start(number: int) -> subprocess.Popen[bytes]:
        handed_over = ("bash", "-c", f'umask 0027; exec "$@" 3<&{number}', "bash")
        return subprocess.Popen(
            (*handed_over, *mounts, "setpriv", *account, sys.executable, *program, *what),
            pass_fds=(number,),
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CODE)},
            cwd="/",
        )

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    path.chmod(0o666)
    with Activated(listener, start) as activated:
        yield activated
