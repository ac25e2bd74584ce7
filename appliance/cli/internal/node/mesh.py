"""`appliance internal node mesh`: bring the mesh's interface up. `appliance-mesh.service` runs it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import click

from appliance.cli.arguments import dry_run_option, read_file
from appliance.cli.output import emit, say
from appliance.cli.renamed import RenamedOption
from appliance.cli.this_layout import layout_as_root
from appliance.errors import ApplianceError
from appliance.host.network import wireguard
from appliance.host.network.names import look_up
from appliance.host.notify import READY, notify
from appliance.programs.privileged import SERVICE_ROUTES
from appliance.provision import link
from appliance.provision.link import CONFIG, INTERFACE
from appliance.secret import Secret

NAMES_SECONDS_MAX, AGAIN_SECONDS_MAX = 5.0, 30.0
"""The resolver goes from a dead name server to the next one within a second (appliance-mesh.service)."""
ASK_AGAIN_SECONDS = 15.0


@click.command()
@click.option(
    "--watch",
    cls=RenamedOption,
    formerly="--stay",
    is_flag=True,
    help="Where nodes have names: keep running, and resolve unreachable ones again every 15 s.",
)
@dry_run_option
def mesh(watch: bool, dry_run: bool) -> None:
    """Configure the interface of the mesh as its file says, without cutting sessions that stay. Only root can.

    `appliance internal node apply` writes the file. The unit appliance-mesh runs this command at each start and change,
    and when the address of a service moves. A node whose name has no address now keeps the last known one.
    """
    key = layout_as_root().mesh_key
    if dry_run:
        lines = link.planned(_wanted())
        would = "\n".join((f"{INTERFACE} would be configured as {CONFIG} says:", *(f"  ip {line}" for line in lines)))
        emit(_told(lines, (), False), would)
        return
    # At once: the node that took a service over gets its traffic, and a revoked one is out, before any name server
    # answers.
    lines = _bring_up(key, {})
    unknown = _meet(key, link.names(_wanted()), NAMES_SECONDS_MAX)
    _warn(unknown)
    notify(READY)
    while watch and link.names(_wanted()):
        time.sleep(ASK_AGAIN_SECONDS)
        before = unknown
        with _telling():
            # Those that are met stay where they were met last, wherever they went since.
            unknown = _meet(key, link.unmet(_wanted(), wireguard.endpoints(INTERFACE)), AGAIN_SECONDS_MAX)
        if unknown != before:
            _warn(unknown)
    emit(_told(lines, unknown, True), f"{INTERFACE} is configured as {CONFIG} says.")


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """A failure in here is printed and ends nothing: the unit takes the interface away when this program fails."""
    try:
        yield
    except (ApplianceError, OSError) as error:
        say(f"warning: {error}")


def _bring_up(key: Path, known: Mapping[str, str]) -> tuple[str, ...]:
    """The lines of `ip` that it took; who has a name is met at its `known` address, or stays where it was met last."""
    with link.one_at_a_time():
        return link.bring_up(link.met(_wanted(), known), Secret(read_file(key)))


def _meet(key: Path, names: Collection[str], seconds_max: float) -> tuple[str, ...]:
    """Meet those that have `names`; return the names that have no address."""
    if known := look_up(names, seconds_max):
        _bring_up(key, known)
    return tuple(sorted(set(names) - known.keys()))


def _warn(unknown: tuple[str, ...]) -> None:
    if unknown:
        say(f"warning: no address for {', '.join(unknown)}: unreachable by name until a name server has one.")


def _wanted() -> str:
    holders = Path(SERVICE_ROUTES).read_text() if Path(SERVICE_ROUTES).exists() else ""
    return link.routed(read_file(Path(CONFIG)).decode(), link.read_service_routes(holders))


def _told(lines: tuple[str, ...], unknown: tuple[str, ...], written: bool) -> dict[str, object]:
    return {"interface": INTERFACE, "done": lines, "unknown": unknown, "written": written}
