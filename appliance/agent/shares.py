"""What a takeover of a share does besides, on a host: its people's accounts come first, then files that are theirs.

Accounts are what their home saved of itself last (`backup/own.py`): the standbys of the share may open that. Neither an
account nor an owner can be made by who works here; root's hands do both (`host/hands.py`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from appliance.accounts.desk import Desk
from appliance.agent.host_services import ask_hands_now
from appliance.agent.people import lay_out
from appliance.backup.chain import chain_of
from appliance.backup.node import Node
from appliance.backup.writer import run
from appliance.borg.client import Borg
from appliance.clock import utc_seconds
from appliance.errors import ApplianceError, Refused
from appliance.host.files import make_private_folder
from appliance.host.hands import LAY_SECONDS_MAX
from appliance.host.laying import LAYING
from appliance.territory.implicit import implicit_name
from appliance.territory.model import SHARES

PEOPLE = "people.json"


def bring_people(node: Node, service: str) -> str:
    """Have the people of the share's home log in here as they do there; return whose they are.

    Raise Refused when their accounts are not here: a share that nobody can enter is not served.
    """
    home = node.bundle.territory.service(service).node
    if home == node.name:
        return home
    try:
        lay_out(node, implicit_name(home), make_private_folder(node.service(service).root) / PEOPLE)
    except ApplianceError as error:
        if not Desk(node.layout.accounts, node.name, feeds=True).file_of(home).exists():
            remedy = f"On {home}: `appliance backup run {implicit_name(home)}`."
            raise Refused(f"the accounts of {home} are not here: {error.what}", remedy=remedy) from error
    else:
        ask_hands_now("people", service)
    return home


def save_people(node: Node, service: str) -> None:
    """Save the accounts of this node, the home of `service`, where they were changed since that was done last."""
    own = implicit_name(node.name)
    newest, accounts = chain_of(node, own).newest(), node.layout.accounts
    if newest is None or not accounts.exists() or node.bundle.territory.service(service).node != node.name:
        return
    if accounts.stat().st_mtime > utc_seconds(newest.header.time) and run(node, own).failures:
        raise Refused(f"the accounts of {node.name} could not be saved; see the journal.")


def lay(node: Node, service: str, archive: str, borg: Borg) -> list[str]:
    """Put what `archive` has in the place of the share, as its people's; what lay there is kept."""
    bring_people(node, service)
    [path] = node.bundle.terms(service).service.paths
    room, new = (Path(SHARES, LAYING, name) for name in (f"{service}.room", service))
    for folder in (room, new):
        shutil.rmtree(folder, ignore_errors=True)
    borg.extract(archive, (), make_private_folder(room))
    if not (source := room / path.lstrip("/")).exists():
        return []
    os.rename(source, new)
    shutil.rmtree(room)
    ask_hands_now("lay", service, seconds_max=LAY_SECONDS_MAX)
    return [path]
