"""Frames and patience: what a hostile or a dead other side can do to a conversation, which is to end it."""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.backup.vault import wire
from appliance.backup.vault.wire import REFUSALS, SENTENCE_MAX, Channel, Closed
from appliance.errors import ApplianceError, IntegrityError, NoSpace, Postponed, Refused, UsageError
from appliance.units import DAY


@dataclass
class Pair:
    """Our channel and the raw ends of the other side."""

    channel: Channel
    reader: int
    writer: int


@pytest.fixture
def pair() -> Iterator[Pair]:
    (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
    yield Pair(Channel(ours_in, ours_out, quiet_seconds=0.15, frame_bytes_max=4096), theirs_in, theirs_out)
    for fd in (ours_in, theirs_out, theirs_in, ours_out):
        os.close(fd)


def _framed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def test_a_frame_arrives_as_it_was_sent(pair: Pair) -> None:
    os.write(pair.writer, _framed('{"é": [1, null]}'.encode()))
    assert pair.channel.read_frame() == {"é": [1, None]}
    pair.channel.write_frame({"é": 1})
    assert os.read(pair.reader, 100) == _framed('{"é":1}'.encode())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (struct.pack(">I", 4097), "a frame of 4097 bytes is more than the 4096 allowed"),
        (struct.pack(">I", 2**32 - 1), "a frame of 4294967295 bytes"),
        (_framed(b""), "a frame is not readable JSON"),
        (_framed(b"{"), "a frame is not readable JSON"),
        (_framed(b"\xff\xfe"), "a frame is not readable JSON"),
        (_framed(b'{"receipt": "\\ud800"}'), "a frame is not readable JSON"),
        (_framed(b"[" * 200 + b"]" * 200), "a frame is not an object"),
        (_framed(b"[" * 3000), "a frame has more parts"),
        (_framed(b'{"a":[' + b"1," * 1000 + b"1]}"), "a frame has more parts than any request or answer"),
        (_framed(b"[]"), "a frame is not an object"),
        (_framed(b"5"), "a frame is not an object"),
        (_framed(b"null"), "a frame is not an object"),
    ],
)
def test_a_frame_that_is_none_ends_the_conversation(pair: Pair, data: bytes, sentence: str) -> None:
    os.write(pair.writer, data)
    with pytest.raises(IntegrityError, match=sentence):
        pair.channel.read_frame()


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_raised_as_the_error_it_names(pair: Pair, name: str) -> None:
    os.write(pair.writer, _framed(json.dumps({"refused": name, "sentence": "no.", "remedy": "Go."}).encode()))
    with pytest.raises(ApplianceError, match=r"no\.") as caught:
        pair.channel.read_frame()
    assert type(caught.value) is REFUSALS[name]
    assert caught.value.remedy == "Go."


@pytest.mark.parametrize("refusal", [{"refused": "eaten"}, {"refused": 5}, {"refused": None, "sentence": ["x"]}])
def test_a_refusal_of_no_known_kind_is_a_refusal(pair: Pair, refusal: object) -> None:
    os.write(pair.writer, _framed(json.dumps(refusal).encode()))
    with pytest.raises(Refused):
        pair.channel.read_frame()


def test_a_refusal_tells_no_endless_story(pair: Pair) -> None:
    os.write(pair.writer, _framed(json.dumps({"refused": "busy", "sentence": "x" * 4000}).encode()))
    with pytest.raises(ApplianceError) as caught:
        pair.channel.read_frame()
    assert len(str(caught.value)) <= SENTENCE_MAX


@pytest.mark.parametrize(
    ("error", "name"),
    [(NoSpace("full."), "no-space"), (UsageError("what?"), "failed"), (ApplianceError("oh."), "failed")],
)
def test_every_error_can_be_told(pair: Pair, error: ApplianceError, name: str) -> None:
    pair.channel.refuse(error)
    assert json.loads(os.read(pair.reader, 1000)[4:])["refused"] == name


def test_a_postponement_tells_its_seconds_and_no_more_than_is_believed(pair: Pair) -> None:
    pair.channel.refuse(Postponed("the rest follows.", remedy="Nothing.", seconds=3600, whole_seconds=90_000))
    os.write(pair.writer, os.read(pair.reader, 1000))
    with pytest.raises(Postponed, match="the rest follows") as caught:
        pair.channel.read_frame()
    assert (caught.value.seconds, caught.value.whole_seconds) == (3600, 90_000)


