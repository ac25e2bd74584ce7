"""The work of people in a share of a real Samba: previous versions, the bin, names in French, each other's files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from appliance.accounts.groups import mark
from appliance_lab.hosts.pc import Pc
from tests.integration.share.conftest import MARIE
from tests.integration.share.world import World

pytestmark = pytest.mark.root
UNIT = Path(__file__).parents[3] / "systemd/appliance-recycle.service"
YESTERDAY, TODAY = "@GMT-2026.11.24-20.00.00", "@GMT-2026.11.25-08.00.00"
FILE = "Délibération n° 12.txt"


@pytest.fixture(scope="module")
def twice(world: World) -> Pc:
    """Marie wrote a file, it was changed after a snapshot, and deleted after another."""
    marie = world.pc("marie", MARIE)
    marie.did("Documents", 'mkdir "Conseil d’été"', 'mkdir "Conseil d’été/Procès-verbaux"')
    marie.put("Documents", f"Conseil d’été/{FILE}", "premier texte")
    world.snapshot(YESTERDAY)
    marie.put("Documents", f"Conseil d’été/{FILE}", "deuxième texte, plus long")
    world.snapshot(TODAY)
    marie.put("Documents", f"Conseil d’été/{FILE}", "troisième")
    return marie


def test_a_pc_lists_the_previous_versions_of_a_file_the_newest_first(twice: Pc) -> None:
    assert twice.versions("Documents", f"Conseil d’été/{FILE}") == [TODAY, YESTERDAY]


def test_each_version_is_read_as_it_was(twice: Pc) -> None:
    assert twice.get("Documents", f"{YESTERDAY}/Conseil d’été/{FILE}") == "premier texte"
    assert twice.get("Documents", f"{TODAY}/Conseil d’été/{FILE}") == "deuxième texte, plus long"
    assert twice.get("Documents", f"Conseil d’été/{FILE}") == "troisième"


def test_a_deleted_file_is_listed_in_the_previous_version_of_its_folder(world: World, twice: Pc) -> None:
    twice.put("Documents", "à jeter.txt", "x")
    world.snapshot("@GMT-2026.11.25-09.00.00")
    twice.did("Documents", 'del "à jeter.txt"')
    assert "à jeter.txt" in twice.did("Documents", 'ls "@GMT-2026.11.25-09.00.00/*"')


def test_nothing_can_be_written_into_a_previous_version(world: World, twice: Pc) -> None:
    place = f"{YESTERDAY}/Conseil d’été"
    file = world.folder / "evil"
    file.write_text("x")
    for command in (
        f'put "{file}" "{place}/new.txt"',
        f'put "{file}" "{place}/{FILE}"',
        f'del "{place}/{FILE}"',
        f'mkdir "{place}/new"',
        f'rename "{place}/{FILE}" "{place}/other"',
        f'rename "{place}/{FILE}" "stolen"',
    ):
        assert twice.refusal("Documents", command), command
    assert twice.get("Documents", f"{place}/{FILE}") == "premier texte"


def test_the_snapshots_themselves_are_in_no_share(twice: Pc) -> None:
    assert twice.refusal("Documents", 'ls "../.snapshots/*"')
    assert ".snapshots" not in twice.did("Documents", "ls")


def test_what_is_deleted_lies_in_the_bin_at_its_place_and_twice_deleted_is_gone(twice: Pc) -> None:
    twice.put("Documents", "Conseil d’été/brouillon.odt", "un")
    twice.did("Documents", 'del "Conseil d’été/brouillon.odt"')
    assert twice.get("Documents", "Corbeille/Conseil d’été/brouillon.odt") == "un"
    twice.put("Documents", "Conseil d’été/brouillon.odt", "deux")
    twice.did("Documents", 'del "Conseil d’été/brouillon.odt"')
    assert len(re.findall(r"brouillon\.odt", twice.did("Documents", 'ls "Corbeille/Conseil d’été/*"'))) == 2
    twice.did("Documents", 'del "Corbeille/Conseil d’été/brouillon.odt"')
    assert len(re.findall(r"brouillon\.odt", twice.did("Documents", 'ls "Corbeille/Conseil d’été/*"'))) == 1
    twice.put("Documents", "~$brouillon.odt", "x")
    twice.did("Documents", 'del "~$brouillon.odt"')
    assert "~$brouillon" not in twice.did("Documents", 'ls "Corbeille/*"')


def test_another_person_can_take_out_of_the_bin_what_one_deleted(twice: Pc, paul: Pc) -> None:
    twice.put("Documents", "commun.txt", "à tous")
    twice.did("Documents", 'del "commun.txt"')
    paul.did("Documents", 'rename "Corbeille/commun.txt" "commun.txt"')
    assert twice.get("Documents", "commun.txt") == "à tous"


def test_the_timer_empties_bins_of_what_is_old_and_nothing_else(world: World, twice: Pc) -> None:
    twice.put("Documents", "Conseil d’été/vieux.txt", "x")
    twice.put("Documents", "gardé.txt", "x")
    twice.did("Documents", 'del "Conseil d’été/vieux.txt"')
    outside = "/srv/shares/documents/gardé.txt"
    world.did("ln", "--symbolic", "/srv/shares/documents", "/srv/shares/documents/Corbeille/lien")
    world.did("ln", "--symbolic", "/srv/shares/documents", "/srv/shares/documents/Conseil d’été/Corbeille")
    lines = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    commands = [[word.replace("$$", "$") for word in shlex.split(line)] for line in lines]
    for words in commands:
        world.did(*words)
    assert "vieux.txt" in twice.did("Documents", 'ls "Corbeille/Conseil d’été/*"'), "it was deleted today"
    for words in commands:
        # What is a month old cannot be made in a test: here all that is less old counts as such.
        world.did(*["-1" if word in ("+29", "+0") else word for word in words])
    assert world.did("find", "/srv/shares/documents/Corbeille", "-mindepth", "1") == ""
    assert world.did("cat", outside) == "x"
    assert world.did("ls", "/srv/shares/documents/Conseil d’été").split()
    world.did("rm", "/srv/shares/documents/Conseil d’été/Corbeille")


def test_names_in_french_and_long_ones_are_kept_letter_by_letter(world: World, marie: Pc) -> None:
    names = ("Œuvres d’art & legs (église).txt", "État civil – naissances 2026.txt", "é" * 120 + ".txt")
    for name in names:
        marie.put("Documents", name, name)
        assert marie.get("Documents", name) == name
        assert world.did("cat", f"/srv/shares/documents/{name}") == name


def test_what_one_writes_is_hers_and_everybody_who_may_enter_can_change_it(world: World, marie: Pc, paul: Pc) -> None:
    marie.did("Documents", "mkdir commun")
    marie.put("Documents", "commun/a.txt", "un")
    people = f"people-{mark(world.node)}"
    places = ("/srv/shares/documents/commun", "/srv/shares/documents/commun/a.txt")
    owners = world.did("stat", "--format=%a %U %G", *places)
    assert owners.splitlines() == [f"2770 marie {people}", f"660 marie {people}"]
    paul.put("Documents", "commun/a.txt", "deux")
    assert marie.get("Documents", "commun/a.txt") == "deux"
    assert world.did("stat", "--format=%U", places[1]).strip() == "marie"


def test_the_agent_can_read_what_people_write_and_nobody_else_of_the_machine(world: World, marie: Pc) -> None:
    marie.put("Documents", "paie.txt", "secret")
    plain = ("setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups")
    reads_all = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    assert world.run(*plain, "cat", "/srv/shares/documents/paie.txt").exit_code != 0
    assert world.did(*plain, *reads_all, "cat", "/srv/shares/documents/paie.txt") == "secret"


def test_the_settings_hold_nothing_that_samba_does_not_know(world: World) -> None:
    told = world.run("testparm", "--suppress-prompt", "/etc/samba/smb.conf")
    assert told.exit_code == 0
    assert "Unknown" not in told.stderr.decode()
    assert "WARNING" not in told.stderr.decode()


def test_a_file_that_a_pc_has_open_is_seen_until_it_is_closed_and_then_replaced(world: World, twice: Pc) -> None:
    """A restore in place asks this of each file before it takes its place: what is saved next would be lost."""
    twice.put("Documents", "ouvert.txt", "en cours")
    asks = "from pathlib import Path; from appliance.host.disks.opened import is_open; print(is_open(Path(%r)))"

    def seen() -> bool:
        return world.did("/usr/bin/python3", "-c", asks % "/srv/shares/documents/ouvert.txt").strip() == "True"

    assert not seen()
    with twice.staying("Documents") as session:
        assert session.stdin
        session.stdin.write(b'open "ouvert.txt"\n')
        session.stdin.flush()
        world.wait(seen, "a file that is open")
    world.wait(lambda: not seen(), "the end of the session")
