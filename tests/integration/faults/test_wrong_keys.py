"""A key or passphrase that is wrong, damaged or gone: a clear sentence, nothing written, and the right one heals it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.writer import writer
from appliance.errors import ApplianceError, Forbidden, IntegrityError, NotFound, Refused
from appliance.trust.keys import create_key
from tests.integration.faults.world import ORIGIN, SERVICE, FaultWorld


@dataclass(frozen=True)
class Wrong:
    """`path` below the state folder gets `content` (None: it goes); the run ends with `error` and says `sentence`."""

    path: str
    content: bytes | None
    error: type[ApplianceError]
    sentence: str
    spares: str = "none"
    """Where borg would find the right one too, below its base folder."""


KEYS, NONCES = ".config/borg/keys/*", ".config/borg/security/*/nonce"
OTHER_KEY = b"BORG_KEY " + b"0" * 64 + b"\nhqlhbGdvcml0aG2mc2hhMjU2pGRhdGHaAN4=\n"
CASES = {
    "passphrase": Wrong("services/docs-a/key/passphrase", b"x", Forbidden, "the passphrase is wrong"),
    "no-passphrase": Wrong("services/docs-a/key/passphrase", None, NotFound, "passphrase"),
    "key-of-another": Wrong("services/docs-a/borg/.config/borg/keys/service", OTHER_KEY, NotFound, "key", KEYS),
    "no-key": Wrong("services/docs-a/borg/.config/borg/keys/service", None, NotFound, "key", KEYS),
    "cut-key": Wrong("services/docs-a/borg/.config/borg/keys/service", b"BORG_KEY ", NotFound, "key", KEYS),
    "nonce": Wrong("services/docs-a/repository/nonce", b"00ff", IntegrityError, "nonce file is damaged"),
    "no-nonce": Wrong("services/docs-a/repository/nonce", b"0" * 16, Refused, "rolled back or never raised", NONCES),
    "no-config": Wrong("services/docs-a/repository/config", None, NotFound, "repository"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_with_it_says_what_is_wrong_and_the_next_one_without_it_heals(world: FaultWorld, case: str) -> None:
    wrong = CASES[case]
    path = world.node().layout.root / wrong.path
    right, chain = path.read_bytes(), chain_of(world.node(), SERVICE).names()
    for spare in world.layout().borg_base.glob(wrong.spares):
        if spare != path:
            spare.unlink()
    _put(path, wrong.content)
    said = world.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == wrong.error.exit_code, said.stderr.decode()
    assert wrong.sentence in said.tail()
    assert b"Traceback" not in said.stderr
    assert chain_of(world.node(), SERVICE).names() == chain
    _put(path, right)
    world.assert_healed()
    world.assert_nothing_lost()


def _put(path: Path, content: bytes | None) -> None:
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)


def test_a_node_whose_signing_key_is_another_seals_nothing(world: FaultWorld) -> None:
    """No peer would take it, and neither would this node: its own chain would be closed to it for ever."""
    keys = world.node().layout.keys
    right = (keys / "sign_ed25519").read_bytes(), (keys / "sign_ed25519.pub").read_bytes()
    for name in ("sign_ed25519", "sign_ed25519.pub"):
        (keys / name).unlink()
    create_key(keys / "sign_ed25519")
    world.change()
    names = chain_of(world.node(), SERVICE).names()
    with pytest.raises(Refused, match="the signing key of commune-a is not the one that the bundle names"):
        writer.run(world.node(), SERVICE)
    assert chain_of(world.node(), SERVICE).names() == names
    (keys / "sign_ed25519").write_bytes(right[0])
    (keys / "sign_ed25519.pub").write_bytes(right[1])
    world.assert_healed()
    world.assert_nothing_lost()
