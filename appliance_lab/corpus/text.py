"""Files that are text: notes, mails, tables, dumps, logs, and the XML that goes to the Treasury (PES).

Every maker takes a Draw and about how many bytes to make; `..._rows` and `..._lines` are also what a change appends.
"""

from __future__ import annotations

import binascii
from base64 import b64encode, encodebytes

from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.media import pdf
from appliance_lab.corpus.words import STREETS, person, prose

_ATTACHMENT_FROM_BYTES = 3000
_ENCODED_PDF_RATIO = 1.36  # base64 in lines of 76
_DUMP_HEAD = """-- Comptabilité, une instruction par ligne : le fichier reste valable quand on en ajoute
SET client_encoding = 'UTF8';
CREATE TABLE ecritures (id bigint, jour date NOT NULL, tiers text, libelle text, montant numeric(12,2));
"""


def txt(draw: Draw, about: int) -> bytes:
    return ("\n".join(prose(draw, about)) + "\n").encode()


def csv(draw: Draw, about: int) -> bytes:
    """As French spreadsheets write it: semicolons and decimal commas."""
    rows = ["nom;adresse;abonné;montant"]
    rows += [
        f"{person(draw)};{draw.between(1, 90)} {draw.pick(STREETS)};{draw.below(10**6):06d};"
        f"{draw.below(900)},{draw.below(100):02d}"
        for _ in range(max(1, about // 48))
    ]
    return ("\r\n".join(rows) + "\r\n").encode()


def sql(draw: Draw, about: int) -> bytes:
    return _DUMP_HEAD.encode() + sql_rows(draw, about - len(_DUMP_HEAD))


def sql_rows(draw: Draw, about: int) -> bytes:
    """Rows of a plain dump of the accounts."""
    rows = (
        f"INSERT INTO ecritures VALUES ({draw.below(10**9)}, '{_day(draw)}', {_quoted(person(draw))}, "
        f"{_quoted(sentence)}, {draw.below(10**6) / 100:.2f});\n"
        for sentence in prose(draw, about)[: max(1, about // 202)]
    )
    return "".join(rows).encode()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _day(draw: Draw) -> str:
    return f"20{draw.between(15, 24)}-{draw.between(1, 12):02d}-{draw.between(1, 28):02d}"


def log_lines(draw: Draw, about: int) -> bytes:
    """Lines of the shared printer's and file server's journal."""
    lines = (
        f"{_day(draw)}T{draw.below(24):02d}:{draw.below(60):02d}:{draw.below(60):02d}+01:00 "
        f"serveur-mairie smbd[{draw.below(30000)}]: 10.60.25.{draw.below(255)} ouvre partage$ "
        f"durée={draw.below(900)}ms état=0x{draw.below(2**32):08x}\n"
        for _ in range(max(1, about // 117))
    )
    return "".join(lines).encode()


def xml(draw: Draw, about: int) -> bytes:
    """One PES flow: the head that the protocol wants, then lines of mandates."""
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<n:PES_Aller xmlns:n="http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/aller">\n'
        f'<Enveloppe><Parametres><Version V="2"/><TypFic V="PESALR2"/>'
        f'<NomFic V="PES{draw.below(10**8):08d}"/></Parametres></Enveloppe>\n'
    )
    lines = (
        f'<LigneDePiece><IdPce V="{draw.below(10**6)}"/><Nature V="{draw.between(6000, 6999)}"/>'
        f'<MtHT V="{draw.below(10**6) / 100:.2f}"/>'
        f'<Objet V="{sentence}"/></LigneDePiece>\n'
        for sentence in prose(draw, about)[: max(1, (about - len(head)) // 216)]
    )
    return (head + "".join(lines) + "</n:PES_Aller>\n").encode()


def eml(draw: Draw, about: int) -> bytes:
    """A mail with accents: encoded words in its head, quoted-printable text, and a PDF in base64 when it is large."""
    if about < _ATTACHMENT_FROM_BYTES:
        return _mail_head(draw, "text/plain; charset=utf-8") + _quoted_text(draw, about - 500)
    body = min(about // 4, 20_000)
    boundary = f"=_{draw.below(2**48):012x}"
    attachment = encodebytes(pdf(draw, int((about - body - 900) / _ENCODED_PDF_RATIO)))
    return b"\n".join(
        (
            _mail_head(draw, f'multipart/mixed; boundary="{boundary}"'),
            f"--{boundary}\nContent-Type: text/plain; charset=utf-8".encode(),
            _quoted_text(draw, body),
            f'--{boundary}\nContent-Type: application/pdf; name="devis.pdf"'.encode(),
            b"Content-Transfer-Encoding: base64\n",
            attachment,
            f"--{boundary}--\n".encode(),
        )
    )


def _mail_head(draw: Draw, content_type: str) -> bytes:
    sender, subject = person(draw), prose(draw, 1)[0][:60]
    return (
        f"From: {_encoded_word(sender)} <contact{draw.below(500)}@mairie.example>\n"
        "To: secretariat@mairie.example\n"
        f"Subject: {_encoded_word(subject[:30])}\n {_encoded_word(subject[30:])}\n"
        f"Date: {draw.between(1, 28)} Mar 20{draw.between(15, 24)} "
        f"{draw.between(8, 18):02d}:{draw.below(60):02d}:00 +0100\n"
        f"Message-ID: <{draw.below(2**52):013x}@mairie.example>\nMIME-Version: 1.0\nContent-Type: {content_type}\n"
    ).encode()


def _encoded_word(text: str) -> str:
    """`text` by RFC 2047, short enough for one word of at most 75 characters."""
    return f"=?utf-8?B?{b64encode(text.encode()).decode()}?="


def _quoted_text(draw: Draw, about: int) -> bytes:
    text = "\n".join(prose(draw, int(about / 1.15))).encode()
    return b"Content-Transfer-Encoding: quoted-printable\n\n" + binascii.b2a_qp(text) + b"\n"
