"""The forms in which a password is kept, and which passwords are taken."""

from __future__ import annotations

import pytest

from appliance.accounts.md4 import md4
from appliance.accounts.passwords import NT_HASH, SLOW_HASH, check_password, is_password, nt_hash, slow_hash
from appliance.errors import UsageError
from appliance.secret import Secret


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
        (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"),
    ],
    ids=["nothing", "one", "letters", "two blocks", "no room for its length"],
)
def test_md4_is_that_of_rfc_1320(data: bytes, digest: str) -> None:
    assert md4(data).hex() == digest


def test_the_nt_hash_is_the_one_that_everybody_knows() -> None:
    assert nt_hash(Secret(b"password")).reveal() == b"8846F7EAEE8FB117AD06BDD830B7586C"


def test_an_accent_is_the_same_password_in_one_key_or_two() -> None:
    assert nt_hash(Secret("élan vital à midi".encode())) == nt_hash(Secret("élan vital à midi".encode()))


def test_the_slow_hash_proves_its_password_and_no_other() -> None:
    password = Secret("un chêne près du lavoir".encode())
    kept = slow_hash(password)
    assert is_password(password, kept)
    assert not is_password(Secret(b"un chene pres du lavoir"), kept)
    assert slow_hash(password) != kept, "each has a salt of its own"
    assert SLOW_HASH.fullmatch(kept.reveal().decode())
    assert NT_HASH.fullmatch(nt_hash(password).reveal().decode())


@pytest.mark.parametrize(
    ("password", "say"),
    [
        ("court", "a password must have 12 to 127 characters; this one has 5"),
        ("x" * 128, "this one has 128"),
        ("un mot\tet un autre", "printable characters"),
        ("bonjour Marie 2026", "this password contains the name of the account"),
        ("aaaaaaaaaaaaab", "only 2 different characters"),
    ],
)
def test_a_password_that_will_not_do_is_refused_with_the_reason(password: str, say: str) -> None:
    with pytest.raises(UsageError, match=say):
        check_password(Secret(password.encode()), "marie")


def test_a_password_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        check_password(Secret(b"\xff\xfe" * 8), "marie")
