"""The message where a bundle changes the voters: what it confirms, and which nodes to ask when that is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli.territory.confirm import confirmed_after, confirming_text
from appliance.clock import utc_text
from appliance.config.confirming import Confirming
from appliance.errors import Refused
from appliance.trust.former_voters import FormerVoters
from appliance.trust.voted import is_voted
from appliance.units import DAY
from tests.unit.config.shown_grants import BY_VOTERS, NOW, STATEMENT, shown
from tests.worlds.documents import HOME, LOCAL, STANDBY

FOLDER = Path("inventory/valley")


def after(term: int, *, unconfirmed: bool = False, said: dict[str, object] | None = None) -> Confirming:
    return confirmed_after(LOCAL, term, said or {}, now=NOW, unconfirmed=unconfirmed, folder=FOLDER)  # type: ignore[arg-type]


def test_other_voters_are_refused_while_the_newest_grant_of_a_service_was_not_shown() -> None:
    with pytest.raises(Refused, match=r"are not known: docs-a \(commune-a, hermitage, commune-b\)") as refused:
        after(1)
    assert "`appliance node collect commune-a commune-b hermitage --territory inventory/valley`" in refused.value.remedy
    assert "--keys inventory/valley/keys" in refused.value.remedy
    assert "--unconfirmed" in refused.value.remedy


def test_what_was_collected_months_ago_is_refused_with_its_day_and_the_line_that_asks_again() -> None:
    with pytest.raises(Refused, match=r"is not used: commune-a on an unknown day, hermitage on 2026-06-23") as no:
        after(1, said={**shown(STANDBY, BY_VOTERS, brought=NOW - 90 * DAY), **shown(HOME, brought=None)})
    assert "`appliance node collect commune-a commune-b hermitage --territory inventory/valley`" in no.value.remedy


def test_what_was_collected_before_the_present_voters_came_is_refused_with_that_reason() -> None:
    since = replace(LOCAL, term=1, former_voters=FormerVoters(LOCAL.voting, utc_text(NOW)))
    said = shown(STANDBY, BY_VOTERS, brought=NOW - 60)
    with pytest.raises(Refused, match=r"before the present voters came, .* is not used: hermitage on "):
        confirmed_after(since, 2, said, now=NOW + 60, unconfirmed=False, folder=FOLDER)
    said = shown(STANDBY, BY_VOTERS, brought=NOW + 30)
    found = confirmed_after(since, 2, said, now=NOW + 60, unconfirmed=False, folder=FOLDER)
    assert found.digests == {STATEMENT}, "the voters of before signed it"


def test_a_node_that_is_gone_is_passed_over_by_its_word_and_the_way_out_is_named() -> None:
    [line] = confirming_text(after(1, unconfirmed=True))
    assert "of these services are not known: docs-a" in line
    assert "`appliance backup resync SERVICE --request FILE`" in line


def test_what_was_confirmed_is_said_with_its_epoch_and_writer() -> None:
    assert is_voted(BY_VOTERS)
    found = after(1, said={**shown(STANDBY, BY_VOTERS)})
    assert found.digests == {STATEMENT}
    assert list(confirming_text(found)) == [
        "Grants of the previous voters stay valid: docs-a up to epoch 3 (hermitage)."
    ]


def test_the_same_voters_confirm_nothing_and_ask_for_nothing() -> None:
    assert after(LOCAL.term) == Confirming(frozenset(), {}, {}, ())
    assert list(confirming_text(after(LOCAL.term, said={**shown(HOME)}))) == []
