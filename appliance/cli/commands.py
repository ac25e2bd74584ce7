"""The table of commands. A command's module is imported when it is called: `appliance --help` stays under 150 ms.

Groups whose verbs need much have a table of their own, in the module of the group.
"""

from __future__ import annotations

from dataclasses import dataclass

PROGRAM = "appliance"
LAB = "appliance_lab"
"""The package of the test bench, which is installed on no node: its verbs are offered where it is."""
COMPLETION_VARIABLE = "_APPLIANCE_COMPLETE"  # click's name for it; the scripts of `appliance completion` set it


@dataclass(frozen=True)
class Entry:
    """Where a command or a verb lives, and its one line in the help of what it stands under.

    `module` is below appliance.cli, or stands in full. `now` makes it the old name of a verb: it works, is not listed,
    and says the new one.
    """

    module: str
    attribute: str
    help: str
    now: str = ""

    @property
    def full_module(self) -> str:
        return self.module if self.module.startswith(f"{LAB}.") else f"appliance.cli.{self.module}"


COMMANDS = {
    "status": Entry("status_cmd", "status", "How safe each service is, the worst first."),
    "doctor": Entry(
        "doctor_cmd", "doctor", "Every check of this node, what to do about it, and the page that says more."
    ),
    "backup": Entry("backup_cmd", "backup", "Begin services, back up, verify, mend, drill, continue after a loss."),
    "restore": Entry(
        "restore_cmd", "restore", "Find a file by name; bring it, a folder or everything back; undo that."
    ),
    "territory": Entry("territory_cmd", "territory", "Check, show, plan and sign the territory; grant epochs."),
    "node": Entry("node_cmd", "node", "Make a node, show it and its keys, give it its bundle and its door."),
    "act": Entry("act_cmd", "act", "Sign, accept and list acts of operators, such as a loss."),
    "account": Entry("account_cmd", "account", "Who works at this town hall: one password for the shares."),
    "agent": Entry("agent_cmd", "agent", "Run this node's agent."),
    "failover": Entry("failover_cmd", "failover", "What a node does when another dies or is cut off, and why."),
    "portal": Entry("portal_cmd", "portal", "The pages on which people get their files back, and their journal."),
    "pki": Entry("pki_cmd", "pki", "TLS certificates of the nodes, from a root that is kept offline."),
    "voter": Entry("voter_cmd", "voter", "Who votes on who holds a service: show and settle them."),
    "vault": Entry("vault_cmd", "vault", "What this node holds for others: list, scrub, repair, thin, hand on."),
    "escrow": Entry("escrow_cmd", "escrow", "The recovery key on paper and the envelopes that it opens."),
    "lab": Entry(
        "appliance_lab.cli.lab_cmd",
        "lab",
        "Boot a territory as hosts of this machine, break it, play stories, measure.",
    ),
    "demo": Entry(f"{LAB}.cli.demo_cmd", "demo", "Show the whole promise on this machine, in 40 s or so."),
    "completion": Entry("completion_cmd", "completion", "Print the completion script of a shell."),
}
