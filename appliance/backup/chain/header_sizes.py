"""How much a generation has, as its signed header says."""

from __future__ import annotations

from appliance.backup.chain.shrink_check import BackupSize
from appliance.clock import utc_seconds
from appliance.errors import IntegrityError
from appliance.trust.generation import Header, fields_of


def size_of(header: Header) -> BackupSize:
    return BackupSize(header.id.name, header.bytes, header.files, utc_seconds(header.time))


def size_of_raw(name: str, raw: bytes) -> BackupSize:
    """The same of a header that was proven before; raise IntegrityError for what is none."""
    fields = fields_of(raw)
    try:
        return BackupSize(name, int(fields["bytes"]), int(fields["files"]), utc_seconds(str(fields["time"])))
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"the header of {name} does not contain its sizes.") from error
