"""The vault of real hosts: copies that become safe over SSH, keys that open nothing else, sealed files that nobody of
the node can change, a checker that sees rot, and all of it again after a crash and a power cut.
"""

from __future__ import annotations

import json
import os
import shlex
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import RECEIPT
from appliance.node.handle import open_node
from appliance.trust.receipt import read_receipt
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine
from appliance_lab.hosts.lab import Lab
from appliance_lab.stories.backed_up import documents_of
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, SPARE, STANDBY, StoryContext
from appliance_lab.stories.left import look
from tests.pace import LONG

STATE = "/srv/appliance/node"
VAULT = "/srv/appliance/vault"
HELD = f"{VAULT}/{SERVICE}"
NOTHING_BUT = "This key gives access only to the vault of this node: no shell, no files."
SECONDS_MAX = LONG * 120.0
COMMANDS = (
    "",
    "sh",
    "touch MARK",
    "appliance-vault; touch MARK",
    "appliance-vault\ntouch MARK",
    "$(touch MARK)",
    " appliance-vault",
    "cat /etc/passwd",
    "scp -t .",
    "rsync --server -e.LsfxC . MARK",
    "internal-sftp",
    "borg serve",
)

pytestmark = [pytest.mark.root, pytest.mark.timeout(1500), pytest.mark.xdist_group("lab")]


@pytest.fixture(scope="module")
def context(provisioned: Lab) -> StoryContext:
    """The lab, once the first backup of commune-a is safe: made by its agent, which nobody asked."""
    name = provisioned.plan.lab
    context = StoryContext(name, Path("inventory/lab"), print, look(name))
    context.wait_until_safe(SERVICE, ORIGIN, seconds_max=600)
    return context


@pytest.fixture
def forgiving(context: StoryContext) -> Iterator[None]:
    """sshd of the blind peer lets callers wait that tried a wrong key; after a restart it has forgotten them.

    systemd counts starts that follow fast on each other, too.
    """
    yield
    context.did(BLIND, "systemctl reset-failed ssh.service; systemctl restart ssh.service")


def as_account(context: StoryContext, node: str, account: str, script: str, **said: Any) -> Any:
    """Return what the Python `script` prints as JSON, run by `account` on `node`; `said` are variables of it."""
    text = "\n".join((*(f"{name} = {value!r}" for name, value in said.items()), textwrap.dedent(script)))
    done = context.ssh(node, f"runuser -u {account} -- python3 -I -", stdin=text.encode())
    assert done.exit_code == 0, done.stderr.decode()
    return json.loads(done.stdout)


def key_words(context: StoryContext, peer: str, *options: str, account: str = f"vault-{ORIGIN}") -> tuple[str, ...]:
    """The ssh of somebody who has the keys of commune-a, up to the account at `peer`."""
    fixed = ("BatchMode=yes", "IdentitiesOnly=yes", "ConnectTimeout=10", "LogLevel=ERROR", f"HostKeyAlias={peer}")
    words = [word for option in fixed for word in ("-o", option)]
    # Its account's own list of peers: a thief of the keys has it too.
    words += ["-o", f"UserKnownHostsFile={STATE}/run/known_hosts", "-i", f"{STATE}/keys/ssh_ed25519"]
    address = open_node(context.disk(ORIGIN, STATE)).bundle.member(peer).node.mesh
    return ("timeout", "30", "ssh", "-F", "none", *words, *options, f"{account}@{address}")


def stolen(context: StoryContext, words: tuple[str, ...], stdin: bytes = b"") -> tuple[int, str, str]:
    """How `words` end on commune-a, as the account of its agent."""
    done = context.ssh(ORIGIN, f"cd / && runuser -u appliance -- {shlex.join(words)}", stdin=stdin)
    return done.exit_code, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace").strip()


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, f"after {SECONDS_MAX:.0f} s still not: {what}"
        time.sleep(0.2)


def is_active(context: StoryContext, node: str, unit: str) -> bool:
    return context.ssh(node, "systemctl", "is-active", unit).exit_code == 0


