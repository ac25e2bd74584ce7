"""Mistakes of a tired person while nodes are lost or replaced stop no backup and wedge no service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers.fetched_key import open_key, staging
from appliance.backup.peers.last_seen import current_targets
from appliance.backup.writer import writer
from appliance.backup.writer.begin import begin, seal_envelopes
from appliance.clock import SystemClock, utc_text
from appliance.errors import IntegrityError, Refused
from appliance.escrow.envelopes import ServiceKey, read_key
from appliance.node.acts import keep_act
from appliance.secret import Secret
from appliance.trust.act import make_act
from appliance.units import DAY
from appliance_lab.processes.territory import ProcessTerritory

SERVICE, ORIGIN, STANDBY, BLIND = "docs-a", "commune-a", "hermitage", "commune-b"


def test_a_trusted_node_whose_keys_are_not_collected_stops_no_backup(territory: ProcessTerritory) -> None:
    territory.members.pop(STANDBY)
    territory.sign(to=(ORIGIN, BLIND))
    run = writer.run(territory.open(ORIGIN), SERVICE)
    assert run.safety.counted == (BLIND,)
    assert not run.safety.safe
    assert [str(pushed.error) for pushed in run.pushed if pushed.peer == STANDBY] == [
        '"hermitage" has no keys in the territory bundle. Known: commune-a, commune-b, commune-c.'
    ]


def test_the_receipt_of_a_node_that_is_called_lost_no_longer_counts(
    territory: ProcessTerritory, operator_key: Path
) -> None:
    node = territory.open(ORIGIN)
    assert writer.run(node, SERVICE).safety.safe
    now = SystemClock().now()
    fields = {
        "act": "lost",
        "subject": BLIND,
        "service": "any",
        "operator": "maintenance",
        "reason": "burnt",
        "start": utc_text(now),
        "end": utc_text(now + DAY),
    }
    keep_act(node.layout.acts, make_act(fields, operator_key), node.bundle)
    assert str(writer.safety_of(node, SERVICE)) == "not safe yet: 1 of 2 (hermitage)"
    assert "commune-c" in [target.node for target in current_targets(node, SERVICE)]


def test_a_new_machine_does_not_begin_a_service_that_its_peers_remember(territory: ProcessTerritory) -> None:
    writer.run(territory.open(ORIGIN), SERVICE)
    territory.nodes[ORIGIN].wipe()
    territory.add_node(ORIGIN)
    territory.sign()
    with pytest.raises(Refused, match=r"already has a history: .* knows epoch 2"):
        begin(territory.open(ORIGIN), SERVICE)


def test_a_key_of_another_repository_is_kept_aside_and_never_used(territory: ProcessTerritory) -> None:
    node = territory.open(ORIGIN)
    writer.run(node, SERVICE)
    layout = node.service(SERVICE)
    right = read_key(layout.key)
    wrong = ServiceKey(Secret(b"another"), Secret(b"BORG_KEY " + b"0" * 64 + b"\nnothing\n"))
    (layout.key / "passphrase").write_bytes(wrong.passphrase.reveal())
    (layout.key / "keyfile").write_bytes(wrong.keyfile.reveal())
    sealed, found = fetch_for_resync(node, SERVICE)
    request = request_after_fetch(node, SERVICE, found, "the key here was another's")
    key = open_key(node, SERVICE, staging(node, SERVICE))
    assert key == right
    continue_under(node, SERVICE, sealed, territory.grant(request, ORIGIN), key)
    assert read_key(layout.root / "replaced-key") == wrong
    assert writer.run(node, SERVICE).safety.safe
    seal_envelopes(node, SERVICE)
    assert read_key(layout.key) == right


def test_a_rotten_segment_is_named_refused_and_mended_by_typing_what_the_sentence_says(
    territory: ProcessTerritory,
) -> None:
    node = territory.open(ORIGIN)
    writer.run(node, SERVICE)
    segment = max((node.service(SERVICE).repository / "data" / "0").iterdir(), key=lambda file: file.stat().st_size)
    _flip_a_byte(segment)
    with pytest.raises(IntegrityError, match="appliance backup repair docs-a"):
        writer.run(node, SERVICE)
    typed = territory.nodes[ORIGIN]
    assert typed.cli("backup", "repair", SERVICE, "--dry-run", check=False).exit_code == IntegrityError.exit_code
    mended = json.loads(typed.cli("--json", "backup", "repair", SERVICE).stdout)
    assert mended["mended"] == [f"data/0/{segment.name}"]
    assert writer.run(node, SERVICE).safety.safe


def _flip_a_byte(file: Path) -> None:
    with open(file, "r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
