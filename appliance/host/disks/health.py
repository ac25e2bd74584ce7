"""The notes of root's side of this host on its disks: how the data volume is kept, and what was found wrong.

The role storage writes the note. A helper that finds a disk ailing leaves one sentence in a file of the folder of
alarms; the person who repaired that removes the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

NOTE = Path("/etc/appliance/storage")
ALARMS = Path("/var/lib/appliance-alarms")
_SENTENCE_LENGTH_MAX = 500
PULLED = "a stolen disk, not against a manipulated machine"
_OPENED_BY = {"tang": "a stolen box, not against a manipulated one"}
"""The system's disk is in clear: the volume opens for whatever system starts where it opens by itself."""


@dataclass(frozen=True)
class Alarm:
    file: str
    sentence: str


def how_kept(note: Path = NOTE) -> str:
    """How the data volume is kept, in a few words; "" where nobody said so."""
    try:
        said = json.loads(note.read_text())
        kind, unlock, why = (str(said[word]) for word in ("encryption", "unlock", "why"))
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError, OSError):
        return f"the protection of its disk cannot be read from {note}"
    if kind == "luks":
        return f"disk encrypted ({unlock}), protected against {_OPENED_BY.get(unlock, PULLED)}"
    return f"DISK NOT ENCRYPTED ({why or 'by choice'})"


def alarms(folder: Path = ALARMS) -> tuple[Alarm, ...]:
    """Return what is wrong with this host's disks, by the names of the files."""
    found = sorted(path for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []
    return tuple(Alarm(str(path), _sentence(path)) for path in found)


def _sentence(path: Path) -> str:
    text = " ".join(path.read_text(errors="replace").split())[:_SENTENCE_LENGTH_MAX]
    return text or f"{path.name} was reported without a message"
