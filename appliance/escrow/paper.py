"""The words of the recovery sheet, French first, and the sheet as plain text; `paper_pdf` draws the same words on
A4."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from appliance.escrow import paper_key, qr
from appliance.escrow.age import RecoveryKey
from appliance.trust.signed import fingerprint

WIDTH = 78
NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Sheet:
    """`made` is a date, 2026-11-25; `territory_key` the territory's public SSH key, which signs every grant, or ""."""

    territory: str
    made: str
    key: RecoveryKey
    territory_key: str = ""


TITLE = "Clé de récupération des sauvegardes"
TITLE_ENGLISH = "Backup recovery key"
NO_LETTERS = (
    "Il n'y a jamais de B, de I ni de O après la ligne 1, et jamais de 1 : 0 est toujours zéro, L toujours la lettre.",
    "After line 1 there is never a B, an I or an O, and never a 1: 0 is always zero, L always the letter.",
)

FRENCH = (
    (
        "Ce que c'est",
        "Cette clé ouvre toutes les sauvegardes chiffrées du territoire. Elle n'existe que sur le papier : aucun "
        "ordinateur n'en garde de copie. Avec elle et le disque d'une seule commune on relit tout, même si tout le "
        "reste a disparu. Qui la détient peut tout lire.",
    ),
    (
        "Que faire maintenant",
        "Mettez-la dans une enveloppe scellée, sous clé, dans un autre bâtiment que les serveurs ; un second "
        "exemplaire va dans un second lieu. Ne la photographiez pas, ne la numérisez pas, ne l'envoyez pas.",
    ),
    (
        "Une fois par an",
        "Testez-la avec `appliance escrow verify --envelope recovery.age` et notez la date au bas de la feuille.",
    ),
    (
        "Pour s'en servir",
        "Suivez `docs/recovery-by-hand.md`, qui n'a besoin que de age et de borg. En bref : lancez "
        "`age -d -i - recovery.age`, tapez les cinq lignes à la suite, en majuscules et sans espaces, Entrée, Ctrl-D. "
        "La première ligne qui sort est la phrase de passe de borg, le reste son fichier de clé.",
    ),
    (
        "Perdue, ou vue par un autre",
        "Faites-en une nouvelle avec `appliance escrow create-key --territory . --replace` et signez le territoire. "
        "Si elle a été vue, les services doivent en plus changer de clé : appelez la régie.",
    ),
)

ENGLISH = (
    (
        "What this is",
        "This key opens every encrypted backup of the territory. It exists on paper only. With it and the disk of "
        "one town everything can be read again, even if all the rest is lost. Anyone who holds it can read everything.",
    ),
    (
        "What to do",
        "Seal it in an envelope and lock it up in another building than the servers, and a second copy in a second "
        "place. No photograph, no scan, no mail. Test it once a year, note the date below: "
        "`appliance escrow verify --envelope recovery.age`.",
    ),
    (
        "To use it",
        "Follow `docs/recovery-by-hand.md`. In short: run `age -d -i - recovery.age`, type the five lines as one, in "
        "capitals, no spaces, Enter, Ctrl-D. The first line that comes out is borg's passphrase, the rest its keyfile.",
    ),
    (
        "Lost, or seen by another",
        "Make a new one (`appliance escrow create-key --territory . --replace`) and sign the territory. If it was "
        "seen, the services must change their keys too.",
    ),
)

# Filled in by hand: who keeps it cannot be known when it is printed, and a tested key has its dates on it.
KEPT = ("Gardée par / Kept by", "Lieu / Place", "Signature")
TESTED = ("Testée le / Tested on", "Par / By", "Enveloppe ouverte / Envelope opened")


def facts(sheet: Sheet) -> tuple[tuple[str, str], ...]:
    """The public part: names and values, to tell sheets apart and to check signatures with."""
    own = ("Moitié publique / Public half", sheet.key.public)
    if not sheet.territory_key:
        return (own,)
    return (
        own,
        ("Clé du territoire / Territory key", sheet.territory_key),
        ("Son empreinte / Its fingerprint", fingerprint(sheet.territory_key)),
    )


def typeset(words: str, before: str, after: str) -> str:
    """`words` with `before` and `after` each command; no line ends in a command or before French punctuation."""
    whole = re.sub("`([^`]+)`", lambda found: before + found[1].replace(" ", NO_BREAK) + after, words)
    return re.sub(" (?=[;:])", NO_BREAK, whole)


def text(sheet: Sheet, *, terminal: bool = False) -> str:
    """The sheet as plain text; for a `terminal` the QR code brings its own black on white."""
    key = [f"    {number}   {line}" for number, line in enumerate(paper_key.lines(sheet.key.secret), start=1)]
    code = qr.text(qr.grid(sheet.key.secret.reveal().decode("ascii")))
    if terminal:
        code = tuple(f"\x1b[30;107m{line}\x1b[0m" for line in code)
    blocks = [
        f"{TITLE} / {TITLE_ENGLISH}\n{sheet.territory}, {sheet.made}",
        "\n".join(key),
        "\n".join(_filled(note) for note in NO_LETTERS),
        "\n".join(code),
        *(f"{title}\n{_filled(words, '  ')}" for title, words in (*FRENCH, *ENGLISH)),
        "\n".join(f"{name} {'.' * (WIDTH - 1 - len(name))}" for name in (*KEPT, *TESTED)),
        "\n".join(f"{name}:\n  {value}" for name, value in facts(sheet)),
    ]
    return "\n\n".join(blocks) + "\n"


def _filled(words: str, indent: str = "") -> str:
    wrapped = textwrap.fill(typeset(words, '"', '"'), WIDTH, initial_indent=indent, subsequent_indent=indent)
    return wrapped.replace(NO_BREAK, " ")
