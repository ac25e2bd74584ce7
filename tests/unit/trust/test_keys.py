"""Keys are made once, on the node, in stock formats; who a node is, is written once too."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from appliance.errors import IntegrityError, NotFound, Refused
from appliance.host.layout import NodeLayout
from appliance.trust.identity import create_identity, load_identity
from appliance.trust.keys import create_key, create_keys, load_key, read_public_keys
from appliance.trust.network_keys import is_mesh_key, is_tls_key


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys")
    assert create_keys(tmp_path / "keys") == made == read_public_keys(tmp_path / "keys")
    (tmp_path / "keys/ssh_ed25519.pub").unlink()  # cut between the key and its public half
    assert create_keys(tmp_path / "keys") == made
    assert len({made.sign, made.ssh, made.host}) == 3, "each key has one purpose"


def test_private_halves_are_the_owners_only(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    private = {name: mode for name, mode in modes.items() if not name.endswith(".pub")}
    assert private == dict.fromkeys(("sign_ed25519", "ssh_ed25519", "host_ed25519", "age", "mesh", "tls.pem"), 0o600)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_age_and_ssh_keygen_read_them(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys")
    shown = subprocess.run(("age-keygen", "-y", tmp_path / "keys/age"), capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == made.age
    shown = subprocess.run(
        ("ssh-keygen", "-y", "-f", tmp_path / "keys/host_ed25519"), capture_output=True, text=True, check=True
    )
    assert shown.stdout.split()[:2] == made.host.split()


def test_openssl_reads_the_tls_key_and_what_is_shown_of_both_is_a_key(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys")
    assert is_mesh_key(made.mesh)
    assert is_tls_key(made.tls)
    shown = subprocess.run(
        ("openssl", "pkey", "-in", tmp_path / "keys/tls.pem", "-pubout"), capture_output=True, text=True, check=True
    )
    assert "".join(shown.stdout.splitlines()[1:-1]) == made.tls
    for bad in ("", "AAAA", made.mesh + "\n", made.tls[:-4], "é"):
        assert not is_mesh_key(bad)
        assert not is_tls_key(bad)


@pytest.mark.parametrize("name", ["mesh", "tls.pem"])
def test_a_damaged_network_key_is_not_replaced(tmp_path: Path, name: str) -> None:
    create_keys(tmp_path)
    (tmp_path / name).write_text("hello")
    with pytest.raises(IntegrityError, match="this is not a") as caught:
        create_keys(tmp_path)
    assert caught.value.where == str(tmp_path / name)


def test_a_key_that_is_none_is_said_so_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="the key is missing"):
        load_key(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(IntegrityError, match="not an unencrypted OpenSSH private key") as caught:
        load_key(tmp_path / "text")
    assert caught.value.where == str(tmp_path / "text")
    for name, options in {
        "rsa": ("-t", "rsa", "-b", "2048", "-N", ""),
        "locked": ("-t", "ed25519", "-N", "words"),
    }.items():
        subprocess.run(("ssh-keygen", "-q", *options, "-f", str(tmp_path / name)), check=True, timeout=60)
        with pytest.raises(IntegrityError, match="this is not an"):
            load_key(tmp_path / name)
    with pytest.raises(NotFound, match="the key is missing"):
        read_public_keys(tmp_path)


def test_a_node_is_one_node_for_ever(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path / "node")
    public = create_key(tmp_path / "territory")
    keys = create_identity(layout, "commune-a", public)
    assert create_identity(layout, "commune-a", public) == keys
    assert load_identity(layout).name == "commune-a"
    with pytest.raises(Refused, match="this folder already belongs to another node"):
        create_identity(layout, "commune-b", public)
    with pytest.raises(Refused, match="this folder already belongs to another node"):
        create_identity(layout, "commune-a", create_key(tmp_path / "other"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"node": "a"}'])
def test_a_damaged_identity_is_not_guessed(tmp_path: Path, content: bytes) -> None:
    layout = NodeLayout(tmp_path)
    with pytest.raises(NotFound, match=r"this is not a node's folder"):
        load_identity(layout)
    layout.identity.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"node\.json is damaged"):
        load_identity(layout)
