"""A town hall's box is lost with its disk; another takes its place, and every file is there again."""

from __future__ import annotations

from appliance.config.load import load
from appliance.node.handle import open_node
from appliance.units import format_bytes
from appliance_lab.checkers.tree_record import Difference, Record, compare, take
from appliance_lab.counters import prove_counters
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts.lab import changing
from appliance_lab.hosts.playbook import Played
from appliance_lab.hosts.provision import grant, meet, sign
from appliance_lab.stories.backed_up import STATE, documents_of
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, SPARE, STANDBY, StoryContext
from appliance_lab.stories.owners import Names, read_names, renumbered
from appliance_lab.story import require

PLAYBOOK = "replace_node"
PERSON = "jeanne.martin"
OLD_KEY = "/run/key-of-a-lost-node"
SETTINGS = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
OPTIONS = tuple(word for it in (*SETTINGS, "ConnectTimeout=10") for word in ("-o", it))


def replaced(context: StoryContext) -> str:
    """Wipe the origin, meet the box in its place, sign and grant where the playbook asks for it: all is as it was."""
    _let_somebody_in(context)
    epoch = _epoch(context.wait_until_safe(SERVICE, ORIGIN))
    before, owners = take(documents_of(context), as_root=True), read_names(context.disk(ORIGIN, "/etc"))
    old_key = context.disk(ORIGIN, f"{STATE}/keys/ssh_ed25519").read_bytes()
    wipe(context)
    runs = _replace(context)
    found = differences(context, before, owners)
    require(not found, f"{len(found)} differ: {'; '.join(map(str, found[:3]))}")
    require(PERSON in str(context.json(ORIGIN, "account", "list")["accounts"]), "its people are not let in any more.")
    context.back_up(SERVICE)
    after = _epoch(context.wait_until_safe(SERVICE, ORIGIN))
    require(after > epoch, f"it goes on in epoch {after}, as before the loss.")
    prove_counters(open_node(context.disk(peer, STATE)) for peer in (STANDBY, BLIND))
    said = knock_with(context, old_key)
    size, seconds = sum(it.size for it in before.entries.values()), sum(it.seconds for it in runs)
    return (
        f"{len(before.entries)} entries, {format_bytes(size)}, are identical with mode, owner, times and attributes, "
        f"after {len(runs)} runs of {seconds:.0f} s in all; the same repository goes on in epoch {after}; the lost "
        f"box's key is refused ({said})"
    )


def differences(context: StoryContext, before: Record, owners: Names) -> list[Difference]:
    """Return what at the origin is not as `before`, when `owners` had its names; the folder of the share itself, which
    `site` makes, has its own time."""
    after = renumbered(take(documents_of(context), as_root=True), read_names(context.disk(ORIGIN, "/etc")), owners)
    return [it for it in compare(before, after) if (it.path, it.what) != (".", "mtime_ns")]


def _let_somebody_in(context: StoryContext) -> None:
    """An account at the origin, with its password, in what the node saves of itself."""
    if PERSON not in str(context.json(ORIGIN, "account", "list")):
        context.did(ORIGIN, "appliance", "account", "add", PERSON, stdin=b"un long mot pour entrer\n")
    context.back_up(f"appliance-{ORIGIN}")


def wipe(context: StoryContext, name: str = ORIGIN) -> None:
    """Another box stands where that node stood: an empty disk, another host key, root's SSH."""
    lab = context.lab
    with changing(context.paths, context.name):
        node = lab.plan.node(name)
        labs.wipe(lab, node)
        labs.power_on(lab, node)
        labs.wait_for_ssh(lab, (node,))


def _replace(context: StoryContext) -> list[Played]:
    """Three runs of the same line; between them the key holder signs, and grants."""
    lab, control = context.lab, context.control
    require(meet(lab, control, lab.plan.node(ORIGIN)), f"{ORIGIN} has the host key that it had before.")
    runs = [context.play(PLAYBOOK, ORIGIN)]
    require(sign(lab, control), "no new keys were collected.")
    runs.append(context.play(PLAYBOOK, ORIGIN))
    require(grant(lab, control), "nothing asked for a grant.")
    return [*runs, context.play(PLAYBOOK, ORIGIN)]


def _epoch(shown: object) -> int:
    """The epoch of the newest generation in an answer of `backup show`."""
    assert isinstance(shown, dict)
    return int(str(shown["generation"]).split(".")[0])


def knock_with(context: StoryContext, key: bytes) -> str:
    """Return the answer of the standby's sshd to an attacker who has the lost box's disk and stands in the same
    network."""
    context.did(SPARE, f"umask 077; cat >{OLD_KEY}", stdin=key)
    address = load(context.control.inventory).node(STANDBY).reach
    words = ("ssh", "-i", OLD_KEY, *OPTIONS, f"vault-{ORIGIN}@{address}", "true")
    said = context.refused(SPARE, *words, f"; e=$?; rm {OLD_KEY}; exit $e")
    require("Permission denied" in said, f"the lost box's key met with: {said}")
    return said
