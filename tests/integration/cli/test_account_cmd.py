"""`appliance account` at a node that is no host: the store is kept, the machine is left alone, no secret is shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from appliance.accounts.passwords import is_password, nt_hash
from appliance.accounts.store import read_store
from appliance.cli import main
from appliance.host.layout import NodeLayout
from appliance.secret import Secret
from appliance.trust.identity import create_identity
from appliance.trust.keys import create_key

PASSWORD = "un chêne près du lavoir"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    create_identity(NodeLayout(tmp_path / "state"), "commune-a", create_key(tmp_path / "territory"))
    return tmp_path / "state"


def typed(
    monkeypatch: pytest.MonkeyPatch, state: Path, *words: str, password: str | None = None, json_too: bool = False
) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{password}\n".encode() if password else b"")))
    return main.run([*(["--json"] if json_too else []), "--state", str(state), "account", *words])


def test_an_account_is_added_listed_changed_disabled_and_removed(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, state, "list") == 0
    assert "no accounts yet" in capsys.readouterr().out
    words = ("add", "marie", "--title", "Marie Dupont", "--group", "elus")
    assert typed(monkeypatch, state, *words, password=PASSWORD) == 0
    file = NodeLayout(state).accounts
    kept = read_store(file).accounts["marie"]
    assert kept.nt_hash == nt_hash(Secret(PASSWORD.encode()))
    assert is_password(Secret(PASSWORD.encode()), kept.slow_hash)
    assert typed(monkeypatch, state, "passwd", "marie", password="une ombre sous le tilleul") == 0
    assert typed(monkeypatch, state, "change", "marie", "--group", "secretariat") == 0
    assert typed(monkeypatch, state, "disable", "marie") == 0
    capsys.readouterr()
    assert typed(monkeypatch, state, "list", json_too=True) == 0
    text = capsys.readouterr().out
    (shown,) = json.loads(text)["accounts"]["commune-a"]
    assert (shown["title"], shown["groups"], shown["disabled"]) == ("Marie Dupont", ["secretariat"], True)
    assert "hash" not in text
    assert typed(monkeypatch, state, "enable", "marie") == 0
    assert typed(monkeypatch, state, "remove", "marie") == 0
    assert read_store(file).accounts == {}
    assert not (file.parent / "smbpasswd").exists(), "this machine is no host: nothing is fed"


@pytest.fixture(scope="module")
def with_paul(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node with one account, for those who change nothing: each password takes a quarter of a second to keep."""
    state = tmp_path_factory.mktemp("node") / "state"
    create_identity(NodeLayout(state), "commune-a", create_key(state.with_name("territory")))
    with pytest.MonkeyPatch.context() as patch:
        assert typed(patch, state, "add", "paul", password=PASSWORD) == 0
    return state


