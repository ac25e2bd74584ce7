"""The cycle of one service, over ports in memory: what it hears, what a former program left, what must not end it."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim, Intent
from appliance.errors import NoSpace, NotFound
from appliance.failover.context import begin
from appliance.failover.forms.process_services import ProcessServices
from appliance.failover.fsm.model import STOPPING, Action, Decision, Local, Standing, State
from appliance.failover.keeper import Keeper
from appliance.failover.observe import observe
from appliance.failover.ports import Synced
from appliance.failover.program import begun, keep_newest, readable
from appliance.host.layout import NodeLayout
from appliance.host.programs import Program
from appliance.node.failover_status import ServiceStatus, save
from appliance.node.failover_status import load as load_told
from appliance.units import HOUR
from tests.unit.failover.world import LEASE, SECONDS_MAX, SERVICE, World, look, run_until, serving
from tests.worlds.documents import FIRST, HOME, LOCAL, STANDBY, act, by_key

A = Action


def test_a_holder_hears_of_a_move_after_the_store_has_forgotten_what_followed_its_last_answer(world: World) -> None:
    keeper = serving(world)
    for lease in (1001, 1002):
        noise = Intent("docs-b", "pause", "", "somebody", "", lease, 60)
        asyncio.run(world.store.report(noise))
        asyncio.run(world.store.withdraw(noise))
    world.voters.compact()
    _ask_for_a_move(world)
    asyncio.run(run_until(keeper, lambda: _is_let_go(world)))


def test_a_program_that_goes_on_with_what_an_earlier_one_served_hears_of_a_move(world: World) -> None:
    serving(world)
    _ask_for_a_move(world)
    keeper = Keeper(begin(world.node, SERVICE))
    asyncio.run(run_until(keeper, lambda: _is_let_go(world)))


def test_a_paper_that_is_shown_is_looked_at_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.failover.keeper.LOOKS_BY_STATE", {State.ACTIVE: 1e-6})
    keeper = serving(world)
    world.node.documents.on_news = keeper.wake

    async def play() -> None:
        running = asyncio.create_task(run_until(keeper, lambda: keeper.ctx.standing.state is not State.ACTIVE))
        while not keeper._row:
            await asyncio.sleep(0.01)
        world.node.documents.take([by_key(STANDBY, 2).document.raw])
        await running

    asyncio.run(play())


def test_a_service_that_does_not_answer_is_looked_at_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.failover.keeper.LOOKS_BY_STATE", {State.ACTIVE: 1e-6})
    keeper = serving(world)
    world.ctx.last.pop(A.PROBE)

    async def play() -> None:
        asked = asyncio.Event()

        async def silent(service: str) -> bool:
            await asked.wait()
            return False

        monkeypatch.setattr(world.machine, "probe", silent)
        running = asyncio.create_task(run_until(keeper, lambda: keeper.ctx.standing.state is not State.ACTIVE))
        while world.ctx.record is None or keeper._woken.is_set() or not keeper._row:
            await asyncio.sleep(0.01)
        asked.set()
        await running

    asyncio.run(play())


def _ask_for_a_move(world: World) -> None:
    asyncio.run(world.store.report(Intent(SERVICE, "move", STANDBY, "somebody", "flood", 1003, 60)))


def _is_let_go(world: World) -> bool:
    record = world.voters.read(SERVICE)
    return record.holder is None and record.owner is not None and record.owner.released


def test_another_program_goes_on_with_what_an_earlier_one_of_this_boot_left_running(world: World) -> None:
    serving(world)
    keeper = Keeper(begin(world.node, SERVICE))
    asyncio.run(run_until(keeper, lambda: keeper.ctx.standing.state is State.ACTIVE))
    told = (world.folder / "history.jsonl").read_text()
    assert "boot.resume" in told
    assert "writer-stop" not in told


def test_what_an_earlier_program_left_running_and_does_not_answer_is_found_out(world: World) -> None:
    serving(world)
    world.machine.sick.add(SERVICE)
    keeper = Keeper(begin(world.node, SERVICE))
    asyncio.run(run_until(keeper, lambda: keeper.ctx.standing.state is State.PROMOTING))


def test_a_node_serves_again_once_its_quarantine_was_taken_back(world: World) -> None:
    now, acts = world.clock.now(), [act("quarantine", HOME, "any", 0, world.clock.now() + HOUR)]
    world.ctx.node = replace(world.node, own_acts=lambda: tuple(acts))
    keeper = serving(world)
    asyncio.run(run_until(keeper, lambda: keeper.ctx.standing.state is State.FENCED))
    acts.append(act("quarantine", HOME, "any", now, now))
    asyncio.run(run_until(keeper, lambda: keeper.ctx.standing.state is not State.FENCED))
    assert not observe(world.ctx).requests.quarantined


def depose(world: World) -> None:
    """Another node takes the lease, as after a signed act; the home learns of it by its next renewal."""
    record = world.voters.read(SERVICE)
    assert record.holder is not None
    lease = new_lease(STANDBY, 1)
    asked = Claim(SERVICE, STANDBY, "boot-2", lease, record.owned, 15, "an act", "", ousts=record.holder.revision)
    asyncio.run(world.store.acquire(asked))


def test_the_watchdog_still_ends_what_runs_after_the_voters_said_that_the_lease_is_gone(world: World) -> None:
    """The program may hang before the service has stopped."""
    keeper = serving(world)
    depose(world)
    assert not world.do(A.RENEW)
    assert observe(world.ctx).lost
    asyncio.run(look(keeper))
    assert keeper.ctx.standing.state is State.DEMOTING
    assert world.machine.look(SERVICE).writer, "the program that is to stop it hangs"
    world.clock.advance(LEASE - 0.5)
    assert not world.machine.look(SERVICE).writer


def test_what_no_watchdog_would_end_is_not_renewed_and_stops_by_the_deadline_that_stands(world: World) -> None:
    keeper = serving(world)
    world.machine.watched = False
    world.clock.advance(3.0)
    asyncio.run(look(keeper))
    assert "no watchdog runs" in world.ctx.trouble["arm watchdog"]
    assert not world.do(A.RENEW)
    world.clock.advance(LEASE - 2.5 - 3.0)
    asyncio.run(look(keeper))
    assert keeper.ctx.standing.state is State.DEMOTING


def test_a_watchdog_that_is_back_in_time_interrupts_nothing(world: World) -> None:
    keeper = serving(world)
    world.machine.watched = False
    world.clock.advance(3.0)
    assert not world.do(A.RENEW)
    world.machine.watched = True
    assert world.do(A.RENEW)
    world.clock.advance(LEASE - 2.5 - 0.1)
    asyncio.run(look(keeper))
    assert keeper.ctx.standing.state in (State.ACTIVE, State.SUSPECT)
    assert "arm watchdog" not in world.ctx.trouble


def test_what_is_started_while_the_watchdog_ends_is_stopped_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = world.machine.start

    async def last(service: str, epoch: int) -> None:
        await start(service, epoch)
        world.machine.watched = False

    monkeypatch.setattr(world.machine, "start", last)
    world.hold()
    assert not world.do(A.ARM_WATCHDOG, A.START)
    assert not world.machine.look(SERVICE).writer


def test_a_service_that_cannot_be_looked_at_ends_no_other_and_a_person_is_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, looks = list[str](), list[str]()

    def blind(service: str) -> Local:
        looks.append(service)
        raise NotFound(f"this node is not set up to serve {service}.")

    world.ctx.node = replace(world.node, alarm=lambda service, sentence: told.append(sentence))
    keeper = Keeper(world.ctx)
    monkeypatch.setattr(world.machine, "look", blind)
    asyncio.run(run_until(keeper, lambda: len(looks) > 3))
    assert told == ["the running services cannot be examined: this node is not set up to serve docs-a."]


@pytest.mark.parametrize("plans", [{}, {"node": "commune-x", "standbys": ()}], ids=["no service", "no candidate"])
def test_a_service_that_the_bundle_takes_from_this_node_ends_its_cycle_and_nothing_else(
    world: World, plans: dict[str, Any]
) -> None:
    keeper = serving(world)
    territory = world.bundle.territory
    services = {SERVICE: replace(territory.service(SERVICE), **plans)} if plans else {}
    bundle = replace(world.bundle, territory=replace(territory, services=services))
    world.ctx.node = replace(world.node, bundle=lambda: bundle)
    asyncio.run(asyncio.wait_for(keeper.run(), SECONDS_MAX))
    assert world.machine.look(SERVICE).writer


def test_a_grant_that_a_full_disk_does_not_take_counts_and_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise NoSpace("the disk is full.", where=str(path))

    monkeypatch.setattr("appliance.failover.program.write_atomic", full)
    keeper = serving(world)
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    keep_newest([keeper])
    assert "the disk is full" in world.ctx.trouble["keep grant"]
    asyncio.run(look(keeper))
    assert keeper.ctx.standing.state is State.DEMOTING
    monkeypatch.undo()
    keep_newest([keeper])
    assert "keep grant" not in world.ctx.trouble
    assert (world.folder / "known-grant").exists()


def test_one_service_of_which_nothing_can_be_read_is_told_and_the_next_is_kept(world: World, tmp_path: Path) -> None:
    told = list[str]()
    node = replace(
        world.node,
        folder=lambda service: tmp_path / service,
        alarm=lambda service, sentence: told.append(f"{service}: {sentence}"),
    )
    (tmp_path / SERVICE).mkdir()
    (tmp_path / SERVICE / "failover.json").write_text("half a fi")
    for name in (SERVICE, "docs-b"):
        save(node.run, ServiceStatus(name, node.boot_id, "ACTIVE", "a.row", "as it stood before"))
    assert begun(node, [SERVICE, "docs-b"]).keys() == {"docs-b"}
    assert load_told(node.run, SERVICE) is None, "who looks is not told what was true before"
    assert load_told(node.run, "docs-b") is not None
    assert told[0].startswith(f"{SERVICE}: it is not managed here: ")
    assert "the durable state of failover cannot be read" in told[0]


def test_who_starts_a_service_ends_the_pull_that_has_its_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow one would keep the files from being laid, and the start would be given up after half a minute."""
    at_work = asyncio.Event()

    async def pull(service: str) -> None:
        at_work.set()
        await asyncio.sleep(3600)

    async def play() -> bool:
        keeper = Keeper(world.ctx)
        keeper._begin(Decision("standby.pull", "a newer one is held", (A.PULL,), world.ctx.standing, deadline=None))
        (task,) = keeper._tasks.values()
        await asyncio.wait_for(at_work.wait(), SECONDS_MAX)
        keeper._begin(Decision("promoting.start", "it won", (A.START,), world.ctx.standing, deadline=None))
        await asyncio.wait(keeper._tasks.values(), timeout=SECONDS_MAX)
        return task.cancelled()

    monkeypatch.setattr(world.copies, "pull", pull, raising=False)
    assert asyncio.run(play())


