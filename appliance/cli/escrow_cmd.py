"""`appliance escrow`: make, test and use the recovery key. What a town hall reads is French first, English second."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "export": Entry(
        "escrow_paper_cmd",
        "export",
        "Make the recovery key in memory, print it, have it typed back, prove it, and keep its public half only.",
    ),
    "hand": Entry(
        "escrow_hand_cmd",
        "hand",
        "Seal the key of each service of NODE that this standby may open to the machine "
        "that the bundle names NODE now.",
    ),
    "open": Entry(
        "escrow_paper_cmd",
        "open_",
        "Open an envelope and write the borg keyfile and passphrase to a private folder, for a recovery.",
    ),
    "take": Entry(
        "escrow_hand_cmd",
        "take",
        "Keep what `escrow hand` made for this node, so that it opens and continues its services without the paper.",
    ),
    "verify": Entry(
        "escrow_paper_cmd", "verify", "Test the key on paper with an envelope; nothing secret is printed or written."
    ),
}

escrow = LazyGroup(
    "escrow",
    entries=VERBS,
    help="The territory's recovery key, which exists on paper only, and the envelopes that it opens.",
)
