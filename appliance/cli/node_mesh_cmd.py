"""`appliance node mesh`: bring the mesh's interface up. What `appliance-mesh.service` runs."""

from __future__ import annotations

import time
from pathlib import Path

import click

from appliance.cli.arguments import dry_run_option, read_file
from appliance.cli.output import emit, say
from appliance.cli.this_layout import layout_as_root
from appliance.host.hands import HOLDERS
from appliance.host.names import look_up
from appliance.host.notify import READY, notify
from appliance.provision import link
from appliance.provision.link import CONFIG, INTERFACE
from appliance.secret import Secret

NAMES_SECONDS_MAX = 5.0
ASK_AGAIN_SECONDS = 15.0


@click.command()
@click.option("--stay", is_flag=True, help="While a name has no address, ask again each 15 s; the others are met.")
@dry_run_option
def mesh(stay: bool, dry_run: bool) -> None:
    """Make the interface of the mesh what its file says; sessions that stay are not cut. Only root can.

    The file is written by `appliance node apply`. The unit appliance-mesh calls this at each start and change, and when
    the address of a service leads elsewhere. A node whose name has no address now is left where it was met last.
    """
    key = layout_as_root().mesh_key
    if dry_run:
        lines = link.planned(_wanted())
        would = "\n".join((f"{INTERFACE} would be made what {CONFIG} says:", *(f"  ip {line}" for line in lines)))
        emit(_told(lines, (), False), would)
        return
    lines, unknown = _bring_up(key)
    notify(READY)
    while stay and unknown:
        time.sleep(ASK_AGAIN_SECONDS)
        lines, unknown = _bring_up(key)
    emit(_told(lines, unknown, True), f"{INTERFACE} is what {CONFIG} says.")


def _bring_up(key: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lines of `ip` that it took, and the names that have no address."""
    known = look_up(link.names(_wanted()), NAMES_SECONDS_MAX)
    with link.one_at_a_time():
        text = _wanted()  # again: asking takes seconds
        lines = link.bring_up(link.met(text, known), Secret(read_file(key)))
    unknown = tuple(sorted(link.names(text) - known.keys()))
    if unknown:
        say(f"warning: no address for {', '.join(unknown)}: not met there until a name server has one.")
    return lines, unknown


def _wanted() -> str:
    holders = Path(HOLDERS).read_text() if Path(HOLDERS).exists() else ""
    return link.led(read_file(Path(CONFIG)).decode(), link.read_holders(holders))


def _told(lines: tuple[str, ...], unknown: tuple[str, ...], written: bool) -> dict[str, object]:
    return {"interface": INTERFACE, "done": lines, "unknown": unknown, "written": written}
