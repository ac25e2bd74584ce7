"""Documents that are shown: those that check out are kept, the newest of each service, from any node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import Refused
from appliance.failover.documents import ACTS_AT_ONCE_MAX, KEPT_MAX, SignedDocuments, newest, service_of
from appliance.host.command import CommandTimeout
from appliance.trust.act import Act, Operator, make_act
from appliance.trust.grant import Grant
from appliance.trust.keys import create_key, public_line
from tests.worlds.documents import FIRST, HOME, LOCAL, STANDBY, act, by_voters, release
from tests.worlds.voters import KEYS, asked, granted, voting

SECOND = by_voters(STANDBY, 2)


@pytest.fixture
def documents() -> SignedDocuments:
    return SignedDocuments(lambda service: LOCAL.granters, lambda: LOCAL.operators)


def test_the_newest_grant_counts_in_whatever_order_they_come(documents: SignedDocuments) -> None:
    documents.take([SECOND.document.raw, FIRST.document.raw])
    assert newest(documents.grants, "docs-a") == SECOND.epoch
    assert documents.grants["docs-a"].writer == STANDBY


def test_a_grant_that_too_few_signed_is_left_aside(documents: SignedDocuments) -> None:
    documents.take([FIRST.document.raw, granted(asked(2, STANDBY), voting(), ("commune-a", "commune-b"))])
    assert newest(documents.grants, "docs-a") == FIRST.epoch


def test_a_release_counts_for_the_newest_grant_alone_and_comes_before_it_or_after(documents: SignedDocuments) -> None:
    documents.take([release(FIRST).document.raw, FIRST.document.raw])
    assert documents.release_of("docs-a") is not None
    documents.take([SECOND.document.raw])
    assert documents.release_of("docs-a") is None


def test_a_release_that_comes_in_an_earlier_call_than_its_grant_counts_when_it_is_shown_again(
    documents: SignedDocuments,
) -> None:
    """A broker that was just started is shown the release of a hand-over first."""
    documents.take([release(FIRST).document.raw])
    documents.take([FIRST.document.raw, release(FIRST).document.raw])
    assert documents.release_of("docs-a") is not None
    documents.take([release(SECOND, key=STANDBY).document.raw])
    documents.take([SECOND.document.raw, release(SECOND, key=STANDBY).document.raw])
    assert documents.release_of("docs-a") is not None


def test_what_the_last_release_named_is_known_under_the_next_grant_and_binds_more_than_one_that_names_nothing(
    documents: SignedDocuments,
) -> None:
    last = f"00002.0000000007.{'a' * 16}"
    documents.take([FIRST.document.raw, release(FIRST, generation=last).document.raw, release(FIRST).document.raw])
    assert documents.last_of("docs-a") == last
    documents.take([SECOND.document.raw])
    assert documents.last_of("docs-a") == last, "its writer may have ended before it opened anything"
    assert documents.last_of("docs-b") == ""


def test_a_release_by_another_than_the_writer_is_none(documents: SignedDocuments) -> None:
    documents.take([FIRST.document.raw, release(FIRST, key=STANDBY).document.raw])
    assert documents.release_of("docs-a") is None
    assert documents.grants["docs-a"].writer == HOME


@pytest.mark.parametrize("raw", [b"", b"nonsense", FIRST.document.raw[:60], b"x" * 99_999, b'{"type": "appliance/act"'])
def test_what_is_no_paper_changes_nothing(documents: SignedDocuments, raw: bytes) -> None:
    documents.take([raw, FIRST.document.raw])
    assert newest(documents.grants, "docs-a") == FIRST.epoch


def test_who_shows_thousands_of_them_fills_no_memory(documents: SignedDocuments) -> None:
    documents.take([FIRST.document.raw])
    documents.take(b"%d" % number for number in range(3 * KEPT_MAX))
    assert len(documents._seen) <= KEPT_MAX


def test_who_shows_grants_of_thousands_of_services_that_nobody_believes_fills_no_memory() -> None:
    class Nobody:
        def read(self, raw: bytes) -> Grant:
            raise Refused("granted by other voters.")

    documents = SignedDocuments(lambda service: Nobody(), lambda: LOCAL.operators)  # type: ignore[arg-type,return-value]
    documents.take(FIRST.document.raw.replace(b'"docs-a"', f'"docs-{it}"'.encode()) for it in range(KEPT_MAX + 9))
    assert len(documents.unbelieved) == KEPT_MAX


def test_so_many_acts_are_checked_at_once_and_the_others_with_the_next_call(
    documents: SignedDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bytes] = []

    def check(raw: bytes, operators: object) -> Act:
        checked.append(raw)
        return act("promote", raw.decode()[-1])

    monkeypatch.setattr("appliance.failover.documents.read_act", check)
    raws = [b'{"type": "appliance/act"} %d' % number for number in range(6)]
    documents.take(raws)
    assert checked == raws[:ACTS_AT_ONCE_MAX]
    documents.take(raws)
    assert checked == raws


def signed_act(key: Path) -> bytes:
    create_key(key)
    fields = {"act": "quarantine", "subject": HOME, "service": "any", "operator": "maintenance", "reason": "test"}
    return make_act({**fields, "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}, key)


def test_an_act_counts_for_as_long_as_its_signer_is_an_operator_with_that_key(tmp_path: Path) -> None:
    raw = signed_act(tmp_path / "key")
    signer = Operator("maintenance", ((tmp_path / "key.pub").read_text().strip(),), ("quarantine",))
    now = [signer]
    documents = SignedDocuments(lambda service: LOCAL.granters, lambda: tuple(now))
    for others in ([], [replace(signer, may=("lost",))], [replace(signer, keys=(public_line(KEYS[HOME]),))]):
        documents.take([raw])
        assert [it.subject for it in documents.acts()] == [HOME]
        now[:] = others
        assert documents.acts() == ()
        now[:] = [signer]
        assert documents.acts() == (), "it is shown again, as each node does under another bundle"


def test_an_act_whose_new_check_failed_by_itself_counts_again_once_one_goes_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = signed_act(tmp_path / "key")
    signer = Operator("maintenance", ((tmp_path / "key.pub").read_text().strip(),), ("quarantine",))
    now = [signer]
    documents = SignedDocuments(lambda service: LOCAL.granters, lambda: tuple(now))
    documents.take([raw])
    now.append(replace(signer, name="another"))

    def fail(*_: object) -> Act:
        raise CommandTimeout("ssh-keygen took more than 30 s.")

    with monkeypatch.context() as cut:
        cut.setattr("appliance.failover.documents.read_act", fail)
        assert documents.acts() == ()
    assert len(documents.acts()) == 1, "nobody shows it again"


def test_an_act_that_is_not_signed_as_it_says_is_told_and_what_costs_no_process_is_not(tmp_path: Path) -> None:
    raw = signed_act(tmp_path / "key")
    signer = Operator("maintenance", ((tmp_path / "key.pub").read_text().strip(),), ("quarantine",))
    documents = SignedDocuments(lambda service: LOCAL.granters, lambda: (signer,))
    forged = raw.replace(b'"any"', b'"docs-a"')
    assert documents.take([FIRST.document.raw, forged]) is True
    assert newest(documents.grants, "docs-a") == FIRST.epoch, "the honest part counts"
    assert documents.take([raw.replace(b'"maintenance"', b'"outsider"'), b"nonsense", raw]) is False


def test_an_act_is_not_checked_again_while_the_operators_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = signed_act(tmp_path / "key")
    signer = Operator("maintenance", ((tmp_path / "key.pub").read_text().strip(),), ("quarantine",))
    documents = SignedDocuments(lambda service: LOCAL.granters, lambda: (replace(signer),))
    documents.take([raw])
    monkeypatch.setattr("appliance.failover.documents.read_act", lambda *given: pytest.fail("it is checked again"))
    assert len(documents.acts()) == 1


def test_it_is_told_of_which_service_a_paper_is() -> None:
    assert service_of(FIRST.document.raw) == service_of(SECOND.document.raw) == "docs-a"
