"""One small host with a real Samba for the tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from appliance_lab.hosts.pc import Pc
from tests.integration.share.world import World

PROGRAMS = ("smbd", "smbclient", "mkfs.btrfs", "unshare")
LETS_NOBODY_IN = "NT_STATUS_LOGON_FAILURE"
MARIE, PAUL = "une mésange au lavoir", "trois pommes de Picardie"


def lets_in(pc: Pc, share: str = "Documents") -> bool:
    """Whether `share` opens."""
    return not pc.refusal(share, "ls")


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The node with its shares and nobody yet."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: make setup")
    if os.geteuid() != 0:
        pytest.skip("needs root: namespaces, accounts")
    made = World(tmp_path_factory.mktemp("world"))
    try:
        made.begin()
        made.account("add", "marie", "--title", "Marie Dupont", "--group", "elus", password=MARIE)
        made.account("add", "paul", password=PAUL)
        yield made
    finally:
        made.end()


@pytest.fixture
def marie(world: World) -> Pc:
    return world.pc("marie", MARIE)


@pytest.fixture
def paul(world: World) -> Pc:
    return world.pc("paul", PAUL)