def back_up_something_new(context: StoryContext, name: str) -> str:
    """Change the documents of commune-a and have them saved; the generation, which is safe."""
    (documents_of(context) / name).write_bytes(os.urandom(3_000_000))
    context.back_up(SERVICE)
    return str(context.wait_until_safe(SERVICE, ORIGIN)["generation"])


# What is taken


def test_a_backup_is_safe_at_two_peers_by_receipts_that_their_sealers_signed(context: StoryContext) -> None:
    shown = context.wait_until_safe(SERVICE, ORIGIN)
    assert sorted(shown["safety"]["counted"]) == sorted((STANDBY, BLIND))
    for peer in (STANDBY, BLIND):
        node = open_node(context.disk(peer, STATE))
        replica = replica_of(node, SERVICE)
        newest = max(item.name for item in replica.stored() if item.held)
        receipt = read_receipt(replica.read(newest, RECEIPT), node.bundle.member(peer).keys.sign)
        assert (receipt.holder, str(receipt.generation)) == (peer, shown["generation"])


@pytest.mark.parametrize("peer", [STANDBY, BLIND])
def test_all_that_is_sealed_belongs_to_the_sealer_and_can_be_written_by_nobody(
    context: StoryContext, peer: str
) -> None:
    sealed = f"{HELD}/pool {HELD}/generations {HELD}/grants"
    owners = context.did(peer, f"find {sealed} -printf '%U %u:%g\\n' | sort -u").splitlines()
    assert [line.split()[1] for line in owners] == ["appliance-sealed:appliance-vault"]
    assert context.did(peer, f"find {sealed} -type f -perm /0337").strip() == ""
    assert context.did(peer, f"find {sealed} -type f | head -3").strip(), "there is something sealed"
    assert context.did(peer, f"find {HELD}/partial -type f").strip() == ""


def test_a_node_that_lacks_older_generations_is_heard_by_the_account_that_receives(context: StoryContext) -> None:
    script = """
        import json
        from pathlib import Path
        from appliance.backup.peers.exchange import Findings, ask_for_older
        from appliance.node.handle import open_node
        found = Findings(service, (), {}, "", {}, {}, {}, {peer: ("one",)}, {}, (), (), ())
        ask_for_older(open_node(Path(state)), found)
        print(json.dumps("said"))
    """
    said = as_account(context, STANDBY, "appliance", script, state=STATE, service=SERVICE, peer=BLIND)
    assert said == "said"
    assert context.did(BLIND, f"stat --format '%U %a' {HELD}/book/asked").split() == ["appliance-vault", "640"]


# What a vault's key opens


@pytest.mark.parametrize("command", COMMANDS, ids=[f"{command[:30]!r}" for command in COMMANDS])
def test_a_vault_key_runs_no_command(context: StoryContext, command: str) -> None:
    words = key_words(context, BLIND)
    code, out, err = stolen(context, (*words, command.replace("MARK", "/tmp/mark")) if command else words, b"id\n")
    assert (code, out, err) == (6, "", NOTHING_BUT)
    assert context.ssh(BLIND, "ls", "/tmp/mark", "/mark").exit_code != 0


def test_a_vault_key_gets_no_terminal_no_files_and_no_way_on(context: StoryContext) -> None:
    where = key_words(context, BLIND)
    transfer = tuple(word for word in where[2:-1] if word != "ssh")
    for words in (
        (*where[:-1], "-tt", where[-1]),
        (*where[:-1], "-s", where[-1], "sftp"),
        (*where[:-1], "-W", "127.0.0.1:22", where[-1]),
        (*where[:-1], "-N", "-o", "ExitOnForwardFailure=yes", "-R", "9999:127.0.0.1:22", where[-1]),
        (*where[:-1], "-N", "-o", "ExitOnForwardFailure=yes", "-w", "any", where[-1]),
        (*where[:-1], "-A", where[-1], "ssh-add -l"),
        (*where[:-1], "-X", where[-1], "xterm"),
        ("timeout", "30", "sftp", "-b", "/dev/stdin", *transfer, where[-1]),
        ("timeout", "30", "scp", *transfer, "/etc/hostname", f"{where[-1]}:stolen"),
        ("timeout", "30", "scp", "-O", *transfer, "/etc/hostname", f"{where[-1]}:stolen"),
        ("timeout", "30", "scp", *transfer, f"{where[-1]}:/etc/passwd", "/tmp/got"),
        ("timeout", "30", "scp", "-O", *transfer, f"{where[-1]}:/etc/passwd", "/tmp/got"),
    ):
        code, out, _ = stolen(context, words, b"ls\n")
        assert (code not in (0, 124), "root:" in out) == (True, False), words
    assert context.ssh(ORIGIN, "ls", "/tmp/got").exit_code != 0
    assert context.did(BLIND, "find / -xdev -name stolen").strip() == ""


