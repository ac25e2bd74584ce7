"""How a name is looked for: without accents or case, three letters at a time; pure.

The index is SQLite's FTS5 with the trigram tokenizer and detail=none, a third of the size of a full index. It refuses
phrases, so a word becomes the AND of its groups of three letters, and the few paths found are then looked through for
the word itself. A word of fewer than three letters has no group ("permis de construire"): it is only looked for
afterwards.
"""

from __future__ import annotations

import re
import unicodedata

GRAM = 3
_NO_NAME = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
_SPELLED_OUT = str.maketrans({"œ": "oe", "æ": "ae", "’": "'", "ø": "o", "ł": "l"})


def normal_form(text: str) -> str:
    """`text` in lower case without accents; bytes that were not UTF-8 become U+FFFD."""
    readable = text.encode(errors="surrogateescape").decode(errors="replace")
    letters = unicodedata.normalize("NFKD", readable.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(_SPELLED_OUT)


def words_of(term: str) -> tuple[str, ...]:
    """The words that must all occur, in any order; whatever somebody typed, what no name can hold parts words."""
    return tuple(normal_form(_NO_NAME.sub(" ", term)).split())


def match_expression(words: tuple[str, ...]) -> str:
    """The FTS5 query of `words`; "" when all of them are too short for the index."""
    grams = {word[start : start + GRAM] for word in words for start in range(len(word) - GRAM + 1)}
    return " AND ".join('"{}"'.format(gram.replace('"', '""')) for gram in sorted(grams))
