"""The broker of a voter as a program of its own: beside its etcd, it answers nodes and signs grants.

It is no part of the agent, nor of what runs services here: a voter decides about services of others, so nothing that
hangs in its own work may keep it from answering, and it holds the only way to etcd.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.chain.grants import granters_of
from appliance.backup.chain.kept_grants import KeptGrants
from appliance.clock import SystemClock
from appliance.coordination.etcd import Etcd
from appliance.coordination.gateway import Voter
from appliance.coordination.tls import client_tls, server_tls
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.failover.documents import SignedDocuments
from appliance.failover.kept_acts import KeptActs
from appliance.host.identity import machine_id
from appliance.host.network.certificate_fields import public_key_in
from appliance.host.notify import READY, STOPPING, WATCHDOG, notify
from appliance.host.stopping import stop_asked
from appliance.node.current import Current
from appliance.node.handle import Node
from appliance.territory.voters import voters
from appliance.trust.granters import Granters
from appliance.trust.keys import load_key
from appliance.voter.etcd_admin import EtcdAdmin
from appliance.voter.maintenance import VoterMaintenance
from appliance.voter.server import Server
from appliance.voter.session import MORE, BrokerSession
from appliance.voter.signing import Signer
from appliance.voter.state import BrokerState


@dataclass(frozen=True)
class Settings:
    """`etcd`: where the voter beside this broker listens for clients, as "https://127.0.0.1:2379"."""

    etcd: str


def load_settings(path: Path) -> Settings:
    """The settings of a voter; raise NotFound on a node that has none."""
    try:
        fields = json.loads(path.read_bytes())
        return Settings(str(fields["etcd"]))
    except FileNotFoundError as error:
        remedy = 'The role `coordination` writes it: {"format": 1, "etcd": "https://127.0.0.1:2379"}.'
        raise NotFound("this node has no etcd.", where=str(path), remedy=remedy) from error
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("it does not name the address of etcd.", where=str(path)) from error


def serve(state: Path, say: Callable[[str], None]) -> None:
    """Run the broker of the node whose state folder is `state` until SIGTERM or SIGINT."""
    current = Current(state)
    node = current.node
    if node.name not in node.bundle.voting.keys:
        voters = ", ".join(node.bundle.voting.keys) or "none"
        raise Refused(f"{node.name} is not a voter of this territory.", remedy=f"Voters by bundle: {voters}.")
    asyncio.run(_serve(current, load_settings(node.layout.voter), say))


async def _serve(current: Current, settings: Settings, say: Callable[[str], None]) -> None:
    node = current.node
    plan, domain = node.bundle.territory.node(node.name), node.bundle.territory.domain
    tls = client_tls(node.layout.tls) if settings.etcd.startswith("https:") else None
    voter = Voter(settings.etcd, f"{node.name}.{domain}" if tls else "")
    etcd, admin = Etcd((voter,), SystemClock(), tls), EtcdAdmin(voter, tls)
    state = make_state(current)
    server = Server(
        plan.reach,
        plan.broker_port,
        server_tls(node.layout.tls),
        domain,
        lambda caller: BrokerSession(etcd, state, caller),
        MORE,
        is_of=lambda caller, certificate: has_key(current.node, caller, certificate),
        services_of=lambda caller: services_of(current.node, caller),
    )
    stop = stop_asked()
    async with server:
        asking = asyncio.create_task(_ask(state))
        # Not waited for: one that ends leaves the node's doctor to say so, and the broker at work.
        caring = asyncio.create_task(make_maintenance(current, admin, state).run())
        node.journal.note("broker-started", address=f"{server.address}:{server.port}", bundle=node.bundle.serial)
        say(f"The broker of {node.name} listens on {server.address}:{server.port}.")
        notify(READY)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, asking}, return_when=asyncio.FIRST_COMPLETED)
        notify(STOPPING)
        if not asking.cancel():
            asking.result()  # a broker that asks nobody any more is none
        caring.cancel()
        await asyncio.gather(caring, return_exceptions=True)
    await admin.close()
    await etcd.close()
    node.journal.note("broker-stopped", bundle=current.node.bundle.serial)


async def _ask(state: BrokerState) -> None:
    while True:
        state.tick()
        notify(WATCHDOG)
        await asyncio.sleep(state.ask_every_seconds)


def make_maintenance(current: Current, admin: EtcdAdmin, state: BrokerState) -> VoterMaintenance:
    """Return the maintenance of the voter beside this node; its preferred leader follows from the bundle of each
    moment."""
    named: dict[int, str] = {}

    def preferred() -> str:
        bundle = current.node.bundle
        if bundle.serial not in named:
            named.clear()
            named[bundle.serial] = next(iter(voters(bundle.territory).nodes), "")
        return named[bundle.serial]

    node = current.node
    return VoterMaintenance(admin, node.layout.voter_maintenance, node.clock, preferred, node.journal, state.unbelieved)


def make_state(current: Current) -> BrokerState:
    """Return the state of this node's broker at its start: the newest grants that it judged before, and nothing
    else."""
    node = current.node
    kept = KeptGrants(node.layout.voter_maintenance / KeptGrants.FOLDER)

    def granters(service: str) -> Granters:
        return granters_of(current.node, service).keeping(kept.of(service))

    documents = SignedDocuments(granters, lambda: current.node.bundle.operators)
    documents.take(kept.every())
    signer = Signer(node.layout.promises, machine_id(), load_key(node.signing_key))
    return BrokerState(
        node.name, lambda: current.node.bundle, SystemClock(), documents, signer, KeptActs(current).look, kept.keep
    )


def has_key(node: Node, caller: str, certificate: bytes) -> bool:
    """Whether `certificate` (DER) is of the TLS key that the bundle names for `caller` now."""
    member = node.bundle.members.get(caller)
    return member is not None and public_key_in(certificate) == member.keys.tls


def services_of(node: Node, caller: str) -> int:
    """How many services `caller` may hold, by the bundle of now."""
    return sum(caller in it.candidates for it in node.bundle.territory.services.values())
