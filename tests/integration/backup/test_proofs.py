"""Verification and drills where they count: at the standby, which can read what the origin sealed."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from appliance.agent.act import perform
from appliance.agent.decisions import Drill, Verify
from appliance.backup.peers.openable import open_apart
from appliance.backup.proofs.drill import drill
from appliance.backup.proofs.proofs import ROOM, load_proofs
from appliance.backup.proofs.verify import verify_data
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import Replica
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.borg.errors import PathMissing
from appliance.errors import Busy, NotFound, Refused
from appliance.failover.forms.database_work import rehearse
from appliance.host.files import locked
from appliance_lab.corpus import change
from appliance_lab.processes.territory import ProcessTerritory

SERVICE = "docs-a"
INF = float("inf")


@pytest.fixture
def saved(territory: ProcessTerritory, documents: Path) -> ProcessTerritory:
    """Two backups; between them files change, one goes, and one has a name that is not UTF-8."""
    (documents / "gone.odt").write_text("deleted on tuesday")
    (documents / "fa\udcffcture?.odt").write_text("an invoice")
    writer.run(territory.open("commune-a"), SERVICE)
    change(documents, 0.05)
    (documents / "gone.odt").unlink()
    writer.run(territory.open("commune-a"), SERVICE)
    return territory


def rot_largest(replica: Replica) -> None:
    """Change one byte in the middle of the largest blob."""
    blob = max(replica.blobs(), key=lambda path: path.stat().st_size)
    blob.chmod(0o600)
    with open(blob, "r+b") as file:
        file.seek(blob.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def test_a_standby_proves_every_version_in_shares_and_brings_everything_back(
    saved: ProcessTerritory, documents: Path
) -> None:
    node = saved.open("hermitage")
    layout = node.service(SERVICE)
    first = verify_data(node, SERVICE, bytes_max=4 << 20)
    assert not first.finished
    assert (first.damaged, first.generation) == ((), "2.2")
    under_way = load_proofs(layout).round
    assert under_way is not None
    assert (under_way.bytes, load_proofs(layout).verified) == (first.bytes, None)
    rest = verify_data(node, SERVICE, bytes_max=INF)
    assert rest.finished
    verified = load_proofs(layout).verified
    assert verified is not None
    assert (verified.files, verified.generation, load_proofs(layout).round) == (first.files + rest.files, "2.2", None)
    now = sum(path.is_file() and not path.is_symlink() for path in documents.rglob("*"))
    assert verified.files > now + 1, "also the changed and the deleted file's older versions"
    daily = perform(node, Verify(SERVICE, "as the agent does"))
    assert daily.figures == {"files": verified.files, "bytes": verified.bytes, "damaged": 0, "finished": 1}

    # The first drill brings everything back, the second a sample that its seed draws.
    everything = drill(node, SERVICE, rehearse)
    assert everything.everything
    assert everything.wrong == ()
    assert everything.files == now
    assert everything.bytes == everything.total_bytes > 0
    sample = drill(node, SERVICE, rehearse, seed=7)
    assert (sample.everything, sample.wrong, sample.told, sample.files) == (False, (), (), 50)
    weekly = perform(node, Drill(SERVICE, "as the agent does"))
    assert (weekly.figures["wrong"], weekly.figures["files"], weekly.alarms, weekly.error) == (0, 50, (), "")
    assert load_proofs(layout).whole == everything
    assert not (layout.root / ROOM / "restored").exists()
    told = [event["event"] for event in node.journal.events()]
    assert (told.count("verified"), told.count("drilled")) == (3, 3)
    assert not any("odt" in json.dumps(event) for event in node.journal.events("drilled"))

    borg = Borg(open_apart(node, SERVICE, layout.root / ROOM).repository)
    with pytest.raises(PathMissing, match="1 of 2 files"):
        borg.read_through(everything.archive, [str(documents / "fa\udcffcture?.odt").lstrip("/"), "never/there"])

    # A byte rots after borg has indexed the copy: the file that cannot be read any more is named.
    rot_largest(replica_of(node, SERVICE))
    typed = saved.nodes["hermitage"].cli("--json", "backup", "verify", SERVICE, check=False)
    assert typed.exit_code == 5
    (damaged,) = json.loads(typed.stdout)["damaged"]
    assert Path("/", damaged["path"]).is_relative_to(documents)
    assert "checksum mismatch" in damaged["reason"]
    assert b"appliance" in typed.stderr


def test_the_origin_proves_what_it_writes_and_who_can_read_nothing_proves_nothing(saved: ProcessTerritory) -> None:
    origin = saved.nodes["commune-a"]
    assert json.loads(origin.cli("--json", "backup", "verify", SERVICE, "--daily-slice").stdout)["finished"]
    planned = json.loads(
        origin.cli("--json", "backup", "drill", SERVICE, "--sample", "--seed", "1", "--dry-run").stdout
    )
    assert load_proofs(origin.layout.service(SERVICE)).drilled is None
    drilled = json.loads(origin.cli("--json", "backup", "drill", SERVICE, "--sample", "--seed", "1").stdout)
    assert (drilled["generation"], drilled["wrong"], drilled["everything"]) == ("2.2", [], False)
    assert {name: drilled[name] for name in planned} == planned
    blind = saved.open("commune-b")
    for prove in (verify_data, partial(drill, rehearse=rehearse)):
        with pytest.raises(Refused, match="does not trust commune-b"):
            prove(blind, SERVICE)
    assert not blind.service(SERVICE).root.exists()
    node = saved.open("commune-a")
    shutil.rmtree(replica_of(saved.open("hermitage"), SERVICE).root)
    with pytest.raises(NotFound, match="no such generation here"):
        verify_data(saved.open("hermitage"), SERVICE)
    with locked(node.service(SERVICE).root / ROOM / "lock", what="x"), pytest.raises(Busy, match="proof of docs-a"):
        drill(node, SERVICE, rehearse)
