"""JSON of others that nothing here can use is refused where it enters."""

from __future__ import annotations

import pytest

from appliance import strict_json


@pytest.mark.parametrize(
    "raw", ['"\\ud800"', '{"\\ud800": 1}', '[["\\udfff"]]', "1e999", "[-1e999]", "NaN", "Infinity", "\xff"]
)
def test_what_cannot_be_used_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        strict_json.loads(raw.encode("latin-1"))


@pytest.mark.parametrize(
    ("raw", "value"), [('"\\ud83d\\ude00"', "\N{GRINNING FACE}"), ("1e3", 1000.0), ("[1, 2.5]", [1, 2.5])]
)
def test_what_can_be_used_is_read(raw: str, value: object) -> None:
    assert strict_json.loads(raw) == value
