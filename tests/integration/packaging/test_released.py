"""One command in a clean clone: the tag, the packages, their checksums, the page of changes; and what comes after."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from appliance import __version__
from appliance.host.command import run
from tests.integration.packaging.checkout import RELEASED_FROM, copy_sources

TOOLS = ("dpkg-buildpackage", "dh_python3", "git", "help2man")
IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
NEXT = "7.8.9"

pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="builds a Debian package: make setup"),
    pytest.mark.xdist_group("deb"),
    pytest.mark.timeout(600),
]


def said_by(folder: Path, *argv: str) -> str:
    return run(argv, timeout_seconds=240, cwd=folder, env=IDENTITY, check=True).stdout.decode().strip()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_sources(tmp_path_factory.mktemp("released") / "clone", RELEASED_FROM)
    said_by(folder, "git", "init", "--quiet", "--initial-branch=main")
    said_by(folder, "git", "config", "user.name", "Somebody")
    said_by(folder, "git", "config", "user.email", "a@b.invalid")
    said_by(folder, "git", "add", "--all")
    said_by(folder, "git", "commit", "--quiet", "--message=all")
    return folder


@pytest.fixture(scope="module")
def key(clone: Path) -> str:
    """Have git sign with a key of SSH; the file of those that may have signed."""
    file = clone.parent / "key"
    said_by(clone, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file))
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(file))):
        said_by(clone, "git", "config", name, value)
    allowed = clone.parent / "allowed"
    allowed.write_text(f"a@b.invalid {file.with_suffix('.pub').read_text()}")
    return str(allowed)


@pytest.fixture(scope="module")
def released(clone: Path, key: str) -> Path:
    """The folder that the release leaves."""
    said_by(clone, "make", "release", f"VERSION={NEXT}")
    return clone / "build/release" / NEXT


def package_in(folder: Path) -> Path:
    [found] = folder.glob("appliance_*_all.deb")
    return found


def test_packages_checksums_and_page_lie_together(released: Path) -> None:
    assert {path.name.partition("_")[0] for path in released.iterdir()} == {
        *("appliance", "appliance-lab", "CHANGES.md", "SHA256SUMS"),
    }
    assert "FAILED" not in said_by(released, "sha256sum", "--check", "--strict", "SHA256SUMS")
    assert len((released / "SHA256SUMS").read_text().splitlines()) == 3


def test_the_page_has_what_stood_under_unreleased_and_the_changelog_has_it_under_the_version(
    clone: Path, released: Path
) -> None:
    page, changes = (released / "CHANGES.md").read_text(), (clone / "CHANGELOG.md").read_text()
    before = said_by(clone, "git", "show", "HEAD~1:CHANGELOG.md")
    lines = [line for line in before.partition("## Unreleased\n")[2].partition("\n## ")[0].splitlines() if line]
    assert len(lines) > 10
    assert re.match(rf"# appliance {re.escape(NEXT)}, \d{{4}}-\d\d-\d\d\n\n", page)
    assert [line for line in lines if "](" not in line and line.lstrip("#") not in page.replace("\n## ", "\n ")] == []
    assert "](" not in page
    assert re.search(rf"## Unreleased\n\n## {re.escape(NEXT)}, \d{{4}}-\d\d-\d\d\n\n", changes)
    assert changes.count(lines[-1]) == 1


def test_one_commit_and_a_signed_tag_are_made_with_the_checksums_in_it(clone: Path, released: Path, key: str) -> None:
    assert said_by(clone, "git", "log", "-1", "--format=%s") == f"release: {NEXT}"
    assert said_by(clone, "git", "rev-list", "--count", "HEAD") == "2"
    assert said_by(clone, "git", "rev-parse", f"v{NEXT}^{{commit}}") == said_by(clone, "git", "rev-parse", "HEAD")
    assert said_by(clone, "git", "cat-file", "-t", f"v{NEXT}") == "tag"
    said_by(clone, "git", "-c", f"gpg.ssh.allowedSignersFile={key}", "verify-tag", f"v{NEXT}")
    assert (released / "SHA256SUMS").read_text().strip() in said_by(
        clone, "git", "tag", "--list", "-n9", f"v{NEXT}"
    ).replace("\n    ", "\n")
    assert said_by(clone, "git", "status", "--porcelain") == ""
    assert len(said_by(clone, "git", "worktree", "list").splitlines()) == 1


def test_the_package_says_its_version_date_and_commit_everywhere(clone: Path, released: Path, tmp_path: Path) -> None:
    version = said_by(released, "dpkg-deb", "--field", str(package_in(released)), "Version")
    commit = said_by(clone, "git", "rev-parse", "HEAD")
    assert re.fullmatch(rf"{re.escape(NEXT)}\+\d{{8}}\.\d{{6}}\.g{commit[:7]}", version)
    assert package_in(released).name == f"appliance_{version}_all.deb"
    said_by(released, "dpkg-deb", "--extract", str(package_in(released)), str(tmp_path))
    code = tmp_path / "usr/lib/python3/dist-packages"
    python = ("env", f"PYTHONPATH={code}", "/usr/bin/python3", "-P")
    assert said_by(tmp_path, *python, "-m", "appliance", "--version") == f"appliance, version {version}"
    measured = "from appliance.monitor import measures; print(measures.__version__)"
    assert said_by(tmp_path, *python, "-c", measured) == version


def test_the_code_and_the_verbs_are_those_of_the_version(clone: Path, released: Path) -> None:
    assert f'__version__ = "{NEXT}"' in (clone / "appliance/__init__.py").read_text()
    assert json.loads((clone / f"tests/golden/verbs/{NEXT}.json").read_text())["release"] == NEXT
    entries = re.findall(r"^appliance \((.*)\) ", (clone / "debian/changelog").read_text(), re.MULTILINE)
    assert entries == [NEXT, __version__]


def test_the_same_commit_gives_the_same_bytes_and_a_later_one_a_later_version(clone: Path, released: Path) -> None:
    again = Path(said_by(clone, "scripts/deb").splitlines()[-1])
    assert again.read_bytes() == package_in(released).read_bytes()
    (clone / "README.md").write_text("another\n")
    built = [Path(said_by(clone, "scripts/deb").splitlines()[-1]) for _ in range(2)]
    assert built[0] == built[1], "files that are the same still are one build"
    said_by(clone, "git", "commit", "--quiet", "--all", "--message=more")
    versions = [again.name.split("_")[1], built[0].name.split("_")[1], said_by(clone, "scripts/version")]
    assert [it.endswith(".dirty") for it in versions] == [False, True, False]
    said_by(clone, "dpkg", "--compare-versions", versions[1], "gt", versions[0])
    said_by(clone, "dpkg", "--compare-versions", versions[2], "ge", versions[1].partition(".g")[0])


def test_a_version_is_released_once(clone: Path, released: Path) -> None:
    done = run(("scripts/release", NEXT), timeout_seconds=60, cwd=clone, env=IDENTITY)
    assert (done.exit_code, f"the tag v{NEXT} exists" in done.stderr.decode()) == (4, True)
