"""First contact: a machine whose host key is not the one on its screen gets nothing, not even a name."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest

from appliance.host.command import Result, run
from appliance.host.network.first_contact import ADD_KEY
from appliance.trust.keys import create_key
from appliance.trust.signed import fingerprint
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.node import ProcessNode, free_ports

CASE = Path(__file__).parents[2] / "cases" / "hosts" / "territory.yml"
ADDRESS = "127.0.0.1"
OTHER = "SHA256:" + "A" * 43


@dataclass
class ControlMachine:
    """The folder of territory.yml, in which commune-a is at `port` of this machine."""

    folder: Path
    port: int

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def meet(self, *words: str, stdin: bytes | None = None) -> Result:
        argv = (*appliance_argv(), "--json", "node", "trust-host-key", *words, "--territory", str(self.folder))
        env = {"PYTHONPATH": str(code_folder()), "HOME": str(self.folder)}
        return run(argv, timeout_seconds=60, env=env, stdin=stdin)


@pytest.fixture
def control(tmp_path: Path) -> ControlMachine:
    folder = tmp_path / "desk"
    folder.mkdir()
    (port,) = free_ports(ADDRESS, 1)
    text = CASE.read_text("utf-8").replace("address: 10.77.1.10, port: 22", f"address: {ADDRESS}, port: {port}")
    (folder / "territory.yml").write_text(text, "utf-8")
    return ControlMachine(folder, port)


@dataclass
class Outsider(paramiko.ServerInterface):
    """An SSH server that takes a password and remembers all that it was told."""

    told: list[str] = field(default_factory=list)
    ran: list[bytes] = field(default_factory=list)

    def check_auth_password(self, username: str, password: str) -> int:
        self.told.append(f"{username}:{password}")
        return paramiko.AUTH_SUCCESSFUL if password == "of the installer" else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        self.told.append(username)
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.ran.append(command)
        threading.Thread(target=self._end, args=(channel,), daemon=True).start()
        return True

    def _end(self, channel: paramiko.Channel) -> None:
        self.ran.append(channel.makefile("rb").read())
        # Who has heard the exit code hangs up, maybe before the channel is closed here.
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            channel.send_exit_status(0)
            channel.close()


@pytest.fixture
def attacker(control: ControlMachine) -> Iterator[tuple[Outsider, str]]:
    """A server at the address of commune-a, and the fingerprint of its only host key."""
    server, key = Outsider(), paramiko.ECDSAKey.generate()
    listener = socket.create_server((ADDRESS, control.port))
    threading.Thread(target=_serve, args=(listener, server, key), daemon=True).start()
    yield server, key.fingerprint
    listener.close()


def _serve(listener: socket.socket, server: Outsider, key: paramiko.PKey) -> None:
    while True:
        try:
            transport = paramiko.Transport(listener.accept()[0])
        except OSError:
            return
        transport.add_server_key(key)
        try:
            transport.start_server(server=server)
        except (paramiko.SSHException, EOFError, OSError):  # who asks may hang up at any moment; the next one comes
            transport.close()


def test_a_machine_with_another_host_key_is_told_nothing(
    control: ControlMachine, attacker: tuple[Outsider, str]
) -> None:
    server, seen = attacker
    key = _public_key(control.folder)
    result = control.meet("commune-a", "--fingerprint", OTHER, "--install-key", str(key), stdin=b"of the installer\n")
    assert result.exit_code == 5
    assert f"host key {seen}, not {OTHER}. Nothing was sent." in result.tail()
    assert server.told == server.ran == []
    assert not control.known_hosts.exists()


def test_the_key_goes_to_the_right_machine_after_a_password_that_is_asked_for(
    control: ControlMachine, attacker: tuple[Outsider, str]
) -> None:
    server, seen = attacker
    key = _public_key(control.folder)
    result = control.meet("commune-a", "--fingerprint", seen, "--install-key", str(key), stdin=b"of the installer\n")
    assert result.exit_code == 0, result.tail()
    assert server.told == ["root:of the installer"]
    assert server.ran == [ADD_KEY.encode(), key.read_bytes()]
    assert control.known_hosts.read_text().startswith("commune-a ecdsa-sha2-nistp256 ")


def test_a_dry_run_compares_the_key_and_says_what_would_follow(
    control: ControlMachine, attacker: tuple[Outsider, str]
) -> None:
    server, seen = attacker
    words = ("commune-a", "--install-key", str(_public_key(control.folder)), "--dry-run", "--fingerprint")
    told = control.meet(*words, seen)
    assert told.exit_code == 0, told.tail()
    assert json.loads(told.stdout)["known"] is False
    assert control.meet(*words, OTHER).exit_code == 5
    assert server.told == server.ran == []
    assert not control.known_hosts.exists()
    control.known_hosts.write_text("commune-a ssh-ed25519 AAAA\n")
    refused = control.meet(*words, seen)
    assert (refused.exit_code, "--replace" in refused.tail()) == (8, True)
    assert json.loads(control.meet(*words, seen, "--replace").stdout)["known"] is False
    assert control.known_hosts.read_text() == "commune-a ssh-ed25519 AAAA\n"


def test_a_wrong_password_is_one_sentence(control: ControlMachine, attacker: tuple[Outsider, str]) -> None:
    key = _public_key(control.folder)
    result = control.meet("commune-a", "--fingerprint", attacker[1], "--install-key", str(key), stdin=b"guess\n")
    assert result.exit_code == 6
    assert "guess" not in result.tail()


def test_a_private_key_is_never_installed(control: ControlMachine, attacker: tuple[Outsider, str]) -> None:
    key = _public_key(control.folder).with_suffix("")
    result = control.meet(
        "commune-a", "--fingerprint", attacker[1], "--install-key", str(key), stdin=b"of the installer\n"
    )
    assert (result.exit_code, attacker[0].told) == (2, [])


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (("commune-a", "--fingerprint", "MD5:aa"), 2, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"),
        (("commune-z", "--fingerprint", OTHER), 3, 'no node has the name or address "commune-z"'),
        (("commune-a", "--fingerprint", OTHER), 7, "no answer"),
    ],
)
def test_what_cannot_be_met_is_said_in_one_sentence(
    words: tuple[str, ...], code: int, say: str, control: ControlMachine
) -> None:
    result = control.meet(*words)
    assert (result.exit_code, say in result.tail()) == (code, True)


@pytest.fixture
def sshd(control: ControlMachine) -> Iterator[Path]:
    """A real sshd at the address of commune-a that knows our key; its host key."""
    if os.geteuid() != 0:
        pytest.skip("a server that lets root in needs root")
    machine = ProcessNode("commune-a", control.folder / "machine", ADDRESS, control.port)
    os.makedirs(machine.layout.run)
    os.makedirs(machine.layout.keys)
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    create_key(machine.layout.keys / "host_ed25519")
    (machine.layout.run / "authorized_keys").write_text(_public_key(control.folder).read_text())
    machine.start_sshd()
    yield machine.layout.keys / "host_ed25519"
    machine.kill()


def test_a_real_sshd_is_met_once_and_known_after(control: ControlMachine, sshd: Path) -> None:
    public = sshd.with_name("host_ed25519.pub").read_text().strip()
    words = ("--fingerprint", fingerprint(public), "--identity", str(control.folder / "operator"))
    answers = [json.loads(control.meet(machine, *words).stdout) for machine in ("commune-a", ADDRESS)]
    assert [answer["known"] for answer in answers] == [False, True]
    kind, key = public.split()[:2]
    assert control.known_hosts.read_text() == f"commune-a {kind} {key}\n"


def test_another_host_key_than_before_is_refused_until_somebody_says_it_is_a_new_machine(
    control: ControlMachine, sshd: Path
) -> None:
    control.known_hosts.write_text("commune-b ssh-ed25519 BBBB\ncommune-a ssh-ed25519 AAAA\n")
    mark = fingerprint(sshd.with_name("host_ed25519.pub").read_text().strip())
    words = ("commune-a", "--fingerprint", mark, "--identity", str(control.folder / "operator"))
    refused = control.meet(*words)
    assert (refused.exit_code, "--replace" in refused.tail()) == (8, True)
    assert control.meet(*words, "--replace").exit_code == 0
    assert control.known_hosts.read_text().startswith("commune-b ssh-ed25519 BBBB\ncommune-a ssh-ed25519 AAAAC3")


def test_a_key_the_machine_does_not_know_is_refused(control: ControlMachine, sshd: Path) -> None:
    mark = fingerprint(sshd.with_name("host_ed25519.pub").read_text().strip())
    create_key(control.folder / "attacker")
    result = control.meet("commune-a", "--fingerprint", mark, "--identity", str(control.folder / "attacker"))
    assert (result.exit_code, "--install-key" in result.tail()) == (6, True)


def test_a_key_is_added_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    line = b"ssh-ed25519 AAAA regie@cclo\n"
    for _ in range(2):
        run(("sh", "-c", ADD_KEY), timeout_seconds=10, cwd=tmp_path, stdin=line, check=True)
    keys = tmp_path / ".ssh" / "authorized_keys"
    assert keys.read_bytes() == line
    assert (keys.stat().st_mode & 0o777, keys.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def _public_key(folder: Path) -> Path:
    """The public half of the operator's key `operator`."""
    if not (folder / "operator").exists():
        create_key(folder / "operator")
    return folder / "operator.pub"


