"""The sheet of paper that lets somebody enter the pages: French first, for it is handed to a secretary."""

from __future__ import annotations

import io
from collections.abc import Sequence

import qrcode

from appliance.accounts.model import Account
from appliance.accounts.second import provisioning


def sheet_text(account: Account, node: str, codes: Sequence[str]) -> str:
    """The sheet of `account`: the secret for a phone, as a picture and in letters, and the printed codes."""
    assert account.totp is not None
    listed = "\n".join(f"  [ ]  {code}" for code in codes)
    return f"""{account.title} ({account.name}), {node}

Première connexion : identifiant, mot de passe, et un des codes ci-dessous. Chaque code ne sert qu'une fois : cochez-le.
First sign-in: name, password and one of the codes below. Each opens once: tick it.

{listed}

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
