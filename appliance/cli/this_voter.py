"""The voter on the node that a command is about, and a line to it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from appliance.cli.this_layout import this_layout
from appliance.coordination.argv import Member
from appliance.coordination.gateway import Voter
from appliance.coordination.tls import client_tls
from appliance.errors import Refused
from appliance.provision import voter as voters
from appliance.trust.bundle import Bundle
from appliance.trust.identity import Identity, load_territory
from appliance.voter.etcd_admin import EtcdAdmin


def this_voter() -> tuple[str, Member, EtcdAdmin]:
    """This node, its voter and a line to it."""
    layout = this_layout()
    name, member, domain = member_here(*load_territory(layout))
    return name, member, EtcdAdmin(Voter(member.client_url, f"{name}.{domain}"), client_tls(layout.tls))


def member_here(identity: Identity, bundle: Bundle) -> tuple[str, Member, str]:
    """This node, its voter, and the domain of the territory; raise Refused where none is by the bundle."""
    member = voters.member_of(bundle, identity.name)
    if member is None:
        declared = ", ".join(sorted(bundle.voting.keys)) or "none"
        remedy = f"Run this on a voter. Voters by the bundle: {declared}."
        raise Refused(f"{identity.name} is not a voter.", remedy=remedy)
    return identity.name, member, bundle.territory.domain


async def closing[Answer](admin: EtcdAdmin, asked: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        return await asked
    finally:
        await admin.close()
