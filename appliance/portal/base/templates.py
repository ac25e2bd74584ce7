"""Our pages as Jinja templates: what is put into them is escaped, and a name that is no text shows as what it is."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from appliance.portal.base.forms import quoted
from appliance.portal.base.language import LANGUAGES
from appliance.units import printable

if TYPE_CHECKING:
    from appliance.portal.base.web_app import Visit

ASSETS = Path(__file__).parent / "assets"
FORM_FIELD = "jeton"
_FORM_FIELD = Markup(f'<input type="hidden" name="{FORM_FIELD}" value="{{}}">')
WARN_SECONDS = 120
"""How long before its end a session says so."""


class Templates:
    """The templates in `folders` and our own, the first found of a name."""

    def __init__(self, *folders: Path, **shared: object) -> None:
        loader = FileSystemLoader([*folders, Path(__file__).parent / "templates"])
        self._environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters.update(quoted=quoted, shown=printable)
        self._environment.globals.update(asset=_asset, languages=LANGUAGES, warn_seconds=WARN_SECONDS, **shared)

    def render(self, visit: Visit, template: str, **values: object) -> str:
        words = visit.words
        return self._environment.get_template(template).render(
            visit=visit,
            words=words,
            t=words.text,
            n=words.count,
            person=visit.session and visit.person,
            form_token=lambda: _FORM_FIELD.format(visit.form_token),
            **values,
        )


@cache
def _asset(name: str) -> str:
    """The address of an asset; it changes with what is in it, so that browsers may keep it."""
    return f"/statique/{name}?v={hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:12]}"
