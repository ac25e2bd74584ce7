"""Commands that the sentences of several packages propose, with all their words: what is printed can be typed."""

from __future__ import annotations

from appliance.units import as_typed

SIGN_AGAIN = "appliance territory sign . --keys keys --previous bundle --key territory --out bundle"
"""Where territory.yml, the bundle in force and the territory's key are; without --previous no revocation is kept."""

CONFIRM = f"`appliance node collect`, then `{SIGN_AGAIN} --earlier BUNDLE`"
"""Two commands in their quotes: the key holder collects and confirms what former voters signed; BUNDLE is the one of
their time."""

BY_OPERATOR = "--reason WHY --operator NAME --key FILE --out FILE"
"""The words that every act to be signed has."""

INIT = "appliance node init NAME --territory-key territory.pub"
"""In an empty folder: keys that are there are kept."""


def begin(service: str) -> str:
    """The first request for `service` at its origin, or the one after a revocation."""
    return as_typed("appliance", "backup", "begin", service, "--out", f"{service}.request")


def resync(service: str) -> str:
    """The request of a machine that continues `service` from what its peers hold."""
    return as_typed("appliance", "backup", "resync", service, "--request", f"{service}.request")


def grant(request: str, out: str) -> str:
    """The answer of the key holder to the file `request`, in `out`, both as a shell reads them."""
    return f"appliance territory grant {request} --bundle BUNDLE --key KEY --out {out}"


def run(service: str) -> str:
    return as_typed("appliance", "backup", "run", service)
