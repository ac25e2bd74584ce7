"""Builds are called after their commit; `make release` refuses a checkout that is not fit for it, before any change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.host.command import Result, run

ROOT = Path(__file__).parents[3]
NEW = "### The territory\n\n- A [page](docs/page.md) is new.\n\n"
CHANGES = f"# Changelog\n\n## Unreleased\n\n{NEW}## 0.1.0, 2026-12-01\n\n- All.\n"
BY = " -- Somebody <a@b.invalid>  Wed, 25 Nov 2026 04:30:00 +0000"
DEBIAN = f"appliance (0.1.0) trixie; urgency=medium\n\n  * First.\n\n{BY}\n"
LATER = ("2026-12-01T10:00:01Z", "2026-12-01T10:30:00+00:00", "2026-12-02T00:30:00+01:00", "2026-12-02T00:00:05Z")
IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="asks git: apt-get install git")


class Checkout:
    """A repository with our scripts in it and nothing to build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scripts", "debian", "appliance"):
            (folder / name).mkdir(parents=True)
        for name in ("version", "release"):
            shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
        (folder / "debian/changelog").write_text(DEBIAN)
        (folder / "appliance/__init__.py").write_text('__version__ = "0.1.0"\n')
        (folder / "CHANGELOG.md").write_text(CHANGES)

    def git(self, *words: str, **env: str) -> str:
        done = run(("git", *words), timeout_seconds=30, cwd=self.folder, env={**IDENTITY, **env}, check=True)
        return done.stdout.decode().strip()

    def begin(self) -> None:
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Somebody")
        self.git("config", "user.email", "a@b.invalid")
        self.commit("2026-12-01T10:00:00Z")

    def commit(self, when: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=work", GIT_COMMITTER_DATE=when, GIT_AUTHOR_DATE=when)

    def call(self, script: str, *words: str) -> Result:
        return run((str(self.folder / "scripts" / script), *words), timeout_seconds=60, env=IDENTITY)

    def version(self) -> str:
        done = self.call("version")
        assert (done.exit_code, done.stderr) == (0, b""), done.stderr.decode()
        return done.stdout.decode().strip()

    def seen(self) -> tuple[str, ...]:
        """All that a refusal must leave as it is."""
        refs, status = self.git("for-each-ref"), self.git("status", "--porcelain", "--ignored")
        return refs, status, self.git("worktree", "list"), (self.folder / "CHANGELOG.md").read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "clone")
    made.begin()
    return made


def sorts_after(later: str, earlier: str) -> bool:
    return run(("dpkg", "--compare-versions", later, "gt", earlier), timeout_seconds=10).exit_code == 0


def test_a_build_is_called_after_the_moment_of_its_commit_and_the_commit(checkout: Checkout) -> None:
    commit = checkout.git("rev-parse", "HEAD")
    assert checkout.version() == f"0.1.0+20261201.100000.g{commit[:7]}"


def test_builds_sort_by_when_they_were_committed_whatever_their_hashes(checkout: Checkout) -> None:
    versions = ["0.1.0", checkout.version()]
    for when in LATER:
        (checkout.folder / "appliance/when.py").write_text(when)
        checkout.commit(when)
        versions.append(checkout.version())
    versions.append("0.2.0")
    assert [it for it, earlier in zip(versions[1:], versions, strict=False) if not sorts_after(it, earlier)] == []
    assert versions[4].startswith("0.1.0+20261201.233000."), "the date is UTC's"


def test_files_in_no_commit_are_told_and_sort_before_what_is_committed_later(checkout: Checkout) -> None:
    clean = checkout.version()
    (checkout.folder / "appliance/new.py").write_text("")
    before = datetime.now(UTC)
    dirty = checkout.version()
    commit = checkout.git("rev-parse", "HEAD")
    moment, _, rest = dirty.removeprefix("0.1.0+").partition(".g")
    made = datetime.strptime(moment, "%Y%m%d.%H%M%S").replace(tzinfo=UTC)
    assert rest == f"{commit[:7]}.dirty"
    assert abs((made - before).total_seconds()) < 60
    assert sorts_after(dirty, clean)
    checkout.commit("2036-12-01T10:00:00Z")
    assert sorts_after(checkout.version(), dirty)


def test_what_no_package_gets_makes_no_build_another(checkout: Checkout) -> None:
    clean = checkout.version()
    (checkout.folder / "notes.txt").write_text("to do\n")
    assert checkout.version() == clean
    checkout.commit("2026-12-03T10:00:00Z")
    assert checkout.version() == clean


