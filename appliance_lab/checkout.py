"""Which code a report is about, and what programs say of themselves."""

from __future__ import annotations

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.lab.processes.node import code_folder


def commit() -> str:
    """What is checked out; with what is not committed, results are nobody's. Empty where there is no checkout."""
    where = ("git", "-C", str(code_folder()))
    found = first_line(*where, "rev-parse", "--short=12", "HEAD")
    return f"{found}, with uncommitted changes" if first_line(*where, "status", "--porcelain", "appliance") else found


def first_line(*argv: str) -> str:
    """What a command says in its first line, "" when it cannot."""
    try:
        result = run(argv, timeout_seconds=30)
    except ApplianceError:
        return ""
    lines = (result.stdout or result.stderr).decode(errors="replace").strip().splitlines()
    return lines[0] if lines and result.exit_code == 0 else ""
