"""Only parts that are not what the bundle says are due; what cannot be told is due, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.provision import due as dues
from appliance.provision.apply import apply_part
from appliance.provision.due import due
from appliance.provision.files import PARTS, OwnedFolder, Part
from tests.unit.provision.machine import GROUP, LOAD, RULES, USER, Machine, rules
from tests.worlds.towns import bundle, town

NAME = "commune-a"
BUNDLE = bundle([town(NAME, 1)])
FOLDER = OwnedFolder("/etc/doors", "", 0o750, USER, GROUP)
FIREWALL = replace(rules("one", in_force=("asks",)), folders=(FOLDER,), units=("door.service",))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A host whose firewall is as it should be, and of which nothing else is wanted."""
    made = Machine(tmp_path)
    apply_part(FIREWALL, made.host)

    def wanted(bundle: object, name: str, declared: object, names: tuple[str, ...]) -> tuple[Part, ...]:
        return tuple(FIREWALL if name == "firewall" else Part(name) for name in names)

    monkeypatch.setattr(dues, "wanted", wanted)
    return made


def test_nothing_is_due_where_all_is_as_it_should_be_and_nothing_is_changed_to_find_that_out(machine: Machine) -> None:
    machine.called.clear()
    assert due(BUNDLE, NAME, machine.host) == ()
    assert LOAD not in machine.called


def spoil_text(machine: Machine) -> None:
    (machine.root / RULES.lstrip("/")).write_text("another")


def spoil_folder(machine: Machine) -> None:
    (machine.root / "etc/doors").chmod(0o777)


def stop_unit(machine: Machine) -> None:
    machine.programs["systemctl"] = lambda argv: "is-active" not in argv


def forget_rules(machine: Machine) -> None:
    machine.programs["asks"] = lambda argv: False


@pytest.mark.parametrize("spoil", [spoil_text, spoil_folder, stop_unit, forget_rules])
def test_a_part_is_due_that_differs_in_anything_that_is_put_right(machine: Machine, spoil: object) -> None:
    assert callable(spoil)
    spoil(machine)
    assert due(BUNDLE, NAME, machine.host) == ("firewall",)


def test_what_cannot_be_told_is_due(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def wanted(*arguments: object) -> tuple[Part, ...]:
        raise ApplianceError("the bundle does not describe it.")

    monkeypatch.setattr(dues, "wanted", wanted)
    assert due(BUNDLE, NAME, machine.host) == PARTS