@pytest.mark.parametrize("around", [False, True])
def test_without_git_the_version_is_the_plain_one_and_says_why(around: bool, tmp_path: Path) -> None:
    """A copy of our files in somebody else's repository has none of its own."""
    copy = Checkout(tmp_path / "outer/copy")
    if around:
        run(("git", "init", "--quiet", str(tmp_path / "outer")), timeout_seconds=30, env=IDENTITY, check=True)
    done = copy.call("version")
    assert (done.exit_code, done.stdout) == (0, b"0.1.0\n")
    said = done.stderr.decode()
    assert f"{copy.folder} is no checkout of git; the version is 0.1.0, without date and commit." in said
    assert said.count("\n") == 1


def test_a_machine_without_git_says_so(checkout: Checkout, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "sed", "dirname"):
        (programs / name).symlink_to(shutil.which(name) or "")
    done = run((str(checkout.folder / "scripts/version"),), timeout_seconds=30, env={"PATH": str(programs)})
    assert (done.exit_code, done.stdout) == (0, b"0.1.0\n")
    assert "git is not installed; the version is 0.1.0" in done.stderr.decode()


def change(checkout: Checkout) -> None:
    (checkout.folder / "appliance/__init__.py").write_text("changed\n")


def change_unknown(checkout: Checkout) -> None:
    (checkout.folder / "notes.txt").write_text("to do\n")


def tag(checkout: Checkout) -> None:
    checkout.git("tag", "--annotate", "--message=released", "v0.3.0")


def empty(checkout: Checkout) -> None:
    (checkout.folder / "CHANGELOG.md").write_text(CHANGES.replace(NEW, ""))
    checkout.commit("2026-12-01T11:00:00Z")


def without_heading(checkout: Checkout) -> None:
    (checkout.folder / "CHANGELOG.md").write_text("# Changelog\n\nAll is new.\n")
    checkout.commit("2026-12-01T11:00:00Z")


def anonymous(checkout: Checkout) -> None:
    checkout.git("config", "--unset", "user.name")
    checkout.git("config", "--unset", "user.email")
    checkout.git("config", "user.useConfigOnly", "true")


def nothing(_: Checkout) -> None:
    """As it was cloned."""


REFUSED = {
    "dirty": (change, "0.3.0", 4, "files differ from the last commit, appliance/__init__.py: commit them"),
    "an_unknown_file": (change_unknown, "0.3.0", 4, "differ from the last commit, notes.txt: commit them"),
    "its_tag": (tag, "0.3.0", 4, "the tag v0.3.0 exists; a version is released once: choose a higher one."),
    "lower_than_a_tag": (tag, "0.2.9", 2, "0.2.9 is lower than 0.3.0, the last version that has a tag"),
    "lower_than_it": (nothing, "0.0.9", 2, "0.0.9 is lower than 0.1.0, under which this checkout is built"),
    "no_changes": (empty, "0.3.0", 4, 'CHANGELOG.md has nothing below "## Unreleased"; write there'),
    "no_heading": (without_heading, "0.3.0", 4, 'CHANGELOG.md has nothing below "## Unreleased"'),
    "no_version": (nothing, "", 2, '"" is no version of a release; write three numbers: make release'),
    "two_numbers": (nothing, "0.3", 2, '"0.3" is no version of a release'),
    "more_than_numbers": (nothing, "0.3.0+1", 2, '"0.3.0+1" is no version of a release'),
    "a_leading_zero": (nothing, "0.03.0", 2, '"0.03.0" is no version of a release'),
    "nobody": (anonymous, "0.3.0", 4, "git does not know who releases; say so: git config user.name"),
}


@pytest.mark.parametrize(("first", "version", "code", "why"), REFUSED.values(), ids=REFUSED)
def test_a_release_is_refused_with_one_sentence_and_nothing_changes(
    first: Callable[[Checkout], None], version: str, code: int, why: str, checkout: Checkout
) -> None:
    first(checkout)
    before = checkout.seen()
    done = checkout.call("release", version)
    said = done.stderr.decode()
    assert (done.exit_code, done.stdout) == (code, b"")
    assert said.startswith("release: ")
    assert said.count("\n") == 1
    assert why in said
    assert checkout.seen() == before


def test_outside_of_git_there_is_no_release(tmp_path: Path) -> None:
    copy = Checkout(tmp_path / "copy")
    done = copy.call("release", "0.3.0")
    assert (done.exit_code, done.stderr.decode()) == (
        4,
        f"release: {copy.folder} is no checkout of git; a release is made in a clone.\n",
    )


def test_a_build_that_fails_leaves_no_commit_no_tag_and_no_other_folder(checkout: Checkout) -> None:
    """These files build nothing: the module that names the verbs is missing."""
    before = checkout.seen()
    done = checkout.call("release", "0.3.0")
    assert done.exit_code != 0
    assert checkout.seen() == before
    assert not os.path.exists(checkout.folder / "build")
