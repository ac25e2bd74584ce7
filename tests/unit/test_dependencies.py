"""Declared is imported: each library that code imports is declared where it is installed from, and nothing else is.

The lists are pyproject.toml, debian/control, the packages of the role `agent`, and packages/: `debian.txt`, `tools.in`
and `python.lock`.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.unit.repository import OURS, ROOT, files, name

# Where another name is imported than the one under which it is installed.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "ansible": "ansible-core",
    "argon2": "argon2-cffi",
    "testinfra": "pytest-testinfra",
    "yaml": "pyyaml",
}
DEBIAN = {
    "ansible-core": "ansible-core",
    "argon2-cffi": "python3-argon2",
    "mypy": "mypy",
    "pillow": "python3-pil",
    "pytest-testinfra": "python3-testinfra",
    "pyyaml": "python3-yaml",
}
# Used, and imported by no module: mypy is a command, the two others are plugins that pytest finds by itself.
NEVER_IMPORTED = {"mypy", "pytest-timeout", "pytest-xdist"}
# Only Debian has Samba's own library. Only an index of Python packages has playwright: packages/tools.in declares it.
SAMBA, PLAYWRIGHT = "samba", "playwright"
# From pyproject.toml alone the command works, and only these modules of ours need the extra "control" besides.
CONTROL = {"appliance/host/network/fleet.py", "appliance/host/network/first_contact.py"}


@pytest.mark.long
def test_the_product_imports_what_pyproject_declares() -> None:
    needed = imported(name(it) for it in python_files(*OURS, "bin", "systemd") if name(it) not in CONTROL)
    assert needed == declared("dependencies")


def test_the_control_machine_imports_what_the_extra_declares() -> None:
    ours = imported([*CONTROL, *(name(it) for it in python_files("inventory", "playbooks"))])
    assert ours - declared("dependencies") == declared("control")


@pytest.mark.long
def test_the_tests_import_what_the_extra_for_developers_declares() -> None:
    needed = imported(name(it) for it in python_files("tests", "molecule", "scripts"))
    of_others = declared("dependencies") | declared("control") | {SAMBA, PLAYWRIGHT}
    assert (needed - of_others) | NEVER_IMPORTED == declared("dev")
    assert needed >= {SAMBA, PLAYWRIGHT}, "named above, but no longer imported"
    assert f"\n{PLAYWRIGHT} ~= " in (ROOT / "packages/tools.in").read_text()


@pytest.mark.parametrize(
    ("group", "sections", "besides"),
    [
        ("dependencies", ["run"], {"python3"}),
        ("control", ["control"], ()),
        ("dev", ["develop", "acceptance"], {"python3-samba"}),
    ],
)
def test_setup_installs_debians_package_of_each_library(
    group: str, sections: Collection[str], besides: Collection[str]
) -> None:
    needed = in_debian(declared(group)) | set(besides)
    listed = {it for section in sections for it in setup_packages(section)}
    assert needed <= listed
    assert {it for it in listed - needed if it.startswith("python3") and it not in NO_LIBRARIES} == set()


# Programs, data and plugins of programs, under such a name.
NO_LIBRARIES = {"python3-venv", "python3-typeshed", "python3-certbot-dns-rfc2136"}


def test_the_package_of_a_node_depends_on_what_pyproject_declares() -> None:
    """dh_python3 takes it from pyproject.toml for the package that has its metadata; the other one has a list."""
    node, bench = (relations(package, "Depends") for package in ("appliance", "appliance-lab"))
    assert "${python3:Depends}" in node
    assert [it for it in node if it.startswith("python3-")] == []
    assert "dist-info" in (ROOT / "debian/appliance.install").read_text()
    assert {it for it in bench if it.startswith("python3-")} == in_debian(
        imported(name(it) for it in python_files("appliance_lab"))
    )
    assert set(relations("appliance", "Suggests")) >= in_debian(declared("control"))


def test_the_package_is_built_with_the_libraries_that_the_commands_run_with() -> None:
    needed = {it for it in relations("", "Build-Depends") if it.startswith("python3-")}
    assert needed == in_debian(declared("dependencies")) | {"python3-all", "python3-setuptools"}


def test_the_role_installs_what_the_package_of_a_node_depends_on() -> None:
    node = {it for it in relations("appliance", "Depends") if it[0] != "$"}
    role = yaml.safe_load((ROOT / "roles/agent/defaults/main.yml").read_text())["agent_packages"]
    assert set(role) == node | {"python3"} | in_debian(declared("dependencies"))


def test_the_lock_was_made_from_what_pyproject_declares() -> None:
    blocks = re.split(r"^(?=\S)", (ROOT / "packages/python.lock").read_text(), flags=re.MULTILINE)
    direct = {it.split("==")[0] for it in blocks if "voisinage (pyproject.toml)" in it}
    assert direct == declared("dependencies") | declared("control") | declared("dev"), "type: make lock"


def test_a_library_without_a_first_stable_version_has_an_upper_bound() -> None:
    early = [it for it in project()["dependencies"] if re.search(r">= 0\.", it)]
    assert len(early) > 2
    assert [it for it in early if ", < " not in it] == []


def test_an_import_is_found_in_every_form_and_what_python_brings_is_none() -> None:
    code = "import os, yaml.nodes\nfrom PIL import Image\ndef f():\n    from . import x\n    import pytest_x as y\n"
    assert set(modules_in(code + 'pytest.importorskip("zbar.core")')) == {"yaml", "PIL", "pytest_x", "zbar"}


def imported(paths: Iterable[str]) -> set[str]:
    """The distributions that the modules at `paths` import, the tests' and our own left out."""
    found = {it for path in paths for it in modules_of(path)}
    return {distribution(it) for it in found - {*OURS, "tests"}}


