"""The corpus is the same for everybody, holds what backups get wrong, and never touches what it did not make."""

from __future__ import annotations

import os
import sqlite3
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest

from appliance.errors import NoSpace, UsageError
from appliance.units import GIB, KIB, MIB
from appliance_lab.corpus import Summary, canaries, change, generate, planned, tree_digest

SIZE, FILES, SEED = 2 * MIB, 250, 1
# Another digest means that corpora made by earlier versions differ: benchmarks are then not comparable any more.
GOLDEN = "622b3381a2bbe2e3025e097df2906373764c516530e83842fc0a6bd6c9c2b40c"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    root = tmp_path_factory.mktemp("corpus") / "mairie"
    return root, generate(root, SIZE, FILES, SEED)


@pytest.fixture(scope="module")
def root(made: tuple[Path, Summary]) -> Path:
    return made[0]


def regular_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]


def test_the_same_size_files_and_seed_give_the_golden_tree(root: Path) -> None:
    assert tree_digest(root) == GOLDEN


def test_the_umask_changes_nothing(root: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        generate(tmp_path / "other", SIZE, FILES, SEED)
    finally:
        os.umask(before)
    assert tree_digest(tmp_path / "other") == tree_digest(root)


def test_another_seed_gives_another_tree(root: Path, tmp_path: Path) -> None:
    generate(tmp_path / "other", SIZE, FILES, SEED + 1)
    assert tree_digest(tmp_path / "other") != tree_digest(root)


@pytest.mark.parametrize(("size", "files"), [(300 * KIB, 100), (MIB, 101), (5 * MIB, 300)])
def test_files_are_exact_and_bytes_within_two_percent(tmp_path: Path, size: int, files: int) -> None:
    summary = generate(tmp_path / "c", size, files, 7)
    found = regular_files(tmp_path / "c")
    assert len(found) == summary.files == files
    sizes = {path.stat().st_ino: path.stat().st_size for path in found}
    assert sum(sizes.values()) == summary.bytes == pytest.approx(size, rel=0.02)


def test_progress_only_grows_and_ends_at_the_whole(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate(tmp_path / "c", SIZE, FILES, SEED, lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (SIZE, SIZE)


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thèse.odt").write_bytes(b"years of work")
    with pytest.raises(UsageError, match="not empty"):
        generate(tmp_path, SIZE, FILES, SEED)
    with pytest.raises(UsageError, match="no corpus was made"):
        change(tmp_path, 0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["thèse.odt"]
    assert (tmp_path / "thèse.odt").read_bytes() == b"years of work"


@pytest.mark.parametrize("make", [generate, planned])
def test_a_corpus_without_room_is_refused_before_anything_is_made(
    tmp_path: Path, make: Callable[[Path, int, int, int], object]
) -> None:
    with pytest.raises(NoSpace, match=r"99999 TiB were asked for, and .* are free"):
        make(tmp_path / "new/mairie", 99999 * 1024 * GIB, 3000, SEED)
    assert not (tmp_path / "new").exists()


def test_a_corpus_is_not_made_over_another(root: Path) -> None:
    before = tree_digest(root)
    with pytest.raises(UsageError, match="not empty"):
        generate(root, SIZE, FILES, SEED)
    assert tree_digest(root) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        generate(tmp_path / "file", SIZE, FILES, SEED)


def test_a_half_made_corpus_is_not_changed(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "c", SIZE, FILES, SEED, stop)
    with pytest.raises(UsageError, match="half made"):
        change(tmp_path / "c", 0.01)


@pytest.mark.parametrize(("size", "files"), [(SIZE, 20), (10 * KIB, 200)])
def test_a_corpus_too_small_to_hold_everything_is_refused(tmp_path: Path, size: int, files: int) -> None:
    with pytest.raises(UsageError, match="at least"):
        generate(tmp_path / "c", size, files, SEED)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("ending", ["odt", "docx", "xlsx"])
def test_office_documents_are_sound_zip_containers(root: Path, ending: str) -> None:
    for path in root.rglob(f"*.{ending}"):
        with zipfile.ZipFile(path) as container:
            assert container.testzip() is None
            if ending == "odt":
                first = container.infolist()[0]
                assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)


def test_every_object_of_a_pdf_is_where_its_table_says(root: Path) -> None:
    for path in root.rglob("*.pdf"):
        content = path.read_bytes()
        table = int(content.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
        places = content[table:].split(b"\n")[3:]
        for number in range(1, 7):
            assert content[int(places[number - 1][:10]) :].startswith(b"%d 0 obj" % number)


def test_photos_begin_and_end_as_jpeg_files(root: Path) -> None:
    for path in root.rglob("*.jpg"):
        content = path.read_bytes()
        assert (content[:4], content[6:10], content[-2:]) == (b"\xff\xd8\xff\xe0", b"JFIF", b"\xff\xd9")


def test_mails_are_read_with_their_accents_and_attachments(root: Path) -> None:
    subjects, attachments = "", 0
    for path in root.rglob("Boîte de la mairie/**/*.eml"):
        message = BytesParser(EmailMessage, policy=default).parsebytes(path.read_bytes())
        assert not message.defects
        subjects += message["subject"]
        attachments += sum(part.get_content().startswith(b"%PDF") for part in message.iter_attachments())
    assert "é" in subjects
    assert attachments


def test_the_database_is_sound(root: Path) -> None:
    (path,) = root.rglob("*.sqlite")
    with sqlite3.connect(path) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert base.execute("SELECT count(*) FROM courrier").fetchone()[0] > 10
    base.close()


def test_canaries_are_readable_in_three_files_each_and_in_a_name(root: Path) -> None:
    contents = [path.read_bytes() for path in regular_files(root)]
    names = b"\n".join(os.fsencode(path.name) for path in root.rglob("*"))
    assert len(set(canaries(SEED))) == len(canaries(SEED))
    for canary in canaries(SEED):
        assert sum(canary in content for content in contents) >= 3
        assert canary in names


def test_names_that_backups_get_wrong_are_there(root: Path) -> None:
    names = [path.name for path in root.rglob("*")]
    assert max(len(name.encode()) for name in names) == 255
    spelled = Counter(unicodedata.normalize("NFC", str(path.relative_to(root))) for path in root.rglob("*.txt"))
    assert 2 in spelled.values(), "two files whose names differ by their normal form only"
    assert any(name.startswith(" ") and name.endswith(" ") for name in names)
    assert any(name.startswith("-") for name in names)
    assert any('"' in name and "'" in name for name in names)


def test_links_holes_empty_ones_and_odd_modes_are_there(root: Path) -> None:
    everything = list(root.rglob("*"))
    statuses = [path.lstat() for path in everything]
    assert any(path.is_symlink() and not path.exists() for path in everything)
    assert any(path.is_symlink() and path.is_dir() for path in everything)
    assert max(Counter(status.st_ino for status in statuses if stat.S_ISREG(status.st_mode)).values()) == 3
    assert any(stat.S_ISREG(status.st_mode) and status.st_size == 0 for status in statuses)
    assert sum(path.is_dir() and not path.is_symlink() and not any(path.iterdir()) for path in everything) >= 4
    assert {0o1777, 0o2775, 0o700} <= {status.st_mode & 0o7777 for status in statuses if stat.S_ISDIR(status.st_mode)}
    assert any(status.st_size > status.st_blocks * 512 + 4096 for status in statuses), "a hole"


def test_times_spread_over_ten_years(root: Path) -> None:
    years = {1970 + int(path.lstat().st_mtime / (365.25 * 86400)) for path in root.rglob("*")}
    assert years >= set(range(2015, 2025))


def test_attributes_are_set_or_said_to_be_refused(made: tuple[Path, Summary]) -> None:
    root, summary = made
    found = {name.split(".")[0] for path in regular_files(root) for name in os.listxattr(path)}
    assert ("user" in found) != ("xattr" in summary.unsupported)
    assert ("system" in found) != ("acl" in summary.unsupported)
