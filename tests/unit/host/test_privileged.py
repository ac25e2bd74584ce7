"""The privileged helper: in which order it carries a request out, and what it refuses every caller."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from appliance.programs import privileged
from appliance.programs.privileged import Helper, Refused
from appliance.territory import service_forms as forms

SITE, SHARE = "10.64.8.1", "10.64.8.4"
NODES = {"commune-a": "10.64.0.2", "hermitage": "10.64.0.1"}
SERVED: dict[str, Any] = {
    "node": "commune-a",
    "services": {
        name: {
            "form": form,
            "address": address,
            "folder": "/nonexistent",
            "unit": f"appliance-{form}@{name}.service",
            "copy": f"appliance-{form}-copy@{name}.service",
            "here": here,
            "nodes": NODES,
        }
        for name, form, address, here in (
            ("horaires", "site", SITE, True),
            ("arrets", "site", "10.64.8.2", False),
            ("etat-civil", "database", "10.64.8.3", True),
            ("docs-a", "share", SHARE, True),
        )
    },
}
SERVED["services"]["docs-a"]["lan_port"] = 445


class Told:
    def __init__(self) -> None:
        self.argvs: list[str] = []
        self.filters: list[str] = []

    def __call__(self, *argv: str, stdin: str = "", may_fail: bool = False, seconds_max: float = 0.0) -> None:
        self.argvs.append(" ".join(argv))
        if stdin:
            self.filters += stdin.splitlines()


def obey(root: Path, **request: Any) -> Told:
    told = Told()
    Helper(SERVED, told, str(root / "holders"), str(root)).obey(request)
    return told


def running(root: Path, unit: str) -> Path:
    """The control group of `unit`, in which something runs."""
    cgroup = root / unit
    cgroup.mkdir()
    (cgroup / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    return cgroup


def test_the_filter_cuts_before_the_address_goes_and_connections_end_last(tmp_path: Path) -> None:
    told = obey(tmp_path, verb="cut", service="horaires")
    assert told.argvs == [
        "nft --file -",
        f"ip address delete {SITE}/32 dev lo",
        f"ss --kill --tcp src {SITE}",
    ]
    assert told.filters[-1] == f"add element ip appliance_served cut {{ {SITE} }}"


UNITS = {f"{unit}@{{}}.service" for it in forms.ALL for unit in (it.unit, it.copy) if unit}


@pytest.mark.parametrize(
    ("name", "stay"),
    [
        ("was-here", ()),
        ("horaires", ("appliance-site@{}.service", "appliance-site-copy@{}.service", privileged.AWAY)),
        ("etat-civil", ("appliance-database@{}.service", privileged.AWAY)),
    ],
)
def test_what_should_not_run_here_ends_by_whatever_it_was_served(
    name: str, stay: tuple[str, ...], tmp_path: Path
) -> None:
    stopped, *door = obey(tmp_path, verb="end", service=name).argvs
    assert stopped.split()[:2] == ["systemctl", "stop"]
    ends = (UNITS | {privileged.AWAY}) - set(stay)
    assert sorted(stopped.split()[2:]) == sorted(unit.format(name) for unit in ends)
    closed = [f"systemctl stop appliance-database-door@{name}.service"]
    assert door[-1:] == (closed if "appliance-database@{}.service" in ends else [])


def test_what_this_node_may_have_no_more_is_cut_off_first_and_ends_though_that_fails(tmp_path: Path) -> None:
    told = obey(tmp_path, verb="end", service="arrets")
    assert told.argvs[:2] == ["nft --file -", "ip address delete 10.64.8.2/32 dev lo"]
    assert told.argvs[3].startswith("systemctl stop appliance-")
    stopped = list[str]()

    def fails(*argv: str, **_: Any) -> None:
        stopped.append(" ".join(argv))
        if argv[0] == "nft":
            raise Refused("nft failed")

    with pytest.raises(Refused, match="nft failed"):
        Helper(SERVED, fails, str(tmp_path / "holders"), str(tmp_path)).obey({"verb": "end", "service": "arrets"})
    assert "appliance-site@arrets.service" in stopped[1]
    with pytest.raises(Refused, match="not served on this node"):
        obey(tmp_path, verb="stop", service="arrets")


@pytest.mark.parametrize("name", ["../ssh", "", "-", None, 7])
def test_what_is_no_name_is_not_ended(name: object, tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(Refused):
        Helper(SERVED, told, str(tmp_path / "holders"), str(tmp_path)).obey({"verb": "end", "service": name})
    assert told.argvs == []


def test_what_is_added_is_let_through_again(tmp_path: Path) -> None:
    told = obey(tmp_path, verb="add", service="horaires")
    assert told.filters[-1] == f"delete element ip appliance_served cut {{ {SITE} }}"
    assert told.argvs[-1] == f"ip address replace {SITE}/32 dev lo"


@pytest.mark.parametrize(
    ("verb", "lines"),
    [
        (
            "hold",
            [f"add element ip appliance_served held {{ {SHARE} }}", "add element ip appliance_served shut { 445 }"],
        ),
        ("cut", [f"add element ip appliance_served cut {{ {SHARE} }}", "add element ip appliance_served shut { 445 }"]),
        ("resume", ["delete element ip appliance_served shut { 445 }"]),
        ("start", ["delete element ip appliance_served shut { 445 }"]),
        ("add", ["delete element ip appliance_served shut { 445 }"]),
    ],
)
def test_the_pcs_around_its_home_wait_and_come_in_with_those_of_the_mesh(
    verb: str, lines: list[str], tmp_path: Path
) -> None:
    assert obey(tmp_path, verb=verb, service="docs-a").filters[-len(lines) :] == lines


@pytest.mark.parametrize(("verb", "unit"), [("people", "appliance-share-people"), ("lay", "appliance-share-lay")])
def test_accounts_and_files_of_a_share_are_units_of_their_own(verb: str, unit: str, tmp_path: Path) -> None:
    assert obey(tmp_path, verb=verb, service="docs-a").argvs == [f"systemctl start {unit}@docs-a.service"]
    with pytest.raises(Refused, match="this verb does not exist"):
        obey(tmp_path, verb=verb, service="horaires")


AWAY, LET_IN = "appliance-share-away@docs-a.service", "delete element ip appliance_served shut { 445 }"


def test_the_pcs_around_its_home_are_led_to_wherever_a_share_is_served(tmp_path: Path) -> None:
    told = obey(tmp_path, verb="route", service="docs-a", node="hermitage")
    assert told.argvs == ["systemctl reload appliance-mesh.service", "nft --file -", f"systemctl start {AWAY}"]
    assert told.filters[-2:] == ["add element ip appliance_served shut { 445 }", LET_IN]
    assert SHARE not in "".join(told.filters), "the address stays cut"
    assert obey(tmp_path, verb="route", service="docs-a", node="commune-a").argvs == [
        "systemctl reload appliance-mesh.service"
    ]


def test_nobody_is_led_away_from_a_share_that_still_runs_here(tmp_path: Path) -> None:
    running(tmp_path, "appliance-share@docs-a.service")
    with pytest.raises(Refused, match="docs-a still runs here"):
        obey(tmp_path, verb="route", service="docs-a", node="hermitage")
    assert SHARE in (tmp_path / "holders").read_text(), "the mesh obeys all the same"


def test_a_share_starts_at_home_once_nobody_is_led_away(tmp_path: Path) -> None:
    argvs = obey(tmp_path, verb="start", service="docs-a").argvs
    assert argvs[-2:] == [f"systemctl stop {AWAY}", "systemctl start appliance-share@docs-a.service"]
    assert AWAY not in "".join(obey(tmp_path, verb="start", service="horaires").argvs)


def test_a_cut_shuts_no_port_by_which_pcs_are_led_away(tmp_path: Path) -> None:
    running(tmp_path, AWAY)
    cut = obey(tmp_path, verb="cut", service="docs-a").filters
    assert cut[-1] == f"add element ip appliance_served cut {{ {SHARE} }}"
    assert not [it for it in cut if "shut {" in it and it.startswith("add element")]


def test_a_cut_ends_what_pcs_were_still_to_be_told_at_the_port_and_no_connection_of_another_service(
    tmp_path: Path,
) -> None:
    """It would leave once the port is opened again to lead them away."""
    others = " ".join(f"and not src {it['address']}" for it in SERVED["services"].values())
    assert obey(tmp_path, verb="cut", service="docs-a").argvs[-1] == f"ss --kill --tcp sport = :445 {others}"
    assert others.count("not src") == len(SERVED["services"])


def test_where_two_services_are_is_noted_one_after_the_other(tmp_path: Path) -> None:
    """The second request comes when the first was given up, and may still be at work."""
    (tmp_path / "holders").write_text("10.64.8.2 10.64.0.1\n")
    with open(tmp_path / "holders.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: obey(tmp_path, verb="route", service="horaires", node="commune-a"))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        (tmp_path / "holders").write_text(f"10.64.8.2 10.64.0.1\n{SHARE} 10.64.0.1\n")
    second.join(20)
    assert (tmp_path / "holders").read_text().splitlines() == [
        f"{SITE} 10.64.0.2",
        "10.64.8.2 10.64.0.1",
        f"{SHARE} 10.64.0.1",
    ]


def test_a_start_waits_until_it_is_decided_whether_pcs_are_led_away(tmp_path: Path) -> None:
    with open(tmp_path / "holders.docs-a.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said: list[Told] = []
        start = threading.Thread(target=lambda: said.append(obey(tmp_path, verb="start", service="docs-a")))
        start.start()
        start.join(0.2)
        assert start.is_alive()
        assert said == []
    start.join(20)
    assert said[0].argvs[-1] == "systemctl start appliance-share@docs-a.service"


def test_files_are_writable_before_the_program_starts(tmp_path: Path) -> None:
    told = obey(tmp_path, verb="start", service="horaires")
    assert told.argvs[-2:] == [
        "systemctl stop appliance-read-only@horaires.service",
        "systemctl start appliance-site@horaires.service",
    ]


def test_the_door_of_a_database_is_shut_while_clients_wait_and_open_when_they_go_on(tmp_path: Path) -> None:
    door = "appliance-database-door@etat-civil.service"
    assert obey(tmp_path, verb="hold", service="etat-civil").argvs == ["nft --file -", f"systemctl freeze {door}"]
    for verb in ("resume", "start"):
        assert f"systemctl thaw {door}" in obey(tmp_path, verb=verb, service="etat-civil").argvs
    assert obey(tmp_path, verb="hold", service="horaires").argvs == ["nft --file -"]


def test_the_folder_of_a_site_waits_too_since_who_writes_into_it_is_on_this_machine(tmp_path: Path) -> None:
    site = {"form": "site", "address": SITE, "folder": str(tmp_path), "unit": "a", "here": True, "nodes": NODES}
    share = {**site, "form": "share"}
    told = Told()
    helper = Helper({"services": {"horaires": site, "docs-a": share}}, told, str(tmp_path / "holders"), str(tmp_path))
    for verb in ("hold", "resume"):
        helper.obey({"verb": verb, "service": "horaires"})
    unit = "appliance-read-only@horaires.service"
    assert told.argvs == ["nft --file -", f"systemctl start {unit}", f"systemctl stop {unit}", "nft --file -"]
    helper.obey({"verb": "hold", "service": "docs-a"})
    assert told.argvs[4:] == ["nft --file -"], "nobody writes into a share but through its Samba"


@pytest.mark.parametrize("work", ["fill", "keep"])
def test_work_on_a_database_is_begun_and_not_waited_for(work: str, tmp_path: Path) -> None:
    told = obey(tmp_path, verb=work, service="etat-civil")
    assert told.argvs == [f"systemctl restart --no-block appliance-database-{work}@etat-civil.service"]


@pytest.mark.parametrize("service", ["etat-civil", "cantine"])
def test_a_drill_of_any_database_is_begun_also_of_one_that_stays_where_it_is(service: str, tmp_path: Path) -> None:
    told = obey(tmp_path, verb="rehearse", service=service)
    drill = f"appliance-database-rehearse@{service}.service"
    assert told.argvs == [f"systemctl restart --no-block --job-mode=fail {drill}"], "it ends no takeover"


def test_a_database_that_stops_is_filled_no_longer(tmp_path: Path) -> None:
    stopped, *_ = obey(tmp_path, verb="stop", service="etat-civil").argvs
    units = ("appliance-database@etat-civil.service", "appliance-database-fill@etat-civil.service")
    assert stopped == f"systemctl stop {' '.join(units)}"


def test_a_door_that_stood_still_is_closed_when_its_database_has_stopped_and_before_it_starts(tmp_path: Path) -> None:
    unit, door = "appliance-database@etat-civil.service", "appliance-database-door@etat-civil.service"
    closed = [f"systemctl kill --signal=SIGSTOP {door}", f"systemctl thaw {door}", f"systemctl stop {door}"]
    assert obey(tmp_path, verb="stop", service="etat-civil").argvs[1:] == closed
    started = obey(tmp_path, verb="start", service="etat-civil").argvs
    assert (started[:3], started[-1]) == (closed, f"systemctl start {unit}")
    running(tmp_path, unit)
    assert closed[-1] not in obey(tmp_path, verb="start", service="etat-civil").argvs, "clients are behind it"


def test_a_database_that_runs_is_not_filled(tmp_path: Path) -> None:
    running(tmp_path, "appliance-database@etat-civil.service")
    with pytest.raises(Refused, match="etat-civil runs here"):
        obey(tmp_path, verb="fill", service="etat-civil")


def test_a_program_that_no_signal_ends_takes_the_machine_along(tmp_path: Path) -> None:
    cgroup = running(tmp_path, "appliance-site@horaires.service")
    assert obey(tmp_path, verb="reset", service="horaires").argvs[-1] == "systemctl reboot --force"
    (cgroup / "cgroup.events").write_text("populated 0\nfrozen 0\n")
    assert len(obey(tmp_path, verb="reset", service="horaires").argvs) == 1


def test_addresses_lead_where_they_are_told_and_one_that_nobody_knows_any_more_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "holders").write_text("10.64.8.9 10.64.0.4\n")
    told = obey(tmp_path, verb="route", service="arrets", node="hermitage")
    assert told.argvs[0] == "ip address delete 10.64.8.9/32 dev lo"
    told = obey(tmp_path, verb="route", service="horaires", node="commune-a")
    assert (tmp_path / "holders").read_text() == f"{SITE} 10.64.0.2\n10.64.8.2 10.64.0.1\n"
    assert told.argvs == ["systemctl reload appliance-mesh.service"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"verb": "stop", "service": "ssh"}, "has no such service"),
        ({"verb": "stop", "service": ["horaires"]}, "has no such service"),
        ({"verb": "start", "service": "arrets"}, "is not served on this node"),
        ({"verb": "poweroff", "service": "horaires"}, "this verb does not exist"),
        ({"service": "horaires"}, "this verb does not exist"),
        ({"verb": "fill", "service": "horaires"}, "this verb does not exist"),
        ({"verb": "rehearse", "service": "../x"}, "has no such service"),
        ({"verb": "rehearse", "service": ["x"]}, "has no such service"),
        ({"verb": "route", "service": "horaires", "node": "commune-b"}, "is not a candidate for this service"),
        ({"verb": "route", "service": "horaires"}, "is not a candidate for this service"),
    ],
    ids=[
        "a unit",
        "no name",
        "elsewhere",
        "a verb",
        "nothing",
        "a site to fill",
        "a path to drill",
        "no name to drill",
        "an outsider",
        "nobody",
    ],
)
def test_what_is_not_in_roots_file_is_refused(asked: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=why):
        obey(tmp_path, **asked)
    assert not (tmp_path / "holders").exists()


SERVE = """
import socket, sys; sys.path.insert(0, sys.argv[1])
import privileged
privileged.SERVED, privileged.REQUEST_SECONDS_MAX = sys.argv[2], 2.0
privileged.serve(socket.socket(fileno=int(sys.argv[3])), 0.2)
"""


def begun(code: str, path: str, served: Path) -> subprocess.Popen[bytes]:
    """The program with the listening socket `path`, as systemd begins it."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        here, number = str(Path(privileged.__file__).parent), listening.fileno()
        words = (sys.executable, "-I", "-S", "-c", code, here, str(served), str(number))
        return subprocess.Popen(words, pass_fds=(number,), stderr=subprocess.PIPE)


