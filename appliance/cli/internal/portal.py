"""`appliance internal portal serve`: the pages. The first one waits for all that this imports: the worker is apart."""

from __future__ import annotations

import ipaddress
from contextlib import nullcontext
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE
from appliance.cli.output import say
from appliance.cli.this_layout import this_layout
from appliance.errors import UsageError
from appliance.host.network.activation import inherited
from appliance.portal.base.sign_in import ANSWER_SECONDS
from appliance.portal.certificates import PublicName
from appliance.portal.serve import ListenSettings, worker_beside
from appliance.portal.serve import serve as serve_pages

LISTEN = "127.0.0.1:8443"


@click.command()
@click.option(
    "--listen", default=LISTEN, show_default=True, metavar="ADDRESS:PORT", help="The address and port to listen on."
)
@click.option("names", "--name", multiple=True, help="A host name that browsers use; IP addresses always work.")
@click.option(
    "--cert", type=FILE_TYPE, metavar="FILE", help="The TLS certificate; without one, only this machine is served."
)
@click.option("--key", type=FILE_TYPE, metavar="FILE", help="The key of the certificate.")
@click.option(
    "--public",
    nargs=3,
    type=(str, Path, Path),
    metavar="NAME CERT KEY",
    help="A publicly trusted name with its certificate files, which are reloaded while this runs.",
)
@click.option(
    "--alone", is_flag=True, help="Do not run the worker here: `appliance internal portal work` runs separately."
)
@click.option(
    "--worker",
    type=click.Path(path_type=Path),
    metavar="SOCKET",
    help="Run no worker here, but call the one that systemd starts at SOCKET.",
)
@click.option("--answer-after", type=click.FloatRange(min=0.0), default=ANSWER_SECONDS, hidden=True)
def serve(
    listen: str,
    names: tuple[str, ...],
    cert: Path | None,
    key: Path | None,
    public: tuple[str, Path, Path] | None,
    alone: bool,
    worker: Path | None,
    answer_after: float,
) -> None:
    """Serve the pages until SIGTERM.

    Started by systemd for a connection, it takes that socket, whatever --listen says, and ends when nobody has looked
    at a page for five minutes.

    A person needs an account (`appliance account add`) and a code sheet (`appliance account code-sheet`) to sign in.
    """
    address, port = _address(listen)
    settings = ListenSettings(address, port, names, cert, key, PublicName(*public) if public else None)
    settings.check()
    layout = this_layout()
    if not (taken := inherited()):
        say(f"The pages are at {'https' if cert else 'http'}://{listen}/")
    with nullcontext() if alone or worker else worker_beside(layout):
        serve_pages(layout, settings, answer_seconds=answer_after, worker=worker, taken=taken)


def _address(listen: str) -> tuple[str, int]:
    address, _, port = listen.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError as error:
        raise UsageError(f'"{listen}" is not a valid address and port.', remedy=f"Write it like {LISTEN}.") from error
