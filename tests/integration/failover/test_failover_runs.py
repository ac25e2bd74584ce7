"""Failover in named disasters, in simulated time, with the measured timers; and that its checker would have noticed had
a row of the table, or the fence, been missing."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from appliance.failover.fsm.model import Action, Decision, Policy, Seen, Standing, State
from appliance.failover.fsm.table import TABLE, decide_by
from appliance.failover.fsm.timers import Timers
from tests.integration.failover.world import HOME, NAMES, SEEDS, STANDBY, THIRD, TIMERS, Decide, World, violated


def begun(policy: Policy, seed: int = 1, decide: Decide | None = None, **more: bool) -> World:
    """A world in which the home serves and the others stand by."""
    world = World(policy, seed, **({"decide": decide} if decide else {}), **more)  # type: ignore[arg-type]
    others = (State.STANDBY, State.RO_SERVE)
    serves = lambda: world.home.standing.state is world.serves_at_home  # noqa: E731
    assert world.run_until(lambda: serves() and all(at(world, name) in others for name in NAMES[1:]), 60)
    return world


def at(world: World, name: str) -> State:
    return world.hosts[name].standing.state


def first(world: World, event: str, after: float, node: str) -> float:
    lines = (it for it in world.lines if it["event"] == event and it["node"] == node)
    times = (float(str(it["t_boottime"])) for it in lines)
    return next(time for time in times if time > after)


@pytest.mark.parametrize("kind", ["kill", "freeze", "hang", "cut", "cut-out", "cut-in"])
def test_an_exclusive_service_is_served_elsewhere_within_the_bound(kind: str) -> None:
    """RTO_max = TTL + 0.55 + grace + 0.3, and its start, 1.5 s at most here."""
    seconds = []
    for seed in SEEDS:
        world = begun(Policy.EXCLUSIVE, seed)
        world.run(world.draw.uniform(0, 3))
        fault = world.now
        world.fault(kind, HOME)
        world.run(30)
        assert at(world, STANDBY) is State.ACTIVE
        seconds.append(first(world, "address-add", fault, STANDBY) - fault)
        world.heal(kind, HOME)
        assert violated(world.finish()) == {}
    # Where only answers are lost, the voters got one renewal more than the holder knows of.
    more = TIMERS.renew if kind == "cut-in" else 0.0
    print(f"{kind}: median {statistics.median(seconds):.1f} s, most {max(seconds):.1f} s")
    assert max(seconds) < 15 + 0.55 + 1 + 1.5 + more + 4, "a grant, a peer's acknowledgement and some looks on the way"


def test_a_standby_that_handed_back_before_takes_over_as_fast_the_next_time() -> None:
    """Found between real programs: who had let go once waited for all others ever after."""
    world = begun(Policy.EXCLUSIVE)
    for name in (STANDBY, HOME):
        world.move(name)
        assert world.run_until(lambda name=name: at(world, name) is State.ACTIVE, 60)
    world.take_wishes_back()
    world.run(10)
    fault = world.now
    world.fault("kill", HOME)
    world.run(40)
    assert first(world, "address-add", fault, STANDBY) - fault < 15 + 0.55 + 1 + 1.5 + 4
    world.heal("kill", HOME)
    assert violated(world.finish()) == {}


def test_the_loss_of_a_quorum_is_no_failover_and_the_writer_resumes_under_its_epoch() -> None:
    world = begun(Policy.EXCLUSIVE)
    epoch = world.voters.epoch
    world.fault("quorum", "")
    world.run(25)
    assert at(world, HOME) is State.RO_ISOLATED
    world.heal("quorum", "")
    assert world.run_until(lambda: at(world, HOME) is State.ACTIVE, 10)
    assert world.voters.epoch == epoch
    report = world.finish()
    assert violated(report) == {}
    assert report.sometimes["resume"] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_where_standbys_hear_of_the_voters_again_before_the_writer_it_still_resumes_under_its_epoch(seed: int) -> None:
    world = begun(Policy.EXCLUSIVE, seed)
    epoch = world.voters.epoch
    for name in NAMES:
        world.fault("cut", name)
    world.run(25)
    world.heal("cut", STANDBY)
    world.heal("cut", THIRD)
    world.run(world.draw.uniform(1, 2))
    world.heal("cut", HOME)
    assert world.run_until(lambda: at(world, HOME) is State.ACTIVE, 10)
    assert world.voters.epoch == epoch
    assert violated(world.finish()) == {}


def test_who_is_promoted_before_it_heard_that_another_wrote_keeps_what_only_it_has() -> None:
    """Found by a soak (seed 20261129): its own files were replaced, and nobody was told."""
    world = World(Policy.EXCLUSIVE, 177)
    world.run(12)
    for name in NAMES:
        world.fault("kill", name)
    for name, seconds in ((STANDBY, 0.25), (THIRD, 14.0), (HOME, 0.5)):
        world.heal("kill", name)
        world.run(seconds)
    world.fault("kill", HOME)
    world.run(0.25)
    world.heal("kill", HOME)
    world.run(1.25)
    world.promote(HOME)
    assert world.run_until(lambda: at(world, HOME) is State.ACTIVE, 40)
    assert "promoting.diverged" in world.rows
    assert world.home.disk.branch_values
    assert violated(world.finish()) == {}


def test_the_address_of_a_service_that_crashed_under_a_hung_agent_is_nowhere_else_when_another_serves() -> None:
    """Found by a soak (20261233): it stayed at the home, for the watchdog had nothing to end."""
    world = begun(Policy.EXCLUSIVE)
    world.fault("hang", HOME)
    world.run(1)
    world.fault("service-crash", HOME)
    assert world.run_until(lambda: State.ACTIVE in (at(world, STANDBY), at(world, THIRD)), 60)
    assert not world.home.address
    assert violated(world.finish()) == {}


def test_a_local_first_home_writes_on_through_a_cut_and_a_lost_quorum_while_a_dated_copy_is_served() -> None:
    world = begun(Policy.LOCAL_FIRST)
    world.fault("cut", HOME)
    world.run(60)
    assert [at(world, name) for name in NAMES] == [State.ISOLATED_RW, State.RO_SERVE, State.RO_SERVE]
    assert world.home.writer
    assert world.hosts[STANDBY].copy
    world.heal("cut", HOME)
    world.fault("quorum", "")
    world.run(60)
    assert world.home.writer
    report = world.finish()
    assert violated(report) == {}
    assert report.sometimes["takeover"] == 0


def test_a_home_that_comes_back_after_a_promotion_keeps_what_it_wrote_and_gets_its_service_back() -> None:
    world = begun(Policy.LOCAL_FIRST)
    world.fault("cut", HOME)
    world.run(20)
    world.promote(STANDBY)
    world.run(40)
    assert at(world, STANDBY) is State.ACTIVE
    assert at(world, HOME) is State.ISOLATED_RW
    world.heal("cut", HOME)
    assert world.run_until(lambda: at(world, HOME) is State.STANDBY, 60)
    report = world.finish()
    assert violated(report) == {}
    assert report.sometimes["divergence"]
    assert report.sometimes["refusal"], "what its kernel still sent was refused"
    assert at(world, HOME) is State.ACTIVE


@pytest.mark.parametrize("policy", [Policy.LOCAL_FIRST, Policy.EXCLUSIVE])
def test_a_takeover_forged_into_the_voters_store_stops_who_is_bound_and_never_a_home(policy: Policy) -> None:
    """It has no grant: no peer ever refuses the writer for it, and what was written stays the service's history."""
    world = begun(policy)
    world.tell("nemesis", "fault", 0, fault="forgery", target="voters")
    world.voters.owner = world.voters.holder = "outsider"
    world.voters.epoch = world.voters.highest = 99
    world.voters.ends = world.now + 60
    world.run(40)
    assert world.home.writer is (policy is Policy.LOCAL_FIRST)
    assert not world.hosts[STANDBY].writer
    assert not world.hosts[THIRD].writer
    assert world.peers.highest == 1
    world.run(40)
    report = world.finish()
    assert violated(report) == {}
    assert report.sometimes["divergence"] == 0


