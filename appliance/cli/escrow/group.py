"""`appliance escrow`: make, test and use the recovery key. Texts for a town hall are French first, English second."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "create-key": Entry(
        "escrow.paper",
        "create_key",
        "Make the recovery key in memory, print it, have it typed back, test it, and keep only its public half.",
    ),
    "export": Entry("escrow.paper", "create_key", now="escrow create-key"),
    "export-keys": Entry(
        "escrow.handover",
        "export_keys",
        "Encrypt the keys of NODE's services that this standby may open, for the new machine named NODE.",
    ),
    "hand": Entry("escrow.handover", "export_keys", now="escrow export-keys"),
    "open": Entry(
        "escrow.paper",
        "open_",
        "Open an envelope and write the borg keyfile and passphrase to a private folder, for recovery by hand.",
    ),
    "import-keys": Entry(
        "escrow.handover",
        "import_keys",
        "Import what `escrow export-keys` made for this node, so that it opens and continues its services without the "
        "recovery sheet.",
    ),
    "take": Entry("escrow.handover", "import_keys", now="escrow import-keys"),
    "verify": Entry(
        "escrow.paper", "verify", "Test the recovery key with an envelope; nothing secret is printed or written."
    ),
}

escrow = LazyGroup(
    "escrow",
    entries=VERBS,
    help="Make and test the territory's recovery key, which exists only on paper, and open envelopes.",
)
