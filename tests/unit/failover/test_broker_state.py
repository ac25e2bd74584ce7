"""The broker state: the nodes that call, what they showed, which are asked and silent; and the answers of a session."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import SimulatedClock
from appliance.errors import Busy, Forbidden, IntegrityError, Refused
from appliance.failover.documents import SignedDocuments
from appliance.trust.act import Act
from appliance.trust.bundle import Bundle
from appliance.trust.holder_answer import make_holder_answer
from appliance.voter import session as counter_of_broker
from appliance.voter.promises import begin_promises
from appliance.voter.session import BrokerSession
from appliance.voter.signing import Signer
from appliance.voter.state import BrokerState
from appliance_lab.doubles.memory_store import Memory, Store, at_once
from tests.worlds.documents import EXCLUSIVE, FIRST, HOLDER, HOME, LOCAL, STANDBY, act, by_voters, release
from tests.worlds.voters import KEYS, asked

VOTER = "commune-c"
LEASE = 15
RAW = FIRST.document.raw.decode()


@dataclass
class World:
    bundle: Bundle
    path: Path
    clock: SimulatedClock = field(default_factory=SimulatedClock)

    def __post_init__(self) -> None:
        begin_promises(self.path, "machine")
        self.state = self.started()

    def started(self) -> BrokerState:
        documents = SignedDocuments(lambda service: self.bundle.granters, lambda: self.bundle.operators)
        signer = Signer(self.path, "machine", KEYS[VOTER])
        return BrokerState(VOTER, lambda: self.bundle, self.clock, documents, signer, lambda: ())

    def attend(self, caller: str, *papers: str, answers: tuple[bytes, ...] = (), token: str = "") -> None:
        self.state.take_heartbeat(caller, token or self.state.token, papers, tuple(it.decode() for it in answers))

    def pass_time(self, seconds: float, *, answering: bool = False, holder: bool = True) -> None:
        """Ask every two seconds; the writer of the first grant answers, or does not."""
        for _ in range(round(seconds / 2)):
            self.state.tick()
            if holder:
                self.attend(HOLDER, RAW)
            self.attend(HOME, answers=self.answers() if answering else ())
            self.clock.advance(2)
        self.state.tick()

    def answers(self) -> tuple[bytes, ...]:
        told = [question.split() for question in self.state.questions(HOME)]
        fields = [{"service": name, "epoch": int(epoch), "challenge": challenge} for name, epoch, challenge in told]
        return tuple(make_holder_answer(KEYS[HOME], holder=HOME, **it) for it in fields)  # type: ignore[arg-type]

    def vote(self, caller: str = STANDBY, **changed: Any) -> bytes:
        return self.state.vote(caller, asked(2, caller, **changed).document.raw.decode())


@pytest.fixture
def exclusive(tmp_path: Path) -> World:
    return World(EXCLUSIVE, tmp_path / "promises")


@pytest.fixture
def local(tmp_path: Path) -> World:
    return World(LOCAL, tmp_path / "promises")


def test_it_signs_after_a_whole_lease_of_silence_and_not_before(exclusive: World) -> None:
    exclusive.attend(HOLDER, RAW)
    exclusive.pass_time(LEASE - 3)
    with pytest.raises(Refused, match="commune-a has not been silent to this broker for a whole lease of 15 s"):
        exclusive.vote()
    exclusive.pass_time(4)
    assert exclusive.vote()


def test_it_does_not_sign_against_a_holder_that_says_that_it_holds(exclusive: World) -> None:
    exclusive.attend(HOLDER, RAW)
    exclusive.pass_time(3 * LEASE, answering=True)
    with pytest.raises(Refused, match="commune-a has not been silent to this broker"):
        exclusive.vote()


def test_a_broker_that_was_just_started_has_asked_nobody(exclusive: World) -> None:
    exclusive.attend(HOLDER, RAW)
    exclusive.pass_time(2 * LEASE)
    exclusive.state = exclusive.started()
    exclusive.attend(HOLDER, RAW)
    with pytest.raises(Refused, match="commune-a has not been silent to this broker"):
        exclusive.vote()


def test_who_showed_its_papers_to_a_broker_that_forgot_them_counts_as_not_heard(exclusive: World) -> None:
    exclusive.attend(STANDBY, RAW)
    exclusive.pass_time(2 * LEASE, holder=False)
    exclusive.attend(HOLDER, token="of another life")
    with pytest.raises(Refused, match="no replica node of docs-a has reported the newest grant"):
        exclusive.vote()


def test_a_home_that_may_be_at_work_alone_is_never_asked_and_its_silence_proves_nothing(local: World) -> None:
    local.attend(HOLDER, RAW)
    local.pass_time(10 * LEASE)
    assert local.state.questions(HOME) == ()
    with pytest.raises(Refused, match="did not release docs-a and may still be writing alone"):
        local.vote()


def test_a_release_that_somebody_brought_is_enough(local: World) -> None:
    local.attend(HOLDER, RAW, release().document.raw.decode())
    assert local.vote()


def test_nobody_asks_in_the_name_of_another(local: World) -> None:
    local.attend(HOLDER, RAW)
    with pytest.raises(Refused):
        local.state.vote(HOLDER, asked(2, STANDBY).document.raw.decode())


def test_only_who_is_concerned_learns_of_grants_and_a_returning_home_does(exclusive: World) -> None:
    exclusive.attend(HOLDER, RAW)
    assert exclusive.state.news(HOME) == (RAW,)
    assert exclusive.state.news(HOLDER) == ()


def test_everybody_learns_who_writes_what_has_an_address_for_that_is_where_it_leads(exclusive: World) -> None:
    territory = exclusive.bundle.territory
    services = {name: replace(it, address="10.64.8.1") for name, it in territory.services.items()}
    exclusive.bundle = replace(exclusive.bundle, territory=replace(territory, services=services))
    exclusive.attend(HOLDER, RAW)
    assert exclusive.state.news(HOLDER) == (RAW,)


def test_who_serves_is_told_for_a_moment_only_and_only_of_known_services(exclusive: World) -> None:
    exclusive.state.take_heartbeat(HOME, "", (), (), ("docs-a", "unheard-of"))
    assert exclusive.state.served() == ("docs-a commune-a",)
    exclusive.clock.advance(5)
    assert exclusive.state.served() == ()


def test_a_node_brings_papers_in_one_call_at_a_time(exclusive: World) -> None:
    state = exclusive.state
    with state.taking_of(HOME, True):
        with pytest.raises(Busy, match="commune-a already has a call in progress"), state.taking_of(HOME, True):
            pass
        with state.taking_of(HOME, False), state.taking_of(STANDBY, True):
            pass
    with state.taking_of(HOME, True):
        pass


def test_papers_that_do_not_check_out_change_nothing(exclusive: World) -> None:
    forged = RAW.replace('"writer": "commune-a"', '"writer": "hermitage"')
    exclusive.attend(HOLDER, forged, "nonsense", RAW[:100], "x" * 100_000)
    assert exclusive.state.documents.grants == {}


def test_the_counter_tells_why_it_does_not_sign_and_what_was_promised(exclusive: World) -> None:
    counter = BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, STANDBY)
    exclusive.attend(HOLDER, RAW)
    request = asked(2, STANDBY).document.raw.decode()
    kind, why, _, highest = asyncio.run(counter.vote(request, (), seconds_max=1))
    assert (kind, highest) == ("declined", 0)
    assert "has not been silent" in why


def test_of_one_caller_one_vote_is_judged_at_a_time_so_that_others_get_theirs(
    exclusive: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each brings documents whose check costs a process; a node that asked in thirty lines at once had all threads."""
    inside, go_on = list[str](), threading.Event()

    def vote(self: BrokerState, caller: str, request: str, papers: tuple[str, ...]) -> bytes:
        inside.append(caller)
        assert go_on.wait(10)
        return b"signed"

    async def play() -> None:
        monkeypatch.setattr(BrokerState, "vote", vote)
        callers = (STANDBY, STANDBY, STANDBY, HOLDER)
        counters = [BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, it) for it in callers]
        asked = [asyncio.create_task(it.vote("", (), seconds_max=1)) for it in counters]
        async with asyncio.timeout(10):
            while len(inside) < 2:
                await asyncio.sleep(0)
        assert sorted(inside) == sorted((STANDBY, HOLDER))
        go_on.set()
        await asyncio.gather(*asked)

    asyncio.run(play())
    assert len(inside) == 4


