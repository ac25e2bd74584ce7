"""The public key of a territory, as somebody types it for a node that will believe it for ever."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.arguments import read_file
from appliance.config.collected import ssh_line
from appliance.errors import UsageError

territory_key_option = click.option(
    "--territory-key", required=True, metavar="FILE|LINE", help="The territory's public key: ssh-ed25519 ..."
)


def public_line(text: str) -> str:
    """The key line that somebody gave, or that is in the file they named."""
    if text.startswith("ssh-"):
        return ssh_line(text)
    try:
        return ssh_line(read_file(Path(text)).decode("utf-8").strip())
    except (UnicodeDecodeError, UsageError) as error:
        raise UsageError("this is not an Ed25519 public key.", where=text, remedy="Name the .pub file.") from error
