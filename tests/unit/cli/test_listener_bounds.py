"""The page of bounds is what the code says, and the hostile clients that it names are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance_lab.pages.listener_bounds import CELLS, LISTENERS, Listener, page

ROOT = Path(__file__).parents[3]


def test_what_is_committed_is_what_the_code_says() -> None:
    assert (ROOT / "docs/reference/listener-bounds.md").read_text() == page(), "make docs"


@pytest.mark.parametrize("tried", sorted({bound.tried for it in LISTENERS for bound in it.bounds}))
def test_each_hostile_client_that_the_page_names_is_there(tried: str) -> None:
    file, name = tried.split("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("it", LISTENERS, ids=lambda it: it.name)
def test_no_bound_is_missing(it: Listener) -> None:
    assert len(it.bounds) == len(CELLS)
    assert all(bound.says for bound in it.bounds)
