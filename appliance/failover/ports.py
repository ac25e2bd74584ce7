"""The ports by which failover uses the machine and the copies. Each has a version in memory and one that is real.

Every call is safe to repeat and to cut, as the table asks the same again until it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.failover.fsm.model import Local
from appliance.trust.grant import Grant


class Services(Protocol):
    """The service manager of this machine, for the services of the territory."""

    def look(self, service: str) -> Local:
        """Return what runs here now; `healthy` is left to `probe`, `address` to the network."""
        ...

    def wake(self, service: str) -> None:
        """Begin to be ready for what is asked next: a proof is in doubt, or a takeover may come."""
        ...

    async def start(self, service: str, epoch: int) -> None:
        """Make its files writable and start its programs; return once they run."""
        ...

    async def stop(self, service: str) -> None:
        """Stop its programs, by force where they do not end."""
        ...

    async def set_read_only(self, service: str) -> None: ...

    async def probe(self, service: str) -> bool:
        """Whether the service answers, asked as its clients would."""
        ...

    async def hold(self, service: str) -> None:
        """Let clients wait with what they write."""
        ...

    async def check_held(self, service: str) -> None:
        """Raise ApplianceError where clients that should wait are let in after all."""
        ...

    async def resume(self, service: str) -> None: ...

    async def serve_copy(self, service: str) -> None:
        """Serve the copy that is here for reading, dated, and never at the service's own address."""
        ...

    async def withdraw_copy(self, service: str) -> None: ...

    def reset(self, service: str) -> None:
        """Make sure at any price that the service writes no more: on a host by a reset of the machine."""
        ...


class Network(Protocol):
    def has_address(self, service: str) -> bool: ...

    async def cut(self, service: str) -> None:
        """Take the address away and end its connections, at once."""
        ...

    async def add_address(self, service: str) -> None: ...


class Watchdog(Protocol):
    def watch(self, service: str, epoch: int, deadline: float | None) -> None:
        """Have the service stopped at `deadline` (CLOCK_BOOTTIME) unless that is moved; None: never by the watchdog.

        Raise Refused for a deadline while no watchdog runs, and for one that it might sleep past (`watchdog.sees`):
        that counts all the same, so what runs ends a moment late, and nothing may begin by it.
        """
        ...


@dataclass(frozen=True)
class Presented:
    """The replica nodes that took a grant that was shown, and the epoch of a newer grant that one showed instead, 0
    without."""

    accepted: tuple[str, ...] = ()
    newer: int = 0


@dataclass(frozen=True)
class Synced:
    """The generation that has everything, by its full name, and who gave a receipt for it."""

    generation: str
    has: tuple[str, ...] = ()


class Copies(Protocol):
    """The copies of services here and at peers: what backup and vaults do, for failover to ask for."""

    def own_grant(self, service: str) -> Grant | None:
        """The newest grant of this node's own chain that is this node's; what it adopted or began."""
        ...

    def files_are_here(self, service: str, opened_epoch: int) -> bool:
        """Whether the files here are those of `own_grant`, `opened_epoch` being the one that was opened here last;
        otherwise another node, or a former machine, wrote last, and nothing was saved here since."""
        ...

    def hold_backups(self, service: str, held: bool) -> None:
        """Have no backup made until `adopt` has laid the service's files in place, or let them be made."""
        ...

    def documents(self, service: str) -> tuple[bytes, ...]:
        """The newest grants that this node keeps, as its own and for others."""
        ...

    def document_folders(self, service: str) -> tuple[Path, ...]:
        """Where these are; they change with the names in there."""
        ...

    def unfit(self, service: str) -> str:
        """Why nothing that is here could be served; "" when something can."""
        ...

    def view_is_stale(self, service: str) -> bool:
        """Whether a newer generation is held here than the one that was laid out for reading."""
        ...

    def is_orphaned(self, service: str, generation: str) -> bool | None:
        """Whether the history went on from an older one than `generation`, which was sealed here; None while no
        generation of a later epoch is known here."""
        ...

    def expect(self, service: str) -> None:
        """Begin to get ready for a takeover, or a last backup, within a minute. Nothing has to follow, and
        what does tells whether something fails."""
        ...

    async def close(self) -> None:
        """End what waits for an order."""
        ...

    async def present(self, service: str) -> Presented:
        """Show the granted epoch to who stores the service; each that takes it refuses older ones from then on."""
        ...

    async def adopt(self, service: str, *, keep_files: bool, generation: str = "", required: str = "") -> None:
        """Continue the repository under the grant, from the newest generation anywhere, or from `generation`, and lay
        its files in place unless those here are newer. With `required`, from that one or one of a later epoch: raise
        where neither can be had."""
        ...

    async def pull(self, service: str) -> None:
        """Fetch the newest generation that anybody holds."""
        ...

    async def sync(self, service: str, to: str = "") -> Synced:
        """Save and seal everything, bring it to the peers; who has it then. `to` takes over, "" where any may."""
        ...

    async def install_copy(self, service: str) -> None:
        """Lay the newest copy out for reading."""
        ...

    async def keep_branch(self, service: str, epoch: int) -> str:
        """Put aside what was written here under `epoch`; where it is."""
        ...
