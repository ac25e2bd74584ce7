"""Third-party files are those that their page lists, and no file of ours asks another machine or is inline in a
page."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import appliance.portal

PORTAL = Path(appliance.portal.__file__).parent
ASSETS = PORTAL / "base/assets"
AXE = Path(__file__).parents[2] / "integration/portal/axe"
TEMPLATES = sorted(PORTAL.rglob("*.html"))


@pytest.mark.parametrize("folder", [ASSETS, AXE], ids=["assets", "axe"])
def test_every_file_of_others_has_the_hash_that_its_page_names(folder: Path) -> None:
    rows = re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE)
    named = dict(rows)
    assert named == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in named}
    assert len(named) == 2


def test_no_template_holds_a_script_a_style_or_an_address_of_another_machine() -> None:
    unwanted = re.compile(r"\son[a-z]+=|\sstyle=|<style|<script(?![^>]*src=)|hx-on|https?://|\|\s*safe")
    assert {path.name: found for path in TEMPLATES if (found := unwanted.findall(path.read_text()))} == {}
