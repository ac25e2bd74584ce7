"""Who may say what to a vault, by what the signed bundle says of the caller. Pure; what is not allowed here is refused."""

from __future__ import annotations

from appliance.errors import Forbidden
from appliance.trust.bundle import Bundle, Terms
from appliance.trust.grant import Grant

WRITER = frozenset({"head", "put", "prove", "get-own"})
ORIGIN = frozenset({"head", "get-own"})
STANDBY = frozenset({"head", "get"})
HOLDER = frozenset({"head", "get", "put-relayed"})
MONITOR = frozenset({"head"})


def verbs(bundle: Bundle, terms: Terms, caller: str, grant: Grant | None) -> frozenset[str]:
    """The verbs of `caller` for the service of `terms`, whose newest known grant is `grant`."""
    allowed: frozenset[str] = frozenset()
    member = bundle.members.get(caller)
    if member is None:
        return allowed
    if caller == terms.origin:
        allowed |= ORIGIN
    # The origin brings its first grant along; afterwards only the holder of the newest grant writes.
    if (grant is None and caller == terms.origin) or (grant is not None and grant.writer == caller):
        allowed |= WRITER
    if caller in terms.standbys:
        # A standby may come to promote itself: it then brings the grant that names it.
        allowed |= STANDBY | {"put"}
    if caller in terms.holders or caller in terms.spares:
        allowed |= HOLDER
    if "monitor" in member.node.roles:
        allowed |= MONITOR
    return allowed


def check(bundle: Bundle, terms: Terms, caller: str, grant: Grant | None, verb: str) -> None:
    """Raise Forbidden unless `caller` may say `verb`."""
    if verb not in verbs(bundle, terms, caller, grant):
        raise Forbidden(f'"{caller}" may not "{verb}" {terms.name} here.', remedy="Ask the maintenance team.")