@pytest.mark.parametrize(
    "account", ["root", "appliance", "appliance-vault", "appliance-sealed", f"vault-{SPARE}", f"vault-{BLIND}"]
)
def test_a_vault_key_opens_no_other_account(context: StoryContext, forgiving: None, account: str) -> None:
    code, out, err = stolen(context, (*key_words(context, BLIND, account=account), "appliance-vault"))
    assert (code, out) == (255, "")
    assert "Permission denied" in err


def test_no_account_but_a_callers_reaches_the_vault_and_no_stranger_the_helpers(context: StoryContext) -> None:
    script = """
        import json, socket
        found = {}
        for name in ("vault", "seal", "check"):
            try:
                socket.socket(socket.AF_UNIX).connect(f"/run/appliance/{name}.sock")
                found[name] = "open"
            except OSError as error:
                found[name] = error.strerror
        print(json.dumps([name for name, how in found.items() if how == "open"]))
    """
    expected = {
        "nobody": [],
        f"vault-{ORIGIN}": ["vault"],
        "appliance-vault": ["seal"],
        "appliance-check": [],
        "appliance": ["seal", "check"],
    }
    assert {account: as_account(context, BLIND, account, script) for account in expected} == expected


# What the accounts of the node itself cannot do


@pytest.mark.parametrize("account", ["appliance-vault", "appliance", "appliance-check", f"vault-{ORIGIN}"])
def test_no_account_of_the_node_can_change_what_is_sealed(context: StoryContext, account: str) -> None:
    # Beside partials and the ledger only locks are for others to write.
    theirs = f"-path '{VAULT}/*/partial' -o -path '{VAULT}/*/book' -o -name lock -o -name '*.lock'"
    paths = context.did(BLIND, f"find {VAULT} \\( {theirs} \\) -prune -o -print").splitlines()
    assert len(paths) > 10
    paths.append("/srv/appliance")
    script = """
        import json, os
        done = []
        def attempt(name, do):
            try:
                do()
            except OSError:
                return
            done.append(name)
        for path in paths:
            attempt(f"chmod {path}", lambda: os.chmod(path, 0o777))
            attempt(f"write {path}", lambda: os.close(os.open(path, os.O_WRONLY)))
            attempt(f"truncate {path}", lambda: os.truncate(path, 0))
            attempt(f"link {path}", lambda: os.link(path, partial + "/linked"))
            attempt(f"rename {path}", lambda: os.rename(path, path + ".away"))
            attempt(f"unlink {path}", lambda: os.unlink(path))
            attempt(f"rmdir {path}", lambda: os.rmdir(path))
        print(json.dumps(done))
    """
    assert as_account(context, BLIND, account, script, paths=paths, partial=f"{HELD}/partial") == []


def test_keys_and_own_repositories_are_out_of_reach_of_who_receives_and_who_checks(context: StoryContext) -> None:
    script = f"""
        import json, os
        names = ("keys", "keys/sign_ed25519", "services", "journal.jsonl", "run")
        print(json.dumps([name for name in names if os.access("{STATE}/" + name, os.R_OK)]))
    """
    for account in ("appliance-vault", "appliance-sealed", "appliance-check", f"vault-{ORIGIN}"):
        assert as_account(context, STANDBY, account, script) == [], account


