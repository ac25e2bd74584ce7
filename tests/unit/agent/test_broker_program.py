"""The state of a voter's broker at its start, and the certificates that it takes for a node's."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.errors import IntegrityError, NotFound
from appliance.failover.program import brokers_of
from appliance.trust import pki
from appliance.trust.bundle import Bundle
from appliance.voter.program import Settings, has_key, load_settings
from tests.worlds.documents import HOME, LOCAL


@dataclass(frozen=True)
class AsNode:
    bundle: Bundle


def test_it_is_told_where_the_etcd_beside_it_listens(tmp_path: Path) -> None:
    (tmp_path / "voter.json").write_text('{"format": 1, "etcd": "https://127.0.0.1:2379"}')
    assert load_settings(tmp_path / "voter.json") == Settings("https://127.0.0.1:2379")


def test_without_that_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="this node has no etcd") as refusal:
        load_settings(tmp_path / "voter.json")
    assert '"etcd": "https://127.0.0.1:2379"' in refusal.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "\xff"])
def test_what_does_not_say_it_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "voter.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(IntegrityError, match="does not name the address of etcd"):
        load_settings(tmp_path / "voter.json")


def test_only_the_certificate_of_the_key_that_the_bundle_names_by_now_is_a_nodes() -> None:
    """A certificate of a stolen box's key is good for weeks."""
    now, root_key, key, own = time.time(), pki.new_key(), pki.new_key(), pki.new_key()
    root = pki.make_root(root_key, "test.internal", now)
    issuer = pki.make_intermediate(root_key, root, pki.make_request(key, "nodes"), "test.internal", now)
    request = pki.make_request(own, HOME)
    made = pki.issue(key, issuer, request, HOME, pki.public_of(request), now).public_bytes(Encoding.DER)
    member = LOCAL.members[HOME]
    named = replace(member, keys=replace(member.keys, tls=pki.public_of(request)))
    node = AsNode(replace(LOCAL, members={**LOCAL.members, HOME: named}))
    assert has_key(node, HOME, made)  # type: ignore[arg-type]
    assert not has_key(AsNode(LOCAL), HOME, made)  # type: ignore[arg-type]
    assert not has_key(node, "outsider", made)  # type: ignore[arg-type]
    assert [name for name, broker in brokers_of(node.bundle).items() if broker.is_of(made)] == [HOME]