@cache
def modules_of(path: str) -> frozenset[str]:
    return frozenset(modules_in((ROOT / path).read_text()))


def modules_in(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                found = [module]
            case ast.Call(func=ast.Attribute(attr="importorskip"), args=[ast.Constant(value=str(module)), *_]):
                found = [module]
            case _:
                continue
        yield from {it.split(".")[0] for it in found} - sys.stdlib_module_names


def python_files(*folders: str) -> Iterator[Path]:
    """Modules, and programs whose first line names Python."""
    for path in files():
        if name(path).split("/")[0] in folders and (
            path.suffix == ".py" or (not path.suffix and re.match(r"#!.*python", path.read_text()[:80]))
        ):
            yield path


def distribution(module: str) -> str:
    return DISTRIBUTIONS.get(module, module.replace("_", "-"))


def in_debian(distributions: Iterable[str]) -> set[str]:
    return {DEBIAN.get(it, f"python3-{it}") for it in distributions}


@cache
def project() -> dict[str, list[str]]:
    """The lists of pyproject.toml, with the extras beside the dependencies."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"dependencies": read["dependencies"], **read["optional-dependencies"]}


def declared(group: str) -> set[str]:
    return {line.split()[0] for line in project()[group]}


def setup_packages(section: str) -> list[str]:
    text = (ROOT / "packages/debian.txt").read_text()
    return re.findall(r"^([a-z0-9.+-]+) +#", text.split(f"[{section}]\n")[1].split("\n[")[0], re.MULTILINE)


def relations(package: str, field: str) -> list[str]:
    """The names in a field of debian/control, of the source where no `package` is named; substitutions as they are."""
    text = (ROOT / "debian/control").read_text()
    stanza = (text.split(f"\nPackage: {package}\n")[1] if package else text).split("\nPackage: ")[0]
    lines = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
    [text] = re.findall(rf"^{field}:((?:.*\n)(?: .*\n)*)", lines + "\n", re.MULTILINE)
    return [it.split()[0] for it in text.split(",") if it.strip()]
