"""A lab comes up, survives what is done to it and to us, and leaves nothing: compared before and after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.errors import Forbidden
from appliance.host import cgroups
from appliance.host.command import run
from appliance.host.network import netns
from appliance.host.processes import processes_of
from appliance_lab.checkout import appliance_argv
from appliance_lab.cli.lab_cmd import lab
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine, needs, network
from appliance_lab.hosts.paths import ROOT, HostPaths
from tests.integration.lab.boxes import INVENTORY, Boxes, nothing_is_left, traces, until, up

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(needs.why_not() is not None, reason=f"no lab here: {needs.why_not()}"),
    pytest.mark.xdist_group("lab"),
    pytest.mark.timeout(600),
]
NAMES = ("hermitage", "commune-a", "commune-b", "commune-c")
ONE = "commune-b"
NOBODY = 65534


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with up("thosts") as made:
        yield made


@pytest.fixture
def crashed() -> Iterator[Boxes]:
    """A lab for crashes, nothing of it there before and, whatever happened, after `down`."""
    made = Boxes("tcrash")
    made.lab("down")
    assert nothing_is_left(made.name)
    yield made
    assert made.lab("down").exit_code == 0
    assert {kind: found for kind, found in traces(made.name).items() if found} == {}


def leaders(boxes: Boxes) -> dict[str, machine.Process | None]:
    return {node.name: machine.leader(node) for node in boxes.open().plan.nodes}


def test_a_second_up_leaves_what_runs(boxes: Boxes) -> None:
    before = leaders(boxes)
    again = boxes.done("up")
    assert leaders(boxes) == before
    assert {(it["about"], it["does"]) for it in again["decisions"]} == {(name, "is left as it is") for name in NAMES}


def test_a_session_ends_with_the_code_of_its_command(boxes: Boxes) -> None:
    assert boxes.exec(ONE, "hostname").stdout == b"commune-b\n"
    assert boxes.exec(ONE, "sh", "-c", "exit 7").exit_code == 7
    assert boxes.exec(ONE, "no-such-program").exit_code == 127
    assert boxes.exec(ONE, "ls", "--name", "x").exit_code == 2, "options after -- are the command's"


def test_a_node_that_is_not_there_is_named_with_those_that_are(boxes: Boxes) -> None:
    refused = boxes.exec("commune-z", "true")
    assert refused.exit_code == 3
    assert b"Known: hermitage, commune-a, commune-b, commune-c." in refused.stderr


def test_a_shell_is_roots_and_reads_what_is_typed(boxes: Boxes) -> None:
    typed = run(boxes.argv("shell", ONE), timeout_seconds=300, stdin=b"id -un; hostname; exit 3\n")
    assert typed.stdout.split()[-2:] == [b"root", b"commune-b"]
    assert typed.exit_code == 3


def test_a_power_cut_keeps_the_disk_and_is_another_boot(boxes: Boxes) -> None:
    key, first = labs.host_keys(boxes.open())[ONE], leaders(boxes)[ONE]
    boxes.exec(ONE, "sh", "-c", "echo kept >/srv/kept; sync /srv/kept")
    boxes.done("power-off", ONE, "--cut")
    assert boxes.states()[ONE] == "off"
    assert boxes.exec(ONE, "true").exit_code == 4
    boxes.done("power-on", ONE)
    assert boxes.exec(ONE, "cat", "/srv/kept").stdout == b"kept\n"
    assert labs.host_keys(boxes.open())[ONE] == key
    assert leaders(boxes)[ONE] != first


def test_a_node_that_stands_still_goes_on_where_it_was_and_loses_its_power_all_the_same(boxes: Boxes) -> None:
    made, node = boxes.open(), boxes.open().plan.node(ONE)
    ticks = made.root(node) / "srv/ticks"
    boxes.exec(ONE, "systemd-run", "sh", "-c", "while :; do printf . >>/srv/ticks; sleep 0.05; done")
    until(ticks.exists, "a program in a unit of its own runs")
    machine.freeze(node)
    before = ticks.stat().st_size
    assert boxes.exec(ONE, "sleep", "1").exit_code == 0, "its console answers on"
    assert ticks.stat().st_size == before
    machine.thaw(node)
    until(lambda: ticks.stat().st_size > before, "it goes on")
    machine.freeze(node)
    boxes.done("power-off", ONE, "--cut")
    assert boxes.states()[ONE] == "off"
    boxes.done("power-on", ONE)
    boxes.exec(ONE, "rm", "/srv/ticks")


def test_a_node_asked_to_stop_stops_its_services_and_its_console_tells(boxes: Boxes) -> None:
    boxes.done("power-off", ONE)
    assert boxes.states()[ONE] == "off"
    boxes.done("power-on", ONE)
    assert b"Stopp" in boxes.lab("console", ONE).stdout


def test_a_wipe_gives_a_new_box(boxes: Boxes) -> None:
    key = labs.host_keys(boxes.open())[ONE]
    boxes.exec(ONE, "sh", "-c", "echo mine >/srv/mine; btrfs --version")
    told = boxes.done("wipe", ONE)
    assert [it["does"] for it in told["decisions"]] == [
        "loses its power",
        "loses its disk",
        "is switched on with a new disk",
    ]
    assert boxes.exec(ONE, "ls", "/srv/mine").exit_code == 2
    assert labs.host_keys(boxes.open())[ONE] != key
    ssh = run(("ssh", "-F", str(boxes.open().own.ssh_config), ONE, "hostname"), timeout_seconds=300)
    assert ssh.stdout == b"commune-b\n", ssh.tail()


@pytest.mark.parametrize("words", [("up",), ("wipe", ONE), ("power-off", ONE), ("power-on", ONE), ("down",)])
def test_a_dry_run_decides_and_changes_nothing(boxes: Boxes, words: tuple[str, ...]) -> None:
    before = leaders(boxes)
    told = boxes.done(*words, "--dry-run")
    assert told["decisions"]
    assert leaders(boxes) == before


def test_a_dry_up_of_a_lab_that_is_not_there_makes_not_even_a_folder() -> None:
    made = Boxes("tnone")
    assert len(made.done("up", "--dry-run")["decisions"]) == len(NAMES) + 1
    assert nothing_is_left("tnone")


def test_nodes_go_on_when_what_watches_them_is_killed_and_are_ended_all_the_same(boxes: Boxes) -> None:
    node = boxes.open().plan.node(ONE)
    for it in processes_of(machine.NSPAWN):
        if f"--machine={node.namespace}" in it.argv:
            assert it.end()
    assert boxes.states()[ONE] == "up"
    boxes.done("power-off", ONE, "--cut")
    boxes.done("power-on", ONE)
    assert boxes.states()[ONE] == "up"


def _remembered(name: str) -> bool:
    return (ROOT / "labs" / name / "lab.json").exists()


def _has_namespaces(name: str) -> bool:
    return bool(traces(name)["namespaces"])


def _has_disk(name: str) -> bool:
    return (ROOT / "pool/labs" / name).exists()


def _boots(name: str) -> bool:
    return bool(machine.running(name))


@pytest.mark.parametrize(
    ("moment", "then"), [(_remembered, "down"), (_has_namespaces, "up"), (_has_disk, "up"), (_boots, "down")]
)
def test_an_up_that_is_killed_is_taken_down_or_goes_on(
    crashed: Boxes, moment: Callable[[str], bool], then: str
) -> None:
    with subprocess.Popen(crashed.argv("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: moment(crashed.name) or process.poll() is not None, "the moment", 300)
        process.send_signal(signal.SIGKILL)
    if then == "up":
        crashed.done("up")
        assert crashed.states() == dict.fromkeys(NAMES, "up")


def test_a_down_that_is_killed_is_finished_by_the_next(crashed: Boxes) -> None:
    crashed.done("up")
    with subprocess.Popen(crashed.argv("down"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: len(machine.running(crashed.name)) < len(NAMES) or process.poll() is not None, "the moment")
        process.send_signal(signal.SIGKILL)


def test_a_namespace_that_was_half_made_is_made_anew(crashed: Boxes) -> None:
    (netns.FOLDER / "lab.tcrash.site.commune-a").touch()
    crashed.done("up")
    assert crashed.states() == dict.fromkeys(NAMES, "up")


def test_a_disk_that_was_half_prepared_is_never_booted(crashed: Boxes) -> None:
    crashed.done("up")
    made = crashed.open()
    crashed.done("power-off", ONE, "--cut")
    made.pool.remove(crashed.name, ONE)
    made.pool.prepare(made.paths.pool / "bases" / made.state.base, crashed.name, ONE)
    crashed.done("up")
    ssh = run(("ssh", "-F", str(made.own.ssh_config), ONE, "hostname"), timeout_seconds=300)
    assert ssh.stdout == b"commune-b\n", ssh.tail()


def test_a_shuttle_and_its_faults_go_with_the_lab(crashed: Boxes) -> None:
    crashed.done("up")
    crashed.done("delay", "hermitage--*", "10ms", "--loss", "1%")
    crashed.done("delay", ONE, "10ms")
    crashed.done("throttle", ONE, "10mbit")


def test_what_is_left_without_any_state_is_taken_down(crashed: Boxes) -> None:
    crashed.done("up")
    crashed.done("delay", ONE, "10ms")
    (ROOT / "labs" / crashed.name / "lab.json").write_text("{ half a st")


def test_groups_that_no_namespace_knows_go_and_those_of_another_lab_stay(crashed: Boxes) -> None:
    own, other = "lab.tcrash.node.gone", "lab.tcrash-2.node.there"
    script = 'mount -t cgroup2 none /mnt; mkdir -p "/mnt/$0/payload/system.slice" "/mnt/$1/payload"'
    run(("unshare", "--mount", "sh", "-euc", script, own, other), timeout_seconds=300, check=True)
    try:
        crashed.done("down")
        assert cgroups.names() & {own, other} == {other}
    finally:
        cgroups.remove(other)


def test_the_last_lab_of_a_place_gives_back_its_pool_and_loop_device(tmp_path: Path) -> None:
    paths, before = HostPaths(tmp_path / "labs"), network.FORWARD.read_text()
    paths.bases.mkdir(parents=True)
    for image in (ROOT / "bases").glob("*.tar"):
        (paths.bases / image.name).symlink_to(image)
    devices = ("losetup", "--associated", str(paths.image))
    try:
        uplink = labs.up(paths, "tlast", INVENTORY, lambda sentence: None).state.way.interface
        assert run(devices, timeout_seconds=300, check=True).stdout
    finally:
        labs.down(paths, "tlast", lambda sentence: None)
    assert not run(devices, timeout_seconds=300, check=True).stdout
    assert not paths.pool.is_mount()
    assert uplink not in network.interfaces(None)
    assert network.FORWARD.read_text() == before
    assert nothing_is_left("tlast")


@pytest.mark.parametrize(
    "words", [("up",), ("status",), ("provision",), ("cut", ONE), ("exec", ONE, "true"), ("probe",), ("down",)]
)
def test_an_account_that_is_not_root_is_told_what_is_missing_and_what_works(words: tuple[str, ...]) -> None:
    os.seteuid(NOBODY)
    try:
        refused = CliRunner().invoke(lab, [*words])
    finally:
        os.seteuid(0)
    assert isinstance(refused.exception, Forbidden)
    assert "needs root" in str(refused.exception)
    assert "make demo" in str(refused.exception)


def test_a_probe_says_what_there_is_and_what_takes_its_place(boxes: Boxes) -> None:
    probed = json.loads(run((*appliance_argv(), "lab", "probe", "--json"), timeout_seconds=300, check=True).stdout)
    assert probed["features"]["nftables"] is True
    assert probed["backends"] == boxes.done("status")["backends"]
