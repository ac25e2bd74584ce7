"""The caller who brings a bundle over SSH must still be let in under it: its rules are loaded as soon as it is kept.

`appliance-apply.path` has them loaded, and that has no session which it could lock out. So the program that keeps a
bundle asks here first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.provision import firewall
from appliance.provision.observe import below, networks
from appliance.trust.bundle import Bundle, check_follows
from appliance.trust.identity import Identity


@dataclass(frozen=True)
class Caller:
    """The person who brings a bundle: the `address` from which he came by SSH, "" where he did not; and networks of
    `operators`, to be let in from then on."""

    address: str = ""
    operators: tuple[str, ...] = ()


def operators_first(root: Path, kept: Path, offered: Bundle, node: Identity, caller: Caller) -> str:
    """Return the text for the file OPERATORS before the bundle `offered` is kept at `kept`; "" when it stays as it is.

    Raise Refused when `offered` may not follow the bundle that is there, or would let in `caller` no more. Nothing is
    asked where our rules were never loaded, and where that bundle is in force already.
    """
    if f"table {firewall.TABLE}" not in _text(below(root, firewall.CONFIG)) or node.name not in offered.territory.nodes:
        return ""
    if check_follows(kept, offered, node.territory_key) == offered.serial:
        return ""
    text = _text(below(root, firewall.OPERATORS))
    present = networks(text)
    missing = tuple(it for it in caller.operators if it not in present)
    if caller.address:
        firewall.check_admits(firewall.open_ports(offered, node.name, (*present, *missing)), caller.address)
    return "".join(f"{line}\n" for line in (*text.splitlines(), *missing)) if missing else ""


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
