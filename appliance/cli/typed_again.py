"""The command that is being carried out, as a person would type it again with an option more."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.core import ParameterSource

from appliance.units import as_typed

TYPED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def typed_again(**more: object) -> str:
    """Return the present command as it was typed, with the options `more` (by the names of its parameters)."""
    context = click.get_current_context()
    typed = {name: it for name, it in context.params.items() if context.get_parameter_source(name) in TYPED} | more
    words = [word for it in context.command.params for word in _words(it, typed.get(str(it.name)))]
    return as_typed("appliance", *context.command_path.split()[1:], *words)


def _words(parameter: click.Parameter, value: object) -> Iterator[str]:
    """The words that give `parameter` this value."""
    if value is None or value is False or value == ():
        return
    for each in value if isinstance(value, tuple) else (value,):
        if isinstance(parameter, click.Option):
            yield parameter.opts[0]
        if each is not True:
            yield str(each)
