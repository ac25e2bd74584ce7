"""The line that a restore says to type next opens the same as the line that was typed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli.restore.options import typed_source
from appliance.cli.restore.source import service_of
from appliance.config.load import load
from appliance.errors import UsageError
from tests.worlds.demo import INVENTORY, signed_territory


@pytest.mark.parametrize(
    ("source", "paper", "words"),
    [
        ("auto", False, ()),
        ("generation:2.7", False, ("--from", "generation:2.7")),
        ("auto", True, ("--recovery-sheet",)),
        ("peer:commune-b", True, ("--from", "peer:commune-b", "--recovery-sheet")),
    ],
)
def test_the_source_and_the_paper_are_typed_again(source: str, paper: bool, words: tuple[str, ...]) -> None:
    assert typed_source(source, paper=paper) == words


def test_a_path_names_its_service_where_a_node_may_open_several(tmp_path: Path) -> None:
    plan = load(INVENTORY)
    first = replace(plan.services["docs-a"], paths=("/srv/docs-a",))
    others = {
        "archives": replace(first, name="archives", paths=("/srv/archives", "/srv/docs-a-old")),
        "inner": replace(first, name="inner", paths=("/srv/archives/inner",)),
    }
    territory = signed_territory(tmp_path / "t", replace(plan, services={"docs-a": first, **others}))
    node = territory.open("commune-a")
    assert [service_of(node, path) for path in ("srv/docs-a/a.odt", "/srv/docs-a/", "srv/docs-a-old/b.odt")] == [
        "docs-a",
        "docs-a",
        "archives",
    ]
    for path in ("srv/archives/inner/c.odt", "srv/elsewhere", "srv"):
        with pytest.raises(UsageError, match="no service was named") as refused:
            service_of(node, path)
        assert "known: archives, docs-a, inner" in refused.value.remedy
