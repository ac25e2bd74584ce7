"""The statements that psql gets of the roles in a backup; pure.

pg_dumpall writes them as plain SQL, and psql obeys lines of its own in it, such as `\\! command`. So nothing passes on
as it came: statements are taken apart as far as pg_dumpall writes them, and put together again from their words.
Anything else in it is refused, above all each place that psql could read in another way than we: a backslash that is
not doubled inside E'...', a comment of C, dollar quotes, bytes of an encoding in which a quote can be half a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from appliance.errors import IntegrityError

ROLES = "roles.sql"
_OURS = b"SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n"
_TOKEN = re.compile(
    r"""
    (?P<skipped> --[^\n\r]* | [ \t\r\n]+ | ^\\(?:un)?restrict[ ]\w+$ )
    | (?P<word> E'(?:[^'\\]|''|\\\\)*' | '(?:[^'\\]|'')*' | "(?:[^"]|"")*" | \w+ | [,()=.] | -(?!-) )
    | (?P<end> ; )
    """,
    re.VERBOSE | re.MULTILINE,
)
_Words = Sequence[str]


def roles_to_make(statements: bytes, existing: frozenset[str]) -> bytes:
    """The `statements` of pg_dumpall about roles but those about `existing` ones, whose rights and passwords stay.

    Settings of the session are ours, and tablespaces stay behind. Raise IntegrityError for anything else.
    """
    try:
        text = statements.decode()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{ROLES} is not UTF-8.", remedy="Make another backup with this version.") from error
    wanted = (words for words, role in _about_roles(text) if role and _plain(role) not in existing)
    return _OURS + "".join(f"{' '.join(words)} ;\n" for words in wanted).encode()


def _about_roles(text: str) -> Iterator[tuple[_Words, str]]:
    """Each statement, as its words, with the role that it is about: "" where it is about none."""
    for words, line in _statements(text):
        try:
            yield words, _role(words)
        except (IndexError, ValueError):
            raise _strange(line) from None


def _role(words: _Words) -> str:
    """Raise IndexError or ValueError when `words` are no statement of pg_dumpall's."""
    match words:
        case ("CREATE" | "ALTER", "ROLE", *rest) | ("COMMENT", "ON", "ROLE", *rest):
            return rest[0]
        case ("SET", *_) | ("CREATE" | "ALTER", "TABLESPACE", *_) | ("COMMENT", "ON", "TABLESPACE", *_):
            return ""
        case ("GRANT", *_) if "TABLESPACE" in words:
            return ""
        case ("GRANT", *_):
            return words[words.index("TO") + 1]
        case ("SECURITY", "LABEL", *_):
            return words[words.index("ROLE") + 1]
    raise ValueError


def _statements(text: str) -> Iterator[tuple[_Words, int]]:
    """The words of each statement, and the line in which it ends."""
    words: list[str] = []
    at, line = 0, 1
    while at < len(text):
        if not (found := _TOKEN.match(text, at)):
            raise _strange(line)
        at, line = found.end(), line + found[0].count("\n")
        if found["word"]:
            words.append(found["word"])
        elif found["end"] and words:
            yield tuple(words), line
            words = []
    if words:
        raise _strange(line)


def _strange(line: int) -> IntegrityError:
    return IntegrityError(
        f"{ROLES} is not output of pg_dumpall, at line {line}, and nothing of it was run.",
        remedy="Find out what could write to the backup's source. An older backup may be good.",
    )


def _plain(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier
