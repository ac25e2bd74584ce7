"""The host keys of nodes, one a line and by the name of the node, as ssh reads them with HostKeyAlias."""

from __future__ import annotations

from pathlib import Path

from appliance.errors import Refused, UsageError
from appliance.host.files import write_atomic

FILE_NAME = "known_hosts"  # beside territory.yml


def read(path: Path) -> dict[str, str]:
    """The key line of each node in the file `path`; empty when there is none."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        remedy = "Bring it back from the backup of the control folder, or compare the host keys again."
        raise UsageError("this is not a file of host keys.", where=str(path), remedy=remedy) from error
    words = (line.partition(" ") for line in lines if not line.startswith("#"))
    return {name: key for name, _, key in words if key}


def remember(path: Path, node: str, key: str, *, replace: bool = False) -> bool:
    """Have `path` say that `node` has the host key `key` ("ssh-ed25519 AAAA..."); return whether it said so already.

    Raise Refused when it names another key and `replace` is false: either the machine is a new one, or somebody answers
    in its place.
    """
    if knows(path, node, key, replace=replace):
        return True
    lines = {**read(path), node: key}
    write_atomic(path, "".join(f"{name} {line}\n" for name, line in lines.items()).encode())
    return False


def knows(path: Path, node: str, key: str, *, replace: bool = False) -> bool:
    """Whether `path` says that `node` has the host key `key`; raise Refused as `remember` does."""
    known = read(path)
    if node in known and known[node] != key and not replace:
        what = f"another host key is already recorded for {node}."
        remedy = "If it is a new machine, add --replace; if not, another machine answers in its place."
        raise Refused(what, where=str(path), remedy=remedy)
    return known.get(node) == key
