"""Former voters' grants in the next bundle: what `territory sign` and `node revoke` confirm, say, and refuse."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, read_file
from appliance.clock import utc_text
from appliance.config.collected import Collected, merge, read_collected
from appliance.config.confirming import SHOWN_SECONDS_MAX, Confirming, confirm
from appliance.errors import Refused
from appliance.trust.bundle import Bundle
from appliance.units import as_typed, format_duration

NAMED_MAX = 5
"""How many of the grants that could not be confirmed are named."""

earlier_option = click.option(
    "--earlier",
    "earlier",
    multiple=True,
    metavar="BUNDLE",
    type=FILE_TYPE,
    help="An earlier bundle whose voters signed grants that were not confirmed since; may be repeated.",
)
unconfirmed_option = click.option(
    "--unconfirmed",
    is_flag=True,
    help="Change the voters even if the newest grant of a service is not known because its nodes are lost.",
)


def key_files(places: Sequence[Path]) -> Iterator[Path]:
    """The files among `places`, and every NODE.json in the folders among them."""
    for place in places:
        yield from sorted(place.glob("*.json")) if place.is_dir() else (place,)


def collected_in(places: Sequence[Path]) -> Mapping[str, Collected]:
    return merge(read_collected(read_file(file), name=str(file)) for file in key_files(places))


def confirmed_after(
    before: Bundle | None,
    term: int,
    collected: Mapping[str, Collected],
    *,
    now: float,
    gone: Collection[str] = (),
    earlier: Sequence[Bundle] = (),
    unconfirmed: bool,
    folder: Path,
) -> Confirming:
    """Return what the bundle of the term `term` confirms after `before`. `folder` is the one of territory.yml and
    keys/.

    Raise Refused where voters change and the newest grant of a service is not known, unless `unconfirmed`.
    """
    if before is None or (term == before.term and not earlier):
        return Confirming(before.confirmed if before else frozenset(), {}, {}, ())
    found = confirm(before, collected, now=now, gone=gone, earlier=earlier)
    if found.unknown and not unconfirmed and term != before.term:
        raise _not_known(found, folder)
    return found


def confirming_text(found: Confirming) -> Iterator[str]:
    """The lines on what was confirmed and what was not."""
    if found.newest:
        each = (f"{name} up to epoch {grant.epoch} ({grant.writer})" for name, grant in sorted(found.newest.items()))
        yield f"Grants of the previous voters stay valid: {', '.join(each)}."
    if found.unknown:
        yield (
            f"The newest grants of these services are not known: {', '.join(sorted(found.unknown))}. No voter grants "
            "such a service until a bundle with --earlier confirms them, or the key holder grants it: "
            "`appliance backup resync SERVICE --request FILE` at the node that is to write it."
        )
    yield from found.refused[:NAMED_MAX]
    if found.refused:
        yield "Name the bundle of that time with --earlier BUNDLE to have such grants confirmed."


def _too_old(old: Mapping[str, float | None], nodes: Collection[str]) -> str:
    """The nodes that answered too long ago to know the newest grants, as words after a sentence; "" when none of
    `nodes`."""
    days = {node: "on an unknown day" if it is None else f"on {utc_text(it)[:10]}" for node, it in old.items()}
    each = ", ".join(f"{node} {days[node]}" for node in sorted(days.keys() & set(nodes)))
    limit = format_duration(SHOWN_SECONDS_MAX)
    if not each:
        return ""
    when = f"more than {limit} ago, before the present voters came, or on an unknown day,"
    return f" What was collected {when} is not used: {each}."


def _not_known(found: Confirming, folder: Path) -> Refused:
    unknown = found.unknown
    each = (f"{name} ({', '.join(nodes) or 'all its nodes are lost'})" for name, nodes in sorted(unknown.items()))
    nodes = sorted({node for nodes in unknown.values() for node in nodes})
    collect = as_typed("appliance", "node", "collect", *nodes, "--territory", str(folder))
    keys = as_typed("--keys", str(folder / "keys"))
    return Refused(
        f"this bundle has other voters, and the newest grants of these services are not known: {', '.join(each)}. "
        f"Nodes that never saw them would refuse them.{_too_old(found.old, nodes)}",
        remedy=f"Collect from those nodes (`{collect}`) and add `{keys}`; if they are lost or do not know, add "
        "--unconfirmed.",
    )
