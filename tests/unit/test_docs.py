"""Pages say what is there: each file, function, test, make target, variable and verb that a page names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from appliance.backup.vault import access
from appliance.backup.vault.session import VERBS
from appliance.voter import broker
from tests.unit.repository import modules, name

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "appliance/README.md"])
NAMED_IN_CODE = re.compile(r"`([a-z_/]+\.py): ([A-Za-z_.]+(?:, [A-Za-z_.]+)*)`")
NAMED_IN_DOCSTRING = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.py)(?:: ([A-Za-z_.]+(?:, [A-Za-z_.]+)*))?`")
NAMED_TEST = re.compile(r"`(tests/[a-z_0-9/]+\.py)::(\w+)`")
NAMED_FILE = re.compile(r"`((?:appliance|appliance_lab|docs|tests|inventory|packages|scripts)/[\w./-]*(?:/|\.\w+))`")
MAKE_TARGET = re.compile(r"(?:^ {4}|`)make ([a-z]+)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s:]+)")
GLOSSARY_ROW = re.compile(r"^(\|(?: [^|]+ \|){4} [^|]*\|)$", re.MULTILINE)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
VARIABLE = re.compile(r"\bAPPLIANCE_[A-Z_]+\b")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_every_function_that_the_page_names_is_in_its_file(page: Path) -> None:
    missing = [
        f"{file}: {name}"
        for file, names in NAMED_IN_CODE.findall(page.read_text())
        for name in names.split(", ")
        if name not in defined(ROOT / file if file.startswith("appliance_lab/") else ROOT / "appliance" / file)
    ]
    assert missing == []


@every_page
def test_every_test_that_the_page_names_is_in_its_file(page: Path) -> None:
    named = NAMED_TEST.findall(page.read_text())
    assert [f"{file}::{name}" for file, name in named if name not in defined(ROOT / file)] == []


@every_page
def test_every_file_that_the_page_names_exists(page: Path) -> None:
    assert [name for name in NAMED_FILE.findall(page.read_text()) if not (ROOT / name).exists()] == []


def test_every_file_that_the_page_of_tests_names_exists() -> None:
    named = re.findall(
        r"`((?:unit|integration|stories|worlds|cases|golden)/[\w./-]*)`", (ROOT / "tests/README.md").read_text()
    )
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []


@every_page
def test_every_make_target_that_the_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+)(?:-%)?:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [name for name in MAKE_TARGET.findall(page.read_text()) if name not in targets] == []


def test_every_file_and_function_that_a_docstring_names_exists() -> None:
    """A docstring names a file from its own folder, from its package, or from `appliance/`."""
    missing = [
        f"{name(path)}: {file} {named}".rstrip()
        for path in modules("appliance", "appliance_lab")
        for text in docstrings(path.read_text())
        for file, names in NAMED_IN_DOCSTRING.findall(" ".join(text.split()))
        for named in names.split(", ")
        if not _is_there(path, file, named)
    ]
    assert missing == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        for target in LINK.findall(page.read_text()):
            found = (page.parent / target).resolve()
            waiting += sorted(found.glob("*.md")) if found.is_dir() else [found]
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 650


@pytest.mark.parametrize(
    ("index", "listed"),
    [
        ("docs", ["docs/*.md", "docs/how-to/*.md", "docs/fr/*.md", "docs/reference/*.md", "docs/architecture/*.md"]),
        ("docs/decisions", ["docs/decisions/*.md"]),
        ("docs/results", ["docs/results/*.md"]),
    ],
)
def test_an_index_has_every_page_exactly_once(index: str, listed: list[str]) -> None:
    page = ROOT / index / "README.md"
    linked = [(page.parent / target).resolve() for target in LINK.findall(page.read_text())]
    expected = {path for pattern in listed for path in ROOT.glob(pattern)} - {page}
    assert len(expected) > 15
    assert {path: linked.count(path) for path in expected if linked.count(path) != 1} == {}


def test_the_glossary_gives_each_word_and_each_french_term_to_one_idea() -> None:
    rows = glossary()
    assert len(rows) > 90
    assert [row for row in rows if not all(row[:4])] == []
    for column in (0, 2):
        words = [row[column] for row in rows]
        assert [word for word in words if words.count(word) > 1] == []


def test_what_the_glossary_says_of_the_code_of_today_is_so() -> None:
    code = [*ROOT.glob("appliance*/**/*.py"), ROOT / "docs/reference/commands.md"]
    text = " ".join([str(path) for path in code] + [path.read_text() for path in code])
    named = [name for row in glossary() for name in re.findall(r"`([^`]+)`", row[4])]
    assert len(list(glossary())) > 50
    assert [name for name in named if name not in text] == []


def test_the_pages_of_results_stay_few() -> None:
    pages = list(ROOT.glob("docs/results/*.md"))
    assert len(pages) <= 24, "put the figures of a dated page into the page of their subject"


def test_every_variable_that_a_person_may_set_is_on_a_page() -> None:
    known = {name for file in ROOT.glob("appliance*/**/*.py") for name in VARIABLE.findall(file.read_text())}
    told = {name for page in PAGES for name in VARIABLE.findall(page.read_text())}
    # _APPLIANCE_COMPLETE is between click and the completion scripts.
    assert known - told - {"APPLIANCE_COMPLETE"} == set()


def test_each_row_of_the_security_page_that_promises_something_names_a_test_of_it() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    promises = text[text.index("## Promises") : text.index("## What is not promised")]
    rows = [
        line
        for line in promises.splitlines()
        if line.startswith("| ") and not line.startswith(("| | ", "| who | ", "| ---"))
    ]
    assert len(rows) > 20
    assert [row.split("|")[1].strip() for row in rows if not NAMED_TEST.search(row)] == []


def test_the_page_of_the_vault_gives_each_caller_the_verbs_that_the_code_gives() -> None:
    text = (ROOT / "docs/architecture/vault.md").read_text()
    rows = re.findall(r"^\| (origin|writer|standby|replica|node)\b[^|]*\| (`head`[^|]*) \|$", text, re.MULTILINE)
    told = {caller: frozenset(re.findall(r"`([a-z-]+)`", verbs)) for caller, verbs in rows}
    assert told == {
        "origin": access.ORIGIN | access.WRITER,
        "writer": access.WRITER,
        "standby": access.STANDBY,
        "replica": access.REPLICA_NODE,
        "node": access.MONITOR,
    }
    assert frozenset().union(*told.values()) == set(VERBS)


def test_the_page_of_coordination_gives_each_node_the_verbs_that_a_broker_gives() -> None:
    text = (ROOT / "docs/architecture/coordination.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| (`read`[^|]*) \|$", text, re.MULTILINE)
    told = [frozenset(re.findall(r"`([a-z]+)`", verbs)) for verbs in rows]
    assert told == [broker.CANDIDATE, broker.MEMBER, broker.QUARANTINED]
    assert broker.CANDIDATE == broker.VERBS


def glossary() -> list[list[str]]:
    """The five cells of each row: word, term, French, meaning, name in the code of today."""
    found = GLOSSARY_ROW.findall((ROOT / "docs/GLOSSARY.md").read_text())
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in found]
    return [row for row in rows if row[0] not in {"word", "---"}]


@cache
def defined(file: Path) -> frozenset[str]:
    """The functions, classes, methods (Class.method) and constants of a module; nothing when it does not exist."""
    if not file.is_file():
        return frozenset()
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                names |= {name, *(f"{name}.{part.name}" for part in body if isinstance(part, FUNCTION))}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return frozenset(names)


def docstrings(code: str) -> list[str]:
    """The docstrings in `code`, and the strings below attributes; nothing is parsed where no file is named."""
    if ".py`" not in code and ".py: " not in code:
        return []
    found = (node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Expr))
    return [it.value for it in found if isinstance(it, ast.Constant) and isinstance(it.value, str)]


def _is_there(module: Path, file: str, named: str) -> bool:
    package = ROOT.joinpath(*module.relative_to(ROOT).parts[:2])
    files = [it for folder in (module.parent, package, ROOT / "appliance", ROOT) if (it := folder / file).is_file()]
    return bool(files) and (not named or any(named in defined(it) for it in files))