def test_papers_of_one_service_that_cannot_be_read_hide_none_of_the_others(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[str]()
    node = replace(
        world.node,
        folder=lambda service: tmp_path / service,
        alarm=lambda service, sentence: told.append(f"{service}: {sentence}"),
    )
    monkeypatch.setattr(world.copies, "documents", lambda service: ())
    for name, raw in (("docs-a", FIRST.document.raw), ("docs-b", b"\xff\xfe rot")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "known-grant").write_bytes(raw)
    assert readable(node, ["docs-b", "docs-a"]) == [FIRST.document.raw]
    assert readable(node, ["docs-b", "docs-a"]) == [FIRST.document.raw]
    (sentence,) = told
    assert sentence.startswith("docs-b: its grants cannot be read here: ")
    (tmp_path / "docs-b/known-grant").unlink()
    (tmp_path / "docs-b/known-grant").mkdir()
    assert readable(node, ["docs-b", "docs-a"]) == [FIRST.document.raw], "nor does an error of the disk"


def test_nothing_that_a_cycle_began_goes_on_after_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one reads what is kept at its beginning: what this one still wrote it would never see."""
    under_way = list[str]()

    async def sync(service: str, to: str) -> Synced:
        under_way.append(service)
        try:
            await asyncio.sleep(3600)
        finally:
            under_way.remove(service)
        return Synced("")

    async def play() -> None:
        await run_until(keeper, lambda: under_way)
        assert under_way == []

    monkeypatch.setattr(world.copies, "sync", sync)
    keeper = serving(world)
    asyncio.run(world.store.report(Intent(SERVICE, "move", STANDBY, "somebody", "flood", 1003, 60)))
    assert world.do(A.READ)
    asyncio.run(play())


def test_a_program_that_is_being_started_is_waited_for_by_who_ends_its_cycle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on, ended = threading.Event(), threading.Event(), list[str]()

    def start(program: Program, argv: tuple[str, ...], env: dict[str, str]) -> None:
        begun.set()
        may_go_on.wait(SECONDS_MAX)
        ended.append(program.name)

    async def play() -> None:
        starting = asyncio.create_task(services.start(SERVICE, 2))
        await asyncio.to_thread(begun.wait, SECONDS_MAX)
        starting.cancel()
        asyncio.get_running_loop().call_later(0.05, may_go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert ended == [SERVICE]

    plan = {"argv": ["true"], "port": 1, "copy_port": 2}
    (tmp_path / "programs.json").write_text(json.dumps({SERVICE: plan}))
    monkeypatch.setattr(Program, "start", start)
    services = ProcessServices(NodeLayout(tmp_path), HOME, lambda service: tmp_path, tmp_path)
    asyncio.run(play())


def test_a_home_alone_starts_a_service_anew_that_runs_and_answers_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, LOCAL)
    assert world.do(A.START, A.ADD_ADDRESS, A.PROBE, deadline=None)
    world.ctx.standing = Standing(State.ISOLATED_RW, world.clock.boottime())
    world.clock.advance(HOUR)
    world.machine.sick.add(SERVICE)
    assert world.do(A.PROBE)
    keeper = Keeper(world.ctx)
    asyncio.run(look(keeper))
    assert keeper.ctx.standing.state is State.DEMOTING, "it answered an hour ago"
    world.ctx.standing = Standing(State.ISOLATED_RW, world.clock.boottime() - HOUR)
    world.do(A.STOP, A.START, deadline=None)
    world.clock.advance(599.0)
    asyncio.run(look(keeper))
    assert keeper.ctx.standing.state is State.ISOLATED_RW, "it recovers what a power cut left, on a slow disk"
    world.clock.advance(1.0)
    asyncio.run(look(keeper))
    assert keeper.ctx.standing.state is State.DEMOTING
    world.do(*STOPPING, deadline=None)
    world.machine.sick.clear()
    world.clock.advance(2 * 60.0)
    asyncio.run(run_until(Keeper(world.ctx), lambda: world.machine.look(SERVICE).writer))
