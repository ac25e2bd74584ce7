"""The JSON Schema that a `territory.yml` names for editors, and whether it is the one of this version."""

from __future__ import annotations

import json
import re
from pathlib import Path

from appliance.config.json_schema import json_schema
from appliance.config.load import BYTES_MAX, territory_file
from appliance.errors import NotFound, UsageError
from appliance.host.files import read_named

_NAMED = re.compile(rb"^#\s*yaml-language-server\s*:\s*\$schema=(\S+)", re.MULTILINE)


def schema_text() -> str:
    """The schema as its file has it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def stale_schema(place: Path) -> Path | None:
    """The schema that the file or folder `place` names, if it is another than that of this version.

    None when it names none, or one that cannot be read here: then no editor uses it either.
    """
    file = territory_file(place)
    if not file.is_file():  # a pipe can be read only once
        return None
    named = _NAMED.search(_content(file) or b"")
    if named is None or b"://" in named[1]:
        return None
    schema = file.parent / named[1].decode(errors="surrogateescape")
    found = _content(schema)
    return None if found in (None, schema_text().encode()) else schema


def _content(file: Path) -> bytes | None:
    try:
        return read_named(file, BYTES_MAX)
    except (NotFound, UsageError, OSError, ValueError):
        return None
