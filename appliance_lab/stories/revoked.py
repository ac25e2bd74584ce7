"""The standby's box is stolen, switched on and online: what it could do ends, and what it could open starts over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.backup.vault.replicas import replica_of
from appliance.config.load import load
from appliance.host.command import run
from appliance.node.handle import open_node
from appliance.units import format_bytes, format_count, format_duration
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts.provision import grant
from appliance_lab.stories.backed_up import STATE
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, SPARE, STANDBY, StoryContext
from appliance_lab.story import require

PLAYBOOK = "revoke_node"
LEFT = (ORIGIN, BLIND, SPARE)
LET_IN = 6
"""How the forced command ends for a key that it knows and that asked for something else than the vault."""
OPTIONS = ("BatchMode=yes", "ConnectTimeout=5", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
COMMAND_SECONDS_MAX = 120.0


def revoked(context: StoryContext) -> str:
    """Take the standby's keys back, play the playbook, grant, play it again; then knock as the thief would."""
    before = context.wait_until_safe(SERVICE, ORIGIN)
    require(_knock(context, _address(context, BLIND)) == LET_IN, f"{STANDBY} was not let in before.")
    cost = _revoke(context, "--dry-run")
    _revoke(context, "--key", str(context.control.territory_key), "--yes")
    runs = [context.play(PLAYBOOK, STANDBY)]
    ends = tuple(check(context) for check in (_ssh, _mesh, _tls))
    require(grant(context.lab, context.control), "no service asked for the grant of a new repository.")
    runs.append(context.play(PLAYBOOK, STANDBY))
    context.back_up(SERVICE)
    after = context.wait_until_safe(SERVICE, ORIGIN)
    renewed = _started_over(context, before, after)
    again = context.play(PLAYBOOK, STANDBY)
    require(again.changed == 0, f"a further run changed {again.changed} things.")
    seconds = sum(it.seconds for it in runs)
    return f"{_told(cost)}; after {seconds:.0f} s of playbooks {'; '.join((*ends, renewed))}"


def _revoke(context: StoryContext, *words: str) -> Mapping[str, Any]:
    """Revoke the node as the key holder does, on the control machine."""
    control = context.control
    argv = (*appliance_argv(), "--json", "node", "revoke", STANDBY, "--reason", "stolen in the night")
    where = ("--territory", str(control.inventory))
    env = {"PYTHONPATH": str(code_folder())}
    done = run((*argv, *where, *words), timeout_seconds=COMMAND_SECONDS_MAX, env=env, check=True)
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def _address(context: StoryContext, node: str) -> str:
    return load(context.control.inventory).node(node).reach


def _knock(context: StoryContext, address: str) -> int:
    """How ssh ends that comes from the stolen box, with its key, at a neighbour's vault account."""
    options = " ".join(f"-o {it}" for it in OPTIONS)
    words = f"timeout 30 ssh {options} -i {STATE}/keys/ssh_ed25519 vault-{STANDBY}@{address} true </dev/null"
    return context.ssh(STANDBY, words).exit_code


def _ssh(context: StoryContext) -> str:
    for node in LEFT:
        account = context.ssh(node, f"test -e /etc/appliance/vault_keys/vault-{STANDBY}")
        require(account.exit_code == 1, f"{node} still has a key of {STANDBY}.")
        for address in (_address(context, node), load(context.control.inventory).node(node).address):
            code = _knock(context, address)
            require(code not in (0, LET_IN), f"{STANDBY} was let in at {address}.")
    return f"{STANDBY} is let in at none of {len(LEFT)} neighbours, over the mesh or beside it"


def _mesh(context: StoryContext) -> str:
    key = context.did(STANDBY, f"cat {STATE}/keys/mesh.pub").strip()
    for node in LEFT:
        peers = context.did(node, "wg show mesh0 peers").split()
        require(key not in peers, f"{STANDBY} still is a peer of {node} in the mesh.")
    return "it is nobody's peer in the mesh"


def _tls(context: StoryContext) -> str:
    """Its certificate against the list that a neighbour has, asked of openssl."""
    own = context.ssh(STANDBY, f"cat {STATE}/tls/certificate.pem").stdout
    words = "-CAfile root.pem -untrusted certificate.pem -crl_check -CRLfile revoked.pem"
    done = context.ssh(BLIND, f"cd {STATE}/tls && openssl verify {words} /dev/stdin", stdin=own)
    said = (done.stdout + done.stderr).decode(errors="replace")
    require("certificate revoked" in said, f"its certificate is still believed: {said.strip()[-200:]}")
    return "its certificate is on the list"


def _started_over(context: StoryContext, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    old, new = (int(str(it["generation"]).split(".")[0]) for it in (before, after))
    require(new > old, f"{SERVICE} goes on in epoch {new}, as before.")
    replica = replica_of(open_node(context.disk(BLIND, STATE)), SERVICE)
    held = [it for it in replica.listed() if it.held]
    require(held[0].epoch <= old, f"{BLIND} holds nothing any more of before.")
    paths = {entry.path for entry in replica.entries(held[-1].name)}
    require(f"envelopes/{STANDBY}.age" not in paths, f"the new key is sealed to {STANDBY} too.")
    repositories = {_repository(replica.grant(epoch)) for epoch in (held[0].epoch, held[-1].epoch)}
    require(len(repositories) == 2, "it is the repository that it was.")
    return f"{SERVICE} is safe in a new repository with a new key, in epoch {new}, beside the old copies"


def _repository(raw: bytes) -> str:
    """For which repository a grant is; the holder checked it before it kept it."""
    return str(json.loads(raw.splitlines()[0])["repository"])


def _told(cost: Mapping[str, Any]) -> str:
    size = sum(it["bytes"] for it in cost["services"])
    seconds = sum(it["seconds"] for it in cost["services"])
    begin = format_count(len(cost["services"]), "service starts", "services start")
    return f"{begin} over, {format_bytes(size)} in {format_duration(seconds)} declared"
