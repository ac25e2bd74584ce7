"""Questions on a terminal: a person confirms a grant, and a key that is typed shows nowhere."""

from __future__ import annotations

import os
import pty
import select
import time
from pathlib import Path

import pytest

from appliance.backup.writer import writer
from appliance.escrow.age import RecoveryKey, generate
from appliance.trust.grant import make_request
from appliance.trust.keys import load_key
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE
from tests.pace import LONG

WAIT_SECONDS = LONG * 60.0


def at_terminal(*words: str, answers: dict[str, str]) -> tuple[int, str]:
    """Type `appliance WORDS` on a terminal and, at each of the texts, its answer; the exit code and all that showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "PYTHONPATH": str(code_folder())}
        os.execve(appliance_argv()[0], [*appliance_argv(), *words], environment)
    shown, waiting = b"", list(answers.items())
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        select.select([terminal], [], [], deadline - time.monotonic())
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if waiting and waiting[0][0].encode() in shown:
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


@pytest.mark.parametrize(("answer", "code"), [("n", 8), ("y", 0)])
def test_a_grant_is_signed_only_when_a_person_says_yes(
    territory: ProcessTerritory, tmp_path: Path, answer: str, code: int
) -> None:
    node = territory.open("commune-b")
    reason = "because\x1b[2J"
    words = {"service": SERVICE, "repository": "0" * 64, "writer": node.name, "known_epoch": 2, "reason": reason}
    (tmp_path / "request").write_bytes(make_request(load_key(node.signing_key), **words))  # type: ignore[arg-type]
    out = tmp_path / "grant"
    files = ("--bundle", str(node.layout.bundle), "--key", str(territory.territory_key), "--out", str(out))
    ended, shown = at_terminal("territory", "grant", str(tmp_path / "request"), *files, answers={"[y/N]": answer})
    assert ended == code, shown
    assert out.exists() == (answer == "y")
    assert "NEITHER its origin NOR a standby" in shown
    assert "epoch       4, after 2" in shown
    assert "because\\x1b[2J" in shown


@pytest.fixture
def paper(territory: ProcessTerritory) -> RecoveryKey:
    """The recovery key of the territory, to which a first generation is sealed; the origin is lost and replaced."""
    key = generate()
    territory.recovery = key.public
    territory.sign()
    writer.run(territory.open("commune-a"), SERVICE)
    territory.nodes["commune-a"].wipe()
    territory.add_node("commune-a")
    territory.sign()
    return key


def test_the_key_is_typed_without_echo(territory: ProcessTerritory, paper: RecoveryKey) -> None:
    state = str(territory.nodes["commune-a"].state)
    secret = paper.secret.reveal().decode()
    find = ("--state", state, "restore", "find", "e")
    ended, shown = at_terminal(*find, answers={})
    assert (ended, "add --recovery-sheet" in shown) == (8, True)
    ended, shown = at_terminal(*find, "--recovery-sheet", answers={"Ligne": secret})
    assert ended == 0, shown
    assert "docs-a" in shown
    assert secret[20:30] not in shown
