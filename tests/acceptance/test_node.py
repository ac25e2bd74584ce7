"""Each node by itself: its programs run, it judges itself well, its data is safe, and it lets in nobody else."""

from __future__ import annotations

import re

from tests.acceptance.looking import Looked, admitted, named

UNITS = (
    "appliance-agent.service",
    "appliance-apply.path",
    "nftables.service",
    "ssh.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
)
UNITS_OF_ROLES = {
    "voter": ("appliance-voter.service", "appliance-broker.service"),
    "monitor": (
        "prometheus.service",
        "prometheus-alertmanager.service",
        "appliance-outbox.service",
        "appliance-test-letter.timer",
    ),
    "mirror": ("appliance-mirror.service",),
}
"""Units that a role starts. All others of a node follow from its bundle, and `apply` there names one that is idle."""
NOT_LOCAL = re.compile(r"^(?P<protocol>tcp|udp)://(?P<address>\S+):(?P<port>\d+)$")
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")
SSHD = (
    "passwordauthentication no",
    "kbdinteractiveauthentication no",
    "permitrootlogin without-password",
    "authenticationmethods publickey",
)
LOCKED = ("*", "!")
CLOCK_SECONDS_MAX = 30


def test_its_agent_runs_and_looked_a_moment_ago(node: Looked) -> None:
    (own,) = node.judged("node")
    told = [f"{it['sentence']} {it['remedy']}" for it in own["reasons"] if it["check"] == "agent"]
    node.require(not told, " ".join(told))
    node.require(own["agent_running"], "its agent does not run. On it: systemctl start appliance-agent")


def test_it_finds_nothing_about_itself_that_failed_or_is_unknown(node: Looked) -> None:
    (own,) = node.judged("node")
    node.require(not (told := named(own, "failed", "unknown")), " ".join(told))


def test_each_service_that_it_writes_is_safe(node: Looked) -> None:
    for it in node.judged("written"):
        told = " ".join(named(it, "failed", "unknown")) or it["summary"]
        node.require(it["state"] in ("ok", "warning"), f"{it['subject']}: {told}")
        node.require(it["safe"] or it["writer"] != node.name, f"{it['subject']}: {it['summary']}")


def test_each_replica_that_it_holds_is_here_and_recent(node: Looked) -> None:
    for it in node.judged("held"):
        told = " ".join(named(it, "failed", "unknown")) or it["summary"]
        node.require(it["state"] in ("ok", "warning"), f"{it['subject']}: {told}")


def test_no_unit_has_failed(node: Looked) -> None:
    failed = [line.split()[0] for line in node.said("failed units").splitlines()]
    node.require(not failed, f"{', '.join(failed)} failed. On it: systemctl status {' '.join(failed)}")


def test_its_units_run_and_start_at_each_boot(node: Looked) -> None:
    for unit in (*UNITS, *(unit for role in node.roles for unit in UNITS_OF_ROLES.get(role, ()))):
        service = node.host.service(unit)
        node.require(service.is_running, f"{unit} does not run. On it: systemctl status {unit}")
        node.require(service.is_enabled, f"{unit} does not start at boot. On it: systemctl enable {unit}")


def test_it_is_what_its_bundle_says(node: Looked) -> None:
    found = node.answer("apply", 0, 4)
    told = [*found["changed"], *found["failed"].values()]
    again = "On it: appliance internal node apply --enable; or run the playbook site."
    node.require(not told, f"it differs from bundle {found['serial']} in {', '.join(told)}. {again}")


def test_the_firewall_admits_what_its_file_says_and_drops_the_rest(node: Looked) -> None:
    rules = node.said("rules")
    node.require("policy drop;" in rules, "its firewall does not drop what it does not admit. Run the playbook site.")
    in_force, written = admitted(rules), admitted(node.said("rules as written"))
    told = ", ".join(f"{protocol} {port}" for protocol, port in sorted(in_force ^ written))
    node.require(
        in_force == written, f"its rules and their file differ at {told}. On it: nft --file /etc/nftables.conf"
    )


def test_nothing_listens_in_its_building_but_what_the_firewall_admits(node: Looked) -> None:
    """At its address in the mesh, programs of its own may listen for each other."""
    open_ports = admitted(node.said("rules"))
    found = (NOT_LOCAL.match(it) for it in node.host.socket.get_listening_sockets())
    others = {
        f"{it['address']}:{it['port']}"
        for it in found
        if it and it["protocol"] == "tcp" and not LOOPBACK.match(it["address"])
        if it["address"] != node.variables["appliance_mesh"]
        if ("tcp", int(it["port"])) not in open_ports
    }
    told = ", ".join(sorted(others))
    node.require(not others, f"a program listens at {told}, where nobody is let in. On it: ss -tlnp")


def test_its_clock_is_right_and_keeps_itself_so(node: Looked) -> None:
    apart = abs(node.clock_ahead_seconds)
    node.require(apart < CLOCK_SECONDS_MAX, f"its clock and this machine's are {apart:.0f} s apart. See: timedatectl")
    synchronised = node.is_container or node.said("synchronised").strip() == "yes"
    node.require(synchronised, "its clock is not synchronised. On it: chronyc sources")


def test_nobody_logs_in_with_a_password(node: Looked) -> None:
    settings = node.said("sshd").splitlines()
    told = ", ".join(it for it in SSHD if it not in settings)
    node.require(not told, f"its sshd does not have: {told}. Run the playbook site.")


def test_no_account_but_root_has_a_password(node: Looked) -> None:
    shadow = [line.split(":")[:2] for line in node.said("passwords").splitlines()]
    opened = [name for name, word in shadow if not word.startswith(LOCKED) and (name != "root" or not word)]
    node.require(not opened, f"{', '.join(opened)} can have a password. On it: passwd --lock {' '.join(opened)}")


def test_it_takes_security_updates_by_itself_and_no_others(node: Looked) -> None:
    origins = re.findall(r'"([^"]*origin=[^"]*)"', node.said("updates"))
    told = ", ".join(origins) or "none"
    safe = len(origins) == 1 and "Debian-Security" in origins[0]
    node.require(safe, f"it takes updates by itself from: {told}. Run the playbook site.")
