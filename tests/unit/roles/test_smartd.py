"""The disks that smartd watches, and what it does when a disk ails."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from appliance.host.disks import health
from tests.unit.roles.loading import ROLES

ALARM = ROLES / "upkeep/files/smartd-alarm"
PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
"""The environment that smartd's own script gives a plug-in."""
PROGRAMS = f"{os.environ['PATH']}:/usr/sbin"
AILING = {
    "SMARTD_DEVICE": "/dev/sda",
    "SMARTD_DEVICETYPE": "sat",
    "SMARTD_DEVICESTRING": "/dev/sda [SAT]",
    "SMARTD_FAILTYPE": "CurrentPendingSector",
    "SMARTD_MESSAGE": "Device: /dev/sda [SAT], 8 Currently unreadable (pending) sectors",
    "SMARTD_ADDRESS_ORIG": "@appliance",
}


needs_smartd = pytest.mark.skipif(
    not shutil.which("smartd", path=PROGRAMS), reason="needs smartmontools, which the role installs"
)


def call(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Call the plug-in as smartd does; the alarms that are there then, by name."""
    text = ALARM.read_text()
    assert text.count(str(health.ALARMS)) == 1
    script = folder / "appliance"
    script.write_text(text.replace(str(health.ALARMS), str(folder / "alarms")))
    (folder / "alarms").mkdir(exist_ok=True)
    subprocess.run(("/bin/sh", script), env={**PATH, **environment}, stdin=subprocess.DEVNULL, check=True)
    return {it.name: it.read_text() for it in (folder / "alarms").iterdir()}


def test_a_disk_that_ails_leaves_smartd_s_sentence_where_the_status_looks(tmp_path: Path) -> None:
    assert call(tmp_path, AILING) == {"smart_dev_sda": f"{AILING['SMARTD_MESSAGE']}\n"}


def test_each_disk_has_one_alarm_the_newest(tmp_path: Path) -> None:
    call(tmp_path, AILING)
    call(tmp_path, {**AILING, "SMARTD_DEVICE": "/dev/disk/by-id/nvme-eui.1 2", "SMARTD_MESSAGE": "worn out"})
    newest = {**AILING, "SMARTD_MESSAGE": "FAILED SMART self-check. BACK UP DATA NOW!"}
    assert call(tmp_path, newest) == {
        "smart_dev_sda": "FAILED SMART self-check. BACK UP DATA NOW!\n",
        "smart_dev_disk_by_id_nvme_eui_1_2": "worn out\n",
    }


def test_nothing_that_smartd_says_is_read_as_shell(tmp_path: Path) -> None:
    said = "$(touch owned) `touch owned` %s \\n"
    named = "../../owned"
    assert call(tmp_path, {"SMARTD_DEVICE": named, "SMARTD_MESSAGE": said}) == {"smart______owned": f"{said}\n"}
    assert not list(tmp_path.rglob("owned"))


def written(place: str) -> dict[str, str]:
    """The arguments of the task that writes `place`."""
    block = yaml.safe_load((ROLES / "upkeep/tasks/disks.yml").read_text())
    tasks = [it["ansible.builtin.copy"] for it in block if "ansible.builtin.copy" in it]
    [task] = (it for it in tasks if it["dest"] == place)
    return dict(task)


@needs_smartd
def test_smartd_stays_where_no_disk_can_be_asked_and_would_end_without_our_option(tmp_path: Path) -> None:
    options = re.findall(r'^smartd_opts="(.*)"$', written("/etc/default/smartmontools")["content"], re.MULTILINE)
    assert [began(tmp_path, *options), began(tmp_path)] == [True, False]


def began(folder: Path, *options: str) -> bool:
    """Whether smartd tells systemd that it runs, where there is no disk to watch; otherwise it ended."""
    place, settings = folder / "told", folder / "none.conf"
    settings.write_text("/dev/null -d removable -a\n")
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(place))
        told.settimeout(30)
        environment = {"PATH": PROGRAMS, "NOTIFY_SOCKET": str(place)}
        argv = ("smartd", "--no-fork", f"--configfile={settings}", *options)
        with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL) as smartd:
            said = b""
            while b"READY=1" not in said and b"No devices" not in said:
                said = told.recv(500)
            smartd.kill()
    return b"READY=1" in said


@needs_smartd
@pytest.mark.parametrize(
    ("change", "good"), [(("", ""), True), (("-W 5,50,60", "-W hot"), False), (("standby,15", "asleep,15"), False)]
)
def test_smartd_reads_what_the_role_writes_and_refuses_a_mistake(
    tmp_path: Path, change: tuple[str, str], good: bool
) -> None:
    task = written("/etc/smartd.conf")
    text = task["content"]
    for name, value in yaml.safe_load((ROLES / "upkeep/defaults/main.yml").read_text()).items():
        text = text.replace(f"{{{{ {name} }}}}", str(value))
    (tmp_path / "smartd.conf").write_text(text.replace(*change))
    argv = shlex.split(task["validate"].replace("%s", str(tmp_path / "smartd.conf")))
    done = subprocess.run(argv, env={"PATH": PROGRAMS}, check=False, capture_output=True, timeout=20)
    assert (done.returncode == 0) is good, done.stdout
