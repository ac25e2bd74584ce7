"""Where a town hall keeps what: for each kind of file, folders and titles to draw from.

A field in braces is filled from a *case* (a permit, a family, a work site), so that several files share a folder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.words import STREETS, person

FIRST_YEAR, LAST_YEAR = 2015, 2024
NAME_BYTES_MAX = 255

_PERMIT = "Urbanisme/Permis de construire/{year}/PC 060 025 {yy} A{number:04d} - {person}"
_COUNCIL = "Conseil municipal/{year}/{year}-{month:02d} Séance ordinaire"
_STAFF = "Ressources humaines/Dossiers des agents/{person}/{year}"
_WORKS = "Voirie & réseaux/Travaux/{year} - Réfection {street}"
_MAIL = "Courrier/Boîte de la mairie/{year}/{month:02d}"

_Places = tuple[tuple[str, tuple[str, ...]], ...]

PLACES: Mapping[str, _Places] = {
    "odt": (
        (_COUNCIL, ("délibération {n} - tarif de la cantine", "procès-verbal", "lettre à l'attention de {person}")),
        (_PERMIT, ("notice descriptive {n}", "arrêté accordant le permis n° {n}")),
        ("État civil/Mariages/{year}", ("dossier {person} et {other}", "publication des bans - {person}")),
    ),
    "docx": (
        (_STAFF, ("compte rendu d'entretien {n}", "arrêté d'avancement d'échelon {n}")),
        ("Associations/Fêtes d'Attichy/{year}", ("convention de prêt de salle {n}", "demande de subvention {n}")),
    ),
    "xlsx": (
        ("Finances/Budget primitif {year}", ("section de fonctionnement {n}", "état des restes à recouvrer {n}")),
        ("École Jean-Moulin/Périscolaire/{year}", ("présences {month:02d} - {n}", "facturation {month:02d} - {n}")),
    ),
    "pdf": (
        (_PERMIT, ("plan de masse é", "plan de coupe {n}", "pièce complémentaire reçue le {month:02d}-{year} n° {n}")),
        (_WORKS, ("devis signé {n}", "ordre de service n° {n}", "procès-verbal de réception {n}")),
        ("Finances/Factures/{year}/{month:02d}", ("facture {n} - {person}",)),
    ),
    "jpg": (
        (_WORKS + "/Photos", ("avant travaux {n}", "après travaux {n}", "IMG_{n:04d}")),
        (_PERMIT + "/Photos", ("façade côté rue {n}", "vue aérienne {n}")),
        ("Communication/Fête de l'été {year}", ("DSC_{n:05d}", "défilé des enfants {n}")),
    ),
    "eml": ((_MAIL, ("{n} - Re_ demande de {person}", "{n} - Tr_ réunion de {year}", "{n} - devis {street}")),),
    "csv": (("Élections/Listes électorales/{year}", ("liste générale {n}", "émargement bureau {n}")),),
    "txt": (("Secrétariat/Notes/{year}", ("à faire {n}", "mémo téléphone {n} - {person}", "lisez-moi {n}")),),
    "xml": (("Finances/Hélios/PES Aller/{year}/{month:02d}", ("PESALR2_21600251{n:06d}", "PES_acquit_{n:06d}")),),
    "log": (("Informatique/Journaux/{year}", ("serveur de fichiers {month:02d}-{n}", "sauvegarde {month:02d}-{n}")),),
    "sql": (("Informatique/Exports de bases/{year}", ("comptabilité {month:02d}-{n}", "élections {month:02d}-{n}")),),
    "sqlite": (("Informatique/Applications/Courrier", ("courrier {n}",)),),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """The subject of a group of files."""

    year: int
    month: int
    number: int
    person: str
    other: str
    street: str


def draw_cases(draw: Draw, count: int) -> tuple[Case, ...]:
    return tuple(
        Case(
            year=draw.between(FIRST_YEAR, LAST_YEAR),
            month=draw.between(1, 12),
            number=draw.between(1, 60),
            person=person(draw),
            other=person(draw),
            street=draw.pick(STREETS),
        )
        for _ in range(count)
    )


def draw_path(draw: Draw, kind: str, case: Case) -> str:
    """A path for a file of `kind`, folders separated by "/"; two draws may give the same."""
    folder, titles = draw.pick(PLACES[kind])
    fields = {**vars(case), "yy": case.year % 100, "n": draw.between(1, 9999)}
    path = f"{folder}/{draw.pick(titles)}.{kind}".format_map(fields)
    return as_on_a_mac(path) if kind == "jpg" and draw.below(8) == 0 else path


def as_on_a_mac(path: str) -> str:
    """`path` with its last name decomposed (NFD): it looks the same and is another name."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{unicodedata.normalize('NFD', name)}"


def longest_name(words: str, ending: str) -> str:
    """A name of exactly NAME_BYTES_MAX bytes: as much of `words` as fits, "x" where a character would not, `ending`."""
    room = NAME_BYTES_MAX - len(ending.encode())
    head = words.encode()[:room].decode(errors="ignore")
    return head + "x" * (room - len(head.encode())) + ending
