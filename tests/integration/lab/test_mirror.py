"""The mirror of a provisioned lab: packages come through it, ours only as they were signed, and without it too."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.machine import enter_argv
from appliance_lab.hosts.playbook import play_well

ROOT = Path(__file__).parents[3]
MIRROR, NODE, PORT = "hermitage", "commune-a", "3142"
CACHE = "/srv/mirror/cache/kept"
OWNER = "Packages of the lab"

pytestmark = [
    pytest.mark.root,
    pytest.mark.xdist_group("lab"),
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not shutil.which("apt-ftparchive") or not shutil.which("gpg"), reason="needs apt-utils and gnupg"
    ),
]


def on(lab: Lab, node: str, *argv: str) -> Result:
    return run(enter_argv(lab.plan.node(node), argv), timeout_seconds=180)


def said(lab: Lab, node: str, *argv: str) -> str:
    result = on(lab, node, *argv)
    assert result.exit_code == 0, f"{node}: {argv}: {result.stdout.decode()[-500:]} {result.tail(10)}"
    return result.stdout.decode().strip()


def forget_lists(lab: Lab, node: str) -> None:
    """Files that apt began to fetch go too: it would go on with that where a file has the size and the second of
    before."""
    said(lab, node, "sh", "-c", "rm -f /var/lib/apt/lists/*hermitage* /var/lib/apt/lists/partial/*hermitage*")


@dataclass(frozen=True)
class Holder:
    """The holder of the key of our packages, with a keyring of his own."""

    home: Path

    def run(self, *argv: str, stdin: bytes | None = None) -> bytes:
        env = {"GNUPGHOME": str(self.home)}
        return run(argv, env=env, stdin=stdin, timeout_seconds=120, check=True).stdout


@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holder]:
    found = Holder(tmp_path_factory.mktemp("g"))
    found.home.chmod(0o700)
    found.run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", OWNER, "ed25519", "sign", "never")
    yield found
    found.run("gpgconf", "--kill", "all")


@pytest.fixture(scope="module")
def newer(provisioned: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our package as nodes have it, under a version that none has."""
    place = tmp_path_factory.mktemp("newer")
    [package] = ControlMachine(provisioned.own.root).root.glob("packages/*.deb")
    said_here("dpkg-deb", "--raw-extract", str(package), str(place / "tree"))
    control = place / "tree/DEBIAN/control"
    text = re.sub(r"^(Version: .*)$", r"\1+newer", control.read_text(), flags=re.MULTILINE)
    control.write_text(text)
    said_here("dpkg-deb", "--root-owner-group", "--build", str(place / "tree"), str(place))
    [found] = place.glob("*.deb")
    return found


def said_here(*argv: str) -> str:
    return run(argv, timeout_seconds=120, check=True).stdout.decode()


@pytest.fixture(scope="module")
def published(provisioned: Lab, holder: Holder, newer: Path) -> str:
    """A signed repository with the newer package, brought to the mirror by the playbook; the version."""
    inventory = ControlMachine(provisioned.own.root).inventory
    holder.run(str(ROOT / "scripts/repository"), str(inventory / "repository"), str(newer), "--sign", OWNER)
    (inventory / "packages.asc").write_bytes(holder.run("gpg", "--armor", "--export", OWNER))
    played = play_well(ControlMachine(provisioned.own.root), "site")
    assert played.changed > 0
    return newer.name.split("_")[1]


def test_a_package_comes_through_the_cache_and_once_for_all(provisioned: Lab) -> None:
    said(provisioned, NODE, "apt-get", "-qq", "update")
    for node in (NODE, "commune-b"):
        said(
            provisioned,
            node,
            "sh",
            "-c",
            "cd /tmp && rm -f hello_*.deb && apt-get -qq download hello && test -s hello_*.deb",
        )
    found = said(provisioned, MIRROR, "grep", "--recursive", "--files-with-matches", "--text", "KEY: .*/hello_", CACHE)
    assert len(found.splitlines()) == 1


def test_without_the_mirror_packages_come_directly(provisioned: Lab) -> None:
    address = said(provisioned, NODE, "sh", "-c", "apt-get indextargets --format '$(URI)' | grep ^http | head -1")
    assert said(provisioned, NODE, "/usr/lib/appliance/apt-proxy", address) == f"http://{MIRROR}:{PORT}/"
    said(provisioned, MIRROR, "systemctl", "stop", "appliance-mirror.service")
    try:
        assert said(provisioned, NODE, "/usr/lib/appliance/apt-proxy", address) == "DIRECT"
        said(
            provisioned,
            NODE,
            "sh",
            "-c",
            "cd /tmp && rm -f hello_*.deb && apt-get -qq download hello && test -s hello_*.deb",
        )
    finally:
        said(provisioned, MIRROR, "systemctl", "start", "appliance-mirror.service")


