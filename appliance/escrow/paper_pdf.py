"""The sheet on A4, black on white, drawn in memory, with the fonts that every reader has and a QR code of vectors."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import black
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

from appliance.escrow import paper, paper_key, qr
from appliance.escrow.paper import Sheet, typeset

MARGIN = 18 * mm
FRAME_PADDING = 6  # reportlab's own, around everything
INNER = A4[0] - 2 * MARGIN - 2 * FRAME_PADDING
CODE_SIDE = 56 * mm

TITLE_STYLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=21, leading=25)
SUBTITLE = ParagraphStyle("subtitle", fontName="Helvetica", fontSize=11, leading=15)
FRENCH_STYLE = ParagraphStyle("french", fontName="Helvetica", fontSize=10, leading=13, spaceAfter=4)
ENGLISH_STYLE = ParagraphStyle("english", fontName="Helvetica", fontSize=8.2, leading=10.4, spaceAfter=2.2)
NOTE = ParagraphStyle("note", fontName="Helvetica-Oblique", fontSize=8, leading=10.4, alignment=TA_CENTER)
FACT = ParagraphStyle("fact", fontName="Helvetica", fontSize=7.6, leading=10.4)

COMMAND, COMMAND_END = '<font name="Courier">', "</font>"


class Code(Flowable):
    """A QR code `side` points wide, quiet zone included."""

    def __init__(self, rows: qr.Grid, side: float) -> None:
        super().__init__()
        self.rows = rows
        self.width = self.height = side

    def draw(self) -> None:
        canvas: Any = self.canv
        module = self.width / len(self.rows)
        path = canvas.beginPath()
        for row, line in enumerate(self.rows):
            for column, dark in enumerate(line):
                if dark:
                    path.rect(column * module, self.height - (row + 1) * module, module, module)
        canvas.setFillColor(black)
        canvas.drawPath(path, stroke=0, fill=1)


def render(sheet: Sheet) -> bytes:
    """The sheet as the bytes of a PDF of one page."""
    output = BytesIO()
    document = SimpleDocTemplate(
        output,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=16 * mm,
        bottomMargin=12 * mm,
        title=f"{paper.TITLE} - {sheet.territory}",
        author="appliance",
    )
    story: list[Any] = [
        Paragraph(paper.TITLE, TITLE_STYLE),
        Paragraph(f"{paper.TITLE_ENGLISH} · <b>{escape(sheet.territory)}</b> · {sheet.made}", SUBTITLE),
        Spacer(0, 3 * mm),
        _key_box(sheet),
        Spacer(0, 1.5 * mm),
        *(Paragraph(typeset(note, "", ""), NOTE) for note in paper.NO_LETTERS),
        Spacer(0, 3 * mm),
        *(_section(title, words, FRENCH_STYLE) for title, words in paper.FRENCH),
        Spacer(0, 1 * mm),
        *(_section(title, words, ENGLISH_STYLE) for title, words in paper.ENGLISH),
        Spacer(0, 2 * mm),
        _form(paper.KEPT, rows=2),
        Spacer(0, 2 * mm),
        _form(paper.TESTED, rows=4),
        Spacer(0, 2 * mm),
        *(Paragraph(typeset(f"{name} : `{value}`", COMMAND, COMMAND_END), FACT) for name, value in paper.facts(sheet)),
    ]
    document.build(story)
    return output.getvalue()


def _section(title: str, words: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(f"<b>{escape(title)}.</b> {typeset(escape(words), COMMAND, COMMAND_END)}", style)


def _key_box(sheet: Sheet) -> Table:
    """The numbered lines at the left, the code at the right, in one frame."""
    rows = [[str(number), line] for number, line in enumerate(paper_key.lines(sheet.key.secret), start=1)]
    cells = [("FONT", (0, 0), (0, -1), "Helvetica", 10), ("FONT", (1, 0), (1, -1), "Courier-Bold", 18)]
    key = Table(rows, colWidths=[9 * mm, None], rowHeights=9.6 * mm, hAlign="LEFT")
    key.setStyle([*cells, ("VALIGN", (0, 0), (-1, -1), "MIDDLE")])
    code = Code(qr.grid(sheet.key.secret.reveal().decode("ascii")), CODE_SIDE)
    box = Table([[key, code]], colWidths=[INNER - CODE_SIDE - 8 * mm, CODE_SIDE + 8 * mm])
    box.setStyle([("BOX", (0, 0), (-1, -1), 1.2, black), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")])
    return box


def _form(names: tuple[str, ...], *, rows: int) -> Table:
    """Empty lines under `names`, to be filled in by hand."""
    heights = [4.5 * mm, *[7 * mm] * rows]
    table = Table(
        [list(names), *([""] * len(names) for _ in range(rows))],
        colWidths=[INNER / len(names)] * len(names),
        rowHeights=heights,
    )
    table.setStyle([("GRID", (0, 0), (-1, -1), 0.4, black), ("FONT", (0, 0), (-1, 0), "Helvetica", 7.5)])
    return table
