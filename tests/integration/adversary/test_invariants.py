"""Each invariant of the adversary sees what breaks it: a check that cannot fail would judge nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import LIST
from appliance.escrow.envelopes import read_key
from tests.integration.adversary import invariants
from tests.integration.adversary.invariants import CHECKS, Check
from tests.integration.adversary.scene import HOLDER, MARK, ORIGIN, SERVICE, SPARE, STANDBY, Scene, ScenePlan
from tests.integration.life.world import Broken
from tests.no_fsync import no_fsync

__all__ = ("no_fsync",)

type Harm = Callable[[Scene], object]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> ScenePlan:
    return ScenePlan.build(tmp_path_factory.mktemp("adversary"))


def _write(scene: Scene, name: str, path: str, data: bytes) -> None:
    (scene.desk.layout(name).root / path).write_bytes(data)


def _passphrase(scene: Scene) -> bytes:
    return read_key(scene.node(ORIGIN).service(SERVICE).key).passphrase.reveal()


def _lose_a_list(scene: Scene) -> None:
    replica_of(scene.node(STANDBY), SERVICE).path(scene.acknowledged[-1].name, LIST).unlink()


def _rot(scene: Scene) -> None:
    blob = max(replica_of(scene.node(HOLDER), SERVICE).blobs(), key=lambda it: it.stat().st_size)
    blob.chmod(0o600)
    blob.write_bytes(bytes(blob.stat().st_size))


def _stop_peers(scene: Scene) -> None:
    scene.town.world.down = frozenset({HOLDER})


def _forget_days(scene: Scene) -> None:
    scene.desk.advance(20 * 86_400)
    for item in scene.acknowledged:
        replica_of(scene.node(STANDBY), SERVICE).path(item.name, LIST).unlink()


def _key_elsewhere(scene: Scene) -> None:
    (scene.desk.layout(HOLDER).root / "copy").hardlink_to(scene.desk.layout(STANDBY).keys / "sign_ed25519")


def _use_counters_twice(scene: Scene) -> None:
    """A segment of this repository once more, with other bytes after the counters."""
    segment = max(scene.node(ORIGIN).service(SERVICE).repository.glob("data/*/*"), key=lambda it: it.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[8 + 9 + 32 + 5] ^= 1  # the MAC of its first object: another object under the same counter
    size = int.from_bytes(data[12:16], "little")
    data[8:12] = zlib.crc32(data[12 : 8 + size]).to_bytes(4, "little")
    (segment.with_name("999")).write_bytes(data)


def _expect_others(scene: Scene) -> None:
    scene.acknowledged[-1] = replace(scene.acknowledged[-1], content=({"délibération": b""}, {}))


HARMS: dict[Check, dict[str, Harm]] = {
    invariants.a_later_backup_reaches_honest_holders: {"a holder is gone": _stop_peers},
    invariants.one_liar_stops_nobody: {"a person was needed": lambda it: setattr(it, "obeyed", 1)},
    invariants.nothing_acknowledged_is_lost: {
        "a list is gone": _lose_a_list,
        "a hold let go": lambda it: it.frozen.update({HOLDER: ("00002.0000000099.aa",)}),
    },
    invariants.history_older_than_the_lock_is_thinned_by_rule: {"days are gone": _forget_days},
    invariants.held_generations_are_whole: {"a blob rots": _rot},
    invariants.what_is_called_safe_is_at_honest_holders: {"a list is gone": _lose_a_list},
    invariants.only_granted_epochs_and_one_writer_each: {"an epoch of nobody": lambda it: it.granted.clear()},
    invariants.no_counter_was_used_twice: {"a segment was written again": _use_counters_twice},
    invariants.what_a_restore_replaced_is_kept: {
        "its job is gone": lambda it: it.undoable.update({"0" * 32: it.node(ORIGIN).ageing.now()})
    },
    invariants.nothing_elsewhere_changed: {
        "a file outside": lambda it: (it.outside / "more").write_bytes(b""),
        "another service": lambda it: _write(it, SPARE, "services/docs-d/repository/nonce", b"0"),
        "code in a home": lambda it: _write(it, STANDBY, ".local/lib/python3.13/site-packages/usercustomize.py", b""),
        "a key elsewhere": _key_elsewhere,
        "another key": lambda it: _write(it, ORIGIN, "keys/sign_ed25519", b"other"),
    },
    invariants.blind_peers_have_no_text_name_or_key: {
        "a text": lambda it: _write(it, HOLDER, "x", b"..." + MARK),
        "a name": lambda it: _write(it, SPARE, "délibération 7", b""),
        "the passphrase": lambda it: _write(it, HOLDER, "x", _passphrase(it)),
    },
    invariants.journals_tell_no_secret: {
        "the passphrase": lambda it: _write(it, ORIGIN, "journal.jsonl", _passphrase(it))
    },
    invariants.key_holders_fetch_what_was_acknowledged: {"a blob rots": _rot},
    invariants.stock_tools_bring_the_newest_back: {"other files were saved": _expect_others},
}


def test_there_is_something_that_breaks_each_invariant() -> None:
    assert set(HARMS) == set(CHECKS)


@pytest.mark.parametrize(("check", "harm"), [(check, harm) for check, harms in HARMS.items() for harm in harms])
def test_an_invariant_sees_what_breaks_it(stage: ScenePlan, check: Check, harm: str) -> None:
    with stage.play("harm", frozenset()) as scene:
        HARMS[check][harm](scene)
        with pytest.raises(Broken):
            check(scene)
