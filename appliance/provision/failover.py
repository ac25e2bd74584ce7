"""What serves on a node and follows the voters, from the bundle alone: which programs of failover run. Pure."""

from __future__ import annotations

from appliance.provision import voter
from appliance.provision.files import Part
from appliance.trust.bundle import Bundle

BROKER = "appliance-broker.service"


def part(bundle: Bundle, name: str) -> Part:
    """The units of failover that run at the node `name`; none in a territory whose voters decide nothing."""
    return Part("failover", units=(BROKER,) if voter.member_of(bundle, name) else ())
