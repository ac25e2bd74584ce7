"""One repository goes from writer to writer: counters never repeat, and sealed segments never change."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.borg import errors
from appliance.borg.client import Borg
from appliance.borg.folder import keyfile
from appliance.borg.model import Repository
from appliance.borg.nonce import NONCE_BURN, check_nonce, floor_of, next_nonce, read_nonce, write_nonce
from appliance.borg.segments import committed
from tests.integration.borg.pool import hashes, sealed

TAG_PUT = 0


def counters(repository: Repository) -> dict[tuple[str, int], tuple[int, int]]:
    """The AES-CTR counters of each stored object: (segment, offset) -> (first, one past the last).

    An entry is crc32, size, tag (9 bytes), the object's key (32), then type (1), MAC (32), counter (8) and ciphertext.
    """
    found = {}
    for file in committed(repository.path).segments:
        data = file.read_bytes()
        offset = len(b"BORG_SEG")
        while offset < len(data):
            _, size, tag = struct.unpack_from("<IIB", data, offset)
            if tag == TAG_PUT:
                start = int.from_bytes(data[offset + 41 + 33 : offset + 41 + 41], "big")
                blocks = -(-(size - 41 - 41) // 16)
                found[file.name, offset] = (start, start + blocks)
            offset += size
    return found


def assert_no_counter_repeats(ranges: Iterator[tuple[int, int]]) -> None:
    last = -1
    for start, end in sorted(ranges):
        assert start >= last
        last = end


def test_counters_start_at_the_floor_once_it_is_written(repository: Repository, borg: Borg, source: Path) -> None:
    (source / "big").write_bytes(os.urandom(5_000_000))
    before = set(counters(repository))
    write_nonce(repository.path, floor_of(2))
    check_nonce(next_nonce(repository), 2)
    borg.create("first", ["."], cwd=source)
    new = [span for place, span in counters(repository).items() if place not in before]
    assert len(new) > 3
    assert min(start for start, _ in new) == floor_of(2)
    assert max(end for _, end in new) < floor_of(2) + NONCE_BURN
    assert_no_counter_repeats(iter(counters(repository).values()))


def test_each_writing_run_burns_at_least_its_reserve(repository: Repository, borg: Borg, source: Path) -> None:
    write_nonce(repository.path, floor_of(2))
    before = floor_of(2)
    for name in ("first", "second"):
        borg.create(name, ["."], cwd=source)
        after = read_nonce(repository.path)
        assert after is not None
        assert after - before >= NONCE_BURN
        assert next_nonce(repository) == after
        before = after


def test_reading_burns_nothing(repository: Repository, borg: Borg, source: Path, tmp_path: Path) -> None:
    borg.create("first", ["."], cwd=source)
    before = next_nonce(repository)
    borg.archives()
    list(borg.items("first"))
    borg.extract("first", [], tmp_path / "out")
    borg.recover()
    assert next_nonce(repository) == before


def adopt(generation: Path, folder: Path, key: Path, giver: Repository, index: int) -> Repository:
    """The recipe: a new folder with exactly the generation, its own config, the floor, and a base with only the key."""
    folder.mkdir()
    for file in generation.glob("data/*/*"):
        target = folder / file.relative_to(generation)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)
    for name in ("config", "README"):
        shutil.copy(generation / name, folder / name)
    write_nonce(folder, floor_of(index))
    base = folder.with_name(f"{folder.name}-base")
    keys = base / ".config/borg/keys"
    keys.mkdir(parents=True)
    shutil.copy(key, keys / "key")
    return Repository(folder, base, giver.passphrase)


def test_a_repository_goes_to_another_writer_and_comes_back(
    repository: Repository, borg: Borg, source: Path, tmp_path: Path
) -> None:
    (source / "one").write_bytes(os.urandom(2_000_000))
    write_nonce(repository.path, floor_of(2))
    borg.create("at-home", ["."], cwd=source)
    first = sealed(repository, tmp_path / "generation-1")

    away = adopt(first, tmp_path / "away", keyfile(repository), repository, index=3)
    guest = Borg(away)
    guest.recover()
    (source / "two").write_bytes(os.urandom(2_000_000))
    made = guest.create("away", ["."], cwd=source)
    assert made.deduplicated_bytes < 2_100_000, "deduplication goes on"
    guest.check_repository()
    guest.check_archives(verify_data=True)
    second = sealed(away, tmp_path / "generation-2")

    back = adopt(second, tmp_path / "back", keyfile(repository), repository, index=4)
    home = Borg(back)
    home.create("back-home", ["."], cwd=source)
    home.delete([it.name for it in home.archives()[:-1]])
    home.compact(threshold_percent=10)
    home.check_repository()
    home.check_archives(verify_data=True)
    assert [archive.name for archive in home.archives()] == ["back-home"]

    everything = counters(repository) | counters(away) | counters(back)
    assert_no_counter_repeats(iter(set(everything.values())))
    assert min(start for start, _ in counters(back).values()) < floor_of(3) < floor_of(4)


def test_an_older_copy_is_refused_by_the_base_of_the_newer(
    repository: Repository, borg: Borg, source: Path, tmp_path: Path
) -> None:
    borg.create("first", ["."], cwd=source)
    generation = sealed(repository, tmp_path / "generation-1")
    borg.create("second", ["."], cwd=source)
    adopted = adopt(generation, tmp_path / "adopted", keyfile(repository), repository, index=3)
    with pytest.raises(errors.ReplayRefused):
        Borg(Repository(adopted.path, repository.base, repository.passphrase)).archives()
    assert [archive.name for archive in Borg(adopted).archives()] == ["first"]


def test_sealed_segments_never_change_whatever_borg_does(
    repository: Repository, borg: Borg, source: Path, tmp_path: Path
) -> None:
    pool = tmp_path / "pool"
    for number in range(4):
        for name in ("a", "b"):
            (source / name).write_bytes(os.urandom(1_500_000))
        borg.create(f"archive-{number}", ["."], cwd=source, timestamp=f"2026-11-2{number}T08:00:00Z")
        sealed(repository, pool / str(number))
    before = hashes(pool)
    borg.delete([f"archive-{number}" for number in range(3)])
    borg.compact(threshold_percent=10)
    assert len(committed(repository.path).segments) < len(list((pool / "3").glob("data/*/*")))
    borg.create("after", ["."], cwd=source)
    borg.check_repository()
    borg.check_archives(verify_data=True)
    assert hashes(pool) == before
    oldest = adopt(pool / "0", tmp_path / "oldest", keyfile(repository), repository, index=9)
    Borg(oldest).check_archives(verify_data=True)
    assert [archive.name for archive in Borg(oldest).archives()] == ["archive-0"]
