"""The measurement of a node's plug at the wall: the box, its modem, all that hangs on it. For node_exporter.

    python3 -I -m appliance.monitor.plug KIND ADDRESS FILE

asks the plug once over HTTP and writes FILE. KIND names the answers it gives: `shelly` (second generation and later),
`shelly1` (the first) or `tasmota`. A plug has no certificate, so ADDRESS must be one of the site's own network, and its
answer is believed for watts only. For one that does not answer, or measures nothing, FILE says that and no watts: a
value that is not known has no sample.
"""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError, IntegrityError, Unreachable, UsageError
from appliance.host.files import write_atomic
from appliance.host.network import http_call
from appliance.monitor import exposition
from appliance.monitor.metrics import POWER, POWER_ANSWERS, Sample

SECONDS_MAX = 10.0
BYTES_MAX = 65536
WATTS_MAX = 16 * 250.0
"""More than a household plug lets through."""


@dataclass(frozen=True)
class Kind:
    """`path` is asked for, and `watts` finds the power in what came."""

    path: str
    watts: Callable[[Any], Any]


KINDS: Mapping[str, Kind] = {
    "shelly": Kind("/rpc/Switch.GetStatus?id=0", lambda said: said["apower"]),
    "shelly1": Kind("/status", lambda said: said["meters"][0]["power"]),
    "tasmota": Kind("/cm?cmnd=Status%208", lambda said: said["StatusSNS"]["ENERGY"]["Power"]),
}


def watts(kind: str, address: str) -> float:
    """The power in watts by the plug at `address` (an IP address, with a port or without)."""
    if kind not in KINDS:
        raise UsageError(f"plugs of the kind {kind} are not known.", remedy=f"Known are {', '.join(KINDS)}.")
    if not _is_of_the_site(address):
        raise UsageError(
            f"{address} is not an address of a site's own network.", remedy="Write for example 192.168.1.40."
        )
    try:
        found = float(KINDS[kind].watts(json.loads(_answer(address, KINDS[kind].path))))
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError, IntegrityError) as error:
        raise Unreachable(
            f"the plug at {address} does not report its power as a {kind} does.",
            remedy=f"Look at http://{address}{KINDS[kind].path}, and at exporters_plug of this node.",
        ) from error
    if not 0 <= found <= WATTS_MAX:
        raise Unreachable(f"the plug at {address} reports {found:g} W, more than any plug allows.")
    return found


def render(power: float | None) -> bytes:
    """Return the content of FILE; None for a plug that does not answer."""
    found = ((POWER, power), (POWER_ANSWERS, float(power is not None)))
    samples = [Sample(metric.name, ("plug",), value) for metric, value in found if value is not None]
    return exposition.render((POWER, POWER_ANSWERS), samples)


def _is_of_the_site(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition(":")[0]).is_private
    except ValueError:
        return False


def _answer(address: str, path: str) -> bytes:
    try:
        with http_call.call(f"http://{address}{path}", seconds_max=SECONDS_MAX, bytes_max=BYTES_MAX) as answer:
            if answer.status != HTTPStatus.OK:
                remedy = "Does it ask for a password?"
                raise Unreachable(f"the plug at {address} answered {answer.status}.", remedy=remedy)
            return answer.read()
    except OSError as error:
        raise Unreachable(f"the plug at {address} does not answer: {error}.") from error


def main() -> None:
    kind, address, file = sys.argv[1:]
    try:
        write_atomic(Path(file), render(watts(kind, address)))
    except ApplianceError as error:
        write_atomic(Path(file), render(None))
        sys.exit(str(error))


if __name__ == "__main__":
    main()
