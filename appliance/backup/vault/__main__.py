"""A session of the vault, in its two forms. All a caller can choose is to talk to it.

python3 -m appliance.backup.vault STATE CALLER   sshd's forced command, in process mode
python3 -m appliance.backup.vault STATE          started by systemd for a connection to the vault's socket, on hosts
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from appliance.backup.vault import connection
from appliance.backup.vault.session import open_channel, serve
from appliance.backup.vault.watch import watch
from appliance.backup.vault.wire import COMMAND
from appliance.errors import ApplianceError, Forbidden
from appliance.host.network.ssh import widen
from appliance.node.handle import open_node


def main() -> int:
    state, *caller = sys.argv[1:]
    return forced(Path(state), *caller) if caller else connection.answer(Path(state))


def forced(state: Path, caller: str) -> int:
    """Answer on standard input and output; whose key it was stands in the forced command."""
    if os.environ.get("SSH_ORIGINAL_COMMAND") != COMMAND:
        print("This key gives access only to the vault of this node: no shell, no files.", file=sys.stderr)
        return Forbidden.exit_code
    for pipe in (0, 1):  # as wide as the other side makes its own: a narrow one costs a fifth of a push
        widen(pipe)
    channel = open_channel(0, 1)
    try:
        node = open_node(state)
    except ApplianceError as error:
        channel.refuse(error)
        return error.exit_code
    watch(node, caller)
    return serve(node, caller, channel)


if __name__ == "__main__":
    sys.exit(main())
