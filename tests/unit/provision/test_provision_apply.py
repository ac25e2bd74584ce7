"""A file that differs is checked, written and loaded; one that fails is as it was; a cut run is finished by the next
one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.provision.apply import apply, apply_part
from appliance.provision.files import CANDIDATE, OwnedFolder, Part, WantedFile
from tests.unit.provision.machine import GROUP, LOAD, RULES, USER, Machine, rules


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_differs_is_written_and_loaded_once_and_then_nothing_more(machine: Machine) -> None:
    assert apply_part(rules("one"), machine.host).changed == (RULES,)
    assert (machine.read(), (machine.root / "etc/rules").stat().st_mode & 0o777) == ("one", 0o640)
    again = apply_part(rules("one"), machine.host)
    assert (again.changed, again.reloads, machine.called) == ((), (), [LOAD])


def test_a_mode_or_a_link_that_differs_is_mended(machine: Machine) -> None:
    apply_part(rules("one"), machine.host)
    path = machine.root / "etc/rules"
    path.chmod(0o666)
    assert apply_part(rules("one"), machine.host).changed == (RULES,)
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    assert apply_part(rules("one"), machine.host).changed == (RULES,)
    assert not path.is_symlink()


def test_a_dry_run_says_the_same_and_changes_nothing(machine: Machine) -> None:
    changes = apply_part(rules("one"), machine.host, dry_run=True)
    assert (changes.changed, changes.reloads, machine.called) == ((RULES,), (LOAD,), [])
    assert not (machine.root / "etc").exists()


@pytest.mark.parametrize("check", [("check", CANDIDATE), ("check",)], ids=["beside", "in place"])
def test_a_text_that_fails_its_check_leaves_the_old_one_and_loads_nothing(
    machine: Machine, check: tuple[str, ...]
) -> None:
    apply_part(rules("one", check), machine.host)
    machine.programs["check"] = lambda argv: False
    machine.called.clear()
    with pytest.raises(
        ApplianceError, match=r"/etc/rules: the new file is not valid, so the old one stays: .*line 3: no"
    ):
        apply_part(rules("two", check), machine.host)
    assert (machine.read(), machine.without("check")) == ("one", [])
    assert sorted(path.name for path in (machine.root / "etc").iterdir()) == ["rules"]


def test_a_check_beside_reads_the_new_text_under_the_files_own_name(machine: Machine) -> None:
    seen: list[tuple[str, str]] = []
    machine.programs["check"] = lambda argv: not seen.append((Path(argv[1]).name, Path(argv[1]).read_text()))
    apply_part(rules("one", ("check", CANDIDATE)), machine.host)
    assert seen == [("rules", "one")]
    assert not Path(machine.called[0][1]).parent.exists()


def test_a_text_that_cannot_be_loaded_is_taken_back_and_the_old_one_loaded_again(machine: Machine) -> None:
    apply_part(rules("one"), machine.host)
    machine.called.clear()
    machine.programs["load"] = lambda argv: machine.read() == "one"
    with pytest.raises(ApplianceError, match="/etc/rules: it could not be put in force, so the old one was put back"):
        apply_part(rules("two"), machine.host)
    assert (machine.read(), machine.called) == ("one", [LOAD, LOAD])


def test_a_first_text_that_fails_leaves_no_file(machine: Machine) -> None:
    machine.programs["load"] = lambda argv: False
    with pytest.raises(ApplianceError):
        apply_part(rules("one"), machine.host)
    assert not (machine.root / "etc/rules").exists()


def test_a_run_that_was_cut_before_it_loaded_is_finished_by_the_next(machine: Machine) -> None:
    def cut(argv: tuple[str, ...]) -> bool:
        raise KeyboardInterrupt

    machine.programs["load"] = cut
    with pytest.raises(KeyboardInterrupt):
        apply_part(rules("one"), machine.host)
    machine.programs.clear()
    machine.called.clear()
    assert apply_part(rules("one"), machine.host).reloads == (LOAD,)
    assert apply_part(rules("one"), machine.host).reloads == ()
    assert machine.called == [LOAD]


def test_what_the_disk_says_and_the_machine_does_not_is_loaded(machine: Machine) -> None:
    asked = rules("one", in_force=("shown",))
    apply_part(asked, machine.host)
    machine.programs["shown"] = lambda argv: False
    changes = apply_part(asked, machine.host)
    assert (changes.changed, changes.reloads) == ((), (LOAD,))


def test_a_part_that_fails_leaves_the_others_to_go_on(machine: Machine) -> None:
    machine.programs["load"] = lambda argv: False
    keys = Part("vault", (WantedFile("/etc/keys/a", "key", owner=USER, group=GROUP),))
    outcome = apply((rules("one"), keys), machine.host)
    assert (list(outcome.failures), outcome.changes["vault"].changed) == (["firewall"], ("/etc/keys/a",))


def test_units_run_now_and_at_each_start_where_that_is_asked_for(machine: Machine) -> None:
    running: set[str] = set()

    def systemctl(argv: tuple[str, ...]) -> bool:
        if argv[1] == "enable":
            running.update(argv[4:])
        return argv[1] == "enable" or argv[-1] in running

    machine.programs["systemctl"] = systemctl
    part = Part("mesh", rules("one").files, units=("seal.service", "door.socket"))
    assert apply((part,), machine.host).changes["mesh"].changed == (RULES,), "somebody may have stopped one"
    assert apply((part,), machine.host, enable=True, dry_run=True).changes["mesh"].changed == part.units
    assert (apply((part,), machine.host, enable=True).changes["mesh"].changed, running) == (part.units, set(part.units))
    running.discard("door.socket")
    assert apply((part,), machine.host, enable=True).changes["mesh"].changed == ("door.socket",)
    assert apply((part,), machine.host, enable=True).changes["mesh"].changed == ()


def test_in_a_folder_of_ours_what_nobody_wants_is_removed_and_the_rest_stays(machine: Machine) -> None:
    def keys(*names: str) -> Part:
        files = (WantedFile(f"/etc/keys/{name}", name, owner=USER, group=GROUP) for name in names)
        return Part("vault", tuple(files), (OwnedFolder("/etc/keys", "vault-*"),))

    apply_part(keys("vault-a", "vault-b"), machine.host)
    (machine.root / "etc/keys/README").write_text("a person's")
    assert apply_part(keys("vault-b"), machine.host).changed == ("/etc/keys/vault-a",)
    assert sorted(path.name for path in (machine.root / "etc/keys").iterdir()) == ["README", "vault-b"]


def test_a_folder_is_made_given_away_and_its_mode_mended(machine: Machine) -> None:
    part = Part("vault", folders=(OwnedFolder("/srv/node/vault", "", 0o750, USER, GROUP),))
    apply_part(part, machine.host)
    folder = machine.root / "srv/node/vault"
    folder.chmod(0o777)
    apply_part(part, machine.host)
    status = folder.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, os.getuid(), os.getgid())


def test_a_link_in_place_of_a_folder_is_not_followed(machine: Machine) -> None:
    elsewhere = machine.root / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (machine.root / "srv").mkdir()
    (machine.root / "srv/vault").symlink_to(elsewhere)
    with pytest.raises(ApplianceError, match="not a folder"):
        apply_part(Part("vault", folders=(OwnedFolder("/srv/vault", "", 0o700, USER, GROUP),)), machine.host)
    assert elsewhere.stat().st_mode & 0o777 == 0o755
