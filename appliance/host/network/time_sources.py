"""Whether a machine's time comes from servers that prove who they are (NTS, or a key), as chrony's settings say.

chrony itself tells that to root alone. Without it anybody on the line sets the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path("/etc/chrony")
_FILES = ("conf.d/*.conf", "sources.d/*.sources")
_SOURCES = ("server", "pool", "peer")
_PROOFS = frozenset({"nts", "key"})
MODE = "mix"
"""chrony's own `authselectmode`: where a server proves itself, one that does not counts only while it agrees."""


def proven(lines: Iterable[str]) -> bool:
    """Whether chrony with these settings follows nobody who proves nothing. Pure."""
    settings = [words for line in lines if (words := line.lower().split())]
    modes = [words[1] for words in settings if words[0] == "authselectmode" and len(words) > 1]
    sources = [words[2:] for words in settings if words[0] in _SOURCES]
    return (modes or [MODE])[-1] != "ignore" and any(_PROOFS.intersection(words) for words in sources)


def seen(folder: Path = FOLDER) -> bool | None:
    """The same of this machine; None where chrony has no settings that can be read."""
    try:
        files = (folder / "chrony.conf", *(path for files in _FILES for path in sorted(folder.glob(files))))
        return proven(line for path in files for line in path.read_text().splitlines())
    except OSError:
        return None
