"""A recovery sheet as a person reads it, on paper or on a screen."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def key_lines(text: str) -> list[str]:
    """The numbered lines of a sheet."""
    return re.findall(r"^ *[1-5]\s+(AGE-SECRET-KEY-1|[0-9A-Z]{4}(?: [0-9A-Z]{2,4})+)\s*$", text, re.MULTILINE)


def read_sheet(path: Path) -> str:
    if not path.exists():
        return ""
    if path.suffix == ".pdf":
        return subprocess.run(("pdftotext", "-layout", path, "-"), check=True, capture_output=True, text=True).stdout
    return path.read_text()
