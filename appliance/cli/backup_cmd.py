"""`appliance backup`: start a service, save it, bring it to its peers, continue it elsewhere. One verb, one call."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.backup import writer
from appliance.backup.adopt import own_repository
from appliance.backup.begin import chain_of, check_grant
from appliance.backup.fetch import Survey, short_name, survey
from appliance.backup.fetched import load_fetched, remember_fetched
from appliance.backup.node import Node
from appliance.backup.openable import key_of, offer_less
from appliance.backup.resync import continue_under, fetch_for_resync, request_after_fetch, staging
from appliance.backup.safety import Safety
from appliance.borg.client import Borg
from appliance.borg.model import Archive, Progress
from appliance.cli import backup_text as text
from appliance.cli.arguments import (
    FILE_TYPE,
    check_writable,
    command,
    dry_run_option,
    naming,
    read_file,
    service_argument,
    write_file,
)
from appliance.cli.begin_cmd import accept, begin, say_grant
from appliance.cli.output import emit, progress, say
from appliance.cli.proof_cmd import drill, mend, verify
from appliance.cli.this_node import this_node, typed_paper
from appliance.errors import WARNINGS, ApplianceError, NotFound, Refused, UsageError
from appliance.trust.grant import read_grant

ANSWERS_MIN = 2  # with fewer, an older state cannot be told from the newest


@click.group()
def backup() -> None:
    """The services that this node writes: begin them, back them up, continue them after a loss."""


for verb in (begin, accept, verify, drill, mend):
    backup.add_command(verb)


@backup.command()
@service_argument
@dry_run_option
def run(service: str, dry_run: bool) -> int | None:
    """Back SERVICE up now, bring it to its peers and say how safe it is.

    Ends with 1 when files were left out or it is not safe yet, and with the code of the failure when a part of the
    service, such as a database, could not be saved at all.
    """
    node = this_node()
    _check_writes(node, service)
    if dry_run:
        source = writer.source_spec(node, service)
        _show_plan(node, service, (*source.paths, *((f"database {source.database}",) if source.database else ())))
        return None
    expected = node.bundle.terms(service).service.size_bytes
    with progress(f"Backing up {service}") as advance:

        def report(seen: Progress) -> None:
            # borg never knows its total; the declared size is a fair guess, and the end is only told at the end.
            advance(seen.done_bytes, max(expected, seen.total_bytes, seen.done_bytes + 1))

        done = writer.run(node, service, report)
    emit(text.run_json(done), text.run_text(done))
    _say_safe(service, done.safety)
    if done.failures:
        return done.failures[0].error.exit_code
    return WARNINGS if done.left_out or not done.safety.safe else None


@backup.command()
@service_argument
@dry_run_option
def push(service: str, dry_run: bool) -> int | None:
    """Bring the newest sealed generation of SERVICE to every peer that has not acknowledged it."""
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
    _say_safe(service, safety)
    return None if safety.safe else WARNINGS


@backup.command()
@service_argument
@dry_run_option
def tidy(service: str, dry_run: bool) -> None:
    """Forget old archives of this node's own repository of SERVICE and free their space.

    What peers hold is theirs to keep; nothing here reaches it.
    """
    node = this_node()
    keep = node.bundle.terms(service).service.retention
    if dry_run:
        count = len(_archives(node, service))
        kept = {period: getattr(keep, period) for period in ("hourly", "daily", "weekly", "monthly", "yearly")}
        words = ", ".join(f"{number} {period}" for period, number in kept.items() if number)
        emit({"service": service, "archives": count, "keep": kept}, f"Of {count} archives it would keep {words}.")
        return
    forgotten = writer.tidy(node, service)
    emit(
        {"service": service, "forgotten": list(forgotten)},
        "\n".join((f"{service}: {len(forgotten)} archives forgotten.", *(f"  {name}" for name in forgotten))),
    )
    say(f"Next: {command('backup', 'list', service)}")


@backup.command()
@service_argument
def show(service: str) -> int | None:
    """Show the newest generation of SERVICE sealed here, who holds it by a receipt, and how safe it is.

    Ends with 1 while it is not safe. Nobody is asked: receipts are kept here.
    """
    node = this_node()
    chain = chain_of(node, service)
    safety = writer.safety_of(node, service)
    newest = chain.newest()
    keys = {name: member.keys.sign for name, member in node.bundle.members.items()}
    receipts = chain.receipts(newest.header.id, keys) if newest else ()
    grants = chain.grants()
    emit(
        text.shown_json(service, newest, grants.get(max(grants, default=0)), receipts, safety),
        text.shown_text(service, newest, receipts, safety),
    )
    return None if safety.safe else WARNINGS


@backup.command("list")
@service_argument
def list_(service: str) -> None:
    """List the archives of SERVICE in this node's own repository, oldest first."""
    found = _archives(this_node(), service)
    emit(text.archives_json(service, found), text.archives_text(found))


