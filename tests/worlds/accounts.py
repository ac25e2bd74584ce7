"""Accounts for tests, with hashes that are quick to make."""

from __future__ import annotations

from appliance.accounts.model import Account, Store
from appliance.accounts.passwords import nt_hash
from appliance.secret import Secret

SLOW = Secret(b"scrypt:15:8:3:" + b"A" * 22 + b"==:" + b"B" * 43 + b"=")
SET = 1_800_000_000


def account(name: str, *groups: str, password: str = "un chene au lavoir", disabled: bool = False) -> Account:
    return Account(name, name.title(), nt_hash(Secret(password.encode())), SLOW, SET, groups, disabled)


def store(node: str, *accounts: Account) -> Store:
    return Store(node, {account.name: account for account in accounts})
