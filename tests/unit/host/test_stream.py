"""`stream` carries outputs of any size without holding them, and leaves no process behind."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from appliance.errors import NotFound
from appliance.host.command import CommandTimeout, Result, run, stream
from appliance.secret import Secret


def to_end(chunks: Generator[bytes, None, Result]) -> tuple[bytes, Result]:
    pieces = []
    while True:
        try:
            pieces.append(next(chunks))
        except StopIteration as end:
            return b"".join(pieces), end.value


def test_everything_written_comes_out_and_the_result_keeps_only_standard_error() -> None:
    lines: list[str] = []
    script = "head -c 3000000 /dev/zero; echo one >&2; echo two >&2; exit 7"
    data, result = to_end(stream(("sh", "-c", script), timeout_seconds=30, on_stderr_line=lines.append))
    assert data == bytes(3_000_000)
    assert (result.exit_code, result.stdout, result.stderr) == (7, b"", b"one\ntwo\n")
    assert lines == ["one", "two"]


def test_the_process_is_gone_when_the_caller_stops_early() -> None:
    chunks = stream(("sh", "-c", "echo $$; exec cat /dev/zero"), timeout_seconds=30)
    pid = int(next(chunks).split(b"\n")[0])
    chunks.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_command_that_goes_on_too_long_is_killed() -> None:
    chunks = stream(("sh", "-c", "echo $$; exec sleep 30"), timeout_seconds=0.2)
    pid = int(next(chunks))
    with pytest.raises(CommandTimeout, match="did not end within"):
        next(chunks)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_secret_reaches_the_child_by_descriptor_only() -> None:
    script = 'cat <&"$BORG_PASSPHRASE_FD"; tr "\\0" " " </proc/$$/environ >&2'
    secrets = {"BORG_PASSPHRASE_FD": Secret(b"not in sight")}
    data, result = to_end(stream(("bash", "-c", script), timeout_seconds=30, secret_fds=secrets))
    assert data == b"not in sight"
    assert b"not in sight" not in result.stderr
    assert run(("bash", "-c", script), timeout_seconds=30, secret_fds=secrets).stdout == b"not in sight"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(NotFound, match="no-such-program"):
        next(stream(("no-such-program",), timeout_seconds=1))


def test_a_process_that_is_stopped_early_may_tidy_up(tmp_path: Path) -> None:
    tidied = tmp_path / "tidied"
    script = f"trap 'touch {tidied}; exit' TERM; echo ready; while :; do sleep 0.01; done"
    chunks = stream(("sh", "-c", script), timeout_seconds=30)
    assert next(chunks) == b"ready\n"
    chunks.close()
    assert tidied.exists()
