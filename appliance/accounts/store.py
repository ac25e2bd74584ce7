"""The file that the accounts are kept in: read whole, checked whole, replaced whole. Only root reads it.

It lies in a folder that belongs to root: what stands in it becomes accounts of this machine. Hashes of passwords are
in it and passwords are not. The node's own service saves it, and nothing else of the folder (`backup/writer/own.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.accounts.model import Account, Store, check
from appliance.clock import utc_seconds, utc_text
from appliance.errors import ApplianceError, IntegrityError, NotFound, UsageError
from appliance.host.files import make_private_folder, read_named, write_atomic
from appliance.secret import Secret

TYPE, FORMAT = "appliance/accounts", 2
FIELDS_OF = {1: {"name", "title", "groups", "disabled", "password_set", "nt_hash", "slow_hash"}}
FIELDS_OF[2] = FIELDS_OF[1] | {"totp", "codes"}
BYTES_MAX = 4 * 1024 * 1024


def read_store(file: Path) -> Store:
    """The accounts in `file`; raise NotFound when it is not there, IntegrityError for anything but a store."""
    try:
        raw = read_named(file, BYTES_MAX)
    except NotFound as error:
        raise NotFound(
            "there are no accounts.", where=str(file), remedy="Add one: appliance account add NAME"
        ) from error
    except UsageError as error:
        raise _broken(file, error.what) from error
    try:
        return _store(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(file, "it cannot be read") from error
    except IntegrityError as error:
        raise IntegrityError(error.what, where=str(file), remedy=error.remedy) from error
    except ApplianceError as error:
        raise _broken(file, error.what) from error


def read_or_new(file: Path, node: str) -> Store:
    """The accounts of `node` in `file`, none when there is no file yet; raise IntegrityError for those of another."""
    if not file.exists():
        return Store(node)
    store = read_store(file)
    if store.node != node:
        raise IntegrityError(f"these are the accounts of {store.node}, but this is {node}.", where=str(file))
    return store


def write_store(file: Path, store: Store) -> None:
    """Replace `file`; after a cut the old accounts are in it, or the new ones."""
    make_private_folder(file.parent)
    write_atomic(file, store_bytes(store), mode=0o600)


def store_bytes(store: Store) -> bytes:
    """`store` as JSON, one account a line, the same bytes for the same accounts."""
    accounts = ",\n".join(
        json.dumps(_plain(store.accounts[name]), ensure_ascii=False) for name in sorted(store.accounts)
    )
    head = json.dumps({"type": TYPE, "format": FORMAT, "node": store.node}, ensure_ascii=False)
    return f'{head[:-1]}, "accounts": [\n{accounts}\n]}}\n'.encode()


def _plain(account: Account) -> dict[str, object]:
    return {
        "name": account.name,
        "title": account.title,
        "groups": list(account.groups),
        "disabled": account.disabled,
        "password_set": utc_text(account.password_set),
        "nt_hash": account.nt_hash.reveal().decode(),
        "slow_hash": account.slow_hash.reveal().decode(),
        "totp": account.totp.reveal().decode() if account.totp else "",
        "codes": list(account.codes),
    }


def _store(values: Mapping[str, Any]) -> Store:
    if values["type"] != TYPE:
        raise IntegrityError("this is not a file of accounts.")
    form = values["format"]
    if form not in FIELDS_OF:
        raise IntegrityError(f"its format is {form}, and this version knows {FORMAT}.", remedy="Upgrade this node.")
    accounts = [_account(value, FIELDS_OF[form]) for value in values["accounts"]]
    named = {account.name: account for account in accounts}
    if len(named) != len(accounts):
        raise IntegrityError("an account appears twice.")
    return Store(_of(str, values["node"]), named)


def _account(values: Mapping[str, Any], fields: set[str]) -> Account:
    if set(values) != fields:
        raise ValueError("other fields than ours")
    totp = _of(str, values.get("totp", ""))
    account = Account(
        name=_of(str, values["name"]),
        title=_of(str, values["title"]),
        nt_hash=Secret(_of(str, values["nt_hash"]).encode()),
        slow_hash=Secret(_of(str, values["slow_hash"]).encode()),
        password_set=int(utc_seconds(_of(str, values["password_set"]))),
        groups=tuple(_of(str, group) for group in _of(list, values["groups"])),
        disabled=_of(bool, values["disabled"]),
        totp=Secret(totp.encode()) if totp else None,
        codes=tuple(_of(str, code) for code in _of(list, values.get("codes", []))),
    )
    check(account)
    return account


def _of[Kind](kind: type[Kind], value: object) -> Kind:
    if type(value) is not kind:
        raise TypeError(f"not a {kind.__name__}")
    return value


def _broken(file: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"these accounts are damaged: {why}",
        where=str(file),
        remedy="Restore the file from a backup of the node's own service, then type: appliance internal account sync",
    )
