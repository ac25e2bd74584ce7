"""Voters as plain processes on loopback, each with its folder and ports. Only what was started here is ended here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.clock import SystemClock
from appliance.coordination.argv import JOINS, Certificates, Member, etcd_argv
from appliance.coordination.etcd import Etcd
from appliance.coordination.gateway import Voter
from appliance.errors import ApplianceError, NotFound, Unreachable
from appliance.host.network import netns
from appliance_lab.processes.node import free_ports

LOOPBACK = "127.0.0.1"
ETCD = Path("/usr/bin/etcd")
START_SECONDS_MAX = 20.0
LOOK_EVERY_SECONDS = 0.02


@dataclass
class EtcdProcess:
    """One voter's etcd; it can be killed, frozen and started again on its data."""

    member: Member
    log: Path
    server_name: str = ""
    """The name in its certificate, which holds no address."""
    namespace: str | None = None
    """The network namespace in which it runs; None: the machine's own."""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> Voter:
        return Voter(self.member.client_url, self.server_name)

    def start(self, *, joins: bool = False) -> None:
        """Start it; it answers once a majority runs. One that `joins` has no data and was added by the others."""
        if not ETCD.exists():
            raise NotFound("etcd is not installed.", remedy="Run `make setup`.")
        argv = etcd_argv(self.member, str(ETCD))
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                argv if self.namespace is None else netns.inside(self.namespace, argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(JOINS if joins else {})},
                start_new_session=True,
            )

    def kill(self) -> None:
        """As a power cut; a frozen one dies too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@dataclass
class EtcdProcesses:
    """`count` voters that know each other, under `folder`; a context that ends them."""

    folder: Path
    count: int = 1
    heartbeat_milliseconds: int = 100
    election_beats: int = 10
    certificates: Certificates | None = None
    server_name: str = ""
    tls: ssl.SSLContext | None = None
    """The certificate and authorities of a client of theirs."""
    names: tuple[str, ...] = ()
    """The names of the voters, where they are not numbers."""
    places: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Namespace and address of each by its name, where they do not all stand on the loopback of this machine."""
    voters: list[EtcdProcess] = field(default_factory=list)

    @property
    def addresses(self) -> tuple[Voter, ...]:
        return tuple(voter.address for voter in self.voters)

    def __enter__(self) -> EtcdProcesses:
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(LOOPBACK, 2 * self.count)
        scheme = "https" if self.certificates else "http"
        names = self.names or tuple(f"voter-{index}" for index in range(self.count))
        hosts = {name: self.places[name][1] if name in self.places else LOOPBACK for name in names}
        members = {name: f"{scheme}://{hosts[name]}:{port}" for name, port in zip(names, ports, strict=False)}
        for name, port in zip(names, ports[self.count :], strict=True):
            member = Member(
                name,
                self.folder / name,
                f"{scheme}://{LOOPBACK}:{port}",
                members,
                certificates=self.certificates,
                heartbeat_milliseconds=self.heartbeat_milliseconds,
                election_beats=self.election_beats,
                syncs=False,
            )
            namespace = self.places[name][0] if name in self.places else None
            self.voters.append(EtcdProcess(member, self.folder / f"{name}.log", self.server_name, namespace))
        try:
            for voter in self.voters:
                voter.start()
            netns.within(self.voters[0].namespace, lambda: asyncio.run(self._answer()))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _answer(self) -> None:
        """Wait until a majority answers."""
        deadline = time.monotonic() + START_SECONDS_MAX
        near = [it.address for it in self.voters if it.namespace == self.voters[0].namespace]
        client = Etcd(near, SystemClock(), self.tls)
        try:
            while True:
                if ended := next((voter for voter in self.voters if voter.ended()), None):
                    raise ApplianceError(f"etcd of {ended.member.name} ended at once.", where=str(ended.log))
                with contextlib.suppress(Unreachable):
                    await client.read("anything")
                    return
                if time.monotonic() > deadline:
                    raise ApplianceError("the voters found no majority.", where=str(self.folder))
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            await client.close()

    def stop(self) -> None:
        for voter in self.voters:
            voter.kill()