def test_a_server_that_is_no_ssh_server_is_one_sentence_without_a_traceback(control: ControlMachine) -> None:
    with socket.create_server((ADDRESS, control.port)) as listener:
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        result = control.meet("commune-a", "--fingerprint", OTHER)
    assert result.exit_code == 7
    assert len(result.stderr.decode().splitlines()) == 1, result.stderr.decode()


def _greet(listener: socket.socket) -> None:
    with contextlib.suppress(OSError), listener.accept()[0] as connection:
        connection.sendall(b"220 mail.example.org\r\n" * 200)


HANDS_OVER = """
import socket, sys
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
socket.send_fds(socket.socket(fileno=1), [b"x"], [there.fileno()])
"""


@pytest.mark.parametrize("passes_socket", [False, True])
def test_the_way_and_the_key_of_ssh_config_are_taken(control: ControlMachine, sshd: Path, passes_socket: bool) -> None:
    """As in a lab: no route leads to the node's address, and its key is in no ~/.ssh."""
    port, away = control.port, "192.0.2.1"
    text = (control.folder / "territory.yml").read_text("utf-8")
    (control.folder / "territory.yml").write_text(text.replace(f"address: {ADDRESS}, port: {port}", f"address: {away}"))
    (control.folder / "hands_over.py").write_text(HANDS_OVER)
    program = f"hands_over.py {port}" if passes_socket else f"pipe.py {port}"
    (control.folder / "pipe.py").write_text(PIPES)
    config = control.folder / "config"
    config.write_text(
        f"Host {away}\n    IdentityFile {control.folder}/operator\n    IdentityAgent none\n"
        f"    ProxyCommand python3 {control.folder}/{program}\n    ProxyUseFdpass {'yes' if passes_socket else 'no'}\n"
    )
    mark = fingerprint(sshd.with_name("host_ed25519.pub").read_text().strip())
    met = control.meet("commune-a", "--fingerprint", mark, "--ssh-config", str(config))
    assert met.exit_code == 0, met.tail()
    assert control.known_hosts.read_text().startswith("commune-a ssh-ed25519 ")
    config.write_text(config.read_text().replace("python3", "false python3"))
    refused = control.meet("commune-a", "--fingerprint", mark, "--ssh-config", str(config))
    assert (refused.exit_code, len(refused.stderr.decode().splitlines())) == (7, 1)


PIPES = """
import os, socket, sys, threading
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while data := there.recv(65536):
        os.write(1, data)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    there.sendall(data)
"""


def test_a_wrong_ssh_config_is_named(control: ControlMachine) -> None:
    config = control.folder / "config"
    config.write_text("Nonsense yes\n")
    refused = control.meet("commune-a", "--fingerprint", OTHER, "--ssh-config", str(config))
    assert (refused.exit_code, str(config) in refused.tail()) == (2, True)
