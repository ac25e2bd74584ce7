"""The ceremony that makes the recovery key.

Invariant: its private half leaves this process only through `show`, and its public half is returned, to be sealed to
from then on, only after the paper has proved that it opens an envelope. So the order is: show, have it typed back, open
an envelope with what was *typed*, return the public half. A cut before that leaves a paper that opens nothing, and no
envelope that needs it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from appliance.errors import Refused, UsageError
from appliance.escrow import age, paper_key
from appliance.escrow.age import RecoveryKey
from appliance.escrow.envelopes import ServiceKey, open_envelope, seal
from appliance.secret import Secret

TRIES = 3

Show = Callable[[RecoveryKey], None]
Ask = Callable[[str], Secret]
Seal = Callable[[str], bytes]


def ceremony(show: Show, ask: Ask, seal_test: Seal | None = None) -> str:
    """Make a recovery key, put it on paper, prove the paper; return the public half (age1...).

    `show` prints the key. `ask` gets what went wrong so far ("" at first) and returns what was typed. `seal_test` makes
    the envelope to open, given the public half: a real service's where its key is at hand, else one of our own.
    Raise Refused when the key was not typed back in three tries.
    """
    key = age.generate()
    show(key)
    typed = _typed_back(key, ask)
    open_envelope((seal_test or _seal_canary)(key.public), typed)
    return key.public


def _typed_back(key: RecoveryKey, ask: Ask) -> Secret:
    wrong = ""
    for _ in range(TRIES):
        try:
            return paper_key.read_against(ask(wrong), key.secret)
        except UsageError as error:
            wrong = str(error)
    raise Refused(
        f"{wrong} Cette clé est oubliée, détruisez la feuille. / This key is forgotten, destroy the sheet.",
        remedy="Run `escrow create-key` again.",
    )


def _seal_canary(public: str) -> bytes:
    passphrase = Secret(secrets.token_hex(16).encode())
    return seal(ServiceKey(passphrase, Secret(b"BORG_KEY canary\n")), public)
