"""Which system accounts, groups and Samba passwords accounts become: those of two town halls never mix."""

from __future__ import annotations

import pytest

from appliance.accounts.groups import mark
from appliance.accounts.machine import OURS, Changes, Machine, SystemAccount, decide, people, samba_list
from appliance.accounts.sync import commands
from appliance.errors import Refused
from tests.worlds.accounts import account, store

A, B = mark("commune-a"), mark("commune-b")
OWN = store("commune-a", account("marie", "elus"))
ROOT = SystemAccount(0, "root")


def test_a_bare_machine_gets_groups_accounts_and_members_in_this_order() -> None:
    wanted, _ = people(OWN, (), frozenset())
    assert list(commands(decide(wanted, "commune-a", Machine({"root": ROOT}, frozenset({"root"}))))) == [
        ("groupadd", "--system", OURS),
        ("groupadd", f"people-{A}"),
        ("groupadd", f"elus-{A}"),
        (
            *("useradd", "--no-user-group", "--gid", OURS, "--home-dir", "/nonexistent", "--no-create-home"),
            *("--shell", "/usr/sbin/nologin", "marie"),
        ),
        ("usermod", "--groups", f"people-{A},elus-{A}", "marie"),
    ]


def test_a_machine_that_is_as_it_should_be_is_left_alone() -> None:
    wanted, _ = people(OWN, (), frozenset())
    groups = frozenset({OURS, f"people-{A}", f"elus-{A}"})
    machine = Machine({"marie": SystemAccount(1000, OURS, groups - {OURS})}, groups)
    assert decide(wanted, "commune-a", machine) == Changes()


def test_who_is_forgotten_stays_an_account_in_no_group_and_is_not_in_sambas_list() -> None:
    groups = frozenset({OURS, f"people-{A}"})
    machine = Machine({"luc": SystemAccount(1001, OURS, frozenset({f"people-{A}"})), "root": ROOT}, groups)
    assert decide({}, "commune-a", machine) == Changes(members=(("luc", ()),))
    assert "luc" not in samba_list({}, machine)


def test_an_account_of_the_system_is_never_made_a_person() -> None:
    with pytest.raises(Refused, match='"marie" is an account of this machine, not of a person'):
        people(OWN, (), frozenset({"marie"}))


def test_what_another_node_brings_takes_no_name_and_enters_no_group_of_this_one() -> None:
    other = store("commune-b", account("marie", "elus"), account("daemon"), account("zoe", "elus"))
    found, left_out = people(OWN, (other,), frozenset({"daemon"}))
    assert {name: node for name, (node, _) in found.items()} == {"marie": "commune-a", "zoe": "commune-b"}
    assert left_out == (
        "marie of commune-b is left out: commune-a already has an account of that name.",
        "daemon of commune-b is left out: this machine already has an account of that name.",
    )
    changes = decide(found, "commune-a", Machine())
    assert dict(changes.members) == {"marie": (f"people-{A}", f"elus-{A}"), "zoe": (f"people-{B}", f"elus-{B}")}


def test_sambas_list_has_the_time_of_each_password_and_says_who_is_refused() -> None:
    disabled = store("commune-a", account("marie", password="password"), account("paul", disabled=True))
    machine = Machine({"marie": SystemAccount(1000, OURS), "paul": SystemAccount(1001, OURS)})
    lines = samba_list(people(disabled, (), frozenset())[0], machine).splitlines()
    assert lines[1] == f"marie:1000:{'X' * 32}:8846F7EAEE8FB117AD06BDD830B7586C:[U          ]:LCT-6B49D200:"
    assert ":[DU         ]:" in lines[2]


def test_a_group_name_fits_into_what_the_system_takes() -> None:
    longest = store("commune-a", account("m", "a" * 24))
    changes = decide(people(longest, (), frozenset())[0], "commune-a", Machine())
    assert max(map(len, changes.groups)) <= 32
