from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass

import pytest

from appliance.secret import Secret

HIDDEN = "correct horse"


@dataclass(frozen=True)
class Holder:
    passphrase: Secret


SHOWN = {
    "str": str,
    "repr": repr,
    "f-string": lambda secret: f"{secret} {secret!r} {secret:>30}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the old form is what is tested
    "in a list": lambda secret: str([secret]),
    "in a dataclass": lambda secret: repr(Holder(secret)),
    "json": lambda secret: json.dumps({"key": secret}, default=str),
    "vars": lambda secret: str(getattr(secret, "__dict__", "")),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_a_secret_never_prints(show) -> None:  # type: ignore[no-untyped-def]
    assert HIDDEN not in show(Secret(HIDDEN.encode()))


def test_a_secret_stays_out_of_logs_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(HIDDEN.encode())
    logging.getLogger().warning("opened with %s", secret)
    try:
        raise ValueError(secret)
    except ValueError as error:
        told = "".join(traceback.format_exception(error))
    assert HIDDEN not in caplog.text + told


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, lambda secret: asdict(Holder(secret))])
def test_a_secret_is_never_copied_out(leak) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match="never pickled"):
        leak(Secret(b"x"))


def test_secrets_compare_by_what_they_hold_and_to_nothing_else() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert len({Secret(b"a"), Secret(b"a"), Secret(b"b")}) == 2
    assert Secret(b"a") != b"a"


def test_reveal_is_the_way_in() -> None:
    assert Secret(b"a").reveal() == b"a"
