"""`appliance voter show`: the voters as a majority of them knows them."""

from __future__ import annotations

import asyncio

import click

from appliance.cli.output import emit, table
from appliance.cli.this_voter import closing, this_voter
from appliance.voter.etcd_admin import EtcdAdmin, Listed


@click.command()
def show() -> None:
    """Show the voters as a majority of them knows them, and the leader. Fails when there is no majority."""
    name, member, admin = this_voter()
    listed, leader = asyncio.run(closing(admin, _ask(admin)))
    names = {url: node for node, url in member.members.items()}
    data = [
        {
            "node": names.get(it.peer_url, it.peer_url),
            "leads": it.member == leader,
            "declared": it.peer_url in names,
        }
        for it in listed
    ]
    rows = [(it["node"], "leads" if it["leads"] else "", "" if it["declared"] else "unknown") for it in data]
    emit({"node": name, "voters": data}, table(("VOTER", "", ""), rows))


async def _ask(admin: EtcdAdmin) -> tuple[tuple[Listed, ...], int]:
    return await admin.listed(), (await admin.status()).leader
