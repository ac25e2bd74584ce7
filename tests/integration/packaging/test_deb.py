"""The package that `make deb` builds: what is in it, what Debian's own checker says, how its units are locked up."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path

import pytest
import yaml

from appliance import __version__
from appliance.host.command import run
from tests.integration.packaging.checkout import ROOT, copy_sources
from tests.pace import LONG

PYTHON = "usr/lib/python3/dist-packages"
MAN = "usr/share/man/man1"
SYSTEMD = {"default-systemd", "systemd"}  # one of what debhelper asks for makes the accounts; it is there
TOOLS = ("dpkg-buildpackage", "dh_python3", "lintian")

pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="builds a Debian package: make setup"),
    pytest.mark.xdist_group("deb"),
]


def build(place: Path) -> Path:
    """The package of this checkout's files, built in a copy of them at `place`."""
    copy_sources(place)
    run((str(place / "scripts/deb"),), timeout_seconds=LONG * 80, check=True)
    [package] = (place / "build/deb").glob("*.deb")
    return package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def unpacked(package: Path) -> Path:
    """The files of the package, and its DEBIAN/ folder."""
    return unpack(package, package.parent / "unpacked")


def unpack(package: Path, folder: Path) -> Path:
    run(("dpkg-deb", "--raw-extract", str(package), str(folder)), timeout_seconds=60, check=True)
    return folder


@pytest.fixture(scope="module")
def bench(package: Path) -> Path:
    """The package of the test bench."""
    [found] = (package.parent / "lab").glob("*.deb")
    return found


@pytest.fixture(scope="module")
def units(unpacked: Path) -> list[Path]:
    return sorted(it for it in (unpacked / "usr/lib/systemd/system").iterdir() if it.is_file())


def field(package: Path, name: str) -> str:
    result = run(("dpkg-deb", "--field", str(package), name), timeout_seconds=60, check=True)
    return result.stdout.decode().strip()


def test_it_is_one_package_of_our_version_for_every_machine(package: Path) -> None:
    assert package.name == f"appliance_{__version__}_all.deb"
    assert field(package, "Architecture") == "all"


def test_it_depends_on_what_pyproject_names_and_on_the_programs_that_a_node_starts(package: Path) -> None:
    depends = set(re.findall(r"(?:^|, )([a-z0-9.+-]+)", field(package, "Depends")))
    project = (ROOT / "pyproject.toml").read_text().split("[project.opt")[0]
    libraries = re.findall(r'^    "([a-z0-9-]+) >=', project, re.MULTILINE)
    debians = {"argon2-cffi": "argon2", "pyyaml": "yaml", "pillow": "pil"}
    assert {f"python3-{debians.get(name, name)}" for name in libraries} <= depends
    roles_own = yaml.safe_load((ROOT / "roles/agent/defaults/main.yml").read_text())["agent_packages"]
    assert set(roles_own) == depends - SYSTEMD, "they come with those of all other roles, at once"
    assert {"borgbackup", "age", "openssh-client", "openssh-server", "nftables", "wireguard-tools"} <= depends


def test_every_module_and_page_is_in_it_and_nothing_that_python_writes_by_itself(unpacked: Path) -> None:
    installed, ours = unpacked / PYTHON / "appliance", ROOT / "appliance"
    assert files_in(installed) == files_in(ours) - {Path("README.md")}  # which guides who reads the code


def test_a_node_gets_nothing_of_the_test_bench(unpacked: Path) -> None:
    assert [path.name for path in (unpacked / PYTHON).iterdir() if path.suffix != ".dist-info"] == ["appliance"]
    said = commands(unpacked / PYTHON)
    assert "restore" in said
    assert not {"lab", "demo"} & said
    assert "check" not in commands(unpacked / PYTHON, "failover")
    pages = [gzip.decompress(it.read_bytes()).decode() for it in (unpacked / MAN).iterdir()]
    assert sum("restore" in page for page in pages) > 1
    assert not [page for page in pages if "demo" in page]


