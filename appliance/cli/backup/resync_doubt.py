"""The doubts about the newest generation before a node continues from it: silent nodes, missing data."""

from __future__ import annotations

import tempfile
from pathlib import Path

from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.chain.fetched_size import held_by_anybody, lost_most
from appliance.backup.chain.header_sizes import size_of
from appliance.backup.chain.shrink_check import BackupSize
from appliance.backup.peers.elsewhere import comes_back, given_away, is_candidate, is_heard, moves, server_elsewhere
from appliance.backup.peers.fetch import Survey, fetch_documents, short_name
from appliance.backup.peers.openable import offer_less
from appliance.cli.arguments import command
from appliance.cli.output import say
from appliance.errors import WARNINGS, ApplianceError, Refused
from appliance.node.handle import Node
from appliance.trust.generation import Header
from appliance.units import format_bytes, format_count

ANSWERS_MIN = 2  # with fewer, an older state cannot be told from the newest


def check_taking(node: Node, service: str, named: str) -> str:
    """From which node `service` would be taken, "" where nobody else is known to serve it; raise Refused unless
    that node is `named`, and where this node has no part in the service any more."""
    if not is_candidate(node, service):
        raise Refused(
            f"{node.name} is neither the origin nor a standby of {service}.", remedy=given_away(node, service)
        )
    elsewhere = server_elsewhere(node, service)
    if elsewhere != named and elsewhere:
        raise Refused(
            f"{elsewhere} serves {service} now: a new grant for {node.name} would take the service from it, and what "
            "was written there since the newest generation would be lost to the service.",
            remedy=f"{comes_back(node, service)} To accept that loss: --take-from {elsewhere}.",
        )
    if named and not elsewhere:
        say(f"{named} is not known to serve {service} now.")
    return named


def check_heard(node: Node, service: str, taken: str) -> None:
    """Raise Refused where another node was granted `service` last and failover has not heard yet who holds it, as on a
    machine that was just started; unless it is `taken` from a node by name."""
    grant = chain_of(node, service).newest_grant()
    writer = grant.writer if grant else node.name
    if taken or writer == node.name or not moves(node, service) or is_heard(node, service):
        return
    raise Refused(
        f"{writer} has the newest grant of {service}, and it is not known here whether {writer} serves it: failover "
        "has not reached a majority of the voters yet.",
        remedy=f"`{command('failover', 'status')}` shows when it has: then repeat this command. To accept the loss of "
        f"what {writer} wrote since the newest generation: --take-from {writer}.",
    )


def check_dwindled(node: Node, service: str, chain: Chain, fetched: Header, found: Survey, out: str) -> None:
    """Raise Refused for a generation that has lost most of the service: a person who looked into it names it.

    `chain` has the history; the request was to be written to `out`.
    """
    held = held_by_anybody(node, service, found)
    before = lost_most(chain, fetched, held)
    if before is None:
        return
    newest = size_of(fetched)
    sides = [(it, short_name(it.name)) for it in (newest, before)]
    looks = [_look(service, number, held=it.name in held) for it, number in sides]
    goes_on = [_continue(service, number, out) for it, number in reversed(sides) if it.name in held]
    raise Refused(
        f"the newest generation of {service}, {_told(newest)}, has lost most of {_told(before)}: an attacker may "
        "have deleted files with the writer's key.",
        remedy=f"Look into each: {' and '.join(looks)}. Then name the right one: {' or '.join(goes_on)}.",
    )


def show_dwindled(node: Node, service: str, found: Survey, out: str) -> int | None:
    """Say the same before anything is fetched but the history; WARNINGS when there is something to say."""
    with tempfile.TemporaryDirectory() as nowhere:
        chain = Chain(Path(nowhere), node.bundle.granters, service)
        try:
            sealed = fetch_documents(node, service, found, chain)
            check_dwindled(node, service, chain, sealed.header, found, out)
        except ApplianceError as error:
            say(f"Warning: {error}")
            return WARNINGS
    return None


def warn(node: Node, service: str, found: Survey) -> int | None:
    """Say who offers less and who is silent; WARNINGS when anybody is."""
    newest = found.newest().name
    less = offer_less(node, service, found, newest)
    if less:
        say(f"Warning: {', '.join(less)} should hold generation {short_name(newest)} and does not offer it.")
    if found.told():
        say(f"Warning: {found.told()}")
    return WARNINGS if less or found.silent or len(found.heads) < ANSWERS_MIN else None


def _told(it: BackupSize) -> str:
    return f"{short_name(it.name)} with {format_bytes(it.bytes)} in {format_count(it.files, 'file')}"


def _look(service: str, number: str, *, held: bool) -> str:
    source = f"generation:{number}" if held else "local"
    return f"`{command('restore', 'find', 'PART', '--service', service, '--from', source)}`"


def _continue(service: str, number: str, out: str) -> str:
    return f"`{command('backup', 'resync', service, '--request', out, '--generation', number)}`"
