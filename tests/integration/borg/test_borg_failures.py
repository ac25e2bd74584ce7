"""Each failure has its name and says what to do; none leaves the repository worse."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.borg import errors
from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.borg.segments import committed
from appliance.errors import Refused
from appliance.secret import Secret
from tests.integration.borg.pool import hashes, sealed


def test_a_wrong_passphrase_is_told(repository: Repository, borg: Borg) -> None:
    with pytest.raises(errors.WrongPassphrase):
        Borg(Repository(repository.path, repository.base, Secret(b"wrong"))).archives()


def test_a_missing_key_is_told(repository: Repository, borg: Borg, tmp_path: Path) -> None:
    with pytest.raises(errors.KeyMissing, match="Put the keyfile back"):
        Borg(Repository(repository.path, tmp_path / "empty", repository.passphrase)).archives()


def test_without_passphrase_nothing_hangs_and_nothing_opens(repository: Repository, borg: Borg) -> None:
    with pytest.raises(errors.WrongPassphrase):
        Borg(Repository(repository.path, repository.base)).archives()
    with pytest.raises(Refused, match="needs a passphrase"):
        Borg(Repository(repository.path.with_name("other"), repository.base)).init()


def test_crc_checks_and_compaction_need_no_key(repository: Repository, borg: Borg, tmp_path: Path) -> None:
    blind = Borg(Repository(repository.path, tmp_path / "empty"))
    blind.check_repository()
    blind.compact()


def test_a_missing_repository_or_archive_is_told(repository: Repository, borg: Borg, source: Path) -> None:
    with pytest.raises(errors.RepositoryMissing):
        Borg(Repository(repository.path.with_name("absent"), repository.base, repository.passphrase)).archives()
    with pytest.raises(errors.ArchiveMissing):
        list(borg.items("absent"))
    with pytest.raises(errors.ArchiveMissing):
        borg.extract_to("absent", "x", io.BytesIO())
    borg.create("first", ["."], cwd=source)
    with pytest.raises(errors.ArchiveExists):
        borg.create("first", ["."], cwd=source)


def test_a_base_that_saw_a_newer_copy_refuses_an_older_one(
    repository: Repository, borg: Borg, source: Path, tmp_path: Path
) -> None:
    borg.create("first", ["."], cwd=source)
    shutil.copytree(repository.path, tmp_path / "older")
    borg.create("second", ["."], cwd=source)
    older = Borg(Repository(tmp_path / "older", repository.base, repository.passphrase))
    with pytest.raises(errors.ReplayRefused, match="a new base folder"):
        older.archives()


def damage(repository: Repository) -> None:
    biggest = max(committed(repository.path).segments, key=lambda file: file.stat().st_size)
    with open(biggest, "r+b") as file:
        file.seek(biggest.stat().st_size // 2)
        file.write(b"\x00rotten\x00")


def test_a_rotten_segment_is_found_by_every_check_and_by_restoring(
    repository: Repository, borg: Borg, source: Path, tmp_path: Path
) -> None:
    (source / "big").write_bytes(os.urandom(3_000_000))
    borg.create("first", ["."], cwd=source)
    damage(repository)
    with pytest.raises(errors.RepositoryDamaged, match="Do not repair"):
        borg.check_repository()
    with pytest.raises(errors.RepositoryDamaged):
        borg.check_archives(verify_data=True)
    with pytest.raises(errors.RepositoryDamaged):
        borg.extract("first", [], tmp_path / "out")


def test_too_little_room_is_told_and_what_was_committed_stays(repository: Repository, borg: Borg, source: Path) -> None:
    borg.create("first", ["."], cwd=source)
    config = repository.path / "config"
    usual = config.read_text()
    config.write_text(usual.replace("additional_free_space = 67108864", "additional_free_space = 9999T"))
    with pytest.raises(errors.DiskFull):
        borg.create("second", ["."], cwd=source)
    config.write_text(usual)
    assert [archive.name for archive in borg.archives()] == ["first"]
    borg.create("second", ["."], cwd=source)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=250M", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a small disk needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.root
def test_a_disk_that_fills_up_is_told_and_heals_when_there_is_room(
    small_disk: Path, repository: Repository, source: Path
) -> None:
    borg = Borg(Repository(small_disk / "r", repository.base, repository.passphrase))
    borg.init()
    (source / "file").write_text("kept")
    borg.create("first", ["."], cwd=source)
    pool = sealed(borg.repository, small_disk / "pool")
    before = hashes(pool)
    assert any(name.startswith("data/") for name in before)
    (source / "big").write_bytes(os.urandom(30_000_000))
    with open(small_disk / "filler", "wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, 240_000_000)
    with pytest.raises(errors.DiskFull):
        borg.create("second", ["."], cwd=source)
    assert hashes(pool) == before, "what was sealed is not touched when borg has no room"
    (small_disk / "filler").unlink()
    assert [archive.name for archive in borg.archives()] == ["first"]
    borg.create("third", ["."], cwd=source)
    borg.delete(["first"])
    borg.compact()
    assert hashes(pool) == before, "nor by the borg that cleans up"
    borg.check_archives(verify_data=True)
