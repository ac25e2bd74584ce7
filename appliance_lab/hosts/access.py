"""How a person, Ansible and tests reach the nodes: a key of the lab's own, host keys read from the console side."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from appliance.host.command import run
from appliance.host.files import write_atomic
from appliance.host.network import netns
from appliance_lab.hosts import reach
from appliance_lab.hosts.paths import LabPaths
from appliance_lab.hosts.plan import SSH_PORT, Node, Plan

ANSWER_SECONDS_MAX = 2.5  # a lost first packet is sent again after one second
_HEARD = (b"SSH-", b"Not ")
"""How a greeting begins, and "Not allowed at this time": who often looks without logging in is kept waiting a while."""


def answers(plan: Plan, node: Node) -> bool:
    """Whether the node's sshd is there."""
    try:
        with netns.connect(plan.core, str(node.address), SSH_PORT, ANSWER_SECONDS_MAX) as connection:
            return connection.recv(4, socket.MSG_WAITALL) in _HEARD
    except OSError:
        return False


def write_access(paths: LabPaths, plan: Plan, host_keys: Mapping[str, str]) -> None:
    """Write known_hosts and ssh_config for the nodes whose host key is known."""
    known = "".join(f"{name} {key}\n" for name, key in host_keys.items())
    write_atomic(paths.known_hosts, known.encode(), mode=0o600)
    write_atomic(paths.ssh_config, ssh_config(paths, plan).encode(), mode=0o600)


def hang_up(paths: LabPaths) -> None:
    """End the connections that playbooks keep open: they would outlive the lab for two minutes."""
    for kept in paths.control_paths.glob("*"):
        run(("ssh", "-F", "none", "-o", f"ControlPath={kept}", "-O", "exit", "node"), timeout_seconds=60)


def ssh_config(paths: LabPaths, plan: Plan) -> str:
    """The file for `ssh -F`: nodes by name or address; an unknown or changed host key is refused."""
    hosts = "".join(f"Host {node.name} {node.address}\n" + _lines(_of_node(node)) + "\n" for node in plan.nodes)
    return hosts + "Host *\n" + _lines(_of_all(paths, plan))


def _of_node(node: Node) -> Mapping[str, str]:
    return {"HostName": str(node.address), "HostKeyAlias": node.name}


def _of_all(paths: LabPaths, plan: Plan) -> Mapping[str, str]:
    return {
        "User": "root",
        "Port": str(SSH_PORT),
        "IdentityFile": str(paths.key),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": str(paths.known_hosts),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ProxyCommand": f"{sys.executable} -I -S {Path(reach.__file__)} {plan.core} %h %p",
        "ProxyUseFdpass": "yes",
    }


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"    {name} {value}\n" for name, value in settings.items())
