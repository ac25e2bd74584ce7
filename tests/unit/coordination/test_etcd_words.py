"""The requests to etcd and how its answers are read: requests, answers and the words that start it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from appliance.coordination import answers, requests
from appliance.coordination.answers import Gone, Rejected
from appliance.coordination.argv import Certificates, Member, etcd_argv, restore_argv
from appliance.coordination.keys import Entry
from appliance.errors import IntegrityError
from tests.unit.coordination.claims import CLAIM, HOLDING

SERVERS = {"a": "https://10.64.0.1:2380", "b": "https://10.64.0.2:2380"}


def plain(value: Any) -> Any:
    """`value` with its keys readable."""
    if isinstance(value, dict):
        return {name: _text(it) if name in ("key", "range_end") else plain(it) for name, it in value.items()}
    return [plain(it) for it in value] if isinstance(value, list) else value


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def compared(body: dict[str, Any]) -> dict[str, str]:
    assert all((it["target"], it["result"]) == ("MOD", "EQUAL") for it in body["compare"])
    return {it["key"]: it["mod_revision"] for it in plain(body)["compare"]}


def changed(body: dict[str, Any]) -> list[str]:
    return [
        f"{verb.removeprefix('request_')} {it['key']}"
        for change in plain(body)["success"]
        for verb, it in change.items()
    ]


def test_a_state_is_read_without_the_history_that_grows_for_ever() -> None:
    """A service that moved some thousand times would have no answer within the bound any more."""
    wanted = plain(requests.record_of("docs-a"))
    keys_of = ("owner", "holder", "intent", "history/00000000000000000041", "history/99999999999999999999")
    inside = [it for it in keys_of if wanted["key"] <= f"svc/docs-a/{it}" < wanted["range_end"]]
    assert inside == ["owner", "holder", "intent"]
    for body in (requests.acquire(CLAIM), requests.prove(HOLDING), requests.release(HOLDING, "off", "")):
        assert plain(body["failure"]) == [{"request_range": wanted}], "so does one that is refused"


def test_a_takeover_is_one_transaction_that_needs_the_owner_seen_and_no_holder() -> None:
    body = requests.acquire(CLAIM)
    assert compared(body) == {"svc/docs-a/owner": "41", "svc/docs-a/holder": "0"}
    assert changed(body) == [
        "put svc/docs-a/holder",
        "put svc/docs-a/owner",
        "put svc/docs-a/history/00000000000000000041",
    ]
    leases = [it["request_put"]["lease"] for it in body["success"]]
    assert leases == [str(CLAIM.lease), "0", "0"], "only the holder goes with the lease"


def test_resuming_puts_the_holder_alone_so_that_the_revision_of_the_owner_stays() -> None:
    body = requests.acquire(replace(CLAIM, resumes=True))
    assert compared(body) == {"svc/docs-a/owner": "41", "svc/docs-a/holder": "0"}
    assert changed(body) == ["put svc/docs-a/holder"]


def test_ousting_needs_exactly_the_holder_it_names() -> None:
    assert compared(requests.acquire(replace(CLAIM, ousts=40)))["svc/docs-a/holder"] == "40"


def test_a_proof_compares_both_keys_and_writes_nothing() -> None:
    body = requests.prove(replace(HOLDING, since=44))
    assert compared(body) == {"svc/docs-a/owner": "42", "svc/docs-a/holder": "44"}
    assert body["success"] == []


def test_a_release_keeps_the_owner_and_removes_the_holder() -> None:
    body = requests.release(HOLDING, "off", "2026-11-26T09:00:00Z")
    assert compared(body) == {"svc/docs-a/owner": "42", "svc/docs-a/holder": "42"}
    assert changed(body) == [
        "put svc/docs-a/owner",
        "put svc/docs-a/history/00000000000000000042",
        "delete_range svc/docs-a/holder",
    ]


def test_what_is_absent_is_zero() -> None:
    """A keepalive of a lease that has ended has no TTL; a key's lease of 0 and a transaction's `false` are left out."""
    kept = answers.parse(b'{"result":{"header":{"revision":"1"},"ID":"12345"}}\n')
    assert answers.number(kept, "TTL") == 0
    done = answers.outcome(
        answers.parse(
            b'{"header":{"revision":"7"},"responses":[{"response_range":{"count":"1",'
            b'"kvs":[{"key":"YQ==","mod_revision":"2"}]}}]}'
        )
    )
    assert (done.held, done.revision, done.entries) == (False, 7, (Entry(b"a", b"", 2, 0),))
    assert answers.outcome(answers.parse(b'{"header":{"revision":"8"},"succeeded":true}')).held


def test_the_events_of_a_watch_are_puts_and_ends() -> None:
    line = answers.parse(
        b'{"result":{"header":{"revision":"5"},"events":[{"kv":{"key":"YQ==","value":"MQ==","mod_revision":"4",'
        b'"lease":"9"}},{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"5"}}]}}'
    )
    assert list(answers.events(line)) == [Entry(b"a", b"1", 4, 9), Gone(b"a", 5)]


@pytest.mark.parametrize(
    ("line", "code", "message", "elsewhere"),
    [
        ('{"error":"etcdserver: no leader","code":14,"message":"etcdserver: no leader"}', 14, "no leader", True),
        ('{"error":{"grpc_code":14,"message":"etcdserver: no leader","http_code":503}}', 14, "no leader", True),
        ('{"code":5, "message":"etcdserver: requested lease not found"}', 5, "lease not found", False),
        ('{"error":"context deadline exceeded","code":4}', 4, "deadline", True),
        ('{"error":"grpc: no"}', 0, "grpc: no", False),
        ('{"error":{"grpc_code":"x"}}', 0, "", False),
        ('{"code":5}', 5, "", False),
    ],
)
def test_errors_come_in_three_shapes(line: str, code: int, message: str, elsewhere: bool) -> None:
    with pytest.raises(Rejected, match="etcd answers") as failure:
        answers.parse(line.encode())
    assert failure.value.code == code
    assert message in failure.value.message
    assert failure.value.is_for_another is elsewhere


@pytest.mark.parametrize("answer", [{"header": 3}, {"responses": [3]}, {"responses": [{"response_range": []}]}])
def test_an_answer_of_another_shape_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="the answer of etcd has no"):
        answers.outcome(answers.parse(json.dumps(answer).encode()))


def test_a_voter_listens_to_its_agent_and_to_the_voters_and_starts_the_same_each_time() -> None:
    files = Certificates(Path("ca.pem"), Path("node.pem"), Path("node.key"), Path("revoked.pem"))
    argv = etcd_argv(Member("a", Path("/srv/etcd"), "https://127.0.0.1:2379", SERVERS, files))
    words = dict(pairwise(argv))
    assert words["--listen-client-urls"] == words["--advertise-client-urls"] == "https://127.0.0.1:2379"
    assert words["--listen-peer-urls"] == SERVERS["a"]
    assert words["--initial-cluster"] == "a=https://10.64.0.1:2380,b=https://10.64.0.2:2380"
    assert (words["--heartbeat-interval"], words["--election-timeout"]) == ("250", "1250")
    assert {"--client-cert-auth", "--peer-client-cert-auth"} < set(argv)
    assert words["--client-crl-file"] == words["--peer-crl-file"] == "revoked.pem"
    assert "--unsafe-no-fsync" not in argv


def test_a_restore_goes_on_far_above_every_revision_that_was_quoted() -> None:
    argv = restore_argv(Member("a", Path("/srv/etcd"), "https://127.0.0.1:2379", SERVERS), Path("snapshot"))
    words = dict(pairwise(argv))
    assert words["restore"] == "snapshot"
    assert words["--bump-revision"] == "1000000000"
    assert argv[-1] == "--mark-compacted"
    assert words["--initial-cluster"] == "a=https://10.64.0.1:2380,b=https://10.64.0.2:2380"
