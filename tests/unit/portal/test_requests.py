"""The fields of a request are read for what they are: paths that are no text, numbers, days, ways back that lead
out."""

from __future__ import annotations

from datetime import date

import pytest

from appliance.errors import ApplianceError, Busy, Forbidden, NoSpace, NotFound, Refused, Unreachable, UsageError
from appliance.portal.base.entrance import _local
from appliance.portal.base.failures import PageFailure, failure_of
from appliance.portal.base.forms import FIELDS_MAX, PATH_MAX, Fields, parse, quoted
from appliance.portal.page_context import chosen_day
from appliance.portal.pages.file import has_words, is_shown
from appliance.portal.pages.folder import around
from appliance.portal.requesting import read_wanted

ODD = "srv/docs/facture \udcff 100 % &amp; é.odt"


def test_a_path_that_is_no_text_comes_back_from_an_address_and_from_a_form() -> None:
    assert parse(f"chemin={quoted(ODD)}".encode()).path("chemin") == ODD
    written = quoted(quoted(ODD))
    assert parse(f"quoi={written}".encode()).quoted_path("quoi") == ODD
    assert read_wanted(f"docs-a monday {quoted(ODD)}").path == ODD
    assert read_wanted("docs-a monday srv/\udcff/é").path == "srv/\udcff/é", "which no form of ours writes"


@pytest.mark.parametrize("raw", [b"", b"&&&", b"=", b"%", b"a=%zz", b"\xff=\xff", b"q"])
def test_nonsense_is_read_as_nothing_or_as_text(raw: bytes) -> None:
    assert parse(raw).text("q") == ""


def test_what_is_too_long_or_too_much_is_refused() -> None:
    with pytest.raises(PageFailure, match="too-long"):
        parse(b"q=" + b"x" * 10_000).text("q")
    for letters in ("x" * (PATH_MAX + 1), quoted("é" * (PATH_MAX // 2 + 1))):
        with pytest.raises(PageFailure, match="too-long"):
            parse(f"chemin={letters}".encode()).path("chemin")
        with pytest.raises(PageFailure, match="too-long"):
            read_wanted(f"docs-a monday {letters}")
    with pytest.raises(PageFailure):
        parse(b"&".join([b"a=1"] * (FIELDS_MAX + 1)))


@pytest.mark.parametrize("number", ["-1", "1.5", "x", "1" * 400, "²", "0x1"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(PageFailure):
        Fields({"page": (number,)}).number("page")
    assert Fields({"page": ("7",)}).number("page") == 7
    assert Fields().number("page", 1) == 1


@pytest.mark.parametrize(
    ("address", "leads"),
    [
        ("/supprimes", "/supprimes"),
        (
            "/fichier/docs-a?chemin=srv/%C3%A9t%C3%A9%20100%25.txt",
            "/fichier/docs-a?chemin=srv/%C3%A9t%C3%A9%20100%25.txt",
        ),
        ("", "/"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example/", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("/é", "/"),
    ],
)
def test_the_way_back_leads_to_a_page_of_ours(address: str, leads: str) -> None:
    assert _local(address) == leads


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound(""), 404),
        (UsageError(""), 400),
        (Busy(""), 409),
        (NoSpace(""), 507),
        (Forbidden(""), 403),
        (Refused(""), 403),
        (Unreachable(""), 504),
        (ApplianceError(""), 500),
        (ValueError(""), 500),
        (PageFailure(418), 418),
    ],
)
def test_a_failure_of_ours_is_an_answer_of_http(error: Exception, status: int) -> None:
    assert failure_of(error).status == status


def test_a_day_is_a_day_or_none() -> None:
    assert chosen_day("") is None
    assert chosen_day("2026-11-24") == date(2026, 11, 24)
    for wrong in ("2026-13-01", "hier", "2026-11-24'--"):
        with pytest.raises(PageFailure):
            chosen_day(wrong)


def test_the_calendar_leads_from_each_day_with_versions_to_the_next() -> None:
    known = [date(2026, 9, 30), date(2026, 11, 2), date(2026, 11, 24), date(2027, 1, 3)]
    found = around(known, date(2026, 11, 24))
    assert (found.before, found.after) == (date(2026, 11, 2), date(2027, 1, 3))
    assert (found.month_before, found.month_after) == (date(2026, 9, 30), date(2027, 1, 3))
    assert found.weeks[0][0] == (date(2026, 10, 26), False)
    assert [day for week in found.weeks for day, has in week if has] == known[1:3]
    alone = around(known[-1:], known[-1])
    assert (alone.before, alone.after, alone.month_before, alone.month_after) == (None, None, None, None)


def test_what_can_be_shown_is_told_by_the_name() -> None:
    names = ("a/B.PDF", "x.jpeg", "x.txt", "x.docx", "x.exe", "a.pdf/x")
    assert [is_shown(it) for it in names] == [True, True, True, True, False, False]
    assert [has_words(it) for it in names] == [True, False, True, True, False, False]
