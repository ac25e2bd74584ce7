"""`appliance internal restore expire`: what restores replaced goes after 30 days. A timer runs it every night."""

from __future__ import annotations

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.output import emit
from appliance.cli.this_node import this_node
from appliance.failover.replaced_trees import sweep_trees
from appliance.restore.ended import expire_requests
from appliance.restore.undo import expire as remove_expired
from appliance.restore.undo import expired
from appliance.units import format_count


@click.command()
@dry_run_option
def expire(dry_run: bool) -> None:
    """Remove what restores replaced at least 30 days ago, counted in days that this machine was up.

    Results that wait for download on the pages are removed after 7 days. All but the newest of the trees that moves put
    aside are removed, each file once the agent found it saved. A host runs this every day, with an account that may
    remove files of other accounts.
    """
    node = this_node()
    age, act = node.ageing.now(), expired if dry_run else remove_expired
    services = [path.name for path in sorted({*node.layout.services.glob("*"), *node.layout.restores.glob("[!.]*")})]
    found = {name: gone for name in services if (gone := act(node.service(name).restores, age_seconds=age))}
    if not dry_run:
        for name in services:
            expire_requests(node.service(name).requests, node.service(name).restores, age_seconds=age)
        for name, gone in found.items():
            node.journal.write("restores-expired", service=name, jobs=len(gone))
        for name in filter(node.bundle.territory.services.__contains__, services):
            if trees := sweep_trees(node, name):
                node.journal.write("replaced-trees-removed", service=name, folders=trees)
    count = sum(map(len, found.values()))
    emit(
        {"forgotten": found, "written": not dry_run},
        f"{format_count(count, 'restore')} {'would be ' if dry_run else ''}removed.",
    )
