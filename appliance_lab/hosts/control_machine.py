"""The control machine of a lab: a folder as a maintenance team has one, and beside it what lies in a safe elsewhere.

LAB/
  inventory/   territory.yml, group_vars/, territory.pub, recovery.pub, known_hosts, keys/, bundle, requests/, grants/
  safe/        the territory's key, an operator's key, the recovery key: a real territory has them on no such machine
  packages/    our package, as this checkout is
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.escrow.age import RecoveryKey
from appliance.escrow.ceremony import ceremony
from appliance.host.files import make_private_folder, write_atomic
from appliance.secret import Secret
from appliance.trust.keys import create_key
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.plan import UPLINKS

NO_OPERATOR = "keys: []"  # in the territory of a lab, where its operator's key is put
TANG_SERVERS = ("hermitage", "commune-b", "commune-c")
"""Nodes of a lab that would help others open their volume; as containers they have none to open themselves."""


@dataclass(frozen=True)
class ControlMachine:
    """`root` is the lab's own folder."""

    root: Path

    @property
    def inventory(self) -> Path:
        return self.root / "inventory"

    @property
    def safe(self) -> Path:
        return self.root / "safe"

    @property
    def territory_key(self) -> Path:
        return self.safe / "territory"

    @property
    def operator_key(self) -> Path:
        return self.safe / "operator"

    @property
    def vault_password(self) -> Path:
        """The password for the key of the intermediate, encrypted by ansible-vault."""
        return self.safe / "ansible-vault"

    @property
    def paper(self) -> Path:
        """The recovery key, which a real territory has on paper only."""
        return self.safe / "paper"

    @property
    def bundle(self) -> Path:
        return self.inventory / "bundle"

    @property
    def keys(self) -> tuple[Path, ...]:
        return tuple(sorted((self.inventory / "keys").glob("*.json")))

    @property
    def unanswered(self) -> tuple[Path, ...]:
        """The requests that are younger than the grant for their service, or have none."""
        found = sorted((self.inventory / "requests").glob("*.request"))
        return tuple(
            it for it in found if it.stat().st_mtime_ns > _written(self.inventory / "grants" / f"{it.stem}.grant")
        )

    @property
    def signed(self) -> Path:
        """The inputs from which the bundle was signed, as a hash."""
        return self.safe / "signed"

    def to_sign(self) -> str:
        """A hash of all that is signed with the bundle."""
        root = self.inventory / "pki/root.pem"
        files = (
            self.inventory / "territory.yml",
            self.inventory / "recovery.pub",
            *([root] * root.exists()),
            *self.keys,
        )
        return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def set_up(lab: Lab, package: Path) -> ControlMachine:
    """The desk of `lab`, made where it is missing; its territory is the one that the lab was brought up with."""
    control = ControlMachine(lab.own.root)
    for folder in (
        control.safe,
        control.inventory / "group_vars",
        control.inventory / "keys",
        control.inventory / "grants",
    ):
        make_private_folder(folder)
    public = create_key(control.territory_key)
    write_atomic(control.inventory / "territory.pub", public.encode() + b"\n")
    operator = create_key(control.operator_key)
    _take_territory(control, operator)
    write_atomic(control.inventory / "group_vars/all.yml", group_vars(lab, package).encode())
    _make_recovery_key(control)
    return control


def group_vars(lab: Lab, package: Path) -> str:
    """How playbooks reach a lab's nodes, through its core and as root; the addresses that the nodes' firewalls let in
    for that."""
    settings = {
        "ansible_ssh_extra_args": f"-F {lab.own.ssh_config}",
        # Connections that are kept open end with the lab.
        "ansible_control_path_dir": str(lab.own.control_paths),
        # All labs of this machine: a copy of a lab comes from another address.
        "firewall_operators": [str(UPLINKS)],
        "agent_deb": str(package),
        # A developer who changes our code brings it to a lab that is up by the next `make lab`.
        "agent_upgrade_anywhere": True,
        "agent_downgrade": True,
        "storage_tang_servers": [node.name for node in lab.plan.nodes if node.name in TANG_SERVERS],
    }
    return "---\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())


def _take_territory(control: ControlMachine, operator: str) -> None:
    """Take the lab's territory when it is another than at the last time: what was changed here since stays changed."""
    brought, taken = (control.root / "territory.yml").read_text(), control.safe / "territory.yml"
    if taken.exists() and taken.read_text() == brought:
        return
    text = brought.replace(NO_OPERATOR, f'keys: ["{operator}"]')
    write_atomic(control.inventory / "territory.yml", text.encode())
    write_atomic(taken, brought.encode())


def _make_recovery_key(control: ControlMachine) -> None:
    public = control.inventory / "recovery.pub"
    if public.exists():
        return
    shown: list[Secret] = []

    def show(key: RecoveryKey) -> None:
        shown.append(key.secret)
        write_atomic(control.paper, key.secret.reveal() + b"\n", mode=0o600)

    write_atomic(public, ceremony(show, lambda wrong: shown[-1]).encode() + b"\n")


def _written(file: Path) -> int:
    """When `file` was written, in nanoseconds; 0 when it was not."""
    return file.stat().st_mtime_ns if file.exists() else 0


def names(files: Iterable[Path]) -> str:
    return ", ".join(file.stem for file in files)
