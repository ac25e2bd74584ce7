from __future__ import annotations

import pytest

from appliance.errors import ApplianceError, IntegrityError


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ApplianceError("no grant yet."), "no grant yet."),
        (ApplianceError("unknown zone.", where="territory.yml:14"), "territory.yml:14: unknown zone."),
        (ApplianceError("no grant yet.", remedy="Ask for one."), "no grant yet. Ask for one."),
        (IntegrityError("hash differs.", where="data/0/7", remedy="Fetch it."), "data/0/7: hash differs. Fetch it."),
    ],
)
def test_an_error_says_where_what_and_what_to_do_next(error: ApplianceError, sentence: str) -> None:
    assert str(error) == sentence
