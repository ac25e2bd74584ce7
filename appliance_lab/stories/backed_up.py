"""The agent of a node backs up by itself, and two peers in other failure domains sign for it, over the mesh."""

from __future__ import annotations

from pathlib import Path

from appliance.config.load import load
from appliance.node.handle import open_node
from appliance.units import format_bytes
from appliance_lab.checkers.tree_record import take
from appliance_lab.demo.search import files_with, needles_of, prove_search
from appliance_lab.demo.whole import held_names, prove_whole
from appliance_lab.hosts.provision import folders_of
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, STANDBY, StoryContext
from appliance_lab.story import require

STATE = "/srv/appliance/node"


def backed_up(context: StoryContext) -> str:
    """Safe at two peers, which hold every byte of it; what travelled went through the mesh; the blind peer is blind."""
    shown = context.wait_until_safe(SERVICE, ORIGIN)
    counted = sorted(shown["safety"]["counted"])
    require(counted == sorted((STANDBY, BLIND)), f"the copies are at {counted}.")
    documents = documents_of(context)
    context.taken[SERVICE] = take(documents, as_root=True)
    hashed = 0
    for peer in counted:
        held = open_node(context.disk(peer, STATE))
        hashed += prove_whole(held, SERVICE, held_names(held, SERVICE))
        through = _through_the_mesh(context, peer)
        require(through >= int(shown["generation_bytes"]), f"only {format_bytes(through)} of it came by the mesh.")
    _prove_blind(context)
    return (
        f"generation {shown['generation']} of {format_bytes(shown['generation_bytes'])} is safe at "
        f"{' and '.join(counted)}, which it reached through the mesh; {format_bytes(hashed)} hashed there; "
        f"{BLIND} can read nothing of it"
    )


def documents_of(context: StoryContext) -> Path:
    """The folder of the service's documents on its origin, seen from this machine."""
    return context.disk(*next(it for it in folders_of(load(context.control.inventory)) if it[0] == ORIGIN))


def _through_the_mesh(context: StoryContext, peer: str) -> int:
    """Bytes that `peer` got from the origin through WireGuard since the mesh is up."""
    key = context.json(ORIGIN, "node", "show")["keys"]["mesh"]
    lines = context.did(peer, "wg", "show", "mesh0", "transfer").splitlines()
    return sum(int(received) for who, received, _ in map(str.split, lines) if who == key)


def _prove_blind(context: StoryContext) -> None:
    keys = context.disk(ORIGIN, f"{STATE}/services/{SERVICE}/key")
    secrets = [(keys / "passphrase").read_bytes(), (keys / "keyfile").read_bytes().split(b"\n", 1)[1]]
    documents = documents_of(context)
    needles = needles_of(documents, secrets)
    prove_search(needles, documents, context.disk(ORIGIN, STATE))
    hits = files_with(needles.all, context.disk(BLIND, STATE))
    require(not hits, f"{BLIND} can see something of {ORIGIN}'s: {', '.join(hits[:3])}")
