"""`appliance backup begin` and `accept`: start services at their origin, one by one or all that begin here at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance import typed
from appliance.backup.chain.chain import chain_of
from appliance.backup.writer.begin import check_grant, check_is_named, history
from appliance.backup.writer.source_of import source_spec
from appliance.cli.arguments import (
    FILE_TYPE,
    SERVICE_TYPE,
    check_folder,
    check_writable,
    command,
    dry_run_option,
    naming,
    read_file,
    write_file,
)
from appliance.cli.output import emit, say
from appliance.cli.this_node import this_node
from appliance.errors import NotFound, UsageError
from appliance.membership.renew import begin_or_renew, take_begun, to_begin
from appliance.node.handle import Node
from appliance.trust.grant import Grant
from appliance.units import as_typed

REQUEST, GRANT = ".request", ".grant"


@click.command()
@click.argument("service", type=SERVICE_TYPE, required=False)
@click.option("--all", "every", is_flag=True, help="Every service that has its origin here and no grant yet.")
@click.option(
    "--out", required=True, metavar="FILE|DIR", type=FILE_TYPE, help="Where to write the request; a DIR for --all."
)
@dry_run_option
def begin(service: str | None, every: bool, out: Path, dry_run: bool) -> None:
    """Create the repository and the key of SERVICE on its origin, and a signed request for its first grant.

    Use it again once a node that could know its key was revoked: it creates a new repository with a new key beside the
    old one, and the grant replaces the old one.

    With --all, the node's own service is included, and DIR gets a file SERVICE.request for each; a service that peers
    already know is left to `resync`. A second call gives the same repository.
    """
    node = this_node()
    if (service is None) != every:
        raise UsageError("no service was named.", remedy="Give its name, or --all.")
    if service is None:
        _begin_all(node, out, dry_run=dry_run)
        return
    check_writable(out)
    shown = _begin(node, service, out, dry_run=dry_run)
    if dry_run:
        emit(shown, f"{service} would begin at {shown['origin']}, in {node.service(service).root}.")
        return
    emit(shown, f"{service} has its repository here; the request for its first grant is {out}.")
    say_grant(as_typed(str(out)), f"{service}{GRANT}", "backup", "accept", service, f"{service}{GRANT}")


def _begin_all(node: Node, folder: Path, *, dry_run: bool) -> None:
    check_folder(folder)
    check_is_named(node)
    waiting = to_begin(node)
    known = [name for name in waiting if not node.service(name).repository.exists() and history(node, name)]
    for name in known:
        say(
            f"peers already hold generations of {name}: "
            f"{command('backup', 'resync', '--all', '--request', str(folder))}"
        )
    names = [name for name in waiting if name not in known]
    if not names:
        raise NotFound(f"no service of {node.name} waits for its first grant.")
    begun = [_begin(node, name, folder / f"{name}{REQUEST}", dry_run=dry_run) for name in names]
    verb = "would begin" if dry_run else "has its repository here"
    emit({"services": begun}, "\n".join(f"{it['service']} {verb}; request: {it['request']}" for it in begun))
    if not dry_run:
        place = as_typed(str(folder))
        say_grant(f"{place}/*{REQUEST}", place, "backup", "accept", "--all", str(folder))


def _begin(node: Node, service: str, out: Path, *, dry_run: bool) -> dict[str, Any]:
    origin = node.bundle.terms(service).origin
    if not dry_run:
        write_file(out, begin_or_renew(node, service))
    return {"service": service, "origin": origin, "request": str(out), "written": not dry_run}


@click.command()
@click.argument("service", type=SERVICE_TYPE, required=False)
@click.argument("grant", metavar="[GRANT]", type=FILE_TYPE, required=False)
@click.option(
    "--all", "folder", metavar="DIR", type=FILE_TYPE, help="Every SERVICE.grant in DIR that this node waits for."
)
@dry_run_option
def accept(service: str | None, grant: Path | None, folder: Path | None, dry_run: bool) -> None:
    """Install the grant of SERVICE that `backup begin` asked for; from then on this node may write SERVICE."""
    node = this_node()
    if (service is None) != (grant is None) or (grant is None) != (folder is not None):
        raise UsageError("no grant was named.", remedy="Give SERVICE and GRANT, or --all DIR.")
    if service and grant:
        taken = _accept(node, service, grant, dry_run=dry_run)
        emit(_taken_json(taken, dry_run), _taken_text(taken, dry_run))
        if not dry_run:
            _say_next(node, taken)
        return
    assert folder is not None
    files = {name: folder / f"{name}{GRANT}" for name in to_begin(node)}
    found = [_accept(node, name, file, dry_run=dry_run) for name, file in files.items() if file.exists()]
    if not found:
        raise NotFound("there is no grant here that this node waits for.", where=str(folder))
    emit({"grants": [_taken_json(it, dry_run) for it in found]}, "\n".join(_taken_text(it, dry_run) for it in found))
    if not dry_run:
        say(f"Next: {command('internal', 'agent')}")


def _say_next(node: Node, taken: Grant) -> None:
    """A service that starts over on a new machine has its files at its peers, and its former key on the sheet alone."""
    service = taken.service
    if taken.previous:
        is_sealed = is_new_machine(node, service) and node.bundle.recovery
        say_files_come_back(node, service, *(("--recovery-sheet",) if is_sealed else ()))
    say(f"Next: {command('backup', 'run', service)}")


def is_new_machine(node: Node, service: str) -> bool:
    """Whether another machine wrote the service before it was granted to this one."""
    grants = chain_of(node, service).grants()
    newest = grants[max(grants)]
    former = grants.get(newest.previous)
    return former is None or former.writer_key != newest.writer_key


def say_files_come_back(node: Node, service: str, *paper: str) -> None:
    """Propose it where none are there: a backup before them would be of none. A new machine may have what was saved
    since, and then nobody but a person sees what is missing. `paper`: the option for the recovery sheet."""
    brings = command("restore", "all", "--service", service, "--in-place", *paper)
    if source_spec(node, service).is_emptied:
        say(f"Next: {brings}")
    elif is_new_machine(node, service):
        say(f"Next, if files of before are missing: {brings}")


def say_grant(request: str, grant: str, *then: str) -> None:
    """Print what the key holder types to answer `request` with `grant`, words for a shell, and what is typed here
    then."""
    say("Next, the holder of the territory key types:")
    say(f"  {typed.grant(request, grant)}")
    say(f"Then, here: {command(*then)}")


def _accept(node: Node, service: str, file: Path, *, dry_run: bool) -> Grant:
    raw = read_file(file)
    with naming(file, "a grant"):
        checked = check_grant(node, service, raw)
    return checked if dry_run else take_begun(node, service, raw)


def _taken_json(taken: Grant, dry_run: bool) -> dict[str, Any]:
    return {"service": taken.service, "epoch": taken.epoch, "writer": taken.writer, "taken": not dry_run}


def _taken_text(taken: Grant, dry_run: bool) -> str:
    return f"{taken.writer} {'would write' if dry_run else 'writes'} {taken.service} in epoch {taken.epoch}."
