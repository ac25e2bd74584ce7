"""The file about a bug, for the maintainers: it names neither files nor secrets beyond what was typed."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from appliance import __version__
from appliance.clock import utc_text
from appliance.units import as_typed


def write_crash(error: BaseException, argv: Sequence[str]) -> Path:
    """Write what `error` stopped `appliance ARGV`; return where."""
    lines = [
        f"appliance {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"time: {utc_text(time.time())}",
        f"command: {as_typed('appliance', *argv)}",
        "",
        *traceback.format_exception(error),
    ]
    fd, name = tempfile.mkstemp(prefix="appliance-crash-", suffix=".txt", dir=_crash_folder())
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("\n".join(lines))
    return Path(name)


def _crash_folder() -> Path | None:
    """The user's state folder; None, for the temporary folder, where there is none (a service account without home)."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path(os.environ.get("HOME", "/nonexistent"), ".local/state"))
    try:
        (base / "appliance").mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return base / "appliance"
