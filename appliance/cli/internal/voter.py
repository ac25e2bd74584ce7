"""`appliance internal voter sync-members`: the voters' member list as the bundle has it."""

from __future__ import annotations

import asyncio

import click

from appliance.cli.arguments import NAME_TYPE, dry_run_option
from appliance.cli.output import emit
from appliance.cli.this_voter import closing, this_voter
from appliance.coordination.argv import Member, joining
from appliance.errors import UsageError
from appliance.voter.etcd_admin import EtcdAdmin, Listed
from appliance.voter.members import Changes, changes, names, reconcile

JOINS_FILE = "/var/lib/appliance-voter.joins"


@click.command()
@click.option(
    "--empty", metavar="NODE", type=NAME_TYPE, multiple=True, help="A voter that lost its data; may be repeated."
)
@dry_run_option
def sync_members(empty: tuple[str, ...], dry_run: bool) -> None:
    """Bring the voters' member list one step nearer to the bundle: remove unknown members, add one new one.

    A voter whose disk was lost has made promises that it no longer knows: name it with --empty to remove it and add it
    again. Its etcd must not have started before; the role `coordination` ensures that. `joins` is what must be in
    /var/lib/appliance-voter.joins there before it starts. Another one can be added once it runs: `waits` names the
    voters that need another run of this command.
    """
    name, member, admin = this_voter()
    unknown = sorted(set(empty) - set(member.members))
    if unknown or name in empty:
        raise UsageError(
            f"{(unknown or [name])[0]} is not a voter that can be named with --empty, as this voter sees it.",
            where="--empty",
            remedy=f"Run this on another voter, and name one of {', '.join(member.others)}.",
        )
    decided, gone, listed = asyncio.run(closing(admin, _settle(admin, member, empty, dry_run=dry_run)))
    known = {url: node for node, url in member.members.items()}
    removed = [known.get(it.peer_url, it.peer_url) for it in gone]
    added = [known[decided.add]] if decided.add else []
    waits = [known[url] for url in decided.wait]
    joins = joining(names(listed, known)) if added else ""
    would = "would be " if dry_run else ""
    lines = [*(f"{would}removed: {it}" for it in removed), *(f"{would}added: {it}" for it in added)]
    if joins and not dry_run:
        lines += [f"On {added[0]}, write this to {JOINS_FILE}, then start its voter:", joins.rstrip()]
    lines += [f"waits until {added[0]} runs; then run this again: {it}" for it in waits]
    shown = {"node": name, "removed": removed, "added": added, "waits": waits, "joins": joins, "dry_run": dry_run}
    emit(shown, "\n".join(lines) or "Nothing to change.")


async def _settle(
    admin: EtcdAdmin, member: Member, empty: tuple[str, ...], *, dry_run: bool
) -> tuple[Changes, tuple[Listed, ...], tuple[Listed, ...]]:
    """The step that was decided, the voters that it removed, and those that are listed after it."""
    urls = member.members
    listed = await admin.listed()
    decided = changes(listed, tuple(urls.values()), [urls[name] for name in empty])
    if dry_run:
        return decided, decided.gone[: len(decided.gone) - decided.stay], listed
    removed = await reconcile(admin, decided)
    return decided, removed, await admin.listed()
