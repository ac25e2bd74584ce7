"""The rows of the result, in the order in which they are measured: each leaves the ground as the next one needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance_lab.bench.bench import Bench
from appliance_lab.bench.booting import hosts_answer
from appliance_lab.bench.compaction import compaction
from appliance_lab.bench.dashboards import dashboard
from appliance_lab.bench.figures import Figure
from appliance_lab.bench.handover import handover
from appliance_lab.bench.leaderless import leaderless
from appliance_lab.bench.names import names
from appliance_lab.bench.on_hosts.frugal import frugal
from appliance_lab.bench.outage import outage
from appliance_lab.bench.pages import pages
from appliance_lab.bench.parcel import cut, memory
from appliance_lab.bench.planning import planning
from appliance_lab.bench.provisioning import playbooks
from appliance_lab.bench.resting import agent_at_rest
from appliance_lab.bench.restoring import one_file, whole_service
from appliance_lab.bench.saving import against_borgmatic, changed, first_backup, unchanged
from appliance_lab.bench.starting import starts
from appliance_lab.bench.takeover import takeover
from appliance_lab.bench.unchanged.row import still
from appliance_lab.bench.watched import prometheus, scrape
from appliance_lab.bench.years.row import old

ROWS: Mapping[str, Callable[[Bench], tuple[Figure, ...]]] = {
    "first": first_backup,
    "changed": changed,
    "unchanged": unchanged,
    "still": still,
    "borgmatic": against_borgmatic,
    "whole": whole_service,
    "handover": handover,
    "start": starts,
    "agent": agent_at_rest,
    "scrape": scrape,
    "prometheus": prometheus,
    "dashboard": dashboard,
    "memory": memory,
    "cut": cut,
    "compaction": compaction,
    "file": one_file,
    "names": names,
    "territory": planning,
    "portal": pages,
    "old": old,
    "takeover": takeover,
    "leaderless": leaderless,
    "hosts": hosts_answer,
    "site": playbooks,
    "outage": outage,
    "rest": frugal,
}
