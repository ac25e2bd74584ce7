"""Make this host a node: its folder, the files that root alone writes about it, keys that are made in that folder, and
its bundle.

Invariant: a folder that is another node already, or believes another territory's key, is refused before anything is
written, and so is a bundle that would lock out the person who brings it. Root's files come before the keys, so that
keys are never made under a territory key that root was not given. A run that was cut is finished by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.host.account import as_owner
from appliance.host.identity import machine_id
from appliance.host.layout import PROMISES_OF_A_HOST, STATE_OF_A_HOST, NodeLayout
from appliance.membership.bundle import Taken, take_bundle
from appliance.programs.install_share import INSTALLING
from appliance.provision import firewall
from appliance.provision.apply import THIS_HOST, Host, apply, one_at_a_time
from appliance.provision.callers import Caller, operators_first
from appliance.provision.files import OwnedFolder, Part, WantedFile
from appliance.provision.observe import below
from appliance.territory.model import SITES
from appliance.trust.bundle import Bundle
from appliance.trust.identity import PIN_OF_A_HOST, Identity, create_identity, refuse_another, shown_keys
from appliance.trust.keys import PublicKeys
from appliance.trust.root_bundle import SERIAL_OF_A_HOST, check_not_older
from appliance.voter.promises import begin_promises


@dataclass(frozen=True)
class Owners:
    """Accounts of a host: root and root's group, whose the node is, and the group that passes through its folder."""

    root: str = "root"
    root_group: str = "root"
    node: str = "appliance"
    vault: str = "appliance-vault"


@dataclass(frozen=True)
class SetUp:
    """The changes, as paths; the keys that the node shows, None in a dry run on a host that is no node yet; the bundle
    that it was given."""

    changed: tuple[str, ...]
    keys: PublicKeys | None
    bundle: Taken | None = None


OWNERS = Owners()
NOBODY = Caller()
APART = {
    **dict.fromkeys(("acts", "sight"), 0o750),
    **dict.fromkeys(("catalogues", "people", "restores", "services", "voter-care"), 0o700),
}
"""Folders, with their modes, that some units of the account may not write: systemd closes to a unit only what was there
at its start. The account that serves the vault reads the first two by their group (`provision/vault.py`)."""


def part(state: Path, territory_key: str, owners: Owners = OWNERS, operators: str = "") -> Part:
    """Return what root makes for the node in the folder `state`, and the text `operators` where there is one. Pure."""
    let_in = (WantedFile(firewall.OPERATORS, operators, 0o644, owners.root, owners.root_group),) if operators else ()
    return Part(
        "node",
        folders=(
            # Root's, so that the account of the node cannot rename what lies beside its folder.
            OwnedFolder(str(state.parent), "", 0o711, owners.root, owners.root_group),
            OwnedFolder(str(state), "", 0o710, owners.node, owners.vault),
            # Before anything runs: a unit may write only into what was there when it started.
            OwnedFolder(SITES, "", 0o755, owners.node),
            OwnedFolder(f"{SITES}/{INSTALLING}", "", 0o700, owners.node),
            *(
                OwnedFolder(str(state / name), "", mode, owners.node, _reader(mode, owners))
                for name, mode in APART.items()
            ),
        ),
        files=(
            WantedFile(str(STATE_OF_A_HOST), f"{state}\n", 0o644, owners.root, owners.root_group),
            # That account could change what its own folder says; root and the sealing helper compare it with this.
            WantedFile(str(PIN_OF_A_HOST), f"{territory_key}\n", 0o644, owners.root, owners.root_group),
            *let_in,
        ),
    )


def _reader(mode: int, owners: Owners) -> str:
    return owners.vault if mode & 0o070 else ""


def set_up(
    wanted: Identity,
    state: Path,
    host: Host = THIS_HOST,
    *,
    bundle: Bundle | None = None,
    caller: Caller = NOBODY,
    dry_run: bool = False,
    owners: Owners = OWNERS,
) -> SetUp:
    """Make `host` the node `wanted` in the folder `state`, and say what was changed and which keys it shows.

    A given `bundle` is then in force, or this raises as `take_bundle` does. Raise Refused, and change nothing, when
    `state` is another node or believes another key, or when `bundle` would lock out `caller` or is older than one by
    which root set up this host.
    """
    layout = NodeLayout(below(host.root, str(state)))
    with as_owner(layout.root):
        refuse_another(layout, wanted)
        operators = operators_first(host.root, layout.bundle, bundle, wanted, caller) if bundle else ""
    if bundle:
        check_not_older(bundle, below(host.root, str(SERIAL_OF_A_HOST)))
    made = part(state, wanted.territory_key, owners, operators)
    with one_at_a_time(host):
        outcome = apply((made,), host, dry_run=dry_run)
    for error in outcome.failures.values():
        raise error
    changed = outcome.changes[made.name].changed
    with as_owner(layout.root):
        created = () if layout.identity.exists() else (str(state / layout.identity.name),)
        if created and not dry_run:
            create_identity(layout, wanted.name, wanted.territory_key)
            # A node that was just made has promised nothing; without that note its broker would never sign. What an
            # earlier one of this machine promised stands.
            promises = below(host.root, str(PROMISES_OF_A_HOST))
            if not promises.exists():
                begin_promises(promises, machine_id())
        taken = take_bundle(layout, wanted, bundle, dry_run=dry_run) if bundle else None
        keys = None if created and dry_run else shown_keys(layout)
    followed = (str(state / layout.bundle.name),) if taken and taken.serial > taken.before else ()
    return SetUp((*changed, *created, *followed), keys, taken)