def test_the_agent_has_thinning_and_scrub_done_by_the_sealer(context: StoryContext) -> None:
    assert context.json(BLIND, "vault", "prune", SERVICE)["services"][0]["dropped"] == []
    assert context.json(BLIND, "vault", "scrub", SERVICE)["services"][0]["damage"] == []
    said = context.did(BLIND, "journalctl --unit appliance-seal --output cat")
    assert '"vault-grant"' in said


# What rots


def test_a_rotten_blob_is_seen_by_the_checker_and_comes_again_from_another_holder(context: StoryContext) -> None:
    newest = max(item.name for item in replica_of(open_node(context.disk(BLIND, STATE)), SERVICE).stored() if item.held)
    entries = replica_of(open_node(context.disk(BLIND, STATE)), SERVICE).entries(newest)
    entry = max((it for it in entries if it.path.startswith("data/")), key=lambda it: it.size)
    blob = f"{HELD}/pool/{entry.sha256[:2]}/{entry.sha256}"
    assert checked(context) == ["", "appliance-check"]
    # Its agent would repair what the scrub finds before a person does.
    context.did(BLIND, "systemctl stop appliance-agent.service")
    context.did(BLIND, f"printf rotten | dd of={blob} bs=1 seek={entry.size // 2} conv=notrunc status=none")
    fault, account = checked(context)
    assert "borg check found damage" in fault
    assert account == "appliance-check"
    assert context.json(BLIND, "vault", "scrub", SERVICE)["services"][0]["damage"] != []
    mended = context.json(BLIND, "vault", "repair", SERVICE)["services"][0]
    assert (mended["left"], [it["name"] for it in mended["mended"]]) == ([], [entry.sha256])
    assert context.did(BLIND, f"sha256sum {blob}").split()[0] == entry.sha256
    assert context.did(BLIND, f"stat -c %U:%G:%a {blob}").strip() == "appliance-sealed:appliance-vault:440"
    assert checked(context)[0] == ""
    context.did(BLIND, "systemctl start appliance-agent.service")


def checked(context: StoryContext) -> list[str]:
    """Return the answer to the agent of the blind peer when it has borg check a replica; and the account that did
    it."""
    script = """
        import json
        from pathlib import Path
        from appliance.node.handle import open_node
        from appliance.backup.vault.sealing.checker import check_view
        found = check_view(open_node(Path(state)), service)
        print(json.dumps([found.fault, found.account]))
    """
    found: list[str] = as_account(context, BLIND, "appliance", script, state=STATE, service=SERVICE)
    return found


# What breaks


def test_the_next_backup_is_safe_after_helpers_and_agents_were_killed(context: StoryContext) -> None:
    context.did(ORIGIN, "systemctl restart appliance-agent.service")
    for peer in (STANDBY, BLIND):
        context.did(peer, "systemctl start appliance-seal.service")  # it runs for a caller alone
        context.did(
            peer, "systemctl kill --kill-whom main --signal SIGKILL appliance-seal.service appliance-agent.service"
        )
    generation = back_up_something_new(context, "after-kill")
    for peer in (STANDBY, BLIND):
        until(lambda peer=peer: is_active(context, peer, "appliance-agent"), f"the agent of {peer} runs again")
        held = [item for item in replica_of(open_node(context.disk(peer, STATE)), SERVICE).stored() if item.held]
        assert f"{held[-1].epoch}.{held[-1].sequence}" == generation


def test_a_peer_takes_and_seals_again_after_a_power_cut(context: StoryContext) -> None:
    node = context.lab.plan.node(BLIND)
    before = json.loads(context.disk(BLIND, f"{VAULT}/age.json").read_text())["age_seconds"]
    machine.cut_power(node)
    labs.power_on(context.lab, node)
    labs.wait_for_ssh(context.lab, (node,))
    until(lambda: is_active(context, BLIND, "appliance-seal.socket"), "a request would start the sealer")
    generation = back_up_something_new(context, "after-cut")
    held = [item for item in replica_of(open_node(context.disk(BLIND, STATE)), SERVICE).stored() if item.held]
    assert f"{held[-1].epoch}.{held[-1].sequence}" == generation
    assert json.loads(context.disk(BLIND, f"{VAULT}/age.json").read_text())["age_seconds"] >= before
    assert checked(context)[0] == ""
