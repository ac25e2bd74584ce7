"""`appliance backup resync`: continue a service from what its peers hold, one by its name or all of a new machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.grants import granters_of
from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers.elsewhere import comes_back, known_writer, server_elsewhere
from appliance.backup.peers.fetch import Survey, survey_all
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.openable import is_written_here, key_of, offer_less
from appliance.backup.writer.begin import check_grant, check_is_named, history
from appliance.cli.arguments import (
    FILE_TYPE,
    NAME_TYPE,
    SERVICE_TYPE,
    check_folder,
    check_writable,
    command,
    dry_run_option,
    naming,
    read_file,
    write_file,
)
from appliance.cli.backup import text
from appliance.cli.backup.begin import GRANT, REQUEST, say_files_come_back, say_grant
from appliance.cli.backup.resync_doubt import check_dwindled, check_heard, check_taking, show_dwindled, warn
from appliance.cli.output import emit, say
from appliance.cli.renamed import RenamedOption
from appliance.cli.this_node import this_node, typed_paper
from appliance.errors import WARNINGS, ApplianceError, NotFound, UsageError
from appliance.node.handle import Node
from appliance.trust.grant import Grant
from appliance.units import as_typed

REASON = "continued by this node"


@click.command()
@click.argument("service", type=SERVICE_TYPE, required=False)
@click.option("--all", "every", is_flag=True, help="Every service of this node that only its peers have.")
@click.option(
    "--request",
    "asked",
    metavar="OUT|DIR",
    type=FILE_TYPE,
    help="First step: fetch, and write the request for a grant.",
)
@click.option(
    "--reason", default=REASON, show_default=True, help="The reason, shown to the holder of the territory key."
)
@click.option(
    "--grant", "granted", metavar="GRANT|DIR", type=FILE_TYPE, help="Second step: adopt what was fetched, and continue."
)
@click.option(
    "--recovery-sheet",
    "paper",
    cls=RenamedOption,
    formerly="--paper",
    is_flag=True,
    help="Open it with the recovery key, typed without echo (or on standard input).",
)
@click.option(
    "--generation",
    metavar="2.7",
    help="With --request: continue from this generation, the last good one, and not from the newest.",
)
@click.option(
    "--take-from",
    metavar="NODE",
    type=NAME_TYPE,
    help="Take it from NODE, which serves it: what was written there since the newest generation is lost to the "
    "service.",
)
@dry_run_option
def resync(
    service: str | None,
    every: bool,
    asked: Path | None,
    reason: str,
    granted: Path | None,
    paper: bool,
    generation: str | None,
    take_from: str | None,
    dry_run: bool,
) -> int | None:
    """Continue SERVICE from a generation of its peers: after a loss, a rollback, a replacement, or on a standby.

    There are two steps: --request OUT fetches the newest attested generation and writes a request for a grant; --grant
    GRANT adopts what was fetched and continues writing. The former repository is kept beside it. Exits with 1 when a
    peer did not answer or offers less than the newest, and with 8 when the newest has less than half of what an older
    one has: compare both, then name one with --generation. A service that another node serves now is refused, and
    skipped by --all: failover hands it back without a loss. With --all, DIR has a file for each service; grants for
    other machines are skipped, and a service that cannot be opened does not stop the others.
    """
    if (asked is None) == (granted is None):
        raise UsageError(
            "resync needs either --request or --grant.", remedy="Give --request OUT first, --grant GRANT afterwards."
        )
    if (service is None) != every or (every and (generation or take_from)):
        raise UsageError("no service was named.", remedy="Give its name, or --all.")
    node = this_node()
    if service is None:
        if asked:
            return _ask_for_all(node, asked, reason, dry_run)
        assert granted is not None
        return _take_all(node, granted, paper, dry_run)
    takes = check_taking(node, service, take_from or "")
    if dry_run:
        return _show_survey(node, service, asked)
    if asked:
        return _ask_for_one(node, service, asked, reason, generation, takes)
    assert granted is not None
    raw = read_file(granted)
    # A wrong grant is refused before anybody types a key.
    with naming(granted, "a grant"):
        grant = check_grant(node, service, raw)
    if _is_continued(node, service, grant):
        shown = {"service": service, "epoch": grant.epoch, "writer": grant.writer}
        emit(shown, f"{service} already continues under this grant.")
        say_files_come_back(node, service)
        return None
    shown = _continue(node, service, raw, paper=paper)
    emit(shown, _continued_text(shown))
    say_files_come_back(node, service)
    say(f"Next: {command('backup', 'run', service)}")
    return None


def _ask_for_one(node: Node, service: str, out: Path, reason: str, generation: str | None, takes: str) -> int | None:
    check_writable(out)
    shown, found = _ask(node, service, out, reason, generation, takes)
    newest = found.newest().name
    emit(
        shown,
        f"{text.survey_text(found, newest)}\n"
        f"Generation {shown['generation']} is here; the request to continue it is {out}.",
    )
    code = warn(node, service, found)
    paper = ("--recovery-sheet",) if not shown["opens"] else ()
    taking = ("--take-from", takes) if takes else ()
    words = ("backup", "resync", service, "--grant", f"{service}{GRANT}", *taking, *paper)
    say_grant(as_typed(str(out), *taking), f"{service}{GRANT}", *words)
    return code


def _ask_for_all(node: Node, folder: Path, reason: str, dry_run: bool) -> int | None:
    check_folder(folder)
    check_is_named(node)
    names = _to_continue(node)
    if not names:
        raise NotFound(f"no service of {node.name} waits to be continued here.")
    if dry_run:
        emit({"services": [{"service": name} for name in names]}, f"Would be continued: {', '.join(names)}.")
        return None
    shown, code = [], None
    for name in names:
        try:
            answer, found = _ask(node, name, folder / f"{name}{REQUEST}", reason, None)
        except ApplianceError as error:
            # One that was granted and never brought to anybody stops no other.
            say(f"{name}: {error}")
            code = WARNINGS
            continue
        shown.append(answer)
        code = warn(node, name, found) or code
    emit(
        {"services": shown}, "\n".join(f"{it['service']}: {it['generation']}; request: {it['request']}" for it in shown)
    )
    paper = () if all(it["opens"] for it in shown) else ("--recovery-sheet",)
    place = as_typed(str(folder))
    say_grant(f"{place}/*{REQUEST}", place, "backup", "resync", "--all", "--grant", str(folder), *paper)
    return code


def _take_all(node: Node, folder: Path, paper: bool, dry_run: bool) -> int | None:
    grants = {name: raw for name in _to_continue(node) if (raw := _grant_for(node, name, folder / f"{name}{GRANT}"))}
    if not grants:
        raise NotFound("there is no grant here that this machine waits for.", where=str(folder))
    if dry_run:
        emit({"grants": [{"service": name} for name in grants]}, f"Would be continued: {', '.join(grants)}.")
        return None
    done: list[dict[str, Any]] = []
    failed: dict[str, ApplianceError] = {}
    for name, raw in grants.items():
        try:
            done.append(_continue(node, name, raw, paper=paper))
        except ApplianceError as error:
            # A node's own service takes the recovery sheet where no node stands by for it.
            failed[name] = error
    sentences = {name: str(error) for name, error in failed.items()}
    lines = [*map(_continued_text, done), *(f"{name}: {sentence}" for name, sentence in sentences.items())]
    emit({"grants": done, "failed": sentences}, "\n".join(lines))
    for shown in done:
        say_files_come_back(node, shown["service"])
    say(f"Next: {command('status')}")
    return list(failed.values())[-1].exit_code if failed else None


def _to_continue(node: Node) -> list[str]:
    """The services that begin at this node, have a history, and are written neither by this machine nor by one that
    serves them now: those come home by failover."""
    own = sorted(service.name for service in node.bundle.territory.services_of(node.name))
    others = [name for name in own if not is_written_here(node, name)]
    waiting = [name for name in others if chain_of(node, name).epochs() or history(node, name)]
    for name in waiting:
        if elsewhere := server_elsewhere(node, name):
            say(f"{name} is left to {elsewhere}, which serves it. {comes_back(node, name)}")
    return [name for name in waiting if not server_elsewhere(node, name)]


def _grant_for(node: Node, service: str, file: Path) -> bytes | None:
    """The grant in `file`, when it is a new one for this machine and what it asked for: others are earlier answers."""
    try:
        raw = read_file(file)
        with naming(file, "a grant"):
            grant = granters_of(node, service).read(raw)
    except NotFound:
        return None
    mine = grant.writer == node.name and grant.writer_key == node.bundle.member(node.name).keys.sign
    return raw if mine and grant.epoch > max(chain_of(node, service).epochs(), default=0) else None


def _ask(
    node: Node, service: str, out: Path, reason: str, generation: str | None, takes: str = ""
) -> tuple[dict[str, Any], Survey]:
    """Fetch, and write the request; what there is to say of it, and what the peers said."""
    if (present := known_writer(node, service)) != node.name:
        say(f"{service} is written by {present}: continue it here only if that node is lost or has stopped.")
    sealed, found = fetch_for_resync(node, service, generation)
    check_heard(node, service, takes)
    if generation is None:
        check_dwindled(node, service, chain_of(node, service), sealed.header, found, str(out))
    remember_fetched(node, service, sealed)
    write_file(out, request_after_fetch(node, service, found, reason, takes))
    newest = found.newest().name
    told = text.survey_json(found, newest, offer_less(node, service, found, newest))
    shown = {"service": service, "generation": str(sealed.header.id), "request": str(out)}
    return {**shown, "opens": _opens(node, service), **told}, found


def _opens(node: Node, service: str) -> bool:
    """Whether what this node has opens what was fetched, without the paper."""
    try:
        key_of(node, service, staging(node, service), None)
    except ApplianceError:
        return False
    return True


def _continue(node: Node, service: str, raw_grant: bytes, *, paper: bool) -> dict[str, Any]:
    secret = typed_paper() if paper else None
    sealed = load_fetched(node, service)
    key = key_of(node, service, staging(node, service), secret)
    taken: Grant = continue_under(node, service, sealed, raw_grant, key)
    return {"service": service, "generation": str(sealed.header.id), "epoch": taken.epoch, "writer": taken.writer}


def _is_continued(node: Node, service: str, grant: Grant) -> bool:
    """Whether the same line was typed before, to its end: the key holder's command prints it, too."""
    newest = chain_of(node, service).newest_grant()
    taken = newest is not None and newest.statement == grant.statement
    return taken and not staging(node, service).exists() and is_written_here(node, service)


def _continued_text(shown: dict[str, Any]) -> str:
    return "{writer} continues {service} from generation {generation} in epoch {epoch}.".format(**shown)


def _show_survey(node: Node, service: str, asked: Path | None) -> int | None:
    found = survey_all(node, service)
    newest = found.newest().name
    less = offer_less(node, service, found, newest)
    emit({"service": service, **text.survey_json(found, newest, less)}, text.survey_text(found, newest))
    doubt = show_dwindled(node, service, found, str(asked or f"{service}{REQUEST}"))
    return warn(node, service, found) or doubt
