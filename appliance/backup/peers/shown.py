"""The documents and names of a service that a peer shows, checked at the one place where they enter a node that asks.

A signature alone does not make a document one of this service: a peer may show a true grant, header or receipt of
another one. An answer with such a document is no answer, and the peer that gave it counts as silent: an honest vault
never took one. Documents that a vault is offered enter by `vault/offer.py`, with the same `Granters.read_all`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.backup.still.words import Signed, read_signed, read_word
from appliance.backup.vault.call import is_texts
from appliance.errors import IntegrityError
from appliance.trust.bundle import Member
from appliance.trust.generation import GENERATION_NAME, Header, epoch_of, read_header
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from appliance.trust.receipt import Receipt, read_receipt

NUMBER = re.compile(r"[0-9]{1,5}\.[0-9]{1,10}")


@dataclass(frozen=True)
class Shown:
    """The grants of `service` that `peer` showed, by epoch; what else it shows is checked by them."""

    peer: Member
    service: str
    grants: dict[int, Grant]

    def header(self, raw: str) -> Header:
        """The header in `raw`, signed by the writer of its epoch."""
        epoch = epoch_of(raw.encode())
        if epoch not in self.grants:
            raise IntegrityError(
                f"{self.peer.name} offers a header of epoch {epoch} of {self.service} without its grant."
            )
        header = read_header(raw.encode(), self.grants[epoch].writer_key)
        self._check_service(header.service)
        return header

    def headers(self, raws: Sequence[str]) -> list[Header]:
        return [self.header(raw) for raw in raws]

    def receipt(self, raw: str) -> Receipt:
        """The peer's own receipt in `raw`."""
        receipt = read_receipt(raw.encode(), self.peer.keys.sign)
        self._check_service(receipt.service)
        if receipt.holder != self.peer.name:
            raise IntegrityError(f"{self.peer.name} shows a receipt of {receipt.holder}.")
        return receipt

    def still(self, values: object) -> Signed | None:
        """The peer's last word that nothing changed. A vault keeps it through rotations of keys, so that one which does
        not hold is no word, and no reason to believe nothing else."""
        signed = read_signed(values)
        keys = {epoch: grant.writer_key for epoch, grant in self.grants.items()}
        return signed if signed and read_word(self.peer, self.service, signed, keys.get) else None

    def _check_service(self, service: str) -> None:
        if service != self.service:
            raise IntegrityError(f"{self.peer.name} answered for another service than {self.service}.")


def read_shown(granters: Granters, peer: Member, service: str, grants: object) -> Shown:
    """Return the `grants` of `service` that `peer` showed; raise IntegrityError or Refused for anything else."""
    if not is_texts(grants):
        raise IntegrityError(f"{peer.name} did not answer with grants.")
    return Shown(peer, service, granters.read_all(service, (raw.encode() for raw in grants)))


def read_names(peer: str, said: object) -> tuple[str, ...]:
    """The names of generations that `peer` showed, oldest first; raise IntegrityError for anything else.

    A name is split at its dots later; an invalid one would stop a takeover or a restore that honest peers can serve.
    """
    return tuple(sorted(_texts(peer, said, GENERATION_NAME)))


def read_numbers(peer: str, said: object) -> tuple[str, ...]:
    """The numbers of generations that `peer` showed, such as 2.7; raise IntegrityError for anything else."""
    return tuple(_texts(peer, said, NUMBER))


def _texts(peer: str, said: object, form: re.Pattern[str]) -> list[str]:
    if not is_texts(said) or not all(map(form.fullmatch, said)):
        raise IntegrityError(f"{peer} did not answer with names of generations.")
    return said
