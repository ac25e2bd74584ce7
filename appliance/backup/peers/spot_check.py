"""Now and then a peer has to show, while something is pushed, that some of what it has from before is whole.

A vault proves new bytes by their hash and knows the rest by name and size: rot in the rest is found by its own scrub,
in four weeks at the latest, and its receipt says "safe" until then. So the writer draws a few blobs and asks for a hash
that cannot be kept ready. A blob that does not match is asked to come again with the push; and no receipt counts before
the peer has shown what it could not show at first.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.chain.chain import Sealed
from appliance.backup.peers.conversation import Conversation
from appliance.errors import IntegrityError
from appliance.trust.generation import Entry

EVERY_GENERATIONS = 24
SAMPLED = 4
"""Files of 64 MiB each: half a second of reading at both sides, once a day at a push an hour."""


@dataclass(frozen=True)
class Unproven:
    """The blobs that a peer did not show: `absent` it says that it lacks, of `wrong` it gave an invalid proof."""

    absent: tuple[Entry, ...] = ()
    wrong: tuple[Entry, ...] = ()

    @property
    def all(self) -> tuple[Entry, ...]:
        return (*self.absent, *self.wrong)


def sample(conversation: Conversation, sealed: Sealed, folder: Path) -> Unproven:
    """Return the blobs, of some of `sealed` whose files `folder` has, that the peer does not show.

    Raise IntegrityError for an invalid answer.
    """
    if sealed.header.sequence % EVERY_GENERATIONS:
        return Unproven()
    drawn = secrets.SystemRandom().sample(sealed.entries, min(SAMPLED, len(sealed.entries)))
    return _ask(conversation, sealed, folder, drawn)


def verify_answers(conversation: Conversation, sealed: Sealed, folder: Path, entries: Sequence[Entry]) -> None:
    """Raise IntegrityError unless the peer shows all of `entries` now."""
    name = conversation.peer.name
    if entries and (left := _ask(conversation, sealed, folder, entries).all):
        raise IntegrityError(
            f"{name} gave a receipt for {sealed.header.id} but cannot prove that it has {len(left)} of its blobs.",
            remedy=f"That receipt is not counted. Check the disk of {name}: `appliance doctor`.",
        )


def _ask(conversation: Conversation, sealed: Sealed, folder: Path, entries: Sequence[Entry]) -> Unproven:
    challenge = secrets.token_hex(32)
    digests = [entry.sha256 for entry in entries]
    conversation.ask("prove", sealed.header.service, challenge=challenge, blobs=digests)
    proofs = conversation.channel.read_frame().get("proofs")
    if not isinstance(proofs, list) or len(proofs) != len(entries):
        raise IntegrityError(f"{conversation.peer.name} gave an answer that proves nothing.")
    found = list(zip(entries, proofs, strict=True))
    return Unproven(
        absent=tuple(entry for entry, proof in found if proof is None),
        wrong=tuple(
            entry
            for entry, proof in found
            if proof is not None and proof != _expected(folder, challenge, entry, otherwise=proof)
        ),
    )


def _expected(folder: Path, challenge: str, entry: Entry, *, otherwise: str) -> str:
    """The proof of `entry`; `otherwise` where our own file is corrupt, which is no fault of the peer's, or is gone
    since a newer generation was sealed."""
    proof, own = hashlib.sha256(bytes.fromhex(challenge)), hashlib.sha256()
    try:
        with open(folder / entry.path, "rb") as file:
            while piece := file.read(1 << 20):
                proof.update(piece)
                own.update(piece)
    except OSError:
        return otherwise
    return proof.hexdigest() if own.hexdigest() == entry.sha256 else otherwise
