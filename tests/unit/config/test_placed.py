"""Copies that find no room are told with the line of their service, or of the node whose own service it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.placement_errors import quota_places, with_lines_of
from appliance.territory.placement import Infeasible

GOOD = Path(__file__).parents[2] / "cases" / "territory" / "good.yml"


@pytest.mark.parametrize(
    ("service", "where"),
    [("docs-attichy", "35  services > docs-attichy"), ("appliance-tracy", "28  sites > tracy > nodes[0]")],
)
def test_it_stands_at_its_line(service: str, where: str) -> None:
    with pytest.raises(Infeasible) as caught, with_lines_of(GOOD):
        raise Infeasible(service, "2 copies are requested, only 1 can be placed.", ())
    assert str(caught.value).startswith(f"{GOOD}:{where}: 2 copies")
    with pytest.raises(Infeasible) as caught, with_lines_of(GOOD, name="territory.yml"):
        raise Infeasible(service, "2 copies are requested, only 1 can be placed.", ())
    assert caught.value.where == f"territory.yml:{where}"


def test_a_quota_of_a_renamed_service_is_told_at_its_line(tmp_path: Path) -> None:
    """Plans have the service under its first name."""
    text = GOOD.read_text("utf-8")
    entry = "  docs-attichy:\n"
    assert entry in text
    (tmp_path / "territory.yml").write_text(text.replace(entry, "  papers:\n    was: docs-attichy\n    quota: 3T\n"))
    assert quota_places(tmp_path, name="territory.yml")["docs-attichy"].endswith("  services > papers > quota")
