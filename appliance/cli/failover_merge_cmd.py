"""`appliance failover merge`: a person looks at a branch and decides what becomes of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from appliance.agent.branches import Compared, choose, compare, leave
from appliance.agent.branches import merge as carry_out
from appliance.cli.arguments import command, dry_run_option, service_argument
from appliance.cli.output import emit, say
from appliance.cli.this_node import this_node
from appliance.errors import UsageError

SHOWN_MAX = 20


@click.command()
@service_argument
@click.option("--branch", type=click.IntRange(1), metavar="EPOCH", help="Which, when several wait.")
@click.option("--leave", "left", is_flag=True, help="Leave it as it is: no more is said of it, and it stays there.")
@dry_run_option
def merge(service: str, branch: int | None, left: bool, dry_run: bool) -> None:
    """Bring what this node wrote of SERVICE alone into what others went on with; of what both changed, both stay.

    It goes file by file, against the last archive that both sides have. What only this node changed comes into place.
    What both changed stays, and this node's version comes beside it under the name of its town and the day. What it
    removed stays. The branch itself is never changed; a database is not merged. It is done where the service is
    written: after `handback`.
    """
    if left and dry_run:
        raise UsageError("--leave changes nothing that a --dry-run could show.", remedy="Give one of the two.")
    node = this_node()
    node.bundle.territory.service(service)
    chosen = choose(node, service, branch)
    if left:
        leave(node, chosen)
        emit({"service": service, "branch": chosen.epoch, "left": True}, f"It stays as it is, in {chosen.folder}.")
        return
    if dry_run:
        compared = compare(node, chosen)
        emit({**told(compared), "dry_run": True}, text_of(compared, dry_run=True))
        return
    done, kept = carry_out(node, chosen)
    emit({**told(done), "kept": str(kept)}, text_of(done, dry_run=False))
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
        else "No archive is left that both sides have: whatever differs counts as changed by both."
    ]
    parts = (
        (f"changed in the branch alone, {would} into place", list(found.taken)),
        (
            f"changed by both, the branch's version {would} beside",
            [f"{path} -> {name}" for path, name in found.both.items()],
        ),
        ("removed in the branch alone, stays", list(found.removed)),
        ("there already from an earlier merge", list(found.there)),
    )
    for title, paths in parts:
        if paths:
            more = len(paths) - SHOWN_MAX
            lines += [f"{len(paths)} {title}:", *(f"  {path}" for path in paths[:SHOWN_MAX])]
            lines += [f"  and {more} more (--json shows all)"] if more > 0 else []
    return "\n".join(lines if len(lines) > 1 else [*lines, "Nothing in the branch differs from what is served."])
