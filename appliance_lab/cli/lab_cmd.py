"""`appliance lab`: what tests, the demo and benchmarks need; nothing here touches a real node."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

HOSTS, FAULTS = "appliance_lab.cli.hosts_cmd", "appliance_lab.cli.faults_cmd"
VERBS = {
    "bench": Entry(
        "appliance_lab.cli.bench_cmd",
        "bench",
        "Measure our figures and those of borg and borgmatic on this machine, in turns, with every fsync and check on.",
    ),
    "check": Entry(
        "appliance_lab.cli.check_cmd",
        "check",
        "Check the history in FILE: no second writer, no lost write, and recovery in time.",
    ),
    "console": Entry(HOSTS, "console", "Print what NODE wrote to its console since it was created."),
    "corpus": Entry(
        "appliance_lab.cli.corpus_cmd",
        "corpus",
        "Generate the documents of a French town hall in DIR, a new or empty folder, or change those generated before.",
    ),
    "cut": Entry(
        FAULTS,
        "cut",
        "Block all traffic: pull the cable of NODE, or cut the link between the sites A and B.",
    ),
    "delay": Entry(
        FAULTS,
        "delay",
        "Delay packets by DELAY each way, such as 20ms: a round trip takes 40 ms more.",
    ),
    "down": Entry(HOSTS, "down", "End a lab and everything it made, also after a crash."),
    "exec": Entry(
        HOSTS,
        "exec_",
        "Run CMD as root on NODE, from its console side: also when no network reaches it.",
    ),
    "heal": Entry(
        FAULTS,
        "heal",
        "Remove every fault of the targets, or of the whole lab when none is named.",
    ),
    "power-off": Entry(HOSTS, "power_off", "Switch NODE off; its disk stays."),
    "power-on": Entry(HOSTS, "power_on", "Switch NODE on and wait until it answers."),
    "probe": Entry(
        FAULTS,
        "probe",
        "Test this machine's kernel features, and show what a lab uses in place of missing ones.",
    ),
    "provision": Entry(
        "appliance_lab.cli.provision_cmd",
        "provision",
        "Provision every node of a running lab as its territory says, and print what to type next.",
    ),
    "shell": Entry(HOSTS, "shell", "Open a shell as root on NODE, from its console side."),
    "status": Entry(HOSTS, "status", "Show the state of each node and the faults in force."),
    "story": Entry(
        "appliance_lab.cli.story_cmd",
        "story",
        "Play STORY on this machine and write a report of what held to DIR.",
    ),
    "throttle": Entry(FAULTS, "throttle", "Limit traffic to RATE each way, such as 512kbit or 10mbit."),
    "up": Entry(
        HOSTS,
        "up",
        "Boot every node of a territory as a Debian host; running ones are left as they are.",
    ),
    "wipe": Entry(
        HOSTS,
        "wipe",
        "Replace NODE by a new box with an empty disk, root SSH and new host keys.",
    ),
}

lab = LazyGroup(
    "lab", entries=VERBS, help="Boot a territory as hosts on this machine, inject faults, play stories, measure."
)
