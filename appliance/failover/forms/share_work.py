"""The additional work of a takeover of a share on a host: its people's accounts come first, then files that are theirs.

The accounts are those that their origin saved of itself last (`backup/writer/own.py`): the standbys of the share may
open that. A worker can make neither an account nor an owner; the privileged helper does both
(`programs/privileged.py`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from appliance import typed
from appliance.accounts.service import AccountService
from appliance.backup.chain.chain import chain_of
from appliance.backup.writer.writer import push_newest, run
from appliance.clock import utc_seconds
from appliance.errors import ApplianceError, Refused
from appliance.failover.forms.people import write_accounts
from appliance.failover.forms.privileged_client import ask_helper_now
from appliance.host.files import locked, make_private_folder
from appliance.node.handle import Node
from appliance.programs.install_share import INSTALLING
from appliance.programs.privileged import LAY_SECONDS_MAX
from appliance.territory.implicit import implicit_name
from appliance.territory.model import SHARES

PEOPLE, PEOPLE_OF = "people.json", "people.of"


def bring_people(node: Node, service: str) -> str:
    """Have the people of the share's origin log in here as they do there; return whose they are.

    Raise Refused when their accounts are not here: a share that nobody can enter is not served.
    """
    origin = node.bundle.territory.service(service).node
    if origin == node.name:
        return origin
    try:
        install_people(node, service)
    except ApplianceError as error:
        if not AccountService(node.layout.accounts, node.name, syncs=True).file_of(origin).exists():
            remedy = f"On {origin}: `{typed.run(implicit_name(origin))}`."
            raise Refused(f"the accounts of {origin} are not here: {error.what}", remedy=remedy) from error
    else:
        ask_helper_now("people", service)
    return origin


def install_people(node: Node, service: str) -> None:
    """Have the accounts that the origin of the share saved last on this node; a takeover reads nothing again."""
    origin, root = node.bundle.territory.service(service).node, make_private_folder(node.service(service).root)
    if origin != node.name:
        with locked(root / "people.lock", what=f"the accounts of {origin}", wait=True):
            write_accounts(node, implicit_name(origin), root / PEOPLE, root / PEOPLE_OF)


def people_lie_ready(node: Node, service: str) -> bool:
    return (node.service(service).root / PEOPLE).exists()


def save_people(node: Node, service: str, to: str = "") -> None:
    """Save the accounts of this node, the origin of `service`, where they were changed since that was done last, and
    bring them to the node `to`, or to a standby where any may take over: raise Refused unless it has them. It would let
    in who may come no more, and nobody new."""
    own = implicit_name(node.name)
    chain, accounts, plan = chain_of(node, own), node.layout.accounts, node.bundle.territory.service(service)
    newest = chain.newest()
    if newest is None or not accounts.exists() or plan.node != node.name:
        return
    if accounts.stat().st_mtime > utc_seconds(newest.header.time) and run(node, own).failures:
        raise Refused(f"the accounts of {node.name} could not be saved; see the journal.")
    takers = {*([to] if to else plan.standbys)} & {*node.bundle.terms(own).replica_nodes}
    if takers.isdisjoint(_have(node, own)):
        push_newest(node, own)
    if takers and takers.isdisjoint(_have(node, own)):
        what = f"{', '.join(sorted(takers))} gave no receipt for the accounts of {node.name}."
        raise Refused(what, remedy=f"See why: `appliance backup push {own}`.")


def _have(node: Node, service: str) -> set[str]:
    """Return the nodes that gave a receipt for the newest generation of `service`."""
    chain = chain_of(node, service)
    newest = chain.newest()
    return {it.holder for it in chain.receipts(newest.header.id, node.bundle.signing_keys)} if newest else set()


def put_in_place(service: str, source: Path) -> None:
    """Put the folder `source` in the place of the share, as its people's; what lay there is kept."""
    new = Path(SHARES, INSTALLING, service)
    shutil.rmtree(new, ignore_errors=True)
    os.rename(source, new)
    ask_helper_now("lay", service, seconds_max=LAY_SECONDS_MAX)
