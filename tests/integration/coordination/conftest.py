"""Tests here may be coroutines; each runs in an event loop of its own, and all versions of the port pass it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance_lab.processes.etcd import EtcdProcesses
from tests.integration.coordination.authorities import DOMAIN, authority, context, server_context
from tests.integration.coordination.worlds import (
    HEARTBEAT_MILLISECONDS,
    InMemory,
    OverTheWire,
    RealEtcd,
    ThroughBroker,
    World,
)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    given = {name: pyfuncitem.funcargs[name] for name in names}
    pyfuncitem.funcargs["runner"].run(pyfuncitem.obj(**given))
    return True


@pytest.fixture(scope="session")
def one_voter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdProcesses]:
    """An etcd of one member that all tests share: each has services of its own."""
    folder = tmp_path_factory.mktemp("etcd")
    with EtcdProcesses(folder, heartbeat_milliseconds=HEARTBEAT_MILLISECONDS) as made:
        yield made


@pytest.fixture(params=["memory", "broker", "wire", "etcd"])
def world(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Iterator[World]:
    """A store that answers, as long as the test lets it."""
    processes = request.getfixturevalue("one_voter") if request.param == "etcd" else None
    made: World = RealEtcd(processes) if processes else _simulated(request, runner)
    yield made
    runner.run(made.close())


@pytest.fixture(params=["memory", "broker", "wire", "etcd"])
def own_world(request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path: Path) -> Iterator[World]:
    """A store of this test alone, of three voters, that may lose its majority."""
    if request.param != "etcd":
        simulated = _simulated(request, runner)
        yield simulated
        runner.run(simulated.close())
        return
    yield from _voters(3, tmp_path, runner)


@pytest.fixture
def five_voters(runner: asyncio.Runner, tmp_path: Path) -> Iterator[RealEtcd]:
    yield from _voters(5, tmp_path, runner)


def _voters(count: int, folder: Path, runner: asyncio.Runner) -> Iterator[RealEtcd]:
    with EtcdProcesses(folder, count=count, heartbeat_milliseconds=HEARTBEAT_MILLISECONDS) as processes:
        made = RealEtcd(processes)
        yield made
        runner.run(made.close())


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates of the territory's nodes."""
    return authority(tmp_path_factory.mktemp("pki") / "ours")


def _simulated(request: pytest.FixtureRequest, runner: asyncio.Runner) -> World:
    if request.param == "memory":
        return InMemory()
    if request.param == "broker":
        return ThroughBroker()
    papers = request.getfixturevalue("papers")
    made = OverTheWire(papers, context)
    runner.run(made.serve(server_context(papers, "hermitage"), DOMAIN))
    return made
