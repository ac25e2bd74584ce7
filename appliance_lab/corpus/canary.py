"""Strings that exist nowhere else, in plain text and in names: a test looks for them on the disk of a blind peer."""

from __future__ import annotations

from appliance_lab.corpus.draw import Draw

_WORDS = ("Lefevre", "cadastre", "naissance", "urbanisme", "cantine", "budget", "divorce", "obseques")


def canaries(seed: int) -> tuple[bytes, ...]:
    """The eight canaries of a corpus of `seed`, ASCII so that quoted-printable leaves them alone.

    Each is in the content of at least three files that are neither compressed nor encoded, and in a file's name.
    """
    draw = Draw("canaries", seed)
    return tuple(f"canari-{word}-{draw.below(2**48):012x}".encode() for word in _WORDS)
