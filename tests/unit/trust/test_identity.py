"""The identity of a node; on a host its folder cannot name another territory's key than root was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import IntegrityError
from appliance.host.layout import NodeLayout
from appliance.trust import identity
from appliance.trust.identity import Identity, create_identity, load_identity
from appliance.trust.keys import create_key


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    return create_key(tmp_path / "territory"), create_key(tmp_path / "another")


@pytest.fixture
def host(tmp_path: Path, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> NodeLayout:
    """A node whose folder is the one of this host, with the first key pinned by root."""
    layout = NodeLayout(tmp_path / "node")
    create_identity(layout, "commune-a", keys[0])
    (tmp_path / "territory.pub").write_text(f"{keys[0]} the territory's\n")
    monkeypatch.setattr(identity, "state_of_this_host", lambda: layout.root)
    monkeypatch.setattr(identity, "PIN_OF_A_HOST", tmp_path / "territory.pub")
    return layout


def test_the_key_that_root_was_given_is_the_one_that_its_folder_names(host: NodeLayout, keys: tuple[str, str]) -> None:
    assert load_identity(host) == Identity("commune-a", keys[0])


def test_another_key_in_its_folder_is_refused_on_a_host_and_names_the_file(
    host: NodeLayout, keys: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "territory.pub").write_text(keys[1])
    with pytest.raises(IntegrityError, match="which root wrote") as refusal:
        load_identity(host)
    assert refusal.value.where == str(host.identity)


def test_in_process_mode_what_was_pinned_at_first_contact_counts(
    host: NodeLayout, keys: tuple[str, str], tmp_path: Path
) -> None:
    elsewhere = NodeLayout(tmp_path / "elsewhere")
    create_identity(elsewhere, "commune-b", keys[1])
    assert load_identity(elsewhere).territory_key == keys[1]


def test_a_host_that_was_given_none_believes_its_folder(
    host: NodeLayout, keys: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "territory.pub").unlink()
    assert load_identity(host).territory_key == keys[0]
