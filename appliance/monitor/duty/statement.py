"""The signed statement of a person that they take care of alerts: one line of JSON and an SSH signature, as an act.

It is no act: nodes do not obey it, no right in the bundle is needed for it, and it is good for an hour. It only keeps
the next person from being called, for alerts that had begun when it was signed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from appliance.clock import SKEW_SECONDS_MAX, utc_seconds, utc_text
from appliance.errors import IntegrityError, Refused
from appliance.monitor.duty.tokens import Asked
from appliance.trust import signed
from appliance.trust.act import Operator, sign_as_person, verify_person
from appliance.trust.signed import NAME, Document
from appliance.units import HOUR

TYPE = "appliance/acknowledgement"
GOOD_FOR_SECONDS = HOUR
_FINGERPRINTS = re.compile(r"[0-9a-f]{16}(?: [0-9a-f]{16}){0,29}")


def make_statement(person: str, fingerprints: Collection[str], now: float, key: Path) -> bytes:
    """The statement, signed by the SSH key at `key`; raise IntegrityError for more alerts than one may name."""
    fields = {"person": person, "alerts": " ".join(fingerprints), "start": utc_text(now)}
    line = signed.body(TYPE, fields)
    _asked(Document(TYPE, signed.parse(line, TYPE), "", line))
    return sign_as_person(line, key, TYPE)


def read_statement(raw: bytes, people: Collection[Operator], now: float) -> Asked:
    """Return what the statement in `raw` asks, signed by one of `people`; raise IntegrityError or Refused otherwise."""
    line, signature = signed.split(raw, TYPE)
    found = _asked(Document(TYPE, signed.parse(line, TYPE), "", raw))
    signer = next((it for it in people if it.name == found.person), None)
    if signer is None:
        known = ", ".join(sorted(it.name for it in people)) or "nobody"
        raise Refused(f'"{found.person}" is not among `people` of this territory.', remedy=f"Known: {known}.")
    if not signer.keys:
        remedy = "Add the SSH key to `people` in territory.yml, or use the link of the letter."
        raise Refused(f"{found.person} has no key in the bundle.", remedy=remedy)
    verify_person(line, signature, signer, TYPE)
    if not found.at - SKEW_SECONDS_MAX <= now < found.at + GOOD_FOR_SECONDS:
        what = f"this statement was signed on {utc_text(found.at)} and is good for an hour."
        raise Refused(what, remedy="Sign it again, if the alert still lasts.")
    return found


def _asked(document: Document) -> Asked:
    try:
        start = utc_seconds(document.text("start"))
    except ValueError as error:
        raise IntegrityError(f'{TYPE}: field "start" is not a time such as 2026-11-25T08:00:00Z.') from error
    return Asked(document.text("person", NAME), tuple(document.text("alerts", _FINGERPRINTS).split(" ")), start)
