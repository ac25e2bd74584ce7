"""`appliance voter`: the voter on this node, of those who agree on who holds a service."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import click

from appliance.cli.arguments import NAME_TYPE, dry_run_option
from appliance.cli.output import emit, table
from appliance.cli.this_layout import this_layout
from appliance.coordination.argv import Member
from appliance.coordination.gateway import Voter
from appliance.coordination.tls import client_tls
from appliance.errors import Refused, UsageError
from appliance.provision import voter as voters
from appliance.trust.bundle import Bundle
from appliance.trust.identity import Identity, load_territory
from appliance.voter.etcd_admin import Care, Listed
from appliance.voter.members import Changes, changes, settle


@click.command()
def show() -> None:
    """Show the voters as a majority of them knows them, and the leader. Fails when there is no majority."""
    name, member, care = _here()
    listed, leader = asyncio.run(_closing(care, _ask(care)))
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


@click.command("settle")
@click.option(
    "--empty", metavar="NODE", type=NAME_TYPE, multiple=True, help="A voter that lost its data; may be repeated."
)
@dry_run_option
def settle_(empty: tuple[str, ...], dry_run: bool) -> None:
    """Make the voters' member list match the bundle: remove unknown members, add new ones.

    A voter whose disk was lost has made promises that it no longer knows: name it with --empty to remove it and add it
    again. Its etcd must not have started before; the role `coordination` ensures that.
    """
    name, member, care = _here()
    unknown = sorted(set(empty) - set(member.members))
    if unknown or name in empty:
        raise UsageError(
            f"{(unknown or [name])[0]} is not a voter that can be named with --empty, as this voter sees it.",
            where="--empty",
            remedy=f"Run this on another voter, and name one of {', '.join(member.others)}.",
        )
    decided = asyncio.run(_closing(care, _settle(care, member, empty, dry_run=dry_run)))
    names = {url: node for node, url in member.members.items()}
    removed = [names.get(it.peer_url, it.peer_url) for it in decided.remove]
    added = [names[url] for url in decided.add]
    would = "would be " if dry_run else ""
    lines = [*(f"{would}removed: {it}" for it in removed), *(f"{would}added: {it}" for it in added)]
    shown = {"node": name, "removed": removed, "added": added, "dry_run": dry_run}
    emit(shown, "\n".join(lines) or "Nothing to change.")


def _here() -> tuple[str, Member, Care]:
    """This node, its voter and a line to it."""
    layout = this_layout()
    name, member, domain = member_here(*load_territory(layout))
    return name, member, Care(Voter(member.client_url, f"{name}.{domain}"), client_tls(layout.tls))


def member_here(identity: Identity, bundle: Bundle) -> tuple[str, Member, str]:
    """This node, its voter, and the domain of the territory; raise Refused where none is by the bundle."""
    member = voters.member_of(bundle, identity.name)
    if member is None:
        declared = ", ".join(sorted(bundle.voting.keys)) or "none"
        remedy = f"Run this on a voter. Voters by the bundle: {declared}."
        raise Refused(f"{identity.name} is not a voter.", remedy=remedy)
    return identity.name, member, bundle.territory.domain


async def _closing[Answer](care: Care, asked: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        return await asked
    finally:
        await care.close()


async def _ask(care: Care) -> tuple[tuple[Listed, ...], int]:
    return await care.listed(), (await care.standing()).leader


async def _settle(care: Care, member: Member, empty: tuple[str, ...], *, dry_run: bool) -> Changes:
    urls = member.members
    decided = changes(await care.listed(), tuple(urls.values()), [urls[name] for name in empty])
    if not dry_run:
        await settle(care, decided)
    return decided
