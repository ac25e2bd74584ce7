"""Activate a node's user accounts on its standby, from that node's last backup of itself.

On a host accounts are root's. The accounts are in `people/` until root's side has taken them (`appliance-people.path`),
which looks in the bundle whose accounts this node may take.
"""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

from appliance.accounts.service import AccountService, take
from appliance.accounts.store import read_store
from appliance.backup.peers.openable import newest_archive, open_best
from appliance.backup.writer.filling import filling_of
from appliance.backup.writer.source_names import STANDBY
from appliance.borg.client import Borg
from appliance.borg.errors import PathMissing
from appliance.errors import Unreachable
from appliance.host.files import make_private_folder, write_atomic
from appliance.node.handle import Node
from appliance.territory.implicit import implicit_name

TAKEN_WITHIN_SECONDS = 60.0
CALL_SECONDS = 5.0
"""How often root's side is called: systemd does not look while the unit runs that it started for a change before."""
_LOOK_SECONDS = 0.2


def bring(node: Node, origin: str) -> None:
    """Let the people of `origin` log in here as they did there; nothing where nobody has an account yet."""
    service = AccountService(node.layout.accounts, node.name, syncs=node.layout.is_this_host)
    folder = make_private_folder(node.layout.people)
    for left in folder.iterdir():  # of a worker that was killed, one at a time: root's side takes all that lies there
        left.unlink()
    file = folder / f"{origin}.json"
    try:
        write_accounts(node, implicit_name(origin), file)
        if service.syncs:
            _wait_until_taken(service, origin, file)
        else:
            take(service, file, of=origin)
    except PathMissing:
        return
    finally:
        file.unlink(missing_ok=True)


def write_accounts(node: Node, own: str, file: Path, mark: Path | None = None) -> None:
    """Put the accounts that the service `own` saved last into `file`; raise PathMissing when it has none.

    `mark` names the generation that they are of, for who lays them out again and again.
    """
    opened = open_best(node, own, STANDBY)
    if mark and file.exists() and mark.exists() and mark.read_text() == opened.name:
        return
    borg = Borg(opened.repository)
    archive = _with_accounts(node, borg, own)
    accounts = io.BytesIO()
    borg.extract_to(archive, _accounts_in(node, borg, archive), accounts)
    if mark:
        mark.unlink(missing_ok=True)
    write_atomic(file, accounts.getvalue(), mode=0o600)  # before a mark says that it is there
    if mark:
        write_atomic(mark, opened.name.encode(), mode=0o600)


def _with_accounts(node: Node, borg: Borg, own: str) -> str:
    """The newest archive; or, when its disk could not be read there any more, the last that has the accounts."""
    archive, name = newest_archive(borg, own).name, f"/{node.layout.accounts.name}"
    return next((it.archive for it in filling_of(borg, own, archive).fills if it.path.endswith(name)), archive)


def _accounts_in(node: Node, borg: Borg, archive: str) -> str:
    """On all hosts they lie at the same place; plain processes have each a folder of their own."""
    known = node.layout.accounts
    if node.layout.is_this_host:
        return str(known).lstrip("/")
    ending = f"/{known.parent.name}/{known.name}"
    found = next((item.path for item in borg.items(archive) if item.path.endswith(ending)), None)
    if found is None:
        raise PathMissing(f"there are no accounts in {archive}.")
    return found


def _wait_until_taken(service: AccountService, origin: str, file: Path) -> None:
    wanted, kept, began = read_store(file), service.file_of(origin), time.monotonic()
    called = began
    while not os.path.exists(kept) or read_store(kept) != wanted:
        now = time.monotonic()
        if now > called + CALL_SECONDS:
            os.utime(file)
            called = now
        if now > began + TAKEN_WITHIN_SECONDS:
            remedy = "See `journalctl --unit appliance-people`."
            raise Unreachable(f"the program that root runs did not accept the accounts of {origin}.", remedy=remedy)
        time.sleep(_LOOK_SECONDS)
