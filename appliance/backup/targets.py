"""Who shall hold a service now: its holders, and spares in their order for those that are lost or write it. Pure."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.node import Node
from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.host.files import make_private_folder, write_atomic
from appliance.trust.act import Act, claimed, read_act
from appliance.trust.bundle import Bundle


@dataclass(frozen=True)
class Target:
    """A node that shall hold copies, and why."""

    node: str
    reason: str


def targets(bundle: Bundle, service: str, writer: str, lost: Collection[str]) -> tuple[Target, ...]:
    """Those to push to while `writer` writes and the nodes `lost` are gone, best first.

    Spares step in, in their order, until the promised number of distinct domains is reached; one that would share a
    domain with those there, or with the writer, is passed over.
    """
    terms = bundle.terms(service)
    gone = {writer, *lost}
    chosen = [Target(holder, "holder") for holder in terms.holders if holder not in gone]
    for spare in terms.spares:
        present = tuple(target.node for target in chosen)
        counted = len(bundle.counted(writer, present))
        if counted >= terms.service.copies:
            break
        if spare not in gone and len(bundle.counted(writer, (*present, spare))) > counted:
            chosen.append(Target(spare, f"spare, for {', '.join(sorted(gone & {*terms.holders, terms.origin}))}"))
    return tuple(chosen)


def lost_nodes(acts: Iterable[Act], service: str, now: float) -> frozenset[str]:
    """The nodes that an act in force says are lost for `service`."""
    return frozenset(act.subject for act in acts if act.concerns("lost", act.subject, service, now))


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
