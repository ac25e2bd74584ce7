"""The options that every command takes, before or after its name: --state, --json, --quiet, --language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from appliance.cli.language.choice import ENGLISH, LANGUAGES, OPTION, VARIABLE
from appliance.errors import UsageError
from appliance.host.layout import state_of_this_host

STATE_VARIABLE = "APPLIANCE_STATE"


@dataclass(frozen=True)
class Options:
    state: Path | None = None
    json: bool = False
    quiet: bool = False
    language: str = ENGLISH


def options() -> Options:
    """The options of the running command; the defaults where no command runs."""
    context = click.get_current_context(silent=True)
    found = context.find_root().obj if context else None
    return found if isinstance(found, Options) else Options()


def state_folder() -> Path:
    """The state folder of the node that the command is about; raise UsageError when nothing names one."""
    if state := options().state:
        return state
    if state := state_of_this_host():
        return state
    raise UsageError("the node's state folder is not known.", remedy=f"Give --state DIR or set {STATE_VARIABLE}.")


def common_options(*, state_from_environment: bool = False) -> list[click.Option]:
    """--state, --json, --quiet and --language, new for each command.

    Only the root reads the environment: read again by the command, it would beat a --state given before its name.
    """
    state = click.Option(
        ["--state"],
        type=click.Path(path_type=Path, file_okay=False, readable=False),
        metavar="DIR",
        envvar=STATE_VARIABLE if state_from_environment else None,
        expose_value=False,
        callback=_remember("state"),
        help=f"The node's state folder (or set {STATE_VARIABLE}).",
    )
    language = click.Option(
        [OPTION],
        type=click.Choice(LANGUAGES),
        metavar="|".join(LANGUAGES),
        envvar=VARIABLE if state_from_environment else None,
        expose_value=False,
        callback=_remember("language"),
        help=f"The language of help and messages (or set {VARIABLE}).",
    )
    flags = [_flag("json", "Print the result as JSON."), _flag("quiet", "No progress, only the result.")]
    return [state, *flags, language]


def accept_everywhere(command: click.Command) -> None:
    """Let `command` and its subcommands take the common options after their names too.

    A command that declares --json itself keeps its own, which then also obeys a --json given before the command.
    """
    if isinstance(command, click.Group):
        for child in command.commands.values():
            accept_everywhere(child)
        return
    declared = {name: parameter for parameter in command.params for name in parameter.opts}
    for option in common_options():
        own = declared.get(option.opts[0])
        if own is None:
            command.params.append(option)
        elif own.opts[0] == "--json":
            own.default = lambda: options().json


def _remember(field: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        root = context.find_root()
        known = root.obj if isinstance(root.obj, Options) else Options()
        root.obj = replace(known, **{field: value}) if value else known

    return store


def _flag(name: str, text: str) -> click.Option:
    return click.Option([f"--{name}"], is_flag=True, expose_value=False, callback=_remember(name), help=text)
