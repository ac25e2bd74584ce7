"""A program that is hung right after it ended its service cannot write so: the injector of the fault does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from appliance.host.processes import process
from appliance.host.programs import Program
from appliance_lab.processes.failover import FailoverWorld
from appliance_lab.processes.faults import FAULTS

NODE, SERVICE = "commune-a", "docs-a"


class Sleeping:
    """A stage of one node whose program and service only sleep."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, list[str]()
        self.hung, self.served = (subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(2))
        found = process(self.served.pid)
        assert found is not None
        self.program(NODE).mark("program").write_text(f"{found.pid} {found.started}")

    def agent(self, name: str) -> subprocess.Popen[bytes]:
        return self.hung

    def program(self, name: str) -> Program:
        return Program(SERVICE, self.folder)

    def tell(self, node: str, epoch: int, event: str) -> None:
        self.told.append(event)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Sleeping]:
    made = Sleeping(tmp_path)
    yield made
    for each in (made.hung, made.served):
        each.kill()
        each.wait()


def test_who_is_hung_while_it_serves_has_stopped_nothing(stage: Sleeping) -> None:
    FAULTS["hang"].inject(cast("FailoverWorld", stage), NODE)
    assert stage.told == []


def test_who_is_hung_right_after_it_ended_its_service_has_stopped_it(stage: Sleeping) -> None:
    stage.served.kill()
    FAULTS["hang"].inject(cast("FailoverWorld", stage), NODE)
    assert stage.told == ["writer-stop"]
