"""A clerk spoils a document and deletes another; from a PC of the town hall both come back without anybody's help."""

from __future__ import annotations

import secrets

from appliance.config.load import load
from appliance.host.network import netns
from appliance.secret import Secret
from appliance_lab.hosts.pc import NO_PASSWORD, Pc
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, StoryContext
from appliance_lab.story import require

CLERK = "marie.dupont"
FOLDER, FILE = "Conseil d’été", "Délibération n° 12.txt"
FIRST, SPOILT = "Le conseil approuve le budget.", "azerty"
OLD_SMB = ("--option=client min protocol=NT1", "--option=client max protocol=NT1")


def previous_versions(context: StoryContext) -> str:
    """Read a file as it was, take a deleted one out of the bin; guests, old SMB, writing into the past are refused."""
    share = load(context.control.inventory).service(SERVICE).share
    clerk = new_clerk(context)
    clerk.did(share, f'mkdir "{FOLDER}"')
    clerk.put(share, f"{FOLDER}/{FILE}", FIRST)
    context.json(ORIGIN, "internal", "node", "snapshot", "--on-demand")
    clerk.put(share, f"{FOLDER}/{FILE}", SPOILT)
    versions = clerk.versions(share, f"{FOLDER}/{FILE}")
    require(bool(versions), "no previous version is shown.")
    # A backup that began meanwhile has made one too.
    pasts = [f"{it}/{FOLDER}" for it in versions if clerk.get(share, f"{it}/{FOLDER}/{FILE}") == FIRST]
    require(bool(pasts), "no previous version is what was written.")
    past = pasts[0]
    for command in (f'del "{past}/{FILE}"', f'mkdir "{past}/x"', f'put /etc/hostname "{past}/{FILE}"'):
        require(bool(clerk.refusal(share, command)), f"something was written into a previous version: {command}")
    require(clerk.get(share, f"{past}/{FILE}") == FIRST, "the previous version has changed.")
    clerk.did(share, f'del "{FOLDER}/{FILE}"')
    require(clerk.get(share, f"Corbeille/{FOLDER}/{FILE}") == SPOILT, "what was deleted is not in the bin.")
    refused = _refused(context, clerk, share)
    # Her text is in the copies from here on: later steps count on that.
    context.back_up(SERVICE)
    return f"{CLERK} read “{FILE}” as it was and found it in the bin after deleting it; refused: {refused}"


def new_clerk(context: StoryContext) -> Pc:
    """A PC in the town hall of ORIGIN with an account of its own that was just made."""
    password = f"lavoir-{secrets.token_hex(8)}"
    line = ("appliance", "--json", "account", "add", CLERK, "--title", "Marie")
    made = context.ssh(ORIGIN, *line, stdin=f"{password}\n".encode())
    require(made.exit_code == 0, f"the account could not be made: {made.tail()}")
    return pc_at(context, ORIGIN, CLERK, Secret(password.encode()))


def pc_at(context: StoryContext, node: str, name: str = "", password: Secret = NO_PASSWORD, *options: str) -> Pc:
    """A PC in the building of `node` that turns to the server of ORIGIN."""
    plan = context.lab.plan
    place = plan.site(plan.node(node).site).namespace
    return Pc(netns.inside(place, ()), str(plan.node(ORIGIN).address), name, password, options)


def _refused(context: StoryContext, clerk: Pc, share: str) -> str:
    attempts = {
        "a guest": pc_at(context, ORIGIN),
        "a wrong password": pc_at(context, ORIGIN, CLERK, Secret(b"azerty azerty")),
        "SMB 1": pc_at(context, ORIGIN, CLERK, clerk.password, *OLD_SMB),
        "a PC of another town hall": pc_at(context, BLIND, CLERK, clerk.password),
    }
    for who, pc in attempts.items():
        require(bool(pc.refusal(share, "ls")), f"{who} came in.")
    return ", ".join(attempts)
