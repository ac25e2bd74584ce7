"""The recovery key as a person reads and types it: numbered lines, groups of four, help that names the group to check.

    1   AGE-SECRET-KEY-1
    2   P69M WRHA YA2D XCA4
    ...
    5   QK6Q ZC

No sentence here ever holds a character of the key: sentences end up in terminals, logs and support messages.
"""

from __future__ import annotations

import re

from appliance.errors import UsageError
from appliance.escrow import bech32
from appliance.escrow.age import PREFIX
from appliance.secret import Secret

GROUP = 4
LINE = 4 * GROUP
LENGTH = 58  # of what follows the prefix: 52 characters of key, 6 of checksum

_HRP = "age-secret-key-"
# People type the O of "Oscar" for a zero; these letters are in no key, so we can tell.
_LOOK_ALIKES = {"O": "0", "B": "8", "I": "L", "1": "L"}


def lines(key: Secret) -> tuple[str, ...]:
    """The lines to print, in groups; their numbers, from 1, are those that every message uses."""
    body = key.reveal().decode("ascii").removeprefix(PREFIX)
    return (PREFIX, *(_grouped(body[start : start + LINE]) for start in range(0, len(body), LINE)))


def read(typed: Secret) -> Secret:
    """The key that was typed, whatever its spaces, line breaks and case; comment lines of a key file are passed over.

    Raise UsageError, in French and English, with the line and group to look at when it cannot be a key.
    """
    if _has_numbers(typed):
        raise _misread(
            "Tapez les lignes sans les numéros de gauche.", "Type the lines without the numbers at the left."
        )
    body = _body(typed)
    for place, letter in enumerate(body):
        if letter.lower() not in bech32.CHARSET:
            raise _misread(*_unknown_letter(letter, place))
    data = [bech32.CHARSET.index(letter) for letter in body.lower()]
    if len(data) != LENGTH:
        raise _misread(*_wrong_length(data))
    places = bech32.wrong_places(_HRP, data)
    if places != ():
        raise _misread(*_wrong_characters(places))
    return Secret((PREFIX + body).encode())


def read_against(typed: Secret, key: Secret) -> Secret:
    """Like `read`, but with the true key at hand: the UsageError names every group that differs, however many."""
    body, true = _body(typed), _body(key)
    if not _has_numbers(typed) and len(body) == len(true) and body != true:
        raise _misread(*_wrong_characters([place for place in range(len(true)) if body[place] != true[place]]))
    return read(typed)


def complete(typed: Secret) -> bool:
    """Whether enough was typed to be a whole key."""
    return len(_body(typed)) >= LENGTH


def _has_numbers(typed: Secret) -> bool:
    """Whether two lines begin with a number standing alone, as printed; the key's own groups have four signs."""
    text = typed.reveal().decode("utf-8", "replace")
    return len(re.findall(r"(?m)^[ \t]*[1-5][ \t.:)]+\S", text)) > 1


def _body(typed: Secret) -> str:
    """Return the text after the prefix, upper case; the prefix itself says nothing and need not be typed, or not
    well."""
    text = typed.reveal().decode("utf-8", "replace").upper()
    letters = re.sub(r"(?m)^\s*#.*$|[\s.-]", "", text)
    prefix = PREFIX.replace("-", "")
    return letters[len(prefix) :] if len(letters) == len(prefix) + LENGTH else letters.removeprefix(prefix)


def _grouped(line: str) -> str:
    return " ".join(line[start : start + GROUP] for start in range(0, len(line), GROUP))


def _at(place: int) -> tuple[int, int]:
    """The line and the group, both from 1, of a character after the prefix, which is line 1."""
    return place // LINE + 2, place % LINE // GROUP + 1


def _misread(french: str, english: str) -> UsageError:
    return UsageError(f"{french} / {english}")


def _unknown_letter(letter: str, place: int) -> tuple[str, str]:
    line, group = _at(place)
    guess = _LOOK_ALIKES.get(letter)
    peut_etre, maybe = (f" ; sans doute {guess}", f"; it may be {guess}") if guess else ("", "")
    return (
        f"Ligne {line}, groupe {group} : « {letter} » n'est dans aucune clé{peut_etre}.",
        f'Line {line}, group {group}: "{letter}" is in no key{maybe}.',
    )


def _wrong_length(data: list[int]) -> tuple[str, str]:
    count = len(data) - LENGTH
    french = f"La clé a {len(data)} caractères après {PREFIX}, il en faut {LENGTH}"
    english = f"The key has {len(data)} characters after {PREFIX}, it needs {LENGTH}"
    finder = {-1: bech32.missing_place, 1: bech32.surplus_place}.get(count)
    place = finder(_HRP, data) if finder else None
    if place is None:
        return f"{french}.", f"{english}."
    line, group = _at(min(place, LENGTH - 1))
    manque, lacks = ("il en manque un", "one is missing") if count < 0 else ("il y en a un de trop", "one is too many")
    return f"{french} : {manque}, ligne {line}, groupe {group}.", f"{english}: {lacks} at line {line}, group {group}."


def _wrong_characters(places: list[int] | tuple[int, ...] | None) -> tuple[str, str]:
    if places is None:
        return (
            "Plus de deux caractères de la clé sont faux : relisez toutes les lignes.",
            "More than two characters of the key are wrong: read every line again.",
        )
    spots = sorted({_at(place) for place in places})
    ou = ", ".join(f"ligne {line}, groupe {group}" for line, group in spots)
    where = ", ".join(f"line {line}, group {group}" for line, group in spots)
    return f"La clé comporte une erreur ; vérifiez : {ou}.", f"A character of the key is wrong; check {where}."
