"""`appliance failover promote` and `quarantine`: what only a signed act may decide."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import click

from appliance import typed
from appliance.backup.peers.elsewhere import served
from appliance.backup.peers.fetch import survey_all
from appliance.backup.vault.replicas import replica_of
from appliance.cli.act import taken_back_text
from appliance.cli.arguments import (
    FILE_TYPE,
    NAME_TYPE,
    command,
    dry_run_option,
    naming,
    read_file,
    service_argument,
)
from appliance.cli.failover.store import ask
from appliance.cli.failover.takeover_cost import cost_of_takeover, text_of
from appliance.cli.output import emit, say
from appliance.cli.this_node import this_node
from appliance.errors import NotFound, Refused
from appliance.failover.fsm.model import Policy
from appliance.failover.moving import View
from appliance.node.acts import accept_act
from appliance.node.handle import Node
from appliance.territory.model import Service
from appliance.trust.act import Act, read_act
from appliance.trust.in_force import takes_back

act_option = click.option("--act", "file", metavar="FILE", type=FILE_TYPE, help="The file of the signed act.")


@click.command()
@service_argument
@act_option
@dry_run_option
def promote(service: str, file: Path | None, dry_run: bool) -> None:
    """Make this node the writer of SERVICE, in place of any other: its origin is lost or unreachable (needs a signed
    act).

    A live writer is replaced too, once its lease must have expired; what it still writes alone is kept as a branch. If
    the act names a generation, such as the last clean one before an attack, the service continues from that one and not
    from the newest.
    """
    node = this_node()
    sign = _sign_promote(node, service)
    node.bundle.territory.service(service)
    said = _read(node, file, "promote", node.name, service, sign) if file else None
    view = ask(node, lambda store: store.view(service))
    _check_candidate(node, view)
    if said is None:
        raise _unsigned("promote", node.name, f"{view.holder} still holds it. {sign}" if view.holder else sign)
    act, raw = said
    if act.generation:
        _check_held(node, service, act.generation)
    who = f"{view.holder or view.writer or 'nobody'} will be replaced by {node.name} for {service}"
    told = {"service": service, "node": node.name, "replaces": view.holder or view.writer, "operator": act.operator}
    if dry_run:
        cost = cost_of_takeover(node, service, act.generation)
        stays = "what the old writer sent to no peer stays there, as a branch."
        emit({**told, **asdict(cost), "dry_run": True}, f"{who}; {stays}\n{text_of(cost)}")
        return
    accept_act(node, raw)
    emit(told, f"{who}, once the brokers have granted it.")
    say(f"Watch it: {command('failover', 'status', '--watch')}")


@click.command()
@click.argument("name", metavar="NODE", type=NAME_TYPE)
@act_option
@dry_run_option
def quarantine(name: str, file: Path | None, dry_run: bool) -> None:
    """Quarantine NODE: stop its movable services and reject its leases and votes (needs a signed act).

    The act reaches all brokers and nodes by itself. Exclusive services are then taken over automatically; for each
    local-first service, promote a standby. `appliance node revoke` revokes the keys of NODE. Once NODE is clean or
    replaced, an act signed with `--days 0` ends the quarantine in the same way.
    """
    node = this_node()
    node.bundle.territory.node(name)
    remedy = f"Sign it: appliance act sign quarantine {name} {typed.BY_OPERATOR}"
    if file is None:
        raise _unsigned("quarantine", name, remedy)
    act, raw = _read(node, file, "quarantine", name, "any", remedy)
    if takes_back(act):
        _take_back(node, act, raw, dry_run)
        return
    here = node.bundle.territory.services_of(name)
    moves = [it for it in here if _moves(node, it)]
    names = [it.name for it in here]
    told: dict[str, object] = {"node": name, "operator": act.operator, "services": names, "dry_run": dry_run}
    if dry_run:
        costs = [cost_of_takeover(node, service.name) for service in moves]
        would = f"{name} would be in quarantine by {act.operator}'s act."
        emit({**told, "costs": [asdict(it) for it in costs]}, "\n".join((would, *map(text_of, costs))))
    else:
        accept_act(node, raw)
        emit(told, f"{name} is in quarantine by {act.operator}'s act.")
    for service in (it.name for it in moves if it.policy == Policy.LOCAL_FIRST):
        say(f"Next, at a standby of {service}: {command('failover', 'promote', service, '--act', 'FILE')}")
    say(f"And, on the machine that keeps territory.yml: appliance node revoke {name} --reason WHY --key FILE")


def _moves(node: Node, service: Service) -> bool:
    """Whether another node could take it over; on hosts what has no address of its own stays where it is."""
    return len(service.candidates) > 1 and (bool(service.address) or not node.layout.is_this_host)


def _take_back(node: Node, act: Act, raw: bytes, dry_run: bool) -> None:
    if not dry_run:
        accept_act(node, raw)
    does = "would end" if dry_run else "ends"
    text = f"{act.operator}'s act {does} {taken_back_text(act)}."
    emit({"node": act.subject, "operator": act.operator, "taken_back": True, "dry_run": dry_run}, text)


def _check_candidate(node: Node, view: View) -> None:
    able = view.service.candidates
    if node.name not in able:
        remedy = f"Its candidates: {', '.join(able) or 'none, it is a mirror'}. Run it on one of them."
        raise Refused(f"{node.name} is not a candidate for {view.service.name}.", remedy=remedy)
    if view.service.name not in served(node):
        remedy = (
            "Give the service an `address` in territory.yml, sign, and run the playbook `site`; or restore its files "
            "where they are needed."
        )
        raise Refused(f"{node.name} is not set up to serve {view.service.name}.", remedy=remedy)
    if view.holder == node.name:
        raise Refused(f"{node.name} already holds the lease of {view.service.name}.")
    if node.name != view.service.node and (why := view.unfit.get(node.name, "")):
        raise Refused(f"{node.name} has no replica to serve: {why}", remedy="Another candidate may have a replica.")


def _check_held(node: Node, service: str, generation: str) -> None:
    held = {item.name for item in replica_of(node, service).listed() if item.held}
    if generation not in held and all(generation not in head.held for head in survey_all(node, service).heads):
        remedy = f"List the generations: {command('vault', 'show', service)}"
        raise NotFound(f"no node that answered holds generation {generation} of {service}.", remedy=remedy)


def _sign_promote(node: Node, service: str) -> str:
    return f"Sign it: appliance act sign promote {node.name} --service {service} {typed.BY_OPERATOR}"


def _unsigned(act: str, subject: str, remedy: str) -> Refused:
    return Refused(f'no signed act "{act}" of {subject} was given.', remedy=remedy)


def _read(node: Node, file: Path, act: str, subject: str, service: str, remedy: str) -> tuple[Act, bytes]:
    """The act in `file`; raise Refused unless it says `act` of `subject` for `service`, now."""
    raw = read_file(file)
    with naming(file, "an act"):
        found = read_act(raw, node.bundle.operators)
    lasting = replace(found, end=math.inf) if takes_back(found) else found
    if not lasting.concerns(act, subject, service if found.service != "any" else "any", node.clock.now()):
        says = f'it is "{found.act}" of {found.subject} for {found.service}'
        raise Refused(f'this act is not "{act}" of {subject} in force now: {says}.', where=str(file), remedy=remedy)
    return found, raw
