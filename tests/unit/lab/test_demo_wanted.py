"""The demo looks for a file of the user's own that can be found by its name, else for its own canary."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance_lab.checkers.tree_record import take
from appliance_lab.demo.context import DemoContext, told
from appliance_lab.demo.documents import plant_canary
from appliance_lab.demo.wanted import HITS_MAX, a_file
from appliance_lab.processes.territory import ProcessTerritory
from appliance_lab.story import Unknown
from tests.worlds.demo import INVENTORY

NAME = "compte rendu du 3 mars.txt"


def context_of(tmp_path: Path, name: str | bytes, count: int = 1, *, generated: bool = False) -> DemoContext:
    """A demo whose documents are `count` files called `name`, each in a folder of its own."""
    data = tmp_path / "data"
    for number in range(count):
        folder = data / f"{number:02}"
        folder.mkdir(parents=True)
        Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name)))).write_text("x\n")
    made = DemoContext(tmp_path, data, ProcessTerritory(tmp_path, load(INVENTORY)), generated=generated)
    made.canary = None if generated else plant_canary(tmp_path / "canary")
    made.taken = take(data, as_root=False)
    return made


def test_a_file_with_a_long_name_of_its_own_is_looked_for(tmp_path: Path) -> None:
    wanted = a_file(context_of(tmp_path, NAME))
    assert (wanted.path, wanted.name, wanted.term) == (tmp_path / f"data/00/{NAME}", f"00/{NAME}", "compte rendu")
    assert wanted.archived == f"{tmp_path}/data/00/{NAME}".lstrip("/")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("a.txt", 1, id="a_short_name"),
        pytest.param("-compte rendu du 3 mars.txt", 1, id="a_name_that_begins_as_an_option"),
        pytest.param("compte\nrendu du 3 mars.txt", 1, id="two_lines"),
        pytest.param("délibération du 3 mars.txt".encode("latin-1"), 1, id="no_utf_8"),
        pytest.param(NAME, HITS_MAX + 1, id="more_than_a_search_shows"),
    ],
)
def test_where_no_name_can_be_searched_the_canary_is(name: str | bytes, count: int, tmp_path: Path) -> None:
    context = context_of(tmp_path, name, count)
    wanted = a_file(context)
    assert wanted.path == context.canary
    assert wanted.term == wanted.name[:12]
    assert wanted.entry.sha256


def make_link(context: DemoContext) -> None:
    [file] = context.data.glob("*/*")
    os.link(file, file.with_name("another name of it.txt"))


def make_old(context: DemoContext) -> None:
    [file] = context.data.glob("*/*")
    os.utime(file, (-1.0, -1.0))


@pytest.mark.parametrize("make", [make_link, make_old])
def test_a_file_that_would_not_come_back_under_this_name_alone_is_not_looked_for(
    make: Callable[[DemoContext], None], tmp_path: Path
) -> None:
    context = context_of(tmp_path, NAME)
    make(context)
    context.taken = take(context.data, as_root=False)
    assert a_file(context).path == context.canary


def test_made_up_documents_without_any_name_are_not_played(tmp_path: Path) -> None:
    with pytest.raises(Unknown, match="no file with a name to search for"):
        a_file(context_of(tmp_path, "a.txt", generated=True))


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ((), ""),
        (("b", "a"), "; 2 left out: a, b"),
        (tuple("abcdefgh"), "; 8 left out: a, b, c, d, e and 3 more"),
    ],
)
def test_exceptions_are_counted_and_the_first_of_them_named(paths: tuple[str, ...], said: str) -> None:
    assert told(paths, "left out") == said
