"""The keys that open a volume at boot, on real LUKS headers: a software TPM, real tang servers, the disk sheet.

Only the mapping itself is left out: kernels of labs have no device-mapper.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ctypes.util import find_library
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from appliance.host.command import run
from appliance_lab.processes.node import free_ports
from tests.unit.roles.loading import load_data_volume

ROOT = Path(__file__).parents[3]
MIB = 1 << 20
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
TANGD = Path("/usr/libexec/tangd")
CRYPTENROLL, SHARED = "systemd-cryptenroll", "libsystemd-shared"


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [it for it in programs if not shutil.which(it) and not Path(it).exists()]
    return pytest.mark.skipif(bool(missing) or os.geteuid() != 0, reason=f"needs root and {', '.join(programs)}")


pytestmark = [pytest.mark.root, needs("cryptsetup")]


@pytest.fixture
def volume() -> ModuleType:
    return load_data_volume()


@pytest.fixture(scope="module")
def debian_s_own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH in which systemd-cryptenroll runs with the library that Debian built for it.

    Some images have one of the same version that was built without what it calls.
    """
    folder = tmp_path_factory.mktemp("debian")
    if not runs():
        version = run(("dpkg-query", "-W", "-f", "${Version}", SHARED), timeout_seconds=30).stdout.decode()
        fetched = run(("apt-get", "-q", "download", f"{SHARED}={version}"), cwd=folder, timeout_seconds=120)
        if fetched.exit_code != 0:
            pytest.skip(f"systemd-cryptenroll does not run here, and Debian's {SHARED} is out of reach")
        [package] = folder.glob("*.deb")
        run(("dpkg-deb", "--extract", str(package), str(folder)), timeout_seconds=60, check=True)
        [library] = folder.rglob("libsystemd-shared-*.so")
        program = folder / CRYPTENROLL
        program.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={library.parent} exec {shutil.which(CRYPTENROLL)} "$@"\n')
        program.chmod(0o755)
    return folder


