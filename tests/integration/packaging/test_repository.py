"""Our apt repository, as apt reads it: what was signed and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.host.command import Result, run

SCRIPT = Path(__file__).parents[3] / "scripts/repository"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-ftparchive", "gpg", "dpkg-deb"))), reason="needs apt-utils, gnupg and dpkg"
)


class Holder:
    """A repository, who signs it, and a machine that takes packages from it."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder = place, place / "repository"
        self.home = Path(os.path.realpath(place)) / "g"
        self.home.mkdir(mode=0o700)
        self.run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "Packages", "ed25519", "sign", "never")
        (place / "packages.asc").write_bytes(self.run("gpg", "--armor", "--export", "Packages").stdout)

    def run(self, *argv: str, check: bool = True) -> Result:
        return run(argv, env={"GNUPGHOME": str(self.home)}, timeout_seconds=120, check=check)

    def package(self, version: str, words: str = "") -> str:
        tree = self.place / "tree"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        lines = ["Package: appliance", f"Version: {version}", "Architecture: all", "Maintainer: Nobody <a@b.invalid>"]
        (tree / "DEBIAN/control").write_text("\n".join([*lines, f"Description: a trial {words}", ""]))
        file = self.place / f"appliance_{version}_all.deb"
        self.run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(file))
        return str(file)

    def update(self) -> Result:
        """`apt-get update` of a machine that has only this source."""
        for name in ("lists/partial", "cache/archives/partial", "parts"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        source = f"Types: deb\nURIs: file:{self.folder}/\nSuites: ./\nSigned-By: {self.place}/packages.asc\n"
        (self.place / "parts/ours.sources").write_text(source)
        return self.run("apt-get", *self._here(), "update", check=False)

    def offered(self) -> str:
        return self.run("apt-cache", *self._here(), "madison", "appliance").stdout.decode()

    def _here(self) -> tuple[str, ...]:
        settings = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": self.place / "parts",
            "Dir::State::Lists": self.place / "lists",
            "Dir::Cache": self.place / "cache",
            "APT::Sandbox::User": "root",
        }
        return tuple(f"-o{name}={value}" for name, value in settings.items())


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    found = Holder(tmp_path)
    yield found
    found.run("gpgconf", "--kill", "all")


def test_apt_takes_what_was_signed_and_older_versions_stay(holder: Holder) -> None:
    holder.run(str(SCRIPT), str(holder.folder), holder.package("1.0"), "--sign", "Packages")
    holder.run(str(SCRIPT), str(holder.folder), holder.package("1.1"), "--sign", "Packages")
    assert holder.update().exit_code == 0
    assert [line.split("|")[1].strip() for line in holder.offered().splitlines()] == ["1.1", "1.0"]


def test_without_a_signature_nothing_is_published_and_it_says_what_to_sign(holder: Holder) -> None:
    said = holder.run(str(SCRIPT), str(holder.folder), holder.package("1.0")).stdout.decode()
    assert "gpg --local-user KEY --clearsign --output InRelease Release" in said
    assert not (holder.folder / "InRelease").exists()
    assert holder.update().exit_code != 0
    assert holder.offered() == ""


def test_a_new_package_takes_the_old_signature_away_and_the_same_one_does_not(holder: Holder) -> None:
    package = holder.package("1.0")
    holder.run(str(SCRIPT), str(holder.folder), package, "--sign", "Packages")
    assert b"already" in holder.run(str(SCRIPT), str(holder.folder), package).stdout
    assert (holder.folder / "InRelease").exists()
    holder.run(str(SCRIPT), str(holder.folder), holder.package("1.1"))
    assert not (holder.folder / "InRelease").exists()


def test_other_bytes_under_the_same_version_are_refused(holder: Holder) -> None:
    holder.run(str(SCRIPT), str(holder.folder), holder.package("1.0"), "--sign", "Packages")
    refused = holder.run(str(SCRIPT), str(holder.folder), holder.package("1.0", "and error"), check=False)
    assert refused.exit_code == 8
    assert "build from a commit" in refused.stderr.decode()


@pytest.mark.parametrize("file", ["InRelease", "Packages", "Release"])
def test_what_somebody_changed_afterwards_is_refused_or_not_looked_at(holder: Holder, file: str) -> None:
    holder.run(str(SCRIPT), str(holder.folder), holder.package("1.0"), "--sign", "Packages")
    path = holder.folder / file
    path.write_text(path.read_text().replace("appliance", "applianze", 1))
    result = holder.update()
    # apt reads the signed list alone: the bare one is for who signs.
    assert (result.exit_code == 0) == (file == "Release")
    assert ("1.0" in holder.offered()) == (file == "Release")


def test_another_key_is_not_believed(holder: Holder) -> None:
    holder.run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "Outsider", "ed25519", "sign", "never")
    holder.run(str(SCRIPT), str(holder.folder), holder.package("1.0"), "--sign", "Outsider")
    assert holder.update().exit_code != 0
    assert holder.offered() == ""


@pytest.mark.parametrize("words", [(), ("{folder}", "notes.txt"), ("{folder}", "gone.deb")])
def test_nonsense_is_refused_with_what_to_type(holder: Holder, words: tuple[str, ...]) -> None:
    result = holder.run(str(SCRIPT), *(word.format(folder=holder.folder) for word in words), check=False)
    assert result.exit_code in (2, 3)
    assert result.stderr.decode()
