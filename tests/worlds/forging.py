"""Generations that a node truly signed and no run of the product would seal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.node.handle import Node
from appliance.trust.generation import Entry, Header, make_header, read_header, render_list
from appliance.trust.keys import load_key, public_line
from appliance.trust.signed import digest_of
from tests.worlds.vaults import SERVICE, Generation


def forged(
    newest: Header, signer: Node, files: Mapping[str, bytes], entries: tuple[Entry, ...] | None = None, **fields: Any
) -> Generation:
    """A generation after `newest`, of any content, truly signed by `signer`; `fields` replace what it says."""
    key = load_key(signer.signing_key)
    made = entries or tuple(Entry(path, digest_of(data), len(data)) for path, data in files.items())
    listing = render_list(made)
    said: dict[str, Any] = {
        "service": SERVICE,
        "epoch": newest.epoch,
        "sequence": newest.sequence + 1,
        "previous": newest.id.digest,
        "time": newest.time,
    }
    raw = make_header(key, **{**said, **fields}, listing=listing, entries=made)
    blobs = {digest_of(data): data for data in files.values()}
    return Generation(read_header(raw, public_line(key)), listing, made, blobs)
