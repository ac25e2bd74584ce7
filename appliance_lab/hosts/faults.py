"""Faults of a lab's network: what a person asks for, what is remembered of it, and by what it can be made. Pure.

A target is a link, "A--B", or a node: then it is the cable of the node. Delay and rate hold in each direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from appliance.errors import Unsupported, UsageError
from appliance_lab.hosts.kernel import UNSUPPORTED
from appliance_lab.hosts.plan import Plan

RATE_BITS_MIN, RATE_BITS_MAX = 8_000, 100_000_000_000
DELAY_SECONDS_MAX = 10.0
EVERY = "*"
_RATE = re.compile(r"(\d+(?:\.\d+)?)(k|m|g)?bit", re.IGNORECASE)
_RATE_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class Fault:
    """The fault of one target; the one that `heals` is the default.

    `loss` is the share of packets that do not arrive, 0 to 1; `rate` is in bits a second, None for unlimited. With
    `cut_from`, a site, a cut link loses what that one sends, and nothing of the other.
    """

    cut: bool = False
    cut_from: str = ""
    rate: int | None = None
    delay_seconds: float = 0.0
    loss: float = 0.0

    @property
    def needs(self) -> tuple[str, ...]:
        """The jobs, as `kernel.backends` names them, that making it takes."""
        jobs = {"cut": self.cut, "throttle": self.rate is not None, "delay": self.delay_seconds > 0 or self.loss > 0}
        return tuple(job for job, asked in jobs.items() if asked)

    def __str__(self) -> str:
        parts = [f"cut for what {self.cut_from} sends" if self.cut_from else "cut"] if self.cut else []
        if self.rate is not None:
            parts.append(f"{rate_text(self.rate)} each way")
        if self.delay_seconds:
            parts.append(f"{1000 * self.delay_seconds:g} ms longer each way")
        if self.loss:
            parts.append(f"{100 * self.loss:g} % of packets lost each way")
        return ", ".join(parts) or "as it should be"


HEALED = Fault()


def targets(plan: Plan, text: str) -> tuple[str, ...]:
    """The targets that `text` names: a node, a link by two sites or nodes, or all links of a site ("A--*")."""
    if "--" not in text:
        return (plan.node(text).name,)
    ends = text.split("--")
    if EVERY not in ends:
        return (plan.link(text).name,)
    named = [plan.site(end).name for end in ends if end != EVERY]
    return tuple(link.name for link in plan.links if all(name in (link.a.name, link.b.name) for name in named))


def check_end(plan: Plan, target: str, site: str) -> None:
    """Raise UsageError unless `target` is a link of which `site` is one end."""
    if "--" not in target or site not in (plan.link(target).a.name, plan.link(target).b.name):
        raise UsageError(
            f"{target} is no link of {site}.",
            remedy=f'Only a link loses what one end sends, such as: appliance lab cut "{site}--*" --from {site}',
        )


def check_supported(target: str, fault: Fault, backends: Mapping[str, str]) -> None:
    """Raise Unsupported when this kernel cannot make `fault`: it must never count as made."""
    for job in fault.needs:
        if backends[job] == UNSUPPORTED:
            raise Unsupported(
                f"{target}: unsupported: this machine's kernel has nothing that can {job}.",
                remedy="Nothing was changed. See: appliance lab probe",
            )


def by_what(fault: Fault, backends: Mapping[str, str]) -> str:
    """The backends that make `fault`: "nftables", "tbf and user-space router"."""
    return " and ".join(dict.fromkeys(backends[job] for job in fault.needs))


def merge(known: Mapping[str, Fault], wanted: Iterable[str], **changes: Any) -> dict[str, Fault]:
    """The faults of `wanted` once `changes` came to what is `known` of them."""
    return {target: replace(known.get(target, HEALED), **changes) for target in wanted}


def remembered(faults: Mapping[str, Mapping[str, Any]]) -> dict[str, Fault]:
    """Faults from the state of a lab."""
    return {target: Fault(**values) for target, values in faults.items()}


def to_remember(faults: Mapping[str, Fault]) -> dict[str, dict[str, Any]]:
    """The other way; what is healed is forgotten."""
    return {target: asdict(fault) for target, fault in faults.items() if fault != HEALED}


def parse_rate(text: str) -> int:
    """Bits a second in `text`, such as "10mbit"; raise UsageError."""
    match = _RATE.fullmatch(text)
    rate = int(float(match[1]) * _RATE_UNITS[(match[2] or "").lower()]) if match else 0
    if not RATE_BITS_MIN <= rate <= RATE_BITS_MAX:
        raise UsageError(f'"{text}" is not a rate of a link.', remedy="Write for example 512kbit, 10mbit or 1gbit.")
    return rate


def parse_delay(text: str) -> float:
    """Seconds in `text`, such as "20ms"; raise UsageError."""
    match = _DELAY.fullmatch(text)
    if match is None:
        raise UsageError(f'"{text}" is not a delay.', remedy="Write for example 20ms or 1.5s.")
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
    if seconds > DELAY_SECONDS_MAX:
        raise UsageError(f'"{text}" is too long for a link.', remedy=f"At most {DELAY_SECONDS_MAX:g}s.")
    return seconds


def parse_loss(text: str) -> float:
    """A share in `text`, such as "2.5%"; raise UsageError."""
    match = _SHARE.fullmatch(text)
    if match is None or float(match[1]) > 100:
        raise UsageError(f'"{text}" is not a share of packets.', remedy="Write for example 2.5%.")
    return float(match[1]) / 100


def rate_text(rate: int) -> str:
    """As tc and a person read it: "10 Mbit/s"."""
    for unit, size in (("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000)):
        if rate >= size:
            return f"{rate / size:g} {unit}"
    return f"{rate} bit/s"
