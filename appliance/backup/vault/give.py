"""The answers of a vault: what it knows, that it holds it, and the generations themselves to callers that may have
them."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from appliance.backup.peers.last_seen import load_last_seen
from appliance.backup.vault.asked import note_asked
from appliance.backup.vault.call import Call
from appliance.backup.vault.header_parts import answer_in_parts, wanted
from appliance.backup.vault.maintenance.act_effects import passed_over
from appliance.backup.vault.still import shown as shown_still
from appliance.backup.vault.store import HEADER, LIST, RECEIPT, Replica, size_of
from appliance.backup.vault.stored import Stored
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.node.handle import Node
from appliance.trust.generation import FORMATS
from appliance.trust.signed import SHA256
from appliance.trust.still.statement import FORMAT_MAX

PROOFS_MAX = 64
SIDES_MAX = 16
UNREADABLE = ""
"""No proof of what is here: the caller has it come again."""


def head(call: Call) -> None:
    """Answer what is known and held here: every grant, the tips of each epoch, and the names and receipts of what is
    held.

    The side of a fork that an act passed over stays held, but is neither tip nor newest: it ended. `reads` are the
    formats that this version reads up to; former ones show none. `held` is whole as far as the scrub knows; `damaged`
    waits for repair; `thinned` was held until retention let it go, and is left out for a caller that asks for a `brief`
    answer: there may be tens of thousands. A replica node that lacks some says so (`asked.py`).
    """
    note_asked(call)
    brief = call.request.get("brief") is True
    replica = call.replica
    stored = replica.stored()
    over = passed_over(call.node, call.terms.name)
    going_on = [item for item in stored if item.name not in over]
    newest = max((item.name for item in going_on if item.held), default=None)
    call.channel.write_frame(
        {
            "holder": call.node.name,
            "age_seconds": call.node.ageing.now(),
            "grants": [replica.grant(epoch).decode() for epoch in replica.epochs()],
            "tips": _headers(replica, tips(going_on)),
            "held": [item.name for item in stored if item.held],
            "damaged": [item.name for item in stored if item.damaged],
            "thinned": [] if brief else [item.name for item in stored if item.pruned],
            "known": len(stored),
            "forks": open_forks(going_on),
            "newest": replica.read(newest, HEADER).decode() if newest else None,
            "receipt": replica.read(newest, RECEIPT).decode() if newest else None,
            "reads": {"generation": max(FORMATS), "still": FORMAT_MAX},
            "still": shown_still(replica),
            "absences": list(load_last_seen(call.node, call.terms.name).statements),
        }
    )


def tips(stored: Sequence[Stored]) -> list[Stored]:
    """The highest sequence of each epoch, both sides where it forked: a clone sees the side that is not its own."""
    found: list[Stored] = []
    for _, of_epoch in groupby(stored, key=lambda item: item.epoch):
        items = list(of_epoch)
        found += [item for item in items if item.sequence == items[-1].sequence][-SIDES_MAX:]
    return found


def open_forks(stored: Sequence[Stored]) -> list[str]:
    """The numbers that two headers of the newest epoch share; a newer epoch names the side that continues and ends
    it."""
    numbers = Counter(item.sequence for item in stored if item.epoch == stored[-1].epoch)
    return [f"{stored[-1].epoch}.{number}" for number, count in sorted(numbers.items()) if count > 1]


def forks_here(node: Node, service: str, replica: Replica) -> tuple[str, ...]:
    """As `open_forks` of all that `replica` knows without the sides that acts passed over; what years left is not read
    again."""
    newest = next((it.name for it in replica.newest_first()), "")
    epoch = max((newest, *replica.history.newest(1))).partition(".")[0]
    names = replica.history.sharing(epoch, replica.folders())
    stored = [found for name in names if (found := replica.find(name))]
    over = passed_over(node, service) if stored else frozenset()
    return tuple(open_forks([item for item in stored if item.name not in over]))


def prove(call: Call) -> None:
    """Show that blobs are here and whole: SHA-256 over the caller's challenge and the blob, which cannot be kept
    ready."""
    challenge = str(call.request.get("challenge", ""))
    digests = call.texts("blobs")
    if not SHA256.fullmatch(challenge) or len(digests) > PROOFS_MAX:
        raise IntegrityError(f"a proof takes a challenge of 64 hex digits and at most {PROOFS_MAX} blobs.")
    call.channel.write_frame({"proofs": [_proof(call.replica, challenge, digest) for digest in digests]})


def _proof(replica: Replica, challenge: str, digest: str) -> str | None:
    if not SHA256.fullmatch(digest) or size_of(replica.blob(digest)) is None:
        return None
    proof = hashlib.sha256(bytes.fromhex(challenge))
    try:
        with open(replica.blob(digest), "rb") as file:
            while piece := file.read(1 << 18):
                proof.update(piece)
    except FileNotFoundError:
        return None  # pruned since
    except OSError:
        return UNREADABLE
    return proof.hexdigest()


def get(call: Call) -> None:
    """One generation for somebody who may have it: its chain and list, then the blobs it asks for by hash and
    offset."""
    name = _wanted_generation(call)
    listing = call.replica.read(name, LIST)
    frame = {
        "generation": name,
        "grants": [call.replica.grant(epoch).decode() for epoch in call.replica.epochs()],
        "receipt": call.replica.read(name, RECEIPT).decode(),
        "list_bytes": len(listing),
    }
    if call.request.get("parts") is True:
        answer_in_parts(call.channel, frame, wanted(call, name))
    else:  # a former version, which reads one frame
        call.channel.write_frame({**frame, "headers": _headers(call.replica, call.replica.stored())})
    call.channel.write(listing)
    sizes = {entry.sha256: entry.size for entry in call.replica.entries(name)}
    while asked := call.channel.read_frame().get("want"):
        for digest, offset in _wanted_blobs(asked, sizes):
            _send_blob(call, digest, offset, sizes[digest])


def _headers(replica: Replica, stored: Sequence[Stored]) -> list[str]:
    found = []
    for item in stored:
        with contextlib.suppress(NotFound):
            found.append(replica.read(item.name, HEADER).decode())
    return found


def _wanted_generation(call: Call) -> str:
    """The newest held one, or the one asked for by its full name: that may be damaged, for a caller that repairs or
    salvages."""
    replica, asked = call.replica, call.request.get("generation")
    over = passed_over(call.node, call.terms.name)
    found = replica.newest_held(over) if asked is None else replica.find(str(asked))
    if found is None or not found.listed:
        held = sum(item.held for item in replica.listed())
        raise NotFound(f"{call.terms.name} has no such generation here.", remedy=f"{held} are held; see `head`.")
    return found.name


def _wanted_blobs(wanted: Any, sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """The blobs and offsets of a request; raise Refused for anything that is not of this generation."""
    pairs = wanted if isinstance(wanted, list) else [wanted]
    for pair in pairs:
        match pair:
            case [str(digest), int(offset)] if digest in sizes and 0 <= offset <= sizes[digest]:
                continue
        raise Refused("that file is not of this generation.")
    return [(digest, offset) for digest, offset in pairs]


def _send_blob(call: Call, digest: str, offset: int, size: int) -> None:
    try:
        with open(call.replica.blob(digest), "rb") as file:
            file.seek(offset)
            call.channel.send_file(file, size - offset)
    except FileNotFoundError as error:
        raise NotFound("a file of this generation is missing here.", remedy="Ask another replica node.") from error
