"""`appliance failover merge`: a person looks at a branch and decides what becomes of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from appliance.branches.plan import Compared, choose, compare, leave
from appliance.branches.plan import merge as carry_out
from appliance.cli.arguments import command, dry_run_option, service_argument
from appliance.cli.output import emit, say
from appliance.cli.this_node import this_node
from appliance.errors import UsageError

SHOWN_MAX = 20


@click.command()
@service_argument
@click.option("--branch", type=click.IntRange(1), metavar="EPOCH", help="The branch to merge, when there are several.")
@click.option(
    "--leave", "left", is_flag=True, help="Leave the branch unmerged: it stays there and is not reported any more."
)
@dry_run_option
def merge(service: str, branch: int | None, left: bool, dry_run: bool) -> None:
    """Merge a branch of SERVICE that this node wrote alone; where both sides changed a file, keep both versions.

    Each file is compared with the last archive that both sides have. A file that only this node changed is put in
    place. Where both sides changed a file, it stays and this node's version is added beside it, named after its town
    and the day. A file that this node removed stays. The branch itself never changes; databases are not merged. Run it
    on the node that writes the service, after `handback`.
    """
    if left and dry_run:
        raise UsageError("--leave and --dry-run cannot be combined.", remedy="Give one of the two.")
    node = this_node()
    node.bundle.territory.service(service)
    chosen = choose(node, service, branch)
    if left:
        leave(node, chosen)
        emit(
            {"service": service, "branch": chosen.epoch, "left": True}, f"The branch stays unmerged in {chosen.folder}."
        )
        return
    if dry_run:
        compared = compare(node, chosen)
        emit({**told(compared), "dry_run": True}, text_of(compared, dry_run=True))
        typed = command("failover", "merge", service, "--branch", str(chosen.epoch))
        say(f"Next: {typed}")
        say(f"Next, if nothing of it is wanted: {typed} --leave")
        return
    done, kept = carry_out(node, chosen)
    emit({**told(done), "kept": str(kept or "")}, text_of(done, dry_run=False))
    if kept is None:
        say(f"Nothing was replaced, and nobody is asked about it any more; the branch is still in {chosen.folder}.")
        return
    say(f"What was replaced is in {kept}; the branch itself is still in {chosen.folder}.")
    say(f"Next: {command('backup', 'run', service)}")


def told(compared: Compared) -> dict[str, Any]:
    branch = compared.branch
    return {"service": branch.service, "branch": branch.epoch, "base": compared.base, **asdict(compared.merge)}


def text_of(compared: Compared, *, dry_run: bool) -> str:
    found, would = compared.merge, "would come" if dry_run else "came"
    lines = [
        f"Compared with the archive {compared.base}, which both sides have."
        if compared.base
        else "Both sides have no archive in common any more: each file that differs counts as changed by both."
    ]
    parts = (
        (f"changed in the branch only, {would} in place", list(found.taken)),
        (
            f"changed by both, the branch's version {would} beside",
            [f"{path} -> {name}" for path, name in found.both.items()],
        ),
        ("removed in the branch only, kept", list(found.removed)),
        ("already there from an earlier merge", list(found.there)),
    )
    for title, paths in parts:
        if paths:
            more = len(paths) - SHOWN_MAX
            lines += [f"{len(paths)} {title}:", *(f"  {path}" for path in paths[:SHOWN_MAX])]
            lines += [f"  and {more} more (--json shows all)"] if more > 0 else []
    return "\n".join(lines if len(lines) > 1 else [*lines, "The branch and the served files do not differ."])
