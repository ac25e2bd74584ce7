"""Now and then a peer has to show, while something is pushed, that some of what it has from before is whole.

A vault proves what comes by its hash and knows the rest by name and size: what rots there meanwhile is found by its own
scrub, in four weeks at the latest, and its receipt says "safe" until then. So the writer draws a few blobs and asks for
a hash that cannot be kept ready. What does not match is asked to come again with the push.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from appliance.backup.chain import Sealed
from appliance.backup.peers import Conversation
from appliance.errors import IntegrityError
from appliance.trust.generation import Entry

EVERY_GENERATIONS = 24
DRAWN = 4
"""Of 64 MiB each: half a second of reading at both sides, once a day at a push an hour."""


def doubted(conversation: Conversation, sealed: Sealed, folder: Path) -> list[str]:
    """The hashes of blobs of `sealed` that the peer has and cannot show; those it lacks it will ask for anyway.

    `folder` has the files of `sealed`. Raise IntegrityError for an answer that is none.
    """
    if sealed.header.sequence % EVERY_GENERATIONS:
        return []
    drawn = secrets.SystemRandom().sample(sealed.entries, min(DRAWN, len(sealed.entries)))
    challenge = secrets.token_hex(32)
    digests = [entry.sha256 for entry in drawn]
    conversation.ask("prove", sealed.header.service, challenge=challenge, blobs=digests)
    proofs = conversation.channel.read_frame().get("proofs")
    if not isinstance(proofs, list) or len(proofs) != len(drawn):
        raise IntegrityError(f"{conversation.peer.name} gave an answer that proves nothing.")
    return [
        entry.sha256
        for entry, proof in zip(drawn, proofs, strict=True)
        if proof is not None and proof != _expected(folder, challenge, entry, otherwise=proof)
    ]


def _expected(folder: Path, challenge: str, entry: Entry, *, otherwise: str) -> str:
    """What proves `entry`; `otherwise` where our own file is rotten, which is no fault of the peer's, or is gone since
    a newer generation was sealed."""
    proof, own = hashlib.sha256(bytes.fromhex(challenge)), hashlib.sha256()
    try:
        with open(folder / entry.path, "rb") as file:
            while piece := file.read(1 << 20):
                proof.update(piece)
                own.update(piece)
    except OSError:
        return otherwise
    return proof.hexdigest() if own.hexdigest() == entry.sha256 else otherwise
