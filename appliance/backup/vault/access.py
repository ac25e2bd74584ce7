"""The verbs that each caller may use at a vault, by what the signed bundle says of it. Pure; all else is refused."""

from __future__ import annotations

from appliance.errors import Forbidden, Refused
from appliance.trust.bundle import Bundle, Terms
from appliance.trust.grant import Grant

WRITER = frozenset({"head", "put", "prove", "get-own", "still"})
# "put" brings the grant that names its writer along, and only that writer gets past it (`offer.check_writer`). So who
# may ever be granted the service may say it: after a takeover the origin too, which comes back with a newer grant.
ORIGIN = frozenset({"head", "put", "get-own"})
STANDBY = frozenset({"head", "put", "get"})
REPLICA_NODE = frozenset({"head", "get", "put-relayed"})
MONITOR = frozenset({"head"})
FORMER = frozenset({"head", "put-relayed"})  # until the present holders have what it has; then it gives that up
TAKING = frozenset({"put", "put-relayed", "still"})


def verbs(bundle: Bundle, terms: Terms, caller: str, grant: Grant | None) -> frozenset[str]:
    """The verbs of `caller` for the service of `terms`, whose newest known grant is `grant`."""
    allowed: frozenset[str] = frozenset()
    member = bundle.members.get(caller)
    if member is None:
        return allowed
    if caller == terms.origin:
        allowed |= ORIGIN
    # The origin brings its first grant along; afterwards only the holder of the newest grant asks for proofs.
    if (grant is None and caller == terms.origin) or (grant is not None and grant.writer == caller):
        allowed |= WRITER
    if caller in terms.standbys:
        allowed |= STANDBY
    if caller in terms.replica_nodes or caller in terms.spares:
        allowed |= REPLICA_NODE
    if bundle.former.ceased(terms.name, caller):
        allowed |= FORMER
    if "monitor" in member.node.roles:
        allowed |= MONITOR
    return allowed


def check(bundle: Bundle, terms: Terms, caller: str, grant: Grant | None, verb: str, *, here: str) -> None:
    """Raise Forbidden unless `caller` may say `verb`, Refused when the node `here` was not chosen to hold the
    service, or nobody is any more."""
    if verb not in verbs(bundle, terms, caller, grant):
        raise Forbidden(f'"{caller}" may not "{verb}" {terms.name} here.', remedy="Ask the maintenance team.")
    if verb in TAKING and (left := bundle.left(terms.name)):
        raise Refused(
            f"{terms.name} {left.told}: no new generation of it is accepted.",
            remedy="To continue it, put it back into territory.yml and sign again.",
        )
    if verb in TAKING and here not in (*terms.replica_nodes, *terms.spares):
        raise Refused(
            f"{here} is neither a replica node nor a spare of {terms.name}.",
            remedy="Push to the replica nodes that `appliance territory plan` names.",
        )
