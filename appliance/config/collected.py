"""The public keys of nodes, as `appliance internal node keys` prints them, checked before anybody signs them.

Every node believes a signed key: one with a line break would give itself access in authorized_keys, and an account that
begins with "-" would be an option of ssh. One file holds one node as printed, or several by name:

    {"node": "commune-a", "user": "appliance", "keys": {"sign": "ssh-ed25519 ...", "ssh": ..., "age": "age1..."}}
    {"commune-a": {"user": "appliance", "keys": {...}}, "commune-b": {...}}

`grants`, where it stands, is what the node keeps of grants that voters signed (`confirming.py`), and `collected` when
that was brought here, by the clock of the machine that brought it: a grant that was made since is not among them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

from appliance import strict_json
from appliance.clock import utc_seconds
from appliance.errors import UsageError
from appliance.escrow.age import check_recipient
from appliance.trust.keys import PublicKeys
from appliance.trust.network_keys import is_mesh_key, is_tls_key
from appliance.trust.signed import NAME
from appliance.trust.sshsig import public_text

USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
DATE = "collected"
KEYS = tuple(it.name for it in fields(PublicKeys) if it.default is MISSING)
NETWORK_KEYS = {"mesh": is_mesh_key, "tls": is_tls_key}
REMEDY = "It must be what `appliance internal node keys` prints."
RAW_BYTES = 32  # of an Ed25519 public key


@dataclass(frozen=True)
class Collected:
    """The keys that one node showed; `user` is the account behind its sshd. `grants`: the grants that it keeps, None
    where it did not say; nothing of them is checked yet. `brought`: when that was collected, seconds UTC; None where no
    day is written."""

    user: str
    keys: PublicKeys
    grants: tuple[bytes, ...] | None = field(default=None, compare=False)
    brought: float | None = field(default=None, compare=False)


def read_collected(raw: bytes, *, name: str) -> dict[str, Collected]:
    """The nodes in one file, called `name` in messages; raise UsageError, naming the node, for anything else."""
    try:
        values = strict_json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UsageError("this is not readable JSON.", where=name, remedy=REMEDY) from error
    if not isinstance(values, dict):
        raise UsageError("this is not a file of collected keys.", where=name, remedy=REMEDY)
    values.pop("schema", None)
    nodes = {values["node"]: values} if isinstance(values.get("node"), str) else values
    return {node: _one(value, f"{name}: {node}") for node, value in nodes.items()}


def merge(files: Iterable[Mapping[str, Collected]]) -> dict[str, Collected]:
    """All of them together; raise UsageError when two contradict each other, or two nodes show one key."""
    merged: dict[str, Collected] = {}
    for found in files:
        for node, value in found.items():
            known = merged.setdefault(node, value)
            if known != value:
                raise UsageError(f"{node} has different keys in two files.", remedy="Keep the file it printed last.")
            if value.grants is not None:
                brought = max((it.brought for it in (known, value) if it.brought is not None), default=None)
                merged[node] = replace(value, grants=(*(known.grants or ()), *value.grants), brought=brought)
    owners: dict[str, str] = {}
    for node, value in merged.items():
        for line in (shown for shown in asdict(value.keys).values() if shown):
            if owners.setdefault(line, node) != node:
                raise UsageError(f"{owners[line]} and {node} show the same key.", remedy="Collect both again.")
    return merged


def _one(value: Any, where: str) -> Collected:
    node = where.rsplit(": ", 1)[1]
    keys = value.get("keys") if isinstance(value, dict) else None
    if not NAME.fullmatch(node) or not isinstance(keys, dict) or set(keys) - set(NETWORK_KEYS) != set(KEYS):
        raise UsageError(f"a node needs a user and the keys {', '.join(KEYS)}.", where=where, remedy=REMEDY)
    if not USER.fullmatch(str(value.get("user"))):
        raise UsageError(f'"{value.get("user")}" is not the name of an account.', where=where, remedy=REMEDY)
    try:
        lines = {name: ssh_line(str(keys[name])) for name in KEYS if name != "age"}
        check_recipient(str(keys["age"]))
    except UsageError as error:
        raise UsageError(error.what, where=where, remedy=REMEDY) from error
    network = {name: str(keys[name]) for name in NETWORK_KEYS if keys.get(name)}
    if bad := [name for name, shown in network.items() if not NETWORK_KEYS[name](shown)]:
        raise UsageError(f"its {bad[0]} key is not valid.", where=where, remedy=REMEDY)
    public = PublicKeys(**lines, age=str(keys["age"]), **network)
    return Collected(str(value["user"]), public, _grants(value, where), _brought(value, where))


def _grants(value: Mapping[str, Any], where: str) -> tuple[bytes, ...] | None:
    grants = value.get("grants")
    if grants is None:
        return None
    if not isinstance(grants, list) or not all(isinstance(it, str) for it in grants):
        raise UsageError("its grants are not a list of documents.", where=where, remedy=REMEDY)
    return tuple(it.encode() for it in grants)


def _brought(value: Mapping[str, Any], where: str) -> float | None:
    if value.get(DATE) is None:
        return None
    try:
        return utc_seconds(str(value[DATE]))
    except ValueError as error:
        raise UsageError(f'its "{DATE}" is not a UTC time: {error}.', where=where, remedy=REMEDY) from error


def ssh_line(text: str) -> str:
    """An Ed25519 public key line without its comment; raise UsageError for anything else."""
    words = text.split(" ")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        blob = b""
    line = " ".join(words[:2])
    # Made again from its 32 bytes, the line cannot hold anything else.
    if "\n" in text or len(blob) < RAW_BYTES or public_text(blob[-RAW_BYTES:]) != line:
        raise UsageError(f'"{text[:60]}" is not a public key line: ssh-ed25519 AAAA...')
    return line
