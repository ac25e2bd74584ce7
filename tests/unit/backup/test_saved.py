"""The statement of the next header on its newest archive, whatever was cut before."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.writer import saved
from appliance.backup.writer.manifest import Manifest, PathManifest
from appliance.backup.writer.saved import UNKNOWN, Completeness
from appliance.borg.names import archive_name
from appliance.host.layout import ServiceLayout
from appliance.trust.generation import Header
from appliance.trust.signed import Document

WHOLE = Manifest((PathManifest("/srv/a", "read", 1, 1),))
PARTIAL = Manifest((PathManifest("/srv/a", "failed", 0, 0),))


def name(number: str) -> str:
    return archive_name("docs-a", number, "2026-11-30T08:00:00Z", 1)


def header(epoch: int, sequence: int, whole: bool = True, format_: int = 2) -> Header:
    missing = () if whole else (2,)
    document = Document("", {"format": format_}, "", b"")
    return Header("docs-a", epoch, sequence, "", "", "", 1, 1, document, whole, missing)


@pytest.fixture
def layout(tmp_path: Path) -> ServiceLayout:
    return ServiceLayout(tmp_path)


def test_a_service_of_a_former_version_repeats_what_its_last_header_said(layout: ServiceLayout) -> None:
    assert saved.newest(layout, None) == Completeness()
    assert saved.newest(layout, header(2, 4, whole=False)) == Completeness(False, (2,))


def test_an_archive_that_is_not_sealed_yet_is_what_the_next_header_speaks_of(layout: ServiceLayout) -> None:
    saved.begin(layout, name("2.5"))
    saved.end(layout, name("2.5"), PARTIAL)
    assert saved.newest(layout, header(2, 4)) == Completeness(False, (0,))


def test_a_generation_without_a_new_archive_repeats_the_one_before(layout: ServiceLayout) -> None:
    saved.begin(layout, name("2.5"))
    saved.end(layout, name("2.5"), PARTIAL)
    assert saved.newest(layout, header(2, 5, whole=False)) == Completeness(False, (2,))
    assert saved.newest(layout, header(3, 1)) == Completeness(), "written by another node since"


def test_a_partial_archive_below_a_header_that_says_nothing_stays_partial_in_the_next(layout: ServiceLayout) -> None:
    """A holder of a former version was upgraded between a partial backup and the tidying that sealed it again."""
    saved.begin(layout, name("2.5"))
    saved.end(layout, name("2.5"), PARTIAL)
    for sequence in (5, 6):
        assert saved.newest(layout, header(2, sequence, format_=1)) == Completeness(False, (0,))
    assert saved.newest(layout, header(3, 1, format_=1)) == Completeness(), "written by another node since"


def test_its_writer_knows_of_a_header_that_says_nothing_whether_its_archive_is_whole(layout: ServiceLayout) -> None:
    saved.begin(layout, name("2.5"))
    saved.end(layout, name("2.5"), PARTIAL)
    said = saved.known(layout, header(2, 5, format_=1))
    assert (said.whole, said.missing) == (False, (0,))
    for other in (header(2, 5), header(2, 4, format_=1), header(3, 1, format_=1)):
        assert saved.known(layout, other) == other, "it says so itself, or is of another archive"


def test_an_archive_whose_run_was_cut_is_never_sealed_as_whole(layout: ServiceLayout) -> None:
    saved.begin(layout, name("2.5"))
    assert saved.newest(layout, header(2, 4)) == UNKNOWN
    assert not UNKNOWN.whole


def test_a_run_that_left_no_archive_changes_nothing(layout: ServiceLayout) -> None:
    saved.begin(layout, name("2.5"))
    saved.end(layout, name("2.5"), PARTIAL)
    saved.begin(layout, name("2.5"))
    saved.give_up(layout)
    assert saved.newest(layout, header(2, 4)) == Completeness(False, (0,))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"saving": "", "archive": ""}'])
def test_a_record_that_cannot_be_read_seals_nothing_as_whole(layout: ServiceLayout, content: bytes) -> None:
    saved.begin(layout, name("2.5"))
    saved.end(layout, name("2.5"), WHOLE)
    (layout.borg_base / "saved.json").write_bytes(content)
    assert saved.newest(layout, header(2, 4)) == UNKNOWN
