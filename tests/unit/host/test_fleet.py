"""Machines asked all at once: each has its deadline, all have one, and none holds the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fabric.exceptions import GroupException  # type: ignore[import-untyped]

from appliance.errors import Refused, UsageError
from appliance.host.network import known_hosts
from appliance.host.network.fleet import BoundedGroup, BoundedRemote, Bounds, Late, TooLong, ask_all
from appliance.host.network.machines import Machine, read_way

HOUR = 3600.0
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"


@dataclass(eq=False)
class Asked:
    """A connection of fabric's as the group uses one: `run` answers, `client.close` ends it."""

    answer: Callable[[], object]
    closed: threading.Event = field(default_factory=threading.Event)

    gateway = None

    @property
    def client(self) -> Asked:
        return self

    def run(self, command: str) -> object:
        return self.answer()

    def close(self) -> None:
        self.closed.set()


def silent() -> Asked:
    asked = Asked(lambda: None)
    asked.answer = asked.closed.wait
    return asked


def results(bounds: Bounds, *asked: Asked) -> dict[Asked, object]:
    group = BoundedGroup.from_connections(asked)
    group.bounds = bounds
    try:
        return dict(group.run("status"))
    except GroupException as error:
        return dict(error.result)


def test_all_that_answer_are_answered_as_by_fabric_itself() -> None:
    asked = [Asked(lambda it=it: it) for it in range(5)]
    group = BoundedGroup.from_connections(asked)
    assert dict(group.run("status")) == {it: number for number, it in enumerate(asked)}


def test_nobody_is_asked_where_there_is_nobody() -> None:
    assert results(Bounds()) == {}


def test_a_silent_machine_is_given_up_after_its_deadline_and_its_connection_is_closed() -> None:
    off, well = silent(), Asked(lambda: "well")
    found = results(Bounds(machine_seconds=0.2, all_seconds=HOUR), off, well)
    assert found[well] == "well"
    late = found[off]
    assert isinstance(late, Late)
    assert 0.2 <= late.seconds < HOUR
    assert off.closed.is_set()


def test_one_that_fails_says_why_and_holds_nobody() -> None:
    error, well = ConnectionResetError(), Asked(lambda: "well")
    broken = Asked(lambda: raised(error))
    assert results(Bounds(), broken, well) == {broken: error, well: "well"}


def test_only_so_many_are_asked_at_a_time_and_each_in_the_end() -> None:
    gate, now, most = threading.Lock(), [0], [0]

    def answer() -> str:
        with gate:
            now[0] += 1
            most[0] = max(most[0], now[0])
        with gate:
            now[0] -= 1
        return "well"

    asked = [Asked(answer) for _ in range(40)]
    assert results(Bounds(at_once=3), *asked) == dict.fromkeys(asked, "well")
    assert 1 <= most[0] <= 3


def test_the_deadline_of_one_counts_from_its_turn_and_that_of_all_from_the_beginning() -> None:
    machines = [silent() for _ in range(4)]
    found = results(Bounds(machine_seconds=0.3, all_seconds=0.45, at_once=1), *machines)
    seconds = [it.seconds for it in found.values() if isinstance(it, Late)]
    assert len(seconds) == 4
    assert seconds[0] >= 0.3
    assert [it.closed.is_set() for it in machines] == [True, True, False, False], "the last two were never asked"


def test_an_answer_that_comes_too_late_is_no_answer() -> None:
    late, release = Asked(lambda: None), threading.Event()
    late.answer = lambda: release.wait() and "late"
    slow = Asked(lambda: release.set() or "well")  # type: ignore[func-returns-value]
    found = results(Bounds(machine_seconds=0.2, all_seconds=HOUR, at_once=1), late, slow)
    assert isinstance(found[late], Late)
    assert found[slow] == "well"


def raised(error: Exception) -> None:
    raise error


class Endless:
    """A channel that always has more."""

    closed = False

    def recv(self, size: int) -> bytes:
        return b"x" * size

    def close(self) -> None:
        self.closed = True

    recv_stderr = recv


def test_of_an_answer_no_more_is_read_than_its_bound() -> None:
    remote = BoundedRemote(None, bytes_max=2500)
    remote.channel = Endless()
    assert [len(remote.read_proc_stdout(1000)), len(remote.read_proc_stderr(1000))] == [1000, 1000]
    assert not remote.channel.closed
    assert remote.read_proc_stdout(1000) == b""
    assert remote.channel.closed
    with pytest.raises(TooLong):
        remote.generate_result(stdout="")


@pytest.mark.parametrize(
    ("line", "say"),
    [
        (
            "",
            "its host key was never recorded. Read its fingerprint on its screen, then: appliance node trust-host-key",
        ),
        ("ssh-ed25519 AAAA", "its recorded host key cannot be read. Record it again: appliance node trust-host-key a "),
        ("ssh-ed25519 @@@", "its recorded host key cannot be read."),
        ("ssh-dilithium AAAA", "its recorded host key cannot be read."),
        ("nonsense", "its recorded host key cannot be read."),
    ],
)
def test_a_machine_without_a_usable_host_key_is_never_asked(line: str, say: str) -> None:
    found = ask_all([Machine("a", "192.0.2.1", 22, line)], "true", bounds=Bounds(all_seconds=HOUR))["a"]
    assert isinstance(found, Refused)
    assert say in str(found)


def test_a_machine_behind_one_that_nobody_met_is_not_asked() -> None:
    behind = Machine("a", "10.64.0.9", 22, KEY, through=Machine("bastion", "192.0.2.9", 22, ""))
    found = ask_all([behind], "true", bounds=Bounds(all_seconds=HOUR))["a"]
    assert isinstance(found, Refused)
    assert "ssh_config leads to it through bastion, whose host key was never recorded." in str(found)


def test_the_way_to_a_machine_is_read_from_what_openssh_says() -> None:
    assert read_way("host 10.77.4.10\nhostname 10.64.0.5\nproxyjump root@hermitage\nuser root\n", "10.77.4.10") == (
        "10.64.0.5",
        "root@hermitage",
    )
    assert read_way("hostname 10.77.4.10\nproxyjump none\n", "10.77.4.10") == ("10.77.4.10", "")
    assert read_way("", "10.77.4.10") == ("10.77.4.10", "")


def test_a_private_key_that_cannot_be_read_stops_all_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "operator").write_text("not a key")
    with pytest.raises(UsageError, match="this private key cannot be read"):
        ask_all([Machine("a", "192.0.2.1", 22, "")], "true", identity=tmp_path / "operator")


def test_a_file_of_host_keys_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="this is not a file of host keys"):
        known_hosts.read(tmp_path / "known_hosts")
