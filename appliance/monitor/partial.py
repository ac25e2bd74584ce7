"""The sentences on a backup that lacks some of what it should have, at its origin and at all that hold it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.backup.writer.manifest import Accepted
from appliance.clock import utc_text
from appliance.monitor.states import Reason
from appliance.monitor.view import Generation, Missing

NAMED_MAX = 3
AT_ORIGIN = (
    "Mount or repair it, or remove it from territory.yml; to run at once and list what is missing: `appliance backup "
    "run {}`. A restore takes what is missing from the last backup that has it."
)
AT_HOLDER = "See `appliance status` at its origin. A restore takes what is missing from the last backup that has it."


def partial_reasons(newest: Generation | None, partial: tuple[Missing, ...], remedy: str) -> Iterator[Reason]:
    """A warning while the newest generation is partial: how old the newest whole one may be, its age says."""
    if newest is not None and not newest.whole:
        yield Reason("warning", f"partial: {_named(partial)}.", remedy, "whole")


def without(accepted: tuple[Accepted, ...]) -> str:
    """Return the part that a backup which counts as whole is without, as the end of a sentence; "" for nothing."""
    named = "; ".join(str(it) for it in accepted[:NAMED_MAX])
    more = len(accepted) - NAMED_MAX
    return f", without {named}{f'; and {more} more' if more > 0 else ''}" if accepted else ""


def _named(partial: tuple[Missing, ...]) -> str:
    if not partial:
        return "some files are missing in the newest backup"
    named = ", ".join(f"{it.path} missing, wholly or in part, {_since(it)}" for it in partial[:NAMED_MAX])
    more = len(partial) - NAMED_MAX
    return f"{named} and {more} more" if more > 0 else named


def _since(missing: Missing) -> str:
    return f"since {utc_text(missing.last)[:10]}" if missing.last is not None else "in all known backups"


def partial_facts(newest: Generation | None, partial: tuple[Missing, ...]) -> dict[str, object]:
    shown = [{"path": it.path, "last": utc_text(it.last) if it.last is not None else None} for it in partial]
    return {"whole": newest.whole if newest and newest.said else None, "missing_paths": shown}