@pytest.mark.parametrize(("paper", "waits"), [('{"type": "appliance/act"} forged', True), ("nonsense", False)])
@pytest.mark.parametrize("verb", ["attend", "vote"])
def test_who_shows_a_forged_act_waits_for_its_answer(
    exclusive: World, monkeypatch: pytest.MonkeyPatch, verb: str, paper: str, waits: bool
) -> None:
    """Each check is a process: one node that showed one after the other kept a core of every voter busy."""

    def check(*_: object) -> Act:
        raise IntegrityError("the act is not signed by a key of keeper.")

    monkeypatch.setattr("appliance.failover.documents.read_act", check)
    seconds = 0.3 if waits else 60.0  # so long that a busy machine cannot take it for the wait
    monkeypatch.setattr(counter_of_broker, "FORGED_SECONDS", seconds)
    counter = BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, STANDBY)
    request = asked(2, STANDBY).document.raw.decode()

    async def play() -> float:
        begun = asyncio.get_running_loop().time()
        if verb == "vote":
            await counter.vote(request, (paper,), seconds_max=1)
        else:
            await counter.attend("", (paper,), (), (), (), seconds_max=0)
        return asyncio.get_running_loop().time() - begun

    assert (asyncio.run(play()) >= seconds) is waits
    assert exclusive.state.forged == set()


