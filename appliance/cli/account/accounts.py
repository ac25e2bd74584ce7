"""`appliance account`: who works at this town hall; one password for the shares and the pages."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from appliance.accounts import desk as accounts
from appliance.accounts import model
from appliance.accounts.desk import Desk, Outcome
from appliance.accounts.model import Account, Store
from appliance.accounts.passwords import check_password, nt_hash, slow_hash
from appliance.accounts.second import code_hash, new_codes, new_totp
from appliance.cli.account.password import new_password
from appliance.cli.account.sheet import Sheet, read_sheet, sheet_text
from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, dry_run_option
from appliance.cli.options import state_folder
from appliance.cli.output import emit, say, table
from appliance.cli.this_layout import layout_as_root, this_layout
from appliance.clock import utc_text
from appliance.errors import OK, WARNINGS, UsageError
from appliance.host.layout import state_of_this_host
from appliance.secret import Secret
from appliance.territory.implicit import homes
from appliance.trust.identity import load_identity
from appliance.trust.root_bundle import territory_for_root
from appliance.units import format_count

name_argument = click.argument("name", metavar="NAME")
title_option = click.option("--title", help='The name for people: "Marie Dupont".')
group_option = click.option("groups", "--group", multiple=True, help="A group, for shares with restricted access.")


@click.group()
def account() -> None:
    """Manage the accounts of people at this town hall. Passwords are typed, or the first line of standard input; never
    an argument."""


@account.command()
@name_argument
@title_option
@group_option
@dry_run_option
def add(name: str, title: str | None, groups: tuple[str, ...], dry_run: bool) -> int:
    """Add the account NAME, such as marie.dupont, with a password."""
    desk = _desk()
    # Said before anybody types a password for nothing.
    model.add(desk.own, _account(name, title, groups, _NOBODYS))
    hashes = _NOBODYS if dry_run else _hashes(name)
    made = _account(name, title, groups, hashes)
    done = accounts.change(desk, lambda store: model.add(store, made), dry_run=dry_run)
    return _tell(done, dry_run, f"{name} can log in" if not dry_run else f"{name} could log in")


@account.command()
@name_argument
@dry_run_option
def passwd(name: str, dry_run: bool) -> int:
    """Change the password of NAME. The old one is refused from then on, and open sessions of NAME are ended."""
    desk = _desk()
    desk.own.account(name)
    new, slow = _NOBODYS if dry_run else _hashes(name)
    now = int(time.time())
    done = accounts.change(desk, lambda store: model.renew(store, name, new, slow, now), dry_run=dry_run)
    return _tell(done, dry_run, f"{name} {'would have' if dry_run else 'has'} a new password")


@account.command("change")
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

    return _tell(accounts.change(_desk(), changed, dry_run=dry_run), dry_run, f"{name} was changed")


@account.command()
@name_argument
@dry_run_option
def disable(name: str, dry_run: bool) -> int:
    """Disable NAME until it is enabled again, and end its open sessions."""
    done = accounts.change(_desk(), lambda store: model.allow(store, name, disabled=True), dry_run=dry_run)
    return _tell(done, dry_run, f"{name} {'would be' if dry_run else 'is'} disabled")


@account.command()
@name_argument
@dry_run_option
def enable(name: str, dry_run: bool) -> int:
    """Enable NAME again, with its former password."""
    done = accounts.change(_desk(), lambda store: model.allow(store, name, disabled=False), dry_run=dry_run)
    return _tell(done, dry_run, f"{name} can log in")


@account.command()
@name_argument
@dry_run_option
def remove(name: str, dry_run: bool) -> int:
    """Remove the account NAME. Its files stay, and belong to it again should it be added again."""
    done = accounts.change(_desk(), lambda store: model.remove(store, name), dry_run=dry_run)
    return _tell(done, dry_run, f"{name} {'would be' if dry_run else 'is'} removed")


@account.command()
@name_argument
@click.option(
    "--same", is_flag=True, help="The sheet that another node printed, from standard input: one sheet for both."
)
@click.option("--remove", "taken", is_flag=True, help="Remove the sheet: NAME cannot sign in to the pages any more.")
@dry_run_option
def sheet(name: str, same: bool, taken: bool, dry_run: bool) -> int | None:
    """Print the sign-in sheet of NAME for the pages: a picture for a phone, and codes that each work once.

    An earlier sheet is refused from then on. These codes are on this sheet only: print it, hand it over, close the
    terminal.

    With --same, for a person who works at two town halls, the sheet is the one that `appliance --json account sheet
    NAME` printed at the other node: with the same password at both, one sign-in opens both.
    """
    if same and taken:
        raise UsageError("--same and --remove contradict each other.")
    desk = _desk()
    given = read_sheet(name) if same else Sheet("", new_totp(), new_codes())
    nodes = ", ".join(filter(None, (given.nodes, desk.node)))
    kept = (None, ()) if taken else (given.totp, tuple(map(code_hash, given.codes)))
    done = accounts.change(desk, lambda store: model.give_sheet(store, name, *kept), dry_run=dry_run)
    if taken or dry_run:
        enters = "cannot sign in to the pages" if taken else "would get a new sheet"
        return _tell(done, dry_run, f"{name} {enters}")
    data = {"node": nodes, "account": name, "totp": given.totp.reveal().decode(), "codes": given.codes}
    emit(data, sheet_text(done.own.account(name), nodes, given.codes))
    return None


@account.command("list")
def list_() -> None:
    """List the accounts, including those of nodes for which this one stands in."""
    desk = _desk()
    stores = (desk.own, *desk.others.values())
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
    emit({"node": desk.node, "accounts": data}, text if rows else f"{desk.node} has no accounts yet.")


@account.command()
@click.option("--from", "source", metavar="FILE", type=FILE_TYPE, help="First import the accounts of a backup.")
@click.option(
    "--of", "whose", metavar="NODE", type=NAME_TYPE, help="Refuse accounts in --from that belong to another node."
)
@click.option("--brought", is_flag=True, help="Use what the agent fetched of the nodes whose standby this one is.")
@click.option("--without", metavar="NODE", type=NAME_TYPE, help="Stop standing in for another node's accounts.")
@dry_run_option
def feed(source: Path | None, whose: str | None, brought: bool, without: str | None, dry_run: bool) -> int:
    """Synchronise this machine's accounts and Samba's passwords with the account store.

    With --from, at a standby: FILE holds the accounts of another node, restored from the service `appliance-NODE`; its
    people can then log in here. Where names collide, those of this node win.
    """
    if sum(map(bool, (source, brought, without))) > 1:
        raise UsageError("--from, --brought and --without contradict each other.")
    if whose and not source:
        raise UsageError("--of needs --from.")
    desk = _desk()
    if source:
        done = accounts.take(desk, source, of=whose or "", dry_run=dry_run)
    elif brought:
        done = accounts.take_brought(desk, _brought(desk, dry_run), dry_run=dry_run)
    elif without:
        done = accounts.leave(desk, without, dry_run=dry_run)
    else:
        done = accounts.feed(desk, dry_run=dry_run)
    return _tell(done, dry_run, f"{format_count(len(done.own.accounts), 'account')} of {done.own.node}")


_NOBODYS = (Secret(b"0" * 32), Secret(b"scrypt:15:8:3:" + b"A" * 22 + b"==:" + b"A" * 43 + b"="))
"""Hashes of no password, to try out whether an account could be made."""


def _desk() -> Desk:
    """On a host the accounts are root's, and root feeds; elsewhere they are of the account of the node."""
    feeds = state_folder().resolve() == state_of_this_host()
    layout = layout_as_root() if feeds else this_layout()
    return Desk(layout.accounts, load_identity(layout).name, feeds)


def _brought(desk: Desk, dry_run: bool) -> dict[str, Path]:
    """What the agent laid out, of the nodes whose accounts this one may take by the signed bundle."""
    layout = layout_as_root() if desk.feeds else this_layout()
    _, bundle = territory_for_root(layout, dry_run=dry_run)
    files = {home: layout.people / f"{home}.json" for home in homes(bundle.territory, desk.node)}
    return {home: file for home, file in files.items() if file.exists()}


def _account(name: str, title: str | None, groups: tuple[str, ...], hashes: tuple[Secret, Secret]) -> Account:
    return Account(name, title or name, *hashes, int(time.time()), groups)


def _hashes(name: str) -> tuple[Secret, Secret]:
    password = new_password(name)
    check_password(password, name)
    return nt_hash(password), slow_hash(password)


def _tell(done: Outcome, dry_run: bool, sentence: str) -> int:
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
