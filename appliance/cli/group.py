"""The root of the command line and groups below it: each knows its commands from a table and imports the one called."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from appliance.cli.commands import LAB, PROGRAM, Entry
from appliance.cli.language.help_page import PageContext
from appliance.cli.options import accept_everywhere


class Verbs(click.Group):
    """A small group, whose verbs are in its own module; its help has the whole first sentence of each."""

    context_class = PageContext

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            rows = [(name, it.get_short_help_str(limit=1000)) for name, it in sorted(self.commands.items())]
            formatter.write_dl(rows)


class LazyGroup(click.Group):
    context_class = PageContext

    def __init__(self, name: str, *, entries: Mapping[str, Entry], **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.entries = {name: entry for name, entry in entries.items() if _is_installed(entry)}
        self.listed = {name: entry for name, entry in self.entries.items() if not (entry.now or entry.hidden)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.listed)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if (entry := self.entries.get(args[0])) and entry.now and not ctx.resilient_parsing:
            click.echo(f'"{ctx.command_path} {args[0]}" is now "{PROGRAM} {entry.now}".', err=True)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            command = getattr(importlib.import_module(entry.full_module), entry.attribute)
            accept_everywhere(command)
            _translate(command)
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.listed.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [
            CompletionItem(name, help=entry.help) for name, entry in self.listed.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _translate(command: click.Command) -> None:
    """Let `command` and its subcommands show their help in the language that is asked for."""
    command.context_class = PageContext
    for child in command.commands.values() if isinstance(command, click.Group) else ():
        _translate(child)


def _is_installed(entry: Entry) -> bool:
    return not entry.of_the_lab or importlib.util.find_spec(LAB) is not None
