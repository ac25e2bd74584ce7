"""Which of this machine's package sources nodes of a lab get, in each form that apt reads, by what apt tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host.command import run
from appliance_lab.hosts.base import TARGETS, usable_sources

KEYRING = "/usr/share/keyrings/debian-archive-keyring.pgp"
BY_THE_INSTALLER = """\
http://a.example/debian/|trixie|main|Debian|$(SIGNED_BY)
http://a.example/debian/|trixie|non-free-firmware|Debian|$(SIGNED_BY)
http://security.example/debian-security/|trixie-security|main|Debian|$(SIGNED_BY)
"""
CLOUD = """\
mirror+file:{mirrors}/|trixie|main|Debian|-----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ
 -----END PGP PUBLIC KEY BLOCK-----
"""


def stanza(address: str, codename: str, components: str = "main", key: str = "") -> str:
    signed = f"Signed-By: {key}\n" if key else ""
    return f"Types: deb\nURIs: {address}\nSuites: {codename}\nComponents: {components}\n{signed}"


def test_what_debian_s_installer_writes_is_used() -> None:
    assert usable_sources(BY_THE_INSTALLER, "trixie") == (
        stanza("http://a.example/debian/", "trixie", "main non-free-firmware"),
        stanza("http://security.example/debian-security/", "trixie-security"),
    )


def test_a_file_of_keys_stays_named() -> None:
    told = f"https://a.example/debian/|trixie|main|Debian|{KEYRING}\n"
    assert usable_sources(told, "trixie") == (stanza("https://a.example/debian/", "trixie", key=KEYRING),)


@pytest.mark.parametrize(
    ("mirrors", "used"),
    [
        ("https://a.example/debian\n", "https://a.example/debian"),
        (
            "# near\n\nfile:/srv/debian\nhttp://a.example/debian\tpriority:2\nhttp://b.example/debian\n",
            "http://a.example/debian",
        ),
        ("file:/srv/debian\n", ""),
    ],
)
def test_of_a_list_of_mirrors_the_first_that_a_node_reaches_is_used(tmp_path: Path, mirrors: str, used: str) -> None:
    (tmp_path / "debian.list").write_text(mirrors)
    told = CLOUD.format(mirrors=tmp_path / "debian.list")
    assert usable_sources(told, "trixie") == ((stanza(used, "trixie"),) if used else ())


@pytest.mark.parametrize(
    "told",
    [
        pytest.param("", id="lists were never fetched"),
        pytest.param("cdrom:[Debian]/|trixie|main|Debian|$(SIGNED_BY)", id="a disc"),
        pytest.param("file:/srv/debian/|trixie|main|Debian|$(SIGNED_BY)", id="a folder of this machine's"),
        pytest.param("http://a.example/debian/|bookworm|main|Debian|$(SIGNED_BY)", id="another Debian"),
        pytest.param(
            "http://a.example/debian-security/|trixie-security|main|Debian|$(SIGNED_BY)", id="its updates alone"
        ),
        pytest.param("https://b.example/debian/|trixie|stable|Another|/x.gpg", id="somebody else's"),
    ],
)
def test_what_no_node_can_use_is_left_out(told: str) -> None:
    assert usable_sources(told, "trixie") == ()
    both = usable_sources(f"{BY_THE_INSTALLER}{told}", "trixie")
    assert both[:2] == usable_sources(BY_THE_INSTALLER, "trixie")


def test_apt_tells_lines_of_sources_list_so_and_stable_by_its_name(tmp_path: Path) -> None:
    sources, lists = tmp_path / "sources.list", tmp_path / "lists"
    sources.write_text("deb http://a.example/debian stable main\ndeb-src http://a.example/debian stable main\n")
    lists.mkdir()
    (lists / "a.example_debian_dists_stable_Release").write_text("Origin: Debian\nSuite: stable\nCodename: trixie\n")
    for kind in ("binary-amd64_Packages", "binary-arm64_Packages", "source_Sources"):
        (lists / f"a.example_debian_dists_stable_main_{kind}").touch()
    folders = (f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=-", f"Dir::State::lists={lists}")
    words = [word for folder in folders for word in ("-o", folder)]
    argv = ("apt-get", "indextargets", *words, "--format", TARGETS, "Created-By: Packages")
    told = run(argv, timeout_seconds=30, check=True).stdout.decode()
    assert usable_sources(told, "trixie") == (stanza("http://a.example/debian/", "trixie"),)
