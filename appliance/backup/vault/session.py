"""One session of a caller: requests come, are checked against what this caller may do, and are answered."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance.backup.vault import access, give, receive
from appliance.backup.vault.call import Call
from appliance.backup.vault.offer import newest_grant
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import FULL
from appliance.backup.vault.wire import PROTOCOL, Channel, Closed
from appliance.errors import ApplianceError, Busy, NoSpace, Refused
from appliance.host import journal_limit
from appliance.host.files import locked
from appliance.node.handle import Node
from appliance.trust.signed import NAME

SESSIONS_PER_CALLER_MAX = 6
REQUEST_BYTES_MAX = 16 * 1024 * 1024
QUIET_SECONDS = 120.0
REFUSALS_TOLD_MAX = 6
"""Refusals of each caller and minute in the journal; the caller itself gets each of them."""
DISK_FULL = NoSpace("the peer's disk is full.", remedy="Push again when space is free: what came is kept.")
"""Said instead of a sentence that names a path of ours."""

VERBS: Mapping[str, Callable[[Call], None]] = {
    "head": give.head,
    "put": receive.put,
    "put-relayed": receive.put_relayed,
    "prove": give.prove,
    "still": receive.still,
    "get": give.get,
    "get-own": give.get,
}


def open_channel(reader: int, writer: int) -> Channel:
    """The vault's end of a conversation: less patient, and less generous with its memory, than a writer's."""
    return Channel(reader, writer, quiet_seconds=QUIET_SECONDS, frame_bytes_max=REQUEST_BYTES_MAX)


def serve(node: Node, caller: str, channel: Channel, slots: Path | None = None) -> int:
    """Answer the caller until it closes; 0 at its end, else the exit code of the refusal that ended it.

    `slots`: a folder that all sessions of this vault may write in, when they may not in the node's own.
    """
    slots = slots or node.layout.run / "sessions"
    try:
        with _slot(slots, caller):
            while True:
                _answer(node, caller, channel, channel.read_frame())
    except Closed:
        return 0
    except ApplianceError as error:
        refusal, failure = (DISK_FULL if isinstance(error, NoSpace) and error.where else error), ""
    except Exception as error:  # the edge of the process: a caller gets a sentence, never a traceback
        refusal, failure = _told(error), f"{type(error).__name__}: {error}"
    if times := journal_limit.count(slots / f"{caller}.refused", node.clock.boottime(), REFUSALS_TOLD_MAX):
        _note(node, caller, refusal, failure, times)
    channel.refuse(refusal)
    return refusal.exit_code


def _answer(node: Node, caller: str, channel: Channel, request: Mapping[str, Any]) -> None:
    if request.get("appliance") != PROTOCOL:
        raise Refused(f"this vault speaks protocol {PROTOCOL}.", remedy="Upgrade the older of the two nodes.")
    verb, service = str(request.get("verb")), str(request.get("service"))
    if verb not in VERBS or not NAME.fullmatch(service):
        raise Refused("a vault does not know this request.", remedy="The verbs are: " + ", ".join(VERBS) + ".")
    terms = node.bundle.last_terms(service)
    replica = replica_of(node, service)
    access.check(node.bundle, terms, caller, newest_grant(replica, node.bundle), verb, here=node.name)
    VERBS[verb](Call(node, caller, channel, terms, replica, request))


def _note(node: Node, caller: str, refusal: ApplianceError, failure: str, times: int) -> None:
    if failure:
        node.journal.note("vault-failed", caller=caller, error=failure)
    node.journal.note("vault-refused", caller=caller, sentence=str(refusal), times=times)


def _told(error: Exception) -> ApplianceError:
    """Return the part of a failure of ours that the caller may know: its kind, not our paths."""
    if isinstance(error, OSError) and error.errno in FULL:
        return DISK_FULL
    return ApplianceError("the vault failed at this request.", remedy="Its journal says why; try again later.")


@contextlib.contextmanager
def _slot(folder: Path, caller: str) -> Iterator[None]:
    """One of the few sessions that a caller may have at once; a process that dies frees its own."""
    with contextlib.ExitStack() as stack:
        for number in range(SESSIONS_PER_CALLER_MAX):
            with contextlib.suppress(Busy):
                stack.enter_context(locked(folder / f"{caller}.{number}", what="a session slot"))
                break
        else:
            raise Busy(f"{caller} already has {SESSIONS_PER_CALLER_MAX} sessions here.", remedy="Try again later.")
        yield
