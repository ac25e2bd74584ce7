"""Words and idioms that our sentences avoid, and their replacements, by docs/GLOSSARY.md and plain English.

Pages are read for words and idioms, code for idioms, docstrings and comments of our packages also for the few words of
IN_COMMENTS. Text between backticks is code: names on the wire and in files keep their words. LEFT counts by folder what
is still there. A count may only fall, and a folder without a count has none. To lower LEFT:
python3 -m tests.unit.test_words prints it.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.unit.repository import files, folder, name

# A pattern, read without case and between word boundaries; and what to write instead.
IDIOMS = {
    r"whoever|whomever": "the person who, a node that",
    r"(?<!--kill-)whom": "the name of the person or node, or that",
    r"anew": "again, or start over",
    r"in vain": "without an answer, or it failed",
    r"without a word": "without output",
    r"(?:this|that|it|which) is no (?!longer|more)": "is not a (valid) ...",
    r"(?:ends?|ended) with \d": "exits with N",
    r"shall": "must, or will",
    r"strangers?": "attacker, or an unknown node",
    r"(?:is|are|was|were) led to": "routed to",
    r"born": "made, created",
}
WORDS = {
    r"papers|(?<!on )the paper": "signed documents, or the recovery sheet",
    r"tidy|tidies|tidied|tidying|thin|thins|thinned|thinning": "prune",
    r"mend|mends|mended|mending": "repair",
    r"lay|lays|laid|laying": "put in place, prepare",
    r"doors?": "port, listener, sign-in or page",
    r"hands": "privileged helper, or keys",
    r"at hand": "on this machine, available",
    r"(?<!lease\s)(?<!key\s)holders?": "lease holder, or replica node",
    r"homes?(?! director)": "origin",
    r"desk|wishes|crew|robbed|outdone|sick|seats?": "the word of docs/GLOSSARY.md",
    r"(?:is|are|was|were) told": "is reported, is shown",
    r"bends?|bent|bending": "early pruning",
    r"relieved": "former replica",
    r"stakes?": "the cost of a takeover",
    r"(?-i:(?<=[.\n][ \n])(?:Who|What)(?= )(?![^.|]*\?))": "a subject that is a thing: the file that, the node that",
}
# Words of docstrings and comments; "home", "hands" and the like wait until their identifiers have gone.
IN_COMMENTS = {
    r"papers": "signed documents",
    r"seats?": "session slot",
    r"told on": "propagated",
    r"(?:live|lives|lived) by": "in force on",
    r"(?:go|goes) home": "handback",
    r"emptying": "being removed",
    r"heirs?": "spare, target or successor",
    r"hurried": "urgent",
    r"rotten": "corrupt",
    r"mend|mends|mended|mending": "repair",
    r"doors?": "listener, access or proxy",
    r"attend|attends|attended": "heartbeat",
}
LEFT = {
    "tests": 1,
}
NOT_PROSE = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)\s]*\)|^ {4}.*$", re.DOTALL | re.MULTILINE)
# Records are history, the glossary names the old words, French has words of its own, four pages come from code.
UNREAD = re.compile(
    r"docs/(decisions/|results/data/|fr/|runbooks/|GLOSSARY|reference/(commands|failover|limits|territory))"
    r"|.*/assets/|debian/copyright|LICENSE|tests/unit/test_(docstrings|words)"
)
KINDS = (".md", ".yml", ".rules", ".py", ".service", ".socket", ".timer", ".path", ".sh", "Makefile")


def test_old_words_become_fewer_and_never_more() -> None:
    assert len(read()) > 500
    more = {where: count for where, count in today().items() if count > LEFT.get(where, 0)}
    shown = [line for path in read() if folder(path) in more for line in lines(path)]
    assert more == {}, "\n".join(["more than LEFT allows; one of these is new:", *shown])


def test_a_forbidden_word_is_named_with_its_line_and_what_to_write() -> None:
    page = "# Words\n\nThe command\nends with 4, and `shall` is code. The lease holder is the word.\n"
    assert list(found_in(prose(page), IDIOMS | WORDS)) == [(4, "ends with 4", "exits with N")]


def test_docstrings_and_comments_have_the_words_of_the_field() -> None:
    found = [
        f"{name(path)}:{number}: {word!r}: write {instead}"
        for path in read()
        if path.suffix == ".py" and name(path).startswith(("appliance/", "appliance_lab/"))
        for number, word, instead in found_in_comments(path.read_text())
    ]
    assert found == [], "\n".join(found)


def test_words_of_comments_are_found_apart_from_names_in_code() -> None:
    code = '"""It takes papers, and `papers` is code."""\nsend(papers="doors")  # at the door\n'
    assert [(number, word) for number, word, _ in found_in_comments(code)] == [(1, "papers"), (2, "door")]


@cache
def read() -> tuple[Path, ...]:
    return tuple(path for path in files() if path.name.endswith(KINDS) and not UNREAD.match(name(path)))


def prose(text: str) -> str:
    return NOT_PROSE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)


def found_in(text: str, words: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    for match in re.finditer(rf"\b(?:{'|'.join(f'({word})' for word in words)})(?!\w)", text, re.IGNORECASE):
        yield text.count("\n", 0, match.start()) + 1, match[0].strip(), [*words.values()][(match.lastindex or 1) - 1]


def found_in_comments(code: str) -> Iterator[tuple[int, str, str]]:
    if next(found_in(code, IN_COMMENTS), None):  # most have none, and parsing costs
        for start, text in comments(code):
            for number, word, instead in found_in(prose(text), IN_COMMENTS):
                yield start + number - 1, word, instead


def comments(code: str) -> Iterator[tuple[int, str]]:
    """The docstrings and comments of `code`, each with its first line."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, inspect.cleandoc(text)
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@cache
def lines(path: Path) -> list[str]:
    text = path.read_text()
    found = found_in(prose(text), IDIOMS | WORDS) if path.suffix == ".md" else found_in(text, IDIOMS)
    return [f"{name(path)}:{number}: {word!r}: write {instead}" for number, word, instead in found]


def today() -> dict[str, int]:
    return dict(sorted(Counter(folder(path) for path in read() for _ in lines(path)).items()))


if __name__ == "__main__":
    print("LEFT = {", *(f'    "{where}": {count},' for where, count in today().items()), "}", sep="\n")
