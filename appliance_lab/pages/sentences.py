"""The sentences in the code that `status` and `doctor` print and their French lacks, as entries for its catalogue:

    /usr/bin/python3 -m appliance_lab.pages.sentences >>appliance/locale/fr/LC_MESSAGES/status.po

Each place of a value is printed as {}: who translates writes the kind of the value there, such as {name} or {age}
(`appliance/cli/language/values.py`), and the whole sentence where the code puts it together of parts.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from appliance.cli.language.catalogue import catalogue
from appliance.cli.language.choice import FRENCH
from appliance.cli.language.sentences import PLACE
from appliance_lab.pages.translations import entry

PACKAGE = Path(__file__).parents[2] / "appliance"
OF_STATUS = (
    *(f"cli/status/{name}.py" for name in ("text", "doctor", "status")),
    "cli/this_status.py",
    *(f"monitor/{name}.py" for name in ("checks", "credentials", "failover", "held", "partial", "shrink_check")),
    *(f"monitor/{name}.py" for name in ("states", "status", "unended", "view", "written")),
    *("agent/letters.py", "agent/machine.py", "voter/checks.py", "host/disks/health.py"),
    *("backup/chain/orphaned_generations.py", "backup/chain/rollback.py", "backup/peers/elsewhere.py"),
)
"""The modules whose sentences they print."""
OF_FINISHED: Mapping[str, tuple[str, ...]] = {
    "node init": ("cli/node/init.py",),
    "node accept": ("cli/node/bundle.py",),
    "backup begin": ("cli/backup/begin.py",),
    "backup accept": ("cli/backup/begin.py",),
    "territory sign": ("cli/territory/sign.py",),
    "territory grant": ("cli/territory/grant.py", "cli/territory/again.py", "cli/confirm.py"),
    **dict.fromkeys(
        ("failover move", "failover handback", "failover evacuate", "failover pause"),
        ("cli/failover/move.py", "cli/failover/store.py", "failover/moving.py"),
    ),
}
"""The modules of the commands that speak French throughout (`appliance/cli/language/spoken.py: FINISHED`)."""
OF_ERRORS = ("failover/moving.py",)
"""The modules whose errors are in French, as far as functions that raise them write them."""
_GAP = "{}"
_COMMAND = re.compile(r"`[^`]+`|^ *(appliance|rm|ansible-playbook) .*")
_WORD = re.compile("[a-z]{2}")


def shape(text: str) -> str:
    """`text` with all of its values, and the commands in it, as {}."""
    return _COMMAND.sub(_GAP, PLACE.sub(_GAP, text))


def texts_of(module: Path) -> Iterator[str]:
    """The shape of each text in `module` with several words, or one beside a value: also of those in the values of an
    f-string, and of no docstring."""
    yield from _texts_in(ast.parse(module.read_text()))


def errors_of(module: Path) -> Iterator[str]:
    """The same of the functions in `module` that raise something."""
    functions = [it for it in ast.walk(ast.parse(module.read_text())) if isinstance(it, ast.FunctionDef)]
    for function in functions:
        if any(isinstance(it, ast.Raise) for it in ast.walk(function)):
            yield from _texts_in(function)


def _texts_in(tree: ast.AST) -> Iterator[str]:
    parts = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr)}
    parts |= {id(part) for it in ast.walk(tree) if isinstance(it, ast.JoinedStr) for part in it.values}
    said = (shape(_said(node)) for node in ast.walk(tree) if id(node) not in parts)
    yield from (text.strip(" ,;") for text in said if " " in text and _WORD.search(text))


def _said(node: ast.AST) -> str:
    """The text of a string, {} for each value in it; "" for anything else."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_said(it) if isinstance(it, ast.Constant) else _GAP for it in values)
    return ""


def lacking(
    modules: Iterable[str], language: str, texts: Callable[[Path], Iterator[str]] = texts_of
) -> Iterator[tuple[str, str]]:
    """(module, shape) of each text that no entry of the catalogue has, whole or as a part."""
    known = [*map(shape, catalogue(language))]
    for module in modules:
        for text in dict.fromkeys(texts(PACKAGE / module)):
            words = text.split(_GAP)
            if not any(all(it in entry for it in words) for entry in known):
                yield module, text


if __name__ == "__main__":
    sys.stdout.write("\n".join(f"#. {module}\n{entry(it)}" for module, it in lacking(OF_STATUS, FRENCH)))
