"""`make test` plays something of every promise of the README."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TABLE = yaml.safe_load((ROOT / "tests/promises.yml").read_text())


def test_every_promise_of_the_readme_has_tests_that_exist() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    section = (ROOT / "README.md").read_text().split("## What it does")[1].split("##")[0]
    promises = [" ".join(it.split()) for it in re.findall(r"^- (.*?)(?=^- |\n\n)", section, re.MULTILINE | re.DOTALL)]
    assert len(promises) > 5
    assert [it for it in promises if not any(row["promise"] in it for row in TABLE)] == []
    assert [row["promise"] for row in TABLE if row["promise"] not in text] == []


def test_its_tests_exist_once() -> None:
    named = [test for row in TABLE for test in row["tests"]]
    assert len(named) == len({*named})
    for test in named:
        file, _, function = test.partition("::")
        assert (ROOT / file).is_file(), file
        assert not function or f"def {function.partition('[')[0]}(" in (ROOT / file).read_text(), test
