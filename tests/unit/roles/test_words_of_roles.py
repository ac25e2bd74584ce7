"""Words that Ansible reads otherwise than their author meant, without an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.unit.roles.loading import ROLES


def texts(value: Any) -> Iterator[str]:
    """All strings in what a YAML file holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for it in value.values() for text in texts(it))
    elif isinstance(value, list):
        yield from (text for it in value for text in texts(it))


def test_a_group_of_a_pattern_has_one_backslash() -> None:
    """In a block of YAML `\\\\1` keeps both: the words have a backslash and a 1 where the group was meant."""
    files = [file for pattern in ("*/tasks/*.yml", "*/vars/*.yml", "*/defaults/*.yml") for file in ROLES.glob(pattern)]
    assert len(files) > len(list(ROLES.iterdir()))
    found = {
        f"{file.relative_to(ROLES)}: {text.strip()[:60]}"
        for file in files
        for text in texts(yaml.safe_load(file.read_text()))
        if re.search(r"\\\\\d", text)
    }
    assert found == set()
