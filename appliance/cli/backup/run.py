"""`appliance backup run`, `push` and `show`: save a service, bring it to its peers, show how safe it is."""

from __future__ import annotations

from dataclasses import replace

import click

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.rollback import load as load_rollback
from appliance.backup.peers.counted import Safety
from appliance.backup.peers.elsewhere import comes_back, known_writer, moves
from appliance.backup.peers.last_seen import current_targets, lost_now
from appliance.backup.still.heard import heard, still_of
from appliance.backup.writer import writer
from appliance.backup.writer.source_of import source_spec
from appliance.borg.model import Progress
from appliance.branches.backup import save_branches
from appliance.cli.arguments import (
    command,
    dry_run_option,
    service_argument,
)
from appliance.cli.backup import text
from appliance.cli.output import emit, progress, say
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS, Refused
from appliance.node.failover_status import is_handing_over
from appliance.node.handle import Node
from appliance.units import format_count

ANSWERS_MIN = 2  # with fewer, an older state cannot be told from the newest


@click.command()
@service_argument
@dry_run_option
def run(service: str, dry_run: bool) -> int | None:
    """Back SERVICE up now, send it to its peers and report how safe it is.

    Exits with 1 when files or a branch were left out or the backup is not safe yet, and with the code of the failure
    when a part of the service, such as a database, could not be saved at all.
    """
    node = this_node()
    _check_writes(node, service)
    if dry_run:
        source = source_spec(node, service)
        _show_plan(node, service, (*source.paths, *((f"database {source.database}",) if source.database else ())))
        return None
    expected = node.bundle.terms(service).service.size_bytes
    with progress(f"Backing up {service}") as advance:

        def report(seen: Progress) -> None:
            # borg never knows its total; the declared size is a fair guess, and the end is only told at the end.
            advance(seen.done_bytes, max(expected, seen.total_bytes, seen.done_bytes + 1))

        done = writer.run(node, service, report)
        handing_over = is_handing_over(node.layout.failover, service, node.clock.boot_id())
        unsaved = save_branches(node, done, again=True, handing_over=handing_over)
        done = replace(done, safety=writer.safety_of(node, service))  # of the newest, which may be that of the branches
    emit(text.run_json(done, unsaved), text.run_text(done, unsaved))
    _say_safe(service, done.safety)
    if done.failures:
        return done.failures[0].error.exit_code
    return WARNINGS if done.left_out or unsaved or not done.safety.safe else None


@click.command()
@service_argument
@dry_run_option
def push(service: str, dry_run: bool) -> int | None:
    """Send the newest sealed generation of SERVICE to every peer that has not acknowledged it.

    Exits with 8 while a peer is known to have a newer generation than this node.
    """
    node = this_node()
    _check_writes(node, service)
    if dry_run:
        _show_plan(node, service, ())
        return None
    pushed = writer.push_newest(node, service)
    safety = writer.safety_of(node, service)
    newest = chain_of(node, service).newest()
    generation = str(newest.header.id) if newest else ""
    emit(
        text.push_json(service, generation, pushed, safety),
        text.push_text(service, generation, pushed, safety),
    )
    if found := load_rollback(node, service):
        raise found
    _say_safe(service, safety)
    return None if safety.safe else WARNINGS


@click.command()
@service_argument
def show(service: str) -> int | None:
    """Show the newest generation of SERVICE sealed here, its receipts, and how safe it is.

    Exits with 1 while it is not safe. No peer is asked: receipts are stored here.
    """
    node = this_node()
    chain = chain_of(node, service)
    safety = writer.safety_of(node, service)
    newest = chain.newest()
    receipts = chain.receipts(newest.header.id, node.bundle.signing_keys) if newest else ()
    grant = chain.newest_grant()
    words = heard(node, service) if newest else ()
    still = still_of(node, service, chain, words, lost_now(node, service), newest.header.id) if newest else 0.0
    emit(
        text.shown_json(service, newest, grant, receipts, safety, still),
        text.shown_text(service, newest, receipts, safety, still),
    )
    return None if safety.safe else WARNINGS


def _check_writes(node: Node, service: str) -> None:
    """Raise Refused, with where to type it, at a node that does not write `service` by all that it knows."""
    writer_name = known_writer(node, service)
    if writer_name == node.name:
        return
    again = command("backup", "resync", service, "--request", f"{service}.request")
    trusted = node.name in node.bundle.territory.trusted(service)
    only = f" Only if that node is lost: {again}" if trusted else ""
    if moves(node, service):
        only = f" {comes_back(node, service)}"
    raise Refused(f"{service} is written by {writer_name}, not by this node.", remedy=f"Run it there.{only}")


def _show_plan(node: Node, service: str, reads: tuple[str, ...]) -> None:
    """Show what a run, which reads something, or a push would do; nothing is read or sent now."""
    writer.own_grant(node, chain_of(node, service))
    safety = writer.safety_of(node, service)
    aims = [aim for aim in current_targets(node, service) if reads or aim.node not in safety.acknowledged]
    emit(
        {
            "service": service,
            "reads": list(reads),
            "peers": [{"peer": aim.node, "reason": aim.reason} for aim in aims],
            "safety": text.safety_json(safety),
        },
        "\n".join((*(f"reads {what}" for what in reads), *(f"pushes to {aim.node} ({aim.reason})" for aim in aims)))
        or "Every peer has it already.",
    )


def _say_safe(service: str, safety: Safety) -> None:
    if safety.safe:
        say(f"Next, to see it: {command('backup', 'list', service)}")
        return
    if safety.held:
        say("The backup is partial: a restore takes what is missing from the last backup that has it.")
        say(f"Next, when what is missing can be read again: {command('backup', 'run', service)}")
        return
    lacking = safety.promised - len(safety.counted)
    say(f"It becomes safe once {format_count(lacking, 'more peer has', 'more peers have')} it.")
    say(f"Next, when they answer: {command('backup', 'push', service)}")
