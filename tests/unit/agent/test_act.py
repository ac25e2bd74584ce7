"""A work that fails ends with a sentence, whatever failed: the worker's process never tells by a traceback."""

from __future__ import annotations

import errno

import pytest

from appliance.agent import act
from appliance.agent.decisions import KINDS, Prune
from appliance.agent.work import read_outcome
from appliance.backup.writer import writer
from appliance.errors import ApplianceError, NoSpace, Refused
from appliance.node.handle import Node


@pytest.mark.parametrize(
    ("error", "says", "code"),
    [
        (Refused("epoch 2 ended.", remedy="Ask for a new grant."), "epoch 2 ended.", 8),
        (NoSpace("the disk is full.", where="/srv"), "/srv: the disk is full.", 4),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/x"), "/srv/x: the disk is full.", NoSpace.exit_code),
        (PermissionError(errno.EACCES, "Permission denied", "/srv/x"), "/srv/x: permission denied to this account.", 6),
        (OSError(errno.EIO, "Input/output error", "/srv/x"), "/srv/x: Input/output error.", ApplianceError.exit_code),
    ],
)
def test_a_failure_becomes_an_outcome(error: Exception, says: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(node: Node, service: str) -> None:
        raise error

    monkeypatch.setattr(writer, "prune", fail)
    outcome = act.perform(Node.__new__(Node), Prune("docs-a", "a reason"))
    assert (outcome.error, outcome.exit_code) == (says, code)
    assert outcome.remedy == getattr(error, "remedy", outcome.remedy)
    assert outcome.disk_full == ("the disk is full" in says)


def test_every_kind_of_work_that_can_be_decided_can_be_done() -> None:
    assert {kind.kind for kind in act.ACTIONS} == set(KINDS)


@pytest.mark.parametrize(
    ("code", "answer", "says"),
    [
        (-9, b"", "the worker was killed by signal 9."),
        (1, b"Traceback", "the worker exited with 1 without output."),
        (0, b"{}", "the worker exited with 0 without output."),
    ],
)
def test_a_worker_that_says_nothing_has_failed(code: int, answer: bytes, says: str) -> None:
    outcome = read_outcome(code, answer)
    assert outcome.error == says
    assert outcome.exit_code == ApplianceError.exit_code
