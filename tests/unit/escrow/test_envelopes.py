"""Envelopes, with the real age."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import IntegrityError, Refused, UsageError
from appliance.escrow import age, envelopes
from appliance.escrow.envelopes import ServiceKey
from appliance.host.command import run
from appliance.secret import Secret

REPOSITORY = "20eeaaa7b3bedd7cbe5b8047713c3817f9702e194394508e63da1417f3a08b04"
KEYFILE = f"BORG_KEY {REPOSITORY}\nhqlhbGdvcml0aG2mc2hhMjU2pGRhdGHaAZ6r/8fuocaC\nc2hhMjU2\n".encode()
KEY = ServiceKey(Secret(b"correct horse battery staple"), Secret(KEYFILE))
OTHER = ServiceKey(Secret(b"another one"), Secret(KEYFILE.replace(b"20ee", b"99ff")))


@pytest.fixture(scope="module")
def standby() -> age.RecoveryKey:
    return age.generate()


@pytest.fixture(scope="module")
def envelope(standby: age.RecoveryKey) -> bytes:
    return envelopes.seal(KEY, standby.public)


def test_what_is_sealed_comes_out_again(envelope: bytes, standby: age.RecoveryKey) -> None:
    opened = envelopes.open_envelope(envelope, standby.secret, repository=REPOSITORY)
    assert opened == KEY
    assert opened.repository == REPOSITORY


def test_age_head_and_tail_open_it_by_hand(envelope: bytes, standby: age.RecoveryKey) -> None:
    argv = ("age", "-d", "-i", "/dev/fd/{IDENTITY}")
    plain = run(argv, timeout_seconds=10, stdin=envelope, secret_fds={"IDENTITY": standby.secret}).stdout
    assert run(("head", "-n", "1"), timeout_seconds=10, stdin=plain).stdout == KEY.passphrase.reveal() + b"\n"
    assert run(("tail", "-n", "+2"), timeout_seconds=10, stdin=plain).stdout == KEYFILE


def test_neither_passphrase_nor_repository_can_be_read_in_it(envelope: bytes) -> None:
    for word in (KEY.passphrase.reveal(), REPOSITORY.encode(), b"BORG_KEY"):
        assert word not in envelope


def test_another_recipients_key_is_refused(envelope: bytes) -> None:
    with pytest.raises(Refused, match="does not open this envelope"):
        envelopes.open_envelope(envelope, age.generate().secret)


def test_another_services_envelope_is_refused(standby: age.RecoveryKey) -> None:
    with pytest.raises(Refused, match=r"is for repository 99ffaaa7b3be\.\.\., not 20eeaaa7b3be"):
        envelopes.open_envelope(envelopes.seal(OTHER, standby.public), standby.secret, repository=REPOSITORY)


@pytest.mark.parametrize("length", [0, 1, 20, 60, 120, 180, -17, -1])
def test_an_envelope_cut_anywhere_is_damaged(envelope: bytes, standby: age.RecoveryKey, length: int) -> None:
    with pytest.raises(IntegrityError, match="damaged or cut short"):
        envelopes.open_envelope(envelope[:length], standby.secret)


def test_one_wrong_bit_is_damage(envelope: bytes, standby: age.RecoveryKey) -> None:
    for place in (10, len(envelope) - 30):
        damaged = bytearray(envelope)
        damaged[place] ^= 1
        with pytest.raises(IntegrityError):
            envelopes.open_envelope(bytes(damaged), standby.secret)


def test_a_huge_file_is_no_envelope(standby: age.RecoveryKey) -> None:
    with pytest.raises(IntegrityError, match="at most 65536 bytes"):
        envelopes.open_envelope(bytes(70_000), standby.secret)


def test_an_envelope_of_something_else_holds_no_key(standby: age.RecoveryKey) -> None:
    with pytest.raises(IntegrityError, match="contains no borg key"):
        envelopes.open_envelope(age.encrypt(b"hello\nworld\n", standby.public), standby.secret)


def test_a_key_with_one_wrong_character_is_no_key(envelope: bytes, standby: age.RecoveryKey) -> None:
    text = standby.secret.reveal()
    wrong = text[:30] + (b"Q" if text[30:31] != b"Q" else b"P") + text[31:]
    with pytest.raises(UsageError, match="not an age private key"):
        envelopes.open_envelope(envelope, Secret(wrong))


@pytest.mark.parametrize(
    ("key", "recipient"),
    [
        pytest.param(ServiceKey(Secret(b"two\nlines"), Secret(KEYFILE)), None, id="a passphrase of two lines"),
        pytest.param(ServiceKey(Secret(b""), Secret(KEYFILE)), None, id="no passphrase"),
        pytest.param(ServiceKey(Secret(b"x"), Secret(b"not a key")), None, id="no keyfile"),
        pytest.param(KEY, "--version", id="an option for a recipient"),
        pytest.param(KEY, "age1xyz", id="half a recipient"),
        pytest.param(KEY, "age1" + "q" * 58, id="a recipient with a wrong checksum"),
    ],
)
def test_what_cannot_be_opened_later_is_never_sealed(
    key: ServiceKey, recipient: str | None, standby: age.RecoveryKey
) -> None:
    with pytest.raises(UsageError):
        envelopes.seal(key, recipient or standby.public)


def test_an_envelope_is_made_once_and_then_reused_byte_for_byte(tmp_path: Path, standby: age.RecoveryKey) -> None:
    first = envelopes.ensure(tmp_path / "envelopes", "recovery", standby.public, KEY)
    status, content = first.stat(), first.read_bytes()
    again = envelopes.ensure(tmp_path / "envelopes", "recovery", standby.public, KEY)
    assert again == first == tmp_path / "envelopes" / "recovery.age"
    assert (again.stat().st_ino, again.read_bytes()) == (status.st_ino, content)


@pytest.mark.parametrize("why", ["another key", "another passphrase", "another recipient", "rot", "lost", "no note"])
def test_an_envelope_is_made_anew_when_it_is_not_the_one_asked_for(
    tmp_path: Path, standby: age.RecoveryKey, why: str
) -> None:
    first = envelopes.ensure(tmp_path, "recovery", standby.public, KEY)
    before = first.read_bytes()
    recipient, key = standby, KEY
    match why:
        case "another key":
            key = OTHER
        case "another passphrase":
            key = ServiceKey(Secret(b"changed"), KEY.keyfile)
        case "another recipient":
            recipient = age.generate()
        case "rot":
            first.write_bytes(before[:-1])
        case "lost":
            first.unlink()
        case "no note":
            (tmp_path / "recovery.note").write_bytes(b"null")
    remade = envelopes.ensure(tmp_path, "recovery", recipient.public, key)
    assert remade.read_bytes() != before
    assert envelopes.open_envelope(remade.read_bytes(), recipient.secret) == key


def test_nothing_secret_lies_beside_the_envelope(tmp_path: Path, standby: age.RecoveryKey) -> None:
    envelopes.ensure(tmp_path, "recovery", standby.public, KEY)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        for word in (KEY.passphrase.reveal(), KEYFILE[80:100]):
            assert word not in path.read_bytes()


@pytest.mark.parametrize("name", ["../evil", "", "Recovery", "a.age", "-r"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, standby: age.RecoveryKey, name: str) -> None:
    with pytest.raises(UsageError):
        envelopes.ensure(tmp_path, name, standby.public, KEY)


def test_a_key_is_written_for_its_owner_only_and_never_over_another(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    envelopes.write_key(folder, KEY)
    envelopes.write_key(folder, KEY)
    assert envelopes.read_key(folder) == KEY
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o700, 0o600}
    with pytest.raises(Refused, match="this folder already contains another key"):
        envelopes.write_key(folder, OTHER)


def test_a_key_is_not_written_where_others_look(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    with pytest.raises(Refused, match="other accounts can read"):
        envelopes.write_key(folder, KEY)


def test_who_has_other_keys_now_is_named_until_an_envelope_is_made_for_them(
    tmp_path: Path, standby: age.RecoveryKey
) -> None:
    new = age.generate()
    envelopes.ensure(tmp_path, "hermitage", standby.public, KEY)
    assert envelopes.unsealed(tmp_path, {"hermitage": standby.public}) == ()
    assert envelopes.unsealed(tmp_path, {"hermitage": new.public, "commune-a": standby.public}) == (
        "hermitage",
        "commune-a",
    )
    envelopes.ensure(tmp_path, "hermitage", new.public, KEY)
    assert envelopes.unsealed(tmp_path, {"hermitage": new.public}) == ()
