"""The walk names what no backup can hold, and passes over nothing in silence."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import appliance
from appliance.backup.sources import LeftOut, Prepared, SourceSpec, prepare
from appliance.backup.sources.files import walk
from appliance.backup.sources.model import Counts
from appliance.errors import Busy, UsageError


@pytest.fixture
def share(tmp_path: Path) -> Path:
    share = tmp_path / "partage"
    (share / "Mairie").mkdir(parents=True)
    (share / "Mairie" / "délibération.odt").write_text("texte")
    (share / "lien").symlink_to("Mairie")
    return share


def prepared(tmp_path: Path, *paths: Path, kind: str = "files", exclude: tuple[str, ...] = ()) -> Prepared:
    spec = SourceSpec("docs", kind, tuple(map(str, paths)), exclude)
    with prepare(spec, tmp_path / "work") as answer:
        return answer


def bind(path: Path) -> None:
    """Leave a socket at `path`."""
    with socket.socket(socket.AF_UNIX) as listener:
        # The limit for a socket's name is 107 bytes: name it from its folder.
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            listener.bind(path.name)
        finally:
            os.chdir(here)


def test_paths_are_named_in_the_archive_as_on_the_disk(tmp_path: Path, share: Path) -> None:
    answer = prepared(tmp_path, share)
    assert (answer.cwd, answer.paths) == (Path("/"), (str(share).lstrip("/"),))
    assert answer.counts == Counts(files=1, folders=2, symlinks=1, bytes=5)
    assert (answer.left_out, answer.failures) == ((), ())


def test_the_live_tree_is_read_where_no_snapshot_can_be_made_and_that_is_told(tmp_path: Path, share: Path) -> None:
    (read_from,) = prepared(tmp_path, share).read_from
    assert (read_from.path, read_from.how) == (str(share), "live")
    assert read_from.reason


def test_sockets_are_listed_and_devices_and_fifos_counted(tmp_path: Path, share: Path) -> None:
    bind(share / "prise")
    os.mkfifo(share / "tube")
    answer = prepared(tmp_path, share)
    assert answer.left_out == (LeftOut(str(share / "prise"), "socket"),)
    assert (answer.counts.fifos, answer.counts.devices) == (1, 0)


def test_devices_are_counted(tmp_path: Path) -> None:
    assert prepared(tmp_path, Path("/dev/null")).counts == Counts(devices=1)


def test_names_that_are_not_text_are_listed_as_they_are(tmp_path: Path, share: Path) -> None:
    name = os.fsdecode(b"vieux \xe9\n nom")
    bind(share / name)
    (left,) = prepared(tmp_path, share).left_out
    assert left.path == str(share / name)


@pytest.mark.parametrize("pattern", ["Cache", "prise", "Cache/prise", "/Cache", "**/prise", "Cache/**", "C?che"])
def test_what_is_excluded_is_not_listed_as_left_out(tmp_path: Path, share: Path, pattern: str) -> None:
    (share / "Cache").mkdir()
    bind(share / "Cache" / "prise")
    assert prepared(tmp_path, share, exclude=(pattern,)).left_out == ()


@pytest.mark.parametrize("pattern", ["Cach", "cache", "*/prise/x", "/prise", "partage", "ache"])
def test_a_pattern_excludes_nothing_else(tmp_path: Path, share: Path, pattern: str) -> None:
    (share / "Cache").mkdir()
    bind(share / "Cache" / "prise")
    assert len(prepared(tmp_path, share, exclude=(pattern,)).left_out) == 1


def test_a_missing_path_is_a_failure_and_the_others_are_read(tmp_path: Path, share: Path) -> None:
    answer = prepared(tmp_path, tmp_path / "disque", share)
    assert answer.paths == (str(share).lstrip("/"),)
    (failure,) = answer.failures
    assert failure.what == str(tmp_path / "disque")
    assert "does not exist" in str(failure.error)


def test_a_path_that_is_a_link_is_followed_once(tmp_path: Path, share: Path) -> None:
    (tmp_path / "raccourci").symlink_to(share)
    assert prepared(tmp_path, tmp_path / "raccourci").paths == (str(share).lstrip("/"),)


def test_our_own_folder_is_never_part_of_a_backup(tmp_path: Path, share: Path) -> None:
    with prepare(SourceSpec("docs", "files", (str(share),)), share / "work") as answer:
        assert answer.counts.folders == 2
        assert any("/work" in pattern for pattern in answer.exclude)


@pytest.mark.parametrize(
    "spec",
    [
        SourceSpec("docs", "files", ("relatif/chemin",)),
        SourceSpec("docs", "mysql", ("/srv",)),
        SourceSpec("base", "postgresql"),
        SourceSpec("base", "postgresql", database="../x"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_before_anything_is_read(tmp_path: Path, spec: SourceSpec) -> None:
    with pytest.raises(UsageError, match=f"service {spec.service}"), prepare(spec, tmp_path / "work"):
        pass


def test_two_runs_at_once_are_refused(tmp_path: Path, share: Path) -> None:
    spec = SourceSpec("docs", "files", (str(share),))
    with prepare(spec, tmp_path / "work"):
        with pytest.raises(Busy), prepare(spec, tmp_path / "work"):
            pass
        assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


def test_what_a_killed_run_left_is_removed(tmp_path: Path, share: Path) -> None:
    stale = tmp_path / "work" / "dumps" / "srv" / "base.sqlite"
    stale.parent.mkdir(parents=True)
    stale.write_text("secret")
    prepared(tmp_path, share)
    assert not stale.exists()


WALK = """
import json, os, sys
from appliance.backup.sources.files import walk
if os.geteuid() == 0:  # only now: the account that may read nothing may not read this checkout either
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
walked = walk(sys.argv[1])
print(json.dumps([[left.path, left.reason] for left in walked.left_out]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that an account without rights may enter; pytest's own may not be."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_listed_by_name(open_folder: Path) -> None:
    (open_folder / "ouvert.txt").write_text("x")
    (open_folder / "fermé.txt").write_text("x")
    (open_folder / "dossier fermé").mkdir()
    (open_folder / "dossier fermé" / "dedans.txt").write_text("x")
    (open_folder / "fermé.txt").chmod(0)
    (open_folder / "dossier fermé").chmod(0)
    words = (sys.executable, "-c", WALK, str(open_folder))
    where = {"PYTHONPATH": str(Path(appliance.__file__).parents[1])}
    said = subprocess.run(words, env=where, check=True, capture_output=True, timeout=30).stdout
    assert sorted(json.loads(said)) == [
        [str(open_folder / "dossier fermé"), "folder that may not be read"],
        [str(open_folder / "fermé.txt"), "file that may not be read"],
    ]


def test_a_copy_that_a_cut_restore_has_under_way_is_not_saved(tmp_path: Path, share: Path) -> None:
    before = prepared(tmp_path, share).counts
    (share / "Mairie" / ".appliance-restore").mkdir()
    (share / "Mairie" / ".appliance-restore" / "half.odt").write_text("a half")
    found = prepared(tmp_path, share)
    assert found.counts == before
    path = str(share / "Mairie" / ".appliance-restore").lstrip("/")
    assert any(re.search(pattern.removeprefix("re:"), path) for pattern in found.exclude)


def digest(share: Path) -> str:
    return walk(str(share)).digest


def test_two_walks_of_an_unchanged_tree_have_one_digest(share: Path) -> None:
    assert digest(share) == digest(share)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("autre"),  # as long as before
        lambda file: file.chmod(0o600),
        lambda file: file.rename(file.with_name("autre.odt")),
        lambda file: file.with_name("neuf").touch(),
        lambda file: file.unlink(),
        lambda file: os.link(file, file.with_name("lien dur")),
    ],
)
def test_each_change_gives_a_walk_another_digest(share: Path, change: Callable[[Path], object]) -> None:
    before = digest(share)
    change(share / "Mairie" / "délibération.odt")
    assert digest(share) != before


def test_a_file_whose_modification_time_was_put_back_gives_another_digest(share: Path) -> None:
    file = share / "Mairie" / "délibération.odt"
    before, status = digest(share), file.stat()
    file.write_text("autre")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(share) != before


def test_another_file_in_the_same_place_gives_another_digest(share: Path) -> None:
    link = share / "lien"
    before = digest(share)
    link.unlink()
    link.symlink_to("Mairie")
    assert digest(share) != before


def test_the_walk_tells_when_an_entry_changed_last(share: Path) -> None:
    latest = max(it.lstat().st_ctime_ns for it in (share, *share.rglob("*")))
    assert walk(str(share)).changed_ns == latest


def test_what_a_run_saw_of_a_path_depends_on_where_it_leads(tmp_path: Path, share: Path) -> None:
    path = tmp_path / "courant"
    path.symlink_to(share)
    (first,) = prepared(tmp_path, path).seen
    (again,) = prepared(tmp_path, path).seen
    assert first == again
    shutil.copytree(share, tmp_path / "autre", symlinks=True)
    path.unlink()
    path.symlink_to(tmp_path / "autre")
    (other,) = prepared(tmp_path, path).seen
    assert other.digest != first.digest
    assert first.file_systems
