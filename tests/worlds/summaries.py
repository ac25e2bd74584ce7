"""The end of a playbook, as the person reads it who types what it says."""

from __future__ import annotations

import re

from appliance_lab.hosts.playbook import Played

_COMMAND = re.compile(r"^  (appliance .*)$", re.MULTILINE)
_SHEET = re.compile(r"takes the paper, too\. On (\S+): (appliance escrow import-keys --recovery-sheet)")


def for_the_key_holder(played: Played) -> list[str]:
    """The lines that it gives to the holder of the territory key."""
    return _COMMAND.findall(played.text.partition("Next, the key holder types")[2])


def by_the_recovery_sheet(played: Played) -> list[tuple[str, str]]:
    """The lines that take the recovery sheet, each with the node where it is typed."""
    return _SHEET.findall(played.text)
