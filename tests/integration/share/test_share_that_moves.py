"""A share that moves has an smbd of its own: where it answers beside the one of the host, which PCs, and until when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.accounts.groups import mark
from appliance.failover.forms.share import COMMON as COMMON_OF_HOSTS
from appliance.failover.forms.share import Share
from appliance.secret import Secret
from appliance.territory.model import Service
from appliance.territory.service_forms import local_port
from appliance_lab.hosts.pc import Pc
from tests.integration.share import pipelining
from tests.integration.share.conftest import MARIE, PAUL
from tests.integration.share.held import Helper, Lan
from tests.integration.share.world import COMMON, ROOT, World
from tests.worlds import small

# The first test brings the address that the others ask.
pytestmark = [pytest.mark.root, pytest.mark.xdist_group("share-that-moves")]
HOME, STANDBY, ADDRESS, SHARE = "commune-a", "hermitage", "10.64.8.3", "Conseil"
FOLDER, RUN = "/srv/shares/qui bouge", "/run/appliance-share-docs-a"
PIPELINED, LAST = "beaucoup.txt", "@GMT-2026.11.25-10.00.00"
SEVERAL_BYTES = 20 * pipelining.RECORD_BYTES
"""More than a few requests: each has its record, and headers that are larger."""
SERVICE: Service = replace(
    small.service("docs-a", HOME, standbys=(STANDBY,)),
    address=ADDRESS,
    paths=(FOLDER,),
    share=SHARE,
    share_groups=("elus",),
)
TERRITORY = small.territory((small.node(HOME), small.node(STANDBY)), (SERVICE,))
ASKS = """
import asyncio, sys
from appliance.failover.forms.smb_probe import speaks_smb
print(asyncio.run(speaks_smb(sys.argv[1], int(sys.argv[2]), 1)))
"""
# All of it ends at once, as in the control group of a unit.
ENDS_WITH_ITS_INPUT = '"$@" & read _; kill -KILL 0'


def config(node: str) -> str:
    """Return the settings of its Samba at `node`, with those of all shares from where they are here."""
    return Share().configs(TERRITORY, node, SERVICE)["smb.conf"].replace(COMMON_OF_HOSTS, str(COMMON))


def laid(world: World, node: str) -> dict[str, str]:
    """The settings of the share at `node`, as the unit reads them, and its folder."""
    told = {key: str(value) for key, value in Share().environment(TERRITORY, node, SERVICE).items()}
    file = world.folder / told["CONFIG"].lstrip("/")
    file.parent.mkdir(exist_ok=True)
    file.write_text(config(node))
    world.did("install", "--directory", f"--group={told['PEOPLE']}", "--mode=2770", FOLDER)
    world.did(
        "install", "--directory", RUN, *(f"{RUN}/{it}" for it in ("private", "lock", "state", "cache", "ncalrpc"))
    )
    return told


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[World]:
    """As at a standby, whose own Samba has port 445 of all addresses; the share's address is not here yet."""
    told = laid(world, STANDBY)
    words = (str(ROOT / "systemd/serve-share"), *(told[it] for it in ("CONFIG", "ADDRESS", "PORT", "LOCAL_PORT")))
    argv = (
        *world.inside,
        "env",
        f"RUNTIME_DIRECTORY={RUN}:{RUN}/private",
        "setsid",
        "--wait",
        "sh",
        "-c",
        ENDS_WITH_ITS_INPUT,
        "sh",
        *words,
    )
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        world.wait(lambda: speaks(world, "127.0.0.1", told["LOCAL_PORT"]), "an smbd of its own")
        yield world
        process.communicate(timeout=60)
    assert not speaks(world, "127.0.0.1", told["LOCAL_PORT"])


def speaks(world: World, address: str, port: str = "445") -> bool:
    return world.did(sys.executable, "-c", ASKS, address, port).strip() == "True"


def pc(world: World, name: str, password: str) -> Pc:
    """One that comes to the share's own address."""
    return Pc(world.inside, ADDRESS, name, Secret(password.encode()))


