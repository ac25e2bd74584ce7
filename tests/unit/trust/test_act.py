"""Signed acts of people: any SSH key, checked by ssh-keygen, in force for a while, about one thing."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.clock import utc_seconds
from appliance.errors import ApplianceError, IntegrityError, Refused, UsageError
from appliance.trust import act as acts
from appliance.trust.act import ACTS, Act, Operator, make_act, read_act
from appliance.trust.keys import create_key
from appliance.trust.signed import body

FIELDS = {
    "act": "lost",
    "subject": "commune-a",
    "service": "any",
    "operator": "keeper",
    "reason": "inondation du 24 décembre",
    "start": "2026-12-24T08:00:00Z",
    "end": "2027-01-24T08:00:00Z",
}
START, END = utc_seconds(FIELDS["start"]), utc_seconds(FIELDS["end"])


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "operator_ed25519"
    create_key(path)
    return path


@pytest.fixture(scope="module")
def operator(key: Path) -> Operator:
    public = key.with_name(key.name + ".pub").read_text().strip()
    return Operator(
        "keeper",
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl", public),
        ("lost", "hold"),
    )


@pytest.fixture(scope="module")
def act(key: Path, operator: Operator) -> Act:
    return read_act(make_act(FIELDS, key), [operator])


def signed_by_hand(key: Path, line: bytes, namespace: str) -> bytes:
    argv = ("ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace)
    return line + subprocess.run(argv, input=line, capture_output=True, check=True).stdout


def test_an_act_is_read_back_as_it_was_signed(act: Act) -> None:
    assert (act.act, act.subject, act.service, act.operator) == ("lost", "commune-a", "any", "keeper")
    assert (act.reason, act.start, act.end) == (FIELDS["reason"], START, END)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_any_ssh_key_signs(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    subprocess.run(("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)), check=True, timeout=60)
    public = " ".join(path.with_suffix(".pub").read_text().split()[:2])
    assert read_act(make_act(FIELDS, path), [Operator("keeper", (public,), ("lost",))]).subject == "commune-a"


@pytest.mark.parametrize(
    ("at", "in_force"), [(START - 1, False), (START, True), (END - 1, True), (END, False), (0, False)]
)
def test_an_act_is_in_force_from_its_start_until_its_end(act: Act, at: float, in_force: bool) -> None:
    assert act.in_force(at) is in_force
    assert act.concerns("lost", "commune-a", "docs-a", at) is in_force


@pytest.mark.parametrize(
    ("kind", "subject", "concerned"),
    [("lost", "commune-a", True), ("hold", "commune-a", False), ("lost", "commune-b", False)],
)
def test_an_act_says_one_thing_of_one_subject(act: Act, kind: str, subject: str, concerned: bool) -> None:
    assert act.concerns(kind, subject, "docs-a", START) is concerned


def test_an_act_for_one_service_is_none_for_another(key: Path, operator: Operator) -> None:
    narrow = read_act(make_act({**FIELDS, "service": "docs-a"}, key), [operator])
    assert narrow.concerns("lost", "commune-a", "docs-a", START)
    assert not narrow.concerns("lost", "commune-a", "docs-b", START)


def test_a_promotion_may_name_a_generation_and_no_other_act_has_one_by_accident(key: Path, operator: Operator) -> None:
    name, able = "00002.0000000007.0123456789abcdef", replace(operator, may=("promote", "lost"))
    promote = {**FIELDS, "act": "promote", "service": "docs-a"}
    assert read_act(make_act(promote, key), [able]).generation == ""
    assert read_act(make_act({**promote, "generation": name}, key), [able]).generation == name
    assert read_act(make_act({**FIELDS, "generation": name}, key), [able]).generation == ""
    with pytest.raises(UsageError, match="no node would accept this act"):
        make_act({**promote, "generation": "2.7"}, key)


def test_a_promotion_that_names_a_generation_is_for_one_service(key: Path, operator: Operator) -> None:
    fields = {**FIELDS, "act": "promote", "generation": "00002.0000000007.0123456789abcdef"}
    for attempt in (
        lambda: make_act(fields, key),
        lambda: read_act(
            signed_by_hand(key, body(acts.TYPE, fields), acts.TYPE), [replace(operator, may=("promote",))]
        ),
    ):
        with pytest.raises(Refused, match="cannot name a generation") as caught:
            attempt()
        assert "--service SERVICE" in caught.value.remedy


@pytest.mark.parametrize("kind", ["", "delete", "LOST", None])
def test_only_known_acts_are_signed(key: Path, kind: str) -> None:
    with pytest.raises(UsageError, match="is not an act; known: " + ", ".join(ACTS)):
        make_act({**FIELDS, "act": kind}, key)


def test_who_may_not_sign_an_act_is_refused_by_name(key: Path, operator: Operator) -> None:
    raw = make_act({**FIELDS, "act": "promote"}, key)
    with pytest.raises(Refused, match='"keeper" may not sign "promote" in this territory'):
        read_act(raw, [operator])
    with pytest.raises(Refused, match='"keeper" may not sign "lost"'):
        read_act(make_act(FIELDS, key), [])


def test_an_act_in_somebody_elses_name_is_refused(key: Path, operator: Operator) -> None:
    other = Operator(
        "mayor", ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",), ("lost",)
    )
    raw = make_act({**FIELDS, "operator": "mayor"}, key)
    with pytest.raises(IntegrityError, match="the act is not signed by a key of mayor"):
        read_act(raw, [operator, other])


def test_an_act_signed_for_something_else_is_refused(key: Path, operator: Operator) -> None:
    """A signature that the same key gave, say, for a commit does not become an act."""
    line = body(acts.TYPE, FIELDS)
    with pytest.raises(IntegrityError, match="the act is not signed by a key of keeper"):
        read_act(signed_by_hand(key, line, "git"), [operator])


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": "Commune A"},
        {"subject": ""},
        {"service": "*"},
        {"reason": ""},
        {"start": "tomorrow"},
        {"end": "2027-01-24"},
        {"end": "2027-01-24T08:00:00+01:00"},
        {"start": ""},
    ],
)
def test_a_field_of_another_form_is_refused(key: Path, operator: Operator, changed: dict[str, str]) -> None:
    """The node that should accept it refuses it, and we do not even sign it."""
    told = f'field "{next(iter(changed))}" is'
    with pytest.raises(IntegrityError, match=told):
        read_act(signed_by_hand(key, body(acts.TYPE, {**FIELDS, **changed}), acts.TYPE), [operator])
    with pytest.raises(UsageError, match=f"no node would accept this act.*{told}"):
        make_act({**FIELDS, **changed}, key)


@pytest.mark.long
def test_the_longest_act_that_is_signed_is_accepted_with_a_long_signature(tmp_path: Path) -> None:
    path = tmp_path / "rsa"
    subprocess.run(("ssh-keygen", "-q", "-t", "rsa", "-b", "4096", "-N", "", "-f", str(path)), check=True, timeout=60)
    public = " ".join(path.with_suffix(".pub").read_text().split()[:2])
    room = acts.LINE_BYTES_MAX - len(body(acts.TYPE, {**FIELDS, "reason": ""}))
    raw = make_act({**FIELDS, "reason": "x" * room}, path)
    assert read_act(raw, [Operator("keeper", (public,), ("lost",))]).reason == "x" * room
    with pytest.raises(UsageError, match="Shorten the reason"):
        make_act({**FIELDS, "reason": "x" * (room + 1)}, path)


@pytest.mark.parametrize("harm", ["cut", "changed", "no signature", "nothing", "long"])
def test_what_is_no_act_is_refused_with_a_sentence(key: Path, operator: Operator, harm: str) -> None:
    raw = make_act(FIELDS, key)
    bad = {
        "cut": raw[:-40],
        "changed": raw.replace(b"commune-a", b"commune-b"),
        "no signature": raw[: raw.index(b"\n") + 1],
        "nothing": b"",
        "long": raw + b"x" * 20_000,
    }[harm]
    with pytest.raises(ApplianceError):
        read_act(bad, [operator])
