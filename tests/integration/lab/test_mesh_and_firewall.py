"""The mesh and the firewall on hosts: which node reaches which, what an attacker finds, and what stays so after a power
cut.

commune-b and commune-c are behind a carrier's NAT. The last tests take nodes away: they come last.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

import pytest

from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance.provision import firewall
from appliance.provision.link import INTERFACE
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts import machine
from appliance_lab.hosts.lab import Lab
from tests.integration.lab.meshed import MESH, Meshed, until

RELAY, REACHABLE, HIDDEN, LEAVES = MESH
MESH_PORT = "51820"
UDP_SAMPLE = ("53", "67", "111", "123", "137", "161", "1900", "5353", MESH_PORT, "51821")
SILENT = dict.fromkeys(UDP_SAMPLE, "silence")
# What each node may show, written down here and not asked of the node: 22 is SSH, 3142 the package cache, 7654 the help
# to open a disk (desk.TANG_SERVERS), 443 the pages and 445 the shares, 2380 what voters say to voters, 7412 where a
# voter's broker answers nodes, 9100 and 9470 what exporters tell the monitoring node.
SHOWN_TO_THE_MESH = {
    (REACHABLE, RELAY): [22, 3142, 7412],
    (REACHABLE, HIDDEN): [22, 7412],
    (REACHABLE, LEAVES): [22, 7412],
    (HIDDEN, REACHABLE): [22],
    (HIDDEN, RELAY): [22, 2380, 3142, 7412],
    (LEAVES, HIDDEN): [22, 2380, 7412],
    (RELAY, REACHABLE): [22, 9100, 9470],
    (RELAY, HIDDEN): [22, 2380, 7412, 9100, 9470],
}
SHOWN_TO_NODES_BESIDE_IT = {RELAY: [7654]}
SHOWN_TO_THE_CONTROL_MACHINE = {REACHABLE: [22]}
SHOWN_TO_ITS_BUILDING = {REACHABLE: [443, 445]}
# What docs/how-to/join.md has an operator write for playbooks.
OVER_THE_RELAY = """
Host 10.77.2.10
    HostName 10.64.0.3
    ProxyJump hermitage
Host hermitage
    HostName 10.77.0.10
    HostKeyAlias hermitage
    User root
Host *
    User root
    IdentityFile {key}
    IdentityAgent none
    UserKnownHostsFile {known}
    StrictHostKeyChecking yes
