"""Headers in parts: no frame grows with the number of backups ever made, and only those travel that the caller lacks.

A request `get` with `"parts": true` is answered by a frame as before, with the first part of the headers in `headers`
and `more`; while that is true another frame with both follows, then the list. A former vault knows no parts: it answers
all headers at once, without `more`. To a former caller all are sent at once, as it expects.

`known` in the request names generations of which the caller has the header and all headers before it. `alone` asks for
the header of the generation itself and no other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from appliance.backup.chain.history import previous_of
from appliance.backup.vault.call import Call, is_texts
from appliance.backup.vault.limits import HEADERS_MAX
from appliance.backup.vault.store import HEADER, Replica
from appliance.backup.vault.wire import Channel
from appliance.errors import ApplianceError, IntegrityError
from appliance.trust.generation import HEADER_BYTES_MAX
from appliance.units import MIB

PART_BYTES_MAX = MIB
"""The size of the headers themselves: quoted in JSON they are up to twice as long, and a vault reads frames of 16
MiB."""
KNOWN_MAX = 256


def cut(headers: Iterable[str], bytes_max: int, count_max: int = HEADERS_MAX) -> Iterator[list[str]]:
    """`headers` in parts of at most `bytes_max` bytes and `count_max` headers; of one header at least, and one part."""
    part: list[str] = []
    size = 0
    for header in headers:
        if part and (size + len(header) > bytes_max or len(part) >= count_max):
            yield part
            part, size = [], 0
        part.append(header)
        size += len(header)
    yield part


def wanted(call: Call, name: str) -> Iterator[str]:
    """The headers that the caller of `get` lacks, with that of generation `name`, oldest first."""
    replica = call.replica
    if call.request.get("alone") is True:
        names: Iterable[str] = (name,)
    else:
        names = lacking(previous_by_name(replica), call.texts("known")[:KNOWN_MAX], name)
    for it in names:
        try:
            yield replica.read(it, HEADER).decode()
        except (ApplianceError, UnicodeDecodeError):
            continue  # the scrub reports it; the caller says what it misses


def lacking(previous: Mapping[str, str], known: Collection[str], name: str) -> tuple[str, ...]:
    """The names in `previous` that lead to none of `known`, and `name`, oldest first. Pure."""
    by_digest = {it[-16:]: it for it in previous}
    has: set[str] = set()
    for step in known:
        while step in previous and step not in has:
            has.add(step)
            step = by_digest.get(previous[step], "")
    return tuple(it for it in sorted(previous) if it not in has or it == name)


def leading_to(previous: Mapping[str, str], names: Iterable[str]) -> set[str]:
    """Those of `names` that are in `previous`, and all before them. Where names end alike, which a writer can bring
    about, each of them counts as the one before. Pure."""
    by_digest = defaultdict(list)
    for name in previous:
        by_digest[name[-16:]].append(name)
    found: set[str] = set()
    left = [name for name in names if name in previous]
    while left:
        if (step := left.pop()) not in found:
            found.add(step)
            left += by_digest.get(previous[step], ())
    return found


def previous_by_name(replica: Replica) -> dict[str, str]:
    """For each generation known here the start of the digest of the header before it; "" where it cannot be read.

    The index of the history tells it of old ones: there may be tens of thousands.
    """
    found = {}
    for name in replica.folders():
        try:
            found[name] = previous_of(replica.read(name, HEADER))[:16]
        except ApplianceError:
            found[name] = ""
    return {name: it.previous for name, it in replica.history.index().items()} | found


def answer_in_parts(channel: Channel, frame: Mapping[str, Any], headers: Iterable[str]) -> None:
    """Write `frame` with the first part of `headers`, then a frame for each other part."""
    parts = cut(headers, PART_BYTES_MAX)
    part, told = next(parts), dict(frame)
    for following in parts:
        channel.write_frame({**told, "headers": part, "more": True})
        part, told = following, {}
    channel.write_frame({**told, "headers": part, "more": False})


def read_headers(channel: Channel, answer: Mapping[str, Any], peer: str) -> list[str]:
    """All headers of an answer, whose first frame is `answer`; raise IntegrityError for what is none, or too many."""
    headers: list[str] = []
    while True:
        part = answer.get("headers")
        if not is_texts(part) or len(headers) + len(part) > HEADERS_MAX or not _are_short(part):
            raise IntegrityError(f"{peer} did not answer with grants and at most {HEADERS_MAX} headers.")
        headers += part
        if answer.get("more") is not True:
            return headers
        if not part:
            raise IntegrityError(f"{peer} announces more headers and sends none.")
        answer = channel.read_frame()


def _are_short(headers: Iterable[str]) -> bool:
    """The channel bounds one frame, not how many follow."""
    return all(len(header) <= HEADER_BYTES_MAX for header in headers)
