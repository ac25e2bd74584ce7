"""`appliance node trust-host-key`: first contact with a new machine, by the fingerprint on its screen."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, dry_run_option, identity_option, read_file
from appliance.cli.output import emit, say
from appliance.errors import NotFound, UsageError
from appliance.host.network import known_hosts
from appliance.host.network.route import route_to
from appliance.secret import Secret
from appliance.territory.model import Node, Territory

USER = "root"
PUBLIC_KEY_KINDS = ("ssh-ed25519 ", "ecdsa-sha2-", "ssh-rsa ", "sk-ssh-", "sk-ecdsa-")


@click.command()
@click.argument("machine", metavar="NODE|ADDRESS")
@click.option(
    "--fingerprint",
    required=True,
    metavar="SHA256:...",
    help="The fingerprint of its host key, read on its own screen.",
)
@click.option(
    "--territory",
    "folder",
    metavar="DIR",
    default=".",
    type=FILE_TYPE,
    help="The folder of territory.yml; known_hosts is written there.",
)
@click.option(
    "--install-key",
    metavar="KEY.pub",
    type=FILE_TYPE,
    help="Install this public key, with a password that is asked for or read from standard input.",
)
@identity_option
@click.option(
    "--ssh-config",
    metavar="FILE",
    type=FILE_TYPE,
    help="Settings of ssh in the place of ~/.ssh/config: ProxyJump, ProxyCommand, HostName and identities are obeyed.",
)
@click.option("--replace", is_flag=True, help="The machine is new and replaces one whose key was recorded before.")
@dry_run_option
def trust_host_key(
    machine: str,
    fingerprint: str,
    folder: Path,
    install_key: Path | None,
    identity: Path | None,
    ssh_config: Path | None,
    replace: bool,
    dry_run: bool,
) -> None:
    """Compare the host key of NODE with the fingerprint on its screen; then log in and record the key.

    When they differ, nothing is sent, not even a name, and the command exits with 5. From then on playbooks accept only
    the recorded key for that node. The connection and the keys are those that ssh would use, by ~/.ssh/config. With
    --dry-run the key is compared, without login.
    """
    # Only control machines have paramiko, and nodes need not pay for reading a territory.yml in every `node` verb.
    from appliance.config.load import load, territory_file
    from appliance.host.network import first_contact

    first_contact.check_fingerprint(fingerprint)
    node = _node(load(folder), machine)
    line = _public_line(install_key) if install_key else None
    known = territory_file(folder).with_name(known_hosts.FILE_NAME)
    data = {"node": node.name, "address": node.address, "fingerprint": fingerprint, "known_hosts": str(known)}
    route = route_to(node.address, node.port, USER, ssh_config)
    if dry_run:
        with first_contact.met(route, fingerprint) as transport:
            again = known_hosts.knows(known, node.name, first_contact.host_key_line(transport), replace=replace)
        emit({**data, "known": again, "dry_run": True}, _would(node, known, again, install_key))
        return
    with first_contact.met(route, fingerprint) as transport:
        # Before logging in: what is refused here must not have sent a password either.
        again = known_hosts.remember(known, node.name, first_contact.host_key_line(transport), replace=replace)
        if line:
            first_contact.log_in_by_password(transport, USER, _password(node))
            first_contact.install_key(transport, line)
        else:
            first_contact.log_in_by_key(transport, USER, identity, route)
    told = "was known before" if again else "is met"
    emit({**data, "known": again, "key_installed": bool(line)}, f"{node.name} {told}: {known} has its host key.")
    say(f"Next: ansible-playbook -i {folder} playbooks/bootstrap.yml --limit {node.name}")


def _would(node: Node, known: Path, again: bool, install_key: Path | None) -> str:
    """Return the steps that follow once the key was compared, which it was now."""
    remembered = f"{known} already has its host key" if again else f"its host key would be recorded in {known}"
    way = f"{install_key} would be installed with a password" if install_key else "our key would be tested"
    return f"{node.name} has that fingerprint: {remembered}, then {way}."


def _node(territory: Territory, machine: str) -> Node:
    """The node of that name or address."""
    found = [node for node in territory.nodes.values() if machine in (node.name, node.address)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(node.name for node in found)
        raise UsageError(f"{machine} is the address of {names}.", remedy="Give the name of one.")
    known = ", ".join(f"{node.name} ({node.address})" for node in territory.nodes.values())
    raise NotFound(f'no node has the name or address "{machine}"; known: {known}.')


def _public_line(file: Path) -> str:
    """The public key in `file`, so that neither a private one nor two lines are ever sent."""
    line = read_file(file).decode("utf-8", "replace").strip()
    if not line.startswith(PUBLIC_KEY_KINDS) or "\n" in line:
        raise UsageError("this is not one SSH public key.", where=str(file), remedy="Name the .pub file.")
    return line


def _password(node: Node) -> Secret:
    """From the terminal without echo, or else the first line of standard input: never from arguments or environment."""
    if sys.stdin.isatty():
        return Secret(getpass.getpass(f"Password of {USER} on {node.name}: ").encode())
    return Secret(sys.stdin.readline().rstrip("\n").encode())
