"""The forms of services that move between hosts, by name: another form is a row of FORMS.

`territory/service_forms.py: form_of` says which form a service has.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.errors import IntegrityError
from appliance.failover.forms.database import Database
from appliance.failover.forms.files import Files
from appliance.failover.forms.form import Contents, Form
from appliance.failover.forms.share import Share
from appliance.failover.forms.site import Site
from appliance.node.handle import Node

FORMS: Mapping[str, Form] = {
    "site": Site(),
    "share": Share(),
    "database": Database(),
}
FILES = Files()


def form_named(name: str) -> Form:
    """The form called `name`; raise IntegrityError for one that this version does not know."""
    try:
        return FORMS[name]
    except KeyError:
        raise IntegrityError(f'"{name}" is not a form of services that move: {", ".join(FORMS)}.') from None


def contents_of(node: Node, service: str) -> Contents:
    """Return the contents of `service` for workers: only files in process mode, and of a service that stays."""
    form = node.form(service)
    return form_named(form.name) if form else FILES
