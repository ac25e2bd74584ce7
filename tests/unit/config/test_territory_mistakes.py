"""Every mistake of tests/cases/territory: one line each, with the line of the file, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.config.explain import InvalidFile
from appliance.config.load import BYTES_MAX, load, parse
from appliance.errors import Forbidden, NotFound, UsageError

CASES = Path(__file__).parents[2] / "cases" / "territory"
GOOD = (CASES / "good.yml").read_text("utf-8")
TABLES = ("shape", "references", "domains", "syntax")


def cases() -> list[Any]:
    found = []
    for table in TABLES:
        for case in yaml.safe_load((CASES / f"{table}.yml").read_text("utf-8")):
            found.append(pytest.param(case["change"], case["say"], id=case["name"].replace(" ", "_")))
    return found


def mistakes(raw: bytes) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        parse(raw, name="territory.yml")
    assert caught.value.exit_code == UsageError.exit_code
    lines = str(caught.value).splitlines()
    if lines[1:]:
        assert lines.pop(0) == f"{len(lines)} mistakes in territory.yml:"
    return lines


@pytest.mark.parametrize(("change", "say"), cases())
def test_a_mistake_is_said_in_one_clear_line(change: list[list[str]], say: list[str]) -> None:
    text = GOOD
    for old, new in change:
        assert text.count(old) == 1, f"{old!r} must stand once in good.yml"
        text = text.replace(old, new)
    assert mistakes(text.encode()) == say


def test_mistakes_of_different_parts_are_all_said_at_once() -> None:
    text = GOOD.replace("kind: flood,", "kind: wave,").replace("address: 10.0.0.2", "address: 10.0.0.1")
    text = text.replace("size: 20G", "size: many").replace("sites: [tracy]", "sites: [traci]")
    lines = [line.split("  ")[0] for line in mistakes(text.encode())]
    assert lines == ["territory.yml:8", "territory.yml:28", "territory.yml:49", "territory.yml:57"]


@pytest.mark.parametrize(
    ("raw", "say"),
    [
        (b"", "territory.yml:1  is empty."),
        (b"# only a comment\n", "territory.yml:1  is empty."),
        (b"- a\n- b\n", "territory.yml:1  must be a mapping that starts with territory:"),
        (
            b"territory:\n  name: a\n  title: Vall\xe9e\n",
            "territory.yml:3  is not UTF-8 (byte 0xe9); save the file as UTF-8.",
        ),
        (b"\x00", "territory.yml:1  is not YAML: "),
        (b"#" * (BYTES_MAX + 1), "territory.yml:1  is larger than 1 MiB; this is not a territory."),
        (b"[" * 100_000, "territory.yml:1  [0][0]: is nested deeper than 12 levels."),
    ],
    ids=["empty", "comment", "list", "latin-1", "nul", "large", "brackets"],
)
def test_what_is_no_such_file_at_all_is_said_in_one_line(raw: bytes, say: str) -> None:
    (line,) = mistakes(raw)
    assert line.startswith(say)


def test_a_few_lines_of_aliases_are_refused_before_they_make_gigabytes() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    lines = mistakes(bomb.encode())
    assert len(lines) == 72
    assert all("uses an alias" in line for line in lines)


def test_a_number_too_long_for_any_float_is_refused() -> None:
    (line,) = mistakes(GOOD.replace("size: 80G", f"size: {'9' * 400}G").encode())
    assert line.endswith("is larger than any disk or age.")


def test_a_territory_without_nodes_is_refused() -> None:
    text = "territory: {name: x, title: X}\nlinks: {}\nsites:\n"
    assert mistakes(text.encode()) == ["territory.yml:3  sites: describes no node."]


def test_a_missing_file_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"Name a folder with a territory\.yml"):
        load(tmp_path)
    (tmp_path / "territory.yml").mkdir()
    with pytest.raises(NotFound, match=r"Name a folder with a territory\.yml"):
        load(tmp_path)


def test_an_unreadable_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError

    # The tests may run as root, which may read everything.
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(Forbidden, match="cannot read"):
        load(tmp_path / "territory.yml")
