"""A quarantine that takes others back names them, and a later one counts, whatever the clock of the signer said."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli import act
from appliance.cli.main import run
from appliance.clock import SystemClock
from appliance.trust.act import Act, Operator, read_act
from appliance.trust.in_force import in_force
from appliance.trust.keys import create_key
from appliance.units import DAY


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "operator.pub").write_text(create_key(tmp_path / "operator"))
    return tmp_path / "operator"


def sign(key: Path, name: str, *more: str) -> Path:
    out = key.parent / name
    words = ("--reason", "test", "--operator", "maintenance", "--key", str(key), "--out", str(out))
    assert run(("act", "sign", "quarantine", "commune-a", *words, *more)) == 0
    return out


def read(key: Path, file: Path) -> Act:
    return read_act(file.read_bytes(), [Operator("maintenance", (Path(f"{key}.pub").read_text(),), ("quarantine",))])


def test_a_take_back_that_a_fast_clock_signed_ends_no_later_quarantine(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sign(key, "first.act")
    now = SystemClock().now()
    with monkeypatch.context() as fast:
        fast.setattr(act.SystemClock, "now", lambda clock: now + DAY)
        back = sign(key, "back.act", "--days", "0", "--takes-back", str(first))
    again = sign(key, "again.act", "--days", "3")
    acts = [read(key, it) for it in (first, back, again)]
    assert acts[1].taken_back == {acts[0].document.line_digest}
    assert in_force(acts[:2], now) == ()
    assert in_force(acts, now) == (acts[2],)


def test_a_quarantine_whose_signature_is_written_otherwise_is_taken_back_too(key: Path) -> None:
    """No signature covers its own armour: a node that keeps an act can store it under another SHA-256."""
    first = sign(key, "first.act")
    back = read(key, sign(key, "back.act", "--days", "0", "--takes-back", str(first)))
    again = key.parent / "again.act"
    again.write_bytes(first.read_bytes() + b"\n")
    assert in_force((read(key, again), back), SystemClock().now()) == ()
