"""`appliance internal account sync`: the machine's accounts as the account store has them."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.accounts import service as accounts
from appliance.accounts.service import AccountService
from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, dry_run_option
from appliance.cli.this_accounts import tell_outcome, this_accounts
from appliance.cli.this_layout import layout_as_root, this_layout
from appliance.errors import UsageError
from appliance.territory.implicit import homes
from appliance.trust.root_bundle import territory_for_root
from appliance.units import format_count


@click.command()
@click.option("--from", "source", metavar="FILE", type=FILE_TYPE, help="First import the accounts of a backup.")
@click.option(
    "--of", "whose", metavar="NODE", type=NAME_TYPE, help="Refuse accounts in --from that belong to another node."
)
@click.option("--brought", is_flag=True, help="Use what the agent fetched of the nodes whose standby this one is.")
@click.option("--without", metavar="NODE", type=NAME_TYPE, help="Stop standing in for another node's accounts.")
@dry_run_option
def sync(source: Path | None, whose: str | None, brought: bool, without: str | None, dry_run: bool) -> int:
    """Synchronise this machine's accounts and Samba's passwords with the account store.

    With --from, at a standby: FILE holds the accounts of another node, restored from the service `appliance-NODE`; its
    people can then log in here. Where names collide, those of this node win.
    """
    if sum(map(bool, (source, brought, without))) > 1:
        raise UsageError("--from, --brought and --without contradict each other.")
    if whose and not source:
        raise UsageError("--of needs --from.")
    service = this_accounts()
    if source:
        done = accounts.take(service, source, of=whose or "", dry_run=dry_run)
    elif brought:
        done = accounts.take_brought(service, _brought(service, dry_run), dry_run=dry_run)
    elif without:
        done = accounts.leave(service, without, dry_run=dry_run)
    else:
        done = accounts.sync(service, dry_run=dry_run)
    return tell_outcome(done, dry_run, f"{format_count(len(done.own.accounts), 'account')} of {done.own.node}")


def _brought(service: AccountService, dry_run: bool) -> dict[str, Path]:
    """Return the files that the agent prepared, of the nodes whose accounts this one may take by the signed bundle."""
    layout = layout_as_root() if service.syncs else this_layout()
    _, bundle = territory_for_root(layout, dry_run=dry_run)
    files = {home: layout.people / f"{home}.json" for home in homes(bundle.territory, service.node)}
    return {home: file for home, file in files.items() if file.exists()}
