"""The odd files of every corpus, once whatever its size: the names, links, modes and attributes that backups get wrong.

Left out on purpose: files that no backup can read (mode 000, sockets) or that `rm -r` of a plain user cannot remove.
"""

from __future__ import annotations

import errno
import os
import struct
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from appliance.units import MIB
from appliance_lab.corpus.canary import canaries
from appliance_lab.corpus.marker import MARKER
from appliance_lab.corpus.names import longest_name

_DEEP = "Archives/Versement de 1998/Travée B/Carton 12/Chemise 3/Sous-chemise b/Pièce 1/Annexe/Copie/Verso"
_UNSORTED = "Courrier/Reçu, à trier"
_MODEL = "Finances/Modèles/mandat type.txt"
_SECRET = "Secrétariat/Notes confidentielles"
SPARSE = "Informatique/Machines virtuelles/poste d'accueil.img"
SPARSE_BYTES_MAX = 64 * MIB

FOLDER_MODES = {
    "Échanges": 0o1777,
    "Commun aux élus": 0o2775,
    "Ressources humaines/Privé": 0o700,
    "Élections/2026": 0o755,
    "Archives/À verser": 0o750,
}
HARD_LINKS = {"Secrétariat/Notes/mandat type.txt": _MODEL, f"{_DEEP}/mandat.txt": _MODEL}
SYMLINKS = {
    "Accès rapide/Permis de construire": "../Urbanisme/Permis de construire",
    "Accès rapide/modèle de mandat.txt": f"../{_MODEL}",
    "Accès rapide/ancien serveur": "/srv/partage/supprimé en 2019",
    f"{_UNSORTED}/boucle": "../Reçu, à trier",
}
TAGGED, SHARED_BY_ACL = _MODEL, f"{_SECRET}/suivi des canaris.csv"


@dataclass(frozen=True)
class OddFile:
    path: str
    content: str
    mode: int = 0o644


def odd_files(seed: int) -> tuple[OddFile, ...]:
    """The regular files, but for the sparse one, the further names of hard links and the marker."""
    return (
        OddFile("Secrétariat/Notes/vide.txt", ""),
        OddFile("Associations/liste à venir.csv", "", 0o600),
        OddFile(f"{_DEEP}/{longest_name('Délibération portant création ' * 12, '.txt')}", "Nom le plus long.\n"),
        OddFile(f"{_UNSORTED}/{unicodedata.normalize('NFC', 'Noël à l’école.txt')}", "Composé (NFC).\n"),
        OddFile(f"{_UNSORTED}/{unicodedata.normalize('NFD', 'Noël à l’école.txt')}", "Décomposé (NFD).\n"),
        OddFile(f"{_UNSORTED}/ espace au début et à la fin ", "Espaces.\n", 0o400),
        OddFile(f"{_UNSORTED}/-rf.txt", "Un tiret.\n"),
        OddFile(f'{_UNSORTED}/"À l\'attention" de $HOME; `date` & * ?.txt', "Guillemets.\n"),
        OddFile(_MODEL, "Mandat type, sous trois noms.\n", 0o664),
        *_canary_files(seed),
    )


def _canary_files(seed: int) -> tuple[OddFile, ...]:
    texts = [canary.decode() for canary in canaries(seed)]
    notes = (OddFile(f"{_SECRET}/note {text}.txt", f"Ne pas diffuser : {text}.\n", 0o640) for text in texts)
    table = "\r\n".join(["repère;lieu", *(f"{text};mairie" for text in texts)])
    mail = "From: secretariat@mairie.example\nTo: maire@mairie.example\nSubject: canaris\n\n" + "\n".join(texts) + "\n"
    return (*notes, OddFile(SHARED_BY_ACL, table, 0o660), OddFile(f"{_SECRET}/canaris.eml", mail))


def odd_paths(seed: int) -> frozenset[str]:
    """The path of every regular file that is not drawn; a change leaves them as they are."""
    return frozenset((MARKER, SPARSE, *HARD_LINKS, *(file.path for file in odd_files(seed))))


def write_sparse(path: Path, size: int) -> None:
    """A file of `size` bytes that is a hole between its first and its last block."""
    with open(path, "xb") as file:
        file.write(b"\xebDebut".ljust(4096, b"\0"))
        file.seek(max(4096, size - 4096))
        file.write(b"Fin".ljust(4096, b"\0"))


def set_attributes(root: Path) -> tuple[str, ...]:
    """Give one file extended attributes and another an access list; return the kinds that this file system refuses."""
    return tuple(
        kind
        for kind, path, name, value in (
            ("xattr", TAGGED, "user.xdg.tags", "modèle,finances".encode()),
            ("xattr", TAGGED, "user.DOSATTRIB", b"0x20\0\0\3\0"),
            ("acl", SHARED_BY_ACL, "system.posix_acl_access", _access_list()),
        )
        if not _set_attribute(root / path, name, value)
    )


def _set_attribute(path: Path, name: str, value: bytes) -> bool:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return False
        raise
    return True


def _access_list() -> bytes:
    """`user::rw-,user:65534:r--,group::rw-,mask::rw-,other::---` as the kernel stores it (linux/posix_acl_xattr.h)."""
    unnamed = 0xFFFFFFFF
    entries = ((0x01, 6, unnamed), (0x02, 4, 65534), (0x04, 6, unnamed), (0x10, 6, unnamed), (0x20, 0, unnamed))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
