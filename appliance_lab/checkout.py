"""Which code a report is about, and what programs say of themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import appliance
from appliance.errors import ApplianceError
from appliance.host.command import run

INSTALLED = Path("/usr/share/appliance-lab/inventory")


def code_folder() -> Path:
    return Path(appliance.__file__).parent.parent


def appliance_argv() -> tuple[str, ...]:
    """How to start our own command line with the interpreter and the code that run now."""
    return (sys.executable, "-m", "appliance")


def inventories() -> Path:
    """The folder of the territories that the demo and a lab begin from: the checkout's, or those of the package."""
    own = code_folder() / "inventory"
    return own if own.is_dir() else INSTALLED


def commit() -> str:
    """The commit that is checked out; results of a checkout with uncommitted changes say so. Empty where there is no
    checkout."""
    where = ("git", "-C", str(code_folder()))
    found = first_line(*where, "rev-parse", "--short=12", "HEAD")
    return (
        f"{found}, with uncommitted changes"
        if first_line(*where, "status", "--porcelain", "appliance", "appliance_lab")
        else found
    )


def first_line(*argv: str) -> str:
    """Return the first line that a command prints, "" when it cannot."""
    try:
        result = run(argv, timeout_seconds=30)
    except ApplianceError:
        return ""
    lines = (result.stdout or result.stderr).decode(errors="replace").strip().splitlines()
    return lines[0] if lines and result.exit_code == 0 else ""
