"""The doors of a vault from the bundle: who has an account, what its key gets, whose the folders are."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from appliance.errors import UsageError
from appliance.provision import vault
from tests.worlds.towns import PUBLIC, bundle, town

THREE = (town("hermitage", 1), town("commune-a", 2), town("commune-b", 3))


def test_each_other_node_has_an_account_of_its_own_and_this_one_none() -> None:
    found = vault.part(bundle(THREE), "commune-a")
    assert [it.name for it in found.accounts] == ["vault-commune-b", "vault-hermitage"]
    assert all(it.groups == (vault.CALLERS,) and it.home == "/" for it in found.accounts)
    keys = {file.path: file for file in found.files if file.path.startswith(vault.KEYS)}
    assert list(keys) == [f"{vault.KEYS}/vault-commune-b", f"{vault.KEYS}/vault-hermitage"]
    assert {(file.owner, file.mode) for file in keys.values()} == {("root", 0o644)}
    assert found.warnings == ()


def test_a_key_gets_the_connector_and_nothing_else_twice_over() -> None:
    found = vault.part(bundle(THREE), "commune-a")
    [line] = next(file.text for file in found.files if file.path.endswith("vault-hermitage")).splitlines()
    assert line.startswith("restrict,command=")
    assert line.endswith(f" {PUBLIC} hermitage")
    assert all(word in line for word in vault.COMMAND)
    door = next(file for file in found.files if file.path == vault.DROP_IN)
    assert f"ForceCommand {shlex.join(vault.COMMAND)}\n" in door.text
    for setting in ("DisableForwarding yes", "PermitTTY no", "PermitUserRC no", "AuthenticationMethods publickey"):
        assert f"    {setting}\n" in door.text
    assert door.text.endswith("Match all\n"), "what other files set is for everybody again"


def test_what_is_sealed_belongs_to_nobody_who_receives_or_decides() -> None:
    folders = {folder.path: folder for folder in vault.part(bundle(THREE), "commune-a").folders}
    held = folders[vault.VAULT]
    assert (held.owner, held.group, held.mode, held.names) == ("appliance-sealed", "appliance-vault", 0o750, "")
    assert folders[vault.STATE].mode == 0o710, "accounts of other services do not even pass"
    above = folders["/srv/appliance"]
    assert (above.owner, above.mode) == ("root", 0o711), (
        "the owner of a folder can rename what lies in it, even another's file"
    )
    assert all(folder.mode & 0o027 == 0 for path, folder in folders.items() if path.startswith("/srv/appliance/"))


def test_a_node_that_nobody_would_find_is_warned_of() -> None:
    nodes = bundle(THREE)
    other = replace(nodes, members={**nodes.members, "commune-a": replace(nodes.members["commune-a"], user="marie")})
    [warning] = vault.part(other, "commune-a").warnings
    assert '"marie"' in warning


def test_a_name_that_no_system_would_take_is_refused_with_the_longest_one() -> None:
    with pytest.raises(UsageError, match="too long") as refusal:
        vault.part(bundle((*THREE, town("a" * 27, 4))), "commune-a")
    assert "26 letters" in refusal.value.remedy
