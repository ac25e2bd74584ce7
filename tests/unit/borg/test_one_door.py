"""Only `borg/client.py` extracts archives, since it examines them first; every other module goes through it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import appliance

ROOT = Path(appliance.__file__).parents[1]
BESIDES_US = frozenset(f"appliance_lab/{it}.py" for it in ("bench/restoring", "bench/rival", "demo/attacker"))
"""They run a plain borg, to be measured beside it or to attack with it, on repositories that they made themselves."""


MAY_NAME_IT = re.compile(rb"borg[\"']|argv\.extract")


@cache
def nodes() -> tuple[tuple[str, ast.AST], ...]:
    """Each node of our code that a test here looks at, with the name of its module."""
    paths = sorted((*ROOT.glob("appliance/**/*.py"), *ROOT.glob("appliance_lab/**/*.py")))
    return tuple(
        (str(path.relative_to(ROOT)), node)
        for path in paths
        if MAY_NAME_IT.search(text := path.read_bytes())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Tuple | ast.List | ast.Attribute)
    )


def test_only_argv_names_the_program_with_a_verb() -> None:
    found = {
        name
        for name, node in nodes()
        if isinstance(node, ast.Tuple | ast.List)
        and any(isinstance(it, ast.Constant) and str(it.value).rpartition("/")[2] == "borg" for it in node.elts)
        and "--version" not in ast.unparse(node)
        and "serve" not in ast.unparse(node)
    }
    assert found - BESIDES_US == {"appliance/borg/argv.py"}


def test_only_the_client_makes_the_words_of_an_extraction() -> None:
    made = {"extract", "extract_to_stdout"}
    found = {
        name
        for name, node in nodes()
        if isinstance(node, ast.Attribute) and node.attr in made and ast.unparse(node.value) == "argv"
    }
    assert found == {"appliance/borg/client.py"}


def test_in_the_client_each_extraction_stands_in_a_verb_that_examines_or_follows_one() -> None:
    tree = ast.parse((ROOT / "appliance/borg/client.py").read_bytes())
    calls = {
        function.name: ast.unparse(function)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and "argv.extract(" in ast.unparse(function)
    }
    assert set(calls) == {"extract", "extract_only", "_finish_root"}
    for name in ("extract", "extract_only"):
        words = calls[name]
        assert words.index("self.examined(") < words.index("argv.extract("), name
        assert words.index("check_way(") < words.index("argv.extract("), name
    callers = [it for it in ast.walk(tree) if isinstance(it, ast.FunctionDef) and "._finish_root(" in ast.unparse(it)]
    assert [it.name for it in callers] == ["extract"]
