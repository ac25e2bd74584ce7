"""The proposals of a reason, as data: our own commands alone, each with where it is typed and why."""

from __future__ import annotations

from appliance.monitor.next_steps import next_steps
from appliance.monitor.states import Reason, failed
from appliance.monitor.view import Attempt


def test_each_command_of_a_remedy_is_an_argv_with_its_place_and_its_question() -> None:
    remedy = (
        "Type `appliance backup begin docs-a --out docs-a.request`. The holder of the territory key types "
        "`appliance territory grant docs-a.request --bundle BUNDLE --key KEY --out docs-a.grant`."
    )
    begin, grant = next_steps(Reason("failed", "it has not begun.", remedy, "grant"))
    assert begin["argv"] == ["appliance", "backup", "begin", "docs-a", "--out", "docs-a.request"]
    assert (begin["where"], grant["where"]) == ("this node", "key holder")
    assert begin["why"] == "may this node write it"


def test_the_remedy_of_work_that_failed_at_a_peer_is_no_data() -> None:
    """A hostile peer may answer with a sentence and a remedy of its own."""
    attempt = Attempt(1.0, 0, failures=1, error="No.", remedy="`appliance node revoke a`")
    assert next_steps(failed(attempt, "bringing it", "copies")) == ()


def test_a_remedy_without_a_command_or_with_a_torn_one_proposes_nothing() -> None:
    for remedy in ("", "Set the clock: `timedatectl`.", "`appliance backup run 'docs`"):
        assert next_steps(Reason("warning", "it is so.", remedy, "grant")) == ()
