"""A backup that failed in part says so for ever: in its archive, in its header, and to who tidies."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.openable import open_best
from appliance.backup.writer import writer
from appliance.backup.writer.manifests import manifest_of, manifests
from appliance.borg.client import Borg
from appliance.borg.names import companion_of
from appliance.restore.jobs import plan
from appliance.territory.model import Retention
from tests.integration.faults.world import BLIND, ORIGIN, SERVICE, STANDBY, FaultWorld


@pytest.fixture
def cadastre(world: FaultWorld, tmp_path: Path) -> Path:
    """A second path of the service, on a disk of its own."""
    folder = tmp_path / "cadastre"
    folder.mkdir()
    (folder / "plan.dat").write_bytes(b"parcelle" * 1000)
    world._sign_service(paths=(str(world.documents), str(folder)), retention=Retention(0, 2, 0, 0, 0))
    return folder


def listed(world: FaultWorld) -> list[str]:
    return [it.name for it in Borg(own_repository(world.layout())).commented()]


def test_a_path_that_is_gone_makes_archive_and_header_partial_and_the_whole_one_is_kept(
    world: FaultWorld, cadastre: Path
) -> None:
    """L3: the second path's disk is unplugged; the archive, the header and the receipts called it a full backup."""
    whole = world.save()
    assert (whole.manifest.whole, whole.sealed.header.document.format) == (True, 2)
    assert [(it.path, it.files, it.bytes) for it in whole.manifest.paths][1] == (str(cadastre), 1, 8000)
    shutil.rmtree(cadastre)
    partial = [writer.run(world.node(), SERVICE) for _ in range(2)]
    header = partial[-1].sealed.header
    assert (header.document.format, header.whole, header.missing) == (2, False, (1,))
    assert chain_of(world.node(), SERVICE).newest().header.missing == (1,)  # type: ignore[union-attr]

    borg = Borg(own_repository(world.layout()))
    said = manifests(borg, SERVICE)
    assert [it is None or it.whole for it in said.values()] == [True, True, False, False]
    full = manifest_of(borg, partial[-1].created.archive)
    assert full is not None
    assert "does not exist" in full.paths[1].reason
    assert not any(companion_of(it.name) for it in borg.archives()), "companions are no archives of the service"

    writer.prune(world.node(), SERVICE)
    left = [it.name for it in borg.archives()]
    assert whole.created.archive in left
    assert partial[-1].created.archive in left
    assert {about for name in listed(world) if (about := companion_of(name))} <= {*left}, "a companion goes along"


def test_a_standby_reads_what_the_newest_archive_lacks(world: FaultWorld, cadastre: Path) -> None:
    shutil.rmtree(cadastre)
    done = writer.run(world.node(), SERVICE)
    opened = open_best(world.node(STANDBY), SERVICE)
    found = manifests(Borg(opened.repository), SERVICE)[done.created.archive]
    assert found is not None
    assert found.missing == (1,)


def test_an_archive_whose_run_was_killed_before_borg_told_is_partial_for_ever(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is killed between borg's end and what it would have written of the warnings."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writer.saved, "end", killed)
        with pytest.raises(KeyboardInterrupt):
            writer.run(world.node(), SERVICE)
    cut = Borg(own_repository(world.layout())).archives()[-1].name
    world.keep_little()
    writer.prune(world.node(), SERVICE)
    done = world.save()
    found = manifests(Borg(own_repository(world.layout())), SERVICE)
    assert cut not in found or not (found[cut] is None or found[cut].whole)  # type: ignore[union-attr]
    assert done.sealed.header.whole
    assert len(found) >= 2, "the newest whole one from before is kept, too"


def test_an_archive_that_an_unended_restore_needs_is_not_forgotten(world: FaultWorld) -> None:
    """L6: a restore that was cut could not go on after the next tidying: its archive was gone."""
    borg = Borg(own_repository(world.layout()))
    first = borg.archives()[0].name
    asked = plan(world.layout().restores, borg, first, (), now=0.0, into=world.work / "back")
    world.keep_little()
    for _ in range(2):
        world.save()
    writer.prune(world.node(), SERVICE)
    assert asked.archive == first
    assert first in [it.name for it in borg.archives()]


def test_a_whole_run_starts_no_other_borg_than_before(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    verbs: list[str] = []
    started = Borg._start

    def noted(borg: Borg, verb: str, lock_seconds: int) -> tuple[str, ...]:
        verbs.append(verb)
        return started(borg, verb, lock_seconds)

    monkeypatch.setattr(Borg, "_start", noted)
    world.change()
    world.save()
    assert verbs == ["create"]


def test_a_holder_goes_on_naming_the_missing_path_after_territory_yml_was_reordered(
    world: FaultWorld, cadastre: Path
) -> None:
    """Its header says "the second one"; after the change of order that was the path that is there."""
    signed = int(time.time())
    while int(time.time()) == signed:  # what is sealed in the second of a new bundle is read by the former one
        time.sleep(0.01)
    world.save()
    shutil.rmtree(cadastre)
    writer.run(world.node(), SERVICE)
    world._sign_service(paths=(str(cadastre), str(world.documents)))
    for name in (ORIGIN, STANDBY, BLIND):
        node = world.node(name)
        view = Observer().look(node, now_of(node), Memory(), thorough=True)
        (found,) = (it for it in (*view.written, *view.held) if it.service == SERVICE)
        assert [it.path for it in found.partial] == [str(cadastre)], name
        assert found.partial[0].last is not None
