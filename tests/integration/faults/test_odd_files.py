"""Odd files of a town hall's share, and changes while it is read: everything comes back through a blind peer, and a
file that could not be saved is listed by name."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shutil
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.backup.peers.openable import open_best
from appliance.backup.sources import LeftOut
from appliance.backup.writer import writer
from appliance.backup.writer.writer import Run
from appliance.borg.client import Borg
from appliance.errors import WARNINGS, Unreachable
from appliance.host.command import run
from appliance.host.files import sha256_file
from appliance.units import GIB, MIB, format_bytes
from appliance_lab.checkers.tree_record import compare, take
from appliance_lab.checkout import appliance_argv, code_folder
from tests.integration.faults.bad_block import without_bytes
from tests.integration.faults.relay import relayed
from tests.integration.faults.world import BLIND, BORG, SERVICE, STANDBY, FaultWorld, put_borg
from tests.waiting import wait_until

AS_ROOT = os.geteuid() == 0
LAST_SECOND = 2_147_310_847  # the latest time that borg 1.4 stores: 2^31 seconds and two days less
NAMES = (
    b"deux\nlignes.txt",
    b"retour\rchariot",
    b"latin-1 \xe9t\xe9.doc",
    b"\xff\xfe",
    b"n" * 255,
    ("é" * 127).encode(),
    b" espaces ",
    b"-rf",
    b"sh:*",
    b"re:.*",
    b"pp:x",
    b"{now}",
    b"a\\b",
    b"'\"$(true)`",
    b"?",
    "e\N{COMBINING ACUTE ACCENT}".encode(),
    "é".encode(),
)


def through_a_peer(world: FaultWorld, into: Path) -> Path:
    """Lose the writer's repository; restore the newest archive from what the blind peer has. The documents restored."""
    shutil.rmtree(world.layout().repository)
    borg = Borg(open_best(world.node(), SERVICE, f"peer:{BLIND}").repository)
    assert borg.extract(borg.archives()[-1].name, [], into) == ()
    return into / str(world.documents).lstrip("/")


def put_socket(path: Path) -> None:
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # a socket's address holds 107 bytes at most
        try:
            listener.bind(path.name)
        finally:
            os.chdir(here)


def put_time(path: Path, seconds: int) -> None:
    path.touch()
    os.utime(path, ns=(seconds * 10**9 + 123_456_789, seconds * 10**9 + 123_456_789))


