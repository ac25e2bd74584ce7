"""`appliance pki`: certificates for the nodes, from a root that is kept offline."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "begin": Entry(
        "pki.intermediate",
        "begin",
        "Make the intermediate's key on the control machine and print it, to be piped into `ansible-vault encrypt`.",
    ),
    "sign": Entry(
        "pki.intermediate",
        "sign",
        "Sign the intermediate requested in DIR/pki/intermediate.csr: it may issue for this territory only, for a "
        "year.",
    ),
    "accept": Entry("internal.pki", "accept", now="internal pki accept"),
    "csr": Entry("internal.pki", "csr", now="internal pki csr"),
    "due": Entry("internal.pki", "due", now="internal pki due"),
    "issue": Entry("internal.pki", "issue", now="internal pki issue"),
}

pki = LazyGroup(
    "pki",
    entries=VERBS,
    help="Make and sign the certificate that issues those of the nodes, under a root that is kept offline.",
)
