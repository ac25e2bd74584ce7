"""Certificates for the nodes of a territory in process mode, as the control machine and the key holder make them."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.clock import SystemClock
from appliance.provision.certificate import accept
from appliance.trust import pki
from appliance_lab.processes.territory import ProcessTerritory


@dataclass(frozen=True)
class Issuer:
    """A root and its intermediate, both keys at hand."""

    root: pki.Certificate
    intermediate: pki.Certificate
    key: pki.Key


def begin(domain: str) -> Issuer:
    now, root_key, key = SystemClock().now(), pki.new_key(), pki.new_key()
    root = pki.make_root(root_key, domain, now)
    return Issuer(root, pki.make_intermediate(root_key, root, pki.make_request(key, "nodes"), domain, now), key)


def give(territory: ProcessTerritory, issuer: Issuer) -> None:
    """A certificate for every node, by the bundle in force, which names the root (`ProcessTerritory.ca`)."""
    now = SystemClock().now()
    revoked = pki.to_pem(pki.make_list(issuer.key, issuer.intermediate, (), now))
    for name, node in territory.nodes.items():
        bundle = territory.open(name).bundle
        own = pki.read_key((node.layout.keys / "tls.pem").read_bytes())
        public = bundle.member(name).keys.tls
        made = pki.issue(issuer.key, issuer.intermediate, pki.make_request(own, name), name, public, now)
        chain = b"".join(map(pki.to_pem, (made, issuer.intermediate, issuer.root)))
        accept(node.layout, bundle, name, chain + revoked, now)