def test_a_grant_is_learned_of_behind_a_later_claim_that_never_got_one() -> None:
    """Found by a soak: the home went on alone for ever beside a record whose last claim hid the grant before it."""
    world = begun(Policy.LOCAL_FIRST)
    world.fault("cut", HOME)
    world.run(20)
    world.tell("operator", "proof-of-death", 1, of=HOME, kind="act")
    world.voters.owner, world.voters.holder = THIRD, ""
    world.voters.epoch = world.voters.highest = 5
    world.voters.granted = 3
    world.heal("cut", HOME)
    assert world.run_until(lambda: not world.home.writer, 10)
    assert "superseded" in world.home.rows
    assert violated(world.finish()) == {}


def test_a_home_that_died_between_its_grant_and_its_first_start_does_not_open_what_it_had_before() -> None:
    """Found by a soak: started again, it took itself for the present writer and went on from its old files."""
    world = begun(Policy.LOCAL_FIRST)
    world.fault("cut", HOME)
    world.run(20)
    world.promote(STANDBY)
    assert world.run_until(lambda: at(world, STANDBY) is State.ACTIVE, 60)
    world.heal("cut", HOME)
    assert world.run_until(lambda: at(world, HOME) is State.STANDBY, 60)
    world.run(10)
    world.promote(HOME)
    granted = lambda: world.home.disk.own_epoch > 1  # noqa: E731
    assert world.run_until(granted, 10)
    assert not world.home.writer
    world.fault("kill", HOME)
    world.run(0.25)
    world.heal("kill", HOME)
    assert violated(world.finish()) == {}


