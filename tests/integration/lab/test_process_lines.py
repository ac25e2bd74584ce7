"""Lines and clocks of nodes that run as processes: a cut drops packets one way or both, a clock is off for its node."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.host.network import netns
from appliance_lab.processes.clocks import WallClock, library
from appliance_lab.processes.lines import Lines, lines_between

A, B, C = "commune-a", "hermitage", "commune-b"
PORT = 4000
LATE_SECONDS_MAX, SILENCE_SECONDS = 5.0, 0.2


@pytest.fixture
def lines() -> Iterator[Lines]:
    with lines_between((A, B, C)) as made:
        yield made


def gets(lines: Lines, sender: str, receiver: str, *, silent: bool = False) -> bool:
    """Whether a datagram of `sender` gets to `receiver`; waits no longer than it must where none is expected."""

    def listen() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((lines.address(receiver), PORT))
        made.settimeout(SILENCE_SECONDS if silent else LATE_SECONDS_MAX)
        return made

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto(b"x", (lines.address(receiver), PORT))

    with netns.within(lines.namespace(receiver), listen) as listening:
        netns.within(lines.namespace(sender), send)
        try:
            return listening.recv(1) == b"x"
        except TimeoutError:
            return False


@pytest.mark.root
def test_what_is_cut_one_way_still_goes_the_other_and_others_notice_nothing(lines: Lines) -> None:
    assert gets(lines, A, B)
    lines.cut("out", lines.of_node(A, into=False))
    assert not gets(lines, A, B, silent=True)
    assert gets(lines, B, A)
    assert gets(lines, B, C)
    lines.cut("line", {(B, C), (C, B)})
    lines.mend("out")
    assert gets(lines, A, B)
    assert not gets(lines, B, C, silent=True)
    assert gets(lines, C, A)
    lines.mend("line")
    assert gets(lines, B, C)


@pytest.mark.root
def test_what_is_delayed_comes_later_each_way_and_others_notice_nothing(lines: Lines) -> None:
    lines.delay(A, 0.3)
    lines.delay(B, 0.4)
    for sender, receiver, least in ((B, C, 0.4), (A, C, 0.3), (C, A, 0.3), (A, B, 0.7)):
        begun = time.monotonic()
        assert gets(lines, sender, receiver)
        assert time.monotonic() - begun >= least
    lines.hasten(B)
    assert gets(lines, B, C, silent=True)
    lines.cut("out", lines.of_node(A, into=False))
    assert gets(lines, C, A)
    assert not gets(lines, A, C, silent=True), "cut as well"


@pytest.mark.root
def test_nothing_is_left_of_lines_that_ended() -> None:
    with lines_between((A, B)) as made:
        made.delay(A, 0.1)
        assert made.hub in netns.names()
    assert [it for it in netns.names() if it.startswith(made.prefix)] == []


SHOWS = "import time; print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))"


@pytest.mark.skipif(library() is None, reason="needs libfaketime: make setup")
def test_a_clock_that_is_off_moves_the_time_of_day_and_no_span(tmp_path: Path) -> None:
    found = library()
    assert found is not None
    clock = WallClock(tmp_path / "clock")
    for seconds in (0, -3600, 172_800):
        clock.set_off(seconds)
        said = subprocess.check_output([sys.executable, "-c", SHOWS], env=clock.environment(found), text=True)
        wall, boot = map(float, said.split())
        assert abs(wall - time.time() - seconds) < 60
        assert abs(boot - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60


ALONE = """
import subprocess
from appliance.host.network import netns
subprocess.run(("mount", "-t", "tmpfs", "tmpfs", "/run"), check=True)
MOUNTS = "/proc/self/mountinfo"
others = set(open(MOUNTS))
netns.add("one")
netns.add("two")
netns.delete("one")
print(*sorted({it.split()[4] for it in set(open(MOUNTS)) - others}))
netns.delete("two")
print(*set(open(MOUNTS)) - others)
"""


@pytest.mark.root
def test_with_the_last_namespace_goes_the_mount_that_was_made_for_the_first() -> None:
    """Other tests may have namespaces meanwhile: they are below the folder that is put over /run here."""
    unshared = ("unshare", "--mount", "--propagation", "private", sys.executable, "-c", ALONE)
    printed = subprocess.run(unshared, capture_output=True, check=True, text=True).stdout
    assert printed == "/run/netns /run/netns/two\n\n"
