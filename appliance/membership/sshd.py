"""The access to this node's vault: which key gets which forced command, from the bundle alone.

On real hosts one Unix user per origin stands behind it (role `vault`); in process mode the one account of the demo
does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import appliance
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.network.ssh import authorized_keys_line
from appliance.node.handle import Node

# Isolated: neither the folder that sshd starts it in, nor a PYTHON variable, nor the account's own packages can bring
# code in. So the way to our code is an argument.
ISOLATED = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from appliance.backup.vault.__main__ import main; sys.exit(main())"
)


def write_sshd_config(node: Node) -> Path:
    """Write `run/authorized_keys`: every other node of the bundle may talk to the vault under its own name, none
    else.
    """
    lines = [
        authorized_keys_line(member.keys.ssh, vault_command(node.layout.root, name), name)
        for name, member in sorted(node.bundle.members.items())
        if name != node.name
    ]
    path = make_private_folder(node.layout.run) / "authorized_keys"
    write_atomic(path, "".join(lines).encode(), mode=0o600)
    return path


def vault_command(state: Path, caller: str) -> tuple[str, ...]:
    """The forced command for `caller`; the same code as this process, wherever it lies."""
    code = Path(appliance.__file__).parent.parent
    return (sys.executable, "-I", "-c", ISOLATED, str(code), str(state.resolve()), caller)