@backup.command()
@service_argument
@click.option("--request", "request_file", metavar="OUT", type=FILE_TYPE, help="First step: fetch, and ask to go on.")
@click.option("--reason", default="continued by this node", show_default=True, help="Why, for who grants it.")
@click.option("--grant", "grant_file", metavar="GRANT", type=FILE_TYPE, help="Second step: adopt, and go on.")
@click.option("--paper", is_flag=True, help="Open it with the recovery key, typed without echo (or on standard input).")
@click.option("--generation", metavar="2.7", help="With --request: from this one, the last good one, not the newest.")
@dry_run_option
def resync(
    service: str,
    request_file: Path | None,
    reason: str,
    grant_file: Path | None,
    paper: bool,
    generation: str | None,
    dry_run: bool,
) -> int | None:
    """Continue SERVICE from what its peers hold: after a loss, a rollback, a replacement, or on a standby.

    In two steps: --request OUT fetches the newest generation that anybody attests and asks for a grant; --grant GRANT
    adopts what was fetched and goes on writing. What was here before is kept beside it. Ends with 1 when a peer did
    not answer or offers less than the newest.
    """
    if (request_file is None) == (grant_file is None):
        raise UsageError("resync is one of two steps.", remedy="Give --request OUT first, --grant GRANT afterwards.")
    node = this_node()
    if dry_run:
        return _show_survey(node, service)
    if request_file:
        return _ask_to_continue(node, service, request_file, reason, generation)
    assert grant_file is not None
    raw = read_file(grant_file)
    # A wrong grant is refused before anybody types a key.
    with naming(grant_file, "a grant"):
        check_grant(node, service, raw)
    _continue(node, service, raw, paper=paper)
    return None


def _ask_to_continue(node: Node, service: str, out: Path, reason: str, generation: str | None) -> int | None:
    check_writable(out)
    if (present := _writer(node, service)) != node.name:
        say(f"{service} is written by {present}: continue it here only if that node is lost or has stopped.")
    sealed, found = fetch_for_resync(node, service, generation)
    remember_fetched(node, service, sealed)
    write_file(out, request_after_fetch(node, service, found, reason))
    newest = found.newest().name
    less = offer_less(node, service, found, newest)
    emit(
        {
            "service": service,
            "generation": str(sealed.header.id),
            "request": str(out),
            **text.survey_json(found, newest, less),
        },
        f"{text.survey_text(found, newest)}\n"
        f"Generation {sealed.header.id} is here; the request to continue it is {out}.",
    )
    code = _warn(found, newest, less)
    paper = ("--paper",) if _needs_paper(node, service) else ()
    say_grant(str(out), f"{service}.grant", "backup", "resync", service, "--grant", f"{service}.grant", *paper)
    return code


def _needs_paper(node: Node, service: str) -> bool:
    """Whether nothing that this node has opens what was fetched."""
    try:
        key_of(node, service, staging(node, service), None)
    except ApplianceError:
        return True
    return False


def _check_writes(node: Node, service: str) -> None:
    """Raise Refused, with where to type it, at a node that does not write `service` by all that it knows."""
    writer_name = _writer(node, service)
    if writer_name == node.name:
        return
    again = command("backup", "resync", service, "--request", f"{service}.request")
    trusted = node.name in node.bundle.territory.trusted(service)
    only = f" Only if that node is lost: {again}" if trusted else ""
    raise Refused(f"{service} is written by {writer_name}, not by this node.", remedy=f"Run it there.{only}")


def _writer(node: Node, service: str) -> str:
    """Who writes `service` as far as it is known here: by the newest grant of the chain or the vault, or as planned."""
    chain, holding = chain_of(node, service), node.holding(service)
    newest = max((*chain.grants(), *holding.epochs()), default=0)
    if not newest:
        return node.bundle.terms(service).origin
    if newest in chain.grants():
        return chain.grants()[newest].writer
    return read_grant(holding.grant(newest), node.bundle.territory_key).writer


def _continue(node: Node, service: str, raw_grant: bytes, *, paper: bool) -> None:
    secret = typed_paper() if paper else None
    sealed = load_fetched(node, service)
    key = key_of(node, service, staging(node, service), secret)
    taken = continue_under(node, service, sealed, raw_grant, key)
    shown = {"service": service, "generation": str(sealed.header.id), "epoch": taken.epoch, "writer": taken.writer}
    emit(shown, f"{taken.writer} continues {service} from generation {sealed.header.id} in epoch {taken.epoch}.")
    say(f"Next: {command('backup', 'run', service)}")


def _show_survey(node: Node, service: str) -> int | None:
    terms = node.bundle.terms(service)
    found = survey(node, service, tuple(peer for peer in (*terms.holders, *terms.spares) if peer != node.name))
    newest = found.newest().name
    less = offer_less(node, service, found, newest)
    emit({"service": service, **text.survey_json(found, newest, less)}, text.survey_text(found, newest))
    return _warn(found, newest, less)


def _warn(found: Survey, newest: str, less: tuple[str, ...]) -> int | None:
    """Say what makes the newest doubtful; WARNINGS when anything does."""
    if less:
        say(f"Warning: {', '.join(less)} should hold generation {short_name(newest)} and does not offer it.")
    if found.told():
        say(f"Warning: {found.told()}")
    return WARNINGS if less or found.silent or len(found.heads) < ANSWERS_MIN else None


def _show_plan(node: Node, service: str, reads: tuple[str, ...]) -> None:
    """What a run, which reads something, or a push would do; nothing is read or sent now."""
    writer.own_grant(node, chain_of(node, service))
    safety = writer.safety_of(node, service)
    aims = [aim for aim in writer.current_targets(node, service) if reads or aim.node not in safety.acknowledged]
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


def _archives(node: Node, service: str) -> tuple[Archive, ...]:
    origin = node.bundle.terms(service).origin
    layout = node.service(service)
    if not layout.repository.exists():
        raise NotFound(f"{service} has no repository here.", remedy=f"It begins at {origin}.")
    return Borg(own_repository(layout)).archives()


def _say_safe(service: str, safety: Safety) -> None:
    if safety.safe:
        say(f"Next, to see it: {command('backup', 'list', service)}")
        return
    lacking = safety.promised - len(safety.counted)
    say(f"It becomes safe once {lacking} more {'peer has' if lacking == 1 else 'peers have'} it.")
    say(f"Next, when they answer: {command('backup', 'push', service)}")