def test_it_answers_over_the_mesh_only_and_fetches_from_nowhere_else(provisioned: Lab) -> None:
    talk = "import http.client as h, sys; c = h.HTTPConnection(sys.argv[1], 3142, timeout=4); "
    talk += "c.request('GET', sys.argv[2]); print(c.getresponse().status)"
    argv = ("python3", "-I", "-c", talk)
    outside = str(provisioned.plan.node(MIRROR).address)
    for address in ("http://example.invalid/", "http://127.0.0.1:22/", "http://hermitage.invalid/"):
        assert said(provisioned, NODE, *argv, MIRROR, address) == "403"
    assert "timed out" in on(provisioned, NODE, *argv, outside, "/").stderr.decode()
    from_the_core = run(netns.inside(provisioned.plan.core, (*argv, outside, "/")), timeout_seconds=300)
    assert "timed out" in from_the_core.stderr.decode()


def test_a_node_takes_our_newer_package_from_the_mirror(provisioned: Lab, published: str) -> None:
    said(provisioned, NODE, "apt-get", "-qq", "update")
    said(provisioned, NODE, "apt-get", "-qq", "--yes", "install", "--only-upgrade", "appliance")
    assert said(provisioned, NODE, "dpkg-query", "--show", "--showformat=${Version}", "appliance") == published
    assert said(provisioned, NODE, "systemctl", "is-active", "appliance-agent.service") == "active"


def test_ours_are_served_whatever_the_mirror_s_own_machine_is_called(provisioned: Lab, published: str) -> None:
    said(provisioned, MIRROR, "apt-get", "-qq", "update")
    said(provisioned, MIRROR, "hostname", "debian")
    try:
        said(provisioned, MIRROR, "systemctl", "restart", "appliance-mirror.service")
        forget_lists(provisioned, "commune-b")
        said(provisioned, "commune-b", "apt-get", "-qq", "update")
        assert published in said(provisioned, "commune-b", "apt-cache", "policy", "appliance")
        assert MIRROR not in said(provisioned, MIRROR, "cat", "/run/appliance-mirror/hosts.conf")
    finally:
        said(provisioned, MIRROR, "hostname", MIRROR)
        said(provisioned, MIRROR, "systemctl", "restart", "appliance-mirror.service")


@pytest.mark.parametrize("file", ["InRelease", "Packages"])
def test_what_somebody_changed_on_the_mirror_is_refused(provisioned: Lab, published: str, file: str) -> None:
    path = f"/srv/mirror/repository/{file}"
    said(provisioned, MIRROR, "cp", path, "/run/kept")
    # The same length, so that nothing but hash and signature tells.
    said(provisioned, MIRROR, "sed", "-i", "0,/appliance/s//applianze/", path)
    try:
        forget_lists(provisioned, "commune-b")
        refused = on(provisioned, "commune-b", "apt-get", "-q", "update")
        told = (refused.stdout + refused.stderr).decode()
        assert "Hash Sum mismatch" in told or "signature" in told.lower(), told[-800:]
        shown = said(provisioned, "commune-b", "apt-cache", "policy", "appliance")
        assert published not in shown
    finally:
        said(provisioned, MIRROR, "cp", "/run/kept", path)


def test_a_package_that_another_key_signed_is_refused(
    provisioned: Lab, published: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outsider = Holder(tmp_path_factory.mktemp("s"))
    outsider.home.chmod(0o700)
    outsider.run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "Outsider", "ed25519", "sign", "never")
    release = said(provisioned, MIRROR, "cat", "/srv/mirror/repository/Release").encode() + b"\n"
    forged = outsider.run("gpg", "--batch", "--clearsign", "--output", "-", stdin=release)
    path = provisioned.root(provisioned.plan.node(MIRROR)) / "srv/mirror/repository/InRelease"
    kept = path.read_bytes()
    path.write_bytes(forged)
    try:
        forget_lists(provisioned, "commune-b")
        refused = on(provisioned, "commune-b", "apt-get", "-q", "update")
        assert "signature" in (refused.stdout + refused.stderr).decode().lower()
        assert published not in said(provisioned, "commune-b", "apt-cache", "policy", "appliance")
    finally:
        path.write_bytes(kept)
