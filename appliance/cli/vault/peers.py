"""`appliance vault ping` and `exchange`: whether the vaults of the peers answer, and what each of them lacks, now."""

from __future__ import annotations

from typing import Any

import click

from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.peers.exchange import catch_up
from appliance.backup.peers.exchange import exchange as compare_holders
from appliance.backup.peers.replicate import Replicated
from appliance.cli.arguments import NAME_TYPE, SERVICE_TYPE, dry_run_option
from appliance.cli.output import emit, table
from appliance.cli.this_node import this_node
from appliance.cli.vault.care import held_services
from appliance.errors import WARNINGS, ApplianceError, NotFound, Unreachable
from appliance.node.handle import Node
from appliance.territory.implicit import implicit_name


@click.command()
@click.argument("peers", metavar="[PEER...]", type=NAME_TYPE, nargs=-1)
def ping(peers: tuple[str, ...]) -> int | None:
    """Ask the vault of each PEER, by default of all, for an answer: over the network, through its sshd.

    A refusal counts as an answer. Exits with 7 when a vault did not answer.
    """
    node = this_node()
    names = [node.bundle.member(name).name for name in peers] or sorted(node.bundle.members.keys() - {node.name})
    with Lines(node) as lines:
        _, failed = lines.ask_all(names, lambda conversation: _ping(conversation, implicit_name(node.name)))
    silent = {name: str(it) for name, it in failed.items() if isinstance(it, Unreachable)}
    rows = [(name, silent.get(name, "answers")) for name in names]
    emit({"answered": [name for name in names if name not in silent], "silent": silent}, table(("PEER", "VAULT"), rows))
    return Unreachable.exit_code if silent else None


def _ping(conversation: Conversation, service: str) -> None:
    conversation.ask("head", service)
    conversation.channel.read_frame()


@click.command()
@click.argument("service", type=SERVICE_TYPE, required=False)
@dry_run_option
def exchange(service: str | None, dry_run: bool) -> int | None:
    """Compare the replicas here, of SERVICE or of all, with the other replica nodes, and send each what it lacks.

    The agent does this every hour. Exits with 1 when a replica node did not answer or could not be brought up to date.
    With --dry-run the others are asked, but nothing is sent.
    """
    node = this_node()
    names = held_services(node, service)
    if not names:
        raise NotFound("this node holds nothing for others.")
    found = [_exchange(node, name, dry_run) for name in names]
    headings = ("SERVICE", "ANSWERED", "WOULD BRING" if dry_run else "BROUGHT", "PROBLEMS")
    emit({"services": found, "dry_run": dry_run}, table(headings, [_row(it, dry_run) for it in found]))
    return WARNINGS if any(it["silent"] or it["failed"] for it in found) else None


def _exchange(node: Node, service: str, dry_run: bool) -> dict[str, Any]:
    findings = compare_holders(node, service)
    done = {} if dry_run else catch_up(node, service, findings)
    return {
        "service": service,
        "newest": findings.newest,
        "answered": list(findings.answered),
        "silent": dict(findings.silent),
        "lacking": {peer: list(names) for peer, names in findings.to_bring.items()},
        "brought": {peer: list(it.taken) for peer, it in done.items() if isinstance(it, Replicated)},
        "failed": {peer: str(it) for peer, it in done.items() if isinstance(it, ApplianceError)},
    }


def _row(found: dict[str, Any], dry_run: bool) -> tuple[str, str, int, str]:
    brought = sum(len(names) for names in found["lacking" if dry_run else "brought"].values())
    told = " ".join(f"{peer}: {why}" for peer, why in {**found["silent"], **found["failed"]}.items())
    return found["service"], ", ".join(found["answered"]) or "-", brought, told or "-"
