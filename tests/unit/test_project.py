"""The metadata of the project: one maintainer everywhere, pages that exist, and types that others may rely on."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch

from tests.unit.repository import OURS, ROOT, files, name

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
README = "README.md"


def test_the_author_is_the_maintainer_of_the_debian_package() -> None:
    (author,) = PROJECT["authors"]
    maintainer = f"{author['name']} <{author['email']}>"
    assert f"\nMaintainer: {maintainer}\n" in (ROOT / "debian/control").read_text()
    assert re.search(rf"^ -- {re.escape(maintainer)}  ", (ROOT / "debian/changelog").read_text(), re.MULTILINE)


def test_each_page_that_an_address_of_the_project_names_exists() -> None:
    home = PROJECT["urls"]["Homepage"]
    assert home.endswith("/")
    pages = [url.removeprefix(home) for url in PROJECT["urls"].values()]
    assert len(pages) > 2
    assert [page for page in pages if "://" in page or not (ROOT / page).exists()] == []


def test_each_package_of_ours_says_that_it_has_types() -> None:
    assert [package for package in OURS if not (ROOT / package / "py.typed").is_file()] == []


def test_what_is_no_module_of_a_package_is_installed_with_it() -> None:
    """A file that no pattern of package-data names would be missing from the wheel and from the Debian package; of
    README.md, which tells developers where to look, that is meant."""
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    known = [f"{package.replace('.', '/')}/{pattern}" for package, patterns in data.items() for pattern in patterns]
    ours = [name(it) for it in files() if name(it).split("/")[0] in OURS and it.suffix != ".py" and it.name != README]
    assert f"{OURS[0]}/py.typed" in ours
    assert [it for it in ours if not any(fnmatch(it, pattern) for pattern in known)] == []


def test_a_change_of_anything_that_is_built_makes_a_version_of_its_own() -> None:
    """scripts/version names the last commit that changed a part; scripts/deb packs the parts."""
    named = re.search(r"^parts='(.*)'$", (ROOT / "scripts/version").read_text(), re.MULTILINE)
    packed = re.search(r"^    tar -c .*\\\n +(.*)$", (ROOT / "scripts/deb").read_text(), re.MULTILINE)
    assert named
    assert packed
    assert set(named[1].split()) == {*packed[1].split(), "scripts/deb", "scripts/version"}
