"""Records: what is kept comes back the same, and a file that is not exactly that is never read in part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from appliance.errors import IntegrityError
from appliance.host.records import KEPT_AS, Record, from_plain, to_plain


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Step:
    name: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Journey:
    id: str
    steps: tuple[Step, ...] = ()
    pair: tuple[str, int] = ("", 0)
    ended: int | None = None
    last: Step | None = None
    by_name: Mapping[str, Step] = field(default_factory=dict)
    by_number: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    folder: Path = Path()
    nodes: frozenset[str] = frozenset()
    state: Literal["waiting", "done"] = "waiting"
    colour: Colour = Colour.RED
    is_whole: bool = False
    renamed: str = field(default="", metadata={KEPT_AS: "former"})


KEPT = Record(Journey, 1, "this journey cannot be read", "Remove the file.", defaults=True)
FULL = Journey(
    "a",
    (Step("é"), Step("b", 1.5)),
    ("x", 1),
    3,
    Step("c"),
    {"n": Step("d")},
    {7: (1, 2)},
    Path("/srv"),
    frozenset({"b", "a"}),
    "done",
    Colour.RED,
    True,
)


@pytest.mark.parametrize("journey", [FULL, Journey("b")], ids=["full", "defaults"])
def test_what_is_kept_comes_back_the_same(tmp_path: Path, journey: Journey) -> None:
    KEPT.save(tmp_path / "it.json", journey)
    assert KEPT.load(tmp_path / "it.json") == journey
    assert (tmp_path / "it.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "it.json").read_bytes())["format"] == 1


def test_a_record_without_a_format_has_the_fields_alone(tmp_path: Path) -> None:
    Record(Step).save(tmp_path / "it.json", Step("a", 2.0))
    assert json.loads((tmp_path / "it.json").read_bytes()) == {"name": "a", "seconds": 2.0}
    assert Record(Step).load_or(tmp_path / "it.json", Step("")) == Step("a", 2.0)


def test_a_field_that_is_not_in_the_file_has_its_default_and_a_number_may_be_whole() -> None:
    assert from_plain(Journey, {"id": "a", "steps": [{"name": "b", "seconds": 2}]}) == Journey("a", (Step("b", 2.0),))


def test_a_field_may_have_another_name_in_the_file() -> None:
    assert to_plain(Journey("a", renamed="b"))["former"] == "b"
    assert from_plain(Journey, {"id": "a", "former": "b"}) == Journey("a", renamed="b")
    with pytest.raises(ValueError, match="there is no renamed"):
        from_plain(Journey, {"id": "a", "renamed": "b"})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"format": 2}, "format"),
        ({"format": None}, "format"),
        ({"id": 7}, "a int is in place of a str"),
        ({"other": 1}, "there is no other"),
        ({"steps": [{"seconds": 1.0}]}, "missing"),
        ({"steps": {}}, "a dict is in place of a list"),
        ({"steps": [["b", 1.0]]}, "a list is in place of a dict"),
        ({"pair": ["x"]}, "shorter"),
        ({"ended": "3"}, "a str is in place of a int"),
        ({"state": "lost"}, "waiting or another such word"),
        ({"state": ["done"]}, "waiting or another such word"),
        ({"colour": "blue"}, "blue"),
        ({"by_number": {"x": [1, 2]}}, "x"),
        ({"is_whole": "yes"}, "a str is in place of a bool"),
        ({"steps": [{"name": "b", "seconds": "soon"}]}, "a str is in place of a int"),
    ],
    ids=str,
)
def test_a_file_that_is_not_exactly_one_is_an_integrity_error_and_otherwise_the_default(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    path = tmp_path / "it.json"
    path.write_text(json.dumps({"format": 1, **to_plain(FULL), **changed}))
    with pytest.raises(IntegrityError, match=why) as raised:
        KEPT.load(path)
    assert (raised.value.where, raised.value.remedy) == (str(path), "Remove the file.")
    assert raised.value.what.startswith("this journey cannot be read: ")
    assert KEPT.load_or(path, Journey("none")) == Journey("none")


@pytest.mark.parametrize("raw", [b"{}", b"[]", b'{"name": "a"}', b'{"name": "a", "seconds": 1.0, "more": 1}'])
def test_a_complete_record_has_every_field_and_no_other(raw: bytes) -> None:
    complete = Record(Step)
    assert complete.from_bytes(complete.to_bytes(Step("a"))) == Step("a")
    with pytest.raises(ValueError, match=r"."):
        complete.from_bytes(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b'"x"', b"null", b"\xff", b'{"format": 1}', b"[" * 100_000])
def test_what_is_no_record_is_an_integrity_error(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "it.json").write_bytes(raw)
    with pytest.raises(IntegrityError):
        KEPT.load(tmp_path / "it.json")
    assert KEPT.load_or(tmp_path / "it.json", FULL) is FULL


def test_no_file_is_none_and_the_default_and_a_folder_is_an_error(tmp_path: Path) -> None:
    assert KEPT.load(tmp_path / "it.json") is None
    assert KEPT.load_or(tmp_path / "it.json", FULL) is FULL
    assert KEPT.load_or(tmp_path, FULL) is FULL
    with pytest.raises(IsADirectoryError):
        KEPT.load(tmp_path)


def test_what_is_wrong_is_named_without_its_value(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text('{"format": 1, "id": ["a secret"]}')
    with pytest.raises(IntegrityError) as raised:
        KEPT.load(tmp_path / "it.json")
    assert "secret" not in str(raised.value)
