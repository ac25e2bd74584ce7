"""The files that a service leaves out of its backup, in the words of `territory.yml`. Pure.

- A pattern without "/" names files or folders at any depth: `*.tmp`, `Corbeille`, `~$*`.
- A pattern with "/" starts at each of the service's paths: `cache/*`, `/Logiciels`, `**/brouillons/*.bak`.

`*` and `?` stop at "/", `**` does not. Everything that is not named is saved: new folders are in by default. Both our
walk and borg use the same regular expression, so they cannot disagree on what was left out.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence


def expressions(patterns: Sequence[str], root: str) -> tuple[str, ...]:
    """The regular expressions, to be searched in absolute paths without their first "/", for a folder read at `root`.

    `root` itself never matches: a pattern that happens to name it must not empty the backup.
    """
    inside = "^" + re.escape(root.strip("/") + "/").removeprefix("/")
    return tuple(inside + _expression(pattern.removesuffix("/")) for pattern in patterns)


def only(path: str) -> str:
    """The expression that matches `path`, absolute, and nothing else."""
    return "^" + re.escape(path.strip("/")) + r"\Z"


def borg_patterns(found: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"re:{expression}" for expression in found)


def matcher(found: Sequence[str]) -> re.Pattern[str] | None:
    """One expression for all; None when nothing is excluded, which spares a search per file."""
    return re.compile("|".join(found)) if found else None


def _expression(pattern: str) -> str:
    at_any_depth = "" if "/" in pattern else "(?s:.*/)?"
    # Anchored at the end of the name, even of one that ends with a new line.
    return at_any_depth + glob.translate(pattern.lstrip("/"), recursive=True, include_hidden=True, seps="/")
