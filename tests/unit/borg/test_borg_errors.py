"""Each way borg can fail has a name, a sentence and one of the documented exit codes."""

from __future__ import annotations

import json

import pytest

from appliance.borg import errors
from appliance.errors import ApplianceError
from appliance.host.command import Result


def ended(code: int, text: str = "said", message_id: str = "") -> Result:
    line = json.dumps({"type": "log_message", "levelname": "ERROR", "msgid": message_id, "message": text})
    return Result(("borg",), code, b"", line.encode(), 0.1)


NO_SPACE = "Traceback ...\nOSError: [Errno 28] No space left on device: '/r/data'"
CASES = [
    (13, "", errors.RepositoryMissing, 3),
    (15, "", errors.RepositoryMissing, 3),
    (73, "", errors.RepositoryLocked, 4),
    (52, "", errors.WrongPassphrase, 6),
    (42, "", errors.KeyMissing, 3),
    (40, "", errors.KeyDamaged, 5),
    (90, "", errors.RepositoryDamaged, 5),
    (64, "", errors.ReplayRefused, 8),
    (31, "", errors.ArchiveMissing, 3),
    (30, "", errors.ArchiveExists, 8),
    (14, "", errors.DiskFull, 4),
    (2, NO_SPACE, errors.DiskFull, 4),
    (72, "Failed to create/acquire the lock /r ([Errno 30] Read-only file system).", errors.AccessDenied, 6),
    (2, "Traceback ...\nPermissionError: [Errno 13] Permission denied: '/r/nonce'", errors.AccessDenied, 6),
    (2, "Traceback ...\nAssertionError", errors.BorgFailed, 4),
    (-9, "", errors.BorgKilled, 4),
]


@pytest.mark.parametrize(("code", "text", "kind", "exit_code"), CASES)
def test_an_exit_code_becomes_a_named_error(code: int, text: str, kind: type[ApplianceError], exit_code: int) -> None:
    error = errors.error_of(ended(code, text), "/r")
    assert type(error) is kind
    assert error.exit_code == exit_code
    assert str(error).startswith("/r: ")
    assert "\n" not in str(error)


def test_a_killed_borg_is_said_to_be_killed() -> None:
    assert "killed by signal 9" in str(errors.error_of(Result(("borg",), -9, b"", b"", 0.1), "/r"))


def test_output_that_is_not_json_is_kept() -> None:
    error = errors.error_of(Result(("borg",), 2, b"", b"Fatal Python error\n", 0.1), "/r")
    assert "Fatal Python error" in str(error)
