"""`appliance completion`: the script that teaches a shell our commands, options and services."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

from appliance.cli.commands import COMPLETION_VARIABLE, PROGRAM
from appliance.errors import UsageError

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", metavar="[bash|zsh|fish]", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print the completion script of SHELL, by default the one in use.

    \b
    bash:  appliance completion bash > ~/.local/share/bash-completion/completions/appliance
    zsh:   appliance completion zsh > /usr/local/share/zsh/site-functions/_appliance
    fish:  appliance completion fish > ~/.config/fish/completions/appliance.fish
    """
    click.echo(script(shell or _present_shell()))


def script(shell: str) -> str:
    """The script for `shell`, one of SHELLS."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(click.Command(PROGRAM), {}, PROGRAM, COMPLETION_VARIABLE).source()


def _present_shell() -> str:
    name = PurePath(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise UsageError("the shell in use is not known.", remedy=f"Name one: {', '.join(SHELLS)}.")
    return name
