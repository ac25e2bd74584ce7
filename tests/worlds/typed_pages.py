"""The lines that a page of the documentation has a person type."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shell_blocks(page: Path) -> list[str]:
    """The blocks of sh in `page`, in its order."""
    return _BLOCK.findall(page.read_text("utf-8"))
