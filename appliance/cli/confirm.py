"""The question to a key holder before something is signed: shown in full, and answered on a terminal or by --yes."""

from __future__ import annotations

import sys

import click

from appliance.cli.language.spoken import told
from appliance.errors import Refused, UsageError


def confirm(shown: str, question: str, *, yes: bool, what: str = "this", refusal: str = "nothing was signed.") -> None:
    """Return when `question` about `shown` is answered with yes; raise Refused, with the sentence `refusal`, for a no,
    UsageError where there is no terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{what} must be confirmed on a terminal, and there is none.", remedy="Say --yes.")
    click.echo(told(shown), err=True)
    if not click.confirm(told(question), err=True):
        raise Refused(refusal)
