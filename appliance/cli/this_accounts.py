"""The accounts of the node that a command is about, and what it says of a change to them."""

from __future__ import annotations

from typing import Any

from appliance.accounts.service import AccountService, Outcome
from appliance.cli.options import state_folder
from appliance.cli.output import emit, say
from appliance.cli.this_layout import layout_as_root, this_layout
from appliance.errors import OK, WARNINGS
from appliance.host.layout import state_of_this_host
from appliance.trust.identity import load_identity


def this_accounts() -> AccountService:
    """On a host the accounts are root's, and root feeds; elsewhere they are of the account of the node."""
    feeds = state_folder().resolve() == state_of_this_host()
    layout = layout_as_root() if feeds else this_layout()
    return AccountService(layout.accounts, load_identity(layout).name, feeds)


def tell_outcome(done: Outcome, dry_run: bool, sentence: str) -> int:
    data: dict[str, Any] = {
        "node": done.own.node,
        "mark": done.mark,
        "accounts": len(done.own.accounts),
        "dry_run": dry_run,
        "changed": done.changed,
        "left_out": done.left_out,
        "logged_out": done.ended,
    }
    for name in done.ended:
        say(f"{name} was logged in; its sessions were ended.")
    for warning in done.left_out:
        say(f"warning: {warning}")
    verb = "would be changed" if dry_run else "changed"
    emit(data, "\n".join((f"{sentence}.", *(f"{verb}: {name}" for name in done.changed))))
    return WARNINGS if done.left_out else OK