"""
OTHER = "SHA256:" + "A" * 43

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def hosts(provisioned: Lab) -> Meshed:
    made = Meshed(provisioned)
    made.hide(HIDDEN, LEAVES)
    for source, target in permutations(MESH, 2):
        until(lambda s=source, t=target: made.greets(s, MESH[t]), f"{source} reaches {target}")  # type: ignore[misc]
    return made


@pytest.fixture
def outsider(hosts: Meshed) -> str:
    """Where somebody is who plugs a laptop in at commune-a: no node, no key, no operator."""
    return hosts.lab.plan.site(REACHABLE).namespace


@contextmanager
def typed_by_its_root(hosts: Meshed, node: str, *commands: str) -> Iterator[None]:
    """Type commands of root on `node` to its own mesh; afterwards it is again what the bundle says."""
    for command in commands:
        hosts.run(node, "sh", "-euc", command)
    try:
        yield
    finally:
        # Where the old interface goes a moment late the unit fails, and tries again by itself.
        hosts.run(node, "systemctl", "restart", "appliance-mesh.service", check=False)
        back_in_the_mesh(hosts, node)


@contextmanager
def put_back(hosts: Meshed, node: str, files: Mapping[str, bytes]) -> Iterator[None]:
    """Afterwards the `files` of `node` are what they were, and its mesh is what they say."""
    try:
        yield
    finally:
        for path, text in files.items():
            hosts.run(node, "sh", "-c", f"cat >{path}", stdin=text)
        hosts.run(node, "systemctl", "reload-or-restart", "appliance-mesh.service", check=False)
        back_in_the_mesh(hosts, node)


def back_in_the_mesh(hosts: Meshed, node: str) -> None:
    """Others reach `node` again, those first that it cannot begin to talk to itself, and it reaches them."""
    others = [name for name in (HIDDEN, LEAVES, REACHABLE, RELAY) if name != node]
    for source, target in [*((it, node) for it in others), *((node, it) for it in others)]:
        until(lambda s=source, t=target: hosts.greets(s, MESH[t]), f"{source} reaches {target}")  # type: ignore[misc]


def test_two_nodes_behind_nat_know_each_other_through_the_relay_only(hosts: Meshed) -> None:
    known = hosts.peers(HIDDEN)
    assert hosts.key(LEAVES) not in known
    assert known[hosts.key(RELAY)] == {f"{MESH[RELAY]}/32", f"{MESH[LEAVES]}/32"}
    assert not hosts.greets(RELAY, hosts.address(HIDDEN)), "this carrier lets in what it must not"
    with hosts.counting(RELAY, f"ip saddr {MESH[HIDDEN]} ip daddr {MESH[LEAVES]}", leaving=True) as handed_on:
        assert hosts.greets(HIDDEN, MESH[LEAVES])
        assert int(handed_on) > 0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param(REACHABLE, MESH[HIDDEN], id="from a node that needs no relay"),
        pytest.param(HIDDEN, MESH[REACHABLE], id="to a node that needs no relay"),
        pytest.param(HIDDEN, "10.77.0.1", id="to the relay's own site"),
        pytest.param(HIDDEN, "198.18.0.1", id="to what lies beyond"),
    ],
)
def test_the_relay_hands_on_nothing_else(hosts: Meshed, source: str, target: str) -> None:
    """Root at `source` sends packets for `target` to the relay instead."""
    relay = hosts.key(RELAY)
    allowed = ",".join(sorted(hosts.peers(source)[relay] | {f"{target}/32"}))
    commands = (f"wg set mesh0 peer {relay} allowed-ips {allowed}", f"ip route replace {target}/32 dev mesh0")
    there = f"ip saddr {MESH[source]} ip daddr {target}"
    with (
        typed_by_its_root(hosts, source, *commands),
        hosts.counting(RELAY, f'iifname "mesh0" {there}') as came,
        hosts.counting(RELAY, there, leaving=True) as left,
    ):
        assert not hosts.greets(source, target)
        assert (int(came) > 0, int(left)) == (True, 0)


def test_nobody_speaks_under_the_address_of_another(hosts: Meshed) -> None:
    # A port of its own: the agent at HIDDEN talks to the relay whenever it wants.
    port = 1022
    with hosts.counting(RELAY, f'iifname "mesh0" ip saddr {MESH[HIDDEN]} tcp sport {port} tcp dport 22') as came:
        with typed_by_its_root(hosts, REACHABLE, f"ip addr add {MESH[HIDDEN]}/32 dev mesh0"):
            assert not hosts.greets(REACHABLE, MESH[RELAY], MESH[HIDDEN], port)
            assert int(came) == 0
        assert hosts.greets(HIDDEN, MESH[RELAY], own_port=port)
        assert int(came) > 0, "this counts nothing"


@pytest.mark.parametrize(("source", "target"), SHOWN_TO_THE_MESH)
def test_another_node_finds_over_the_mesh_what_is_declared_and_nothing_else(
    hosts: Meshed, source: str, target: str
) -> None:
    """At the one with shares, no share: these are for the PCs of its building."""
    found = hosts.scan(hosts.namespace(source), target, MESH[target], *UDP_SAMPLE)
    assert found == {"tcp": SHOWN_TO_THE_MESH[source, target], "udp": SILENT}


def test_an_operator_reaches_a_node_behind_nat_over_one_that_takes_packets(hosts: Meshed, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(OVER_THE_RELAY.format(known=hosts.desk.inventory / "known_hosts", key=hosts.lab.own.key))
    options = ("-F", str(config), "-o", "BatchMode=yes", "-o", f"HostKeyAlias={HIDDEN}")
    argv = ("ssh", *options, hosts.address(HIDDEN), "hostname; echo $SSH_CONNECTION")
    said = run(netns.inside(hosts.lab.plan.core, argv), timeout_seconds=300, check=True).stdout.decode().split()
    assert (said[0], said[1], said[3]) == (HIDDEN, MESH[RELAY], MESH[HIDDEN])


def test_another_node_finds_beside_the_mesh_only_who_helps_to_open_its_disk(hosts: Meshed) -> None:
    found = hosts.scan(hosts.namespace(REACHABLE), RELAY, hosts.address(RELAY), *UDP_SAMPLE)
    assert found == {"tcp": SHOWN_TO_NODES_BESIDE_IT[RELAY], "udp": SILENT}


def test_the_control_machine_finds_ssh_at_every_address(hosts: Meshed) -> None:
    found = hosts.scan(hosts.namespace(RELAY), REACHABLE, hosts.address(REACHABLE))
    assert found["tcp"] == SHOWN_TO_THE_CONTROL_MACHINE[REACHABLE]


def test_a_stranger_on_the_same_network_finds_what_the_town_hall_serves_there(hosts: Meshed, outsider: str) -> None:
    assert_closed(hosts, outsider)


def assert_closed(hosts: Meshed, outsider: str) -> None:
    found = hosts.scan(outsider, REACHABLE, hosts.address(REACHABLE), *UDP_SAMPLE)
    assert found == {"tcp": SHOWN_TO_ITS_BUILDING[REACHABLE], "udp": SILENT}


def test_a_stranger_does_not_get_into_the_mesh_by_the_cable(hosts: Meshed, outsider: str) -> None:
    """By sending what is for its address in the mesh to the node's network card."""
    target = f"{MESH[REACHABLE]}/32"
    netns.batch(outsider, (f"route replace {target} via {hosts.address(REACHABLE)}",))
    try:
        assert hosts.scan(outsider, REACHABLE, MESH[REACHABLE])["tcp"] == []
    finally:
        netns.batch(outsider, (f"route del {target}",))