def put_oddities(folder: Path) -> None:
    for number, name in enumerate(NAMES):
        (folder / os.fsdecode(name)).write_bytes(b"%d" % number)
    deep = folder.joinpath(*itertools.repeat("d" * 200, 15))
    deep.mkdir(parents=True)
    (folder / "vide").touch()
    (folder / "vide.d").mkdir(mode=0o1777)
    (folder / "premier").write_bytes(b"un seul fichier")
    os.link(folder / "premier", folder / "second")
    (folder / "nulle part").symlink_to("n'existe pas")
    os.mkfifo(folder / "tube")
    (folder / "programme").write_bytes(b"#!/bin/sh\n")
    (folder / "programme").chmod(0o4751)
    for name, when in (("1970", 0), ("2038", LAST_SECOND - 1)):
        put_time(folder / name, when)
    with open(folder / "creux", "wb") as file:
        file.write(b"debut")
        file.seek(64 * MIB)
        file.write(b"fin")
    if AS_ROOT:
        os.mknod(folder / "nul", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(folder / "boucle", 0o660 | stat.S_IFBLK, os.makedev(7, 0))
        os.chown(folder / "second", 12345, 23456)


def test_odd_names_and_kinds_come_back_identical_through_a_blind_peer(world: FaultWorld, tmp_path: Path) -> None:
    put_oddities(world.documents)
    (world.documents / "latin-1 \udce9t\udce9").mkdir()
    sockets = [world.documents / "prise", world.documents / "latin-1 \udce9t\udce9" / "prise\nelectrique"]
    for path in sockets:
        put_socket(path)
    before = take(world.documents, as_root=AS_ROOT)
    done = writer.run(world.node(), SERVICE)
    assert done.safety.safe
    assert set(done.left_out) == {LeftOut(str(path), "socket") for path in sockets}
    restored = through_a_peer(world, tmp_path / "restored")
    after = take(restored, as_root=AS_ROOT)
    assert compare(before, after) == ()
    assert after.left_out == ()
    assert (restored / "creux").stat().st_blocks * 512 < 20 * MIB, "holes come back as holes"


def test_a_time_that_borg_cannot_hold_comes_back_as_the_nearest_that_it_can(world: FaultWorld, tmp_path: Path) -> None:
    """A limit of borg 1.4, and the only one that this suite knows of."""
    put_time(world.documents / "1935", -1_100_000_000)
    put_time(world.documents / "2200", 7_258_118_400)
    before = take(world.documents, as_root=AS_ROOT)
    writer.run(world.node(), SERVICE)
    after = take(through_a_peer(world, tmp_path / "restored"), as_root=AS_ROOT)
    found = {(item.path, item.what, item.after) for item in compare(before, after)}
    assert found == {("1935", "mtime_ns", "0"), ("2200", "mtime_ns", str(LAST_SECOND * 10**9))}


def test_a_hole_of_five_gigabytes_comes_back_as_a_hole(world: FaultWorld, tmp_path: Path) -> None:
    path = world.documents / "disque.img"
    with open(path, "wb") as file:
        file.write(b"debut")
        file.seek(5 * GIB - 3)
        file.write(b"fin")
    done = writer.run(world.node(), SERVICE)
    assert done.left_out == ()
    assert max(outcome.bytes_sent for outcome in done.pushed) < MIB
    restored = through_a_peer(world, tmp_path / "restored") / "disque.img"
    status = restored.stat()
    assert (status.st_size, status.st_mtime_ns) == (5 * GIB, path.stat().st_mtime_ns)
    assert status.st_blocks * 512 < 32 * MIB
    with open(restored, "rb") as file:
        assert file.read(8) == b"debut\0\0\0"
        file.seek(5 * GIB - 5)
        assert file.read() == b"\0\0fin"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_gigabytes_that_nothing_compresses_come_back_though_the_line_was_cut(
    world: FaultWorld, tmp_path: Path, seed: int
) -> None:
    size, cut = 5 * GIB, 2 * GIB + 12_345_678
    if shutil.disk_usage(tmp_path).free < 6 * size:
        pytest.skip(f"five copies and some room: this needs {format_bytes(6 * size)} of free disk")
    world.make_room(4 * size)
    path = world.documents / "vidéo du conseil.mkv"
    written = put_random_bytes(path, size, seed)
    with relayed(world.territory, BLIND) as relay:
        relay.up.cut_after = cut
        failed = {outcome.peer: outcome.error for outcome in writer.run(world.node(), SERVICE).pushed}
    assert failed[STANDBY] is None
    assert isinstance(failed[BLIND], Unreachable), failed[BLIND]
    done = world.save()
    sent = {outcome.peer: outcome.bytes_sent for outcome in done.pushed}
    assert size - cut < sent[BLIND] < size - cut + 16 * MIB, "what came before the cut is not sent again"
    assert sent[STANDBY] < MIB
    path.unlink()
    restored = through_a_peer(world, tmp_path / "restored") / path.name
    assert restored.stat().st_size == size
    assert sha256_file(restored) == written


def put_random_bytes(path: Path, size: int, seed: int) -> str:
    """Fill `path` with what neither compresses nor repeats; its SHA-256."""
    draw, digest = random.Random(seed), hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(size // (64 * MIB)):
            piece = draw.randbytes(64 * MIB)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


@contextmanager
def written_all_the_time(path: Path) -> Iterator[None]:
    """Somebody works in `path` and saves without end."""
    stop = threading.Event()

    def write() -> None:
        with open(path, "r+b") as file:
            for number in itertools.count():
                if stop.wait(0.002):
                    return
                file.seek(number % MIB)
                file.write(b"x")
                file.flush()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_file_that_changes_while_it_is_read_is_saved_and_named(world: FaultWorld, tmp_path: Path) -> None:
    path = world.documents / "ouvert.ods"
    path.write_bytes(bytes(20 * MIB))
    with written_all_the_time(path):
        done = writer.run(world.node(), SERVICE)
    assert [(item.path.lstrip("/"), "changed while" in item.reason) for item in done.left_out] == [
        (str(path).lstrip("/"), True)
    ]
    assert done.safety.safe
    restored = through_a_peer(world, tmp_path / "restored")
    assert (restored / "ouvert.ods").stat().st_size == 20 * MIB


VANISH = """
import os, runpy, sys, time
scan = os.scandir
def scandir(folder="."):
    found = scan(folder)
    if isinstance(folder, int):  # as borg reads a tree
        found = list(found)
        if {name!r} in [entry.name for entry in found]:
            os.utime({asked!r}, (0, 0))
            while {name!r} in os.listdir(folder):
                time.sleep(0.01)
    return found
os.scandir = scandir
sys.argv[0] = {borg!r}
runpy.run_path({borg!r}, run_name="__main__")
"""


def remove_when_asked(path: Path, asked: Path) -> None:
    """borg itself may change nothing that it saves: it asks by the time of a file."""
    wait_until(lambda: asked.stat().st_mtime == 0, "borg has listed the file")
    path.unlink()


def run_with_borg(world: FaultWorld, monkeypatch: pytest.MonkeyPatch, code: str) -> Run:
    """A run whose borg is started by `code`."""
    (world.work / "started.py").write_text(code)
    folder = put_borg(world.work, f'#!/bin/sh\nexec {sys.executable} {world.work / "started.py"} "$@"\n')
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return writer.run(world.node(), SERVICE)


def test_a_file_that_vanishes_between_listing_and_reading_is_named(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.documents / "brouillon éphémère.odt"
    path.write_text("x")
    asked = world.work / "asked"
    asked.touch()
    with ThreadPoolExecutor(1) as other:
        removed = other.submit(remove_when_asked, path, asked)
        done = run_with_borg(world, monkeypatch, VANISH.format(name=path.name, borg=BORG, asked=str(asked)))
        removed.result()
    assert [item.path.lstrip("/") for item in done.left_out] == [str(path).lstrip("/")]
    assert "No such file" in done.left_out[0].reason
    assert done.safety.safe, "it is gone at its source, too"
    world.assert_healed()


def test_what_may_not_be_read_is_named_and_the_rest_is_saved(world: FaultWorld) -> None:
    """Root may read all, so it runs without the right that lets it."""
    closed = world.documents / "confidentiel.odt"
    closed.write_text("x")
    closed.chmod(0)
    folder = world.documents / "dossier fermé"
    folder.mkdir()
    (folder / "dedans").write_text("x")
    folder.chmod(0)
    drop = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    words = (*appliance_argv(), "--json", "--state", str(world.node().layout.root), "backup", "run", SERVICE)
    said = run(
        (*(drop if AS_ROOT else ()), *words), timeout_seconds=60, env={"PYTHONPATH": str(code_folder())}, stdin=b""
    )
    folder.chmod(0o700)
    closed.chmod(0o600)
    assert said.exit_code == WARNINGS, said.tail()
    answer = json.loads(said.stdout)
    assert {item["path"] for item in answer["left_out"]} == {str(closed), str(folder)}
    assert not answer["safety"]["safe"], "a backup without them is partial"
    assert len(answer["safety"]["counted"]) == 2
    world.assert_healed()
    world.assert_nothing_lost()


@pytest.mark.root
def test_a_file_that_opens_and_cannot_be_read_is_named_and_the_rest_is_saved(world: FaultWorld, tmp_path: Path) -> None:
    path = world.documents / "secteur défectueux.odt"
    path.write_bytes(b"lisible" * 1000)
    with without_bytes(path), open(path, "rb") as file, pytest.raises(OSError, match="Input/output error"):
        file.read(1)
    with without_bytes(path):
        world.change()
        done = writer.run(world.node(), SERVICE)
    assert done.left_out == (LeftOut(str(path), "read: [Errno 5] Input/output error"),)
    assert str(done.safety) == "partial: 2 of 2 (commune-b, hermitage)"
    assert done.sealed.header.missing == (0,)
    world.change()
    before = take(world.documents, as_root=AS_ROOT)
    world.assert_healed()
    after = take(through_a_peer(world, tmp_path / "restored"), as_root=AS_ROOT)
    assert compare(before, after) == ()
