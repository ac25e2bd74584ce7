"""The page of the architecture is short, its tables say what the units say, and the states are drawn as they move."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.failover.fsm.table import TABLE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/ARCHITECTURE.md"
OTHERS = ROOT / "docs/architecture/programs.md"
WORDS_MAX = 1000
CODE = re.compile(r"`([^`]+)`")
PORT = re.compile(r"(?:TCP|UDP)\b.*")
MODULE = re.compile(r"-m appliance\.([\w.]+)|dist-packages/(appliance/[\w/]+\.py)")
SCRIPT = re.compile(r"/usr/lib/appliance/(announce-restart|serve-\w+|ups-measures)")
MOVE = re.compile(r'data-from="([^"]+)" data-to="([^"]+)"')
IMPORT = re.compile(r"^from appliance\.([\w.]+) import (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    unit: str
    account: str
    socket: str
    entry: str


def _programs(page: Path) -> list[Program]:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.read_text().splitlines() if "|" in line]
    found = [row for row in rows if len(row) == 6 and "`appliance-" in row[1]]
    return [
        Program(unit, account.strip("`"), socket.strip("`"), entry.strip("`"))
        for _, units, account, socket, entry, _ in found
        for unit in CODE.findall(units)
    ]


PORTAL_PAGES = re.findall(
    r"^\| [^|]+ \| `(/[^`]*)` \| `(\w+\.py)` \| `([\w-]+\.html)` \|$",
    (ROOT / "docs/architecture/portal.md").read_text(),
    re.MULTILINE,
)
PROGRAMS = [*_programs(PAGE), *_programs(OTHERS)]
of_each_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda it: it.unit)


def _values(unit: str, name: str, kind: str = "service") -> list[str]:
    text = (ROOT / f"systemd/{unit}.{kind}").read_text()
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_the_page_of_the_architecture_has_at_most_a_thousand_words() -> None:
    assert len(PAGE.read_text().split()) <= WORDS_MAX


def test_every_service_unit_is_in_one_row_and_named_on_the_page() -> None:
    units = sorted(path.stem for path in ROOT.glob("systemd/*.service"))
    assert sorted(program.unit for program in PROGRAMS) == units
    named = set(CODE.findall(PAGE.read_text()))
    assert [unit for unit in units if unit not in named] == []


@of_each_program
def test_the_account_is_that_of_the_unit(program: Program) -> None:
    dynamic = "yes" in _values(program.unit, "DynamicUser")
    assert [program.account] == (_values(program.unit, "User") or ["dynamic" if dynamic else "root"])


@of_each_program
def test_the_socket_is_that_of_the_unit(program: Program) -> None:
    socket = ROOT / f"systemd/{program.unit.removesuffix('@')}.socket"
    if socket.exists():
        (listens,) = _values(program.unit.removesuffix("@"), "ListenStream", "socket")
        told = f"TCP {listens.rpartition(':')[2]}" if ":" in listens else listens
        assert told in (program.socket, f"/run/appliance/{program.socket}")
    else:
        assert program.socket == "" or PORT.fullmatch(program.socket) or program.socket.startswith("/run/appliance-")


@of_each_program
def test_the_entry_file_is_what_the_unit_starts(program: Program) -> None:
    command = " ".join((*_values(program.unit, "ExecStart"), *_values(program.unit, "ExecStop")))
    if module := MODULE.search(command):
        path = ROOT / (module[2] or f"appliance/{module[1].replace('.', '/')}")
        started = path if path.suffix else path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert ROOT / "appliance" / program.entry == started
        assert started.is_file()
    elif script := SCRIPT.search(command):
        assert program.entry == f"systemd/{script[1]}"
        assert (ROOT / program.entry).is_file()
    elif re.search(r"/usr/bin/appliance\b", command):
        entry = ROOT / "appliance" / program.entry
        assert entry.is_file()
        assert program.entry.startswith("cli/") or program.entry in _called_by_commands()
    else:
        assert program.entry in command.split()


@pytest.mark.parametrize("row", PORTAL_PAGES, ids=lambda it: it[0])
def test_the_module_of_a_page_has_its_address_and_template(row: tuple[str, str, str]) -> None:
    address, module, template = row
    code = (ROOT / "appliance/portal/pages" / module).read_text()
    assert re.search(rf'page\("{re.escape(address)}"', code)
    assert f'"{template}"' in code
    assert (ROOT / "appliance/portal/templates" / template).is_file()


def test_every_module_of_pages_with_a_fixed_address_is_in_the_table_of_pages() -> None:
    folder = ROOT / "appliance/portal/pages"
    modules = {path.name for path in folder.glob("*.py") if re.search(r'page\("/', path.read_text())}
    assert {module for _, module, _ in PORTAL_PAGES} == modules


def test_the_picture_of_the_states_draws_every_move_of_the_table_and_no_other() -> None:
    text = (ROOT / "docs/pictures/failover-states.svg").read_text()
    drawn = {(state, to) for states, to in MOVE.findall(text) for state in states.split()}
    moves = {(state, row.next) for row in TABLE for state in row.states if row.next and row.next is not state}
    assert drawn == moves


def _called_by_commands() -> set[str]:
    """The files below `appliance/` from which a command imports."""
    found = set[str]()
    for path in ROOT.glob("appliance/cli/**/*.py"):
        for module, names in IMPORT.findall(path.read_text()):
            folder = module.replace(".", "/")
            found |= {f"{folder}.py", *(f"{folder}/{name.split()[0]}.py" for name in names.split(","))}
    return found