@pytest.mark.parametrize("said", [10**12, -5, "3600", None, True, [1]])
def test_a_peer_cannot_make_a_writer_wait_for_long(pair: Pair, said: object) -> None:
    frame = {"refused": "postponed", "sentence": "later.", "seconds": said, "whole_seconds": said}
    os.write(pair.writer, _framed(json.dumps(frame).encode()))
    with pytest.raises(Postponed) as caught:
        pair.channel.read_frame()
    assert 0 <= caught.value.seconds <= 2 * DAY


def test_a_refusal_to_nobody_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Channel(os.open(os.devnull, os.O_RDONLY), writer).refuse(Refused("no."))
    os.close(writer)


def test_silence_ends_the_conversation(pair: Pair) -> None:
    with pytest.raises(Closed, match="the other side was silent"):
        pair.channel.read_frame()


def test_a_side_that_takes_nothing_ends_the_conversation(pair: Pair) -> None:
    with pytest.raises(Closed, match="the other side was silent"):
        pair.channel.write(bytes(1 << 20))


def test_a_byte_now_and_then_is_silence_too(pair: Pair) -> None:
    """Each byte buys a millisecond: who sends 20 of them a second is cut off all the same."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            os.write(pair.writer, b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()
    try:
        with pytest.raises(Closed, match="slower than 1 KiB/s"):
            pair.channel.read(10**6)
    finally:
        stop.set()
        thread.join()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(("size", "comes"), [(500, True), (5, False)])
def test_a_slow_but_honest_line_may_take_all_its_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, size: int, comes: bool
) -> None:
    """Bytes buy patience back: by the clock here each wait takes 60 ms, so all take longer than what is allowed."""
    times = itertools.count(0.0, 0.06)
    monkeypatch.setattr(wire, "time", SimpleNamespace(monotonic=lambda: next(times)))
    with nullcontext() if comes else pytest.raises(Closed, match="slower than 1 KiB/s"):
        for _ in range(5):
            os.write(pair.writer, bytes(size))
            assert pair.channel.read(size) == bytes(size)


def test_the_end_of_the_other_side_is_told_apart_from_silence() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with pytest.raises(Closed, match="the connection ended"):
        Channel(reader, os.open(os.devnull, os.O_WRONLY), quiet_seconds=5).read(1)
    os.close(reader)


def test_a_file_that_shrank_is_never_filled_up(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(b"short")
    with open(tmp_path / "segment", "rb") as file, pytest.raises(IntegrityError, match="became shorter"):
        pair.channel.send_file(file, 100)


def test_a_file_is_sent_from_where_it_stands_and_counted(pair: Pair, tmp_path: Path) -> None:
    content = os.urandom(300_000)  # more than a pipe holds
    (tmp_path / "segment").write_bytes(content)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(_read_all(pair.reader, len(content) - 1000)))
    reader.start()
    with open(tmp_path / "segment", "rb") as file:
        file.seek(1000)
        pair.channel.send_file(file, len(content) - 1000)
    reader.join()
    assert b"".join(got) == content[1000:]
    assert pair.channel.bytes_sent == len(content) - 1000


def test_a_file_goes_through_our_hands_where_the_kernel_cannot_move_it(tmp_path: Path) -> None:
    """Neither end is a pipe, so splice refuses."""
    (tmp_path / "segment").write_bytes(b"content")
    here, there = socket.socketpair()
    with here, there, open(tmp_path / "segment", "rb") as file:
        channel = Channel(here.fileno(), here.fileno(), quiet_seconds=1)
        channel.send_file(file, 7)
        assert (there.recv(100), channel.bytes_sent) == (b"content", 7)


def test_a_file_for_somebody_who_has_gone_ends_the_conversation(tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(b"content")
    reader, writer = os.pipe()
    os.close(reader)
    silent, nobody = os.pipe()
    os.close(nobody)
    with open(tmp_path / "segment", "rb") as file, pytest.raises(Closed, match="the connection ended"):
        Channel(silent, writer, quiet_seconds=1).send_file(file, 7)
    os.close(silent)
    os.close(writer)


def _read_all(reader: int, size: int) -> Iterator[bytes]:
    while size:
        piece = os.read(reader, size)
        size -= len(piece)
        yield piece
