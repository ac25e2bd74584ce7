"""The lines of people in territory.yml for the service of a life: its quota, where its copies are, its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.life.town import LATER_NAMES
from tests.integration.life.world import CHUNK_BYTES, SERVICE, SPARE, Holder

if TYPE_CHECKING:
    from tests.integration.life.life import Life


def raise_quota(life: Life) -> None:
    """Type what a refusal for lack of room says, until there is no refusal."""
    while any(not _fits(life, holder) for holder in life.targets()):
        life.town.set_quota(life.town.bundle.terms(SERVICE).quota_bytes * 3 // 2)


def _fits(life: Life, holder: Holder) -> bool:
    """Whether what the writer made last has room there."""
    if (sealed := life.writer.sealed) is None:
        return True
    lacking = holder.lacks(sealed).bit_count() * CHUNK_BYTES
    return life.rules.fits(holder, life.town.limits(holder.name), lacking, False)


def shorten_quota(life: Life, days: int, part: float) -> None:
    """The file has a quota for some days that is `part` of what is held, by mistake or since room is short."""
    quota = life.town.bundle.terms(SERVICE).quota_bytes
    life.town.set_quota(int(max(it.used for it in life.nodes.values()) * part) + CHUNK_BYTES)
    life.during(days, "short_quota")
    life.town.set_quota(quota)


def place_elsewhere(life: Life, name: str) -> None:
    """The node `name` lends no room any more, and another one does that did not; its copy is for others to hold."""
    life.town.lend(name)
    life.oracle.continued()


def rename(life: Life, was: str) -> None:
    """People call the service otherwise from now on, and the file says what it `was`; with nothing of it, the file
    loses that line, and the name stays. Where it says a name in between, that is refused, and what is printed then
    is typed."""
    town, earlier = life.town, {"called": life.town.name, "first": SERVICE}.get(was, "")
    name = next(it for it in LATER_NAMES if it != town.name) if earlier else town.name
    if earlier not in ("", SERVICE):
        life.oracle.refuses(not town.rename(name, earlier), "a name in between as the earlier one")
        earlier = SERVICE
    life.oracle.renamed(town.rename(name, earlier))


def rename_at_once_with(life: Life, something: str) -> None:
    """The service is renamed and moves in one step, or a new one takes its first name; both make no sense."""
    if something == "a move":
        signed = life.town.rename(next(it for it in LATER_NAMES if it != life.town.name), SERVICE, moved_to=SPARE)
    else:
        signed = life.town.name != SERVICE and life.town.rename(life.town.name, "", beside=SERVICE)
    life.oracle.refuses(not signed, f"a rename with {something}")
