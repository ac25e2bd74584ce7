"""docs/reference/commands.md, written from the commands themselves: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from appliance.cli.commands import PROGRAM
from appliance.cli.main import root
from appliance.cli.options import common_options

HEAD = f"""# Commands

Written by `make docs` from what `{PROGRAM} COMMAND --help` says. Each also takes these, before or after its name:

"""


INTERNAL = f"""
# Internal commands

Units, timers, playbooks and the pages run these; `{PROGRAM} --help` does not list them. A person needs one where no
playbook runs.
"""


def page() -> str:
    """The whole page, in Markdown."""
    sections = [_section(words, command) for words, command in walk(root)]
    sections += [INTERNAL, *(_section(words, command) for words, command in walk_internal())]
    common = "".join(_option_line(option) for option in common_options())
    return HEAD + common + "".join(sections)


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below `group` with its words, groups before what they hold."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))


def walk_internal() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The hidden group `internal`, and every command below it."""
    group = root.get_command(click.Context(root), "internal")
    assert isinstance(group, click.Group)
    yield ("internal",), group
    yield from walk(group, ("internal",))


def _section(words: tuple[str, ...], command: click.Command) -> str:
    arguments = [f" {_metavar(argument)}" for argument in command.params if isinstance(argument, click.Argument)]
    title = f"\n{'#' * min(len(words) + 1, 4)} `{PROGRAM} {' '.join(words)}{''.join(arguments)}`\n\n"
    text = cleandoc(command.help or "").replace("\b\n", "").replace("\f", "\n").strip()
    common = {option.opts[0] for option in common_options()}
    own = [option for option in command.params if isinstance(option, click.Option) and option.opts[0] not in common]
    options = "".join(_option_line(option) for option in own if not option.hidden)
    return title + text + "\n" + (f"\n{options}" if options else "")


def _metavar(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _option_line(option: click.Option) -> str:
    takes = "" if option.is_flag or option.count else f" {option.metavar or (option.name or '').upper()}"
    shown = option.show_default and option.default is not None and not callable(option.default)
    default = f" Default: {option.default}." if shown else ""
    return f"- `{', '.join(option.opts)}{takes}`: {option.help or ''}{default}\n"


if __name__ == "__main__":
    click.echo(page(), nl=False)
