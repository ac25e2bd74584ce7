"""Each grant owns a range of AES-CTR counters; nothing is written to a repository outside the range of its grant.

borg encrypts with AES-CTR, whose counter must never be used twice under one key: two writers of the same repository, a
restored disk image or a clone would repeat it, and two texts under one keystream reveal each other, with exit code 0.

borg 1.4 counts so (crypto/nonces.py): before its first encryption, each process takes the highest of the repository's
`nonce` file, its own in BORG_BASE_DIR/.config/borg/security/ID/nonce, and the counter of the manifest it read; it then
reserves that + what it needs + 2^28 (blocks of 16 bytes: 4 GiB) by writing the sum to *both* files before it encrypts.
So each writing process burns at least 2^28 even to store a few bytes, and never returns what it did not use. `borg
init` starts from 0, below the range of any index but 0.

So: a new writer writes the floor of its grant to the repository's file first, and before every writing run
`check_nonce` is asked about `next_nonce`. Where in the range a run begins is for `lanes.py` to say.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import IntegrityError, Refused
from appliance.host.files import write_atomic

if TYPE_CHECKING:  # vaults read floors of grants, and pay for nothing of borg's
    from appliance.borg.model import Repository

NONCE_RANGE = 2**48
"""Counters per grant: 4 PiB of data, or a million writing runs."""
NONCE_RESERVE = 2**40
"""The counters that must remain before a run begins: 16 TiB, far more than one run ever writes."""
NONCE_BURN = 2**28
"""The least that each writing borg process consumes."""
INDEX_MAX = 65_535


def floor_of(index: int) -> int:
    """The first counter of the grant number `index`, 0 to 65,535; raise Refused outside."""
    if not 0 <= index <= INDEX_MAX:
        raise Refused(
            f"grant index {index} is outside 0 to {INDEX_MAX}.",
            remedy="Start a new repository with a new key.",
        )
    return index * NONCE_RANGE


def check_nonce(value: int | None, index: int) -> None:
    """Raise Refused unless floor <= value and 2^40 counters remain below the end of the range of grant `index`."""
    floor = floor_of(index)
    end = floor + NONCE_RANGE
    if value is None or value < floor:
        raise Refused(
            f"the repository's counter is below the floor of grant {index}: it was rolled back or never raised.",
            remedy="Resynchronise from the newest generation and ask for a new grant.",
        )
    if value + NONCE_RESERVE > end:
        raise Refused(
            f"the counters of grant {index} are used up or belong to a later grant.",
            remedy="Ask for a new grant with `backup resync`.",
        )


def read_nonce(repository: Path) -> int | None:
    """The next free counter in the `nonce` file of the repository folder; None when there is no file."""
    return _read(repository / "nonce")


def write_nonce(repository: Path, value: int) -> None:
    """Put `value` into the repository's `nonce` file, durably: the floor of a grant, or where the next run begins.

    Never to lower it.
    """
    present = read_nonce(repository)
    if present is not None and value < present:
        raise Refused(f"the counter would go back from {present:016x} to {value:016x}.", where=str(repository))
    write_atomic(repository / "nonce", f"{value:016x}".encode(), mode=0o600)


def next_nonce(repository: Repository) -> int | None:
    """The counter the next writing borg starts from: the highest of the repository's file and its base folder's."""
    files = [repository.path / "nonce", *repository.base.glob(".config/borg/security/*/nonce")]
    return max((value for file in files if (value := _read(file)) is not None), default=None)


def _read(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return None
    if len(text) != 16 or any(digit not in "0123456789abcdef" for digit in text):
        raise IntegrityError(
            "the nonce file is damaged; a counter could be used twice.",
            where=str(file),
            remedy="Adopt the newest generation under a new grant, whose floor is above every counter used.",
        )
    return int(text, 16)
