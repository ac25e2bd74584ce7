"""`appliance lab`: what tests, the demo and benchmarks need; nothing here touches a real node."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

HOSTS, FAULTS = "appliance_lab.cli.hosts_cmd", "appliance_lab.cli.faults_cmd"
VERBS = {
    "bench": Entry(
        "appliance_lab.cli.bench_cmd",
        "bench",
        "Measure our figures against borg and borgmatic on this machine, in turns, with every fsync and check on.",
    ),
    "check": Entry(
        "appliance_lab.cli.check_cmd",
        "check",
        "Judge the history in FILE: was there ever a second writer, was anything lost, did it come back in time?",
    ),
    "console": Entry(HOSTS, "console", "Print what NODE wrote to its console since it was born."),
    "corpus": Entry(
        "appliance_lab.cli.corpus_cmd",
        "corpus",
        "Make the documents of a French town hall in DIR, a new or empty folder, or change those made there before.",
    ),
    "cut": Entry(
        FAULTS,
        "cut",
        "Let nothing pass any more: pull the cable of NODE, or dig up the link between the sites A and B.",
    ),
    "delay": Entry(
        FAULTS,
        "delay",
        "Let packets take DELAY longer each way, such as 20ms: a round trip takes 40 ms more.",
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
        "Take every fault of the targets away, of the whole lab when none is named.",
    ),
    "power-off": Entry(HOSTS, "power_off", "Switch NODE off; its disk stays."),
    "power-on": Entry(HOSTS, "power_on", "Switch NODE on and wait until it answers."),
    "probe": Entry(
        FAULTS,
        "probe",
        "Try what this machine's kernel offers, and say what a lab uses for what it lacks.",
    ),
    "provision": Entry(
        "appliance_lab.cli.provision_cmd",
        "provision",
        "Make every node of a lab that is up what its territory says, and say what to type next.",
    ),
    "shell": Entry(HOSTS, "shell", "Open a shell as root on NODE, from its console side."),
    "status": Entry(HOSTS, "status", "Say how each node is, and which faults are in force."),
    "story": Entry(
        "appliance_lab.cli.story_cmd",
        "story",
        "Play STORY on this machine; a report in DIR says what held.",
    ),
    "throttle": Entry(FAULTS, "throttle", "Let at most RATE pass each way, such as 512kbit or 10mbit."),
    "up": Entry(
        HOSTS,
        "up",
        "Boot every node of a territory as a Debian host; those that run are left as they are.",
    ),
    "wipe": Entry(
        HOSTS,
        "wipe",
        "Take the disk of NODE and switch on a new box in its place, with only root SSH and new host keys.",
    ),
}

lab = LazyGroup(
    "lab", entries=VERBS, help="Boot a territory as hosts of this machine, break it, play stories, measure."
)
