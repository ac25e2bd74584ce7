"""`appliance backup prune` and `list`: the archives of this node's own repository."""

from __future__ import annotations

from collections.abc import Sequence

import click

from appliance.backup.peers.adopt import own_repository
from appliance.backup.writer import writer
from appliance.backup.writer.forgetting import choose
from appliance.backup.writer.keep import Drop
from appliance.backup.writer.manifests import read_all
from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.cli.arguments import command, dry_run_option, service_argument
from appliance.cli.backup import text
from appliance.cli.output import emit, say
from appliance.cli.this_node import this_node
from appliance.errors import NotFound
from appliance.node.handle import Node
from appliance.units import format_count


@click.command()
@service_argument
@dry_run_option
def prune(service: str, dry_run: bool) -> None:
    """Delete old archives from this node's own repository of SERVICE and free their space.

    This does not touch the replicas at peers. When it freed anything, the rest is sealed as a new generation, which is
    then sent to the peers.
    """
    node = this_node()
    keep = node.bundle.terms(service).service.retention
    if dry_run:
        borg = Borg(_repository(node, service))
        count = len(borg.archives())
        chosen = choose(borg, service, keep, writer.needed(node, service))
        forgotten = tuple(it.name for it in chosen if isinstance(it, Drop))
        kept = {period: getattr(keep, period) for period in ("hourly", "daily", "weekly", "monthly", "yearly")}
        words = ", ".join(f"{number} {period}" for period, number in kept.items() if number)
        emit(
            {"service": service, "archives": count, "keep": kept, "forget": list(forgotten)},
            "\n".join(
                (f"Of {format_count(count, 'archive')} it would keep {words}, and delete:", *_indented(forgotten))
            ),
        )
        return
    forgotten = writer.prune(node, service)
    emit(
        {"service": service, "forgotten": list(forgotten)},
        "\n".join((f"{service}: {format_count(len(forgotten), 'archive')} deleted.", *_indented(forgotten))),
    )
    pending = not writer.safety_of(node, service).held
    say(f"Next: {command('backup', 'push' if pending else 'list', service)}")


@click.command("list")
@service_argument
def list_(service: str) -> None:
    """List the archives of SERVICE in this node's own repository, oldest first, and what each partial one lacks."""
    node = this_node()
    listed = Borg(_repository(node, service)).commented()
    known = read_all(listed)
    found = [it for it in listed if it.name in known]
    emit(text.archives_json(service, found, known), text.archives_text(found, known))


def _repository(node: Node, service: str) -> Repository:
    origin = node.bundle.terms(service).origin
    layout = node.service(service)
    if not layout.repository.exists():
        raise NotFound(f"{service} has no repository here.", remedy=f"Its origin is {origin}.")
    return own_repository(layout)


def _indented(names: Sequence[str]) -> Sequence[str]:
    return [f"  {name}" for name in names] or ["  nothing"]
