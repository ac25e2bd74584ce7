"""The page of settings is the schema's: nothing in it is older than the code, and no setting is without a sentence."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from appliance.config import schema, service_schema
from appliance.config.json_schema import PARTS
from appliance_lab.pages.territory import page

PAGE = Path(__file__).parents[3] / "docs/reference/territory.md"


def test_every_part_is_on_the_page_and_every_setting_has_its_sentence() -> None:
    known = [*vars(schema).values(), *vars(service_schema).values()]
    parts = {it for it in known if isinstance(it, type) and issubclass(it, BaseModel) and it.model_fields}
    assert set(PARTS) == parts
    assert [
        f"{part.__name__}.{name}" for part in PARTS for name, it in part.model_fields.items() if not it.description
    ] == []


def test_the_page_says_what_the_schema_says() -> None:
    command = "/usr/bin/python3 -m appliance_lab.pages.territory >docs/reference/territory.md"
    assert PAGE.read_text() == page(), f"write it again: {command}"
