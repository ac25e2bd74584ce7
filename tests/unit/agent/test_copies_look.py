"""The replica of a standby is looked for beside the loop that renews leases: a disk that hangs keeps no lease from
it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from appliance.backup.vault.latest import Latest
from appliance.backup.vault.stored import Stored
from appliance.clock import SimulatedClock
from appliance.failover.copies import LOOK_EVERY_SECONDS, BackupCopies
from appliance.host.layout import NodeLayout
from appliance.node.current import Current

SERVICE = "docs-a"
FOUND = Stored("00002.0000000001.aaaaaaaaaaaaaaaa", 2, 1, held=True)


@dataclass
class OneNode:
    root: Path
    clock: SimulatedClock = field(default_factory=SimulatedClock)

    @property
    def node(self) -> OneNode:
        return self

    @property
    def layout(self) -> NodeLayout:
        return NodeLayout(self.root)


@pytest.fixture
def current(tmp_path: Path) -> OneNode:
    return OneNode(tmp_path)


@pytest.fixture
def copies(current: OneNode) -> BackupCopies:
    return BackupCopies(cast(Current, current))


def test_a_look_that_hangs_on_the_disk_leaves_the_last_answer_standing(
    copies: BackupCopies, current: OneNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Latest, "look", lambda self: FOUND)
    assert copies.unfit(SERVICE) == "", "the first answer is waited for"
    disk_answers = Event()

    def hangs(self: Latest) -> Stored | None:
        assert disk_answers.wait(20)
        return None

    monkeypatch.setattr(Latest, "look", hangs)
    current.clock.advance(LOOK_EVERY_SECONDS + 1)
    started = time.monotonic()
    assert copies.unfit(SERVICE) == ""
    assert time.monotonic() - started < 10, "the loop goes on"
    disk_answers.set()
    copies._looking.shutdown(wait=True)
    assert copies.unfit(SERVICE) == "no generation is held here"


def test_a_disk_that_fails_is_told_once_and_looked_at_again(
    copies: BackupCopies, current: OneNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Latest) -> Stored | None:
        raise OSError("Input/output error")

    monkeypatch.setattr(Latest, "look", fails)
    with pytest.raises(OSError, match="Input/output"):
        copies.unfit(SERVICE)
    monkeypatch.setattr(Latest, "look", lambda self: FOUND)
    current.clock.advance(LOOK_EVERY_SECONDS + 1)
    assert copies.unfit(SERVICE) == ""
