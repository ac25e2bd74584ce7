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
    and says the new one. A `hidden` one is not listed either.
    """

    module: str
    attribute: str
    help: str = ""
    now: str = ""
    hidden: bool = False

    @property
    def of_the_lab(self) -> bool:
        return self.module.startswith(f"{LAB}.")

    @property
    def full_module(self) -> str:
        return self.module if self.of_the_lab else f"appliance.cli.{self.module}"


COMMANDS = {
    "status": Entry("status.status", "status", "Show how safe each service is, the worst first."),
    "doctor": Entry(
        "status.doctor", "doctor", "Run every check of this node; print remedies and the page that says more."
    ),
    "backup": Entry("backup.group", "backup", "Begin services, back up, verify, repair, drill, continue after a loss."),
    "restore": Entry(
        "restore.group", "restore", "Find a file by name; restore it, a folder or everything; undo a restore."
    ),
    "survey": Entry(
        "survey", "survey", "Measure folders: their size and what changes in a day, as territory.yml asks for them."
    ),
    "territory": Entry("territory.group", "territory", "Check, show, plan and sign the territory; grant epochs."),
    "node": Entry("node.group", "node", "Make a node, show it and its keys, give it its bundle and its sshd."),
    "act": Entry("act", "act", "Sign, accept and list acts of operators, such as a loss."),
    "account": Entry("account.group", "account", "Manage the accounts of people at this town hall."),
    "agent": Entry("internal.agent", "agent", now="internal agent"),
    "failover": Entry(
        "failover.group", "failover", "Move services between nodes after a failure, a flood warning or by hand."
    ),
    "portal": Entry("portal.group", "portal", "Show the journal of the pages on which people restore their files."),
    "monitor": Entry("monitor.group", "monitor", "Try the messages that a monitoring node sends."),
    "pki": Entry(
        "pki.group",
        "pki",
        "Make and sign the certificate that issues those of the nodes, under a root that is kept offline.",
    ),
    "voter": Entry(
        "voter.group", "voter", "Show and maintain the voters, which record the lease holder of each service."
    ),
    "vault": Entry("vault.group", "vault", "List, scrub, repair, prune and replicate what this node holds for others."),
    "escrow": Entry("escrow.group", "escrow", "Make and test the recovery key on paper, and open envelopes."),
    "lab": Entry(
        f"{LAB}.cli.lab_cmd", "lab", "Boot a territory as hosts on this machine, inject faults, play stories, measure."
    ),
    "demo": Entry(f"{LAB}.cli.demo_cmd", "demo", "Show the whole promise on this machine, in about 40 s."),
    "completion": Entry("completion", "completion", "Print the completion script of a shell."),
    "internal": Entry("internal.group", "internal", "Run what units, playbooks and the pages type.", hidden=True),
}
