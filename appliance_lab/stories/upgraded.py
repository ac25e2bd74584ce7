"""Another version of our package goes from node to node, and no further than to the first that is not well."""

from __future__ import annotations

from pathlib import Path

from appliance.host.command import run
from appliance_lab.checkout import code_folder
from appliance_lab.hosts.playbook import Played, play
from appliance_lab.hosts.provision import COMMAND_SECONDS_MAX
from appliance_lab.stories.context import BLIND, ORIGIN, SPARE, STANDBY, StoryContext
from appliance_lab.story import require

PLAYBOOK = "upgrade"
SICK = "/etc/systemd/system/appliance-agent.service.d/sick.conf"
BREAK = (
    f"mkdir -p $(dirname {SICK}) && printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >{SICK}",
    "&& systemctl daemon-reload",
)
MEND = (
    f"rm {SICK} && systemctl daemon-reload && systemctl reset-failed appliance-agent.service",
    "&& systemctl restart appliance-agent.service",
)


def upgraded(context: StoryContext) -> str:
    """The agent of one node cannot start again: it stops there, the next keeps its version; repaired, it goes on."""
    package = new_package(context)
    version = package.name.split("_")[1]
    former = version_of(context, SPARE)
    context.did(BLIND, *BREAK)
    stopped = _play(context, package)
    said = " ".join(stopped.text.split())
    require(stopped.exit_code != 0, "it went on over a node that is not well.")
    require(f"{BLIND} is not well" in said, f"it stopped for another reason: {stopped.tail()}")
    require(f"/var/cache/appliance/appliance_{former}_all.deb" in said, "it does not say how to go back.")
    there = {node: version_of(context, node) for node in (STANDBY, ORIGIN, BLIND, SPARE)}
    expected = {STANDBY: version, ORIGIN: version, BLIND: version, SPARE: former}
    require(there == expected, f"the versions are {there}.")
    again = _play(context, package)
    require(again.exit_code != 0, "a node that is not well was taken for one that is.")
    require(version_of(context, SPARE) == former, f"{SPARE} was upgraded over a node that is not well.")
    context.did(BLIND, *MEND)
    ended = _play(context, package)
    require(ended.exit_code == 0, f"repaired, it ended with {ended.exit_code}: {ended.tail()}")
    require(version_of(context, SPARE) == version, f"{SPARE} was left behind.")
    return f"it stopped at {BLIND}, {SPARE} kept {former}; repaired, all have {version} ({ended.seconds:.0f} s)"


def new_package(context: StoryContext) -> Path:
    """Our package once more, under a later version."""
    folder = context.control.root / "next"
    argv = (str(code_folder() / "scripts/deb"), "99.0", str(folder))
    return Path(run(argv, timeout_seconds=COMMAND_SECONDS_MAX, check=True).stdout.decode().split()[-1])


def version_of(context: StoryContext, node: str) -> str:
    return context.did(node, "dpkg-query", "--show", "'--showformat=${Version}'", "appliance").strip()


def _play(context: StoryContext, package: Path) -> Played:
    return play(context.control, PLAYBOOK, "-e", f"agent_deb={package}", "-e", "upgrade_tries=5")
