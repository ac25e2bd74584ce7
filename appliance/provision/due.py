"""Which parts of a host are not what its bundle says: asked once, it spares a playbook one question for each."""

from __future__ import annotations

from appliance.errors import ApplianceError
from appliance.provision.apply import THIS_HOST, Host, apply_part, one_at_a_time
from appliance.provision.files import PARTS
from appliance.provision.observe import Declared, declared
from appliance.provision.plan import wanted
from appliance.trust.bundle import Bundle


def due(bundle: Bundle, name: str, host: Host = THIS_HOST) -> tuple[str, ...]:
    """The parts to which `appliance internal node apply --enable` would do anything, or may: that cannot be told."""
    with one_at_a_time(host):
        here = declared(host.root)
        return tuple(part for part in PARTS if _is_due(bundle, name, here, part, host))


def _is_due(bundle: Bundle, name: str, here: Declared, part: str, host: Host) -> bool:
    try:
        [made] = wanted(bundle, name, here, (part,))
        changes = apply_part(made, host, dry_run=True)
    except ApplianceError:
        return True  # the person who applies it sees why
    return bool(changes.changed or changes.reloads)
