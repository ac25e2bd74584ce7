"""`appliance`: reads the command line, runs one command, ends with a documented exit code. It decides nothing else."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import shell_complete

from appliance import __version__
from appliance.cli.commands import COMMANDS, COMPLETION_VARIABLE, PROGRAM
from appliance.cli.failure import report
from appliance.cli.group import LazyGroup
from appliance.cli.language.choice import chosen
from appliance.cli.options import Options, common_options
from appliance.errors import INTERRUPTED, OK

EXIT_CODES = {
    0: "done",
    1: "completed with warnings",
    2: "the command line, or a file that you wrote, is wrong",
    3: "what was named does not exist",
    4: "a precondition does not hold: a lock, a full disk, a missing state",
    5: "a hash, a signature, a chain or a format is not valid",
    6: "the operating system or a peer denies it to this account",
    7: "a peer did not answer in time, or a program did not end in time",
    8: "a rule of the territory says no: grant, epoch, retention, a second person",
    9: "this machine's kernel lacks a feature; nothing was done",
    70: "a bug in this program",
    130: "interrupted: what was acknowledged is kept",
    141: "the reader of the output closed it",
}

root = LazyGroup(
    PROGRAM,
    entries=COMMANDS,
    params=[*common_options(state_from_environment=True)],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
    help="Neighbouring town halls keep each other's data safe.",
    epilog="Results go to standard output, messages to standard error.\n\n\b\nExit codes:\n"
    + "\n".join(f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items()),
)
click.version_option(__version__, prog_name=PROGRAM)(root)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point: run the command of `argv` (the process's own by default) and exit with its code."""
    words = sys.argv[1:] if argv is None else argv
    _mend_streams()
    code = run(words)
    # Text left in the buffer of a closed output must not raise once more while Python ends.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code == INTERRUPTED:
        # Python would still die of the signal where that fell into an exec of its own, as dataclasses are made by.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _mend_streams() -> None:
    """Open what the shell closed, since a file that got its number would be taken for it; print any name of a file."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As Python does for the C locale: a name that is no UTF-8 goes out as it came in.
        sys.stdout.reconfigure(errors="surrogateescape")


def run(argv: Sequence[str]) -> int:
    """Run the command of `argv`; return its exit code. Never raises, except for a completion request's SystemExit."""
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        sys.exit(shell_complete(root, {}, PROGRAM, COMPLETION_VARIABLE, instruction))
    try:
        # Held back while this program was loaded, and while root became another account.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
        spoken = Options(language=chosen(argv, os.environ))
        with root.make_context(PROGRAM, list(argv), color=_color(), obj=spoken) as context:
            code = root.invoke(context)
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        return report(error, argv)
    # A command that must tell something returns WARNINGS; most return nothing.
    return code if type(code) is int else OK


def _color() -> bool | None:
    """False where the user wants none; None lets click ask the terminal."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None
