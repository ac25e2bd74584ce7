"""Another key for a node that goes on: at every moment its neighbours let it in, whichever bundle they have."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.peers.conversation import connect
from appliance.backup.writer import writer
from appliance.trust import rotation
from appliance.trust.bundle import Member
from appliance.trust.keys import PublicKeys, create_keys, read_public_keys
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import type_at

ORIGIN, PEERS, SERVICE = "commune-a", ("hermitage", "commune-b"), "docs-a"


def _sign_as_shown(territory: ProcessTerritory, to: tuple[str, ...]) -> None:
    """Sign what `internal node keys` prints now, and let the nodes `to` accept it as people do."""
    printed = json.loads(territory.nodes[ORIGIN].cli("internal", "node", "keys").stdout)
    before = territory.members[ORIGIN]
    territory.members[ORIGIN] = Member(before.node, printed["user"], PublicKeys(**printed["keys"]))
    territory.sign(to=())
    raw = territory.root / f"bundle-{territory.serial}"
    raw.write_bytes(territory.signed())
    for name in to:
        territory.nodes[name].cli("node", "accept", str(raw))


def _is_let_in_everywhere(territory: ProcessTerritory) -> bool:
    for peer in PEERS:
        with connect(territory.open(ORIGIN), peer) as conversation:
            conversation.head(SERVICE)
    return True


def test_ssh_goes_on_through_every_step(territory: ProcessTerritory) -> None:
    keys = territory.nodes[ORIGIN].layout.keys
    old = read_public_keys(keys).ssh
    assert writer.run(territory.open(ORIGIN), SERVICE).safety.safe
    assert type_at(territory, ORIGIN, "internal", "node", "rotate", "ssh", "--dry-run")["made"] is False
    assert type_at(territory, ORIGIN, "internal", "node", "rotate", "ssh")["made"] is True
    assert type_at(territory, ORIGIN, "internal", "node", "rotate", "ssh")["made"] is False, (
        "a second call makes no other"
    )
    assert "the next ssh key waits" in type_at(territory, ORIGIN, "internal", "node", "rotate", "tls", code=8)
    assert _is_let_in_everywhere(territory)

    _sign_as_shown(territory, to=(PEERS[0],))  # one neighbour knows the new key, the other the old one
    assert _is_let_in_everywhere(territory)
    _accept(territory, ORIGIN)
    assert read_public_keys(keys).ssh != old
    assert _is_let_in_everywhere(territory)
    _accept(territory, PEERS[1])
    assert _is_let_in_everywhere(territory)
    assert type_at(territory, ORIGIN, "internal", "node", "rotate", "--finish")["finished"] is True
    assert not (keys / "former").exists()
    assert _is_let_in_everywhere(territory)
    assert writer.run(territory.open(ORIGIN), SERVICE).safety.safe


def _accept(territory: ProcessTerritory, name: str) -> None:
    territory.nodes[name].cli("node", "accept", str(territory.root / f"bundle-{territory.serial}"))


def test_what_cannot_be_changed_alone_is_said(territory: ProcessTerritory) -> None:
    for kind in ("sign", "age", "host"):
        assert "is not one of 'ssh', 'mesh', 'tls'" in type_at(
            territory, ORIGIN, "internal", "node", "rotate", kind, code=2
        )
    assert "Name one of ssh, mesh, tls, or --finish" in type_at(territory, ORIGIN, "internal", "node", "rotate", code=2)


@pytest.mark.parametrize("kind", rotation.KINDS)
def test_a_cut_leaves_a_key_and_the_next_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    before = create_keys(tmp_path)
    public = rotation.begin(tmp_path, kind)
    signed = rotation.shown(tmp_path)
    assert getattr(signed, kind) == public != getattr(before, kind)
    for cut in range(4):
        with monkeypatch.context() as patched:
            _cut_after(patched, cut)
            try:
                taken = rotation.take(tmp_path, signed)
            except _Cut:
                assert (tmp_path / rotation.FILES[kind][0]).exists(), "there always is one"
                continue
        break
    assert read_public_keys(tmp_path) == signed
    assert create_keys(tmp_path) == signed, "the private halves are those"
    assert rotation.take(tmp_path, signed) == ()
    assert taken in ((kind,), ())
    assert rotation.waiting(tmp_path) == ()


def test_a_bundle_with_other_keys_takes_nothing(tmp_path: Path) -> None:
    before = create_keys(tmp_path)
    rotation.begin(tmp_path, "mesh")
    assert rotation.take(tmp_path, before) == ()
    assert read_public_keys(tmp_path) == before
    assert rotation.waiting(tmp_path) == ("mesh",)


class _Cut(BaseException):
    """The power went."""


def _cut_after(patched: pytest.MonkeyPatch, count: int) -> None:
    left = [count]

    def counted(change: Any) -> Any:
        def step(*words: Any, **options: Any) -> Any:
            if not left[0]:
                raise _Cut
            left[0] -= 1
            return change(*words, **options)

        return step

    patched.setattr(rotation.os, "link", counted(os.link))
    patched.setattr(rotation.os, "replace", counted(os.replace))
