"""« Annuler »: a page asks for it with a mark beside what it asked, and who has the powers does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.errors import ApplianceError, Busy
from appliance.host.layout import Orders
from appliance.restore.carry import Ground, undo_order
from appliance.restore.order import (
    Order,
    OrderFolder,
    Status,
    ask,
    load_order,
    load_status,
    mark_of,
    order_folder,
    taken,
)


@dataclass(frozen=True)
class Undoing:
    """What became of undoing the order `name`."""

    orders: Orders
    name: str

    @property
    def _folder(self) -> OrderFolder:
        return order_folder(self.orders, self.name)

    def ask(self) -> None:
        ask(self._folder, "undo")

    @property
    def state(self) -> str:
        """ "asked", "failed", or "" when nobody asked or it is done."""
        status, mark = load_status(self._folder), mark_of(self._folder, "undo")
        if not mark or status.state == "undone":
            return ""
        return "failed" if mark == status.heard_undo else "asked"

    def carry_out(self, ground: Ground, *, age_seconds: int) -> tuple[Order, Status]:
        """Undo it, and return how it stands then; where that fails, which the page says, as it stood. Raise Busy."""
        folder = self._folder
        try:
            status = undo_order(ground, self.name, age_seconds=age_seconds, mark=mark_of(folder, "undo"))
        except Busy:
            raise
        except ApplianceError:
            return load_order(folder), load_status(folder)
        return load_order(folder), status


def asked_of(orders: Orders) -> Iterator[Undoing]:
    """The orders that somebody wants undone."""
    for name in taken(orders):
        folder = OrderFolder(orders, name)
        status = load_status(folder)
        if folder.file.exists() and mark_of(folder, "undo") not in ("", status.heard_undo):
            yield Undoing(orders, name)
