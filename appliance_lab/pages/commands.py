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
    title = f"\n{'#' * min(len(words) + 1, 4)} `{' '.join((PROGRAM, *words, *arguments(command)))}`\n\n"
    text = cleandoc(command.help or "").replace("\b\n", "").replace("\f", "\n").strip()
    options = "".join(map(_option_line, own_options(command)))
    return title + text + "\n" + (f"\n{options}" if options else "")


def arguments(command: click.Command) -> list[str]:
    """Its arguments as help shows them, those that may be left out in brackets."""
    shown = []
    for argument in command.params:
        if isinstance(argument, click.Argument):
            name = argument.metavar or (argument.name or "").upper()
            shown.append(name if argument.required or name.startswith("[") else f"[{name}]")
    return shown


def own_options(command: click.Command) -> list[click.Option]:
    """The options of `command` that a person may type and that not every command has."""
    common = {option.opts[0] for option in common_options()}
    options = [option for option in command.params if isinstance(option, click.Option)]
    return [option for option in options if option.opts[0] not in common and not option.hidden]


def takes(option: click.Option) -> str:
    """The word for its value; "" for one that takes none."""
    return "" if option.is_flag or option.count else option.metavar or (option.name or "").upper()


def meaning(option: click.Option) -> str:
    shown = option.show_default and option.default is not None and not callable(option.default)
    return (option.help or "") + (f" Default: {option.default}." if shown else "")


def _option_line(option: click.Option) -> str:
    return f"- `{' '.join(filter(None, (', '.join(option.opts), takes(option))))}`: {meaning(option)}\n"


if __name__ == "__main__":
    click.echo(page(), nl=False)
