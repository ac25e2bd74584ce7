"""The view of a monitoring node, from the few words of a test table: "2h" is two hours before now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from appliance.clock import utc_seconds
from appliance.monitor import metrics
from appliance.monitor.metrics import STATES, Metric
from appliance.portal.dashboard.names import CHIPS, JOULES, PLUG_POWER, POWER_ANSWERS, UPS_POWER, UPS_STATUS
from appliance.portal.dashboard.observations import Alert, LastAnswer, Observations, Prometheus, Sample, WatchedNode
from appliance.territory.model import Territory
from appliance.territory.placement import place
from appliance.units import HOUR, parse_duration

NOW = utc_seconds("2026-11-25T12:00:00Z")
LOOKED_AGO = 10.0


def ago(text: str, now: float = NOW) -> float:
    return now - parse_duration(text)


def sample(metric: Metric, value: float, *labels: str) -> Sample:
    return Sample(metric.full_name, dict(zip(metric.labels, labels, strict=True)), value)


def observed(words: Mapping[str, Any], now: float = NOW) -> Observations:
    """`words`: nodes by name (as `watched`), looked (how long ago), prometheus ("silent"), alerts."""
    at = ago(words["looked"], now) if "looked" in words else now - LOOKED_AGO
    nodes = {name: watched(name, it, now) for name, it in words.get("nodes", {}).items()}
    alerts = tuple(
        Alert(it["name"], {"severity": it.get("severity", "critical"), **it.get("labels", {})}, "en clair", now - 60)
        for it in words.get("alerts", ())
    )
    prometheus = Prometheus(at, alerts=alerts)
    if words.get("prometheus") == "silent":
        prometheus = Prometheus(at - HOUR, at, "refused")
    return Observations(at, nodes, prometheus)


def watched(name: str, words: Mapping[str, Any], now: float) -> WatchedNode:
    """`words`: silent (since when, or "never"), machine (false, or of `_machine`), and what `_agent` takes."""
    silent, at = words.get("silent", ""), now - LOOKED_AGO
    if silent == "never":
        return WatchedNode(LastAnswer(since=at, why="refused."))
    samples = tuple(_agent(name, words, now))
    agent = (
        LastAnswer(at, samples=samples)
        if not silent
        else LastAnswer(ago(silent, now), ago(silent, now) + 30, "refused.", samples)
    )
    machine = words.get("machine")
    if machine is None:
        return WatchedNode(agent)
    if machine is False:
        return WatchedNode(agent, LastAnswer(ago("1h", now), at, "refused."))
    return WatchedNode(agent, LastAnswer(at, samples=tuple(_machine(machine))), machine.get("watts"))


def _agent(name: str, words: Mapping[str, Any], now: float) -> Iterator[Sample]:
    """`words`: looked (how long ago, "" for never), writes and holds (by service), checks ("check role subject":
    state)."""
    if words.get("looked", "20s"):
        yield sample(metrics.LOOKED, ago(words.get("looked", "20s"), now))
    for service, it in words.get("writes", {}).items():
        yield sample(metrics.EPOCH, it.get("epoch", 2), service)
        yield sample(metrics.RPO, parse_duration(it.get("rpo", "1d")), service)
        if it.get("safe", "1h"):
            yield sample(metrics.SAFE, ago(it.get("safe", "1h"), now), service)
        if "unsafe" in it:
            yield sample(metrics.UNSAFE, ago(it["unsafe"], now), service)
        if "new" in it:
            yield sample(metrics.NEW_BYTES, it["new"], service)
            yield sample(metrics.BYTES, it.get("of", 100), service)
        yield from _proofs(service, it, now)
    for service, it in words.get("holds", {}).items():
        yield sample(metrics.EXPECTED, 1, service, name)
        if it.get("newest", "1h"):
            came = ago(it.get("newest", "1h"), now)
            made = now + parse_duration(it["ahead"]) if "ahead" in it else came
            yield sample(metrics.HELD_NEWEST, made, service, name)
            yield sample(metrics.HELD_CAME, came, service, name)
        yield sample(metrics.SIZE, it.get("used", 10), service, name)
        yield sample(metrics.QUOTA, 100, service, name)
        if "short" in it:
            yield sample(metrics.SHORT, it["short"], service, name)
        yield from _proofs(service, it, now)
    for what, state in words.get("checks", {}).items():
        check, role, subject = what.split()
        yield sample(metrics.CHECK, metrics.LACKING if state == "lacking" else STATES[state], check, role, subject)


def _proofs(service: str, words: Mapping[str, Any], now: float) -> Iterator[Sample]:
    """`words`: drilled, took, wrong; checked and errors by kind."""
    if "drilled" in words:
        yield sample(metrics.DRILLED, ago(words["drilled"], now), service)
        yield sample(metrics.DRILL_SECONDS, parse_duration(words.get("took", "5min")), service)
    if "wrong" in words:
        yield sample(metrics.DRILL_WRONG, words["wrong"], service)
    for kind, when in words.get("checked", {}).items():
        yield sample(metrics.CHECKED, ago(when, now), service, kind)
    for kind, errors in words.get("errors", {}).items():
        yield sample(metrics.ERRORS, errors, service, kind)


def _machine(words: Mapping[str, Any]) -> Iterator[Sample]:
    """`words`: celsius, ups and plug (watts), answers (0 for a UPS that does not), battery, joules."""
    if "celsius" in words:
        yield Sample(CHIPS, {"chip": "a", "sensor": "temp1"}, words["celsius"])
        yield Sample(CHIPS, {"chip": "b", "sensor": "temp1"}, words["celsius"] - 20)
    if "ups" in words:
        yield Sample(UPS_POWER, {"ups": "ups"}, words["ups"])
        yield Sample(UPS_STATUS, {"ups": "ups", "flag": "OB"}, float(words.get("battery", False)))
    if "answers" in words:
        yield Sample(POWER_ANSWERS, {"source": "ups"}, words["answers"])
    if "plug" in words:
        yield Sample(PLUG_POWER, {"source": "plug"}, words["plug"])
    if "joules" in words:
        yield Sample(JOULES, {"index": "0"}, words["joules"])


def whole(territory: Territory) -> dict[str, Any]:
    """Words for a territory in which all is well: each service safe, held by its holders and a spare, and proven."""
    nodes: dict[str, Any] = {
        name: {"writes": {}, "holds": {}, "checks": {f"agent node {name}": "ok"}, "machine": {"celsius": 41, "ups": 12}}
        for name in territory.nodes
    }
    placed = place(territory)
    for service in territory.services.values():
        proofs = {
            "drilled": "2d",
            "took": "6min",
            "checked": {"blobs": "8h", "repository": "3d"},
            "errors": {"blobs": 0},
        }
        nodes[service.node]["writes"][service.name] = {"safe": "3h", "new": 2, **proofs}
        well = {"written": ("copies", "first-backup", "backup-age"), "catalogue": ("verify", "drill")}
        for role, checks in well.items():
            nodes[service.node]["checks"] |= {f"{check} {role} {service.name}": "ok" for check in checks}
        held = placed[service.name]
        for node in (*held.holders, *held.spares[:1]):
            nodes[node]["holds"][service.name] = {"newest": "3h", "used": 40}
            nodes[node]["checks"][f"lock held {service.name}"] = "lacking"
            proven = ("damage", "borg-check", "reread", "quota")
            nodes[node]["checks"] |= {f"{check} held {service.name}": "ok" for check in proven}
    return {"nodes": nodes}
