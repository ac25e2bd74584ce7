"""A generation: a signed header and the list of files that make up a borg repository at one committed transaction.

The list is in `sha256sum -c` form; the size of each file stands in a comment line before it, which sha256sum skips:

    # 67108864
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  data/0/1

The header holds the list's hash, so its signature covers every byte of the repository. Format 2 also says whether the
newest archive in it is whole, and which of the declared paths it lacks, by their indices: names and counts stay inside
the archive. Format 1 says nothing of it, and is read as whole for lack of knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError
from appliance.trust import signed
from appliance.trust.signed import NAME, SHA256, Document

TYPE = "appliance/generation"
EPOCH_MAX = 65_535
SEQUENCE_MAX = 9_999_999_999
FORMATS = (1, 2)
"""Read for ever; a writer seals the last one only where every holder reads it."""
HEADER_BYTES_MAX = 4096
"""The limit of a header of format 1 that is stored somewhere."""
STRICT_BYTES_MAX = 1024
"""The limit of a header of format 2, and of one of format 1 that a vault accepts now."""
MISSING_MAX = 32
"""How many indices a header names; where more paths are missing, these are the first of them."""
PATH_INDEX_MAX = 999
LIST_BYTES_MAX = 64 * 1024 * 1024
NO_PARENT = "0" * 64

# The only paths a generation may name: nothing here can reach outside a folder, be an option or be a lock.
PATH = re.compile(
    r"config|README|grant|data/(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,9})|envelopes/[a-z][a-z0-9-]{0,62}\.age"
)
GENERATION_NAME = re.compile(r"[0-9]{5}\.[0-9]{10}\.[0-9a-f]{16}")
"""A generation's name: epoch, sequence and the start of its digest."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_FIELDS = frozenset({"type", "format", "service", "epoch", "sequence", "previous", "time", "list", "files", "bytes"})
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
_SIZE = re.compile(r"# (0|[1-9][0-9]{0,14})")


@dataclass(frozen=True)
class Entry:
    """One file of a generation; `size` in bytes."""

    path: str
    sha256: str
    size: int


class GenerationId(NamedTuple):
    """The order of generations: (epoch, sequence); `digest` tells a fork's two sides apart."""

    epoch: int
    sequence: int
    digest: str

    @property
    def name(self) -> str:
        """The folder in which a replica node keeps it; sorts like the id itself."""
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
    whole: bool = True
    """False when the newest archive lacks something that it should have; True for lack of knowledge in format 1."""
    missing: tuple[int, ...] = ()
    """Indices of the declared paths that the newest archive does not have whole (a database: the number of paths), in
    order, at most MISSING_MAX. It may be empty where `whole` is False: what is missing belongs to no declared path."""

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
    whole: bool | None = None,
    missing: Sequence[int] = (),
) -> bytes:
    """The signed header of the generation whose rendered list is `listing`; `previous` is a header's digest.

    With `whole` it is of format 2, without of format 1.
    """
    sizes = [entry.size for entry in entries]
    fields: dict[str, Any] = {
        "service": service,
        "epoch": epoch,
        "sequence": sequence,
        "previous": previous,
        "time": time,
        "list": signed.digest_of(listing),
        "files": len(sizes),
        "bytes": sum(sizes),
    }
    if whole is None:
        return signed.make(TYPE, fields, key)
    completeness = {"whole": whole, "missing": list(missing)[:MISSING_MAX]}
    return signed.make(TYPE, fields | completeness, key, format_=2)


def read_header(raw: bytes, writer: str) -> Header:
    """The header in `raw`, signed by the public key `writer`."""
    document = signed.read(raw, TYPE, (writer,), bytes_max=HEADER_BYTES_MAX, formats=FORMATS)
    if document.format > 1:
        _check_form(document)
    whole, missing = _completeness(document)
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
        whole=whole,
        missing=missing,
    )


def check_strict(header: Header) -> None:
    """Raise IntegrityError for a header that no honest writer of any version made: it has a field that its format does
    not know, a time of another form, or more bytes than STRICT_BYTES_MAX.

    A stored header of format 1 is read without this: it came before vaults asked it.
    """
    _check_form(header.document)


def _check_form(document: Document) -> None:
    document.text("time", _TIME)
    known = _FIELDS | {"whole", "missing"} if document.format > 1 else _FIELDS
    if unknown := sorted(document.fields.keys() - known):
        raise IntegrityError(f"{TYPE}: format {document.format} has no field {unknown[0][:60]!r}.")
    if len(document.raw) > STRICT_BYTES_MAX:
        raise IntegrityError(f"{TYPE} has {len(document.raw)} bytes, more than the {STRICT_BYTES_MAX} allowed.")


def _completeness(document: Document) -> tuple[bool, tuple[int, ...]]:
    if document.format == 1:
        return True, ()
    whole, missing = document.fields.get("whole"), document.fields.get("missing")
    if not isinstance(whole, bool):
        raise IntegrityError(f'{TYPE}: field "whole" is missing or malformed.')
    if not isinstance(missing, list) or not _are_indices(missing) or (whole and missing):
        raise IntegrityError(f'{TYPE}: field "missing" is missing or malformed.')
    return whole, tuple(missing)


def _are_indices(values: list[Any]) -> bool:
    """Whether these are indices of paths in ascending order, each once."""
    numbers = all(type(value) is int and 0 <= value <= PATH_INDEX_MAX for value in values)
    return len(values) <= MISSING_MAX and numbers and values == sorted(set(values))


def fields_of(raw: bytes) -> dict[str, Any]:
    """The fields of a header that was proven before; raise IntegrityError or Refused for what is no header."""
    return signed.parse(signed.split(raw, TYPE, bytes_max=HEADER_BYTES_MAX)[0], TYPE, FORMATS)


def epoch_of(raw: bytes) -> int:
    """The epoch a header claims, before anything of it is checked: it says which grant to check it with."""
    epoch = fields_of(raw).get("epoch")
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
        raise IntegrityError(f"the list of generation {header.id} is not the one that its header signs.")
    entries = tuple(_parse_entries(listing))
    sizes: dict[str, int] = {}
    for entry in entries:
        if sizes.setdefault(entry.sha256, entry.size) != entry.size:
            raise IntegrityError(f"the list gives two sizes for {entry.sha256}.")
    if len({entry.path for entry in entries}) != len(entries):
        raise IntegrityError("the list names a path twice.")
    if header and (len(entries), sum(entry.size for entry in entries)) != (header.files, header.bytes):
        raise IntegrityError(f"the totals of generation {header.id} do not match its list.")
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
            raise IntegrityError(f"line {number + 1} of the list is not a file of a repository.")
        yield Entry(line[2], line[1], int(size[1]))
