"""Ports for servers of process mode: none that an outgoing line could take before the server does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from appliance_lab.processes import node
from appliance_lab.processes.node import free_ports

LOOPBACK = "127.0.0.1"


def test_they_differ_and_are_not_of_those_for_outgoing_lines() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    found = free_ports(LOOPBACK, 50)
    assert len(set(found)) == 50
    assert not set(found) & set(range(first, last + 1))


def test_one_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = free_ports(LOOPBACK, 2)
    monkeypatch.setattr(node.ANY, "sample", lambda ports, count: [taken, free])
    with socket.create_server((LOOPBACK, taken)):
        assert free_ports(LOOPBACK, 1) == (free,)


def test_where_all_are_taken_the_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(node, "PORTS", range(port, port + 1))
        monkeypatch.setattr(node.ANY, "sample", lambda ports, count: list(ports))
        with pytest.raises(OSError, match=LOOPBACK):
            free_ports(LOOPBACK, 1)


def test_an_address_that_is_not_here_is_refused() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        free_ports("203.0.113.7", 1)
