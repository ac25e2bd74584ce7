"""What a service leaves out of its backup, in the words of `territory.yml`. Pure.

- A pattern without "/" names files or folders at any depth: `*.tmp`, `Corbeille`, `~$*`.
- A pattern with "/" starts at each of the service's paths: `cache/*`, `/Logiciels`, `**/brouillons/*.bak`.

`*` and `?` stop at "/", `**` does not. What is not named is saved: new folders are in by default. Both our walk and
borg use the same regular expression, so they cannot disagree on what was left out.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence

_END = r"\z"  # how glob.translate of Python 3.14 ends; 3.13 writes \Z


def expressions(patterns: Sequence[str], root: str) -> tuple[str, ...]:
    """The regular expressions, to be searched in absolute paths without their first "/", for a folder read at `root`."""
    return tuple(_expression(pattern, root) for pattern in patterns)


def borg_patterns(found: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"re:{expression}" for expression in found)


def matcher(found: Sequence[str]) -> re.Pattern[str] | None:
    """One expression for all; None when nothing is excluded, which spares a search per file."""
    return re.compile("|".join(found)) if found else None


def _expression(pattern: str, root: str) -> str:
    pattern = pattern.removesuffix("/")
    if "/" not in pattern:
        return rf"(?:^|/)(?:{_translated(pattern)})$"
    return rf"^{re.escape(root.strip('/'))}/(?:{_translated(pattern.lstrip('/'))})$"


def _translated(pattern: str) -> str:
    expression = glob.translate(pattern, recursive=True, include_hidden=True, seps="/")
    for end in (r"\Z", _END):
        expression = expression.removesuffix(end)
    return expression
