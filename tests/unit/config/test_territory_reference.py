"""The page of settings is the schema's: nothing in it is older than the code, and no setting is without a sentence."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from appliance.config import schema
from appliance.config.meanings import MEANINGS, SECTIONS
from appliance_lab.pages.territory import page

PAGE = Path(__file__).parents[3] / "docs/reference/territory.md"


def test_every_setting_has_its_sentence_and_no_sentence_is_left_of_one_that_went() -> None:
    parts = {part for part in vars(schema).values() if isinstance(part, type) and issubclass(part, BaseModel)}
    settings = {part: set(part.model_fields) for part in parts if part.model_fields}
    assert {part: set(sentences) for part, sentences in MEANINGS.items()} == settings
    assert set(SECTIONS) == set(settings)


def test_the_page_says_what_the_schema_says() -> None:
    command = "/usr/bin/python3 -m appliance_lab.pages.territory >docs/reference/territory.md"
    assert PAGE.read_text() == page(), f"write it again: {command}"
