"""One broker: it signs what it has proof of, one line an epoch, and says in a sentence why it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.failover.protocol import LEAP_MAX
from appliance.territory.model import Placement
from appliance.trust.grant import Grant
from appliance.trust.holder_answer import HolderAnswer, make_holder_answer, read_holder_answer
from appliance.trust.keys import public_line
from appliance.trust.revocation import Revoked
from appliance.trust.signed import digest_of
from appliance.trust.voted import statement
from appliance.voter.grant_rules import Declines, Signs, View, decide
from appliance.voter.probe import GAP_SECONDS_MAX, HolderProbe, begin_probe
from appliance.voter.promises import Promised
from tests.unit.failover.brokers import LEASE, view
from tests.worlds.documents import (
    EXCLUSIVE,
    FIRST,
    HOLDER,
    HOME,
    MIRROR,
    STANDBY,
    act,
    bundle,
    by_key,
    by_voters,
    release,
)
from tests.worlds.voters import KEYS, NAMES, OUTSIDER, asked


def silent(of: Grant = FIRST, seconds: float = LEASE, until: float = 1000.0) -> HolderProbe:
    """Asked each second, the last time at `until`."""
    probe = begin_probe(of, "00" * 32, until - seconds)
    for second in range(int(seconds)):
        probe = probe.asked(f"{second + 1:064x}", until - seconds + second + 1)
    return probe


def declined(seen: View) -> str:
    decision = decide(seen)
    assert isinstance(decision, Declines), decision
    return decision.reason


def signed(seen: View) -> Signs:
    decision = decide(seen)
    assert isinstance(decision, Signs), decision
    assert decision.line == statement(seen.request, seen.bundle.voting)
    assert decision.promised.lines[decision.epoch] == digest_of(decision.line)
    return decision


# What lets it sign

PROOFS: dict[str, tuple[dict[str, Any], str]] = {
    "a release": ({"release": release()}, "commune-a has released epoch 2"),
    "a promotion": ({"acts": [act("promote", STANDBY)]}, 'maintenance signed "promote" of hermitage'),
    "a promotion for any service": ({"acts": [act("promote", STANDBY, "any")]}, 'signed "promote"'),
    "a quarantine of the writer": ({"acts": [act("quarantine", HOME)]}, 'signed "quarantine" of commune-a'),
    "lost, and silent": ({"acts": [act("lost", HOME)], "probe": silent()}, 'signed "lost" of commune-a'),
    "an exclusive writer silent for a lease": (
        {"bundle": EXCLUSIVE, "probe": silent()},
        "commune-a was asked for 15 s and did not say that it holds docs-a",
    ),
    "the writer itself": ({"request": asked(2, HOME)}, "commune-a gives up epoch 2 for the next one"),
    "a writer whose keys were replaced": (
        {"bundle": bundle(keys={**KEYS, HOME: OUTSIDER}, term=0)},
        "commune-a has no key any more with which it wrote",
    ),
    "the home takes its own back from a silent one": (
        {
            "request": asked(3, HOME),
            "present": by_voters(STANDBY, 2),
            "probe": silent(by_voters(STANDBY, 2)),
        },
        "hermitage was asked for 15 s",
    ),
}


@pytest.mark.parametrize(("changed", "reason"), PROOFS.values(), ids=PROOFS)
def test_it_signs_with_a_proof(changed: dict[str, Any], reason: str) -> None:
    decision = signed(view(**changed))
    assert reason in decision.reason
    assert decision.epoch == (5 if "present" in changed else 3)
    assert decision.promised.present == view(**changed).present.epoch  # type: ignore[union-attr]


# What does not

FIVES = by_voters(STANDBY, 2)
NO_PROOF: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "commune-a did not release docs-a and may still be writing alone"),
    "silence of a local-first home": ({"probe": silent()}, "did not release docs-a and may still be writing alone"),
    "an exclusive one that nobody asked": (
        {"bundle": EXCLUSIVE},
        "commune-a has not been silent to this broker for a whole lease of 15 s",
    ),
    "a lease minus a moment": ({"bundle": EXCLUSIVE, "probe": silent(seconds=14)}, "been silent to this broker"),
    "silence about another grant": ({"bundle": EXCLUSIVE, "probe": silent(FIVES)}, "been silent to this broker"),
    "silence that ended a while ago": (
        {"bundle": EXCLUSIVE, "probe": silent(seconds=100, until=990)},
        "been silent to this broker",
    ),
    "a clock of another boot": ({"bundle": EXCLUSIVE, "probe": silent(until=5000.0)}, "been silent to this broker"),
    "no lease at all": ({"bundle": EXCLUSIVE, "probe": silent(), "lease_seconds": 0}, "for a whole lease of 0 s"),
    "a release of another epoch": ({"release": release(by_key(HOME, 2))}, "did not release docs-a"),
    "a release that another node signed": ({"release": release(key=HOLDER)}, "did not release docs-a"),
    "a promotion of another node": ({"acts": [act("promote", HOLDER)]}, "did not release docs-a"),
    "a promotion for another service": ({"acts": [act("promote", STANDBY, "docs-b")]}, "did not release docs-a"),
    "a promotion that is over": ({"acts": [act("promote", STANDBY, end=4999)]}, "did not release docs-a"),
    "a promotion that begins later": ({"acts": [act("promote", STANDBY, start=5001)]}, "did not release docs-a"),
    "lost, and nobody asked it": ({"acts": [act("lost", HOME)]}, "did not release docs-a"),
    "another act": (
        {"acts": [act("hold", HOME), act("freeze", "docs-a")], "probe": silent()},
        "did not release docs-a",
    ),
}
WHO_ASKS: dict[str, tuple[dict[str, Any], str]] = {
    "a holder that is no candidate": ({"request": asked(2, HOLDER), "heard": {STANDBY}}, "commune-b is neither"),
    "anybody, of a mirror": ({"bundle": MIRROR}, "hermitage is neither the origin nor a standby of docs-a"),
    "a key that the bundle does not have": (
        {"bundle": bundle(keys={**KEYS, STANDBY: OUTSIDER})},
        "the request is not signed by the hermitage of bundle 7",
    ),
    "one in quarantine": (
        {"acts": [act("quarantine", STANDBY), act("promote", STANDBY)]},
        "hermitage is in quarantine",
    ),
    "for another repository": (
        {"request": asked(2, STANDBY, repository="cd" * 32)},
        "would be written to another repository than before",
    ),
    "after a revocation that ended the epoch": (
        {"bundle": bundle(revoked=Revoked((), {"docs-a": 2}))},
        "would be written to another repository than before",
    ),
    "one that knows less": ({"request": asked(1, STANDBY)}, "hermitage knows epoch 1 of docs-a, but 2 is granted"),
    "one that hides a grant of the key holder's": (
        {"request": asked(4, STANDBY)},
        "hermitage knows epoch 4 of docs-a but shows 2: the territory key granted a newer one",
    ),
    "one that makes numbers up": (
        {"request": asked(3 + LEAP_MAX, STANDBY)},
        "epochs up to 19 of docs-a are not known here",
    ),
}
WHAT_IS_KNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "no grant at all": ({"present": None}, "docs-a has no grant yet: the territory key signs the first one"),
    "a grant of another service": ({"present": by_key(service="docs-b")}, "docs-a has no grant yet"),
    "an older grant than this broker was shown before": (
        {"promised": Promised({5: "ab" * 32}, present=3)},
        "epoch 3 of docs-a was already granted, and 2 is shown",
    ),
    "nobody but the asker": ({"heard": ()}, "no replica node of docs-a has reported the newest grant: commune-b"),
    "the asker and the node that it replaces": ({"heard": {HOME, STANDBY}}, "commune-b did not call"),
    "a broker that does not vote": ({"bundle": bundle(voters=NAMES[:2] + NAMES[3:] + NAMES[4:])}, "commune-c is no"),
    "too few voters": ({"bundle": bundle(voters=("commune-b", "commune-c"))}, "commune-c is not a voter that can sign"),
}


@pytest.mark.parametrize(("changed", "why"), NO_PROOF.values(), ids=NO_PROOF)
def test_it_does_not_sign_without_one(changed: dict[str, Any], why: str) -> None:
    assert why in declined(view(**changed))


@pytest.mark.parametrize(("changed", "why"), WHO_ASKS.values(), ids=WHO_ASKS)
def test_it_does_not_sign_for_whoever_asks(changed: dict[str, Any], why: str) -> None:
    assert why in declined(view(**{"release": release(), **changed}))


@pytest.mark.parametrize(("changed", "why"), WHAT_IS_KNOWN.values(), ids=WHAT_IS_KNOWN)
def test_it_does_not_sign_when_it_cannot_be_sure_of_the_present(changed: dict[str, Any], why: str) -> None:
    assert why in declined(view(**{"release": release(), **changed}))


def test_where_nobody_else_holds_it_nobody_else_is_heard() -> None:
    alone = bundle(placements={"docs-a": Placement("docs-a", (STANDBY,), ())})
    signed(view(bundle=alone, heard=(), release=release()))


# One line an epoch


def test_the_same_question_gets_the_same_line_again() -> None:
    once = signed(view(release=release()))
    again = signed(view(release=release(), promised=once.promised))
    assert (again.line, again.promised) == (once.line, once.promised)


def test_another_question_for_that_epoch_gets_none_and_a_later_epoch_does() -> None:
    once = signed(view(release=release()))
    other = {"release": release(), "request": asked(2, STANDBY, reason="another"), "promised": once.promised}
    assert declined(view(**other)) == "this broker has signed another grant of docs-a, of epoch 3."
    later = signed(view(**{**other, "request": asked(3, STANDBY, reason="another")}))
    assert sorted(later.promised.lines) == [3, 5]
    assert "signed another grant of docs-a, of epoch 5" in declined(
        view(**{**other, "promised": Promised({5: "ab" * 32}, 2)})
    )


def test_a_later_term_begins_far_above() -> None:
    assert signed(view(bundle=bundle(term=2), release=release())).epoch == 1025


def test_the_first_epoch_of_a_later_term_is_nothing_made_up() -> None:
    """Two askers split its brokers: who has signed for neither yet must let the next one be asked for."""
    assert signed(view(bundle=bundle(term=2), request=asked(1025, STANDBY), release=release())).epoch == 1027


def test_where_the_voters_changed_without_the_newest_grant_no_broker_signs_above_an_older_one() -> None:
    """Its writer may be at work; a node that hides it, or that forges one, changes nothing."""
    changed = bundle(term=2, unconfirmed={"docs-a": (1,)})
    seen = view(bundle=changed, release=release())
    declined = decide(seen)
    assert isinstance(declined, Declines)
    assert "one up to epoch 1023 may be in force, and 2 is the newest known one" in declined.reason
    assert "--earlier BUNDLE" in declined.remedy
    assert (
        "`appliance backup resync docs-a --request docs-a.request` at the node that is to serve it" in declined.remedy
    )
    assert isinstance(decide(replace(seen, unbelieved="by outsiders")), Declines)


def test_a_grant_of_the_key_holder_above_what_was_not_shown_is_the_way_out() -> None:
    changed = bundle(term=2, unconfirmed={"docs-a": (0, 1)})
    present = by_key(HOME, 1023)
    seen = view(bundle=changed, present=present, request=asked(1024, STANDBY), release=release(present))
    assert signed(seen).epoch == 1025
    assert isinstance(decide(replace(seen, bundle=bundle(term=2, unconfirmed={"docs-b": (1,)}))), Signs)


def test_a_term_that_is_used_up_is_the_key_holders_matter() -> None:
    present = by_key(HOME, 510)
    seen = view(request=asked(512, STANDBY), present=present, release=release(present))
    assert "the voters have no epoch above 512 left for docs-a in their term 0" in declined(seen)


def test_a_writer_that_asks_for_one_epoch_after_the_other_leaves_half_of_the_term_to_takeovers() -> None:
    promised, present, epochs = Promised(), FIRST, list[int]()
    while isinstance(
        decision := decide(view(request=asked(present.epoch, HOME), present=present, promised=promised)), Signs
    ):
        promised, present = decision.promised, by_voters(HOME, present.epoch)
        epochs.append(decision.epoch)
    assert (len(epochs), epochs[-1]) == (127, 255)
    assert "used all epochs of docs-a that a writer may request for itself in term 0" in decision.reason
    assert "`appliance backup resync docs-a --request docs-a.request` at commune-a" in decision.remedy
    taken = signed(view(request=asked(255, STANDBY), present=present, promised=promised, release=release(present)))
    assert taken.epoch == 257
    own = view(request=asked(255, HOME), present=present, promised=promised, release=release(present))
    assert "for itself" in declined(own), "its own release is no way around"


def test_an_act_serves_once() -> None:
    """Promoted, handed back by a release: the same act does not depose the home again."""
    promoted = [act("promote", STANDBY)]
    once = signed(view(acts=promoted))
    again = signed(view(acts=promoted, request=asked(3, STANDBY), promised=once.promised))
    assert again.epoch == 5, "no grant came of the first attempt"
    home = by_voters(HOME, 5)
    seen = view(acts=promoted, request=asked(7, STANDBY), present=home, promised=again.promised)
    assert "commune-a did not release docs-a" in declined(seen)
    signed(replace(seen, acts=[*promoted, act("promote", STANDBY, start=4500)]))


@given(st.lists(st.tuples(st.sampled_from([HOME, STANDBY]), st.integers(2, 12), st.sampled_from("xyz")), max_size=20))
def test_whatever_it_is_asked_it_never_signs_two_lines_for_one_epoch(questions: list[tuple[str, int, str]]) -> None:
    promised, lines = Promised(), dict[int, bytes]()
    for writer, known, reason in questions:
        seen = view(request=asked(known, writer, reason=reason), release=release(), promised=promised)
        decision = decide(seen)
        if isinstance(decision, Signs):
            assert lines.setdefault(decision.epoch, decision.line) == decision.line
            assert decision.epoch > known
            promised = decision.promised


# Silence


def answer(
    challenge: str, key: str = HOME, epoch: int = 2, service: str = "docs-a", lease_seconds: int | None = None
) -> HolderAnswer:
    fields = {} if lease_seconds is None else {"lease_seconds": lease_seconds}
    raw = make_holder_answer(KEYS[key], service=service, epoch=epoch, holder=HOME, challenge=challenge, **fields)
    return read_holder_answer(raw, public_line(KEYS[key]))


def test_an_answer_ends_the_silence_and_each_question_has_one() -> None:
    probe = begin_probe(FIRST, "aa" * 32, 100).asked("bb" * 32, 102).answered(answer("aa" * 32), 103)
    assert probe.silence(104.5) == 1.5
    assert probe.answered(answer("aa" * 32), 104).silence(104.5) == 1.5, "an answer shown again says nothing"
    assert probe.answered(answer("bb" * 32), 104).silence(104.5) == 0.5


@pytest.mark.parametrize(("told", "counts"), [(60, 60.0), (15, 15.0), (5, 15.0), (None, 15.0), (0, 15.0), (3600, 60.0)])
def test_silence_counts_from_the_lease_that_the_holder_said_it_has_though_a_bundle_made_leases_shorter(
    told: int | None, counts: float
) -> None:
    """A lease lasts as long as it was begun for; a former version does not say, and nobody has one of an hour."""
    probe = begin_probe(FIRST, "00" * 32, 0).answered(answer("00" * 32, lease_seconds=told), 0)
    for second in range(1, round(counts)):
        probe = probe.asked(f"{second:064x}", second)
    early = declined(view(bundle=EXCLUSIVE, probe=probe, now=counts - 0.5))
    assert f"been silent to this broker for a whole lease of {counts:g} s" in early
    late = signed(view(bundle=EXCLUSIVE, probe=probe, now=counts))
    assert f"commune-a was asked for {counts:g} s" in late.reason


@pytest.mark.parametrize(
    "wrong",
    [answer("cc" * 32), answer("aa" * 32, key=HOLDER), answer("aa" * 32, epoch=4), answer("aa" * 32, service="docs-b")],
)
def test_another_answer_says_nothing(wrong: HolderAnswer) -> None:
    assert begin_probe(FIRST, "aa" * 32, 100).answered(wrong, 101).silence(102) == 2


def test_time_in_which_nobody_asked_is_no_silence() -> None:
    """A broker that was suspended, or cut off and busy, starts over."""
    probe = begin_probe(FIRST, "aa" * 32, 100)
    assert probe.silence(100 + GAP_SECONDS_MAX) == GAP_SECONDS_MAX
    assert probe.silence(100.1 + GAP_SECONDS_MAX) == 0
    late = probe.asked("bb" * 32, 200)
    assert (late.since, late.silence(201)) == (200, 1)
    assert probe.silence(99) == 0
    assert probe.asked("bb" * 32, 50).since == 50, "the clock of another boot"


def test_only_so_many_questions_are_remembered() -> None:
    probe = silent(seconds=200)
    assert len(probe.open) == 64
    assert probe.silence(1000) == 200
