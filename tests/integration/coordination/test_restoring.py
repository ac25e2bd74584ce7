"""A voter's store restored from a copy by Debian's etcdutl: whole, or not at all with one sentence."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.cli.voter import restore
from appliance.coordination.argv import REVISION_BUMP, Member
from appliance.coordination.gateway import Voter
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.host.layout import NodeLayout
from appliance.voter import restoring
from appliance.voter.etcd_admin import EtcdAdmin
from appliance_lab.processes.etcd import EtcdProcesses
from tests.integration.coordination.worlds import HEARTBEAT_MILLISECONDS

NAMES = ("commune-b", "commune-c", "hermitage")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "copy"
    with EtcdProcesses(tmp_path / "etcd", 1, heartbeat_milliseconds=HEARTBEAT_MILLISECONDS) as made:
        asyncio.run(save(made.voters[0].address, path))
    return path


async def save(voter: Voter, path: Path) -> None:
    admin = EtcdAdmin(voter)
    with path.open("wb") as file:
        async for piece in admin.snapshot():
            file.write(piece)
    await admin.close()


@pytest.fixture
def member(tmp_path: Path) -> Member:
    urls = {name: f"https://{name}.example:2380" for name in NAMES}
    return Member("hermitage", tmp_path / "private/appliance-voter/etcd", "https://127.0.0.1:2379", urls)


def test_all_voters_come_back_as_one_from_one_copy(copy: Path, member: Member) -> None:
    found = restoring.look_at(copy)
    assert found.revision < REVISION_BUMP
    (member.data.parent / restoring.UNFINISHED / "of a restore that was cut").mkdir(parents=True)
    restoring.restore(member, found)
    assert [it.name for it in member.data.parent.iterdir()] == ["etcd"]
    assert (member.data / "member/wal").is_dir()
    with pytest.raises(Refused, match="the voter on hermitage still has its data"):
        restoring.restore(member, found)


@pytest.mark.parametrize("keeps", [0, 4096, -1])
def test_a_damaged_copy_leaves_no_store(copy: Path, member: Member, keeps: int) -> None:
    raw = copy.read_bytes()
    copy.write_bytes(raw[:keeps] if keeps >= 0 else raw[:-100] + bytes([raw[-100] ^ 1]) + raw[-99:])
    with pytest.raises(IntegrityError, match="not a whole copy of a voter's store"):
        restoring.restore(member, restoring.look_at(copy))
    assert not member.data.exists()


def test_a_copy_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="STATE/voter-care"):
        restoring.look_at(tmp_path / "nowhere")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, member: Member) -> Path:
    """This machine as a node that votes, by root."""
    monkeypatch.setattr(restore, "territory_for_root", lambda layout, dry_run: (layout, dry_run))
    monkeypatch.setattr(restore, "member_here", lambda *_: ("hermitage", member, "example"))
    monkeypatch.setattr(restore, "MEMORY", member.data)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return member.data


def test_the_verb_says_what_to_compare_and_what_comes_next(
    copy: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--state", str(copy.parent), "voter", "restore", str(copy)]
    assert main.run([*argv, "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not here.exists()
    assert planned["others"] == ["commune-b", "commune-c"]
    assert main.run(argv) == 0
    told = capsys.readouterr().out
    assert f"hash {planned['hash']}" in told
    assert "at commune-b, commune-c, then type at each: systemctl start --no-block appliance-voter.service" in told
    assert main.run(argv) == Refused.exit_code
    assert "still has its data" in capsys.readouterr().err


def test_a_bundle_older_than_root_obeyed_makes_no_voter(
    copy: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(layout: NodeLayout, *, dry_run: bool) -> None:
        raise Refused("bundle 1 is older.")

    monkeypatch.setattr(restore, "territory_for_root", refuse)
    assert main.run(["--state", str(copy.parent), "voter", "restore", str(copy)]) == Refused.exit_code
    assert "bundle 1 is older." in capsys.readouterr().err
    assert not here.exists()


def test_only_root_makes_a_voter_anew(
    copy: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main.run(["--state", str(copy.parent), "voter", "restore", str(copy)]) == 6
    assert "sudo" in capsys.readouterr().err
    assert not here.exists()
