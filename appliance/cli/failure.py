"""The one place where an exception becomes a sentence on standard error and a documented exit code.

Never a traceback: what nobody expected goes to a file (crash.py). APPLIANCE_DEBUG=1 shows the traceback as well.
"""

from __future__ import annotations

import errno
import os
import re
import select
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from appliance.cli.language.choice import chosen
from appliance.cli.language.spoken import spoken
from appliance.cli.options import STATE_VARIABLE
from appliance.errors import INTERRUPTED, OK, ApplianceError, Forbidden, NoSpace, NotFound, UsageError
from appliance.units import as_typed

CRASHED = 70  # EX_SOFTWARE of sysexits.h: a bug of ours
OUTPUT_CLOSED = 141  # what a shell shows for a program ended by SIGPIPE, as in `appliance status | head -1`
DEBUG_VARIABLE = "APPLIANCE_DEBUG"
# click 8.2 raises its help for a group called alone; 8.1 prints it. Both end the same way here.
_HELP_ASKED = getattr(click.exceptions, "NoArgsIsHelpError", ())


def report(error: BaseException, argv: Sequence[str]) -> int:
    """Tell the user about `error`, raised by `appliance ARGV`; return the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.UsageError) and isinstance(error, _HELP_ASKED):
        click.echo(error.format_message())
        return OK
    if isinstance(error, BrokenPipeError) and _output_is_closed():
        return OUTPUT_CLOSED
    if os.environ.get(DEBUG_VARIABLE) == "1":
        sys.excepthook(type(error), error, error.__traceback__)
    sentence, code = _explain(error, argv)
    said = spoken(lambda voice: voice.say(sentence), chosen(argv, os.environ))
    click.echo(f"appliance: {said}", err=True)
    return code


def _explain(error: BaseException, argv: Sequence[str]) -> tuple[str, int]:
    match error:
        case ApplianceError():
            return str(error), error.exit_code
        case click.ClickException():
            return _usage(error), UsageError.exit_code
        case EOFError():
            return "an answer was expected on standard input, but it has ended.", UsageError.exit_code
        case KeyboardInterrupt() | click.Abort():
            again = as_typed("appliance", *_state(argv), *argv)
            return f"interrupted. What was acknowledged is kept. To continue, type: {again}", INTERRUPTED
        case PermissionError(filename=name):
            return f"{name}: permission denied to this account.", Forbidden.exit_code
        case OSError(errno=errno.ENOSPC | errno.EDQUOT, filename=name):
            return (
                f"{name or 'output'}: the disk is full. Free space there, then run the command again.",
                NoSpace.exit_code,
            )
        case OSError(errno=errno.EROFS | errno.EIO, filename=name):
            return f"{name or 'a disk'}: {_reason(error)}. See `journalctl -k`.", ApplianceError.exit_code
        case OSError(errno=errno.ELOOP | errno.ENAMETOOLONG | errno.ENOTDIR | errno.EISDIR, filename=str(name)):
            return f"{name}: {_reason(error)}. Look at this path, or name another.", UsageError.exit_code
        case FileExistsError(filename=str(name)) if not Path(name).exists():
            return f"{name}: this symbolic link points to nothing. Name another path.", UsageError.exit_code
        case FileNotFoundError(filename=str(name)) if _stores_nothing(name, argv):
            return f"{name}: nothing can be stored there. Name a folder on a disk.", UsageError.exit_code
        case FileNotFoundError(filename=None) if not _has_working_folder():
            return "the current folder was removed. Type `cd`, then the command again.", NotFound.exit_code
        case ModuleNotFoundError(name="fabric" | "paramiko" | "invoke" as name):
            remedy = "Type it on the control machine, or: apt install python3-fabric python3-paramiko"
            return f"this machine has no {name}, with which other nodes are asked. {remedy}", ApplianceError.exit_code
        case UnicodeEncodeError() if not _is_text(argv):
            return "the text that was typed is not valid UTF-8. Type it again.", UsageError.exit_code
        case _:
            from appliance.cli.crash import write_crash  # no start of a command pays for what it needs

            path = write_crash(error, argv)
            return f"a bug in this program stopped this command; please send {path} to its maintainers.", CRASHED


def _reason(error: OSError) -> str:
    """The kernel's message, such as "Too many levels of symbolic links", as a part of a sentence."""
    reason = os.strerror(error.errno or errno.EIO)
    return reason[0].lower() + reason[1:]


def _stores_nothing(name: str, argv: Sequence[str]) -> bool:
    """Whether somebody typed a place such as /proc, where what cannot be made is told as a missing file."""
    above = next(it for it in Path(name).absolute().parents if it.exists())
    return os.statvfs(above).f_blocks == 0 and any(str(above) in word for word in argv)


def _has_working_folder() -> bool:
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False


def _is_text(argv: Sequence[str]) -> bool:
    """Whether all that was typed is UTF-8; bytes that are not name files all the same."""
    try:
        "".join(argv).encode()
    except UnicodeEncodeError:
        return False
    return True


def _state(argv: Sequence[str]) -> tuple[str, ...]:
    """The state folder that the environment named: another terminal may name another, or none."""
    named = any(word.split("=")[0] == "--state" for word in argv)
    state = os.environ.get(STATE_VARIABLE)
    return ("--state", state) if state and not named else ()


def _usage(error: click.ClickException) -> str:
    """click's message, what was probably meant and where to read more: one sentence instead of its usage lines."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    return f"{message}{_meant(message, context)} See: {context.command_path} --help" if context else message


def _meant(message: str, context: click.Context) -> str:
    """Return the suggestion that click makes for options and not for commands."""
    unknown = re.fullmatch(r"No such command '(.+)'\.", message)
    if unknown is None or not isinstance(context.command, click.Group):
        return ""
    import difflib  # only who mistyped pays for it

    near = difflib.get_close_matches(unknown[1], context.command.list_commands(context), n=2)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _output_is_closed() -> bool:
    """Whether nobody reads our standard output any more; a pipe to ssh or borg may break as well, and that is a bug."""
    poller = select.poll()
    try:
        poller.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(events & select.POLLERR for _, events in poller.poll(0))
