"""Where no secret may be on provisioned hosts: readable by all, in a journal, in what a run prints, in the arguments of
a process, in the control folder. The run that is watched issues certificates, with a control machine's only secret.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance_lab.hosts.playbook import play_well
from appliance_lab.stories.context import ORIGIN, SERVICE, STANDBY, StoryContext
from tests.integration.lab.boxes import until

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(1200)]

STATE = "/srv/appliance/node"
SECRETS = ("keys/sign_ed25519", "keys/ssh_ed25519", "keys/age", "keys/mesh", "keys/tls.pem", "tls/key.pem")
ACCOUNTS = "/srv/accounts"
PERSON, PASSWORD = "claire.leroy", "trois corbeaux autour du puits"
PLACES = "/etc /home /opt /root /run /srv /tmp /usr/local /var"
LINE_BYTES_MIN = 20
OURS = (b"CREATE", b"-----", b"#", b"BORG_KEY")


@dataclass(frozen=True)
class Needles:
    """Lines of secrets, by where each is; what finds them is told the place only."""

    places: dict[bytes, str]

    def seen_in(self, text: bytes) -> set[str]:
        return {place for line, place in self.places.items() if line in text}


def lines_of(secret: bytes) -> list[bytes]:
    """The lines that nobody could have by chance; a key of X.509 ends with its public half, which certificates tell."""
    lines = [line.strip() for line in secret.splitlines()]
    found = [line for line in lines if len(line) >= LINE_BYTES_MIN and not line.startswith(OURS)]
    return found[:-1] if b"BEGIN PRIVATE KEY" in secret else found


@pytest.fixture(scope="module")
def needles(context: StoryContext) -> Needles:
    """Every secret of two nodes, of somebody who has an account there, of the control machine and of the safe."""
    found: dict[bytes, str] = {}
    for node in (ORIGIN, STANDBY):
        state = context.disk(node, STATE)
        files = [*(state / it for it in SECRETS), *state.glob("services/*/key/*")]
        assert len(files) > len(SECRETS) or node != ORIGIN
        for file in files:
            found |= dict.fromkeys(lines_of(file.read_bytes()), f"{node}:{file.relative_to(state)}")
    context.did(ORIGIN, "appliance", "account", "add", PERSON, stdin=f"{PASSWORD}\n".encode())
    found |= of_accounts(context.disk(ORIGIN, ACCOUNTS))
    control = context.control
    opened = subprocess.run(
        (
            "ansible-vault",
            "view",
            "--vault-password-file",
            control.vault_password,
            control.inventory / "pki/intermediate.key",
        ),
        capture_output=True,
        check=True,
        env={"PAGER": "cat", "PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
    ).stdout
    found |= dict.fromkeys(lines_of(opened), "the intermediate's key")
    for file in (control.territory_key, control.vault_password, control.paper):
        found |= dict.fromkeys(lines_of(file.read_bytes()), file.name)
    assert len(found) > 20
    return Needles(found)


def of_accounts(folder: Path) -> dict[bytes, str]:
    """The password that a person types, its hashes, and the lines that Samba reads."""
    found = {PASSWORD.encode(): f"{ORIGIN}:a password"}
    for account in json.loads((folder / "accounts.json").read_bytes())["accounts"]:
        found |= {account[kind].encode(): f"{ORIGIN}:{kind} of {account['name']}" for kind in ("nt_hash", "slow_hash")}
    lines = [line for line in (folder / "smbpasswd").read_bytes().splitlines() if line.startswith(PERSON.encode())]
    assert len(lines) == 1
    return found | dict.fromkeys(lines, f"{ORIGIN}:smbpasswd")


def test_nobody_else_on_a_node_can_read_one(context: StoryContext, needles: Needles) -> None:
    for node in (ORIGIN, STANDBY):
        here = b"\n".join(line for line, place in needles.places.items() if place.startswith(node)) + b"\n"
        words = f"runuser -u nobody -- grep -rlaF -f - --exclude-dir=proc {PLACES} 2>/dev/null"
        assert context.ssh(node, words, stdin=here).stdout == b"", node
        found = context.ssh(node, f"grep -rlaF -f - {STATE}/keys {ACCOUNTS}", stdin=here).stdout.decode()
        there = {"sign_ed25519", *(("accounts.json", "smbpasswd") if node == ORIGIN else ())}
        assert there <= {Path(line).name for line in found.splitlines()}, "what is looked for would be found"


def test_the_control_folder_holds_none_in_clear(context: StoryContext, needles: Needles) -> None:
    folder = context.control.inventory
    seen = {str(file): needles.seen_in(file.read_bytes()) for file in folder.rglob("*") if file.is_file()}
    assert {file: places for file, places in seen.items() if places} == {}


def test_the_copy_of_it_that_is_backed_up_knows_what_was_issued_and_holds_none_in_clear(
    context: StoryContext, needles: Needles
) -> None:
    [copy] = context.disk(STANDBY, "/srv/control").iterdir()
    issued = {name: text for name, text in below(context.control.inventory / "pki").items() if "requests/" not in name}
    assert below(copy / "pki") == issued
    assert any(name.startswith("issued/") for name in issued)
    assert {name: needles.seen_in(text) for name, text in below(copy).items() if needles.seen_in(text)} == {}


def below(folder: Path) -> dict[str, bytes]:
    """The files below `folder`, with what is in them."""
    return {str(it.relative_to(folder)): it.read_bytes() for it in folder.rglob("*") if it.is_file()}


@dataclass
class Watched:
    """The secrets found in the arguments of processes; `seen` counts them."""

    seen: set[int] = field(default_factory=set)
    found: set[str] = field(default_factory=set)


@contextmanager
def watching(needles: Needles) -> Iterator[Watched]:
    """Look at the arguments of every process of this machine, nodes' included, again and again."""
    watched, ended = Watched(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    text = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                watched.seen.add(int(process.name))
                watched.found |= {f"{place} in {text[:40]!r}" for place in needles.seen_in(text)}

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield watched
    finally:
        ended.set()
        thread.join()


def test_what_a_node_has_in_the_arguments_of_a_process_would_be_found(context: StoryContext) -> None:
    invented = secrets.token_hex(20)
    waiting = f'exec python3 -I -c "input()" {invented}\n'.encode()
    argv = ("ssh", "-F", str(context.paths.lab(context.name).ssh_config), ORIGIN, "sh", "-s")
    needles = Needles({invented.encode(): "an invented one"})
    with watching(needles) as watched, subprocess.Popen(argv, stdin=subprocess.PIPE) as going:
        assert going.stdin is not None
        going.stdin.write(waiting)
        going.stdin.flush()
        try:
            until(lambda: watched.found, "the watch finds it")
        finally:
            going.stdin.close()
    assert all(it.startswith("an invented one in b'python3") for it in watched.found), watched.found


def test_a_run_that_uses_them_tells_none(context: StoryContext, needles: Needles) -> None:
    """Certificates are issued again, a node backs up, somebody gets a password: every kind of secret is used."""
    for file in (context.control.inventory / "pki/nodes").glob("*.pem"):
        file.unlink()
    with watching(needles) as watched:
        played = play_well(context.control, "site", "-v")
        context.json(ORIGIN, "backup", "run", SERVICE)
        context.did(ORIGIN, "appliance", "account", "passwd", PERSON, stdin=f"{PASSWORD}\n".encode())
    assert played.changed > 0
    assert len(watched.seen) > 100
    assert watched.found == set()
    assert needles.seen_in(played.text.encode()) == set()
    for node in (ORIGIN, STANDBY):
        journal = context.ssh(node, "journalctl --no-pager -o export").stdout
        assert b"appliance" in journal
        assert needles.seen_in(journal) == set(), node
