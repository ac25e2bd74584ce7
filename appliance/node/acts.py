"""The signed acts that a node keeps, each in a file named by its digest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.host.files import make_private_folder, write_atomic
from appliance.node.handle import Node
from appliance.trust.act import Act, claimed, read_act
from appliance.trust.bundle import Bundle


def keep_act(folder: Path, raw: bytes, bundle: Bundle) -> Act:
    """Check an act and keep it in `folder`, where the agent and the vault find it."""
    act = read_act(raw, bundle.operators)
    write_atomic(make_private_folder(folder) / act.document.digest, raw)
    return act


def accept_act(node: Node, raw: bytes) -> Act:
    """Keep an act that somebody brought to `node`, and write that into its journal."""
    act = keep_act(node.layout.acts, raw, node.bundle)
    note_act(node, act)
    return act


def note_act(node: Node, act: Act) -> None:
    """The act is kept; on a full disk only the line is missing."""
    node.journal.note(
        "act", act=act.act, subject=act.subject, service=act.service, operator=act.operator, reason=act.reason
    )


def act_files(folder: Path) -> tuple[Path, ...]:
    """Where acts are kept in `folder`."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return ()
    return tuple(folder / name for name in sorted(names) if not name.startswith("."))  # others are being written


def judge_act(path: Path, bundle: Bundle, kinds: Collection[str] = ()) -> Act | None:
    """The act kept at `path`; None when it does not hold, or is of none of `kinds` where any are named.

    Raise another ApplianceError or OSError when the check itself failed: the act may hold all the same.
    """
    try:
        raw = path.read_bytes()
        return read_act(raw, bundle.operators) if not kinds or claimed(raw) in kinds else None
    except (IntegrityError, Refused):
        return None


def load_acts(folder: Path, bundle: Bundle, kind: str = "") -> tuple[Act, ...]:
    """The acts kept in `folder` that still hold; one whose signer left the territory no longer does.

    With `kind`, only acts of that one: others are not checked, so they cost nothing.
    """
    acts = []
    for path in act_files(folder):
        with contextlib.suppress(ApplianceError):
            acts.append(judge_act(path, bundle, (kind,) if kind else ()))
    return tuple(act for act in acts if act is not None)