def test_calls_are_answered_beside_each_other_until_nobody_calls_any_more(tmp_path: Path) -> None:
    served, path = tmp_path / "served.json", str(tmp_path / "hands.sock")
    served.write_text(json.dumps(SERVED))
    program = begun(SERVE, path, served)
    assert program.stderr is not None
    with program, socket.socket(socket.AF_UNIX) as silent:
        silent.connect(path)
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(path)
            gone.sendall(b'{"verb": "poweroff", "service": "horaires"}\n')
        assert called(path, b'{"verb": "wake", "service": "horaires"}') == {}
        assert called(path, b'{"verb": "poweroff", "service": "horaires"}') == {"error": "this verb does not exist."}
        assert "JSONDecodeError" in called(path, b"nonsense")["error"]
        assert "JSONDecodeError" in called(path, b"x" * 2 * privileged.REQUEST_BYTES_MAX)["error"]
        assert program.poll() is None, "somebody may ask yet"
        assert silent.recv(1) == b"", "it was waited for long enough"
        assert program.wait(timeout=30) == 0
        assert program.stderr.read() == b"TimeoutError: timed out\n"


def test_a_call_too_many_is_told_so(tmp_path: Path) -> None:
    path = str(tmp_path / "hands.sock")
    code = SERVE.replace("privileged.serve", "privileged.CALLS_MAX = 1\nprivileged.serve")
    with begun(code, path, tmp_path) as program, socket.socket(socket.AF_UNIX) as silent:
        silent.connect(path)
        assert called(path, b"{}") == {"error": "1 calls are already in progress."}
        assert program.wait(timeout=30) == 0


def called(path: str, request: bytes) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        line.sendall(request + b"\n")
        with line.makefile("rb") as file:
            return dict(json.loads(file.readline()))
