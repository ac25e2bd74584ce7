"""The verbs of `appliance account`: who works at this town hall; one password for the shares and the pages."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import click

from appliance.accounts import model
from appliance.accounts import service as accounts
from appliance.accounts.model import Account, Store
from appliance.accounts.passwords import check_password, nt_hash, slow_hash
from appliance.accounts.second_factor import code_hash, new_codes, new_totp
from appliance.cli.account.code_sheet import Sheet, read_sheet, sheet_text
from appliance.cli.account.password import new_password
from appliance.cli.arguments import dry_run_option
from appliance.cli.output import emit, table
from appliance.cli.this_accounts import tell_outcome, this_accounts
from appliance.clock import utc_text
from appliance.errors import UsageError
from appliance.secret import Secret

name_argument = click.argument("name", metavar="NAME")
title_option = click.option("--title", help='The name for people: "Marie Dupont".')
group_option = click.option("groups", "--group", multiple=True, help="A group, for shares with restricted access.")


@click.command()
@name_argument
@title_option
@group_option
@dry_run_option
def add(name: str, title: str | None, groups: tuple[str, ...], dry_run: bool) -> int:
    """Add the account NAME, such as marie.dupont, with a password."""
    service = this_accounts()
    # Said before anybody types a password for nothing.
    model.add(service.own, _account(name, title, groups, _NOBODYS))
    hashes = _NOBODYS if dry_run else _hashes(name)
    made = _account(name, title, groups, hashes)
    done = accounts.change(service, lambda store: model.add(store, made), dry_run=dry_run)
    return tell_outcome(done, dry_run, f"{name} can log in" if not dry_run else f"{name} could log in")


@click.command()
@name_argument
@dry_run_option
def passwd(name: str, dry_run: bool) -> int:
    """Change the password of NAME. The old one is refused from then on, and open sessions of NAME are ended."""
    service = this_accounts()
    service.own.account(name)
    new, slow = _NOBODYS if dry_run else _hashes(name)
    now = int(time.time())
    done = accounts.change(service, lambda store: model.renew(store, name, new, slow, now), dry_run=dry_run)
    return tell_outcome(done, dry_run, f"{name} {'would have' if dry_run else 'has'} a new password")


@click.command("change")
@name_argument
@title_option
@group_option
@click.option("--no-group", is_flag=True, help="In no group.")
@dry_run_option
def change_(name: str, title: str | None, groups: tuple[str, ...], no_group: bool, dry_run: bool) -> int:
    """Change the full name or the groups of NAME: all groups, each with --group."""
    if no_group and groups:
        raise UsageError("--no-group and --group contradict each other.")

    def changed(store: Store) -> Store:
        found = store.account(name)
        kept = () if no_group else groups or found.groups
        return model.put(store, replace(found, title=title or found.title, groups=kept))

    return tell_outcome(accounts.change(this_accounts(), changed, dry_run=dry_run), dry_run, f"{name} was changed")


@click.command()
@name_argument
@dry_run_option
def disable(name: str, dry_run: bool) -> int:
    """Disable NAME until it is enabled again, and end its open sessions."""
    done = accounts.change(this_accounts(), lambda store: model.allow(store, name, disabled=True), dry_run=dry_run)
    return tell_outcome(done, dry_run, f"{name} {'would be' if dry_run else 'is'} disabled")


@click.command()
@name_argument
@dry_run_option
def enable(name: str, dry_run: bool) -> int:
    """Enable NAME again, with its former password."""
    done = accounts.change(this_accounts(), lambda store: model.allow(store, name, disabled=False), dry_run=dry_run)
    return tell_outcome(done, dry_run, f"{name} can log in")


@click.command()
@name_argument
@dry_run_option
def remove(name: str, dry_run: bool) -> int:
    """Remove the account NAME. Its files stay, and belong to it again should it be added again."""
    done = accounts.change(this_accounts(), lambda store: model.remove(store, name), dry_run=dry_run)
    return tell_outcome(done, dry_run, f"{name} {'would be' if dry_run else 'is'} removed")


@click.command()
@name_argument
@click.option(
    "--same", is_flag=True, help="The sheet that another node printed, from standard input: one sheet for both."
)
@click.option("--remove", "taken", is_flag=True, help="Remove the sheet: NAME cannot sign in to the pages any more.")
@dry_run_option
def code_sheet(name: str, same: bool, taken: bool, dry_run: bool) -> int | None:
    """Print the code sheet of NAME for the pages: a picture for a phone, and codes that each work once.

    An earlier sheet is refused from then on. These codes are on this sheet only: print it, hand it over, close the
    terminal.

    With --same, for a person who works at two town halls, the sheet is the one that `appliance --json account
    code-sheet NAME` printed at the other node: with the same password at both, one sign-in opens both.
    """
    if same and taken:
        raise UsageError("--same and --remove contradict each other.")
    service = this_accounts()
    given = read_sheet(name) if same else Sheet("", new_totp(), new_codes())
    nodes = ", ".join(filter(None, (given.nodes, service.node)))
    kept = (None, ()) if taken else (given.totp, tuple(map(code_hash, given.codes)))
    done = accounts.change(service, lambda store: model.give_sheet(store, name, *kept), dry_run=dry_run)
    if taken or dry_run:
        enters = "cannot sign in to the pages" if taken else "would get a new sheet"
        return tell_outcome(done, dry_run, f"{name} {enters}")
    data = {"node": nodes, "account": name, "totp": given.totp.reveal().decode(), "codes": given.codes}
    emit(data, sheet_text(done.own.account(name), nodes, given.codes))
    return None


@click.command("list")
def list_() -> None:
    """List the accounts, including those of nodes for which this one stands in."""
    service = this_accounts()
    stores = (service.own, *service.others.values())
    rows = [
        (
            it.name,
            it.title,
            ", ".join(it.groups) or "-",
            _yes(not it.disabled),
            _yes(it.totp is not None),
            utc_text(it.password_set),
        )
        for store in stores
        for it in store.accounts.values()
    ]
    data = {store.node: [_shown(it) for it in store.accounts.values()] for store in stores}
    text = table(("NAME", "PERSON", "GROUPS", "MAY LOG IN", "SHEET", "PASSWORD OF"), rows)
    emit({"node": service.node, "accounts": data}, text if rows else f"{service.node} has no accounts yet.")


_NOBODYS = (Secret(b"0" * 32), Secret(b"scrypt:15:8:3:" + b"A" * 22 + b"==:" + b"A" * 43 + b"="))
"""Hashes of no password, to try out whether an account could be made."""


def _account(name: str, title: str | None, groups: tuple[str, ...], hashes: tuple[Secret, Secret]) -> Account:
    return Account(name, title or name, *hashes, int(time.time()), groups)


def _hashes(name: str) -> tuple[Secret, Secret]:
    password = new_password(name)
    check_password(password, name)
    return nt_hash(password), slow_hash(password)


def _shown(it: Account) -> dict[str, Any]:
    return {
        "name": it.name,
        "title": it.title,
        "groups": list(it.groups),
        "disabled": it.disabled,
        "sheet": it.totp is not None,
        "password_set": utc_text(it.password_set),
    }


def _yes(whether: bool) -> str:
    return "yes" if whether else "no"
