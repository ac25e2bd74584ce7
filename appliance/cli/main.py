"""`appliance`: reads the command line, runs one command, ends with a documented exit code. It decides nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import shell_complete

from appliance import __version__
from appliance.cli.commands import COMMANDS, COMPLETION_VARIABLE, PROGRAM
from appliance.cli.failure import report
from appliance.cli.group import LazyGroup
from appliance.cli.options import common_options
from appliance.errors import OK

root = LazyGroup(
    PROGRAM,
    entries=COMMANDS,
    params=[*common_options(state_from_environment=True)],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
    help="Neighbouring town halls keep each other's data safe.",
    epilog="What was asked for goes to standard output, what is told to standard error. Exit codes: "
    "docs/reference/exit-codes.md.",
)
click.version_option(__version__, prog_name=PROGRAM)(root)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point: run the command of `argv` (the process's own by default) and exit with its code."""
    words = sys.argv[1:] if argv is None else argv
    code = run(words)
    # What is left in the buffer of a closed output must not raise once more while Python ends.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run the command of `argv`; return its exit code. Never raises, except for a completion request's SystemExit."""
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        sys.exit(shell_complete(root, {}, PROGRAM, COMPLETION_VARIABLE, instruction))
    try:
        with root.make_context(PROGRAM, list(argv), color=_color()) as context:
            code = root.invoke(context)
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        return report(error, argv)
    # A command that must tell something returns WARNINGS; most return nothing.
    return code if type(code) is int else OK


def _color() -> bool | None:
    """False where the user wants none; None lets click ask the terminal."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None