def test_it_answers_before_its_address_is_here_and_at_it_from_then_on(served: World) -> None:
    assert not speaks(served, ADDRESS)
    served.did("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    assert speaks(served, ADDRESS)
    pc(served, "marie", MARIE).put(SHARE, "avis.txt", "de la mairie")
    assert served.did("cat", f"{FOLDER}/avis.txt") == "de la mairie"
    owner = served.did("stat", "--format=%a %U %G", f"{FOLDER}/avis.txt").split()
    assert owner == ["660", "marie", f"people-{mark(HOME)}"]


def test_the_samba_of_the_host_goes_on_beside_it_and_neither_has_the_others_shares(served: World, marie: Pc) -> None:
    assert marie.refusal(SHARE, "ls") == "NT_STATUS_BAD_NETWORK_NAME"
    assert marie.refusal("Documents", "ls") == ""
    assert pc(served, "marie", MARIE).refusal("Documents", "ls") == "NT_STATUS_BAD_NETWORK_NAME"


def test_its_groups_may_enter_and_others_not(served: World) -> None:
    assert pc(served, "paul", PAUL).refusal(SHARE, "ls") == "NT_STATUS_ACCESS_DENIED"


def test_what_is_deleted_lies_in_the_bin_and_a_snapshot_is_a_previous_version(served: World) -> None:
    marie = pc(served, "marie", MARIE)
    marie.put(SHARE, "budget.txt", "premier")
    served.snapshot("@GMT-2026.11.24-10.00.00")
    marie.put(SHARE, "budget.txt", "second")
    assert marie.get(SHARE, "@GMT-2026.11.24-10.00.00/budget.txt") == "premier"
    marie.did(SHARE, "del budget.txt")
    assert marie.get(SHARE, "Corbeille/budget.txt") == "second"


def test_who_is_logged_in_at_it_when_the_account_is_disabled_is_cut_off(served: World) -> None:
    config = "--configfile=/etc/appliance/served.d/docs-a.smb.conf"
    with pc(served, "marie", MARIE).staying(SHARE) as session:
        served.wait(lambda: b"marie" in served.run("smbstatus", config, "--processes").stdout, "a session")
        assert "marie was logged in; its sessions were ended" in served.account("disable", "marie")
        out, _ = session.communicate(b"ls\n", timeout=60)
    served.account("enable", "marie")
    assert b"NT_STATUS" in out, out


@pytest.mark.parametrize("node", [HOME, STANDBY])
def test_the_settings_hold_nothing_that_samba_does_not_know(world: World, node: str, tmp_path: Path) -> None:
    file = tmp_path / "smb.conf"
    file.write_text(config(node))
    told = world.run("testparm", "--suppress-prompt", str(file))
    assert told.exit_code == 0
    assert "Unknown" not in told.stderr.decode()
    assert "WARNING" not in told.stderr.decode()


@pytest.fixture
def lan(served: World) -> Iterator[Lan]:
    if not Path("/usr/lib/python3/dist-packages/samba").exists():
        pytest.skip("python3-samba is not installed: make setup")
    made = Lan(served, ADDRESS, SHARE, PIPELINED)
    try:
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("requests_alone", [False, True], ids=["answers are held", "answers left"])
def test_a_pipelining_pc_hears_of_no_write_that_is_not_in_the_last_snapshot_of_a_move(
    served: World, lan: Lan, tmp_path: Path, *, requests_alone: bool
) -> None:
    """The second case, the filter as it once was, shows that the first one can fail."""
    helper = Helper(served, tmp_path, ADDRESS, requests_alone)
    with lan.pipelining("marie", MARIE) as pc:
        served.wait(lambda: len(pc.told) > 200, "some writes")
        session = session_of_marie(served)
        served.did("kill", "-STOP", session)  # as while its disk is slow
        served.wait(
            lambda: lan.unread(str(local_port(SERVICE, STANDBY))) > SEVERAL_BYTES, "requests that smbd has not read"
        )
        helper.did("hold")
        helper.did("check-held")
        served.snapshot(LAST)
        served.did("kill", "-CONT", session)
        saved = written(served, f"/srv/shares/.snapshots/{LAST}/{Path(FOLDER).name}")
        served.wait(lambda: len(written(served, FOLDER) - saved) > 1, "what came before the hold is written after it")
        if requests_alone:
            served.wait(lambda: pc.told - saved, "somebody is told of what is not saved")
        else:
            served.wait(lambda: lan.unsent() > 0, "answers that nobody receives")
        served.did("kill", "-KILL", session)
        helper.did("cut")
        assert bool(pc.all_told() - saved) == requests_alone
    helper.did("resume")
    helper.did("add")
    served.did("btrfs", "-q", "subvolume", "delete", f"/srv/shares/.snapshots/{LAST}")


def session_of_marie(world: World) -> str:
    """The process of smbd that she talks to."""
    shown = world.did("smbstatus", "--configfile=/etc/appliance/served.d/docs-a.smb.conf", "--processes")
    [line] = [it for it in shown.splitlines() if " marie " in it]
    return line.split()[0]


def written(world: World, folder: str) -> set[int]:
    return pipelining.numbers(world.run("cat", f"{folder}/{PIPELINED}").stdout)
