"""Root obeys no older bundle than it obeyed before, though the account of the node may put any signed one back."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.accounts import service
from appliance.cli import main, this_accounts
from appliance.cli.internal.node import apply
from appliance.errors import IntegrityError, NoSpace, Refused
from appliance.host import layout as layouts
from appliance.host.layout import NodeLayout
from appliance.provision.apply import Host
from appliance.trust import identity, root_bundle
from appliance.trust.identity import create_identity
from appliance.trust.root_bundle import territory_for_root
from tests.worlds.towns import PUBLIC, bundle, town


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "serial"
    monkeypatch.setattr(root_bundle, "SERIAL_OF_A_HOST", file)
    monkeypatch.setattr(root_bundle, "LOCK", tmp_path / "lock")
    return file


@pytest.fixture
def host(tmp_path: Path, noted: Path, monkeypatch: pytest.MonkeyPatch) -> NodeLayout:
    """The node that this host is, whose territory's key root pinned, with bundle 2."""
    found = NodeLayout(tmp_path / "node")
    create_identity(found, "commune-a", PUBLIC)
    (tmp_path / "territory.pub").write_text(f"{PUBLIC}\n")
    for module in (layouts, identity):
        monkeypatch.setattr(module, "state_of_this_host", lambda: found.root)
    monkeypatch.setattr(identity, "PIN_OF_A_HOST", tmp_path / "territory.pub")
    put(found, 2)
    return found


def put(layout: NodeLayout, serial: int) -> None:
    """As the account of the node could: it owns the file."""
    layout.bundle.write_bytes(bundle([town("commune-a", 1), town("commune-b", 2)], serial=serial).document.raw)


def test_the_first_bundle_is_obeyed_and_noted_and_the_same_again(host: NodeLayout, noted: Path) -> None:
    assert territory_for_root(host)[1].serial == 2
    assert noted.read_text() == f"2 {PUBLIC}\n"
    written = noted.stat().st_ino
    assert territory_for_root(host)[1].serial == 2
    assert noted.stat().st_ino == written, "what is noted already is not written again"


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_older_one_that_was_put_back_is_refused_and_the_newest_is_obeyed_again(
    dry_run: bool, host: NodeLayout, noted: Path
) -> None:
    put(host, 3)
    territory_for_root(host)
    put(host, 2)
    with pytest.raises(Refused, match=r"bundle 2 is older than bundle 3.*`appliance node accept BUNDLE`") as refusal:
        territory_for_root(host, dry_run=dry_run)
    assert refusal.value.where == str(host.bundle)
    assert noted.read_text() == f"3 {PUBLIC}\n"
    put(host, 3)
    assert territory_for_root(host, dry_run=dry_run)[1].serial == 3


def test_a_dry_run_notes_nothing(host: NodeLayout, noted: Path) -> None:
    assert territory_for_root(host, dry_run=True)[1].serial == 2
    assert not noted.exists()


def test_what_another_territory_noted_counts_no_more(host: NodeLayout, noted: Path) -> None:
    noted.write_text("9 ssh-ed25519 AAAAanother\n")
    territory_for_root(host)
    assert noted.read_text() == f"2 {PUBLIC}\n"


@pytest.mark.parametrize("text", ["", "two", f"-1 {PUBLIC}", "9"])
def test_a_damaged_note_is_no_leave(text: str, host: NodeLayout, noted: Path) -> None:
    noted.write_text(text)
    with pytest.raises(IntegrityError, match=r"Accept the newest bundle, then remove this file") as refusal:
        territory_for_root(host)
    assert refusal.value.where == str(noted)


def test_in_process_mode_nothing_is_asked_or_noted(host: NodeLayout, noted: Path, tmp_path: Path) -> None:
    noted.write_text(f"9 {PUBLIC}\n")
    elsewhere = NodeLayout(tmp_path / "elsewhere")
    create_identity(elsewhere, "commune-b", PUBLIC)
    put(elsewhere, 1)
    assert territory_for_root(elsewhere)[1].serial == 1
    assert noted.read_text() == f"9 {PUBLIC}\n"


@pytest.mark.parametrize(
    "words",
    [("internal", "node", "apply", "--part", "hosts"), ("internal", "account", "sync", "--brought")],
    ids=["apply", "sync"],
)
@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)], ids=["", "dry_run"])
def test_each_verb_of_root_refuses_it_and_changes_nothing(
    words: tuple[str, ...],
    dry_run: tuple[str, ...],
    host: NodeLayout,
    noted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "host"
    (root / "run").mkdir(parents=True)
    monkeypatch.setattr(apply, "THIS_HOST", Host(root, lambda argv: None))
    monkeypatch.setattr(this_accounts, "state_of_this_host", lambda: host.root)
    monkeypatch.setattr(service, "take_brought", lambda *_, **__: pytest.fail("it was taken"))
    noted.write_text(f"3 {PUBLIC}\n")
    assert main.run(["--state", str(host.root), *words, *dry_run]) == Refused.exit_code
    assert "bundle 2 is older than bundle 3, which root already applied to this host" in capsys.readouterr().err
    assert [it.name for it in root.rglob("*") if it.is_file()] in ([], ["appliance-apply.lock"])


def test_nothing_is_applied_before_it_is_noted(
    host: NodeLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise NoSpace("the disk is full.")

    (tmp_path / "host/run").mkdir(parents=True)
    monkeypatch.setattr(apply, "THIS_HOST", Host(tmp_path / "host", lambda argv: None))
    monkeypatch.setattr(apply, "apply_parts", lambda *_, **__: pytest.fail("it was applied"))
    monkeypatch.setattr(root_bundle, "write_atomic", full)
    assert main.run(["--state", str(host.root), "internal", "node", "apply", "--part", "hosts"]) == NoSpace.exit_code
