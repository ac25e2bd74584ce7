"""A share that moves between hosts with its people: PCs at home, people at a standby, a cut line, a promotion, a merge.

The share is at home at commune-a and the hermitage stands by. The tests follow each other: each leaves it at home.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.accounts.groups import mark
from appliance_lab.hosts.saving import saving
from tests.integration.lab.moving.shares import FIRST, FIRST_TEXT, FOLDER, PERSON, SERVICE, SHARE, Shares, reads
from tests.integration.lab.moving.sites import (
    HOME,
    LEASE_SECONDS,
    OTHER,
    STANDBY,
    assert_one_writer_at_a_time,
    boottime,
    until,
)
from tests.pace import in_time

PEOPLE = f"people-{mark(HOME)}"
REACHED_AGAIN_WITHIN_SECONDS = 60.0

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(1200)]


def test_pcs_at_home_keep_their_drive_and_others_come_to_its_own_address(shares: Shares) -> None:
    assert shares.at_home().get(SHARE, FIRST) == FIRST_TEXT
    assert shares.at_home(OTHER).refusal(SHARE, "ls"), "PCs of another town hall do not come in"
    assert shares.over_the_mesh().get(SHARE, FIRST) == FIRST_TEXT
    assert (shares.serves(HOME), shares.serves(STANDBY)) == (True, False)
    for node in (HOME, STANDBY):
        active = shares.run(node, "systemctl", "is-active", "smbd.service", "nmbd.service", check=False)
        assert set(active.stdout.decode().split()) == {"inactive"}, "no second Samba has the folder"


def test_the_agent_of_the_standby_lays_it_out_ahead(shares: Shares) -> None:
    laid = f"/srv/shares/.laying/{SERVICE}.room{FOLDER}/{FIRST}"
    until(lambda: shares.run(STANDBY, "cat", laid, check=False).stdout.decode() == FIRST_TEXT, "it is laid out")


def test_a_planned_move_loses_nothing_and_comes_home_again(shares: Shares) -> None:
    begun = boottime()
    shares.at_home().put(SHARE, "Délibération n° 12.txt", "à la mairie")
    shares.move("move", SERVICE, STANDBY)
    visitor = shares.over_the_mesh()
    took = until(lambda: reads(visitor, "Délibération n° 12.txt", "à la mairie"), "she opens it elsewhere")
    print(f"opened at {STANDBY} {boottime() - begun:.1f} s after the move was asked for, {took:.1f} s after the answer")
    assert in_time(boottime() - begun, REACHED_AGAIN_WITHIN_SECONDS)
    assert (shares.serves(HOME), shares.may_be_written(HOME)) == (False, False)
    led, way = shares.at_home(), f"appliance-share-away@{SERVICE}.service"
    until(lambda: reads(led, "Délibération n° 12.txt", "à la mairie"), "her drive at home is the same one")
    print(f"opened by a PC at home {boottime() - begun:.1f} s after the move was asked for")
    led.put(SHARE, "depuis la mairie.txt", "écrit de loin")
    assert visitor.get(SHARE, "depuis la mairie.txt") == "écrit de loin"
    assert shares.at_home(OTHER).refusal(SHARE, "ls"), "PCs of another town hall do not come in"
    shares.run(HOME, "systemctl", "stop", way)
    shares.run(HOME, "systemctl", "restart", "appliance-failover.service")
    until(lambda: reads(led, "depuis la mairie.txt", "écrit de loin"), "who comes back leads them again")
    owned = shares.said(STANDBY, "stat", "--format=%a %U %G", FOLDER, f"{FOLDER}/avant.txt").splitlines()
    assert owned == [f"2770 root {PEOPLE}", f"660 root {PEOPLE}"]
    visitor.put(SHARE, FIRST, "changé au secours")
    visitor.put(SHARE, "nouveau.txt", "écrit au secours")
    until(lambda: shares.state(HOME, SERVICE) == "STANDBY", "its home stands by")
    asked = boottime()
    shares.move("move", SERVICE, HOME)
    until(lambda: shares.serves(HOME), "it is home")
    assert shares.run(HOME, "systemctl", "is-active", "--quiet", way, check=False).exit_code != 0
    at_home = shares.at_home()
    until(lambda: reads(at_home, "nouveau.txt", "écrit au secours"), "it is home with all that was written")
    print(f"opened at home {boottime() - asked:.1f} s after it was asked back")
    assert at_home.get(SHARE, FIRST) == "changé au secours"
    at_home.put(SHARE, FIRST, "de nouveau à la mairie")
    assert (shares.serves(STANDBY), shares.may_be_written(STANDBY)) == (False, False)
    assert_one_writer_at_a_time(shares, SERVICE, begun)
    shares.back_up(SERVICE)


def test_a_program_that_saves_all_the_time_waits_for_a_move_and_loses_nothing(shares: Shares) -> None:
    with saving(shares.at_home(), SHARE) as it:
        until(lambda: it.taken, "it saves")
        for node, way in ((STANDBY, "to the standby"), (HOME, "home")):
            until(lambda to=node: shares.state(to, SERVICE) == "STANDBY", f"{node} stands by")
            asked = boottime()
            shares.move("move", SERVICE, node)
            until(lambda to=node: shares.state(to, SERVICE) == "ACTIVE", f"{node} serves")
            moved, before = boottime() - asked, len(it.taken)
            until(lambda more=before + 2: len(it.taken) > more, f"it saves {way}")
            print(f"moved {way} in {moved:.1f} s; longest time without a save {it.longest_pause(asked):.1f} s")
            assert in_time(it.longest_pause(asked), REACHED_AGAIN_WITHIN_SECONDS)
    kept = shares.said(HOME, "sh", "-c", f"cat {FOLDER}/saved-*.txt").split()
    assert sorted(map(int, kept))[: len(it.taken)] == list(range(len(it.taken)))
    shares.back_up(SERVICE)


def test_a_home_that_is_cut_off_works_on_and_its_people_can_enter_the_standby(shares: Shares) -> None:
    until(lambda: shares.state(STANDBY, SERVICE) == "STANDBY", "the standby has a copy")
    shares.run(STANDBY, "appliance", "internal", "account", "sync", "--without", HOME)
    with shares.line_cut():
        until(lambda: shares.state(STANDBY, SERVICE) == "RO_SERVE", "the standby sees the silence")
        until(lambda: PERSON in shares.people_of_home(STANDBY), "her account counts there")
        assert shares.state(HOME, SERVICE) == "ISOLATED_RW"
        shares.at_home().put(SHARE, "coupure.txt", "écrit sans réseau")
        assert not shares.serves(STANDBY), "nobody else writes it without a signed act"
        assert not shares.may_be_written(STANDBY)
    until(lambda: reads(shares.over_the_mesh(), "coupure.txt", "écrit sans réseau"), "the home is seen again")
    until(lambda: shares.state(HOME, SERVICE) == "ACTIVE", "it has its lease")
    shares.back_up(SERVICE)


def test_what_both_sides_wrote_is_kept_and_merged(shares: Shares, tmp_path: Path) -> None:
    until(lambda: shares.state(STANDBY, SERVICE) == "STANDBY", "the standby has a copy")
    visitor, at_home = shares.over_the_mesh(), shares.at_home()
    with shares.line_cut():
        until(lambda: shares.state(STANDBY, SERVICE) == "RO_SERVE", "the standby sees the silence")
        shares.promote(tmp_path)
        took = until(lambda: reads(visitor, "coupure.txt", "écrit sans réseau"), "the standby serves it")
        print(f"opened at {STANDBY} {took:.1f} s after the act, with a lease of {LEASE_SECONDS} s")
        visitor.put(SHARE, FIRST, "version du secours")
        visitor.put(SHARE, "secours.txt", "seulement au secours")
        at_home.put(SHARE, FIRST, "version de la mairie")
        at_home.put(SHARE, "mairie.txt", "seulement à la mairie")
    until(lambda: not shares.serves(HOME), "the home steps down")
    until(lambda: not shares.may_be_written(HOME), "and its files are read-only")
    until(lambda: reads(at_home, "secours.txt", "seulement au secours"), "its PCs are routed to the standby")
    until(lambda: shares.state(HOME, SERVICE) == "STANDBY", "it has kept its branch and caught up")
    shares.ask_home(SERVICE)
    until(lambda: reads(at_home, "secours.txt", "seulement au secours"), "it is home with what the standby wrote")
    merged = shares.appliance(HOME, "failover", "merge", SERVICE)
    assert merged.exit_code == 0, merged.stderr.decode()
    assert at_home.get(SHARE, "mairie.txt") == "seulement à la mairie"
    assert at_home.get(SHARE, FIRST) == "version du secours"
    [other] = [it for it in shares.said(HOME, "ls", FOLDER).splitlines() if it.startswith("avant (")]
    assert at_home.get(SHARE, other) == "version de la mairie"
    at_home.put(SHARE, other, "lue et corrigée")
    until(lambda: shares.state(HOME, SERVICE) == "ACTIVE", "it is well")
