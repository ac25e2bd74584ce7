"""The certificate authority of a lab, made as in a real territory: the intermediate's key goes from where it is made
through `ansible-vault encrypt` into the control folder; the password and the root's key lie in the safe."""

from __future__ import annotations

import secrets

from appliance.host.command import run
from appliance.host.files import make_private_folder, write_atomic
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts.control_machine import ControlMachine

SECONDS_MAX = 300.0


def make_authority(control: ControlMachine) -> None:
    """Make the root and the intermediate of the territory of `control` where there are none."""
    folder = make_private_folder(control.inventory / "pki")
    if (folder / "intermediate.pem").exists():
        return
    if not control.vault_password.exists():
        write_atomic(control.vault_password, secrets.token_urlsafe(32).encode() + b"\n", mode=0o600)
    env = {"PYTHONPATH": str(code_folder())}
    words = (*appliance_argv(), "pki")
    key = run((*words, "begin", str(control.inventory)), timeout_seconds=SECONDS_MAX, env=env, check=True).stdout
    encrypt = ("ansible-vault", "encrypt", "--vault-password-file", str(control.vault_password))
    sealed = (*encrypt, "--output", str(folder / "intermediate.key"))
    run(sealed, timeout_seconds=SECONDS_MAX, stdin=key, env={"LC_ALL": "C.UTF-8"}, check=True)
    sign = ("sign", str(control.inventory), "--root", str(control.safe / "root.key"), "--yes")
    run((*words, *sign), timeout_seconds=SECONDS_MAX, env=env, check=True)
