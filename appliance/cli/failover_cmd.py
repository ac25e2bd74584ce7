"""`appliance failover`: what a node does when another dies or is cut off."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "status": Entry(
        "failover_status_cmd",
        "status",
        "Show who holds each service by the voters, who writes it by the newest grant, and how this node stands.",
    ),
    "history": Entry(
        "failover_status_cmd",
        "history",
        "List who took SERVICE over and who let it go, the newest first, as the voters remember it.",
    ),
    "move": Entry(
        "failover_move_cmd",
        "move",
        "Move SERVICE to NODE: its holder saves everything, stops and lets go, and NODE goes on.",
    ),
    "handback": Entry(
        "failover_move_cmd",
        "handback",
        "Give SERVICE back to its home, once that has been caught up with what was written elsewhere for five minutes.",
    ),
    "evacuate": Entry(
        "failover_move_cmd",
        "evacuate",
        "Move every service that a node in ZONE holds to its first candidate outside: before a flood, or a power cut.",
    ),
    "pause": Entry(
        "failover_move_cmd",
        "pause",
        "Let nobody take SERVICE over by itself for some minutes, while somebody works on it.",
    ),
    "promote": Entry(
        "failover_act_cmd",
        "promote",
        "Let this node write SERVICE, whoever did before, as the act in FILE says: its home burnt down, or never "
        "answers.",
    ),
    "quarantine": Entry(
        "failover_act_cmd",
        "quarantine",
        "Have NODE, alive and sick, stop what it serves and could move, as the act in FILE says; nobody believes it.",
    ),
    "merge": Entry(
        "failover_merge_cmd",
        "merge",
        "Bring what this node wrote of SERVICE alone into what others went on with; of what both changed, both stay.",
    ),
    "run": Entry(
        "failover_run_cmd",
        "run",
        "Serve this node's services until SIGTERM: take over, hand over, stop in time, by the table of transitions.",
    ),
    "broker": Entry(
        "failover_broker_cmd",
        "broker",
        "Run this voter's broker until SIGTERM: it answers nodes beside its etcd, and signs grants on proof of its "
        "own.",
    ),
    "check": Entry("appliance_lab.cli.check_cmd", "check", "Judge the history in FILE.", now="lab check"),
    "table": Entry(
        "failover_table_cmd",
        "table_",
        "Print the table of transitions, of all states or of each STATE: when, what is done, what comes next, and why.",
    ),
}

failover = LazyGroup("failover", entries=VERBS, help="What a node does when another dies or is cut off, and why.")