@pytest.mark.parametrize("cut", [False, True], ids=["switched off", "cut from its power"])
def test_a_node_that_starts_again_is_as_closed_and_in_the_mesh(hosts: Meshed, outsider: str, cut: bool) -> None:
    hosts.start_again(REACHABLE, cut=cut)
    assert_closed(hosts, outsider)
    back_in_the_mesh(hosts, REACHABLE)


def test_the_mesh_of_a_host_without_wireguard_comes_back_when_its_process_dies(hosts: Meshed) -> None:
    before = hosts.said(REACHABLE, "systemctl", "show", "-P", "MainPID", "appliance-mesh-userspace")
    if before == "0":
        pytest.skip("this kernel has WireGuard: there is no such process")
    hosts.run(REACHABLE, "kill", "-9", before)
    back_in_the_mesh(hosts, REACHABLE)


def test_a_name_that_has_no_address_keeps_nobody_else_out_of_the_mesh(hosts: Meshed) -> None:
    unit, config = "appliance-mesh.service", f"/etc/wireguard/{INTERFACE}.conf"
    key = b64encode(b"k" * 32).decode()
    peer = f"\n[Peer]\nPublicKey = {key}\nAllowedIPs = 10.64.9.9/32\nEndpoint = mairie.invalid:51820\n"
    before = {path: hosts.run(REACHABLE, "cat", path).stdout for path in (config, "/etc/hosts")}
    with put_back(hosts, REACHABLE, before):
        hosts.run(REACHABLE, "sh", "-c", f"cat >>{config}", stdin=peer.encode())
        hosts.run(REACHABLE, "systemctl", "restart", unit)
        back_in_the_mesh(hosts, REACHABLE)
        hosts.run(REACHABLE, "systemctl", "reload", unit)
        assert "no address for mairie.invalid" in hosts.said(REACHABLE, "journalctl", "-u", unit, "-n", "20")
        hosts.run(REACHABLE, "sh", "-c", "cat >>/etc/hosts", stdin=b"192.0.2.7 mairie.invalid\n")
        at = f"{key}\t192.0.2.7:51820"
        until(lambda: at in hosts.said(REACHABLE, "wg", "show", INTERFACE, "endpoints"), "it is asked for again")


def test_what_tells_over_the_mesh_waits_for_it(hosts: Meshed) -> None:
    """At a start the mesh may come late; nobody is there to start anything by hand."""
    tells = "prometheus-node-exporter.service"
    try:
        hosts.run(REACHABLE, "systemctl", "stop", "appliance-mesh.service")
        hosts.run(REACHABLE, "systemctl", "restart", tells)
        failed = ("systemctl", "show", "-P", "NRestarts", tells)
        until(lambda: int(hosts.said(REACHABLE, *failed)) > 1, "it tries again")
    finally:
        hosts.run(REACHABLE, "systemctl", "start", "appliance-mesh.service")
    at = f"{MESH[REACHABLE]}:9100"
    until(lambda: at in hosts.said(REACHABLE, "ss", "-Hltn"), "it listens there")
    back_in_the_mesh(hosts, REACHABLE)


def test_rules_that_would_lock_out_the_operator_are_refused(hosts: Meshed) -> None:
    before, own = (hosts.said(REACHABLE, *it) for it in (("nft", "list", "ruleset"), ("cat", firewall.OPERATORS)))
    apply = "appliance internal node apply --part firewall"
    try:
        for typed in (
            f"echo 203.0.113.0/24 >/tmp/operators && {apply} --dry-run --operators /tmp/operators",
            f"{apply} --operators /tmp/operators",
        ):
            refused = hosts.ssh(REACHABLE, typed)
            assert (refused.exit_code, "no longer admit" in refused.tail()) == (8, True), refused.tail()
            assert hosts.said(REACHABLE, "cat", firewall.OPERATORS) == own
        written_by_hand = hosts.ssh(REACHABLE, f"cp /tmp/operators {firewall.OPERATORS} && {apply}")
        assert (written_by_hand.exit_code, "no longer admit" in written_by_hand.tail()) == (8, True)
        assert hosts.ssh(REACHABLE, "true").exit_code == 0
        assert without_counters(hosts.said(REACHABLE, "nft", "list", "ruleset")) == without_counters(before)
    finally:
        hosts.run(REACHABLE, "tee", firewall.OPERATORS, stdin=own.encode() + b"\n")


