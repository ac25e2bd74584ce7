"""Groups of commands: the root loads them late, and all of them answer a typing mistake with what was meant."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from appliance.cli.commands import Entry
from appliance.cli.options import accept_everywhere


def likely(word: str, known: list[str]) -> str:
    """ " Did you mean ...?" with the nearest of `known`, or nothing."""
    near = difflib.get_close_matches(word, known, n=2)
    return f" Did you mean {' or '.join(near)}?" if near else ""


class SuggestingGroup(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            ctx.fail(f'"{ctx.command_path}" has no command "{args[0]}".{likely(args[0], known)}')
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group that knows its commands from a table and imports one when it is called."""

    def __init__(self, *args: object, entries: Mapping[str, Entry], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed on to click as they came
        # A command that is announced but not written yet stays out of sight.
        self.entries = {name: entry for name, entry in entries.items() if _exists(entry)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            command = getattr(importlib.import_module(f"appliance.cli.{entry.module}"), entry.attribute)
            accept_everywhere(command)
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [
            CompletionItem(name, help=entry.help) for name, entry in self.entries.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _exists(entry: Entry) -> bool:
    return (Path(__file__).with_name(entry.module + ".py")).exists()
