"""A service that left the territory: its holders care for what they have, take nothing new, and let go of all in the
end."""

from __future__ import annotations

import pytest

from appliance.agent import decide as decisions
from appliance.agent.decide import decide
from appliance.agent.intervals import Intervals
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.peers import conversation
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import MISSING, Damage
from appliance.backup.vault.maintenance.repair import repair
from appliance.errors import ApplianceError, Forbidden
from appliance.monitor.held import judge_held
from appliance.monitor.view import Held
from appliance.node.acts import keep_act
from appliance.units import DAY
from tests.integration.vault_worlds.history import held_here, thin_here
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, Generation, VaultWorld, ask
from tests.worlds.vaults_in_process import World

YEAR = 365 * DAY


def held_of(vaults: VaultWorld, at: str = HOLDER) -> tuple[Held, ...]:
    node = vaults.open(at)
    view = Observer().look(node, now_of(node), Memory(), thorough=True)
    assert view.unread == {}
    return tuple(it for it in view.held if it.service == SERVICE)


def test_twelve_years_after_a_service_left_its_holder_has_nothing_of_it(
    vaults: VaultWorld, history: list[Generation]
) -> None:
    vaults.sign(left=True)
    kept = []
    for _ in range(12 * 12):
        vaults.advance(30 * DAY)
        thin_here(vaults)
        kept.append(len(held_here(vaults)))
    assert kept == sorted(kept, reverse=True)
    assert kept[12] > 0 == kept[-1], "it is kept for ten years after its lock, not for ever"
    assert list(vaults.holding(HOLDER).blobs()) == []
    assert held_of(vaults) == ()


def test_nothing_of_a_service_that_left_goes_before_its_last_lock_ends(
    vaults: VaultWorld, history: list[Generation]
) -> None:
    vaults.sign(left=True)
    for _ in range(27):
        vaults.advance(DAY)
        assert thin_here(vaults).dropped == ()
    assert held_here(vaults) == [made.name for made in history]


def test_what_no_bundle_knows_is_locked_for_a_year_and_goes_like_all_else(
    vaults: VaultWorld, history: list[Generation]
) -> None:
    vaults.sign(left=True, remembered=False)
    vaults.advance(YEAR - 4 * DAY)
    assert thin_here(vaults).dropped == ()
    assert "is in no bundle known here" in held_of(vaults)[0].left
    for _ in range(12):
        vaults.advance(YEAR)
        thin_here(vaults)
    assert held_here(vaults) == []


def test_the_agent_of_a_holder_thins_and_reads_again_what_left_and_asks_nobody_for_more(
    vaults: VaultWorld, history: list[Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "KEEPING_MAX", 9)
    vaults.sign(left=True)
    vaults.advance(8 * DAY)
    node = vaults.open(HOLDER)
    view = Observer().look(node, now_of(node), Memory())
    assert {it.kind for it in decide(view, now_of(node), Intervals()) if getattr(it, "service", "") == SERVICE} == {
        "scrub",
        "thin",
        "check",
    }
    told = judge_held(held_of(vaults)[0], view, now_of(node))
    assert told.summary.startswith(f"it left the territory in bundle {vaults.left_in}; generation 2.12")
    assert [it.check for it in told.reasons if it.state == "failed"] == []


def test_a_push_of_a_service_that_left_is_refused_with_the_bundle_in_which_it_left(
    vaults: VaultWorld, history: list[Generation]
) -> None:
    vaults.sign(left=True)
    grant = vaults.grant()
    for caller, verb in ((ORIGIN, "put"), (STANDBY, "put"), (STANDBY, "put-relayed")):
        with vaults.session(HOLDER, caller) as channel:
            ask(channel, verb, grants=[grant.document.raw.decode()], headers=[], list_bytes=0)
            with pytest.raises(
                ApplianceError, match=f"docs-a left the territory in bundle {vaults.left_in}: no new generation"
            ):
                channel.read_frame()


def test_former_holders_mend_each_other_and_strangers_still_get_nothing(
    vaults: VaultWorld, history: list[Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    for made in history[:2]:
        vaults.put(made, vaults.grant(), at=STANDBY)
    vaults.sign(left=True)
    replica = vaults.holding(HOLDER)
    lost = history[1].entries[-1].sha256
    replica.blob(lost).unlink()
    damage.record(vaults.open(HOLDER), replica, [Damage(MISSING, lost)])
    monkeypatch.setattr(conversation, "Line", World(vaults).line)
    assert repair(vaults.open(HOLDER), SERVICE).left == ()
    assert replica.blob(lost).exists()
    with vaults.session(HOLDER, "commune-d") as channel:
        ask(channel, "head")
        with pytest.raises(Forbidden):
            channel.read_frame()


def test_a_freeze_holds_what_left_as_it_holds_all_else(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.sign(left=True)
    node = vaults.open(HOLDER)
    keep_act(node.layout.acts, vaults.act("hold", SERVICE, days=4000), node.bundle)
    vaults.advance(3650 * DAY)
    assert "hold by keeper" in thin_here(vaults).skipped
    assert len(held_here(vaults)) == len(history)


def test_a_service_that_comes_back_goes_on_where_it_was(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.sign(left=True)
    vaults.advance(40 * DAY)
    thin_here(vaults)
    vaults.sign(left=False)
    grant = vaults.grant()
    more = vaults.seal(grant, {"config": b"config", "data/0/99": b"more"}, history[-1])
    vaults.put(more, before=history)
    assert held_here(vaults)[-1] == more.name
    assert held_of(vaults)[0].left == ""
