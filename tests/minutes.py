"""How many minutes of one worker each suite may take: a table of tests/README.md, and told when it is not kept.

Two workers share them, so that all of it is to be done in half the sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

TABLE = Path(__file__).parent / "README.md"
ROW = re.compile(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
"""A suite, the minutes that were measured, and those that it may take."""


def allowed() -> dict[str, float]:
    """Minutes by suite."""
    return {suite: float(most) for suite, _, most in ROW.findall(TABLE.read_text())}


def suite_of(nodeid: str) -> str:
    """A folder of tests/integration by its own name; otherwise the folder below tests/."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parts[1:]
    return parts[1] if parts[0] == "integration" else parts[0]


def too_long(took: Mapping[str, float], pace: float) -> Iterator[str]:
    """A sentence for each suite that took more seconds than it may, on a machine that is `pace` times slower."""
    for suite, minutes in allowed().items():
        most = pace * minutes
        if took.get(suite, 0.0) > 60 * most:
            yield f"{suite} took {took[suite] / 60:.1f} minutes of a worker; tests/README.md allows it {most:.1f}"
