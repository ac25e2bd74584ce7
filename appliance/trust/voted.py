"""A voted grant: an epoch granted by a majority of the voters' brokers, each of which signed the very same line.

One line as in every signed document, then one armoured signature a voter, in the order of their public keys. It says
what a grant of the territory key says, and `voters`: whose majority it is (`Voting.digest`). Which voters happened to
sign is no part of what was granted, so two such documents with one line are one grant.

The line is made from the asker's signed request and the bundle alone: brokers that never speak to each other write the
same one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance import typed
from appliance.errors import IntegrityError, Refused
from appliance.trust import signed, sshsig
from appliance.trust.grant import Grant, GrantRequest, grant_from, granted_fields
from appliance.trust.signed import SHA256, Document
from appliance.trust.voting import VOTERS_MAX, Voting

TYPE = "appliance/voted-grant"
BYTES_MAX = 16384
LINE_BYTES_MAX = 8192
_START = f'{{"type": "{TYPE}"'.encode()
_END = sshsig.END + b"\n"


def is_voted(raw: bytes) -> bool:
    """Whether `raw` begins as a voted grant does; nothing of it is checked yet."""
    return raw.startswith(_START)


def statement(request: GrantRequest, voting: Voting) -> bytes:
    """The line that each broker signs for `request`; raise Refused when these voters have no epoch for it."""
    epoch = voting.epoch_above(request.known_epoch, request.service)
    line = signed.body(TYPE, {**granted_fields(request, epoch), "voters": voting.digest})
    if len(line) > LINE_BYTES_MAX:
        raise Refused("the reason is too long for a grant.", remedy="Shorten the text.")
    return line


def vote(key: Ed25519PrivateKey, line: bytes) -> bytes:
    """One voter's armoured signature of `line`."""
    return sshsig.sign(key, TYPE, line)


def assemble(line: bytes, votes: Iterable[bytes]) -> bytes:
    """The document of `line` and these signatures, each once, in their order; whether they are enough, readers say."""
    by_key = {sshsig.verify(each, TYPE, line): each for each in votes}
    return line + b"".join(by_key[key] for key in sorted(by_key))


def read_voted(raw: bytes, voting: Voting, accepted: Collection[str] = ()) -> Grant:
    """The grant in `raw`, signed by a majority of the present voters; or one whose line has a digest in `accepted`:
    it was judged by the voters of its time, and its signatures need only be good ones.

    Raise IntegrityError for what is malformed, signed twice by one key or not signed by its content; Refused for what
    these voters did not grant.
    """
    line, signers = _signatures(raw)
    document = Document(TYPE, signed.parse(line, TYPE), "", raw)
    grant = grant_from(document)
    voters = document.text("voters", SHA256)
    if grant.epoch % 2 == 0:
        raise IntegrityError(f"epoch {grant.epoch} is even: only the territory key grants even epochs.")
    if grant.statement not in accepted:
        _check_voters(grant, voters, voting)
        _check_majority(grant, signers, voting)
    return grant


def _signatures(raw: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The signed line of `raw` and the keys that signed it, every signature checked."""
    line, rest = signed.split(raw, TYPE, bytes_max=BYTES_MAX)
    *blocks, left = rest.split(_END)
    if left or not blocks:
        raise IntegrityError(f"{TYPE} does not end with a signature.")
    if len(blocks) > VOTERS_MAX:
        raise IntegrityError(f"{TYPE} has {len(blocks)} signatures, more than there can be voters.")
    signers = tuple(sshsig.verify(block + _END, TYPE, line) for block in blocks)
    if len(set(signers)) != len(signers):
        raise IntegrityError(f"{TYPE} is signed twice by one key.")
    if signers != tuple(sorted(signers)):
        raise IntegrityError(f"{TYPE} has its signatures in another order than that of their keys.")
    return line, signers


def _check_voters(grant: Grant, voters: str, voting: Voting) -> None:
    if not voting.can_sign:
        raise Refused(
            f"epoch {grant.epoch} of {grant.service} is granted by voters, but this territory has no majority of them.",
            remedy="Ask the holder of the territory key for a grant: "
            f"`{typed.resync(grant.service)}` at the node that is to write it.",
        )
    if voters != voting.digest:
        raise Refused(
            f"epoch {grant.epoch} of {grant.service} is granted by other voters than the bundle declares.",
            remedy="The holder of the territory key confirms it in the next bundle: "
            f"{typed.CONFIRM}, the one of that time.",
        )
    if not voting.owns(grant.epoch):
        raise Refused(
            f"epoch {grant.epoch} of {grant.service} is outside {voting.first} to {voting.last}, the voters' term."
        )


def _check_majority(grant: Grant, signers: tuple[str, ...], voting: Voting) -> None:
    unknown = [signed.fingerprint(key) for key in signers if key not in set(voting.keys.values())]
    if unknown:
        raise Refused(f"{TYPE} is signed by a key that does not belong to a voter ({unknown[0]}).")
    if len(signers) < voting.needed:
        raise Refused(
            f"epoch {grant.epoch} of {grant.service} is signed by {len(signers)} of {len(voting.keys)} voters; "
            f"{voting.needed} are needed.",
            remedy="Ask the others too.",
        )