def test_everything_off_and_on_in_any_order_comes_back_by_itself() -> None:
    for policy in Policy:
        for seed in range(6):
            world = begun(policy, seed)
            names = list(NAMES)
            world.draw.shuffle(names)
            for name in names:
                world.fault("kill", name)
                world.run(world.draw.uniform(0, 20))
            for name in reversed(names):
                world.heal("kill", name)
                world.run(world.draw.uniform(0, 20))
            assert violated(world.finish()) == {}


@pytest.mark.parametrize("policy", [Policy.EXCLUSIVE, Policy.LOCAL_FIRST])
def test_a_planned_move_loses_nothing_and_names_its_target(policy: Policy) -> None:
    world = begun(policy)
    world.move(THIRD)
    assert world.run_until(lambda: at(world, THIRD) is State.ACTIVE, 20)
    assert world.home.disk.tail == set()
    report = world.finish()
    assert violated(report) == {}
    assert report.sometimes["handover"] == 1


def test_a_jump_of_the_wall_clock_moves_nothing() -> None:
    world = begun(Policy.EXCLUSIVE)
    world.fault("clock", "")
    world.run(60)
    assert at(world, HOME) is State.ACTIVE
    assert world.voters.epoch == 1
    assert violated(world.finish()) == {}


def test_a_new_agent_does_not_interrupt_what_may_go_on() -> None:
    world = begun(Policy.EXCLUSIVE)
    world.fault("agent-restart", HOME)
    world.run(5)
    assert at(world, HOME) is State.ACTIVE
    assert "boot.resume" in world.home.rows
    assert [it["event"] for it in world.lines if it["node"] == HOME].count("writer-start") == 1


def test_a_home_alone_whose_service_hangs_starts_it_anew_and_has_its_lease_again() -> None:
    world = begun(Policy.LOCAL_FIRST)
    world.fault("cut", HOME)
    world.run(20)
    world.fault("service", HOME)
    world.heal("cut", HOME)
    assert world.run_until(lambda: "isolated.hung" in world.home.rows, 40)
    world.heal("service", HOME)
    assert world.run_until(lambda: at(world, HOME) is State.ACTIVE, 40)
    assert violated(world.finish()) == {}