def without_counters(rules: str) -> list[str]:
    return [line for line in rules.splitlines() if "counter" not in line]


def test_operators_are_kept_and_let_in_at_once(hosts: Meshed) -> None:
    own = hosts.said(REACHABLE, "cat", firewall.OPERATORS)
    apply = ("appliance", "internal", "node", "apply", "--part", "firewall", "--operators", "/dev/stdin")
    try:
        hosts.run(REACHABLE, *apply, stdin=f"{own}\n203.0.113.0/24\n".encode())
        assert hosts.said(REACHABLE, "cat", firewall.OPERATORS).endswith("203.0.113.0/24")
        assert "203.0.113.0/24" in hosts.said(REACHABLE, "nft", "list", "ruleset")
    finally:
        hosts.run(REACHABLE, *apply, stdin=own.encode() + b"\n")
    assert "203.0.113.0/24" not in hosts.said(REACHABLE, "nft", "list", "ruleset")
    mesh = ("appliance", "internal", "node", "apply", "--part", "mesh", "--operators", "/dev/stdin")
    refused = hosts.run(REACHABLE, *mesh, stdin=b"", check=False)
    assert (refused.exit_code, "only the firewall uses operators" in refused.tail()) == (2, True)


def meet(hosts: Meshed, node: str, mark: str) -> Result:
    """First contact with `node`, from the operators' network."""
    words = (
        *appliance_argv(),
        "node",
        "trust-host-key",
        node,
        "--fingerprint",
        mark,
        "--territory",
        str(hosts.desk.inventory),
    )
    argv = netns.inside(hosts.lab.plan.core, (*words, "--identity", str(hosts.lab.own.key)))
    return run(argv, timeout_seconds=300, env={"PYTHONPATH": str(code_folder()), "HOME": str(hosts.desk.root)})


def test_a_host_with_another_fingerprint_is_told_nothing(hosts: Meshed) -> None:
    known = (hosts.desk.inventory / "known_hosts").read_bytes()
    hosts.run(REACHABLE, "journalctl", "--rotate")
    cursor = hosts.said(REACHABLE, "journalctl", "--lines=0", "--show-cursor").partition("cursor: ")[2]
    refused = meet(hosts, REACHABLE, OTHER)
    assert (refused.exit_code, "Nothing was sent" in refused.tail()) == (5, True), refused.tail()
    assert (hosts.desk.inventory / "known_hosts").read_bytes() == known
    said = ("journalctl", "--unit=ssh.service", f"--after-cursor={cursor}", "--output=cat")
    until(lambda: "[preauth]" in hosts.said(REACHABLE, *said), "sshd says that somebody left")
    assert "root" not in hosts.said(REACHABLE, *said), "it was told a name"


def test_a_host_with_the_right_fingerprint_is_met(hosts: Meshed) -> None:
    mark = hosts.said(REACHABLE, "ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert meet(hosts, REACHABLE, mark).exit_code == 0


def test_a_node_that_leaves_the_bundle_is_cut_off_by_every_other(hosts: Meshed) -> None:
    gone, others = hosts.key(LEAVES), [name for name in MESH if name != LEAVES]
    hosts.change_territory(
        rf"(name: {REACHABLE}, [^}}]*)(.*name: {LEAVES}, [^}}]*), roles: \[voter\]", r"\1, roles: [voter]\2"
    )
    (hosts.desk.inventory / f"keys/{LEAVES}.json").unlink()
    hosts.change_territory(rf"^  {LEAVES}:\n.*?(?=^(  )?\S)", "")
    hosts.give_bundle(*others)
    for node in others:
        until(lambda at=node: gone not in hosts.peers(at), f"{node} no longer knows its key")  # type: ignore[misc]
        until(lambda at=node: not has_door(hosts, at), f"{node} has no door for it")  # type: ignore[misc]
        assert not hosts.greets(LEAVES, MESH[node])
        assert hosts.greets(node, MESH[RELAY if node != RELAY else HIDDEN])
    found = hosts.scan(hosts.namespace(LEAVES), RELAY, hosts.address(RELAY), MESH_PORT)
    assert found == {"tcp": [], "udp": {MESH_PORT: "silence"}}


def has_door(hosts: Meshed, node: str) -> bool:
    return hosts.run(node, "test", "-e", f"/etc/appliance/vault_keys/vault-{LEAVES}", check=False).exit_code == 0


def test_a_host_that_is_off_is_said_to_be_unreachable(hosts: Meshed) -> None:
    machine.shut_down(hosts.lab.plan.node(HIDDEN))
    refused = meet(hosts, HIDDEN, OTHER)
    assert (refused.exit_code, "no answer" in refused.tail()) == (7, True), refused.tail()
