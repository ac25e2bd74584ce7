"""Names of generations, and which of them comes after which."""

from __future__ import annotations

ROOT = "0" * 16


def name(epoch: int, number: int, side: str = "a") -> str:
    return f"{epoch:05d}.{number:010d}.{side * 8}{epoch:04d}{number:04d}"


def after(*steps: str) -> dict[str, str]:
    """Each of `steps` with the one before it."""
    return dict(zip(steps, (ROOT, *(step[-16:] for step in steps)), strict=False))
