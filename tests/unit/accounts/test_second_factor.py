"""The second factor: the vectors of RFC 6238, codes that open once, and what is typed in other ways than printed."""

from __future__ import annotations

import pytest

from appliance.accounts.second_factor import (
    CODE_HASH,
    CODES,
    TOTP,
    code_hash,
    new_codes,
    new_totp,
    printed_code,
    provisioning,
    totp_step,
)
from appliance.secret import Secret

OF_THE_RFC = Secret(b"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


@pytest.mark.parametrize(
    ("now", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_rfc_6238(now: int, code: str) -> None:
    assert totp_step(OF_THE_RFC, code, now) == now // 30
    assert totp_step(OF_THE_RFC, f"{code[:3]} {code[3:]}", now) == now // 30


def test_a_clock_may_be_one_step_off_and_no_more() -> None:
    assert totp_step(OF_THE_RFC, "287082", 59 + 30) == 1
    assert totp_step(OF_THE_RFC, "287082", 59 - 30) == 1
    assert totp_step(OF_THE_RFC, "287082", 59 + 60) is None


@pytest.mark.parametrize("typed", ["", "28708", "2870822", "abcdef", "\u0662\u0668\u0667\u0660\u0668\u0662", "\0" * 6])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert totp_step(OF_THE_RFC, typed, 59) is None


def test_a_printed_code_is_known_however_it_is_typed() -> None:
    codes = new_codes()
    kept = tuple(map(code_hash, codes))
    assert len(set(kept)) == CODES
    assert all(CODE_HASH.fullmatch(it) for it in kept)
    assert printed_code(kept, codes[3]) == kept[3]
    assert printed_code(kept, f" {codes[3].lower().replace('-', ' ')} ") == kept[3]
    assert printed_code(kept, "") is None
    assert printed_code(kept, codes[3][:-1]) is None


def test_a_phone_gets_what_it_understands() -> None:
    totp = new_totp()
    assert TOTP.fullmatch(totp.reveal().decode())
    assert provisioning(OF_THE_RFC, "marie", "commune-a") == (
        f"otpauth://totp/commune-a:marie?secret={OF_THE_RFC.reveal().decode()}&issuer=commune-a"
    )
