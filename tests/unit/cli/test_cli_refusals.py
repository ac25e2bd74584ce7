"""Every verb refuses what is wrong with one sentence and the documented exit code, and changes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.writer.begin import begin
from appliance.cli import main
from appliance.config.load import load
from appliance.territory.model import Person
from appliance.trust.act import make_act
from appliance.trust.grant import make_request
from appliance.trust.keys import create_key, load_key
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.demo import INVENTORY, signed_territory

SERVICE = "docs-a"
ZERO = "0" * 64


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four nodes that live by a bundle, no sshd; docs-a is requested and not granted; files good and bad to name."""
    desk = tmp_path_factory.mktemp("desk")
    operator = create_key(desk / "operator")
    create_key(desk / "outsider")
    plan = load(INVENTORY)
    plan = replace(plan, people={"maintenance": Person("maintenance", "Régie", (operator,), ("lost",))})
    made = signed_territory(desk / "made", plan)
    node = made.open("commune-a")
    (desk / "old.bundle").write_bytes(node.layout.bundle.read_bytes())
    made.sign()
    (desk / "bundle").write_bytes(node.layout.bundle.read_bytes())
    (desk / "cut.bundle").write_bytes(node.layout.bundle.read_bytes()[:-200])
    (desk / "request").write_bytes(begin(made.open("commune-a"), SERVICE))
    (desk / "territory").write_bytes(made.territory_key.read_bytes())
    write_papers(desk, made)
    return desk


def write_papers(desk: Path, made: ProcessTerritory) -> None:
    """Requests, keys and grants that are each wrong in one way."""
    own, other = made.open("commune-a").signing_key, desk / "outsider"
    for name, key, service, writer in (
        ("forged.request", other, SERVICE, "commune-a"),
        ("nobody.request", own, SERVICE, "nobody"),
        ("unknown.request", own, "no-such", "commune-a"),
        ("standby.request", made.open("hermitage").signing_key, SERVICE, "hermitage"),
    ):
        words = {"service": service, "writer": writer, "repository": ZERO, "known_epoch": 0, "reason": "test"}
        (desk / name).write_bytes(make_request(load_key(key), **words))  # type: ignore[arg-type]
    words = {"service": SERVICE, "writer": "commune-a", "repository": ZERO, "known_epoch": 7, "reason": "test"}
    (desk / "taking.request").write_bytes(make_request(load_key(own), **words, takes_from="hermitage"))  # type: ignore[arg-type]
    (desk / "hermitage.grant").write_bytes(made.grant((desk / "standby.request").read_bytes(), "hermitage"))
    act = {"act": "lost", "subject": "comune-a", "service": "any", "operator": "maintenance", "reason": "test"}
    times = {"start": "2026-11-25T08:00:00Z", "end": "2026-11-26T08:00:00Z"}
    (desk / "typo.act").write_bytes(make_act(act | times, desk / "operator"))
    (desk / "empty").touch()
    for loop in (desk / "loop", desk / "made/nodes/loop"):
        loop.symlink_to("loop")
    os.mkfifo(desk / "pipe")
    (desk / "garbage").write_bytes(b"\x00\xff garbage\n" * 3)
    (desk / "plan").mkdir()
    (desk / "plan/territory.yml").write_text("territory: {name: Demo}\n")
    keys = {name: vars(member.keys) for name, member in made.members.items()}
    a, b = ({"user": "me", "keys": keys[name]} for name in ("commune-a", "commune-b"))
    for name, content in {
        "a.json": {"node": "commune-a", **a},
        "outsider.json": {"commune-z": a},
        "twice.json": {"commune-a": a, "commune-b": a},
        "other-a.json": {"commune-a": b},
        "account.json": {"commune-a": {**a, "user": "-oProxyCommand=x"}},
        "break.json": {"commune-a": {**a, "keys": {**keys["commune-a"], "ssh": keys["commune-a"]["ssh"] + "\nssh-"}}},
        "rsa.json": {"commune-a": {**a, "keys": {**keys["commune-a"], "ssh": "ssh-rsa AAAAB3NzaC1yc2E="}}},
        "age.json": {"commune-a": {**a, "keys": {**keys["commune-a"], "age": "age1short"}}},
        "few.json": {"commune-a": {"user": "me", "keys": {"sign": keys["commune-a"]["sign"]}}},
        "list.json": [1, 2],
    }.items():
        (desk / name).write_text(json.dumps(content))


