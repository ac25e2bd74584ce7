"""Where manifests lie, and what borg's warnings make of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.backup.sources.model import Part, Prepared
from appliance.backup.writer.left_out_reasons import MAPPINGS, PASSWORDS, WARNED, noted
from appliance.backup.writer.manifest import Accepted, Aged, LeftOut, Manifest, PathManifest, decode, encode
from appliance.backup.writer.manifests import COMMENT_BYTES_MAX, after_borg, before_borg, comment, read_all
from appliance.borg.model import Archive
from appliance.borg.names import archive_name, companion_name, companion_of, is_numbered, number_of

DOCS = PathManifest("/srv/docs", "read", 3, 90)
CADASTRE = PathManifest("/srv/docs/cadastre", "read", 1, 10)
AGED = Aged(1000, "box", "boot")
SOURCE = Prepared(
    left_out=(LeftOut("/srv/docs/prise", "socket"),),
    parts=(Part(DOCS, ("/srv/docs", "/snapshots/0/srv/docs")), Part(CADASTRE, ("/srv/docs/cadastre",))),
)
NAME = archive_name("docs-a", "2.7", "2026-11-30T08:00:00Z", 123456)


def archive(name: str, text: str = "") -> Archive:
    return Archive(name, "id", 0.0, text)


def test_a_socket_and_what_vanished_or_changed_meanwhile_leave_a_backup_whole() -> None:
    before = before_borg(SOURCE, AGED)
    warned = [
        LeftOut("/srv/docs/~lock", "stat: [Errno 2] No such file or directory: '~lock'"),
        LeftOut("/srv/docs/log", "file changed while we backed it up"),
    ]
    assert before.whole
    assert after_borg(before, SOURCE, warned).whole


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/srv/docs/a", (0,)),
        ("/snapshots/0/srv/docs/a", (0,)),
        ("/srv/docs/cadastre/b", (1,)),
        ("/srv/docs/cadastre", (1,)),
        ("/srv/docs-b/c", ()),
        ("/", ()),
    ],
)
def test_what_borg_cannot_read_makes_the_path_that_it_lies_in_partly(path: str, missing: tuple[int, ...]) -> None:
    made = after_borg(before_borg(SOURCE, AGED), SOURCE, [LeftOut(path, "read: [Errno 5] Input/output error")])
    assert (made.whole, made.missing, made.left_out_count) == (False, missing, 1)


def test_a_path_that_failed_stays_failed_whatever_borg_says_of_the_rest() -> None:
    failed = PathManifest("/srv/docs", "failed", 0, 0, "it does not exist.")
    source = Prepared(parts=(Part(failed, ("/srv/docs",)),))
    made = after_borg(before_borg(source, AGED), source, [LeftOut("/srv/docs/a", "read: [Errno 5]")])
    assert made.paths == (failed,)


def test_a_comment_names_no_file_and_no_reason() -> None:
    path = PathManifest("/srv/docs", "partly", 3, 90, "paie.ods")
    text = comment(Manifest((path,), (LeftOut("/srv/docs/paie.ods", "EIO"),), 1, AGED))
    assert "paie" not in text
    assert read_all([archive(NAME, text)]) == {
        NAME: Manifest((PathManifest("/srv/docs", "partly", 3, 90),), (), 1, AGED)
    }


def test_a_note_on_a_dump_leaves_it_whole_stops_no_move_and_is_in_the_comment_without_a_name() -> None:
    """`LeftOut.matters` is what a planned move and the status ask."""
    left_out = (
        LeftOut("postgresql/x.dump", f"{MAPPINGS}2"),
        LeftOut("postgresql/x.dump", f"{WARNED}circular foreign keys on paie"),
        LeftOut("postgresql/roles.sql", PASSWORDS),
    )
    assert [it.matters for it in left_out] == [False, False, True]
    note = noted(it.reason for it in left_out)
    assert note == "the options of user mappings, which this user may not read: 2; pg_dump warned, 1 time"
    source = Prepared(left_out=left_out, parts=(Part(PathManifest("database x", "read", 2, 9, note)),))
    made = after_borg(before_borg(source, AGED), source, left_out)
    assert (made.whole, made.left_out) == (True, ())
    assert read_all([archive(NAME, comment(made))])[NAME] == made


def test_a_comment_that_would_be_too_long_is_left_out() -> None:
    many = tuple(PathManifest(f"/srv/{number}", "read", 1, 1) for number in range(4000))
    assert len(encode(Manifest(many))) > COMMENT_BYTES_MAX
    assert comment(Manifest(many)) == ""


def test_an_archive_without_a_comment_says_nothing() -> None:
    assert read_all([archive(NAME)]) == {NAME: None}


def test_the_companion_says_what_borg_found_after_the_comment_was_written() -> None:
    partial = Manifest((PathManifest("/srv/docs", "partly", 3, 90),), (), 1)
    listed = [archive(companion_name(NAME), comment(partial)), archive(NAME, comment(Manifest((DOCS,))))]
    assert read_all(listed) == {NAME: partial}


@pytest.mark.parametrize("text", ["", "{", "holiday photos", comment(Manifest((DOCS,)))])
def test_an_archive_with_a_companion_that_says_nothing_is_partial(text: str) -> None:
    listed = [archive(companion_name(NAME), text), archive(NAME, comment(Manifest((DOCS,))))]
    found = read_all(listed)[NAME]
    assert found is not None
    assert not found.whole


@pytest.mark.parametrize(
    "text", [comment(Manifest((DOCS,)))[:-3], "by hand", comment(Manifest((DOCS,))).replace(":1", ":9")]
)
def test_a_comment_that_is_cut_or_of_a_later_version_is_partial_and_says_why(text: str) -> None:
    found = read_all([archive(NAME, text)])[NAME]
    assert found is not None
    assert not found.whole
    assert "manifest" in found.left_out[0].reason


def test_the_name_of_a_companion_is_no_archive_of_the_service_even_to_a_former_version() -> None:
    for service in ("docs-a", "docs-1", "appliance-commune-a"):
        name = archive_name(service, "2.7", "2026-11-30T08:00:00Z", 1)
        companion = companion_name(name)
        assert companion_of(companion) == name
        assert companion_of(name) is None
        assert number_of(companion) == (0, 0)
        assert not is_numbered(companion, service)
        assert sorted([companion, name]) == [companion, name]


EIO = "read: [Errno 5] Input/output error"
TAKEN = Accepted("/srv/docs/a", EIO, 1_700_000_000, 1_700_100_000)


@pytest.mark.parametrize(
    ("warned", "whole", "missing"),
    [
        ([("/srv/docs/a", EIO)], True, ()),
        ([], True, ()),
        ([("/srv/docs/a", "open: [Errno 13] Permission denied")], False, (0,)),
        ([("/srv/docs/a", EIO), ("/srv/docs/b", EIO)], False, (0,)),
        ([("/srv/docs/b", EIO)], False, (0,)),
        ([("/srv/docs/a", EIO), ("/srv/docs/cadastre/b", EIO)], False, (1,)),
    ],
    ids=["the very file", "it is readable again", "another reason", "a file more", "another file", "another path"],
)
def test_a_backup_is_whole_without_what_was_accepted_by_name_and_reason_and_nothing_else(
    warned: list[tuple[str, str]], whole: bool, missing: tuple[int, ...]
) -> None:
    before = before_borg(SOURCE, AGED, (TAKEN,))
    made = after_borg(before, SOURCE, [LeftOut(*it) for it in warned], (TAKEN,))
    assert (made.whole, made.missing) == (whole, missing)
    assert made.accepted == ((TAKEN,) if ("/srv/docs/a", EIO) in warned else ())
    assert decode(encode(made)) == made


@pytest.mark.parametrize(("also", "state"), [((), "read"), ((LeftOut("/srv/docs/b", EIO),), "partly")])
def test_a_path_whose_walk_missed_only_what_was_accepted_is_read(also: tuple[LeftOut, ...], state: str) -> None:
    partly = replace(DOCS, state="partly", reason=EIO)
    source = replace(SOURCE, left_out=(LeftOut("/srv/docs/a", EIO), *also), parts=(Part(partly, ("/srv/docs",)),))
    made = after_borg(before_borg(source, AGED, (TAKEN,)), source, [LeftOut("/srv/docs/a", EIO)], (TAKEN,))
    assert made.paths[0].state == state
    assert (made.accepted, made.left_out) == ((TAKEN,), also)


def test_the_comment_of_an_archive_without_accepted_files_counts_them_and_names_none() -> None:
    made = after_borg(before_borg(SOURCE, AGED), SOURCE, [LeftOut("/srv/docs/a", EIO)], (TAKEN,))
    text = comment(made)
    assert "/srv/docs/a" not in text
    (found,) = read_all([archive(NAME), archive(companion_name(NAME), text)]).values()
    assert found is not None
    assert (found.whole, found.accepted_count) == (True, 1)
