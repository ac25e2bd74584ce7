"""The key by which peers know a host's own sshd."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import NotFound
from appliance.host.network.ssh import machine_key


def test_it_is_given_without_its_comment(tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text("ssh-ed25519 AAAA root@commune-a\n")
    assert machine_key(file) == "ssh-ed25519 AAAA"


def test_a_machine_whose_sshd_has_none_is_told_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="ssh-keygen -A"):
        machine_key(tmp_path / "none.pub")
