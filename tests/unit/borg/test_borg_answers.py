"""The output of borg is read without losing a byte of a name."""

from __future__ import annotations

import stat
from collections.abc import Generator

import pytest

from appliance.borg import answers
from appliance.borg.answers import Names
from appliance.borg.errors import Message
from appliance.borg.model import FileWarning, Outline, Progress
from appliance.errors import IntegrityError
from appliance.host.command import Result


@pytest.mark.parametrize("mode", [0o755, 0o4755, 0o2711, 0o1777, 0o4644, 0o2644, 0o1666, 0, 0o7777])
def test_permission_bits_come_back_from_their_letters(mode: int) -> None:
    text = stat.filemode(stat.S_IFREG | mode)
    line = (
        f'{{"mode": "{text}", "path": "x", "user": 1000, "group": "g", "uid": 1000, "gid": 5, "mtime": '
        '"2026-11-25T01:15:29.500000", "size": 3, "source": "", "healthy": true}'
    )
    item = answers.item(line.encode())
    assert (item.mode, item.kind, item.user, item.mtime_seconds) == (mode, "file", "1000", 1795569329.5)


def test_an_outline_has_what_an_examination_asks_for() -> None:
    record = "hrwsr-xr-x\x000\x00a\nb\x00a/é".encode()
    assert answers.outline(record) == Outline("a\nb", "hardlink", 0o4755, 0, "a/é")


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"-rw-r--r--\x001\0a",
        b"-rw-r--r--\x001\0a\0b\0",
        b"-rw-r--r--\x001\0a\0-rw-r--r--\x001\0../b\0",
        b"-rw-r--r--\0?\0a\0",
        b"srw-r--r--\x001\0a\0",
        b"?rw-r--r--\x001\0a\0",
        b"-rw-r--r--\x001\0\xff\0",
    ],
    ids=["nothing", "too-few", "too-many", "another-entry-in-its-name", "no-size", "socket", "no-kind", "no-utf-8"],
)
def test_an_entry_that_no_listing_of_files_has_is_refused(record: bytes) -> None:
    with pytest.raises(IntegrityError, match="which is not a file, folder or link; nothing was restored"):
        answers.outline(record)


def test_a_name_ends_no_entry() -> None:
    """The end is drawn for each listing: who wrote a name could not know it."""

    def chunks() -> Generator[bytes, None, Result]:
        yield b"one\n<en"
        yield b"d>two<end2><end>"
        return Result((), 0, b"", b"", 0.0)

    assert list(answers.lines(chunks(), b"<end>")) == [b"one\n<end>", b"two<end2><end>"]


FILE_WARNINGS = [
    ("a/b: open: [Errno 13] Permission denied: 'b'", "a/b", "open: [Errno 13] Permission denied: 'b'"),
    ("a: b\nc: file changed while we backed it up", "a: b\nc", "file changed while we backed it up"),
    ("bad\udcff: stat: [Errno 2] No such file or directory: 'x'", "bad\udcff", None),
    ("x: file type or inode changed while we backed it up (race condition, skipped file)", "x", None),
    ("borg says something new", "", "borg says something new"),
]


@pytest.mark.parametrize(("text", "path", "reason"), FILE_WARNINGS)
def test_a_warning_names_its_file(text: str, path: str, reason: str | None) -> None:
    (found,) = answers.file_warnings(iter([Message("WARNING", "", text)]))
    assert found == FileWarning(path, reason or text.removeprefix(f"{path}: "))


def test_what_borg_says_of_its_own_expendable_files_is_no_warning() -> None:
    text = "Repository index missing or corrupted, trying to recover from: ..."
    assert answers.file_warnings(iter([Message("WARNING", "", text), Message("INFO", "", "x")])) == ()


DUMP = b"""{
    "_name": "a1",
    "_manifest_entry":
    {
        "id": "\\u007fff"
    },
    "_meta":
    {
        "items": []
    },
    "_items": [
    {
        "path": "src",
        "xattrs": {
            "user.x": "y"
        }
    },
    {
        "path": "\\u007f626164ff",
        "source": "new\\nline"
    },
    {
        "part": 1,
        "path": "half"
    },
    {
        "path": "\\u007f7f78"
    }
    ]
}
"""


def test_exact_names_come_from_the_dump() -> None:
    lines = iter(DUMP.splitlines(keepends=True))
    assert list(answers.exact_names(lines)) == [Names("src", ""), Names("bad\udcff", "new\nline"), Names("\x7fx", "")]


def chunks(*pieces: bytes) -> Generator[bytes, None, Result]:
    yield from pieces
    return Result((), 0, b"", b"", 0.0)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"a\nb", b"c\n"), [b"a\n", b"bc\n"]),
        ((b"a", b"b"), [b"ab"]),
        ((b"\n", b"\n\n"), [b"\n", b"\n", b"\n"]),
        ((), []),
    ],
)
def test_pieces_become_lines(pieces: tuple[bytes, ...], lines: list[bytes]) -> None:
    assert list(answers.lines(chunks(*pieces))) == lines


def test_below_a_folder_means_the_same_as_for_borg() -> None:
    assert answers.is_below("a/b", "a")
    assert answers.is_below("a", "a")
    assert answers.is_below("a/b", "/a/")
    assert not answers.is_below("ab", "a")


def test_progress_lines_are_told_from_the_others() -> None:
    create = '{"original_size": 5, "nfiles": 2, "path": "x", "type": "archive_progress", "finished": false}'
    extract = '{"current": 1, "total": 3, "info": ["y"], "type": "progress_percent", "finished": false}'
    assert answers.progress(create) == Progress("x", 2, 5)
    assert answers.progress(extract) == Progress("y", 0, 1, 3)
    assert answers.progress('{"type": "archive_progress", "finished": true}') is None
    assert answers.progress("Traceback archive_progress") is None
