"""« Annuler »: a page asks for it with a mark beside the order, and who has the powers does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError, Busy
from appliance.host.files import write_atomic
from appliance.restore.carry import Ground, undo_order
from appliance.restore.order import Order, Status, load_order, load_status, order_folder

ASKED, FAILED = b"asked", b"failed"


@dataclass(frozen=True)
class Undoing:
    """What became of undoing the order `name`."""

    orders: Path
    name: str

    @property
    def _mark(self) -> Path:
        return order_folder(self.orders, self.name).root / "undo"

    def ask(self) -> None:
        write_atomic(self._mark, ASKED, mode=0o600)

    @property
    def state(self) -> str:
        """ "asked", "failed", or "" when nobody asked or it is done."""
        try:
            return self._mark.read_bytes().decode()
        except FileNotFoundError:
            return ""

    def carry_out(self, ground: Ground, *, age_seconds: int) -> tuple[Order, Status]:
        """Undo it, and return how it stands then; where that fails, which the page says, as it stood. Raise Busy."""
        folder = order_folder(self.orders, self.name)
        try:
            status = undo_order(ground, self.name, age_seconds=age_seconds)
        except Busy:
            raise
        except ApplianceError:
            write_atomic(self._mark, FAILED, mode=0o600)
            return load_order(folder), load_status(folder)
        self._mark.unlink()
        return load_order(folder), status


def asked_of(orders: Path) -> Iterator[Undoing]:
    """The orders that somebody wants undone."""
    for mark in sorted(orders.glob("*/undo")):
        undoing = Undoing(orders, mark.parent.name)
        if undoing.state == ASKED.decode():
            yield undoing
