"""A generation: a signed header and the list of files that make up a borg repository at one committed transaction.

The list is in `sha256sum -c` form; the size of each file stands in a comment line before it, which sha256sum skips:

    # 67108864
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  data/0/1

The header holds the list's hash, so its signature covers every byte of the repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError
from appliance.trust import signed
from appliance.trust.signed import NAME, SHA256, Document

TYPE = "appliance/generation"
EPOCH_MAX = 65_535
SEQUENCE_MAX = 9_999_999_999
HEADER_BYTES_MAX = 4096
LIST_BYTES_MAX = 64 * 1024 * 1024
NO_PARENT = "0" * 64

# The only paths a generation may name: nothing here can reach outside a folder, be an option or be a lock.
PATH = re.compile(
    r"config|README|grant|data/(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,9})|envelopes/[a-z][a-z0-9-]{0,62}\.age"
)
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
_SIZE = re.compile(r"# (0|[1-9][0-9]{0,14})")


@dataclass(frozen=True)
class Entry:
    """One file of a generation; `size` in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, order=True)
class GenerationId:
    """What orders generations: (epoch, sequence); `digest` tells a fork's two sides apart."""

    epoch: int
    sequence: int
    digest: str

    @property
    def name(self) -> str:
        """The folder a holder keeps it in; sorts like the id itself."""
        return f"{self.epoch:05d}.{self.sequence:010d}.{self.digest[:16]}"

    def __str__(self) -> str:
        return f"{self.epoch}.{self.sequence}"


@dataclass(frozen=True)
class Header:
    service: str
    epoch: int
    sequence: int
    previous: str
    time: str
    list_digest: str
    files: int
    bytes: int
    document: Document

    @property
    def id(self) -> GenerationId:
        return GenerationId(self.epoch, self.sequence, self.document.digest)


def make_header(
    key: Ed25519PrivateKey,
    *,
    service: str,
    epoch: int,
    sequence: int,
    previous: str,
    time: str,
    listing: bytes,
    entries: Iterable[Entry],
) -> bytes:
    """The signed header of the generation whose rendered list is `listing`; `previous` is a header's digest."""
    sizes = [entry.size for entry in entries]
    fields = {
        "service": service,
        "epoch": epoch,
        "sequence": sequence,
        "previous": previous,
        "time": time,
        "list": signed.digest_of(listing),
        "files": len(sizes),
        "bytes": sum(sizes),
    }
    return signed.make(TYPE, fields, key)


def read_header(raw: bytes, writer: str) -> Header:
    """The header in `raw`, signed by the public key `writer`."""
    document = signed.read(raw, TYPE, (writer,), bytes_max=HEADER_BYTES_MAX)
    return Header(
        service=document.text("service", NAME),
        epoch=document.number("epoch", least=1, most=EPOCH_MAX),
        sequence=document.number("sequence", least=1, most=SEQUENCE_MAX),
        previous=document.text("previous", SHA256),
        time=document.text("time"),
        list_digest=document.text("list", SHA256),
        files=document.number("files", least=1),
        bytes=document.number("bytes"),
        document=document,
    )


def epoch_of(raw: bytes) -> int:
    """The epoch a header claims, before anything of it is checked: it says which grant to check it with."""
    line, _ = signed.split(raw, TYPE, bytes_max=HEADER_BYTES_MAX)
    epoch = signed.parse(line, TYPE).get("epoch")
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not 1 <= epoch <= EPOCH_MAX:
        raise IntegrityError(f'{TYPE}: field "epoch" is missing or out of range.')
    return epoch


def render_list(entries: Iterable[Entry]) -> bytes:
    """`entries` as the list that is stored, sorted by path."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    return "".join(f"# {entry.size}\n{entry.sha256}  {entry.path}\n" for entry in ordered).encode("ascii")


def parse_list(listing: bytes, header: Header | None = None) -> tuple[Entry, ...]:
    """The entries of a list; with `header`, its hash, count and total must agree.

    Raise IntegrityError for any other path than those of PATH, a path named twice, one hash with two sizes.
    """
    if header and signed.digest_of(listing) != header.list_digest:
        raise IntegrityError(f"the list of generation {header.id} is not the one its header was signed for.")
    entries = tuple(_parse_entries(listing))
    sizes: dict[str, int] = {}
    for entry in entries:
        if sizes.setdefault(entry.sha256, entry.size) != entry.size:
            raise IntegrityError(f"the list gives two sizes for {entry.sha256}.")
    if len({entry.path for entry in entries}) != len(entries):
        raise IntegrityError("the list names a path twice.")
    if header and (len(entries), sum(entry.size for entry in entries)) != (header.files, header.bytes):
        raise IntegrityError(f"the totals of generation {header.id} are not those of its list.")
    return entries


def _parse_entries(listing: bytes) -> Iterable[Entry]:
    if len(listing) > LIST_BYTES_MAX:
        raise IntegrityError(f"the list has {len(listing)} bytes, more than the {LIST_BYTES_MAX} allowed.")
    try:
        lines = listing.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise IntegrityError("the list is not plain ASCII.") from error
    if len(lines) % 2 != 1 or lines[-1]:
        raise IntegrityError("the list is cut short.")
    for number in range(0, len(lines) - 1, 2):
        size, line = _SIZE.fullmatch(lines[number]), _LINE.fullmatch(lines[number + 1])
        if not size or not line or not PATH.fullmatch(line[2]):
            raise IntegrityError(f"the list has something else than a file of a repository at line {number + 1}.")
        yield Entry(line[2], line[1], int(size[1]))