@pytest.mark.parametrize(
    ("words", "password", "code", "say"),
    [
        (("add", "marie"), "court", 2, "a password must have 12 to 127 characters"),
        (("add", "Marie"), PASSWORD, 2, "is not a valid account name"),
        (("add", "vault-b"), PASSWORD, 2, "an account of the appliance itself"),
        (("add", "marie", "--group", "people"), PASSWORD, 2, "every account is always in"),
        (("add", "paul"), PASSWORD, 4, "paul is already an account of commune-a"),
        (("passwd", "luc"), PASSWORD, 3, 'no account "luc" at commune-a; known: paul'),
        (("disable", "luc"), None, 3, 'no account "luc"'),
        (("remove", "luc"), None, 3, 'no account "luc"'),
        (("change", "paul", "--group", "elus", "--no-group"), None, 2, "contradict each other"),
        (("sheet", "paul", "--same", "--remove"), None, 2, "contradict each other"),
        (("feed", "--from", "nothing.json"), None, 3, "there are no accounts"),
        (("feed", "--brought", "--without", "commune-b"), None, 2, "contradict each other"),
        (("feed", "--of", "commune-b"), None, 2, "--of needs --from"),
        (("feed", "--without", "commune-b"), None, 3, "there are no accounts"),
        (("feed", "--without", "commune-a"), None, 8, "commune-a is this node itself"),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(
    with_paul: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    password: str | None,
    code: int,
    say: str,
) -> None:
    file = NodeLayout(with_paul).accounts
    before = file.read_bytes()
    capsys.readouterr()
    assert typed(monkeypatch, with_paul, *words, password=password) == code
    assert say in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_dry_run_asks_for_no_password_and_keeps_nothing(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, state, "add", "marie", "--dry-run") == 0
    assert not NodeLayout(state).accounts.exists()


def test_a_standby_takes_the_accounts_of_another_node_and_leaves_them(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    create_identity(NodeLayout(other), "commune-b", create_key(tmp_path / "second"))
    for name in ("paul", "zoe"):
        assert typed(monkeypatch, other, "add", name, password=PASSWORD) == 0
    assert typed(monkeypatch, state, "add", "paul", password=PASSWORD) == 0
    file = str(NodeLayout(other).accounts)
    capsys.readouterr()
    assert typed(monkeypatch, state, "feed", "--from", file, "--of", "commune-c") == 8
    assert "these are the accounts of commune-b, not of commune-c" in capsys.readouterr().err
    assert typed(monkeypatch, state, "feed", "--from", file, "--of", "commune-b") == 1
    assert "paul of commune-b is left out: commune-a already has an account of that name" in capsys.readouterr().err
    assert typed(monkeypatch, state, "list", json_too=True) == 0
    assert set(json.loads(capsys.readouterr().out)["accounts"]) == {"commune-a", "commune-b"}
    assert typed(monkeypatch, state, "feed", "--without", "commune-b") == 0
    assert typed(monkeypatch, state, "feed", "--without", "commune-b") == 3


def test_two_nodes_have_one_sheet_and_nothing_of_it_is_an_argument(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    create_identity(NodeLayout(other), "commune-b", create_key(tmp_path / "second"))
    for node in (state, other):
        assert typed(monkeypatch, node, "add", "nadia", password=PASSWORD) == 0
    capsys.readouterr()
    assert typed(monkeypatch, state, "sheet", "nadia", json_too=True) == 0
    told = capsys.readouterr().out
    assert typed(monkeypatch, other, "sheet", "nadia", "--same", "--dry-run", password=told) == 0
    assert read_store(NodeLayout(other).accounts).accounts["nadia"].totp is None
    capsys.readouterr()
    assert typed(monkeypatch, other, "sheet", "nadia", "--same", password=told) == 0
    paper = capsys.readouterr().out
    one, two = (read_store(NodeLayout(node).accounts).accounts["nadia"] for node in (state, other))
    assert one.totp is not None
    assert (one.totp, one.codes) == (two.totp, two.codes)
    assert "(nadia), commune-a, commune-b" in paper
    assert all(code in paper for code in json.loads(told)["codes"])
    assert "un code déjà coché ouvre encore une fois" in paper
    assert "a code that is ticked opens once more" in paper


SHEET = {"node": "commune-a", "account": "paul", "totp": "A" * 32, "codes": ["ABCD-EFGH-IJKL-MNOP"]}
NO_SHEETS = [
    ("", "not a sheet that a node printed"),
    ("[]", "not a sheet that a node printed"),
    ("{}", "not a sheet that a node printed"),
    (json.dumps({**SHEET, "codes": ["easy"]}), "not a sheet that a node printed"),
    (json.dumps({**SHEET, "codes": []}), "not a sheet that a node printed"),
    (json.dumps({**SHEET, "codes": [7]}), "not a sheet that a node printed"),
    (json.dumps({**SHEET, "codes": ["ABCD-EFGH-IJKL-MNOP"] * 9}), "not a sheet that a node printed"),
    (json.dumps({**SHEET, "node": "\x1b[2J"}), "not a sheet that a node printed"),
    (json.dumps({**SHEET, "totp": 7}), "not a sheet that a node printed"),
    (json.dumps({**SHEET, "totp": "short"}), "the second factor of paul is not one of our secrets"),
    (json.dumps({**SHEET, "account": "luc"}), "this sheet is not one of paul"),
]


@pytest.mark.parametrize("number", range(len(NO_SHEETS)))
def test_what_is_no_sheet_of_hers_is_refused(
    with_paul: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    given, say = NO_SHEETS[number]
    before = NodeLayout(with_paul).accounts.read_bytes()
    capsys.readouterr()
    assert typed(monkeypatch, with_paul, "sheet", "paul", "--same", password=given) == 2
    assert say in capsys.readouterr().err
    assert NodeLayout(with_paul).accounts.read_bytes() == before


def test_a_replacement_takes_its_own_accounts_back_once(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, state, "add", "paul", password=PASSWORD) == 0
    new = tmp_path / "new"
    create_identity(NodeLayout(new), "commune-a", create_key(tmp_path / "second"))
    file = str(NodeLayout(state).accounts)
    assert typed(monkeypatch, new, "feed", "--from", file) == 0
    assert read_store(NodeLayout(new).accounts) == read_store(NodeLayout(state).accounts)
    assert typed(monkeypatch, new, "feed", "--from", file) == 8
    assert "commune-a already has accounts" in capsys.readouterr().err
