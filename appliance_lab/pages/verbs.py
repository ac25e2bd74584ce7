"""tests/golden/verbs/VERSION.json: what the commands of a release take. `make release` writes it.

A playbook may meet a node with the package of an earlier release, and types nothing there that this one does not know.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping

import click

from appliance.cli.group import LazyGroup
from appliance.cli.main import root
from appliance.cli.renamed import RenamedOption

type Words = tuple[str, ...]
type Verbs = Mapping[str, frozenset[str]]
"""The options of each verb, by its words."""


def known() -> Verbs:
    """Every verb of a node, internal ones and old names too, with every option that it takes."""
    return {" ".join(words): _options(command) for words, command in _walk(root)}


def read(text: str) -> Verbs:
    """The inverse of `write`."""
    return {verb: frozenset(options) for verb, options in json.loads(text)["verbs"].items()}


def write(release: str, verbs: Verbs) -> str:
    lines = ",\n".join(f" {json.dumps(verb)}: {json.dumps(sorted(verbs[verb]))}" for verb in sorted(verbs))
    return f'{{"format": 1, "release": {json.dumps(release)}, "verbs": {{\n{lines}\n}}}}\n'


def _walk(group: click.Group, path: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    for name in _names(group):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from _walk(command, (*path, name))
        elif command is not None:
            yield (*path, name), command


def _names(group: click.Group) -> list[str]:
    if isinstance(group, LazyGroup):
        return [name for name, entry in group.entries.items() if not entry.of_the_lab]
    return list(group.commands)


def _options(command: click.Command) -> frozenset[str]:
    options = [it for it in command.params if isinstance(it, click.Option)]
    names = {name for it in options for name in (*it.opts, *it.secondary_opts)}
    return frozenset(names | {it.formerly for it in options if isinstance(it, RenamedOption)})


if __name__ == "__main__":
    click.echo(write(sys.argv[1], known()), nl=False)
