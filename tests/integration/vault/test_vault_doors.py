"""An attacker with all of an origin's keys opens over SSH the vault of each peer, and nothing else."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

import pytest

from appliance.errors import Forbidden
from tests.integration.vault.siege import PEERS, Siege

NOTHING_BUT = "This key gives access only to the vault of this node: no shell, no files."
COMMANDS = (
    "",
    "sh",
    "sh -c 'touch MARK'",
    "touch MARK",
    "rm -rf .",
    "cat /etc/passwd",
    "appliance-vault; touch MARK",
    "appliance-vault && touch MARK",
    "appliance-vault\ntouch MARK",
    "appliance-vault `touch MARK`",
    "$(touch MARK)",
    "appliance-vault --help",
    "appliance-vault commune-b",
    " appliance-vault",
    "APPLIANCE-VAULT",
    "python3 -m appliance.backup.vault / hermitage",
    "borg serve --append-only",
    "borg serve",
    "scp -t .",
    "scp -f /etc/passwd",
    "rsync --server -e.LsfxC . MARK",
    "internal-sftp",
    "/usr/lib/openssh/sftp-server",
    "-x",
    "x" * 50_000,
)


def _run(argv: tuple[str, ...], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, input=stdin, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=[f"{command[:30]!r}" for command in COMMANDS])
def test_no_command_is_run(siege: Siege, tmp_path: Path, command: str) -> None:
    mark = tmp_path / "mark"
    done = _run(siege.ssh("commune-b", command.replace("MARK", str(mark))), b"touch " + bytes(mark) + b"\n")
    assert done.returncode == Forbidden.exit_code
    assert done.stderr.decode().strip() == NOTHING_BUT
    assert done.stdout == b""
    assert not mark.exists()


@pytest.mark.parametrize("peer", PEERS)
def test_no_peer_gives_a_shell(siege: Siege, peer: str) -> None:
    done = _run(siege.ssh(peer, ""), b"id\n")
    assert (done.returncode, done.stdout) == (Forbidden.exit_code, b"")
    siege.assert_unharmed()


def test_no_terminal_is_given(siege: Siege) -> None:
    done = _run(siege.ssh("commune-b", "", "-tt"))
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"PTY allocation request failed" in done.stderr


def test_there_is_no_file_transfer(siege: Siege, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    ssh = siege.ssh("commune-b", "sftp", "-s")
    done = _run(ssh)
    assert done.returncode != 0
    assert b"subsystem request failed" in done.stderr
    options = ssh[1 : ssh.index("-s")]
    where = ssh[-2]
    for words in (
        ("scp", *_without_t(options), str(tmp_path / "mine"), f"{where}:stolen"),
        ("scp", "-O", *_without_t(options), str(tmp_path / "mine"), f"{where}:stolen"),
        ("scp", *_without_t(options), f"{where}:/etc/passwd", str(tmp_path / "got")),
        ("scp", "-O", *_without_t(options), f"{where}:/etc/passwd", str(tmp_path / "got")),
        ("sftp", "-b", "/dev/stdin", *_without_t(options), where),
    ):
        assert _run(words, b"ls\n").returncode != 0, words
    assert not (tmp_path / "got").exists()


def _without_t(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in options if word != "-T")


def test_no_port_is_forwarded_to_the_peers_network(siege: Siege) -> None:
    port = siege.territory.members["commune-b"].node.port
    done = _run(siege.ssh("commune-b", "", "-W", f"127.0.0.1:{port}"))
    assert done.returncode != 0
    assert b"stdio forwarding failed" in done.stderr


@pytest.mark.parametrize("forward", ["0:127.0.0.1:22", "/run/user/stolen.sock:127.0.0.1:22"])
def test_no_port_is_opened_at_the_peer(siege: Siege, forward: str) -> None:
    done = _run(siege.ssh("commune-b", "appliance-vault", "-o", "ExitOnForwardFailure=yes", "-R", forward))
    assert done.returncode == 255
    assert b"remote port forwarding failed" in done.stderr or b"remote forward failure" in done.stderr


def test_no_tunnel_no_agent_and_no_display_come_along(siege: Siege) -> None:
    for options in (("-w", "any"), ("-A",), ("-X",), ("-o", "SetEnv=LD_PRELOAD=/tmp/x PYTHONPATH=/tmp/x LC_ALL=x")):
        done = _run(siege.ssh("commune-b", "", *options))
        assert done.returncode in (Forbidden.exit_code, 255)
        assert done.stdout == b""


@pytest.mark.parametrize("user", ["root", "nobody", "daemon", "appliance"])
def test_no_other_account_opens(siege: Siege, user: str) -> None:
    if user == getpass.getuser():
        pytest.skip("the nodes of this machine run as this account")
    done = _run(siege.ssh("commune-b", "appliance-vault", user=user))
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


def test_no_other_way_in_than_a_key(siege: Siege, tmp_path: Path) -> None:
    argv = siege.ssh(
        "commune-b", "appliance-vault", "-o", "PreferredAuthentications=password,keyboard-interactive,none"
    )
    done = _run(argv)
    assert done.returncode == 255
    assert b"Permission denied (publickey)" in done.stderr


def test_a_peer_that_is_not_itself_is_not_talked_to(siege: Siege) -> None:
    """An attacker in the middle: commune-b's address with another host key."""
    words = siege.ssh("commune-b", "appliance-vault")
    done = _run(tuple("HostKeyAlias=hermitage" if word == "HostKeyAlias=commune-b" else word for word in words))
    assert done.returncode == 255
    assert b"Host key verification failed" in done.stderr


def test_the_siege_left_everything_whole(siege: Siege) -> None:
    siege.assert_unharmed()