@pytest.fixture
def cryptenroll(debian_s_own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{debian_s_own}:{os.environ['PATH']}")
    assert runs()


def runs() -> bool:
    return run((CRYPTENROLL, "--version"), timeout_seconds=30).exit_code == 0


@pytest.fixture
def first_key() -> Iterator[int]:
    """The key that lives for minutes only, in memory, as the program keeps it."""
    fd = os.memfd_create("key")
    os.write(fd, os.urandom(64).hex().encode())
    yield fd
    os.close(fd)


@pytest.fixture
def disk(tmp_path: Path, volume: ModuleType, first_key: int) -> str:
    """A LUKS2 header with that key in slot 0."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    words = ("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", *CHEAP, "--label", volume.UNFINISHED)
    volume._run(*words, str(image), f"/proc/self/fd/{first_key}", fds=(first_key,))
    return str(image)


@pytest.fixture
def tangs(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """Three tang servers as url, thumbprint and process."""
    with ExitStack() as started:
        yield [start_tang(tmp_path / f"tang{number}", started) for number in range(3)]


def start_tang(keys: Path, started: ExitStack) -> dict[str, Any]:
    keys.mkdir()
    run(("/usr/libexec/tangd-keygen", str(keys)), timeout_seconds=60, check=True)
    [port] = free_ports("127.0.0.1", 1)
    process = subprocess.Popen((str(TANGD), "--listen", "--port", str(port), str(keys)))
    started.callback(process.wait)
    started.callback(process.kill)
    wait_for(port)
    thp = run(("tang-show-keys", str(port)), timeout_seconds=60, check=True).stdout.decode().strip()
    return {"url": f"http://127.0.0.1:{port}", "thp": thp, "process": process}


def wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nothing answers at port {port}")


def pins(tangs: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"url": it["url"], "thp": it["thp"]} for it in tangs]


def asked(**changes: Any) -> dict[str, Any]:
    return {"encryption": "luks", "unlock": "tang", "threshold": 2, "tang": [], **changes}


@needs("clevis", str(TANGD))
def test_two_of_three_neighbours_open_it_and_one_does_not(
    volume: ModuleType, disk: str, first_key: int, tangs: list[dict[str, Any]]
) -> None:
    volume.enrol(asked(tang=pins(tangs)), disk, f"/proc/self/fd/{first_key}", first_key)
    volume.check_unlocks(asked(), disk)
    volume._run("cryptsetup", "luksKillSlot", "--batch-mode", disk, "0")
    tangs[0]["process"].kill()
    tangs[0]["process"].wait()
    volume.check_unlocks(asked(), disk)
    tangs[1]["process"].kill()
    tangs[1]["process"].wait()
    with pytest.raises(volume.Refusal, match="clevis luks"):
        volume.check_unlocks(asked(), disk)


@needs("clevis", str(TANGD))
def test_a_neighbour_with_another_key_than_was_compared_is_refused(
    volume: ModuleType, disk: str, first_key: int, tangs: list[dict[str, Any]]
) -> None:
    lying = [{"url": it["url"], "thp": tangs[(number + 1) % 3]["thp"]} for number, it in enumerate(tangs)]
    with pytest.raises(volume.Refusal, match="clevis luks"):
        volume.enrol(asked(tang=lying), disk, f"/proc/self/fd/{first_key}", first_key)


@needs("clevis", str(TANGD), CRYPTENROLL)
@pytest.mark.usefixtures("cryptenroll")
def test_a_sheet_of_paper_is_made_without_any_other_key_and_opens_it(
    volume: ModuleType, disk: str, first_key: int, tangs: list[dict[str, Any]]
) -> None:
    volume.enrol(asked(tang=pins(tangs)), disk, f"/proc/self/fd/{first_key}", first_key)
    volume._run("cryptsetup", "luksKillSlot", "--batch-mode", disk, "0")
    assert volume.has_paper(disk) is False
    # The line that the summary of a run says.
    line = f"clevis luks pass -d {disk} -s 1 | systemd-cryptenroll --unlock-key-file=/dev/stdin --recovery-key {disk}"
    words = run(("sh", "-c", line), timeout_seconds=120, check=True).stdout.decode().strip()
    assert volume.has_paper(disk) is True
    opened = ("cryptsetup", "open", "--test-passphrase", "--key-file=-", disk)
    assert run(opened, stdin=words.encode(), timeout_seconds=60).exit_code == 0
    assert run(opened, stdin=b"other words", timeout_seconds=60).exit_code != 0


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[str]:
    """A software TPM, named as systemd's tools take it."""
    state, door = tmp_path / "tpm", tmp_path / "tpm.sock"
    state.mkdir()
    words = ("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags", "startup-clear")
    doors = ("--server", f"type=unixio,path={door}", "--ctrl", f"type=unixio,path={door}.ctrl")
    process = subprocess.Popen((*words, *doors))
    until = time.monotonic() + 20
    while not door.exists() and time.monotonic() < until:
        time.sleep(0.05)
    yield f"swtpm:path={door}"
    process.kill()
    process.wait()


@needs("swtpm", CRYPTENROLL)
@pytest.mark.skipif(not find_library("tss2-esys"), reason="needs libtss2-esys-3.0.2-0t64")
@pytest.mark.usefixtures("cryptenroll")
def test_the_chip_opens_it_and_lets_a_sheet_of_paper_be_made(
    volume: ModuleType, disk: str, first_key: int, chip: str
) -> None:
    volume.enrol(asked(unlock="tpm2", tpm2_device=chip), disk, f"/proc/self/fd/{first_key}", first_key)
    volume._run("cryptsetup", "luksKillSlot", "--batch-mode", disk, "0")
    tokens = json.loads(volume._run("cryptsetup", "luksDump", "--dump-json-metadata", disk))["tokens"].values()
    assert [(it["type"], it["tpm2-pcrs"]) for it in tokens] == [("systemd-tpm2", [7])]
    words = volume._run("systemd-cryptenroll", f"--unlock-tpm2-device={chip}", "--recovery-key", disk).strip()
    opened = ("cryptsetup", "open", "--test-passphrase", "--key-file=-", disk)
    assert run(opened, stdin=words.encode(), timeout_seconds=60).exit_code == 0