def test_a_dated_copy_that_another_program_showed_is_withdrawn_when_the_service_is_back() -> None:
    world = begun(Policy.LOCAL_FIRST)
    world.fault("cut", HOME)
    assert world.run_until(lambda: world.hosts[STANDBY].copy, 30)
    world.fault("hang", STANDBY)
    world.heal("cut", HOME)
    assert world.run_until(lambda: at(world, HOME) is State.ACTIVE, 30)
    world.heal("hang", STANDBY)
    world.fault("agent-restart", STANDBY)
    world.run(10)
    assert at(world, STANDBY) is State.STANDBY
    assert not world.hosts[STANDBY].copy
    assert violated(world.finish()) == {}


def test_nobody_asks_for_the_lease_of_a_mirror() -> None:
    world = begun(Policy.MIRROR)
    world.fault("cut", HOME)
    world.run(20)
    world.heal("cut", HOME)
    world.run(20)
    assert at(world, HOME) is State.ISOLATED_RW
    assert Action.RETURN not in world.home.last
    assert violated(world.finish()) == {}


# What is missing is noticed.


def table_without(*names: str) -> Decide:
    """`decide` by a table in which these rows are missing."""
    table = tuple(row for row in TABLE if row.id not in names)

    def decide(standing: Standing, seen: Seen, policy: Policy, timers: Timers, now: float) -> Decision:
        return decide_by(table, standing, seen, policy, timers, now)

    return decide


def test_without_a_fence_the_buffer_of_a_dead_program_is_taken_after_healing() -> None:
    world = begun(Policy.EXCLUSIVE, fence=False)
    world.fault("cut", HOME)
    world.run(30)
    world.heal("cut", HOME)
    world.run(5)
    assert "F2" in violated(world.judge())


def test_without_the_deadline_a_second_writer_is_found() -> None:
    world = begun(Policy.EXCLUSIVE, decide=table_without("deadline"))
    world.fault("cut", HOME)
    world.home.watchdog = None
    world.hosts[HOME].tie_watchdog = lambda decision: None  # type: ignore[method-assign]
    world.run(30)
    assert {"F1", "F5"} <= set(violated(world.judge()))


def test_without_the_watchdog_a_hung_agent_leaves_a_second_writer() -> None:
    world = begun(Policy.EXCLUSIVE)
    world.fault("hang", HOME)
    world.home.watchdog = None
    world.run(30)
    assert {"F1", "F5", "F12"} <= set(violated(world.judge()))


def test_with_a_policy_that_is_not_obeyed_a_writer_without_proof_of_death_is_found() -> None:
    world = begun(Policy.LOCAL_FIRST)
    always = next(row.guard for row in TABLE if row.id == "grace.stay")
    rows = (row for row in TABLE if row.id != "grace.copy")
    table = tuple(replace(row, guard=always) if row.id == "grace.take" else row for row in rows)
    world.decide = lambda *look: decide_by(table, *look)
    world.fault("cut", HOME)
    world.run(30)
    assert "F1" in violated(world.judge())


def test_without_the_wait_for_whom_an_act_deposes_two_write() -> None:
    def violations(decide: Decide | None) -> set[str]:
        found: set[str] = set()
        for seed in range(8):
            world = begun(Policy.EXCLUSIVE, seed, decide)
            world.fault("cut", HOME)
            world.run(1)
            world.promote(STANDBY)
            world.run(20)
            found |= set(violated(world.judge()))
        return found

    assert "F1" in violations(table_without("promoting.deposed"))
    assert violations(None) == set()


def test_the_simulator_shortens_only_what_people_wait_for() -> None:
    changed = {"promote": 30.0, "drain": 60.0, "cooldown": 60.0, "settle": 300.0}
    assert replace(TIMERS, **changed) == Timers()
