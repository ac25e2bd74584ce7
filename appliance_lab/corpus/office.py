"""Office documents: real containers that LibreOffice opens, most of their weight in one picture, as in life."""

from __future__ import annotations

import io
import zipfile

from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.media import jpeg
from appliance_lab.corpus.words import STREETS, person, prose

_TEXT_BYTES_MAX = 24_000  # of XML before deflate
_ZIP_ENTRY_BYTES = 30 + 46  # the local header and the directory's record, without the name
_ZIP_END_BYTES = 22
_DATE = (2020, 1, 1, 0, 0, 0)
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_OPC = "http://schemas.openxmlformats.org"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"

_ODT_TYPE = "application/vnd.oasis.opendocument.text"
_ODT_MANIFEST = f"""{_XML}
<manifest:manifest xmlns:manifest="{_ODF}:manifest:1.0" manifest:version="1.2">
<manifest:file-entry manifest:full-path="/" manifest:media-type="{_ODT_TYPE}"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>
<manifest:file-entry manifest:full-path="Pictures/1.jpg" manifest:media-type="image/jpeg"/>
</manifest:manifest>"""
_ODT_HEAD = f"""{_XML}
<office:document-content xmlns:office="{_ODF}:office:1.0" xmlns:text="{_ODF}:text:1.0" xmlns:draw="{_ODF}:drawing:1.0"
 xmlns:svg="{_ODF}:svg-compatible:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.2">
<office:body><office:text>"""
_ODT_END = """<text:p><draw:frame svg:width="12cm" svg:height="9cm">
<draw:image xlink:href="Pictures/1.jpg"/></draw:frame></text:p>
</office:text></office:body></office:document-content>"""


def odt(draw: Draw, about: int) -> bytes:
    body = "".join(f"<text:p>{sentence}</text:p>" for sentence in _text(draw, about))
    # The type comes first and plain: it is how readers know the file.
    parts = {"mimetype": _ODT_TYPE, "content.xml": _ODT_HEAD + body + _ODT_END, "META-INF/manifest.xml": _ODT_MANIFEST}
    return _container(draw, parts, "Pictures/1.jpg", about)


def docx(draw: Draw, about: int) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{sentence}</w:t></w:r></w:p>" for sentence in _text(draw, about))
    space = f'xmlns:w="{_OPC}/wordprocessingml/2006/main"'
    parts = {
        "[Content_Types].xml": _content_types({"/word/document.xml": "wordprocessingml.document.main"}),
        "_rels/.rels": _relations({"word/document.xml": "officeDocument"}),
        "word/document.xml": f"{_XML}<w:document {space}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": _relations({"media/image1.jpeg": "image"}),
    }
    return _container(draw, parts, "word/media/image1.jpeg", about)


def xlsx(draw: Draw, about: int) -> bytes:
    rows = "".join(_row(draw, number) for number in range(1, max(2, min(about, _TEXT_BYTES_MAX) // 240)))
    space = f'xmlns="{_OPC}/spreadsheetml/2006/main" xmlns:r="{_OPC}/officeDocument/2006/relationships"'
    sheets = '<sheets><sheet name="État" sheetId="1" r:id="rId1"/></sheets>'
    kinds = {"/xl/workbook.xml": "spreadsheetml.sheet.main", "/xl/worksheets/sheet1.xml": "spreadsheetml.worksheet"}
    parts = {
        "[Content_Types].xml": _content_types(kinds),
        "_rels/.rels": _relations({"xl/workbook.xml": "officeDocument"}),
        "xl/workbook.xml": f"{_XML}<workbook {space}>{sheets}</workbook>",
        "xl/_rels/workbook.xml.rels": _relations({"worksheets/sheet1.xml": "worksheet", "media/image1.jpeg": "image"}),
        "xl/worksheets/sheet1.xml": f"{_XML}<worksheet {space}><sheetData>{rows}</sheetData></worksheet>",
    }
    return _container(draw, parts, "xl/media/image1.jpeg", about)


def _text(draw: Draw, about: int) -> list[str]:
    return prose(draw, min(about, _TEXT_BYTES_MAX))


def _row(draw: Draw, number: int) -> str:
    texts = "".join(
        f'<c r="{column}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
        for column, cell in (("A", person(draw)), ("B", draw.pick(STREETS)))
    )
    return f'<row r="{number}">{texts}<c r="C{number}"><v>{draw.below(10**6) / 100:.2f}</v></c></row>'


def _content_types(kinds: dict[str, str]) -> str:
    """The list that says what each part is; pictures and relations go by their ending."""
    vendor = "application/vnd.openxmlformats"
    overrides = "".join(
        f'<Override PartName="{part}" ContentType="{vendor}-officedocument.{kind}+xml"/>'
        for part, kind in kinds.items()
    )
    defaults = "".join(
        f'<Default Extension="{ending}" ContentType="{kind}"/>'
        for ending, kind in (("rels", f"{vendor}-package.relationships+xml"), ("jpeg", "image/jpeg"))
    )
    return f'{_XML}<Types xmlns="{_OPC}/package/2006/content-types">{defaults}{overrides}</Types>'


def _relations(targets: dict[str, str]) -> str:
    entries = "".join(
        f'<Relationship Id="rId{number}" Type="{_OPC}/officeDocument/2006/relationships/{kind}" Target="{target}"/>'
        for number, (target, kind) in enumerate(targets.items(), 1)
    )
    return f'{_XML}<Relationships xmlns="{_OPC}/package/2006/relationships">{entries}</Relationships>'


def _container(draw: Draw, parts: dict[str, str], picture: str, about: int) -> bytes:
    """A zip of `parts`, deflated but for `mimetype`, and of a picture that brings it to `about` bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        for name, content in parts.items():
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            container.writestr(_entry(name), content, method, 1)
        # The directory, not written yet, takes one record a part.
        directory = sum(46 + len(name) for name in parts) + _ZIP_END_BYTES
        room = about - buffer.tell() - directory - _ZIP_ENTRY_BYTES - 2 * len(picture)
        container.writestr(_entry(picture), jpeg(draw, room), zipfile.ZIP_STORED)
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3  # the default depends on the machine
    entry.external_attr = 0o644 << 16
    return entry
