"""One node goes back to the former build and comes to this one, by the playbook; its backups go on in both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.host.command import run
from appliance_lab.hosts.playbook import Played, play
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, SPARE, STANDBY, StoryContext
from appliance_lab.stories.upgraded import version_of

ROOT = Path(__file__).parents[3]
OTHERS = (STANDBY, BLIND, SPARE)
PACKED = ("appliance", "systemd", "debian")

pytestmark = [
    pytest.mark.root,
    pytest.mark.xdist_group("lab"),
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not shutil.which("git"), reason="builds a former commit: apt-get install git"),
]


def git(*words: str) -> str:
    argv = ("git", "-c", f"safe.directory={ROOT}", *words)
    return run(argv, timeout_seconds=60, cwd=ROOT, env={"TZ": "UTC0"}, check=True).stdout.decode().strip()


def build_former(to: Path) -> Path:
    """The package of the last release; before the first release that of the last change of our code but one."""
    tags = git("tag", "--list", "v[0-9]*", "--sort=-version:refname", "--merged", "HEAD~1").split()
    commit = git("rev-list", "-1", tags[0]) if tags else git("rev-list", "-2", "HEAD", "--", *PACKED).split()[1]
    moment = git("log", "-1", "--date=format-local:%Y%m%d.%H%M%S", "--format=%cd", commit)
    tree = to / "tree"
    tree.mkdir(parents=True)
    git("archive", f"--output={to / 'tree.tar'}", commit)
    run(("tar", "-xf", str(to / "tree.tar"), "-C", str(tree)), timeout_seconds=120, check=True)
    asked = ("dpkg-parsechangelog", "-l", str(tree / "debian/changelog"), "-S", "Version")
    plain = run(asked, timeout_seconds=30, check=True).stdout.decode().strip()
    argv = (str(tree / "scripts/deb"), f"{plain}+{moment}.g{commit[:7]}", str(to / "built"))
    return Path(run(argv, timeout_seconds=300, check=True).stdout.decode().split()[-1])


def with_other_files(package: Path, to: Path) -> Path:
    """The same package, name and version, with one more line in one file."""
    run(("dpkg-deb", "--raw-extract", str(package), str(to / "files")), timeout_seconds=60, check=True)
    file = to / "files/usr/lib/python3/dist-packages/appliance/units.py"
    file.write_text(file.read_text() + "# changed\n")
    sums = to / "files/DEBIAN/md5sums"
    listed = [line for line in sums.read_text().splitlines() if not line.endswith("appliance/units.py")]
    sums.write_text("\n".join([*listed, f"{'0' * 32}  {file.relative_to(to / 'files')}"]) + "\n")
    argv = ("dpkg-deb", "--build", "--root-owner-group", str(to / "files"), str(to / package.name))
    run(argv, timeout_seconds=60, check=True)
    return to / package.name


def upgrade(context: StoryContext, package: Path, *, downgrade: bool = False) -> Played:
    words = ("--limit", ORIGIN, "-e", f"agent_deb={package}", "-e", f"agent_downgrade={str(downgrade).lower()}")
    return play(context.control, "upgrade", *words)


def works(context: StoryContext, version: str) -> None:
    """Require that the node has `version` and backs up, safe at its peers, which have the version that they had."""
    assert version_of(context, ORIGIN) == version
    before = context.wait_until_safe(SERVICE, ORIGIN)["generation"]
    context.back_up(SERVICE)
    after = context.wait_until_safe(SERVICE, ORIGIN)["generation"]
    assert after != before
    assert context.json(ORIGIN, "vault", "ping")["silent"] == {}


@pytest.fixture(scope="module")
def present(context: StoryContext) -> Path:
    """This build, which all nodes have."""
    [package] = (context.control.root / "packages").glob("appliance_*_all.deb")
    return package


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_former(tmp_path_factory.mktemp("former"))


def version_in(package: Path) -> str:
    return package.name.split("_")[1]


def test_a_step_back_that_nobody_asked_for_is_refused(context: StoryContext, former: Path, present: Path) -> None:
    refused = upgrade(context, former)
    said = " ".join(refused.text.split())
    assert refused.exit_code != 0
    assert f"{ORIGIN} has version {version_in(present)} of our package, and {version_in(former)} is older." in said
    assert refused.changed == 0
    assert version_of(context, ORIGIN) == version_in(present)


def test_a_node_comes_from_the_former_build_to_this_one_and_goes_back(
    context: StoryContext, former: Path, present: Path
) -> None:
    others = {node: version_of(context, node) for node in OTHERS}
    for package in (former, present):
        played = upgrade(context, package, downgrade=package == former)
        assert played.exit_code == 0, played.tail()
        works(context, version_in(package))
    assert {node: version_of(context, node) for node in OTHERS} == others
    assert context.did(ORIGIN, "appliance", "--version").split()[-1] == version_in(present)


def test_other_files_under_the_version_that_a_node_has_are_refused(
    context: StoryContext, present: Path, tmp_path: Path
) -> None:
    other = with_other_files(present, tmp_path)
    refused = upgrade(context, other)
    said = " ".join(refused.text.split())
    assert refused.exit_code != 0
    assert f"{ORIGIN} has version {version_in(present)} of our package with other files than {other}" in said
    assert refused.changed == 0


def test_the_same_package_again_changes_nothing(context: StoryContext, present: Path) -> None:
    played = upgrade(context, present)
    assert (played.exit_code, played.changed) == (0, 0), played.tail()