def test_a_vote_whose_turn_does_not_come_in_time_is_not_judged_for_nobody(exclusive: World) -> None:
    async def play() -> None:
        counter = BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, STANDBY)
        async with exclusive.state.voting[STANDBY]:
            with pytest.raises(Busy, match="hermitage asks for more than this broker can handle"):
                await counter.vote("", (), seconds_max=0.01)
        kind, *_ = await counter.vote(asked(2, STANDBY).document.raw.decode(), (), seconds_max=1)
        assert kind == "declined", "the next one has its turn"

    asyncio.run(play())


def test_a_stranger_gets_nothing_from_the_counter(exclusive: World) -> None:
    counter = BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, "outsider")
    with pytest.raises(Forbidden, match="not a node of this territory"):
        at_once(counter.attend("", (), (), (), (), seconds_max=1))


@pytest.mark.parametrize("known", [(), (RAW,)], ids=["grant", "release"])
def test_who_waits_hears_of_a_newer_paper_at_once_and_who_brings_it_does_not_wait(
    known: tuple[str, ...], exclusive: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = release().document.raw.decode() if known else RAW
    monkeypatch.setattr(BrokerState, "ask_every_seconds", 1000.0)
    exclusive.attend(HOLDER, *known)
    counter = BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, STANDBY)

    async def play() -> tuple[object, ...]:
        waiting = asyncio.create_task(counter.attend("a token", (), (), (), (), seconds_max=2000.0))
        while not exclusive.state._waiting:
            await asyncio.sleep(0)
        await asyncio.to_thread(exclusive.attend, HOLDER, "nonsense")
        assert not waiting.done()
        brings = BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, HOLDER)
        await asyncio.wait_for(brings.attend("", (newer,), (), (), (), seconds_max=2000.0), 10)
        return await asyncio.wait_for(waiting, 10)

    _, _, news, *_ = asyncio.run(play())
    assert news == (*known, newer)
    assert not exclusive.state._waiting