def test_its_help_is_french_for_a_person_who_asks(unpacked: Path) -> None:
    said = run(argv_of(unpacked / PYTHON, "--language", "fr"), timeout_seconds=60, check=True).stdout.decode()
    assert "Commandes\u00a0:" in said


def test_the_package_of_the_test_bench_adds_its_verbs_and_what_they_begin_from(
    unpacked: Path, bench: Path, tmp_path: Path
) -> None:
    assert field(bench, "Depends").startswith(f"appliance (= {__version__})")
    added = unpack(bench, tmp_path / "bench")
    assert files_in(added / PYTHON / "appliance_lab") == files_in(ROOT / "appliance_lab")
    for name in ("demo", "lab"):
        assert files_in(added / "usr/share/appliance-lab/inventory" / name) == files_in(ROOT / "inventory" / name)
    schema = "inventory/territory.schema.json"  # by the name that they say to editors
    assert (added / "usr/share/appliance-lab" / schema).read_bytes() == (ROOT / schema).read_bytes()
    shutil.copytree(unpacked / PYTHON, added / PYTHON, dirs_exist_ok=True)
    assert commands(added / PYTHON) >= {"lab", "demo", "restore"}
    assert "lose nodes" in run(argv_of(added / PYTHON, "demo"), timeout_seconds=60, check=True).stdout.decode()


def test_each_command_that_a_person_types_has_its_page_of_man(unpacked: Path, bench: Path, tmp_path: Path) -> None:
    added = unpack(bench, tmp_path / "bench")
    for folder, known in ((unpacked / MAN, commands(unpacked / PYTHON)), (added / MAN, {"lab", "demo"})):
        pages = {it.name for it in folder.iterdir()} - {"appliance.1.gz"}
        assert pages == {f"appliance-{name}.1.gz" for name in known}
    page = str(unpacked / MAN / "appliance-backup.1.gz")
    shown = run(("man", "--local-file", page), timeout_seconds=60, check=True, env={"PATH": "/usr/bin:/bin"})
    assert f"appliance {__version__}" in shown.stdout.decode()
    assert "appliance backup begin" in shown.stdout.decode()