KEY = ("--key", "territory", "--out", "out")
SIGN = ("territory", "sign", str(INVENTORY))
GRANT = (*KEY, "--bundle", "bundle")
ACT = ("--reason", "test", "--operator", "maintenance", "--out", "out")
OUTSIDER = ("--key", "outsider", "--out", "out")
TO = ("--to", "out")

# (the node whose --state it is, what is typed, exit code, what the sentence holds)
CASES: list[tuple[str, tuple[str, ...], int, str]] = [
    ("", ("backup", "run", SERVICE), 2, "the node's state folder is not known."),
    ("new", ("node", "init", "Commune A", "--territory-key", "outsider.pub"), 2, "is not a valid name"),
    ("new", ("node", "init", "a"), 2, "Missing option '--territory-key'"),
    ("new", ("node", "init", "a", "--territory-key", "missing.pub"), 3, "there is no such file"),
    ("new", ("node", "init", "a", "--territory-key", "garbage"), 2, "not an Ed25519 public key"),
    ("new", ("node", "init", "a", "--territory-key", "operator"), 2, "Name the .pub file"),
    ("new", ("node", "init", "a", "--territory-key", "ssh-ed25519 AAAA"), 2, "not a public key line"),
    ("new", ("node", "init", "a", "--territory-key", "plan"), 2, "Name the .pub file"),
    ("new", ("node", "init", "a", "--territory-key", "pipe"), 2, "Name the .pub file"),
    ("commune-a/bundle/new", ("node", "init", "a", "--territory-key", "operator.pub"), 2, "not a directory"),
    ("loop", ("node", "init", "a", "--territory-key", "operator.pub"), 2, "points to nothing"),
    ("loop", ("status",), 2, "too many levels of symbolic links"),
    ("n" * 999, ("status",), 2, "file name too long"),
    (
        "new",
        ("internal", "node", "keys"),
        3,
        "there is no such folder. Check the path after --state, or make a node there",
    ),
    ("new", ("node", "show"), 3, "there is no such folder. Check the path after --state, or make a node there"),
    (
        "new",
        ("node", "accept", "bundle"),
        3,
        "there is no such folder. Check the path after --state, or make a node there",
    ),
    ("new", ("vault", "list"), 3, "there is no such folder. Check the path after --state, or make a node there"),
    (
        "commune-a",
        ("node", "init", "commune-b", "--territory-key", "outsider.pub"),
        8,
        "already belongs to another node",
    ),
    ("commune-a", ("node", "accept", "missing"), 3, "there is no such file"),
    ("commune-a", ("node", "accept", "bundle/x"), 3, "there is no such file"),
    ("commune-a", ("node", "accept", "plan"), 2, "folder"),
    ("commune-a", ("node", "accept", "empty"), 5, "cut short"),
    ("commune-a", ("node", "accept", "garbage"), 5, "no SSH signature"),
    ("commune-a", ("node", "accept", "cut.bundle"), 5, "signature"),
    ("commune-a", ("node", "accept", "request"), 5, "signature"),
    ("commune-a", ("node", "accept", "old.bundle"), 8, "bundle 1 would replace bundle 2"),
    ("", ("territory", "sign", "missing.yml", *KEY), 3, "missing.yml"),
    ("", ("territory", "sign", "plan", *KEY), 2, "territory.yml:1"),
    ("", (*SIGN, *KEY[:2]), 2, "Missing option '--out'"),
    ("", (*SIGN, "--key", "missing", "--out", "out"), 3, "the key is missing"),
    ("", (*SIGN, "--key", "operator.pub", "--out", "out"), 5, "not an unencrypted OpenSSH private key"),
    ("", (*SIGN, "--key", "territory", "--out", "no/such/folder"), 3, "there is no such folder"),
    ("", (*SIGN, "--key", "territory", "--out", "plan"), 2, "name a file in it"),
    ("", (*SIGN, "--key", "territory", "--out", "/proc/out"), 2, "/proc: nothing can be stored there"),
    ("", (*SIGN, "--key", "territory", "--out", "/dev/null"), 2, "a pipe or a device, not a file; name a new file"),
    ("", (*SIGN, "--key", "plan", "--out", "out"), 2, "plan: this is a folder"),
    ("", (*SIGN, "--key", "loop", "--out", "out"), 2, "cannot be read (Too many levels of symbolic links)"),
    ("", (*SIGN, *KEY, "--keys", "pipe"), 2, "pipe: this is a pipe or a device, not a file"),
    ("", (*SIGN, *KEY, "--keys", "missing.json"), 3, "there is no such file"),
    ("", (*SIGN, *KEY, "--keys", "garbage"), 2, "not readable JSON"),
    ("", (*SIGN, *KEY, "--keys", "list.json"), 2, "not a file of collected keys"),
    ("", (*SIGN, *KEY, "--keys", "few.json"), 2, "few.json: commune-a: a node needs a user and the keys sign, ssh"),
    ("", (*SIGN, *KEY, "--keys", "outsider.json"), 2, 'there are keys of "commune-z", which is not a node of demo'),
    ("", (*SIGN, *KEY, "--keys", "account.json"), 2, "not the name of an account"),
    ("", (*SIGN, *KEY, "--keys", "break.json"), 2, "not a public key line"),
    ("", (*SIGN, *KEY, "--keys", "rsa.json"), 2, "not a public key line"),
    ("", (*SIGN, *KEY, "--keys", "age.json"), 2, "not an age public key"),
    ("", (*SIGN, *KEY, "--keys", "twice.json"), 2, "commune-a and commune-b show the same key"),
    ("", (*SIGN, *KEY, "--keys", "a.json", "--keys", "other-a.json"), 2, "different keys in two files"),
    ("", (*SIGN, *KEY, "--previous", "bundle", "--serial", "2"), 2, "serial 2 does not follow 2"),
    (
        "",
        (*SIGN, *KEY, "--previous", "bundle", "--serial", "20000000"),
        2,
        "such a serial must be confirmed on a terminal",
    ),
    ("", (*SIGN, *KEY, "--serial", "9" * 26), 2, "is not in the range"),
    ("", (*SIGN, "--key", "outsider", "--out", "out", "--previous", "bundle"), 8, "this key did not sign the bundle"),
    ("", (*SIGN, *KEY[:2], "--out", "bundle"), 8, "loses keys of: commune-a, commune-b, commune-c, hermitage does not"),
    ("", (*SIGN, *KEY[:2], "--out", "bundle", "--serial", "9"), 8, "--previous bundle --out bundle`"),
    ("", (*SIGN, *KEY[:2], "--out", "bundle", "--previous", "old.bundle"), 8, "bundle 2 does not follow from it"),
    ("", (*SIGN, *KEY[:2], "--out", "garbage"), 8, "garbage: this file is not a bundle"),
    ("", (*SIGN, *KEY, "--recovery", "age1short"), 2, "not an age public key"),
    ("", (*SIGN, *KEY, "--recovery", "missing.pub"), 3, "there is no such file"),
    ("", (*SIGN, *KEY, "--recovery", "garbage"), 2, "`escrow create-key` writes it"),
    ("", ("territory", "grant", "missing", *GRANT), 3, "there is no such file"),
    ("", ("territory", "grant", "garbage", *GRANT), 5, "garbage: this is not a request for a grant: request the file"),
    ("", ("territory", "grant", "bundle", *GRANT), 5, "bundle: this is not a request for a grant"),
    ("", ("territory", "grant", "request", *KEY, "--bundle", "garbage"), 5, "garbage: this is not a bundle"),
    ("", ("territory", "grant", "forged.request", *GRANT), 8, "a key that may not sign it"),
    ("", ("territory", "grant", "nobody.request", *GRANT), 3, '"nobody" has no keys in the territory bundle'),
    ("", ("territory", "grant", "unknown.request", *GRANT), 3, 'no service "no-such"'),
    ("", ("territory", "grant", "request", *GRANT), 2, "Say --yes"),
    ("", ("territory", "grant", "taking.request", *GRANT, "--yes"), 8, "--take-from hermitage."),
    (
        "",
        ("territory", "grant", "taking.request", *GRANT, "--yes"),
        8,
        "hermitage serves docs-a according to commune-a",
    ),
    ("", ("territory", "grant", "request", *GRANT[2:], "--key", "outsider"), 8, "this key did not sign the bundle"),
    ("commune-a", ("backup", "run", "no-such"), 3, "no-such"),
    ("commune-a", ("backup", "run", "../docs-a"), 2, "is not a valid name"),
    ("commune-a", ("backup", "run", SERVICE), 3, "no grant yet"),
    ("hermitage", ("backup", "run", SERVICE), 8, "docs-a is written by commune-a, not by this node. Run it there. O"),
    ("commune-b", ("backup", "push", SERVICE), 8, "Run it there.\n"),
    ("commune-a", ("backup", "push", SERVICE), 3, "Run `appliance backup run docs-a`"),
    ("commune-a", ("backup", "prune", SERVICE), 3, "no grant yet"),
    ("commune-a", ("backup", "begin", SERVICE, "--out", "no/such/folder"), 3, "there is no such folder"),
    ("commune-a", ("backup", "accept", SERVICE, "missing"), 3, "there is no such file"),
    ("commune-a", ("backup", "accept", SERVICE, "garbage"), 5, "garbage: this is not a grant: request the file again"),
    ("commune-a", ("backup", "accept", SERVICE, "request"), 5, "request: this is not a grant"),
    ("commune-a", ("backup", "resync", SERVICE, "--grant", "garbage"), 5, "garbage: this is not a grant"),
    ("commune-a", ("node", "accept", "garbage"), 5, "garbage: this is not a bundle"),
    ("commune-a", ("backup", "accept", SERVICE, "hermitage.grant"), 8, "this grant is for hermitage to write docs-a"),
    ("commune-a", ("backup", "resync", SERVICE), 2, "--request OUT first"),
    ("commune-a", ("backup", "resync", SERVICE, "--request", "out", "--grant", "request"), 2, "--request OUT first"),
    ("commune-a", ("backup", "resync", SERVICE, "--request", "out"), 3, "no peer that answered holds a generation"),
    ("commune-a", ("backup", "resync", SERVICE, "--grant", "hermitage.grant"), 8, "this grant is for hermitage"),
    ("hermitage", ("backup", "resync", SERVICE, "--grant", "hermitage.grant"), 3, "was fetched to be continued"),
    ("hermitage", ("backup", "begin", SERVICE, "--out", "out"), 8, "the origin of docs-a is commune-a"),
    ("hermitage", ("backup", "list", SERVICE), 3, "Its origin is commune-a"),
    ("hermitage", ("vault", "show", SERVICE), 3, "this node holds nothing of docs-a"),
    ("hermitage", ("vault", "list", "no-such"), 3, "this node holds nothing of no-such"),
    ("hermitage", ("vault", "replicate", SERVICE, "--to", "commune-b"), 3, "this node holds nothing of docs-a"),
    ("hermitage", ("vault", "replicate", SERVICE), 2, "Missing option '--to'"),
    ("", ("territory", "check", "/proc/self/mem"), 3, "cannot be read (Input/output error)"),
    ("", ("territory", "plan", str(INVENTORY), "--from", "pipe"), 3, "pipe: this is a pipe"),
    ("", ("escrow", "verify", "--envelope", "plan"), 2, "plan: this is a folder"),
    ("", ("escrow", "verify", "--envelope", "pipe"), 2, "pipe: this is a pipe"),
    ("", ("escrow", "verify", "--envelope", "empty", "--identity-fd", "9" * 20), 2, "cannot be read. Open it"),
    ("", ("act", "sign", "burnt", "commune-a", *ACT, "--key", "operator"), 2, "'burnt' is not one of"),
    ("", ("act", "sign", "lost", "commune-a", *ACT, "--key", "missing"), 3, "there is no such key"),
    ("", ("act", "sign", "lost", "commune-a", *ACT, "--key", "garbage"), 4, "ssh-keygen"),
    ("", ("act", "sign", "lost", "Commune A", *ACT, "--key", "operator"), 2, "is not a valid name"),
    ("", ("act", "sign", "lost", "commune-a", *ACT, "--key", "operator", "--days", "0"), 2, "--days"),
    (
        "",
        ("act", "sign", "lost", "commune-a", *ACT, "--key", "operator", "--takes-back", "typo.act"),
        2,
        "--takes-back",
    ),
    (
        "",
        ("act", "sign", "quarantine", "commune-a", *ACT, "--key", "operator", "--days", "0"),
        2,
        "none is stored here",
    ),
    (
        "commune-a",
        ("act", "sign", "continue", SERVICE, "--key", "operator", *ACT),
        2,
        "needs the full name of a generation",
    ),
    (
        "commune-a",
        ("act", "sign", "continue", SERVICE, "--generation", "2.7", "--key", "operator", *ACT),
        2,
        "needs the full name of a generation",
    ),
    (
        "",
        ("act", "sign", "promote", "a", "--generation", f"00002.0000000007.{'0' * 16}", "--key", "operator", *ACT),
        8,
        "one service: --service SERVICE",
    ),
    ("commune-a", ("act", "sign", "quota", SERVICE, "--key", "operator", *ACT), 2, "needs an amount"),
    ("commune-a", ("act", "sign", "lost", SERVICE, "--per-day", "1G", "--key", "operator", *ACT), 2, "no other act"),
    (
        "commune-a",
        ("act", "sign", "quota", SERVICE, "--bytes", "much", "--key", "operator", *ACT),
        2,
        '"much" is not a size',
    ),
    ("", ("act", "sign", "quota", SERVICE, "--bytes", "9" * 9 + "T", "--key", "operator", *ACT), 2, "out of range"),
    ("", ("act", "sign", "lost", "a", "--reason", "x" * 9000, *ACT[2:], "--key", "operator"), 2, "Shorten the reason"),
    ("", ("act", "sign", "lost", "a", "--reason", "", *ACT[2:], "--key", "operator", "--dry-run"), 2, "no node would"),
    ("commune-a", ("act", "sign", "lost", SERVICE, "--bytes", "1G", "--key", "operator", *ACT), 2, "no other act"),
    ("commune-a", ("act", "sign", "hold", "commune-a", *ACT, "--key", "operator"), 8, "No person may: see `people`"),
    ("commune-a", ("act", "sign", "lost", "commune-a", *ACT[:2], "--operator", "me", *OUTSIDER), 8, "may: maintenance"),
    ("commune-a", ("act", "sign", "lost", "comune-a", *ACT, "--key", "operator"), 3, "Nodes: commune-a, commune-b, "),
    ("commune-a", ("act", "sign", "lost", "docs-a", *ACT, "--key", "operator", "--service", "no"), 3, "no service"),
    ("commune-a", ("act", "accept", "typo.act"), 3, '"comune-a" is neither a node nor a service of demo'),
    ("commune-a", ("act", "accept", "typo.act", "--dry-run"), 3, "Services: "),
    ("commune-a", ("act", "accept", "missing"), 3, "there is no such file"),
    ("commune-a", ("act", "accept", "garbage"), 5, "garbage: this is not an act: request the file again"),
    ("hermitage", ("restore", "find"), 2, "Give a part of the name"),
    ("hermitage", ("restore", "find", "x", "--from", "moon"), 2, "Known: auto, local, standby, peer:NAME"),
    ("hermitage", ("restore", "find", "x", "--from", "local"), 3, "has no repository here"),
    ("hermitage", ("restore", "find", "x", "--from", "standby"), 3, "no such generation here"),
    ("hermitage", ("restore", "find", "x", "--from", "peer:nobody"), 3, '"nobody" has no keys'),
    ("hermitage", ("restore", "find", "x"), 3, "no peer that answered holds a generation"),
    ("commune-a", ("internal", "account", "sync", "--from", "pipe"), 5, "damaged: this is a pipe"),
    (
        "commune-a",
        ("internal", "portal", "serve", "--cert", "pipe", "--key", "pipe"),
        3,
        "pipe: this file does not exist",
    ),
    ("", ("failover", "table", "nosuch"), 2, "is not one of 'BOOT', 'CATCHUP'"),
    ("commune-a", ("failover", "move", "no-such", "hermitage"), 3, "no-such"),
    ("commune-a", ("failover", "move", SERVICE, "nobody"), 3, 'there is no node "nobody"'),
    ("commune-a", ("failover", "move", SERVICE, "commune-b"), 8, "Its candidates: commune-a, hermitage"),
    ("commune-a", ("failover", "evacuate", "sea"), 3, 'there is no zone "sea"; known: '),
    ("hermitage", ("restore", "find", "x", "--from", "generation:9.7"), 3, "holds generation 9.7. None is held."),
    ("hermitage", ("restore", "find", "x", "--limit", "0"), 2, "--limit"),
    ("hermitage", ("restore", "file", "x"), 2, "either --to DIR or --in-place"),
    ("hermitage", ("restore", "file", "x", *TO, "--in-place"), 2, "either --to DIR or --in-place"),
    ("hermitage", ("restore", "file", "x", *TO, "--version", "1", "--archive", "y"), 2, "not both"),
    ("hermitage", ("restore", "undo", "nothing"), 3, 'no restore "nothing"'),
    ("commune-b", ("restore", "find", "x"), 3, "no service trusts commune-b"),
    ("commune-b", ("restore", "all", *TO), 3, "no service trusts commune-b"),
    ("commune-b", ("restore", "find", "x", "--service", SERVICE), 8, "does not trust commune-b"),
    ("commune-b", ("restore", "find", "x", "--service", "no-such"), 3, "no-such"),
    ("commune-a", ("restore", "all", *TO, "--from", "local"), 3, "has no archive yet"),
    ("commune-a", ("restore", "versions", "x", "--from", "local"), 3, "restore find x --service docs-a"),
    ("commune-a", ("restore", "file", "x", *TO, "--from", "local", "--archive", "y"), 3, "y"),
]


@pytest.mark.parametrize(
    ("node", "words", "code", "sentence"), CASES, ids=[" ".join((*c[1], f"({c[0]})")) for c in CASES]
)
def test_it_is_refused_in_one_sentence(
    desk: Path,
    node: str,
    words: tuple[str, ...],
    code: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    state = ("--state", str(tmp_path / "new") if node == "new" else str(desk / "made/nodes" / node)) if node else ()
    with open("/dev/null") as nothing, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", nothing)
        ended = main.run([*state, *words])
    told = capfd.readouterr()
    assert (ended, told.out) == (code, ""), told.err
    assert sum(line.startswith("appliance: ") for line in told.err.splitlines()) == 1
    assert sentence in told.err
    assert "Traceback" not in told.err
    assert not (desk / "out").exists()
