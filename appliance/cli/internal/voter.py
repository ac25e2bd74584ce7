"""`appliance internal voter sync-members`: the voters' member list as the bundle has it."""

from __future__ import annotations

import asyncio

import click

from appliance.cli.arguments import NAME_TYPE, dry_run_option
from appliance.cli.output import emit
from appliance.cli.this_voter import closing, this_voter
from appliance.coordination.argv import Member
from appliance.errors import UsageError
from appliance.voter.etcd_admin import EtcdAdmin
from appliance.voter.members import Changes, changes, reconcile


@click.command()
@click.option(
    "--empty", metavar="NODE", type=NAME_TYPE, multiple=True, help="A voter that lost its data; may be repeated."
)
@dry_run_option
def sync_members(empty: tuple[str, ...], dry_run: bool) -> None:
    """Make the voters' member list match the bundle: remove unknown members, add new ones.

    A voter whose disk was lost has made promises that it no longer knows: name it with --empty to remove it and add it
    again. Its etcd must not have started before; the role `coordination` ensures that.
    """
    name, member, admin = this_voter()
    unknown = sorted(set(empty) - set(member.members))
    if unknown or name in empty:
        raise UsageError(
            f"{(unknown or [name])[0]} is not a voter that can be named with --empty, as this voter sees it.",
            where="--empty",
            remedy=f"Run this on another voter, and name one of {', '.join(member.others)}.",
        )
    decided = asyncio.run(closing(admin, _settle(admin, member, empty, dry_run=dry_run)))
    names = {url: node for node, url in member.members.items()}
    removed = [names.get(it.peer_url, it.peer_url) for it in decided.remove]
    added = [names[url] for url in decided.add]
    would = "would be " if dry_run else ""
    lines = [*(f"{would}removed: {it}" for it in removed), *(f"{would}added: {it}" for it in added)]
    shown = {"node": name, "removed": removed, "added": added, "dry_run": dry_run}
    emit(shown, "\n".join(lines) or "Nothing to change.")


async def _settle(admin: EtcdAdmin, member: Member, empty: tuple[str, ...], *, dry_run: bool) -> Changes:
    urls = member.members
    decided = changes(await admin.listed(), tuple(urls.values()), [urls[name] for name in empty])
    if not dry_run:
        await reconcile(admin, decided)
    return decided