def files_in(folder: Path) -> set[Path]:
    found = (path for path in folder.glob("**/*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder) for path in found}


def argv_of(installed: Path, *words: str) -> tuple[str, ...]:
    return ("env", f"PYTHONPATH={installed}", "/usr/bin/python3", "-P", "-m", "appliance", *words, "--help")


def commands(installed: Path, *words: str) -> set[str]:
    """Those that the help of the code in `installed` lists."""
    said = run(argv_of(installed, *words), timeout_seconds=60, cwd="/", check=True).stdout.decode()
    return set(re.findall(r"^  ([a-z]+)  ", said.split("Commands:")[1], re.MULTILINE))


def test_the_same_files_give_the_same_package(package: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "another/place")
    assert again.read_bytes() == package.read_bytes()


def test_what_is_there_already_is_not_built_again_and_a_changed_file_is(package: Path) -> None:
    checkout, built = package.parents[2], package.stat().st_mtime_ns
    again = run((str(checkout / "scripts/deb"),), timeout_seconds=60, check=True)
    assert (again.stdout.decode(), package.stat().st_mtime_ns) == (f"{package}\n", built)
    (checkout / "README.md").write_text("another\n")
    trials = shutil.copytree(package.parent, checkout / "trials")
    trial = run((str(checkout / "scripts/deb"), "trial", str(trials)), timeout_seconds=LONG * 80, check=True)
    [left] = trials.glob("*.deb")
    assert trial.stdout.decode() == f"{left}\n"
    before, after = ((it / "built-from").read_text().split()[1] for it in (package.parent, trials))
    assert after != before
    assert field(left, "Version") == f"{__version__}+files.{after[:8]}", "other files never have the same version"


def test_debian_would_take_them(package: Path, bench: Path) -> None:
    """Not even a remark is left, but those that debian/*.lintian-overrides answer."""
    argv = ("lintian", "--allow-root", "--display-info", "--pedantic", "--fail-on=error,warning")
    found = run((*argv, str(package), str(bench)), timeout_seconds=LONG * 40)
    assert (found.exit_code, found.stdout.decode()) == (0, "")


def test_installing_it_enables_and_starts_nothing_on_a_machine_that_is_no_node(unpacked: Path) -> None:
    # deb-systemd-invoke starts what is enabled, and without dh_installsystemd --no-enable all would be, at once.
    script = (unpacked / "DEBIAN/postinst").read_text()
    for enabled in re.findall(r"(.*\n.*\n.*)deb-systemd-helper enable", script):
        assert "was-enabled" in enabled
    agent = (unpacked / "usr/lib/systemd/system/appliance-agent.service").read_text()
    assert "ConditionPathExists=/etc/appliance/state" in agent


def test_an_upgrade_restarts_the_voter_and_waits_for_no_majority(unpacked: Path) -> None:
    scripts = {name: (unpacked / "DEBIAN" / name).read_text() for name in ("postinst", "prerm", "postrm")}
    asked = {name: re.findall(r"deb-systemd-invoke (.*) >", text) for name, text in scripts.items()}
    pages, together, voter = asked["postinst"]
    assert pages == "stop appliance-portal.service", "it leaves its port to its socket, where it was started at boot"
    assert "'appliance-broker.service'" in together
    assert "appliance-voter" not in together
    assert voter == "-- try-restart --no-block appliance-voter.service"
    assert scripts["postinst"].index(voter) > scripts["postinst"].index("daemon-reload"), "it starts by the new unit"
    assert [" appliance-voter.service" in it for it in asked["prerm"]] == [False, True], "it ends with the package"
    assert "deb-systemd-helper update-state 'appliance-voter.service'" in scripts["postinst"]
    assert "'appliance-voter.service'" in scripts["postrm"]
    assert not (unpacked / "DEBIAN/preinst").exists(), "nothing is stopped before an upgrade"


def test_what_goes_after_two_hyphens_reaches_systemctl(tmp_path: Path) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\necho "$@"\n')
    systemctl.chmod(0o755)
    # A machine whose policy forbids services (scripts/setup makes one while it installs) would be asked first.
    script = Path("/usr/bin/deb-systemd-invoke").read_text().replace("/usr/sbin/policy-rc.d", f"{tmp_path}/none")
    words = ("--", "try-restart", "--no-block", "appliance-voter.service")
    told = run(("perl", "-e", script, "--", *words), timeout_seconds=10, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (told.exit_code, told.stdout.decode()) == (0, "try-restart --no-block appliance-voter.service\n")


def test_the_accounts_have_no_password_and_no_shell(unpacked: Path) -> None:
    lines = (unpacked / "usr/lib/sysusers.d/appliance.conf").read_text().splitlines()
    accounts = [line.split() for line in lines if line.startswith("u")]
    parts = ("vault", "sealed", "check", "measures")
    assert {words[1] for words in accounts} == {"appliance", *(f"appliance-{part}" for part in parts)}
    assert {words[0] for words in accounts} == {"u!"}
    assert not any(line.rstrip().endswith("sh") for line in lines)


def test_systemd_would_make_the_accounts(unpacked: Path, tmp_path: Path) -> None:
    file = unpacked / "usr/lib/sysusers.d/appliance.conf"
    said = run(("systemd-sysusers", "--dry-run", f"--root={tmp_path}", str(file)), timeout_seconds=60)
    assert said.exit_code == 0, said.stderr.decode()


def test_systemd_understands_the_units(units: list[Path], unpacked: Path, tmp_path: Path) -> None:
    for unit in units:  # the programs they start are not installed here
        text = re.sub(r"(?m)^(Exec\w+=\W*)/usr/(bin|lib)/(?=appliance)", rf"\1{unpacked}/usr/\2/", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    found = run(
        ("systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in units)), timeout_seconds=60
    )
    about_ours = [line for line in found.stderr.decode().splitlines() if "appliance" in line]
    foreign = [line for line in about_ours if "is not executable" in line and str(unpacked) not in line]
    assert [line for line in about_ours if "Failed to create" not in line and line not in foreign] == []
