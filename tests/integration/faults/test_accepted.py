"""A file that can never be read, and an operator who accepts that: a real I/O error, real borg, commands as typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.peers.conversation import Lines
from appliance.backup.writer import writer
from appliance.errors import Refused
from appliance.failover.takeover_worker import sync
from appliance.monitor.written import judge_written
from appliance.portal.freshness import freshness
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import type_at
from tests.integration.faults.bad_block import without_bytes
from tests.integration.faults.world import ORIGIN, SERVICE, STANDBY, FaultWorld

pytestmark = pytest.mark.root
EIO = "read: [Errno 5] Input/output error"


@pytest.fixture
def rotten(world: FaultWorld) -> Iterator[Path]:
    """A file that was saved once, and whose sector has died since."""
    path = world.documents / "secteur défectueux.odt"
    path.write_bytes(b"lisible" * 1000)
    world.save()
    with without_bytes(path):
        yield path


def confirm(territory: ProcessTerritory, *paths: Path, code: int = 0, more: tuple[str, ...] = ("--yes",)) -> object:
    words = [word for path in paths for word in ("--left-out", str(path))]
    return type_at(territory, ORIGIN, "backup", "confirm", SERVICE, *words, *more, code=code)


def summary(world: FaultWorld) -> str:
    node = world.node()
    now = now_of(node)
    view = Observer().look(node, now, Memory(), thorough=True)
    return judge_written(next(it for it in view.written if it.service == SERVICE), view, now).summary


def test_a_service_with_an_unreadable_file_is_whole_without_it_once_an_operator_accepted_that(
    territory: ProcessTerritory, world: FaultWorld, rotten: Path
) -> None:
    assert not writer.run(world.node(), SERVICE).safety.safe
    with Lines(world.node()) as lines, pytest.raises(Refused, match=r"secteur défectueux.odt \(read:") as refused:
        sync(world.node(), SERVICE, "", lines)
    assert f"--left-out '{rotten}'" in refused.value.remedy, "it can be typed as it is printed"

    assert "did not leave out /srv/other" in str(confirm(territory, Path("/srv/other"), code=2))
    confirm(territory, rotten, more=("--dry-run",))
    assert not writer.run(world.node(), SERVICE).safety.safe, "nothing was accepted yet"
    confirm(territory, rotten)
    (event,) = world.node().journal.events("left-out-accepted")
    assert (event["path"], event["reason"]) == (str(rotten), EIO)
    assert event["by"]

    done = writer.run(world.node(), SERVICE)
    assert (done.safety.safe, done.sealed.header.whole, done.sealed.header.missing) == (True, True, ())
    assert (done.left_out, [it.path for it in done.manifest.accepted]) == ((), [str(rotten)])
    assert f"without {rotten} since 20" in summary(world)
    assert "accepted by an operator on 20" in summary(world)
    assert freshness(world.node(), (SERVICE,))[SERVICE].without[0][0] == str(rotten)
    assert str(rotten).encode() not in done.sealed.header.document.raw
    with Lines(world.node()) as lines:
        assert sync(world.node(), SERVICE, "", lines)["has"], "it can be moved"


def test_a_restore_brings_what_was_accepted_from_the_last_backup_that_has_it_and_says_so(
    territory: ProcessTerritory, world: FaultWorld, rotten: Path, tmp_path: Path
) -> None:
    never = world.documents / "jamais lu.odt"
    never.write_bytes(b"lisible" * 1000)
    with without_bytes(never):
        writer.run(world.node(), SERVICE)
        confirm(territory, rotten, never)
        writer.run(world.node(), SERVICE)
    told = type_at(territory, ORIGIN, "restore", "all", "--to", str(tmp_path / "back"), code=1)
    back = tmp_path / "back" / str(rotten).lstrip("/")
    assert back.read_bytes() == b"lisible" * 1000
    assert [it["path"] for it in told["filled"]] == [str(rotten).lstrip("/")]
    assert [it["path"] for it in told["accepted"]] == [str(never)]
    assert told["missing"] == []
    there = type_at(territory, STANDBY, "restore", "all", "--to", str(tmp_path / "there"), code=1)
    assert (there["filled"], there["accepted"]) == (told["filled"], told["accepted"]), (
        "a standby knows it from the archive"
    )


def test_another_name_or_reason_makes_it_partial_again_and_what_is_read_is_accepted_no_more(
    territory: ProcessTerritory, world: FaultWorld
) -> None:
    first, second = (world.documents / name for name in ("un.odt", "deux.odt"))
    for path in (first, second):
        path.write_bytes(b"lisible" * 1000)
    with without_bytes(first):
        writer.run(world.node(), SERVICE)
        confirm(territory, first)
        assert writer.run(world.node(), SERVICE).safety.safe
        with without_bytes(second):
            done = writer.run(world.node(), SERVICE)
            assert not done.safety.safe
            assert [it.path for it in done.left_out] == [str(second)]
    assert writer.run(world.node(), SERVICE).manifest.accepted == ()
    (event,) = world.node().journal.events("left-out-ended")
    assert event["path"] == str(first)
    with without_bytes(first):
        assert not writer.run(world.node(), SERVICE).safety.safe, "it was read in between: this is news"
