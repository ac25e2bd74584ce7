"""`appliance escrow`: make, test and use the recovery key. What a town hall reads is French first, English second."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "export": Entry(
        "escrow.paper",
        "export",
        "Make the recovery key in memory, print it, have it typed back, test it, and keep only its public half.",
    ),
    "hand": Entry(
        "escrow.hand",
        "hand",
        "Encrypt the keys of NODE's services that this standby may open, for the new machine named NODE.",
    ),
    "open": Entry(
        "escrow.paper",
        "open_",
        "Open an envelope and write the borg keyfile and passphrase to a private folder, for recovery by hand.",
    ),
    "take": Entry(
        "escrow.hand",
        "take",
        "Import what `escrow hand` made for this node, so that it opens and continues its services without the "
        "recovery sheet.",
    ),
    "verify": Entry(
        "escrow.paper", "verify", "Test the recovery key with an envelope; nothing secret is printed or written."
    ),
}

escrow = LazyGroup(
    "escrow",
    entries=VERBS,
    help="Make and test the territory's recovery key, which exists only on paper, and open envelopes.",
)
