"""Arguments that many verbs share; the files that a person names, read or written whole, or one sentence why not."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from appliance.cli.options import Options, options
from appliance.errors import ApplianceError, IntegrityError, NotFound, UsageError
from appliance.host.files import read_named, write_atomic
from appliance.host.layout import NodeLayout, state_of_this_host
from appliance.trust.signed import NAME
from appliance.units import MIB, as_typed, format_bytes

READ_BYTES_MAX = 16 * MIB  # twice the largest document there is


class NameType(click.ParamType):
    """The name of a node, a service or a person; such a name can never reach outside a folder or be an option."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not NAME.fullmatch(str(value)):
            self.fail(
                f'"{value}" is not a valid name: use small letters, digits and hyphens, a letter first.', param, ctx
            )
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The services of which the node of --state keeps anything, where this account may look into its folder."""
        given = ctx.find_root().obj
        state = given.state if isinstance(given, Options) and given.state else state_of_this_host()
        if param.name != "service" or state is None:
            return []
        layout = NodeLayout(state.resolve())
        names = {name for folder in (layout.services, layout.vault) for name in _listed(folder)}
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete) and NAME.fullmatch(name)]


class ServiceType(NameType):
    """The name of a service: its first one, or what it is called now, which becomes the first one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = super().convert(value, param, ctx)
        state = options().state or state_of_this_host()
        if state is None:
            return name
        layout = NodeLayout(state.absolute())
        if any((folder / name).exists() for folder in (layout.services, layout.vault)):
            return name
        # The modules that read bundles are loaded now: most names are those of folders, and need none.
        from appliance.trust.identity import load_territory

        with contextlib.suppress(ApplianceError, OSError):  # a command that needs the bundle says what is wrong with it
            return load_territory(layout)[1].first_name(name)
        return name


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


NAME_TYPE, SERVICE_TYPE = NameType(), ServiceType()
# click would ask for the real account, which forgets the capabilities of one that root became: opening it tells better.
FILE_TYPE = click.Path(path_type=Path, readable=False)

SHORT_COMMAND = re.compile(r"(Type|here:|Tapez|ici\u00a0:) `appliance (?!--state |territory )")

service_argument = click.argument("service", type=SERVICE_TYPE)
identity_option = click.option(
    "--identity",
    metavar="FILE",
    type=FILE_TYPE,
    help="The private key to use; by default those of the SSH agent and ~/.ssh.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")


def read_file(path: Path) -> bytes:
    """The content of a file that somebody named; raise NotFound or UsageError for what is none."""
    raw = read_named(path, READ_BYTES_MAX)
    if len(raw) > READ_BYTES_MAX:
        raise UsageError(
            f"this file has more than {format_bytes(READ_BYTES_MAX)}; it is probably the wrong file.", where=str(path)
        )
    return raw


@contextlib.contextmanager
def naming(path: Path, what: str) -> Iterator[None]:
    """Name the file `path`, which should be `what` ("a grant"), in an IntegrityError about its content."""
    try:
        yield
    except IntegrityError as error:
        raise IntegrityError(
            f"this is not {what}: request the file again.", where=str(path), remedy=f"({error})"
        ) from error


def check_writable(path: Path) -> None:
    """Raise UsageError, or NotFound for its folder, unless `path` can become a file: before long work, not after."""
    if path.is_dir():
        raise UsageError("this is a folder; name a file in it.", where=str(path))
    if not path.parent.is_dir():
        raise NotFound("there is no such folder.", where=str(path.parent))
    if path.exists() and not path.is_file():
        raise UsageError("this is a pipe or a device, not a file; name a new file.", where=str(path))
    place = os.statvfs(path.parent)
    if place.f_blocks == 0 or place.f_flag & os.ST_RDONLY:
        raise UsageError("nothing can be stored there; name a folder on a disk.", where=str(path.parent))
    if not os.access(path.parent, os.W_OK, effective_ids=True):
        raise PermissionError(13, "not writable", str(path.parent))


def check_folder(path: Path) -> None:
    """Raise UsageError or NotFound unless `path` is a folder in which files can be made."""
    if path.exists() and not path.is_dir():
        raise UsageError("this is a file; name a folder.", where=str(path))
    check_writable(path / "file")


def write_file(path: Path, data: bytes) -> None:
    check_writable(path)
    write_atomic(path, data)


def command(*words: str) -> str:
    """Return the command to type next, about the same node as now."""
    state = options().state
    about = () if state is None else ("--state", str(state.absolute()))
    return as_typed("appliance", *about, *words)


def about_this_node(told: str) -> str:
    """`told` with the same in each command to type here: the code that judges a node knows no words of a shell.

    A command for another node, or for no node, stays as it is.
    """
    return SHORT_COMMAND.sub(lambda found: f"{found[1]} `{command()} ", told)
