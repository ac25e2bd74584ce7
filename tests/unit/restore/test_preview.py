"""The words of a document are read as plain text, and what changed between two versions is shown line by line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest

from appliance.errors import IntegrityError
from appliance.restore.preview import office
from appliance.restore.preview.difference import LINES_MAX, Line, difference
from appliance.restore.preview.model import BLOCKS_MAX, Block, Preview, from_wire, to_wire
from appliance.restore.preview.office import Unreadable, is_office, read_blocks
from appliance_lab.corpus import office as corpus
from appliance_lab.corpus.draw import Draw

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
ODF = "urn:oasis:names:tc:opendocument:xmlns"
SPACES = f'xmlns:office="{ODF}:office:1.0" xmlns:text="{ODF}:text:1.0" xmlns:table="{ODF}:table:1.0"'
ODT_TYPE = "application/vnd.oasis.opendocument.text"


def zipped(parts: dict[str, str]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in parts.items():
            made.writestr(name, text)
    return sink.getvalue()


def docx(body: str, before: str = "") -> bytes:
    return zipped({"word/document.xml": f"{before}<w:document {W}><w:body>{body}</w:body></w:document>"})


def odt(body: str) -> bytes:
    return zipped(
        {"mimetype": ODT_TYPE, "content.xml": f"<office:document-content {SPACES}>{body}</office:document-content>"}
    )


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_a_docx_is_headings_paragraphs_and_rows() -> None:
    heading = f'<w:p><w:pPr><w:pStyle w:val="Titre2"/></w:pPr>{run("Budget &lt;b&gt;")}</w:p>'
    plain = f"<w:p>{run('un')}<w:r><w:tab/><w:t>deux</w:t><w:br/><w:t>trois</w:t></w:r><w:p/></w:p>"
    hidden = "<w:p><w:r><w:instrText>INCLUDEPICTURE http://x</w:instrText><w:delText>old</w:delText></w:r></w:p>"
    inner = f"<w:tbl><w:tr><w:tc><w:p>{run('in')}</w:p></w:tc></w:tr></w:tbl>"
    table = f"<w:tbl><w:tr><w:tc><w:p>{run('a')}</w:p></w:tc><w:tc><w:p>{run('b')}</w:p>{inner}</w:tc></w:tr></w:tbl>"
    blocks, cut = read_blocks(docx(heading + plain + hidden + table))
    assert blocks == (Block("Budget <b>", 2), Block("un\tdeux\ntrois"), Block(cells=("a", "b\nin")))
    assert not cut


def test_an_odt_is_too() -> None:
    body = (
        '<text:h text:outline-level="1">Conseil</text:h>'
        "<text:p>un <text:span>deux</text:span> trois"
        '<text:s text:c="3"/><text:tab/>x<text:note>note</text:note>.</text:p>'
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>"
    )
    blocks, _ = read_blocks(odt(body))
    assert blocks == (Block("Conseil", 1), Block("un deux trois   \tx."), Block(cells=("a", "b")))


@pytest.mark.parametrize("make", [corpus.docx, corpus.odt])
def test_what_a_corpus_writes_is_read(make: Callable[[Draw, int], bytes]) -> None:
    content = make(Draw("preview"), 20_000)
    assert is_office(content)
    assert len(read_blocks(content)[0]) > 10


def test_a_long_document_is_cut() -> None:
    blocks, cut = read_blocks(docx(f"<w:p>{run('x')}</w:p>" * (BLOCKS_MAX + 1)))
    assert (len(blocks), cut) == (BLOCKS_MAX, True)
    assert read_blocks(docx(f"<w:p>{run('x' * 600_000)}</w:p>")) == ((), True)


OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
HOSTILE = [
    docx(f"<w:p>{run('&a;')}</w:p>", OUTSIDE),
    docx("<w:p>"),
    docx("<w:p/></w:tc>"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_document_is_no_document(number: int) -> None:
    with pytest.raises(Unreadable):
        read_blocks(HOSTILE[number])


def test_what_unpacks_to_more_than_a_document_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "XML_BYTES_MAX", 100_000)
    bomb = docx(" " * 100_000)
    assert len(bomb) < 1000
    with pytest.raises(Unreadable, match="larger"):
        read_blocks(bomb)


OTHER_FILES = [b"", b"PK\x03\x04", b"text", zipped({"x": "y"}), zipped({"content.xml": "<a/>"})]


@pytest.mark.parametrize("content", OTHER_FILES, ids=range(len(OTHER_FILES)))
def test_other_files_are_no_documents(content: bytes) -> None:
    assert not is_office(content)


def test_an_answer_comes_over_as_it_is() -> None:
    preview = Preview("page", pages=3, page=2, media_type="image/png", picture=b"\n\x89PNG\n", missing=("files",))
    assert from_wire(to_wire(preview)) == preview
    document = Preview("document", blocks=(Block("é\ud83d", 1), Block(cells=("a", "b"))), cut=True)
    assert from_wire(to_wire(document)) == document
    assert document.lines == ("é\ud83d", "a\tb")


FALSE = [
    b"",
    b"{}\n",
    to_wire(Preview("text")) + b"more",
    to_wire(Preview("image", media_type="text/html", picture=b"<script>")),
    to_wire(Preview("script")),  # type: ignore[arg-type]
    to_wire(Preview("text")).replace(b'"blocks": []', b'"blocks": [7]'),
    to_wire(Preview("text")).replace(b'"cut": false', b'"cut": false, "other": 1'),
]


@pytest.mark.parametrize("number", range(len(FALSE)))
def test_a_worker_that_became_hostile_shows_nothing(number: int) -> None:
    with pytest.raises(IntegrityError, match="an invalid answer"):
        from_wire(FALSE[number])


def test_only_changed_lines_are_shown_with_some_around_them() -> None:
    before = [f"line {number}" for number in range(20)]
    after = [*before[:10], "new", *before[11:]]
    shown = difference(before, after)
    assert shown == (
        Line("skipped"),
        Line("same", "line 8"),
        Line("same", "line 9"),
        Line("gone", "line 10"),
        Line("new", "new"),
        Line("same", "line 11"),
        Line("same", "line 12"),
        Line("skipped"),
    )


def test_at_either_end_nothing_is_skipped() -> None:
    assert difference([], []) == difference(["a"], ["a"]) == ()
    assert difference([], ["a"]) == (Line("new", "a"),)
    assert difference(["a", "b"], ["b"]) == (Line("gone", "a"), Line("same", "b"))
    assert difference(["a"], ["a", "b"]) == (Line("same", "a"), Line("new", "b"))


def test_two_changes_far_apart_are_two_parts() -> None:
    before = [str(number) for number in range(40)]
    shown = difference(before, ["x", *before[1:39], "y"])
    assert shown is not None
    assert [line.change for line in shown] == ["gone", "new", "same", "same", "skipped", "same", "same", "gone", "new"]


def test_what_changed_too_much_is_not_compared() -> None:
    many = [str(number) for number in range(LINES_MAX + 1)]
    assert difference(["a"], many) is None
    assert difference([*many, "a"], [*many, "b"]) is not None
