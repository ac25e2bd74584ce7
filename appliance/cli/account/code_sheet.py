"""The sheet of paper that lets somebody enter the pages: French first, for it is handed to a secretary."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import qrcode

from appliance.accounts.model import Account
from appliance.accounts.second_factor import CODE, CODES, provisioning
from appliance.errors import UsageError
from appliance.secret import Secret

BYTES_MAX = 4096
_FROM_ELSEWHERE = "ssh NODE appliance --json account code-sheet {name} | appliance account code-sheet {name} --same"


@dataclass(frozen=True)
class Sheet:
    """The codes by which a sheet lets somebody in. `nodes`: the nodes where it does, for people."""

    nodes: str
    totp: Secret
    codes: tuple[str, ...]


def read_sheet(name: str) -> Sheet:
    """The sheet of `name` that another node printed with --json, from standard input: an argument others could read.

    Raise UsageError for anything else, and for a sheet of somebody else's.
    """
    remedy = f"From the control machine or here: {_FROM_ELSEWHERE.format(name=name)}"
    if sys.stdin.isatty():
        raise UsageError("the sheet of another node is expected on standard input.", remedy=remedy)
    try:
        told = json.loads(sys.stdin.buffer.read(BYTES_MAX))
        sheet = Sheet(told["node"], Secret(told["totp"].encode()), tuple(told["codes"]))
        whole = sheet.nodes.isprintable() and 0 < len(sheet.codes) <= CODES and all(map(CODE.fullmatch, sheet.codes))
        if not whole:
            raise ValueError("no sheet")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("this is not a sheet that a node printed with --json.", remedy=remedy) from error
    if told.get("account") != name:
        raise UsageError(f"this sheet is not one of {name}: a person needs the same name at both nodes.", remedy=remedy)
    return sheet


def sheet_text(account: Account, node: str, codes: Sequence[str]) -> str:
    """The sheet of `account`: the secret for a phone, as a picture and in letters, and the printed codes."""
    assert account.totp is not None
    listed = "\n".join(f"  [ ]  {code}" for code in codes)
    return f"""{account.title} ({account.name}), {node}

Première connexion : identifiant, mot de passe, et un des codes ci-dessous. Chaque code ne sert qu'une fois : cochez-le.
First sign-in: name, password and one of the codes below. Each opens once: tick it.

{listed}

Aux pages de secours, chez une commune voisine, un code déjà coché ouvre encore une fois : elles n'en savent rien.
At the standby's pages, at a neighbour's, a code that is ticked opens once more: they know nothing of it.

Avec un téléphone (FreeOTP, Aegis...) : lisez cette image, ou tapez {account.totp.reveal().decode()}
With a phone: read this picture, or type those letters.

{_picture(provisioning(account.totp, account.name, node))}
Gardez cette feuille sous clé. / Keep this sheet locked away."""


def _picture(text: str) -> str:
    code = qrcode.QRCode(border=2)
    code.add_data(text)
    drawn = io.StringIO()
    code.print_ascii(out=drawn, invert=True)
    return drawn.getvalue()