def test_who_waits_for_news_brings_a_paper_meanwhile(exclusive: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BrokerState, "ask_every_seconds", 1000.0)
    counter = BrokerSession(Memory(Store(exclusive.clock)), exclusive.state, HOLDER)

    async def play() -> None:
        waiting = asyncio.create_task(counter.attend("", ("nonsense",), (), (), (), seconds_max=2000.0))
        async with asyncio.timeout(10):
            while exclusive.state._taking or not exclusive.state._waiting:
                await asyncio.sleep(0)
        await asyncio.wait_for(counter.attend("", (RAW,), (), (), (), seconds_max=2000.0), 10)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(play())


def test_acts_in_force_become_what_the_store_may_do(exclusive: World) -> None:
    acts = [act("promote", STANDBY), act("quarantine", HOME), act("lost", HOLDER)]
    exclusive.state.own_acts = lambda: acts
    exclusive.clock.jump_wall(5000.0 - exclusive.clock.now())
    found = exclusive.state.acts("docs-a")
    assert (found.promoted, found.out_of_the_way) == ({STANDBY}, {HOME, HOLDER})


def test_an_act_that_was_used_stops_no_later_holder_at_the_store(local: World) -> None:
    """Promoted, and handed back: for as long as the act is in force it could end the home's lease again and again."""
    promoted = act("promote", STANDBY)
    local.state.own_acts = lambda: [promoted]
    local.clock.jump_wall(5000.0 - local.clock.now())
    local.attend(HOLDER, RAW)
    assert local.vote()
    assert local.state.acts("docs-a").promoted == {STANDBY}, "until a grant comes of it"
    local.attend(HOLDER, by_voters(STANDBY, 2).document.raw.decode())
    assert local.state.acts("docs-a").promoted == set()
    assert local.state.acts("docs-b").promoted == set(), "it is about docs-a"
    local.attend(HOLDER, by_voters(HOME, 3).document.raw.decode())
    assert local.state.acts("docs-a").promoted == set()
    assert local.started().acts("docs-a").promoted == set(), "nothing is in force"
    again = local.started()
    again.own_acts = lambda: [promoted]
    again.take_heartbeat(HOLDER, again.token, (by_voters(HOME, 3).document.raw.decode(),), ())
    assert again.acts("docs-a").promoted == set(), "the promise outlives its program"
    again.own_acts = lambda: [promoted, act("promote", STANDBY, start=4500)]
    assert again.acts("docs-a").promoted == {STANDBY}, "another act is another one"


def test_a_quarantine_that_was_taken_back_counts_for_nothing_and_who_was_shut_out_hears_of_it(exclusive: World) -> None:
    sick = act("quarantine", HOME, "any")
    lifted = act("quarantine", HOME, "any", 4500, 4500)
    exclusive.state.own_acts = lambda: [sick, lifted]
    exclusive.clock.jump_wall(5000.0 - exclusive.clock.now())
    assert exclusive.state.acts("docs-a").quarantined == set()
    assert exclusive.state.acts_in_force("docs-a") == ()
    assert exclusive.state.news(HOME) == (lifted.document.raw.decode(),)


def test_only_a_home_says_that_it_could_have_its_service_back_and_others_hear_it_for_a_moment(
    exclusive: World,
) -> None:
    ready = exclusive.state.ready_origins
    for caller, text in (
        (STANDBY, "docs-a 400"),
        (HOME, "unheard-of 400"),
        (HOME, "docs-a"),
        (HOME, "docs-a -1"),
        (HOME, "docs-a 4e5"),
        (HOME, f"docs-a {'9' * 10}"),
    ):
        exclusive.state.take_heartbeat(caller, "", (), (), (), (text,))
        assert ready() == (), (caller, text)
    exclusive.state.take_heartbeat(HOME, "", (), (), (), ("docs-a 400",))
    assert ready() == ("docs-a 400",)
    exclusive.clock.advance(4)
    assert ready() == ()
