"""Which counters the objects of a segment used, read from its bytes."""

from __future__ import annotations

import zlib

from appliance_lab.counters import MAGIC, Used, reused, used_in


def put(counter: int, mac: int, data: bytes = bytes(40)) -> bytes:
    """An entry of a segment: an object encrypted with `counter` on."""
    held = (50 + len(data) + 32).to_bytes(4, "little") + b"\0" + bytes(32)
    held += b"\2" + bytes([mac]) * 32 + counter.to_bytes(8) + data
    return zlib.crc32(held).to_bytes(4, "little") + held


def test_each_object_used_a_counter_for_each_sixteen_bytes() -> None:
    assert list(used_in(MAGIC + put(7, 1) + put(10, 2))) == [Used(7, 10, b"\1" * 32), Used(10, 13, b"\2" * 32)]
    assert list(used_in(b"a README")) == []


def test_two_objects_under_one_counter_are_found_and_one_object_twice_is_not() -> None:
    assert reused(used_in(MAGIC + put(7, 1) + put(7, 1))) == ()
    assert len(reused(used_in(MAGIC + put(7, 1) + put(9, 2)))) == 1


def test_an_object_whose_bytes_were_changed_used_no_counter() -> None:
    changed = bytearray(MAGIC + put(7, 1) + put(10, 2))
    changed[len(MAGIC) + 9 + 32 + 5] ^= 1
    assert [it.first for it in used_in(bytes(changed))] == [10]
